--- asCompleted: promises in the order in which they settle.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

local function ignore() end

local function status(promise)
  return (promise:status())
end

describe("asCompleted", function()
  local loop, log

  before_each(function()
    loop, log = virtual.new(), {}
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  -- Run the loop over an iterable in an async call, and log what comes.
  local function collect(...)
    local task = Promise.spawn(function(...)
      for i, p in Promise.asCompleted(...) do
        log[#log + 1] = table.concat({i, Promise.is(p) and status(p),
          tostring(select(2, p:status()))}, " ")
      end
      log[#log + 1] = "end"
    end, ...)
    return task
  end

  it("gives index and promise in the order of settling", function()
    collect {Promise.delay(3, "a"), Promise.delay(1, "b"),
      Promise.delay(2, "c")}
    loop.advance(2)
    assert.same({"2 fulfilled b", "3 fulfilled c"}, log)
    loop.advance(1)
    assert.same({"2 fulfilled b", "3 fulfilled c", "1 fulfilled a", "end"},
      log)
  end)

  it("gives the very promise", function()
    local p = Promise.delay(1)
    local task = Promise.spawn(function()
      local step, state = Promise.asCompleted {p}
      local _, q = step(state)
      return rawequal(p, q)
    end)
    loop.advance(1)
    assert.is_true(select(2, helper.outcome(task)))
  end)

  it("gives a promise for what is none", function()
    collect {
      "value",
      {next = function(_, resolve) resolve "thenable" end},
      false,
      nil,
      n = 4,
    }
    Promise.drain()
    assert.same({"1 fulfilled value", "3 fulfilled false",
      "4 fulfilled nil", "2 fulfilled thenable", "end"}, log)
  end)

  it("gives those that have settled in input order", function()
    collect {Promise.resolve(1), Promise.resolve(2), 3}
    Promise.drain()
    assert.same({"1 fulfilled 1", "2 fulfilled 2", "3 fulfilled 3", "end"},
      log)
  end)

  it("gives rejected ones like others", function()
    local seen = helper.unhandled(function()
      collect {Promise.delay(1):next(function() error("boom", 0) end),
        Promise.reject "at once"}
      loop.advance(1)
    end)
    assert.same({"2 rejected at once", "1 rejected boom", "end"}, log)
    assert.same({}, seen)
  end)

  it("gives all that settled while the body did something else", function()
    local task = Promise.spawn(function()
      for i in Promise.asCompleted {Promise.delay(2), Promise.delay(1),
        Promise.delay(3)} do
        log[#log + 1] = i .. " at " .. loop.now()
        await(Promise.delay(1.5))
      end
    end)
    loop.advance(10)
    assert.equal("fulfilled", helper.outcome(task))
    assert.same({"2 at 1", "1 at 2.5", "3 at 4.0"}, log)
  end)

  it("ends at once for nothing", function()
    collect {}
    assert.same({"end"}, log)
  end)

  it("takes an iterator, its state, control and closing value", function()
    local closed = 0
    local closing = setmetatable({}, {
      __close = function() closed = closed + 1 end,
    })
    collect(function(state, control)
      if control < #state then return control + 1, state[control + 1] end
    end, {Promise.delay(1, "late"), "now"}, 0, closing)
    assert.equal(1, closed)
    loop.advance(1)
    assert.same({"2 fulfilled now", "1 fulfilled late", "end"}, log)
    log = {}
    collect(("a b"):gmatch "%a")
    Promise.drain()
    assert.same({"1 fulfilled a", "2 fulfilled b", "end"}, log)
  end)

  it("raises an error in taking elements, and closes", function()
    local closed, reason = 0, {}
    local closing = setmetatable({}, {
      __close = function() closed = closed + 1 end,
    })
    local p, n = Promise.new(ignore), 0
    local ok, err = pcall(Promise.asCompleted, function()
      n = n + 1
      if n == 2 then error(reason) end
      return p
    end, nil, nil, closing)
    assert.is_false(ok)
    assert.equal(reason, err)
    assert.equal(1, closed)
    local waiter = p:next()
    waiter:cancel() -- it was the last
    assert.equal("rejected", status(p))
  end)

  it("runs on the main thread", function()
    for i, p in Promise.asCompleted {Promise.delay(2, "a"),
      Promise.delay(1, "b")} do
      log[#log + 1] = i .. await(p)
    end
    assert.same({"2b", "1a"}, log)
  end)

  it("is shared by several loops", function()
    local step, state = Promise.asCompleted {Promise.delay(1),
      Promise.delay(2), Promise.delay(3)}
    for name in ("ab"):gmatch "." do
      Promise.spawn(function()
        for i in step, state do log[#log + 1] = name .. i end
        log[#log + 1] = name
      end)
    end
    loop.advance(3)
    table.sort(log, function(x, y) return x:sub(2) < y:sub(2) end)
    assert.equal(5, #log)
    for i = 1, 3 do assert.equal(tostring(i), log[i + 2]:sub(2)) end
  end)

  it("takes many", function()
    local n = helper.scaled(100000)
    local elements = {}
    for i = 1, n do elements[i] = Promise.resolve(i) end
    local task = Promise.spawn(function()
      local sum = 0
      for i in Promise.asCompleted(elements) do sum = sum + i end
      return sum
    end)
    assert.equal(n * (n + 1) // 2, select(2, helper.outcome(task)))
  end)

  describe("whose loop is left", function()
    -- Start a loop over the promises that is left in its first turn.
    local function leave(promises, how)
      return Promise.spawn(function()
        for i in Promise.asCompleted {Promise.resolve(),
          table.unpack(promises)} do
          how()
          if i == 1 then break end
        end
      end)
    end

    it("lets go of the others and cancels none", function()
      local p, _, reject = Promise.withResolvers()
      leave({p}, ignore)
      Promise.drain()
      assert.equal("pending", status(p))
      local waiter = p:next()
      waiter:cancel() -- it was the last
      assert.equal("rejected", status(p))
      reject "late"
    end)

    it("lets go of them by an error too", function()
      local p = Promise.new(ignore)
      local task = leave({p}, function() error("boom", 0) end)
      task:catch(ignore)
      assert.equal("rejected", helper.outcome(task))
      assert.equal("pending", status(p))
    end)

    it("leaves the failures of the others to those who wait", function()
      local seen = helper.unhandled(function()
        local p, _, reject = Promise.withResolvers()
        leave({p}, ignore)
        Promise.drain()
        reject "late"
      end)
      assert.equal(1, #seen)
      assert.equal("late", seen[1].reason)
    end)

    it("ends if it is stepped on by hand", function()
      local p, resolve = Promise.withResolvers()
      local step, state, _, closing = Promise.asCompleted {p, 2}
      Promise.drain()
      getmetatable(closing).__close(closing, nil)
      resolve()
      Promise.drain()
      local task = Promise.spawn(function()
        return (step(state)), (step(state))
      end)
      assert.same({"fulfilled", 2, nil, n = 3},
        table.pack(helper.outcome(task)))
    end)
  end)

  describe("whose async function is cancelled", function()
    it("cancels what nobody else waits for, the oldest first", function()
      local reasons = {}
      local function pending(i)
        return Promise.new(function(_, _, onCancel)
          onCancel(function(c) reasons[#reasons + 1] = {i, c} end)
        end)
      end
      local p, q, shared = pending(1), pending(2), pending(3)
      local waiter = shared:next()
      local task = collect {p, q, shared, "now"}
      Promise.drain()
      task:cancel "enough"
      Promise.drain()
      local _, reason = task:status()
      assert.equal("enough", reason.reason)
      assert.same({{1, reason}, {2, reason}}, reasons)
      assert.equal(reason, select(2, p:status()))
      assert.equal("pending", status(shared))
      assert.equal("pending", status(waiter))
      assert.same({"4 fulfilled now"}, log)
    end)

    local function cleaning(seconds, err)
      return Promise.spawn(function()
        pcall(await, Promise.new(ignore))
        await(Promise.delay(seconds))
        log[#log + 1] = "cleaned up " .. seconds
        if err then error(err, 0) end
      end)
    end

    it("waits for what it cancels", function()
      local task = collect {cleaning(1), cleaning(3)}
      Promise.drain()
      task:cancel "enough"
      loop.advance(2)
      assert.equal("pending", status(task))
      loop.advance(1)
      assert.equal("enough", select(2, helper.outcome(task)).reason)
      assert.same({"cleaned up 1", "cleaned up 3"}, log)
    end)

    it("raises the first failure of those, and reports the others",
      function()
        local task
        local seen = helper.unhandled(function()
          task = collect {cleaning(4), cleaning(3, "three"),
            cleaning(2, "two")}
          task:catch(ignore)
          Promise.drain()
          task:cancel "enough"
          loop.advance(4)
        end)
        assert.same({"rejected", "two"}, {helper.outcome(task)})
        assert.equal(1, #seen)
        assert.equal("three", seen[1].reason)
      end)

    it("is told after such a failure, at its next await", function()
      local went_on
      local task = Promise.spawn(function()
        local ok, err = pcall(function()
          local one = cleaning(1, "cleanup")
          for _ in Promise.asCompleted {one} do ignore() end
        end)
        log[#log + 1] = tostring(ok) .. " " .. tostring(err)
        await(Promise.resolve())
        went_on = true
      end)
      Promise.drain()
      task:cancel "enough"
      loop.advance(1)
      assert.equal("enough", select(2, helper.outcome(task)).reason)
      assert.same({"cleaned up 1", "false cleanup"}, log)
      assert.is_nil(went_on)
    end)

    it("raises the second request that comes while it waits", function()
      local task = collect {cleaning(1)}
      Promise.drain()
      task:cancel "first"
      Promise.drain()
      assert.is_true(task:cancel "second")
      assert.equal("second", select(2, helper.outcome(task)).reason)
    end)

    it("raises a failure that was not given yet", function()
      local seen = helper.unhandled(function()
        local task = Promise.spawn(function()
          for _ in Promise.asCompleted {1, Promise.reject "boom"} do
            await(Promise.new(ignore))
          end
        end)
        task:catch(ignore)
        Promise.drain()
        task:cancel()
        assert.same({"rejected", "boom"}, {helper.outcome(task)})
      end)
      assert.same({}, seen)
    end)

    it("delivers a failure once in any job", function()
      for jobs = 0, 10 do
        local _, reject, task
        local seen = helper.unhandled(function()
          local p
          p, _, reject = Promise.withResolvers()
          task = Promise.spawn(function()
            for _, q in Promise.asCompleted {p} do await(q) end
          end)
          task:catch(ignore)
          Promise.drain()
          reject "boom"
          helper.after_jobs(jobs, function() task:cancel() end)
        end)
        assert.same({"rejected", "boom"}, {helper.outcome(task)})
        assert.same({}, seen)
      end
    end)

    it("waits for nothing that others wait for", function()
      local shared = Promise.new(ignore)
      local other = shared:next()
      local task = collect {shared}
      Promise.drain()
      task:cancel()
      assert.is_true(Promise.isCancelled(select(2, helper.outcome(task))))
      assert.equal("pending", status(other))
    end)

    it("loses nothing in any job", function()
      for jobs = 0, 10 do
        local p, resolve = Promise.withResolvers()
        local step, state = Promise.asCompleted {p}
        local got = 0
        local function take()
          if step(state) then got = got + 1 end
        end
        local task = Promise.spawn(take)
        task:catch(ignore)
        Promise.drain()
        resolve()
        helper.after_jobs(jobs, function() task:cancel() end)
        Promise.drain()
        Promise.spawn(take)
        Promise.drain()
        assert.equal(1, got)
      end
    end)
  end)

  it("takes its elements from a generator that awaits", function()
    local got = {}
    local call = Promise.spawn(function()
      local generator = Promise.wrap(function()
        for i = 1, 3 do coroutine.yield(Promise.await(Promise.resolve(i))) end
      end)
      for i, p in Promise.asCompleted(generator) do
        got[#got + 1] = {i, Promise.await(p)}
      end
    end)
    Promise.drain()
    assert.equal("fulfilled", (call:status()))
    assert.same({{1, 1}, {2, 2}, {3, 3}}, got)
  end)

  it("names the line of a loop that can't wait", function()
    local message
    Promise.queueMicrotask(function()
      message = helper.raised(function()
        for i in Promise.asCompleted {Promise.delay(1)} do print(i) end
      end)
    end)
    Promise.drain()
    assert.matches("^can't await in a handler", message)
  end)

  it("raises for what is no iterable", function()
    for _, v in ipairs {1, "ab", Promise.resolve()} do
      local name = Promise.is(v) and "promise: give promises in a table" or
        type(v)
      assert.equal("bad argument #1 to 'asCompleted' (iterable expected, " ..
        "got " .. name .. ")",
        helper.raised(function() Promise.asCompleted(v) end))
    end
    assert.equal("bad argument #1 to 'asCompleted' (iterable expected, " ..
      "got nil)", helper.raised(function() Promise.asCompleted() end))
  end)
end)
