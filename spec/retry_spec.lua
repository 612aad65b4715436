--- retry: another attempt after a failure.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

local function ignore() end

-- What a promise came to: its status and values, with their number.
local function outcome(promise)
  return table.pack(helper.outcome(promise))
end

describe("retry", function()
  local loop, times

  -- Fails, and notes when.
  local function fail(attempt)
    times[#times + 1] = loop.now()
    error("attempt " .. attempt, 0)
  end

  before_each(function()
    loop, times = virtual.new(), {}
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  it("gives the results of the first attempt that succeeds", function()
    local attempts = {}
    local p = Promise.retry(function(attempt)
      attempts[#attempts + 1] = attempt
      if attempt < 3 then error "no" end
      return "yes", nil, attempt, nil
    end)
    loop.advance(10)
    assert.same({"fulfilled", "yes", nil, 3, nil, n = 5}, outcome(p))
    assert.same({1, 2, 3}, attempts)
  end)

  it("makes the first attempt at once", function()
    local called = false
    Promise.retry(function() called = true end)
    assert.is_true(called)
  end)

  it("makes no attempt more after one that succeeds", function()
    local n = 0
    local p = Promise.retry(function() n = n + 1 end)
    loop.advance(10)
    assert.same({"fulfilled", n = 1}, outcome(p))
    assert.equal(1, n)
    assert.is_false(loop.step())
  end)

  it("rejects as the last of three attempts", function()
    local p = Promise.retry(fail)
    p:catch(ignore)
    loop.advance(10)
    assert.same({"rejected", "attempt 3", n = 2}, outcome(p))
    assert.equal(3, #times)
  end)

  it("keeps reason and traceback", function()
    local reason = {}
    local p = Promise.retry(function() error(reason) end, {attempts = 2})
    p:catch(ignore)
    loop.advance(1)
    assert.equal(reason, select(2, helper.outcome(p)))
    assert.matches("retry_spec", p:traceback())
  end)

  it("waits 0.1 seconds, then twice as long each time", function()
    Promise.retry(fail, {attempts = 5}):catch(ignore)
    loop.advance(10)
    assert.equal("0.00 0.10 0.30 0.70 1.50",
      ("%.2f %.2f %.2f %.2f %.2f"):format(table.unpack(times)))
  end)

  it("waits as long as it is told", function()
    Promise.retry(fail, {attempts = 4, delay = 1, factor = 3})
      :catch(ignore)
    loop.advance(100)
    assert.same({0, 1, 4, 13}, times)
  end)

  it("waits no longer than maxDelay", function()
    Promise.retry(fail, {attempts = 5, delay = 1, maxDelay = 3})
      :catch(ignore)
    loop.advance(100)
    assert.same({0, 1, 3, 6, 9}, times)
    times = {}
    Promise.retry(fail, {attempts = 2, delay = 5, maxDelay = 2})
      :catch(ignore)
    loop.advance(100)
    assert.same({100, 102}, times)
  end)

  it("takes a share of the delay away at random", function()
    local different = {}
    for seed = 1, 50 do
      math.randomseed(seed)
      times = {}
      local start = loop.now()
      Promise.retry(fail, {attempts = 2, delay = 8, jitter = 0.25})
        :catch(ignore)
      loop.advance(8)
      local waited = times[2] - start
      assert.is_true(waited > 6 and waited <= 8)
      different[waited] = true
    end
    local n = 0
    for _ in pairs(different) do n = n + 1 end
    assert.is_true(n > 30)
  end)

  it("waits no time at all if the delay is none, but for the loop", function()
    local p = Promise.retry(fail, {delay = 0})
    p:catch(ignore)
    Promise.drain()
    assert.equal(1, #times)
    loop.advance(0)
    assert.equal("rejected", helper.outcome(p))
    assert.same({0, 0, 0}, times)
  end)

  it("goes on for ever if it is told to", function()
    local p = Promise.retry(fail, {attempts = math.huge, factor = 1})
    loop.advance(100)
    assert.equal("pending", p:status())
    assert.is_true(#times > 990)
    p:cancel()
  end)

  it("waits for ever when the delays add up to that", function()
    local p = Promise.retry(fail, {attempts = math.huge, factor = 1e300})
    loop.advance(1)
    assert.equal("pending", p:status())
    p:cancel()
  end)

  it("takes a function that awaits", function()
    local p = Promise.retry(function(attempt)
      await(Promise.delay(1))
      if attempt == 1 then error "no" end
      return await(Promise.delay(1, "late"))
    end, {delay = 1})
    loop.advance(4)
    assert.same({"fulfilled", "late", n = 2}, outcome(p))
  end)

  it("takes a function that returns a promise", function()
    local p = Promise.retry(function(attempt)
      if attempt == 1 then return Promise.reject "no" end
      return Promise.resolve("a", "b")
    end)
    loop.advance(1)
    assert.same({"fulfilled", "a", "b", n = 3}, outcome(p))
  end)

  it("takes a callable object", function()
    local callable = setmetatable({}, {__call = function() return 1 end})
    assert.same({"fulfilled", 1, n = 2}, outcome(Promise.retry(callable)))
  end)

  describe("with when", function()
    it("asks it with reason and attempt", function()
      local log = {}
      Promise.retry(fail, {when = function(...)
        log[#log + 1] = table.concat({select("#", ...), ...}, " ")
        return true
      end}):catch(ignore)
      loop.advance(10)
      assert.same({"2 attempt 1 1", "2 attempt 2 2"}, log)
    end)

    it("gives up when it says so", function()
      for _, when in ipairs {ignore, function() return false end} do
        times = {}
        local p = Promise.retry(fail, {when = when})
        p:catch(ignore)
        loop.advance(10)
        assert.same({"rejected", "attempt 1", n = 2}, outcome(p))
        assert.equal(1, #times)
      end
    end)

    it("rejects with an error in it", function()
      local p = Promise.retry(fail, {when = function() error("when", 0) end})
      p:catch(ignore)
      assert.same({"rejected", "when", n = 2}, outcome(p))
    end)

    it("lets it await", function()
      local p = Promise.retry(fail, {attempts = 2, when = function()
        return await(Promise.delay(5, true))
      end})
      p:catch(ignore)
      loop.advance(10)
      assert.equal("rejected", helper.outcome(p))
      assert.same({0, 5.1}, times)
    end)
  end)

  describe("that is cancelled", function()
    it("rejects with that, which the attempt gets", function()
      local seen
      local p = Promise.retry(function()
        seen = select(2, pcall(await, Promise.new(ignore)))
        error(seen)
      end)
      Promise.drain()
      assert.is_true(p:cancel "enough")
      local state, reason = helper.outcome(p)
      assert.equal("rejected", state)
      assert.is_true(Promise.isCancelled(reason))
      assert.equal(reason, seen)
    end)

    it("rejects although the attempt comes to an end", function()
      local p = Promise.retry(function()
        pcall(await, Promise.new(ignore))
        return "result"
      end)
      Promise.drain()
      p:cancel "enough"
      assert.equal("enough", select(2, helper.outcome(p)).reason)
    end)

    it("tries no more when the attempt fails in its turn", function()
      local n, gate, open = 0, Promise.withResolvers()
      local p = Promise.retry(function()
        n = n + 1
        await(gate)
        error("failed", 0)
      end)
      p:catch(ignore)
      Promise.drain()
      open()
      assert.is_true(p:cancel())
      loop.advance(10)
      assert.equal("rejected", (p:status()))
      assert.equal(1, n)
    end)

    it("makes no attempt more", function()
      local p = Promise.retry(fail)
      Promise.drain()
      p:cancel()
      loop.advance(10)
      assert.equal(1, #times)
    end)

    it("rejects with the failure of the attempt after that", function()
      local n, p = 0, nil
      local seen = helper.unhandled(function()
        p = Promise.retry(function()
          n = n + 1
          pcall(await, Promise.new(ignore))
          error("at the end", 0)
        end)
        p:catch(ignore)
        Promise.drain()
        p:cancel()
        loop.advance(10)
      end)
      assert.same({"rejected", "at the end"}, {p:status()})
      assert.equal(1, n)
      assert.same({}, seen)
    end)

    it("waits for what the attempt cleans up", function()
      local p = Promise.retry(function()
        pcall(await, Promise.new(ignore))
        await(Promise.delay(10))
      end)
      p:catch(ignore)
      Promise.drain()
      p:cancel()
      loop.advance(9)
      assert.equal("pending", (p:status()))
      loop.advance(1)
      assert.equal("rejected", (p:status()))
    end)

    it("cancels an attempt that cleans up again", function()
      local p = Promise.retry(function()
        pcall(await, Promise.new(ignore))
        await(Promise.new(ignore))
      end)
      Promise.drain()
      p:cancel "first"
      Promise.drain()
      assert.equal("pending", (p:status()))
      assert.is_true(p:cancel "second")
      assert.is_true(Promise.isCancelled(select(2, helper.outcome(p))))
    end)

    it("is cancelled when its last waiter is", function()
      local inner = Promise.new(ignore)
      local task = Promise.spawn(function()
        await(Promise.retry(function() return inner end))
      end)
      Promise.drain()
      task:cancel()
      Promise.drain()
      assert.is_true(Promise.isCancelled(select(2, inner:status())))
    end)

    it("cancels its wait between attempts", function()
      local p = Promise.retry(fail, {delay = 100})
      Promise.drain()
      p:cancel()
      loop.advance(1000)
      assert.equal(1, #times)
    end)

    it("reports nothing", function()
      local seen = helper.unhandled(function()
        for _, fn in ipairs {fail, function() await(Promise.delay(1)) end} do
          local p = Promise.retry(fn)
          Promise.drain()
          p:cancel()
          loop.advance(5)
        end
      end)
      assert.same({}, seen)
    end)
  end)

  it("begins an attempt after the last one has ended", function()
    local log = {}
    local function attempt(i)
      local _ <close> = setmetatable({}, {__close = function()
        await(Promise.delay(5))
        log[#log + 1] = "end " .. i
      end})
      log[#log + 1] = "begin " .. i
      await(Promise.delay(100))
    end
    local p = Promise.retry(function(i)
      return Promise.spawn(attempt, i):timeout(1)
    end, {attempts = 3, delay = 0.5, factor = 1})
    p:catch(ignore)
    loop.advance(60)
    assert.is_true(Promise.isTimeout(select(2, p:status())))
    assert.same({"begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"},
      log)
  end)

  it("doesn't repeat an attempt that was cancelled", function()
    local inner, n = Promise.new(ignore), 0
    local p = Promise.retry(function()
      n = n + 1
      return inner
    end)
    p:catch(ignore)
    Promise.drain()
    inner:cancel()
    loop.advance(10)
    assert.equal(1, n)
    assert.is_true(Promise.isCancelled(select(2, helper.outcome(p))))
  end)

  it("reports only the last failure", function()
    local seen = helper.unhandled(function()
      Promise.retry(fail)
      loop.advance(10)
    end)
    assert.equal(1, #seen)
    assert.equal("attempt 3", seen[1].reason)
  end)

  it("says what it needs when there is no loop", function()
    local text = child.run [[
      package.preload.luv = function() error "not here" end
      package.preload.cqueues = package.preload.luv
      local Promise = require "cpromise"
      local f = load("local Promise = ...\nPromise.retry(print)", "=prog")
      print(select(2, pcall(f, Promise)))
      Promise.retry(print, {attempts = 1})
      Promise.run()
    ]]
    assert.equal("prog:2: Promise.retry needs an event loop: install luv, " ..
      "or set one with Promise.setLoop\n1\n", text)
  end)

  describe("with wrong arguments", function()
    local called

    local function raises(expected, ...)
      local args = table.pack(...)
      called = false
      assert.equal(expected, helper.raised(function()
        Promise.retry(table.unpack(args, 1, args.n))
      end))
      assert.is_false(called)
    end

    it("raises for what is not callable", function()
      raises("bad argument #1 to 'retry' (callable expected, got nil)")
      raises("bad argument #1 to 'retry' (callable expected, got promise: " ..
        "give the function, not its call)", Promise.resolve())
    end)

    it("raises for options that are no table", function()
      raises("bad argument #2 to 'retry' (table expected, got number)",
        ignore, 3)
    end)

    local not_negative, nan = "must not be negative", "not a number (NaN)"
    local a_string = "number expected, got string"
    local wrong = {
      {"unknown option 'tries'", {tries = 3}},
      {"option 'attempts': must be at least 1", {attempts = 0}},
      {"option 'attempts': number has no integer representation",
        {attempts = 1.5}},
      {"option 'attempts': " .. nan, {attempts = 0 / 0}},
      {"option 'attempts': " .. a_string, {attempts = "3"}},
      {"option 'jitter': must not be above 1", {jitter = 1.5}},
      {"option 'factor': must be finite", {factor = math.huge}},
      {"option 'when': callable expected, got boolean", {when = true}},
    }
    for _, name in ipairs {"delay", "factor", "maxDelay", "jitter"} do
      local prefix = ("option '%s': "):format(name)
      wrong[#wrong + 1] = {prefix .. not_negative, {[name] = -0.1}}
      wrong[#wrong + 1] = {prefix .. nan, {[name] = 0 / 0}}
      wrong[#wrong + 1] = {prefix .. a_string, {[name] = "1"}}
    end
    for _, case in ipairs(wrong) do
      it("raises: " .. case[1], function()
        raises(("bad argument #2 to 'retry' (%s)"):format(case[1]),
          function() called = true end, case[2])
      end)
    end
  end)
end)
