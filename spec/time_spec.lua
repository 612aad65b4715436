--- Delays, and functions that take a callback.

local Promise = require "cpromise"
local child = require "spec.child"
local core = require "cpromise.core"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

-- What a promise came to: its status and values, with their number.
local function outcome(promise)
  return table.pack(helper.outcome(promise))
end

-- The message of an error, after its position in this file.
local function message(fn, ...)
  local args = table.pack(...)
  local ok, err = pcall(function()
    fn(table.unpack(args, 1, args.n))
  end)
  assert.is_false(ok)
  return err:match "^spec/time_spec%.lua:%d+: (.*)$"
end

describe("delay", function()
  local loop

  before_each(function()
    loop = virtual.new()
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  it("stays pending until its time", function()
    local p = Promise.delay(2, "x")
    loop.advance(1.99)
    assert.equal("pending", p:status())
    loop.advance(0.01)
    assert.same({"fulfilled", "x", n = 2}, outcome(p))
  end)

  it("settles in the loop, never at once", function()
    local p = Promise.delay(0, "x")
    Promise.drain()
    assert.equal("pending", p:status())
    loop.step()
    assert.equal("fulfilled", p:status())
  end)

  it("takes whole seconds as well as fractions", function()
    local log = {}
    for _, seconds in ipairs {2, 1.5, 0.25} do
      Promise.delay(seconds, seconds):next(function(v)
        log[#log + 1] = v
      end)
    end
    loop.advance(2)
    assert.same({0.25, 1.5, 2}, log)
  end)

  for _, values in ipairs {
    table.pack(),
    table.pack(nil),
    table.pack(false),
    table.pack("a", "b", "c"),
    table.pack(nil, nil, "c", nil),
  } do
    it("passes on values: " .. values.n, function()
      local p = Promise.delay(1, table.unpack(values, 1, values.n))
      loop.advance(1)
      local got = outcome(p)
      assert.equal("fulfilled", table.remove(got, 1))
      got.n = got.n - 1
      assert.same(values, got)
    end)
  end

  it("follows a promise that is its value", function()
    local inner, resolve = Promise.withResolvers()
    local p = Promise.delay(1, inner)
    loop.advance(1)
    assert.equal("pending", p:status())
    resolve("a", "b")
    assert.same({"fulfilled", "a", "b", n = 3}, outcome(p))
  end)

  it("rejects as a promise that is its value", function()
    local inner, _, reject = Promise.withResolvers()
    local p = Promise.delay(1, inner)
    p:catch(function() end)
    loop.advance(1)
    reject "boom"
    assert.same({"rejected", "boom", n = 2}, outcome(p))
  end)

  local wrong = {
    {"number expected, got nil", nil},
    {"number expected, got string", "1"},
    {"number expected, got table", {}},
    {"number expected, got promise", Promise.resolve()},
    {"must not be negative", -0.001},
    {"must not be negative", -math.huge},
    {"not a number (NaN)", 0 / 0},
  }
  for _, case in ipairs(wrong) do
    it("raises: " .. case[1], function()
      assert.equal(("bad argument #1 to 'delay' (%s)"):format(case[1]),
        message(function(...) Promise.delay(...) end, case[2]))
      assert.is_false(loop.step())
    end)
  end

  it("says what it needs when there is no loop", function()
    local text, status = child.run [[
      package.preload.luv = function() error "not here" end
      package.preload.cqueues = package.preload.luv
      local Promise = require "cpromise"
      local f = load("local Promise = ...\nPromise.delay(1)", "=prog")
      print(select(2, pcall(f, Promise)))
      print(Promise.loop())
      Promise.resolve("jobs still run"):next(print)
      Promise.run()
    ]]
    assert.equal("prog:2: Promise.delay needs an event loop: install luv, " ..
      "or set one with Promise.setLoop\nnil\njobs still run\n", text)
    assert.equal(0, status)
  end)

  it("frees its timer when it is cancelled", function()
    local p = Promise.delay(1, "x")
    assert.is_true(p:cancel "why")
    assert.is_false(loop.step())
    local state, reason = helper.outcome(p)
    assert.equal("rejected", state)
    assert.equal("why", reason.reason)
  end)

  it("frees it when nobody waits for it any more", function()
    local p = Promise.spawn(function() Promise.await(Promise.delay(1)) end)
    p:cancel()
    Promise.drain()
    assert.is_false(loop.step())
  end)

  it("raises as a loop that refuses timers does", function()
    function loop.timer() error("no timers", 0) end
    local ok, err = pcall(Promise.delay, 1)
    assert.is_false(ok)
    assert.equal("no timers", err)
  end)

  it("finds a loop that is set after a failure", function()
    local text = child.run [[
      package.preload.luv = function() error "not here" end
      package.preload.cqueues = package.preload.luv
      local Promise = require "cpromise"
      pcall(Promise.delay, 1)
      Promise.setLoop(require "cpromise.loop.virtual")
      Promise.delay(1, "late"):next(print)
      Promise.run()
    ]]
    assert.equal("late\n", text)
  end)
end)

describe("timeout", function()
  local loop, timers

  before_each(function()
    loop, timers = virtual.new(), 0
    local timer, cancel = loop.timer, loop.cancel
    local known = {}
    function loop.timer(seconds, fn, background)
      local handle = timer(seconds, function()
        timers = timers - 1
        fn()
      end, background)
      timers = timers + 1
      known[handle] = true
      return handle
    end
    function loop.cancel(handle)
      if known[handle] and handle.fn then timers = timers - 1 end
      cancel(handle)
    end
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  it("follows a promise that settles in time", function()
    local p = Promise.delay(1, "a", nil, "c"):timeout(2)
    loop.advance(1)
    assert.same({"fulfilled", "a", nil, "c", n = 4}, outcome(p))
    local q = Promise.reject("boom"):timeout(2)
    q:catch(function() end)
    assert.same({"rejected", "boom", n = 2}, outcome(q))
  end)

  it("rejects with a timeout when the time is up", function()
    local p = Promise.delay(3):timeout(1.5)
    loop.advance(1.49)
    assert.equal("pending", (p:status()))
    p:catch(function() end)
    loop.advance(0.01)
    local state, reason = helper.outcome(p)
    assert.equal("rejected", state)
    assert.is_true(Promise.isTimeout(reason))
    assert.is_false(Promise.isCancelled(reason))
    assert.equal("timed out after 1.5 seconds", reason.message)
    assert.equal(1.5, reason.seconds)
    assert.is_nil(reason.reason)
    assert.equal("timed out after 1.5 seconds", tostring(reason))
  end)

  it("keeps the reason that was given", function()
    local p = Promise.delay(3):timeout(1, "no answer")
    p:catch(function() end)
    loop.advance(1)
    local _, reason = helper.outcome(p)
    assert.equal("no answer", reason.reason)
    assert.equal("timed out after 1 second: no answer", tostring(reason))
  end)

  it("cancels the promise if nobody else waits for it", function()
    local p = Promise.delay(3)
    local q = p:timeout(1)
    q:catch(function() end)
    loop.advance(1)
    local _, timeout = helper.outcome(q)
    local state, reason = helper.outcome(p)
    assert.equal("rejected", state)
    assert.is_true(Promise.isCancelled(reason))
    assert.equal(timeout, reason.reason)
    assert.equal(0, timers)
  end)

  it("leaves the promise to others that wait for it", function()
    local p = Promise.delay(3, "late")
    local other = p:next(function(v) return v end)
    p:timeout(1):catch(function() end)
    loop.advance(3)
    assert.same({"fulfilled", "late", n = 2}, outcome(other))
  end)

  it("raises where an async call awaits", function()
    local closed
    local p = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        closed = true
      end})
      Promise.await(Promise.delay(9))
    end)
    local q = p:timeout(1)
    q:catch(function() end)
    loop.advance(1)
    assert.is_true(Promise.isTimeout(select(2, helper.outcome(q))))
    assert.is_true(Promise.isCancelled(select(2, helper.outcome(p))))
    assert.is_true(closed)
  end)

  it("rejects when what it cancelled has cleaned up", function()
    local p = Promise.spawn(function()
      pcall(Promise.await, Promise.delay(9))
      Promise.await(Promise.delay(2))
    end):timeout(1)
    p:catch(function() end)
    loop.advance(2.9)
    assert.equal("pending", (p:status()))
    loop.advance(0.1)
    assert.is_true(Promise.isTimeout(select(2, helper.outcome(p))))
  end)

  it("rejects though what it cancelled comes to an end", function()
    local p = Promise.spawn(function()
      pcall(Promise.await, Promise.delay(9))
      return "result"
    end):timeout(1)
    p:catch(function() end)
    loop.advance(1)
    assert.is_true(Promise.isTimeout(select(2, helper.outcome(p))))
  end)

  it("rejects with what failed in cleaning up", function()
    local p = Promise.spawn(function()
      pcall(Promise.await, Promise.delay(9))
      error("cleanup", 0)
    end):timeout(1)
    p:catch(function() end)
    loop.advance(1)
    assert.same({"rejected", "cleanup", n = 2}, outcome(p))
  end)

  it("rejects at once if it waits for no clean-up", function()
    local ended
    local p = Promise.shield(Promise.spawn(function()
      Promise.await(Promise.delay(3))
      ended = true
    end)):timeout(1)
    p:catch(function() end)
    loop.advance(1)
    assert.is_true(Promise.isTimeout(select(2, helper.outcome(p))))
    loop.advance(2)
    assert.is_true(ended)
  end)

  it("is cancelled while it waits for a clean-up", function()
    local p = Promise.spawn(function()
      pcall(Promise.await, Promise.delay(9))
      Promise.await(Promise.new(function() end))
    end):timeout(1)
    p:catch(function() end)
    loop.advance(2)
    assert.equal("pending", (p:status()))
    assert.is_true(p:cancel())
    assert.equal("rejected", (helper.outcome(p)))
  end)

  it("lets a source win that has settled before its turn", function()
    local p = Promise.delay(1, "value"):timeout(1)
    loop.advance(1)
    assert.same({"fulfilled", "value", n = 2}, outcome(p))
  end)

  it("is reported if nobody handles it", function()
    local reports = helper.unhandled(function()
      Promise.delay(3):timeout(1)
      loop.advance(1)
    end)
    assert.equal(1, #reports)
    assert.is_true(Promise.isTimeout(reports[1].reason))
  end)

  it("frees its timer when the promise settles", function()
    local p, resolve = Promise.withResolvers()
    p:timeout(100)
    assert.equal(1, select(2, core.waiting()))
    resolve()
    Promise.drain()
    assert.equal(0, select(2, core.waiting()))
  end)

  it("frees its timer when it is cancelled itself", function()
    local p = Promise.withResolvers()
    local q = p:timeout(100)
    q:cancel()
    Promise.drain()
    assert.equal(0, select(2, core.waiting()))
    assert.is_true(Promise.isCancelled(select(2, q:status())))
    assert.is_true(Promise.isCancelled(select(2, p:status())))
  end)

  it("does not keep the loop alive", function()
    Promise.withResolvers():timeout(100)
    assert.is_false(loop.step())
    assert.equal(0, loop.now())
  end)

  it("takes no time at all", function()
    local p = Promise.withResolvers():timeout(0)
    p:catch(function() end)
    Promise.drain()
    assert.equal("pending", (p:status()))
    loop.advance(0)
    assert.is_true(Promise.isTimeout(select(2, helper.outcome(p))))
  end)

  it("leaves nothing behind if the loop refuses the timer", function()
    function loop.timer() error("no timers", 0) end
    local reports = helper.unhandled(function()
      local p = Promise.withResolvers()
      local ok, err = pcall(p.timeout, p, 1)
      assert.is_false(ok)
      assert.equal("no timers", err)
    end)
    assert.same({}, reports)
  end)

  it("is known by isTimeout, which knows nothing else", function()
    for _, v in ipairs {1, "timed out", {}, Promise.resolve(), print} do
      assert.is_false(Promise.isTimeout(v))
    end
    assert.is_false(Promise.isTimeout(nil))
    assert.is_false(Promise.isTimeout())
  end)

  local wrong = {
    {"#1", "number expected, got nil", nil},
    {"#1", "number expected, got string", "1"},
    {"#1", "must not be negative", -1},
    {"#1", "not a number (NaN)", 0 / 0},
  }
  for _, case in ipairs(wrong) do
    it("raises: " .. case[2], function()
      assert.equal(("bad argument %s to 'timeout' (%s)"):format(case[1],
        case[2]), message(function() Promise.resolve():timeout(case[3]) end))
    end)
  end

  it("raises for what is no promise", function()
    assert.equal(
      "bad argument #1 to 'timeout' (promise expected, got number: " ..
        "use ':', not '.')",
      message(function() Promise.resolve().timeout(1, 2) end))
  end)

  it("raises without a loop", function()
    local text = child.run [[
      package.preload.luv = function() error "not here" end
      package.preload.cqueues = package.preload.luv
      local Promise = require "cpromise"
      print(pcall(function() Promise.resolve():timeout(1) end))
    ]]
    assert.matches(":4: timeout needs an event loop: install luv", text)
  end)
end)

describe("promisify", function()
  -- A function with a callback, and what it was called with.
  local function recorder()
    local calls = {}
    return Promise.promisify(function(...)
      calls[#calls + 1] = table.pack(...)
      return true
    end), calls
  end

  local function callback(call)
    return call[call.n]
  end

  it("calls the function at once, with a callback last", function()
    local fn, calls = recorder()
    fn("a", "b")
    assert.equal(1, #calls)
    assert.equal(3, calls[1].n)
    assert.same({"a", "b"}, {calls[1][1], calls[1][2]})
    assert.is_function(callback(calls[1]))
  end)

  for _, args in ipairs {
    table.pack(),
    table.pack(nil),
    table.pack(nil, "b", nil),
    table.pack("a", nil, nil, "d"),
  } do
    it("keeps nils among arguments: " .. args.n, function()
      local fn, calls = recorder()
      fn(table.unpack(args, 1, args.n))
      local got = calls[1]
      assert.equal(args.n + 1, got.n)
      for i = 1, args.n do assert.equal(args[i], got[i]) end
      assert.is_function(got[got.n])
    end)
  end

  it("keeps calls apart", function()
    local fn, calls = recorder()
    local p, q = fn "p", fn "q"
    assert.not_equal(p, q)
    callback(calls[2])(nil, "for q")
    assert.same({"fulfilled", "for q", n = 2}, outcome(q))
    assert.equal("pending", p:status())
    callback(calls[1])(nil, "for p")
    assert.same({"fulfilled", "for p", n = 2}, outcome(p))
  end)

  -- The arguments of the callback, and the outcome.
  local cases = {
    {"fulfils with nothing", {n = 0}, {"fulfilled", n = 1}},
    {"fulfils with nothing but no error", {n = 1}, {"fulfilled", n = 1}},
    {"takes false for no error", {false, 1, n = 2}, {"fulfilled", 1, n = 2}},
    {"fulfils with one value", {nil, "v", n = 2}, {"fulfilled", "v", n = 2}},
    {"fulfils with all values", {nil, 1, nil, 3, nil, n = 5},
      {"fulfilled", 1, nil, 3, nil, n = 5}},
    {"rejects with the error", {"boom", n = 1}, {"rejected", "boom", n = 2}},
    {"rejects with the error alone", {"boom", "v", n = 2},
      {"rejected", "boom", n = 2}},
  }
  for _, case in ipairs(cases) do
    local name, args, expected = table.unpack(case)
    it(name, function()
      local fn, calls = recorder()
      local p = fn()
      p:catch(function() end)
      callback(calls[1])(table.unpack(args, 1, args.n))
      assert.same(expected, outcome(p))
    end)

    it(name .. " when the callback comes at once", function()
      local p = Promise.promisify(function(done)
        done(table.unpack(args, 1, args.n))
      end)()
      p:catch(function() end)
      assert.same(expected, outcome(p))
    end)
  end

  it("passes on the very error", function()
    local err = setmetatable({}, {__tostring = error})
    local p = Promise.promisify(function(done) done(err) end)()
    p:catch(function() end)
    assert.equal(err, select(2, helper.outcome(p)))
  end)

  it("minds only the first callback", function()
    for _, first in ipairs {{nil, "v"}, {"boom"}} do
      local fn, calls = recorder()
      local p = fn()
      p:catch(function() end)
      local done = callback(calls[1])
      done(table.unpack(first, 1, 2))
      local before = outcome(p)
      done(nil, "other")
      done "other"
      assert.same(before, outcome(p))
    end
  end)

  it("rejects with an error that the function raises", function()
    local err = {}
    local p = Promise.promisify(function() error(err) end)()
    p:catch(function() end)
    local status, reason = helper.outcome(p)
    assert.equal("rejected", status)
    assert.equal(err, reason)
  end)

  it("minds no error raised after the callback", function()
    local p = Promise.promisify(function(done)
      done(nil, "v")
      error "late"
    end)()
    assert.same({"fulfilled", "v", n = 2}, outcome(p))
  end)

  it("rejects when the function returns nil and an error", function()
    local p = Promise.promisify(function()
      return nil, "ENOENT: no such file", "ENOENT"
    end)()
    p:catch(function() end)
    assert.same({"rejected", "ENOENT: no such file", n = 2}, outcome(p))
  end)

  it("waits when the function returns anything else", function()
    for _, results in ipairs {{}, {nil}, {true, "x"}, {0, "x"}, {"x"}} do
      local p = Promise.promisify(function()
        return table.unpack(results)
      end)()
      Promise.drain()
      assert.equal("pending", p:status())
    end
  end)

  it("follows a promise that the callback gets", function()
    local p = Promise.promisify(function(done)
      done(nil, Promise.resolve("a", "b"))
    end)()
    assert.same({"fulfilled", "a", "b", n = 3}, outcome(p))
  end)

  it("makes a method of a method", function()
    local object = {name = "it"}
    object.read = Promise.promisify(function(self, what, done)
      done(nil, self.name .. " " .. what)
    end)
    assert.same({"fulfilled", "it x", n = 2}, outcome(object:read "x"))
  end)

  for _, hidden in ipairs {false, true} do
    local which = hidden and "hidden" or "plain"

    it("takes a table that is callable by a " .. which .. " metatable",
      function()
        local callable = setmetatable({}, {
          __metatable = hidden and "hidden" or nil,
          __call = function(self, x, done) done(nil, self, x) end,
        })
        local status, self, x =
          helper.outcome(Promise.promisify(callable)(1))
        assert.equal("fulfilled", status)
        assert.equal(callable, self)
        assert.equal(1, x)
      end)
  end

  for _, v in ipairs {1, "f", {}, true} do
    it("raises for a " .. type(v), function()
      assert.equal("bad argument #1 to 'promisify' (callable expected, " ..
        "got " .. type(v) .. ")", message(Promise.promisify, v))
    end)
  end

  it("raises for nil", function()
    assert.equal("bad argument #1 to 'promisify' (callable expected, " ..
      "got nil)", message(Promise.promisify))
  end)

  describe("with options", function()
    -- A function with a callback; what was cancelled and given back.
    local function requests(started)
      local calls, cancelled, disposed = {}, {}, {}
      local fn = Promise.promisify(function(done)
        calls[#calls + 1] = done
        if started then return started(#calls) end
        return "request " .. #calls
      end, {
        cancel = function(...)
          cancelled[#cancelled + 1] = table.pack(...)
        end,
        dispose = function(...)
          disposed[#disposed + 1] = table.pack(...)
        end,
      })
      return fn, calls, cancelled, disposed
    end

    it("calls cancel once, with what the function returned", function()
      local fn, _, cancelled = requests()
      local p, q = fn(), fn()
      assert.is_true(p:cancel "why")
      assert.is_false(p:cancel())
      assert.same({{"request 1", n = 1}}, cancelled)
      assert.equal("why", select(2, helper.outcome(p)).reason)
      assert.equal("pending", (q:status()))
    end)

    it("calls cancel when the last waiter is cancelled", function()
      local fn, _, cancelled = requests()
      local p = fn()
      local one = Promise.spawn(function() Promise.await(p) end)
      local other = p:next()
      one:cancel()
      assert.same({}, cancelled)
      other:cancel()
      assert.same({{"request 1", n = 1}}, cancelled)
    end)

    it("calls no cancel when there is no request", function()
      local fn, _, cancelled = requests(function() end)
      fn():cancel()
      assert.same({}, cancelled)
    end)

    it("calls no cancel after the callback", function()
      local fn, calls, cancelled, disposed = requests()
      local p = fn()
      calls[1](nil, "v")
      Promise.drain()
      assert.is_false(p:cancel())
      assert.same({"fulfilled", "v", n = 2}, outcome(p))
      assert.same({}, cancelled)
      assert.same({}, disposed)
    end)

    it("gives back results that nobody has got yet", function()
      local fn, calls, cancelled, disposed = requests()
      local call = Promise.spawn(function() return Promise.await(fn()) end)
      calls[1](nil, 1, nil, 3)
      assert.is_true(call:cancel())
      assert.equal("rejected", (helper.outcome(call)))
      assert.same({{1, nil, 3, n = 3}}, disposed)
      assert.same({}, cancelled)
    end)

    it("gives them back if a job cancels who would get them", function()
      local fn, calls, _, disposed = requests()
      local call = Promise.spawn(function() return Promise.await(fn()) end)
      Promise.resolve():next(function()
        calls[1](nil, "result")
        Promise.resolve():next():next(function() call:cancel() end)
      end)
      assert.equal("rejected", (helper.outcome(call)))
      assert.same({{"result", n = 1}}, disposed)
    end)

    it("gives back nothing that others wait for", function()
      local fn, calls, _, disposed = requests()
      local p = fn()
      local call = Promise.spawn(function() return Promise.await(p) end)
      local other = p:next()
      calls[1](nil, "result")
      call:cancel()
      assert.same({"fulfilled", "result", n = 2}, outcome(other))
      assert.same({}, disposed)
    end)

    it("gives back results that come too late", function()
      local fn, calls, _, disposed = requests()
      fn():cancel()
      calls[1](nil, 1, nil, 3)
      assert.same({{1, nil, 3, n = 3}}, disposed)
    end)

    it("gives back results that come while cancel runs", function()
      local disposed, done
      local fn = Promise.promisify(function(fn_done)
        done = fn_done
        return true
      end, {
        cancel = function() done(nil, "late") end,
        dispose = function(v) disposed = v end,
      })
      local p = fn()
      p:cancel()
      assert.equal("late", disposed)
      assert.is_true(Promise.isCancelled(select(2, helper.outcome(p))))
    end)

    it("gives back the results of a second callback", function()
      local fn, calls, _, disposed = requests()
      local p = fn()
      calls[1](nil, "first")
      calls[1](nil, "second")
      assert.same({"fulfilled", "first", n = 2}, outcome(p))
      assert.same({{"second", n = 1}}, disposed)
    end)

    it("drops errors that come too late", function()
      local fn, calls, _, disposed = requests()
      local reports = helper.unhandled(function()
        fn():cancel()
        calls[1] "ECANCELED"
      end)
      assert.same({}, disposed)
      assert.same({}, reports)
    end)

    it("gives back the results of a call that did not start", function()
      local fn, calls, cancelled, disposed = requests(function()
        return nil, "EINVAL"
      end)
      local p = fn()
      p:catch(function() end)
      calls[1](nil, "after all")
      assert.same({"rejected", "EINVAL", n = 2}, outcome(p))
      assert.same({{"after all", n = 1}}, disposed)
      assert.same({}, cancelled)
    end)

    it("gives back the results of a call that raised", function()
      local fn, calls, cancelled, disposed = requests(function()
        error("bad mode", 0)
      end)
      local p = fn()
      p:catch(function() end)
      calls[1](nil, "after all")
      assert.same({"rejected", "bad mode", n = 2}, outcome(p))
      assert.same({{"after all", n = 1}}, disposed)
      assert.same({}, cancelled)
    end)

    it("needs neither of them", function()
      for _, options in ipairs {{}, {cancel = error}, {dispose = error}} do
        local done
        local p = Promise.promisify(function(fn_done)
          done = fn_done
        end, options)()
        p:cancel()
        if not options.dispose then done(nil, "late") end
        assert.is_true(Promise.isCancelled(select(2, helper.outcome(p))))
      end
    end)

    it("reports an error in cancel", function()
      local p
      local reports = helper.unhandled(function()
        p = Promise.promisify(function() return 1 end, {
          cancel = function() error("in cancel", 0) end,
        })()
        p:cancel()
      end)
      assert.equal("in cancel", reports[1].reason)
      assert.equal(1, #reports)
      assert.is_true(Promise.isCancelled(select(2, p:status())))
    end)

    it("takes callable objects", function()
      local seen
      local object = setmetatable({}, {__call = function(_, v) seen = v end})
      Promise.promisify(function() return "it" end, {cancel = object})()
        :cancel()
      assert.equal("it", seen)
    end)

    it("keeps what the options were", function()
      local options, seen = {}, nil
      options.cancel = function(v) seen = v end
      local fn = Promise.promisify(function() return "it" end, options)
      options.cancel = error
      fn():cancel()
      assert.equal("it", seen)
    end)

    local bad = {
      {"table expected, got number", 1},
      {"table expected, got function", print},
      {"unknown option 'canel'", {canel = print}},
      {"option 'cancel': callable expected, got number", {cancel = 1}},
      {"option 'dispose': callable expected, got string", {dispose = "x"}},
    }
    for _, case in ipairs(bad) do
      it("raises: " .. case[1], function()
        assert.equal(("bad argument #2 to 'promisify' (%s)"):format(case[1]),
          message(Promise.promisify, print, case[2]))
      end)
    end
  end)

  it("makes promises of luv's functions", function()
    local text, status = child.run [[
      local uv = require "luv"
      local Promise = require "cpromise"
      local open = Promise.promisify(uv.fs_open)
      local stat = Promise.promisify(uv.fs_stat)
      local read = Promise.promisify(uv.fs_read)
      local getaddrinfo = Promise.promisify(uv.getaddrinfo)
      stat("."):next(function(s)
        print(s.type)
        return open("/no/such/file", "r", 0)
      end):catch(print):next(function()
        return read(-1, 10, -1)
      end):catch(function(e) print(e:match "^%u+") end):next(function()
        -- refused before it starts: luv returns nil and the error
        return getaddrinfo(("x"):rep(1000), nil, {})
      end):catch(function(e) print(e:match "^E%u+: " ~= nil) end)
      Promise.run()
    ]]
    assert.equal("directory\nENOENT: no such file or directory: " ..
      "/no/such/file\nEBADF\ntrue\n", text)
    assert.equal(0, status)
  end)
end)
