--- Code of the program that runs inside the library, and uses it there.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"

local function pass(...) return ... end

--- A list and a function that makes functions which append to it.
local function logger()
  local log = {}
  return log, function(entry)
    return function(...)
      log[#log + 1] = entry
      return ...
    end
  end
end

--- Every place inside the library where the program's code runs: functions
--- that make it run `f` there, with the promise that is to come of it.
local places = {
  executor = function(f) return Promise.new(function() f() end) end,
  ["function of try"] = function(f) return Promise.try(f) end,
  ["handler of next"] = function(f) return Promise.resolve():next(f) end,
  ["handler of catch"] = function(f) return Promise.reject():catch(f) end,
  ["handler of finally"] = function(f)
    return Promise.resolve():finally(f)
  end,
  ["method of a thenable"] = function(f)
    return Promise.resolve {next = function(_, resolve)
      f()
      resolve()
    end}
  end,
  ["getter of a thenable"] = function(f)
    return Promise.resolve(setmetatable({}, {__index = function() f() end}))
  end,
  ["getter of a handler's result"] = function(f)
    return Promise.resolve():next(function()
      return setmetatable({}, {__index = function() f() end})
    end)
  end,
  ["getter of finally's result"] = function(f)
    return Promise.resolve():finally(function()
      return setmetatable({}, {__index = function() f() end})
    end)
  end,
  ["iterator"] = function(f)
    return Promise.all(function(_, i)
      f()
      return not i and 1 or nil
    end)
  end,
  ["closing value"] = function(f)
    return Promise.all(function() end, nil, nil,
      setmetatable({}, {__close = function() f() end}))
  end,
  ["element's getter"] = function(f)
    return Promise.all(setmetatable({n = 1}, {__index = function() f() end}))
  end,
  ["length of a sequence"] = function(f)
    return Promise.race(setmetatable({}, {__len = function()
      f()
      return 0
    end}))
  end,
  ["keyed element's getter"] = function(f)
    return Promise.allKeyed {a = setmetatable({},
      {__index = function() f() end})}
  end,
  ["callable handler"] = function(f)
    return Promise.resolve():next(setmetatable({}, {__call = f}))
  end,
}

-- Those that run when a job does; the others run at the call.
local in_job = {
  ["handler of next"] = true, ["handler of catch"] = true,
  ["handler of finally"] = true, ["method of a thenable"] = true,
  ["getter of a handler's result"] = true,
  ["getter of finally's result"] = true, ["callable handler"] = true,
}

describe("code that the library runs", function()
  local previous
  before_each(function()
    helper.drain()
    previous = Promise.onUnhandledRejection(pass)
  end)
  after_each(function()
    helper.drain()
    Promise.onUnhandledRejection(previous)
  end)

  for place, run in pairs(places) do
    describe("as " .. place, function()
      it("can drain, unless a job is running", function()
        local log, note = logger()
        Promise.queueMicrotask(note "before")
        local drained
        run(function()
          if drained then return end
          Promise.queueMicrotask(note "inside")
          drained = Promise.drain()
          log[#log + 1] = "drained"
        end)
        log[#log + 1] = "called"
        helper.drain()
        if in_job[place] then
          assert.equal(0, drained)
          assert.same({"before", "called", "drained", "inside"},
            {log[2], log[1], log[3], log[4]})
        else
          assert.equal(2, drained)
          assert.same({"before", "inside", "drained", "called"}, log)
        end
      end)

      it("can do anything else with promises", function()
        local seen = {}
        local ran = 0
        local waiting, resolve = Promise.withResolvers()
        waiting:next(function(v) seen[#seen + 1] = v end)
        run(function()
          ran = ran + 1
          resolve "settled"
          waiting:next(function(v) seen[#seen + 1] = v end)
          Promise.all {waiting}:next(function(t) seen[#seen + 1] = t[1] end)
          Promise.reject "caught":catch(pass)
          Promise.queueMicrotask(pass)
          collectgarbage()
          assert(waiting:status() == "fulfilled")
        end)
        helper.drain()
        assert.is_true(ran > 0)
        for i = 1, 2 + ran do assert.equal("settled", seen[i]) end
      end)

      it("can raise any value without harm to others", function()
        for _, reason in ipairs {"text", 42, false, {}, pass, n = 6} do
          local ran = 0
          Promise.queueMicrotask(function() ran = ran + 1 end)
          local called = false
          local p = run(function()
            called = true
            error(reason, 0)
          end)
          Promise.queueMicrotask(function() ran = ran + 1 end)
          helper.drain()
          assert.is_true(called)
          assert.equal(2, ran)
          local state, got = p:status()
          assert.equal("rejected", state)
          assert.equal(reason, got)
        end
      end)

      it("can raise nil", function()
        local state, reason = helper.outcome(run(function() error(nil) end))
        assert.equal("rejected", state)
        assert.equal(helper.thrown(nil), reason)
      end)

      it("can use coroutines", function()
        local seen = {}
        local waiting, resolve = Promise.withResolvers()
        waiting:next(function(v) seen[#seen + 1] = v end)
        local step = coroutine.wrap(function()
          waiting:next(function(v) seen[#seen + 1] = v end)
          coroutine.yield(1)
          resolve "value"
          coroutine.yield(Promise.drain())
          collectgarbage()
        end)
        local steps = {}
        run(function()
          if #steps == 0 then
            for _ = 1, 3 do steps[#steps + 1] = step() or "end" end
          end
        end)
        helper.drain()
        assert.same({"value", "value"}, seen)
        assert.equal(1, steps[1])
        assert.equal(in_job[place] and 0 or 2, steps[2])
      end)

      it("can't yield", function()
        local reason
        local co = coroutine.wrap(function()
          run(function() coroutine.yield() end):catch(function(r)
            reason = r
          end)
          helper.drain()
          return "end"
        end)
        assert.equal("end", co())
        assert.matches("attempt to yield", reason)
      end)

      it("can't outlive an error of a hook for counts", function()
        local p = run(function()
          debug.sethook(function()
            debug.sethook()
            error("interrupted", 0)
          end, "", 10)
          for _ = 1, 1000 do pass() end
        end)
        local state, reason = helper.outcome(p)
        debug.sethook()
        assert.equal("rejected", state)
        assert.equal("interrupted", reason)
      end)
    end)
  end

  it("can drain in the hook for rejections, to no effect", function()
    local drained
    local log, note = logger()
    Promise.onUnhandledRejection(function(reason)
      log[#log + 1] = reason
      Promise.queueMicrotask(note "queued")
      drained = Promise.drain()
      if reason == "first" then Promise.reject "second" end
    end)
    Promise.reject "first"
    assert.equal(2, Promise.drain())
    assert.equal(0, drained)
    table.sort(log)
    assert.same({"first", "queued", "queued", "second"}, log)
  end)
end)

describe("the loop's wake", function()
  local function set_wake(wake)
    Promise.setLoop {wake = wake, step = pass, now = pass, timer = pass,
      cancel = pass, inside = pass}
  end
  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  it("can't drain", function()
    local drained, ran = {}, 0
    set_wake(function(drain)
      drained = {Promise.drain(), drain()}
    end)
    Promise.queueMicrotask(function() ran = ran + 1 end)
    assert.same({0, 0}, drained)
    assert.equal(0, ran)
    assert.equal(1, helper.drain())
  end)

  it("is not called again by what it queues", function()
    local woken, ran = 0, 0
    local function job() ran = ran + 1 end
    set_wake(function()
      woken = woken + 1
      if woken < 5 then Promise.queueMicrotask(job) end
    end)
    Promise.queueMicrotask(job)
    helper.drain()
    assert.equal(2, ran)
    assert.equal(1, woken)
  end)

  it("is called again after it has raised", function()
    local woken = 0
    local seen = helper.unhandled(function()
      set_wake(function()
        woken = woken + 1
        if woken < 3 then error("no memory, say", 0) end
      end)
      -- What was queued waits; so any later call that queues tries again.
      Promise.queueMicrotask(pass)
      for _ = 1, 5 do Promise.resolve(1):next(pass) end
      local before = woken
      assert.is_true(before >= 3)
      Promise.drain()
      Promise.queueMicrotask(pass)
      assert.equal(before + 1, woken)
    end)
    assert.equal(1, #seen)
    assert.equal("no memory, say", seen[1].reason)
  end)
end)

describe("a job", function()
  after_each(helper.drain)

  it("can register with the promise whose batch is running", function()
    local log, note = logger()
    local p = Promise.resolve()
    p:next(function()
      log[#log + 1] = 1
      p:next(function()
        log[#log + 1] = 4
        p:next(note(6))
      end)
      Promise.queueMicrotask(note(5))
    end)
    p:next(note(2))
    p:next(note(3))
    helper.drain()
    assert.same({1, 2, 3, 4, 5, 6}, log)
  end)

  it("can register with a promise that waits in the queue", function()
    local log, note = logger()
    local p, resolve_p = Promise.withResolvers()
    local q, resolve_q = Promise.withResolvers()
    local r, resolve_r = Promise.withResolvers()
    p:next(function()
      log[#log + 1] = 1
      q:next(note(4))
      r:next(note(5))
      Promise.queueMicrotask(note(6))
    end)
    q:next(note(2))
    r:next(note(3))
    resolve_p()
    resolve_q()
    resolve_r()
    helper.drain()
    assert.same({1, 2, 3, 4, 5, 6}, log)
  end)

  it("can settle the promises of a chain that is running", function()
    local log, note = logger()
    local p, resolve_p, reject_p = Promise.withResolvers()
    local q = Promise.resolve()
    q:next(function()
      log[#log + 1] = "first"
      resolve_p "p"
      reject_p "too late"
      resolve_p "too late"
    end):next(note "third")
    p:next(note "second"):next(note "fourth")
    helper.drain()
    assert.same({"first", "second", "third", "fourth"}, log)
    assert.same({"fulfilled", "p"}, {p:status()})
  end)

  it("can resolve a promise that is following another one, in vain",
    function()
      local p, resolve_p, reject_p = Promise.withResolvers()
      local q, resolve_q = Promise.withResolvers()
      resolve_p(q)
      Promise.resolve():next(function()
        resolve_p "in vain"
        reject_p "in vain"
      end):next(function() resolve_q "followed" end)
      assert.same({"fulfilled", "followed"}, {helper.outcome(p)})
    end)

  it("can keep the functions that a thenable got, in vain", function()
    local resolve_first
    local q, resolve_q = Promise.withResolvers()
    local p = Promise.resolve {next = function(_, resolve)
      resolve_first = resolve
      resolve {next = function(_, resolve_second)
        resolve_first "in vain"
        resolve_second(q)
      end}
    end}
    helper.drain()
    resolve_first "in vain"
    resolve_q "followed"
    assert.same({"fulfilled", "followed"}, {helper.outcome(p)})
  end)

  it("can raise after it has resolved, in vain", function()
    local q, resolve = Promise.withResolvers()
    local p = Promise.new(function(f)
      f(q)
      error "in vain"
    end)
    resolve "followed"
    assert.same({"fulfilled", "followed"}, {helper.outcome(p)})
  end)

  it("can end with a rejection while all else goes on", function()
    local log, note = logger()
    local seen = helper.unhandled(function()
      local p = Promise.resolve()
      for i = 1, 4 do
        p:next(function()
          note(i)()
          error(i, 0)
        end):finally(note(i + 4))
      end
    end)
    assert.same({1, 2, 3, 4, 5, 6, 7, 8}, log)
    assert.equal(4, #seen)
    for i = 1, 4 do assert.equal(i, seen[i].reason) end
  end)

  it("can leave a coroutine suspended", function()
    local log, note = logger()
    local co
    Promise.resolve(1):next(function()
      co = coroutine.create(function()
        Promise.resolve():next(note "inner")
        coroutine.yield()
        Promise.resolve():next(note "resumed")
      end)
      assert(coroutine.resume(co))
    end):next(note "next")
    helper.drain()
    assert.same({"inner", "next"}, log)
    assert(coroutine.resume(co))
    co = nil -- luacheck: ignore
    helper.collect()
    helper.drain()
    assert.same({"inner", "next", "resumed"}, log)
  end)

  it("gets all its values in a coroutine that drains", function()
    local got
    Promise.resolve(1, nil, 3, nil):next(function(...)
      got = table.pack(...)
    end)
    local co = coroutine.wrap(function() return Promise.drain() end)
    assert.equal(1, co())
    assert.same({1, nil, 3, nil, n = 4}, got)
  end)
end)

describe("drain(max)", function()
  after_each(helper.drain)

  local function chain(n)
    local log, note = logger()
    local p = Promise.resolve()
    for i = 1, n do p:next(note(i)) end
    return p, log, note
  end

  it("stops amid the reactions of a promise", function()
    local _, log = chain(5)
    assert.equal(2, Promise.drain(2))
    assert.same({1, 2}, log)
    assert.equal(1, Promise.drain(1))
    assert.same({1, 2, 3}, log)
    assert.equal(2, Promise.drain(7))
    assert.same({1, 2, 3, 4, 5}, log)
    assert.equal(0, Promise.drain())
  end)

  it("goes on before what was added meanwhile", function()
    local p, log, note = chain(3)
    Promise.queueMicrotask(note(4))
    for i = 1, 3 do
      assert.equal(1, Promise.drain(1))
      p:next(note(4 + i))
      Promise.queueMicrotask(note(7 + i))
    end
    helper.drain()
    assert.same({1, 2, 3, 4, 5, 8, 6, 9, 7, 10}, log)
  end)

  it("keeps to the order of one drain for all", function()
    local function programme()
      local log, note = logger()
      local p, resolve = Promise.withResolvers()
      for i = 1, 3 do
        p:next(note("a" .. i)):next(note("b" .. i)):finally(note("c" .. i))
        Promise.all {p, i, Promise.resolve(p)}:next(note("d" .. i))
      end
      Promise.resolve({next = function(_, f) f(p) end}):next(note "e")
      p:next(function()
        p:next(note "f")
        return p
      end):next(note "g")
      resolve(1)
      return log
    end
    local expected = programme()
    local jobs = Promise.drain()
    for max = 1, 5 do
      local log = programme()
      local total = 0
      repeat
        local n = Promise.drain(max)
        assert.is_true(n <= max)
        total = total + n
      until n == 0
      assert.same(expected, log)
      assert.equal(jobs, total)
    end
  end)

  it("counts the jobs of a chain one by one", function()
    local log, note = logger()
    Promise.resolve():next(note(1)):next(note(2)):next(note(3))
    for i = 1, 3 do
      assert.equal(1, Promise.drain(1))
      assert.equal(i, #log)
    end
    assert.equal(0, Promise.drain(1))
  end)

  it("reports rejections when nothing is left, and not before", function()
    local seen = helper.unhandled(function()
      local seen = {}
      local previous = Promise.onUnhandledRejection(function(reason)
        seen[#seen + 1] = reason
      end)
      local p = Promise.reject "caught in time"
      Promise.reject "lost"
      chain(3)
      Promise.drain(2)
      assert.same({}, seen)
      p:catch(pass)
      Promise.drain(2)
      assert.same({"lost"}, seen)
      Promise.onUnhandledRejection(previous)
    end)
    assert.same({}, seen)
  end)

  it("stops where jobs queue jobs without end", function()
    local n, stop = 0, false
    local function again()
      n = n + 1
      if not stop then Promise.queueMicrotask(again) end
    end
    Promise.queueMicrotask(again)
    assert.equal(100, Promise.drain(100))
    assert.equal(100, n)
    stop = true
    assert.equal(1, Promise.drain())
  end)

  it("runs nothing for 0", function()
    local _, log = chain(1)
    assert.equal(0, Promise.drain(0))
    assert.same({}, log)
  end)

  it("is of no effect inside a job", function()
    local log, note = logger()
    local p = Promise.resolve()
    p:next(function()
      log[#log + 1] = Promise.drain(1)
      log[#log + 1] = Promise.drain()
    end)
    p:next(note "next")
    assert.equal(2, Promise.drain())
    assert.same({0, 0, "next"}, log)
  end)
end)

describe("os.exit in a job", function()
  local function exit(arguments)
    return child.run(([[
      local Promise = require "cpromise"
      local p = Promise.resolve()
      p:next(function() print "ran" end)
      p:next(function() os.exit(%s) end)
      p:next(function() print "not to be run" end)
      Promise.queueMicrotask(print, "not to be run")
      last = setmetatable({}, {__gc = function()
        p:next(print)
        print("drained", Promise.drain())
      end})
      Promise.drain()
    ]]):format(arguments))
  end

  it("ends the program with its status", function()
    assert.same({"ran\n", 7}, {exit "7"})
  end)

  it("can close the state", function()
    local text, status = exit "true, true"
    assert.matches("ran\n", text, 1, true)
    assert.matches("drained\t0\n", text, 1, true)
    assert.not_matches("not to be run", text, 1, true)
    assert.matches("never ran", text, 1, true)
    assert.equal(0, status)
  end)

  it("can close the state from a coroutine", function()
    local text, status = exit "coroutine.wrap(os.exit)(true, true)"
    assert.matches("drained\t0\n", text, 1, true)
    assert.equal(0, status)
  end)
end)

describe("a hook of the debug library", function()
  local previous
  before_each(function() previous = Promise.onUnhandledRejection(pass) end)
  after_each(function()
    debug.sethook()
    helper.drain()
    Promise.onUnhandledRejection(previous)
  end)

  --- Everything a bit; each step by itself, as any may fail.
  local function steps(settled)
    local p, resolve = Promise.withResolvers()
    return {
      function() return p:next(settled, pass):catch(pass):finally(pass) end,
      function() return Promise.all {p, 1, Promise.resolve(2)} end,
      function() return Promise.any({Promise.reject()}):catch(pass) end,
      function() return Promise.race(ipairs {p}) end,
      function() return Promise.allSettledKeyed {a = p, b = 1} end,
      function()
        return Promise.resolve():next(function()
          return {next = function(_, f) f(1, 2) end}
        end)
      end,
      function() return Promise.try(pass, 1, 2, 3) end,
      function() Promise.queueMicrotask(settled, 1, 2) end,
      function() resolve(1, 2) end,
      function() Promise.drain() end,
      function() Promise.drain() end,
    }, resolve
  end

  local masks = {instruction = "", call = "c", ["return"] = "r", line = "l"}
  for event, mask in pairs(masks) do
    it("can raise at every " .. event, function()
      local failures = 0
      local at = 0
      repeat
        at = at + 1
        local made = {}
        local ran = 0
        local list, resolve = steps(function() ran = ran + 1 end)
        local events, raised = 0, false
        local function hook()
          events = events + 1
          if events == at then
            raised = true
            debug.sethook()
            error("hook", 0)
          end
        end
        pcall(function()
          debug.sethook(hook, mask, mask == "" and 1 or 0)
          for i = 1, #list do
            local _, p = pcall(list[i])
            if Promise.is(p) then made[#made + 1] = p end
          end
          debug.sethook()
        end)
        resolve(1)
        helper.drain()
        for i = 1, #made do
          assert.not_equal("pending", (made[i]:status()))
        end
        assert.is_true(ran <= 3)
        failures = failures + (raised and 1 or 0)
      until not raised
      assert.is_true(failures > 20)
    end)
  end
end)

describe("an object whose metatable was taken away", function()
  it("is refused as self", function()
    for make, method in pairs {
      [Promise.semaphore] = "acquire", [Promise.channel] = "receive",
      [Promise.event] = "wait",
    } do
      local object = make(1)
      local call = object[method]
      debug.setmetatable(object, nil)
      local ok, err = pcall(call, object)
      assert.is_false(ok)
      assert.matches("expected, got userdata: use ':', not '.')", err, 1,
        true)
    end
  end)
end)

describe("a promise whose metatable was taken away", function()
  local stripped = {}
  local mt = debug.getmetatable(Promise.resolve())
  after_each(function()
    for p in pairs(stripped) do debug.setmetatable(p, mt) end
    stripped = {}
    helper.drain()
  end)

  local function strip(p)
    stripped[p] = true
    return debug.setmetatable(p, nil)
  end

  local methods = {"next", "catch", "finally", "status"}

  it("is refused as self", function()
    local p = strip(Promise.resolve(1))
    local q = Promise.resolve(1)
    for _, name in ipairs(methods) do
      assert.error_matches(function() q[name](p, pass) end,
        "bad argument #1 to '.-' %(promise expected, got userdata: .-%)")
    end
    assert.error_matches(function() return p:next() end, "index a userdata")
    assert.is_false(Promise.is(p))
    assert.matches("^userdata: ", tostring(p))
  end)

  it("is a value like any other userdata", function()
    local p = strip(Promise.new(pass))
    assert.same({"fulfilled", p}, {helper.outcome(Promise.resolve(p))})
    for _, name in ipairs {"all", "allSettled", "any", "race"} do
      assert.equal("fulfilled", (helper.outcome(Promise[name] {p})))
    end
    local derived = Promise.resolve():next(function() return p end)
    assert.same({"fulfilled", p}, {helper.outcome(derived)})
  end)

  it("still settles, with its reactions", function()
    local p, resolve = Promise.withResolvers()
    local derived = p:next(pass)
    local all = Promise.all {p}
    local follower = Promise.new(function(f) f(p) end)
    helper.drain()
    strip(p)
    strip(all)
    resolve(1)
    helper.drain()
    assert.same({"fulfilled", 1}, {derived:status()})
    assert.same({"fulfilled", 1}, {follower:status()})
    debug.setmetatable(all, mt)
    assert.same({"fulfilled", {1, n = 1}}, {all:status()})
  end)

  it("still is followed if it was to be", function()
    local p, resolve = Promise.withResolvers()
    local follower = Promise.new(function(f) f(p) end)
    strip(p)
    resolve "value"
    assert.same({"fulfilled", "value"}, {helper.outcome(follower)})
  end)

  it("still is reported when it was rejected", function()
    local seen = helper.unhandled(function()
      strip(Promise.reject "lost")
    end)
    assert.equal("lost", seen[1].reason)
  end)
end)
