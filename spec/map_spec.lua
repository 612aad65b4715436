--- map: a function applied to every element, to so many at once.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

local function identity(...)
  return ...
end

local function ignore() end

-- What a promise came to: its status and values, with their number.
local function outcome(promise)
  return table.pack(helper.outcome(promise))
end

local function results(...)
  return {"fulfilled", table.pack(...), n = 2}
end

describe("map", function()
  local loop

  before_each(function()
    loop = virtual.new()
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  it("gives the results in input order, with n", function()
    local p = Promise.map({3, 1, 2}, function(seconds)
      await(Promise.delay(seconds))
      return seconds * 10
    end)
    loop.advance(3)
    assert.same(results(30, 10, 20), outcome(p))
  end)

  it("gives an empty table for no elements", function()
    assert.same(results(), outcome(Promise.map({}, error)))
    assert.same(results(), outcome(Promise.map(ignore, error)))
  end)

  it("calls the function with element and index", function()
    local p = Promise.map({"a", "b"}, function(...)
      return table.concat({select("#", ...), ...}, " ")
    end)
    assert.same(results("2 a 1", "2 b 2"), outcome(p))
  end)

  it("calls nothing before it returns", function()
    local called = false
    Promise.map({1}, function() called = true end)
    assert.is_false(called)
    Promise.drain()
    assert.is_true(called)
  end)

  it("takes holes for nil", function()
    local p = Promise.map({nil, 2, nil, n = 3}, function(v, i)
      return v == nil and "none " .. i or v
    end)
    assert.same(results("none 1", 2, "none 3"), outcome(p))
  end)

  it("keeps results that are nil or false", function()
    local given = {nil, false, 3}
    local p = Promise.map({1, 2, 3}, function(i) return given[i] end)
    assert.same(results(nil, false, 3), outcome(p))
  end)

  it("keeps the first of several results", function()
    local p = Promise.map({1, 2, 3}, function(i)
      if i == 1 then return "a", "x" end
      if i == 2 then return Promise.resolve("b", "y") end
    end)
    assert.same(results("a", "b", nil), outcome(p))
  end)

  it("waits for elements, of which the first value counts", function()
    local p = Promise.map({
      Promise.delay(1, "a", "x"),
      {next = function(_, resolve) resolve("b", "y") end},
      "c",
    }, function(...) return select("#", ...) .. ... end)
    loop.advance(1)
    assert.same(results("2a", "2b", "2c"), outcome(p))
  end)

  it("waits for what the function returns", function()
    local p = Promise.map({1, 2}, function(i)
      return Promise.delay(i, "after " .. i)
    end)
    loop.advance(2)
    assert.same(results("after 1", "after 2"), outcome(p))
  end)

  it("takes an async function", function()
    local p = Promise.map({1, 2}, Promise.async(function(i)
      return i + await(Promise.delay(i, 10))
    end))
    loop.advance(2)
    assert.same(results(11, 12), outcome(p))
  end)

  it("takes a callable object", function()
    local callable = setmetatable({}, {
      __call = function(_, v) return -v end,
    })
    assert.same(results(-1, -2), outcome(Promise.map({1, 2}, callable)))
  end)

  it("takes a table with metamethods", function()
    local t = setmetatable({}, {
      __len = function() return 2 end,
      __index = function(_, i) return i * 100 end,
    })
    assert.same(results(100, 200), outcome(Promise.map(t, identity)))
  end)

  it("takes an iterator", function()
    assert.same(results("to", "be"),
      outcome(Promise.map(("to be"):gmatch "%a+", identity)))
  end)

  it("takes the second value of a step with several", function()
    local i = 0
    local p = Promise.map(function()
      i = i + 1
      if i < 4 then return i, ({"a", nil, false})[i] end
    end, identity)
    assert.same(results("a", nil, false), outcome(p))
  end)

  it("hands an iterator what it gave last", function()
    local log = {}
    Promise.map(function(state, control)
      log[#log + 1] = tostring(state) .. tostring(control)
      control = control or 0
      if control < 2 then return control + 1, "x" end
    end, identity)
    assert.same({"nilnil", "nil1", "nil2"}, log)
  end)

  it("takes an iterator that awaits", function()
    local channel = Promise.channel()
    local p = Promise.map(function() return await(channel:receive()) end,
      function(v) return v * 2 end)
    for i = 1, 3 do channel:send(i) end
    Promise.drain()
    assert.equal("pending", p:status())
    channel:close()
    assert.same(results(2, 4, 6), outcome(p))
  end)

  it("takes many elements that have settled", function()
    local n = helper.scaled(100000)
    for _, options in ipairs {{}, {concurrency = 1}, {concurrency = 7}} do
      local i = 0
      local p = Promise.map(function()
        i = i + 1
        if i <= n then return Promise.resolve(i) end
      end, identity, options)
      local _, t = helper.outcome(p)
      assert.equal(n, t.n)
      for k = 1, n do
        if t[k] ~= k then error(("%d is %s"):format(k, t[k])) end
      end
    end
  end)

  describe("with concurrency", function()
    it("runs so many at once", function()
      for _, limit in ipairs {1, 2, 5, 100, math.huge} do
        local running, most, order = 0, 0, {}
        local elements = {}
        for i = 1, 12 do elements[i] = i end
        local p = Promise.map(elements, function(i)
          running = running + 1
          most = math.max(most, running)
          order[#order + 1] = i
          await(Promise.delay(i * 5 % 7))
          running = running - 1
          return i
        end, {concurrency = limit})
        loop.advance(100)
        assert.same({"fulfilled", table.pack(table.unpack(elements)), n = 2},
          outcome(p))
        assert.equal(math.min(limit, 12), most)
        assert.same(elements, order)
      end
    end)

    it("has no limit by default", function()
      local running = 0
      Promise.map({1, 2, 3, 4, 5}, function()
        running = running + 1
        return Promise.new(ignore)
      end)
      Promise.drain()
      assert.equal(5, running)
    end)

    it("pulls an element only when a slot is free", function()
      local pulled = 0
      local p = Promise.map(function()
        pulled = pulled + 1
        if pulled <= 5 then return pulled end
      end, function() await(Promise.delay(1)) end, {concurrency = 2})
      Promise.drain()
      local seen = {}
      for t = 0, 2 do
        seen[#seen + 1] = pulled
        loop.advance(t == 0 and 1.5 or 1)
      end
      assert.same({2, 4, 6}, seen)
      assert.equal("fulfilled", p:status())
      assert.equal(6, pulled)
    end)

    it("takes an iterator that has no end until it fails", function()
      local pulled = 0
      local p = Promise.map(function()
        pulled = pulled + 1
        return pulled
      end, function(i)
        await(Promise.delay(1))
        if i == 50 then error("enough", 0) end
      end, {concurrency = 10})
      p:catch(ignore)
      loop.advance(100)
      assert.same({"rejected", "enough", n = 2}, outcome(p))
      assert.is_true(pulled < 70)
    end)

    it("counts the wait for the element", function()
      local log = {}
      Promise.map({Promise.delay(2, "a"), "b"}, function(v)
        log[#log + 1] = v .. loop.now()
      end, {concurrency = 1})
      loop.advance(3)
      assert.same({"a2", "b2"}, log)
    end)
  end)

  describe("with progress", function()
    local log

    local function progress(...)
      log[#log + 1] = table.concat({select("#", ...), tostring(...),
        tostring((select(2, ...)))}, " ")
    end

    before_each(function() log = {} end)

    it("tells how many of how many are done", function()
      Promise.map({3, 1, 2}, Promise.delay, {progress = progress})
      loop.advance(1)
      assert.same({"2 1 3"}, log)
      loop.advance(2)
      assert.same({"2 1 3", "2 2 3", "2 3 3"}, log)
    end)

    it("knows the total of a table before all are pulled", function()
      Promise.map({1, 1}, Promise.delay,
        {progress = progress, concurrency = 1})
      loop.advance(2)
      assert.same({"2 1 2", "2 2 2"}, log)
    end)

    it("doesn't know the total before an iterator has ended", function()
      local i = 0
      Promise.map(function()
        i = i + 1
        if i <= 3 then return i end
      end, Promise.delay, {progress = progress, concurrency = 1})
      loop.advance(10)
      assert.same({"2 1 nil", "2 2 nil", "2 3 nil"}, log)
      log = {}
      Promise.map(("a b"):gmatch "%a", identity, {progress = progress})
      Promise.drain()
      assert.same({"2 1 2", "2 2 2"}, log)
    end)

    it("is not called when there is nothing to do", function()
      Promise.map({}, identity, {progress = progress})
      Promise.drain()
      assert.same({}, log)
    end)

    it("is called before the promise is fulfilled", function()
      local p
      p = Promise.map({1}, identity, {progress = function()
        log[#log + 1] = p:status()
      end})
      Promise.drain()
      assert.same({"pending"}, log)
    end)

    it("rejects when it fails", function()
      local ended = 0
      local p = Promise.map({1, 2, 3}, function(i)
        await(Promise.delay(i))
        ended = ended + 1
      end, {progress = function(done)
        if done == 2 then error("progress", 0) end
      end})
      p:catch(ignore)
      loop.advance(5)
      assert.same({"rejected", "progress", n = 2}, outcome(p))
      assert.equal(2, ended)
    end)

    it("rejects when the last call of it fails", function()
      local p = Promise.map({1}, identity, {progress = error})
      p:catch(ignore)
      assert.same({"rejected", 1, n = 2}, outcome(p))
    end)
  end)

  describe("that fails", function()
    it("rejects with the very reason and its traceback", function()
      local reason = {}
      local p = Promise.map({1}, function() error(reason) end)
      p:catch(ignore)
      local _, got = helper.outcome(p)
      assert.equal(reason, got)
      assert.matches("map_spec", p:traceback())
    end)

    it("rejects when an element does", function()
      local p = Promise.map({1, Promise.reject "element"}, identity)
      p:catch(ignore)
      assert.same({"rejected", "element", n = 2}, outcome(p))
    end)

    it("rejects when an element can't be taken", function()
      local lists = {
        function() error("taken", 0) end,
        setmetatable({}, {__len = function() error("taken", 0) end}),
        setmetatable({n = 2}, {__index = function() error("taken", 0) end}),
      }
      for _, list in ipairs(lists) do
        local p = Promise.map(list, identity)
        p:catch(ignore)
        assert.same({"rejected", "taken", n = 2}, outcome(p))
        assert.equal("string", type(p:traceback()))
      end
    end)

    it("stops pulling", function()
      local pulled = 0
      local p = Promise.map(function()
        pulled = pulled + 1
        return pulled
      end, function(i) if i == 3 then error(i, 0) end end, {concurrency = 1})
      p:catch(ignore)
      assert.same({"rejected", 3, n = 2}, outcome(p))
      assert.is_true(pulled <= 4)
    end)

    it("cancels what runs, the oldest first, with its reason", function()
      local log, seen = {}, {}
      local p = Promise.map({1, 2, 3, 4}, function(i)
        if i == 3 then
          await(Promise.delay(1))
          error("boom", 0)
        end
        local ok, reason = pcall(await, Promise.new(ignore))
        log[#log + 1] = {i, ok, Promise.isCancelled(reason), reason.reason}
        seen[i] = reason
      end)
      p:catch(ignore)
      loop.advance(1)
      assert.same({"rejected", "boom", n = 2}, outcome(p))
      assert.same({{1, false, true, "boom"}, {2, false, true, "boom"},
        {4, false, true, "boom"}}, log)
      assert.equal(seen[1], seen[2])
      assert.equal(seen[1], seen[4])
    end)

    it("cancels elements that nobody else waits for", function()
      local mine, shared = Promise.new(ignore), Promise.new(ignore)
      local seen = shared:next()
      Promise.map({mine, shared, Promise.reject "boom"}, identity)
        :catch(ignore)
      Promise.drain()
      assert.is_true(Promise.isCancelled(select(2, mine:status())))
      assert.equal("pending", shared:status())
      assert.equal("pending", seen:status())
    end)

    it("cancels an iterator that awaits", function()
      local waits = Promise.new(ignore)
      local n = 0
      local p = Promise.map(function()
        n = n + 1
        if n == 1 then return Promise.delay(1, "x") end
        return await(waits)
      end, function() error("boom", 0) end)
      p:catch(ignore)
      loop.advance(1)
      assert.same({"rejected", "boom", n = 2}, outcome(p))
      assert.is_true(Promise.isCancelled(select(2, waits:status())))
      assert.equal(2, n)
    end)

    it("calls nothing more", function()
      local called, told = 0, 0
      local p = Promise.map({1, 2, 3}, function(i)
        called = called + 1
        if i == 1 then error "first" end
        pcall(await, Promise.delay(5))
        return i -- goes on
      end, {concurrency = 2, progress = function() told = told + 1 end})
      p:catch(ignore)
      loop.advance(10)
      assert.equal("rejected", p:status())
      assert.equal(2, called)
      assert.equal(0, told)
    end)

    it("waits for what it cancels", function()
      local log = {}
      local p = Promise.map({1, 2}, function(i)
        if i == 1 then error("boom", 0) end
        pcall(await, Promise.new(ignore))
        await(Promise.delay(10))
        log[#log + 1] = "cleaned up"
      end)
      p:catch(ignore)
      loop.advance(9)
      assert.equal("pending", (p:status()))
      loop.advance(1)
      assert.same({"rejected", "boom", n = 2}, outcome(p))
      assert.same({"cleaned up"}, log)
    end)

    it("is reported once if nobody handles it", function()
      local seen = helper.unhandled(function()
        Promise.map({1, 2, 3}, function(i)
          if i == 1 then error(i, 0) end
        end)
      end)
      assert.equal(1, #seen)
      assert.equal(1, seen[1].reason)
    end)

    it("reports all failures but the first, which is the reason", function()
      local p
      local seen = helper.unhandled(function()
        p = Promise.map({1, 2, Promise.reject(3)}, function(v)
          error(v, 0)
        end)
        p:catch(ignore)
      end)
      assert.same({"rejected", 1, n = 2}, outcome(p))
      assert.same({2, 3}, {seen[1].reason, seen[2].reason})
      assert.equal(2, #seen)
    end)

    it("reports nothing of its own when it is handled", function()
      local seen = helper.unhandled(function()
        Promise.map({Promise.reject(3)}, error):catch(ignore)
        Promise.map(error, error):catch(ignore)
        Promise.map({1}, identity, {progress = error}):catch(ignore)
      end)
      assert.same({}, seen)
    end)

    it("leaves no failure after the cancelling unreported", function()
      local seen = helper.unhandled(function()
        Promise.map({1, 2, 3}, function(i)
          if i == 2 then error "boom" end
          pcall(await, Promise.new(ignore))
          if i == 3 then error("at the end", 0) end
        end):catch(ignore)
      end)
      assert.equal(1, #seen)
      assert.equal("at the end", seen[1].reason)
      assert.equal("string", type(seen[1].traceback))
    end)

    it("settles once when jobs run inside the iterator", function()
      local n = 0
      local p
      local seen = helper.unhandled(function()
        p = Promise.map(function()
          n = n + 1
          Promise.drain()
          return n
        end, function(i) error(i, 0) end)
      end)
      assert.equal(1, #seen) -- nobody had the promise yet
      assert.same({"rejected", 1, n = 2}, outcome(p))
      assert.is_true(n < 5)
    end)
  end)

  describe("that is cancelled", function()
    it("rejects with that", function()
      local p = Promise.map({1, 2}, function() await(Promise.delay(1)) end)
      Promise.drain()
      assert.is_true(p:cancel "enough")
      local state, reason = helper.outcome(p)
      assert.equal("rejected", state)
      assert.is_true(Promise.isCancelled(reason))
      assert.equal("enough", reason.reason)
    end)

    it("hands all calls the same cancellation", function()
      local seen = {}
      local p = Promise.map({1, 2, 3}, function(i)
        seen[i] = select(2, pcall(await, Promise.new(ignore)))
      end)
      Promise.drain()
      p:cancel()
      local _, reason = helper.outcome(p)
      for i = 1, 3 do assert.equal(reason, seen[i]) end
    end)

    it("pulls no more", function()
      local pulled = 0
      local p = Promise.map(function()
        pulled = pulled + 1
        return pulled
      end, Promise.delay, {concurrency = 2})
      Promise.drain()
      p:cancel()
      loop.advance(10)
      assert.equal(2, pulled)
    end)

    it("calls nothing that has not been called", function()
      local called = false
      local p = Promise.map({1}, function() called = true end)
      p:cancel()
      Promise.drain()
      assert.is_false(called)
    end)

    it("waits for what its calls clean up", function()
      local p = Promise.map({1}, function()
        pcall(await, Promise.new(ignore))
        await(Promise.delay(10))
      end)
      Promise.drain()
      p:cancel()
      loop.advance(9)
      assert.equal("pending", (p:status()))
      loop.advance(1)
      assert.is_true(Promise.isCancelled(select(2, p:status())))
    end)

    it("cancels calls that clean up again", function()
      local p = Promise.map({1, 2}, function()
        pcall(await, Promise.new(ignore))
        await(Promise.new(ignore))
      end)
      Promise.drain()
      p:cancel "first"
      Promise.drain()
      assert.equal("pending", (p:status()))
      assert.is_true(p:cancel "second")
      local _, reason = helper.outcome(p)
      assert.equal("second", reason.reason)
    end)

    it("keeps what elements have in common with others", function()
      local shared = Promise.new(ignore)
      local other = shared:next()
      local p = Promise.map({shared, 2}, identity)
      Promise.drain()
      p:cancel()
      assert.is_true(Promise.isCancelled(select(2, helper.outcome(p))))
      assert.equal("pending", (other:status()))
    end)

    it("is cancelled when its last waiter is", function()
      local inner = Promise.new(ignore)
      local task = Promise.spawn(function()
        await(Promise.map({inner}, identity))
      end)
      Promise.drain()
      task:cancel()
      Promise.drain()
      assert.is_true(Promise.isCancelled(select(2, inner:status())))
    end)

    it("rejects with a failure after that, and reports the others", function()
      local p
      local seen = helper.unhandled(function()
        p = Promise.map({1, 2, 3}, function(i)
          pcall(await, Promise.new(ignore))
          if i > 1 then error(i, 0) end
        end)
        p:catch(ignore)
        Promise.drain()
        p:cancel()
      end)
      assert.same({"rejected", 2, n = 2}, outcome(p))
      assert.equal(1, #seen)
      assert.equal(3, seen[1].reason)
      assert.equal("string", type(seen[1].traceback))
    end)

    it("reports nothing of its own", function()
      local seen = helper.unhandled(function()
        local p = Promise.map({1, 2, 3}, Promise.delay, {concurrency = 2})
        Promise.drain()
        p:cancel()
      end)
      assert.same({}, seen)
    end)

    it("does nothing once it has settled", function()
      local p = Promise.map({1}, identity)
      Promise.drain()
      assert.is_false(p:cancel())
    end)
  end)

  describe("with wrong arguments", function()
    local function raises(expected, ...)
      local args = table.pack(...)
      assert.equal(expected, helper.raised(function()
        Promise.map(table.unpack(args, 1, args.n))
      end))
    end

    it("raises for what is no iterable", function()
      for _, v in ipairs {1, "ab", true} do
        raises(("bad argument #1 to 'map' (iterable expected, got %s)")
          :format(type(v)), v, identity)
      end
      raises("bad argument #1 to 'map' (iterable expected, got nil)")
      raises("bad argument #1 to 'map' (iterable expected, got promise: " ..
        "give promises in a table)", Promise.resolve(), identity)
    end)

    for name, iterate in pairs {pairs = pairs, ipairs = ipairs} do
      it("says what to do with the results of " .. name, function()
        local message = ("bad argument #1 to 'map' (only the first result " ..
          "of %s arrives here: give the table, or a function that " ..
          "iterates)"):format(name)
        assert.equal(message, helper.raised(function()
          Promise.map(iterate {1, 2}, identity)
        end))
        assert.equal(message, helper.raised(function()
          Promise.map(iterate {})
        end))
      end)
    end

    it("raises for what is not callable", function()
      raises("bad argument #2 to 'map' (callable expected, got nil)", {})
      raises("bad argument #2 to 'map' (callable expected, got table)",
        {}, {})
    end)

    it("raises for options that are no table", function()
      raises("bad argument #3 to 'map' (table expected, got number)",
        {}, identity, 3)
      raises("bad argument #3 to 'map' (table expected, got boolean)",
        {}, identity, false)
    end)

    local wrong = {
      {"unknown option 'concurrent'", {concurrent = 1}},
      {"unknown option '1'", {4}},
      {"option 'concurrency': number expected, got string",
        {concurrency = "2"}},
      {"option 'concurrency': must be at least 1", {concurrency = 0}},
      {"option 'concurrency': must be at least 1", {concurrency = -3}},
      {"option 'concurrency': not a number (NaN)", {concurrency = 0 / 0}},
      {"option 'concurrency': number has no integer representation",
        {concurrency = 1.5}},
      {"option 'progress': callable expected, got boolean",
        {progress = true}},
    }
    for _, case in ipairs(wrong) do
      it("raises: " .. case[1], function()
        local pulled = false
        raises(("bad argument #3 to 'map' (%s)"):format(case[1]),
          function() pulled = true end, identity, case[2])
        assert.is_false(pulled)
      end)
    end

    it("takes options that are inherited", function()
      local running = 0
      local options = setmetatable({}, {__index = {concurrency = 2}})
      Promise.map({1, 2, 3}, function()
        running = running + 1
        return Promise.new(ignore)
      end, options)
      Promise.drain()
      assert.equal(2, running)
      raises("bad argument #3 to 'map' (option 'progress': callable " ..
        "expected, got number)", {}, identity,
        setmetatable({}, {__index = {progress = 1}}))
    end)
  end)
end)
