--- Where `await` may stand: in coroutines of all kinds, on the main thread,
--- in generators; and where it is refused.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local async, await, pawait = Promise.async, Promise.await, Promise.pawait
local spawn = Promise.spawn

local function nop() end

-- `status, ...` of a promise after all jobs; a rejection is not reported.
local function outcome(promise)
  promise:catch(nop)
  return helper.outcome(promise)
end

local function closing(fn)
  return setmetatable({}, {__close = fn})
end

local function throw(reason)
  error(reason, 0)
end

local function line()
  return debug.getinfo(2, "l").currentline
end

-- No job is left, and new ones run.
local function is_consistent()
  helper.drain()
  local status, a, b = outcome(spawn(function()
    return await(Promise.resolve(1)), pawait(2)
  end))
  return status == "fulfilled" and a == 1 and b and Promise.drain() == 0
end

local loop
local function use_virtual_loop()
  loop = virtual.new()
  Promise.setLoop(loop)
end

local function use_no_loop()
  helper.drain()
  Promise.setLoop(nil)
end

describe("await is refused", function()
  local errors, here

  -- What stands in each place: it tries to wait for several things.
  local function try()
    for _, value in ipairs {Promise.resolve(1), Promise.new(nop), 1} do
      local _, reason = pcall(function()
        here = line() + 1
        await(value)
      end)
      errors[#errors + 1] = reason
    end
  end

  before_each(function() errors = {} end)

  local function check_errors(advice)
    assert.is_true(#errors > 0)
    for _, reason in ipairs(errors) do
      assert.matches("^spec/await_places_spec.lua:" .. here ..
        ": can't await ", reason)
      assert.matches(advice, reason, 1, true)
    end
    assert.is_true(is_consistent())
  end

  -- Code that runs as a job, or is asked when jobs have run.
  local jobs = {
    ["in a handler of next"] = function() Promise.resolve():next(try) end,
    ["in a handler of rejections"] = function()
      Promise.reject():catch(try)
    end,
    ["in a handler of finally"] = function()
      Promise.resolve():finally(try)
    end,
    ["in a microtask"] = function() Promise.queueMicrotask(try) end,
    ["in the method of a thenable"] = function()
      Promise.resolve {next = try}
    end,
    ["in the getter of what a handler returns"] = function()
      Promise.resolve():next(function()
        return setmetatable({}, {__index = try})
      end)
    end,
    ["in the hook for rejections"] = function()
      local previous
      previous = Promise.onUnhandledRejection(function()
        Promise.onUnhandledRejection(previous)
        try()
      end)
      Promise.reject()
    end,
  }

  -- Who runs the jobs.
  local drains = {
    ["run by the main thread"] = helper.drain,
    ["run by an async call"] = function() spawn(helper.drain) end,
    ["run by a coroutine"] = function()
      coroutine.wrap(helper.drain)()
    end,
    ["run by Promise.run"] = function()
      use_virtual_loop()
      Promise.run()
      use_no_loop()
    end,
  }

  for job, queue in pairs(jobs) do
    for who, drain in pairs(drains) do
      it(job .. ", " .. who, function()
        queue()
        drain()
        check_errors "Promise.async"
      end)
    end
  end

  -- Functions that the library calls at once.
  local calls = {
    ["in an executor"] = function() Promise.new(try) end,
    ["in the function of 'try'"] = function() Promise.try(try) end,
    ["in a getter"] = function()
      Promise.resolve(setmetatable({}, {__index = try}))
    end,
    ["in the iterator of 'all'"] = function() Promise.all(try) end,
    ["in the iterator of 'allSettled'"] = function()
      Promise.allSettled(try)
    end,
    ["in the iterator of 'any'"] = function()
      Promise.any(try):catch(nop)
    end,
    ["in the iterator of 'race'"] = function() Promise.race(try) end,
    ["in the elements of 'all'"] = function()
      Promise.all(setmetatable({n = 1}, {__index = try}))
    end,
    ["in the length of 'race'"] = function()
      Promise.race(setmetatable({}, {__len = function()
        try()
        return 0
      end}))
    end,
  }

  -- C functions that nothing can wait in.
  local boundaries = {
    ["in table.sort"] = function()
      table.sort({3, 1, 2}, function(a, b)
        try()
        return a < b
      end)
    end,
    ["in string.gsub"] = function() string.gsub("x", "x", try) end,
    ["in require"] = function()
      package.preload["spec.awaits"] = try
      require "spec.awaits"
      package.loaded["spec.awaits"] = nil
      package.preload["spec.awaits"] = nil
    end,
    ["in tostring"] = function()
      tostring(setmetatable({}, {__tostring = function()
        try()
        return ""
      end}))
    end,
    ["in the reader of load"] = function() load(try) end,
    ["in a finalizer"] = function()
      setmetatable({}, {__gc = try})
      helper.collect()
    end,
    ["in a coroutine that is being closed"] = function()
      local co = coroutine.create(function()
        local _ <close> = closing(try)
        coroutine.yield()
      end)
      coroutine.resume(co)
      coroutine.close(co)
    end,
  }

  local function in_coroutine(fn)
    coroutine.wrap(fn)()
  end

  -- Where such a call may stand.
  local contexts = {
    ["of an async call"] = spawn,
    ["of a coroutine"] = in_coroutine,
    ["of a coroutine in a handler"] = function(fn)
      Promise.resolve():next(function() in_coroutine(fn) end)
    end,
    ["of a generator in an async call"] = function(fn)
      spawn(function() Promise.wrap(fn)() end)
    end,
  }

  for _, places in ipairs {calls, boundaries} do
    for place, call in pairs(places) do
      for context, enter in pairs(contexts) do
        it(place .. " " .. context .. ", which goes on", function()
          local went_on
          enter(function()
            await(1)
            call()
            went_on = await(Promise.resolve "on")
          end)
          helper.drain()
          assert.equal("on", went_on)
          check_errors ""
        end)
      end

      it(place .. " of a handler", function()
        Promise.resolve():next(function() call() end)
        helper.drain()
        check_errors "Promise.async"
      end)
    end
  end

  for place, call in pairs(calls) do
    it(place .. " on the main thread", function()
      call()
      check_errors "Promise.async"
    end)
  end

  -- Coroutines that somebody else resumes inside an async call.
  local generators = {
    ["coroutine.resume"] = function()
      assert(coroutine.resume(coroutine.create(try)))
    end,
    ["coroutine.wrap"] = function() coroutine.wrap(try)() end,
    ["a generic for"] = function()
      for _ in coroutine.wrap(try) do nop() end
    end,
    ["a coroutine in a coroutine"] = function()
      coroutine.wrap(function() coroutine.wrap(try)() end)()
    end,
    ["a generator of Promise.wrap in a coroutine"] = function()
      coroutine.wrap(function() Promise.wrap(try)() end)()
    end,
    ["a coroutine in a generator of Promise.wrap"] = function()
      Promise.wrap(function() coroutine.wrap(try)() end)()
    end,
  }
  for name, resume in pairs(generators) do
    it("in a coroutine resumed inside an async call: " .. name, function()
      local call = spawn(function()
        resume()
        await(1)
        resume()
        return await(Promise.resolve "on")
      end)
      assert.same({"fulfilled", "on"}, {outcome(call)})
      check_errors "Promise.wrap"
    end)
  end

  it("without an effect on what it would have awaited", function()
    local reads = 0
    local seen = helper.unhandled(function()
      Promise.resolve():next(function()
        pcall(await, Promise.reject "unhandled")
        pcall(await, setmetatable({}, {__index = function()
          reads = reads + 1
        end}))
      end)
    end)
    assert.equal(1, #seen)
    assert.equal("unhandled", seen[1].reason)
    assert.equal(0, reads)
  end)

  it("as a method, and for pawait", function()
    local promise = Promise.resolve(1)
    for _, call in ipairs {promise.await, pawait} do
      local ok, reason
      Promise.resolve():next(function()
        ok, reason = pcall(function() return (call(promise)) end)
      end)
      helper.drain()
      assert.is_false(ok)
      assert.matches("^spec/await_places_spec.lua:%d+: can't await ", reason)
    end
  end)
end)

describe("await in a coroutine", function()
  it("yields nothing to whoever resumes it", function()
    local gate, open = Promise.withResolvers()
    local co = coroutine.create(function() await(gate) end)
    assert.same(table.pack(true), table.pack(coroutine.resume(co)))
    assert.equal("suspended", coroutine.status(co))
    open()
    helper.drain()
    assert.equal("dead", coroutine.status(co))
  end)

  -- `{what it awaits, what it gets, the value}`
  local cases = {
    {"several values", {1, nil, 3, n = 3}, Promise.resolve(1, nil, 3)},
    {"no values", {n = 0}, Promise.fulfill()},
    {"a plain value", {1, n = 1}, 1},
    {"nil", {n = 1}, nil},
    {"a thenable", {1, 2, n = 2}, {next = function(_, resolve)
      resolve(1, 2)
    end}},
  }
  for _, case in ipairs(cases) do
    it("returns " .. case[1], function()
      local seen
      coroutine.wrap(function() seen = table.pack(await(case[3])) end)()
      assert.is_nil(seen)
      helper.drain()
      assert.same(case[2], seen)
    end)
  end

  it("raises the reason unaltered", function()
    local reason = {}
    local seen
    coroutine.wrap(function()
      seen = table.pack(pcall(await, Promise.reject(reason)))
    end)()
    helper.drain()
    assert.same({false, reason, n = 2}, seen)
    assert.equal(reason, seen[2])
  end)

  it("returns the outcome for pawait", function()
    local seen
    coroutine.wrap(function()
      seen = {pawait(Promise.reject "no"), pawait(1)}
    end)()
    helper.drain()
    assert.same({false, true, 1}, seen)
  end)

  it("takes a tick, as in an async call", function()
    local log = {}
    local function note(what)
      return function() log[#log + 1] = what end
    end
    coroutine.wrap(function()
      await(Promise.resolve())
      log[#log + 1] = "a"
      await(1)
      log[#log + 1] = "b"
    end)()
    Promise.resolve():next(note(1)):next(note(2))
    helper.drain()
    assert.same({"a", 1, "b", 2}, log)
  end)

  it("goes on in turn with reactions to the same promise", function()
    local gate, open = Promise.withResolvers()
    local log = {}
    local function note(what)
      return function() log[#log + 1] = what end
    end
    gate:next(note(1))
    coroutine.wrap(function()
      await(gate)
      log[#log + 1] = 2
    end)()
    spawn(function()
      await(gate)
      log[#log + 1] = 3
    end)
    gate:next(note(4))
    open()
    helper.drain()
    assert.same({1, 2, 3, 4}, log)
  end)

  it("is fine in one that a handler resumes", function()
    local seen
    Promise.resolve():next(coroutine.wrap(function()
      seen = await(Promise.resolve "in")
    end))
    helper.drain()
    assert.equal("in", seen)
  end)

  it("is fine in one that a handler resumes in a call's drain", function()
    local seen
    spawn(function()
      Promise.resolve():next(coroutine.wrap(function()
        seen = await(Promise.resolve "in")
      end))
      helper.drain()
    end)
    assert.equal("in", seen)
  end)

  it("is fine in one that an executor resumes", function()
    local seen
    Promise.new(function()
      coroutine.wrap(function() seen = await "in" end)()
    end)
    helper.drain()
    assert.equal("in", seen)
  end)

  it("is fine in one that is resumed by another", function()
    local log = {}
    local function note(value) log[#log + 1] = value end
    coroutine.wrap(function()
      coroutine.wrap(function() note(await "inner") end)()
      note(await "outer")
    end)()
    helper.drain()
    assert.same({"inner", "outer"}, log)
  end)

  it("is fine in one that an async call made before it ended", function()
    local seen
    local co = select(2, outcome(async(function()
      return coroutine.wrap(function() seen = await "late" end)
    end)()))
    co()
    helper.drain()
    assert.equal("late", seen)
  end)

  it("leaves ordinary yields to the coroutine", function()
    local co = coroutine.create(function(first)
      local second = coroutine.yield(first, await(1))
      await(Promise.resolve())
      local third = coroutine.yield "lost"
      return first, second, third
    end)
    assert.same({true}, {coroutine.resume(co, "a")})
    helper.drain() -- goes on, and yields to the drain
    assert.same({true}, {coroutine.resume(co, "b")})
    helper.drain()
    assert.same({true, "a", "b", "c"}, {coroutine.resume(co, "c")})
    assert.equal("dead", coroutine.status(co))
  end)

  it("handles the rejection", function()
    assert.same({}, helper.unhandled(function()
      coroutine.wrap(function() pcall(await, Promise.reject(1)) end)()
    end))
  end)

  it("loses nothing in a long run", function()
    local n = helper.scaled(10000)
    local sum = 0
    coroutine.wrap(function()
      for i = 1, n do
        local value = await(Promise.resolve(i))
        sum = sum + value
      end
    end)()
    helper.drain()
    assert.equal(n * (n + 1) // 2, sum)
  end)

  describe("that fails", function()
    local function fail() throw "boom" end

    it("afterwards is reported, and dead", function()
      local closed
      local co
      local seen = helper.unhandled(function()
        co = coroutine.create(function()
          local _ <close> = closing(function(_, reason) closed = reason end)
          await(1)
          fail()
        end)
        coroutine.resume(co)
      end)
      assert.equal(1, #seen)
      assert.equal("boom", seen[1].reason)
      assert.is_nil(seen[1].promise)
      assert.matches("in %a+ 'fail'", seen[1].traceback)
      assert.equal("dead", coroutine.status(co))
      assert.equal("boom", closed)
    end)

    it("before it waits raises to whoever resumes it", function()
      assert.same({false, "boom"}, {pcall(coroutine.wrap(fail))})
    end)

    it("again after an ordinary yield raises to that one", function()
      local co = coroutine.create(function()
        await(1)
        coroutine.yield()
        fail()
      end)
      coroutine.resume(co)
      helper.drain()
      assert.same({false, "boom"}, {coroutine.resume(co)})
    end)

    it("with any reason is reported unaltered", function()
      local reason = {}
      local seen = helper.unhandled(function()
        coroutine.wrap(function() await(Promise.reject(reason)) end)()
        coroutine.wrap(function()
          await(1)
          throw(nil)
        end)()
      end)
      assert.equal(2, #seen)
      assert.equal(reason, seen[1].reason)
      assert.equal(helper.thrown(nil), seen[2].reason)
    end)

    it("stops no other one", function()
      local log = {}
      helper.unhandled(function()
        for i = 1, 3 do
          coroutine.wrap(function()
            await(1)
            if i == 2 then fail() end
            log[#log + 1] = i
          end)()
        end
      end)
      assert.same({1, 3}, log)
    end)
  end)

  it("keeps nothing alive that nobody can reach", function()
    local weak = setmetatable({}, {__mode = "k"})
    coroutine.wrap(function()
      weak[coroutine.running()] = true
      await(Promise.new(nop))
    end)()
    helper.collect()
    assert.is_nil(next(weak))
  end)
end)

-- `make(fn)` runs fn up to its first await and returns its coroutine.
local coroutines = {
  ["of the program's own"] = function(fn)
    local co = coroutine.create(fn)
    assert(coroutine.resume(co))
    return co
  end,
  ["of an async call"] = function(fn)
    local co
    spawn(function()
      co = coroutine.running()
      fn()
    end):catch(nop)
    return co
  end,
}

for kind, make in pairs(coroutines) do
  describe("a waiting coroutine " .. kind, function()
    local gate, open, seen, co
    before_each(function()
      gate, open = Promise.withResolvers()
      seen = {}
      co = make(function()
        seen[#seen + 1] = await(gate)
        seen[#seen + 1] = await(2)
      end)
    end)

    it("waits on when somebody else resumes it", function()
      for _ = 1, 3 do
        assert.same(table.pack(true),
          table.pack(coroutine.resume(co, "ignored")))
      end
      assert.same({}, seen)
      assert.equal("suspended", coroutine.status(co))
      open(1)
      helper.drain()
      assert.same({1, 2}, seen)
    end)

    it("waits on when it is resumed after its promise settled", function()
      open(1)
      assert.same(table.pack(true), table.pack(coroutine.resume(co)))
      assert.same({}, seen)
      helper.drain()
      assert.same({1, 2}, seen)
    end)

    it("waits on when it is resumed between two awaits", function()
      open(1)
      Promise.drain(1)
      assert.same(table.pack(true), table.pack(coroutine.resume(co)))
      assert.same({1}, seen)
      helper.drain()
      assert.same({1, 2}, seen)
    end)

    it("waits on when an async call resumes it", function()
      local call = spawn(function()
        local first = table.pack(coroutine.resume(co))
        await(1)
        assert(coroutine.resume(co))
        return first.n, await "on"
      end)
      assert.same({"fulfilled", 1, "on"}, {outcome(call)})
      assert.same({}, seen)
      open(1)
      helper.drain()
      assert.same({1, 2}, seen)
    end)

    it("waits on when a handler resumes it", function()
      Promise.resolve():next(function() coroutine.resume(co) end)
      helper.drain()
      assert.same({}, seen)
      open(1)
      helper.drain()
      assert.same({1, 2}, seen)
    end)

    it("is skipped when it was closed", function()
      assert.is_true(coroutine.close(co))
      assert.equal("dead", coroutine.status(co))
      local reports = helper.unhandled(function() open(1) end)
      assert.same({}, reports)
      assert.same({}, seen)
      assert.is_true(is_consistent())
    end)

    it("is skipped when a reaction of the same promise closes it", function()
      local first, settle = Promise.withResolvers()
      first:next(function() coroutine.close(co) end)
      co = make(function() seen[#seen + 1] = await(first) end)
      assert.same({}, helper.unhandled(function() settle(1) end))
      assert.same({}, seen)
      assert.is_true(is_consistent())
    end)
  end)
end

describe("an async call whose coroutine is closed", function()
  local reason = "the coroutine of the async call was closed"

  it("rejects when what it awaited settles", function()
    local gate, open = Promise.withResolvers()
    local co, closed
    local call = spawn(function()
      local _ <close> = closing(function() closed = true end)
      co = coroutine.running()
      await(gate)
    end)
    coroutine.close(co)
    assert.is_true(closed)
    assert.equal("pending", outcome(call))
    open()
    assert.same({"rejected", reason}, {outcome(call)})
    assert.is_nil(call:traceback())
  end)

  it("rejects when it awaited a plain value", function()
    local co
    local call = spawn(function()
      co = coroutine.running()
      await(1)
    end)
    coroutine.close(co)
    assert.same({"rejected", reason}, {outcome(call)})
  end)

  it("rejects when it awaited a rejection", function()
    local gate, _, reject = Promise.withResolvers()
    local co
    local call = spawn(function()
      co = coroutine.running()
      await(gate)
    end)
    coroutine.close(co)
    reject "other"
    assert.same({"rejected", reason}, {outcome(call)})
  end)
end)

describe("coroutine.yield in an async call", function()
  -- `{where, body}`
  local cases = {
    {"at once", function() coroutine.yield(1, 2) end},
    {"after a wait", function()
      await(1)
      coroutine.yield()
    end},
    {"in pcall", function() pcall(coroutine.yield) end},
    {"in a metamethod", function()
      return -setmetatable({}, {__unm = coroutine.yield})
    end},
    {"in a coroutine of the program's own", function()
      return spawn(function() coroutine.yield() end)
    end},
  }
  for _, case in ipairs(cases) do
    it("rejects it: " .. case[1], function()
      local call
      coroutine.wrap(function() call = spawn(case[2]) end)()
      local status, reason = outcome(call)
      assert.equal("rejected", status)
      assert.matches("can't yield", reason, 1, true)
      assert.matches("Promise.wrap", reason, 1, true)
      assert.is_true(is_consistent())
    end)
  end

  it("closes its pending variables", function()
    local log = {}
    local call = spawn(function()
      local _ <close> = closing(function() log[#log + 1] = "a" end)
      await(1)
      local _ <close> = closing(function()
        log[#log + 1] = "b"
        throw "swallowed"
      end)
      pcall(coroutine.yield)
      log[#log + 1] = "never"
    end)
    local status, reason = outcome(call)
    assert.same({"b", "a"}, log)
    assert.equal("rejected", status)
    assert.matches("can't yield", reason, 1, true)
  end)

  it("does not suspend the coroutine that called it", function()
    local log = {}
    local co = coroutine.create(function()
      spawn(coroutine.yield, "value"):catch(nop)
      log[#log + 1] = "after"
      return "end"
    end)
    assert.same({true, "end"}, {coroutine.resume(co)})
    assert.same({"after"}, log)
    helper.drain()
  end)

  it("is fine in a generator", function()
    assert.same({"fulfilled", 6}, {outcome(spawn(function()
      local sum = 0
      for i in coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end) do
        local value = await(i)
        sum = sum + value
      end
      return sum
    end))})
  end)
end)

describe("await on the main thread", function()
  before_each(use_virtual_loop)
  after_each(use_no_loop)

  it("runs the loop until the promise has settled", function()
    local log = {}
    for i = 1, 4 do
      loop.timer(i, function() log[#log + 1] = i end)
    end
    assert.equal("late", await(Promise.delay(2.5, "late")))
    assert.same({1, 2}, log)
    assert.equal(2.5, loop.now())
  end)

  local function after(seconds, settle, ...)
    local promise, resolve, reject = Promise.withResolvers()
    local values = table.pack(...)
    loop.timer(seconds, function()
      (settle == "resolve" and resolve or reject)(
        table.unpack(values, 1, values.n))
    end)
    return promise
  end

  it("returns all values", function()
    assert.same(table.pack(1, nil, 3, nil),
      table.pack(await(after(1, "resolve", 1, nil, 3, nil))))
    assert.same(table.pack(), table.pack(await(after(1, "resolve"))))
    local many = {}
    for i = 1, 300 do many[i] = i end
    assert.same(many,
      {await(after(1, "resolve", table.unpack(many)))})
  end)

  it("raises the reason unaltered", function()
    for _, reason in ipairs {"boom", {}, false, 1.5, print} do
      local ok, seen = pcall(await, after(1, "reject", reason))
      assert.is_false(ok)
      assert.equal(reason, seen)
    end
    assert.same(table.pack(false, helper.thrown(nil)),
      table.pack(pcall(await, after(1, "reject", nil))))
  end)

  it("returns the outcome for pawait", function()
    assert.same(table.pack(true, 1, nil),
      table.pack(pawait(after(1, "resolve", 1, nil))))
    assert.same(table.pack(false, nil),
      table.pack(pawait(after(1, "reject", nil))))
  end)

  it("is a method", function()
    assert.same({1, 2}, {after(1, "resolve", 1, 2):await()})
  end)

  it("returns a plain value", function()
    assert.equal(1, await(1))
    assert.is_nil(await(nil))
    assert.is_nil(await())
    assert.same({true, "v"}, {pawait "v"})
    local object = {}
    assert.equal(object, await(object))
  end)

  it("returns the values of a thenable", function()
    assert.same({1, 2}, {await {next = function(_, resolve)
      loop.timer(1, function() resolve(1, 2) end)
    end}})
  end)

  it("runs the jobs that wait first, whatever it is given", function()
    for _, value in ipairs {1, Promise.resolve(1), {}} do
      local log = {}
      Promise.resolve():next(function()
        log[#log + 1] = "first"
      end):next(function()
        log[#log + 1] = "second"
      end)
      await(value)
      assert.same({"first", "second"}, log)
    end
  end)

  it("fires no timer for what jobs can settle", function()
    local fired = false
    loop.timer(0, function() fired = true end)
    local promise = Promise.resolve():next(function() return 1 end)
    assert.equal(1, await(promise))
    assert.is_false(fired)
    await(2)
    assert.is_false(fired)
  end)

  it("raises when nothing is left that could settle it", function()
    local fired = false
    loop.timer(1, function() fired = true end)
    for _, call in ipairs {await, pawait, Promise.new(nop).await} do
      local here
      local ok, reason = pcall(function()
        here = line() + 1
        local value = call(Promise.new(nop))
        return value
      end)
      assert.is_false(ok)
      assert.equal("spec/await_places_spec.lua:" .. here ..
        ": promise still pending, nothing left to do:\n" ..
        "└─ a promise that nobody has settled", reason)
    end
    assert.is_true(fired)
    assert.is_true(is_consistent())
  end)

  it("takes a promise that settles after all", function()
    local promise, resolve = Promise.withResolvers()
    assert.is_false(pcall(await, promise))
    resolve(1)
    assert.equal(1, await(promise))
  end)

  it("waits for an async call", function()
    assert.equal(3, await(spawn(function()
      local a = await(Promise.delay(1, 1))
      return a + await(Promise.delay(1, 2))
    end)))
    assert.equal(2, loop.now())
  end)

  it("handles the rejection that it awaits, and no other", function()
    local seen = helper.unhandled(function()
      Promise.reject "other"
      pcall(await, Promise.reject "this")
    end)
    assert.equal(1, #seen)
    assert.equal("other", seen[1].reason)
  end)

  it("is refused in a callback of the loop", function()
    local here, reason
    loop.timer(1, function()
      reason = select(2, pcall(function()
        here = line() + 1
        await(Promise.delay(1))
      end))
    end)
    Promise.run()
    assert.matches("^spec/await_places_spec.lua:" .. here .. ": ", reason)
    assert.matches("callback of the loop", reason, 1, true)
    assert.is_true(is_consistent())
  end)

  it("is fine in table.sort", function()
    local list = {3, 1, 2}
    table.sort(list, function(a, b)
      return await(Promise.delay(1, a < b))
    end)
    assert.same({1, 2, 3}, list)
  end)
end)

describe("Promise.wrap", function()
  before_each(use_virtual_loop)
  after_each(use_no_loop)

  -- Counts to n, a wait before each.
  local function counter(n)
    return Promise.wrap(function()
      for i = 1, n do coroutine.yield(await(Promise.delay(1, i))) end
    end)
  end

  local function sum(n)
    local total = 0
    for i in counter(n) do
      local value = await(i)
      total = total + value
    end
    return total
  end

  it("makes what coroutine.wrap makes", function()
    local generator = Promise.wrap(function(...)
      local second = table.pack(coroutine.yield(...))
      local third = table.pack(coroutine.yield(nil, second.n, nil))
      return third.n, ...
    end)
    assert.same(table.pack(1, nil), table.pack(generator(1, nil)))
    assert.same(table.pack(nil, 3, nil), table.pack(generator(nil, 2, nil)))
    assert.same(table.pack(0, 1, nil), table.pack(generator()))
    assert.is_false(pcall(generator))
  end)

  it("takes what can be called", function()
    local object = setmetatable({}, {__call = function(self, ...)
      coroutine.yield(self, await(...))
    end})
    assert.same({object, 1}, {Promise.wrap(object)(1)})
  end)

  -- Where a generator that awaits may be called.
  it("suspends the async call that resumes it", function()
    local call = spawn(sum, 4)
    assert.equal("pending", outcome(call))
    assert.equal(10, await(call))
  end)

  it("waits on the main thread", function()
    assert.equal(10, sum(4))
    assert.equal(4, loop.now())
  end)

  it("waits in a coroutine, yielding nothing to its consumer", function()
    local result
    local co = coroutine.create(function() result = sum(4) end)
    assert.same(table.pack(true), table.pack(coroutine.resume(co)))
    assert.same(table.pack(true), table.pack(coroutine.resume(co)))
    Promise.run()
    assert.equal(10, result)
  end)

  it("waits in a generator of a generator", function()
    local function doubled(generator)
      return Promise.wrap(function()
        for i in generator do coroutine.yield(await(2 * i)) end
      end)
    end
    assert.equal(24, Promise.run(function()
      local total = 0
      for i in doubled(doubled(counter(3))) do total = total + i end
      return total
    end))
  end)

  it("waits while other calls run", function()
    local log = {}
    local function consume(name)
      for i in counter(2) do log[#log + 1] = name .. i end
    end
    spawn(consume, "a")
    spawn(consume, "b")
    Promise.run()
    assert.same({"a1", "b1", "a2", "b2"}, log)
  end)

  it("takes no tick but those of its awaits", function()
    local log = {}
    local function note(what)
      return function() log[#log + 1] = what end
    end
    spawn(function()
      for i in Promise.wrap(function()
        coroutine.yield "a"
        await(1)
        coroutine.yield "b"
        await(Promise.resolve())
        coroutine.yield "c"
      end) do
        log[#log + 1] = i
      end
    end)
    Promise.resolve():next(note(1)):next(note(2)):next(note(3))
    helper.drain()
    assert.same({"a", "b", 1, "c", 2, 3}, log)
  end)

  it("hands arguments and values through a wait", function()
    assert.same({"fulfilled", 3, nil, 5}, {outcome(spawn(function()
      local generator = Promise.wrap(function(a)
        local b = coroutine.yield(await(a))
        await(1)
        return await(a + b), nil, b + await(b)
      end)
      generator(1)
      return generator(2), nil, 5
    end))})
    assert.same(table.pack(1, nil, 2, nil),
      table.pack(Promise.wrap(await)(Promise.fulfill(1, nil, 2, nil))))
  end)

  it("waits for a thenable", function()
    local thenable = {next = function(_, resolve) resolve(1, 2) end}
    local generator = Promise.wrap(function() return await(thenable) end)
    assert.same({"fulfilled", 1, 2}, {outcome(spawn(generator))})
  end)

  it("can be resumed by one call after another", function()
    local generator = counter(3)
    local first = spawn(generator)
    Promise.run()
    assert.same({"fulfilled", 1}, {first:status()})
    assert.equal(2, generator())
    assert.equal(3, Promise.run(generator))
  end)

  it("refuses to be resumed while it waits", function()
    local generator = counter(2)
    local first, second = spawn(generator), spawn(generator)
    first:catch(nop)
    second:catch(nop)
    Promise.run()
    assert.same({"fulfilled", 1}, {first:status()})
    assert.equal("rejected", (second:status()))
  end)

  describe("passes an error unaltered", function()
    local reason = {}

    it("that is thrown at once", function()
      local generator = Promise.wrap(throw)
      assert.same({false, reason}, {pcall(generator, reason)})
      assert.same({"rejected", "text"},
        {outcome(spawn(Promise.wrap(throw), "text"))})
    end)

    it("that is thrown after a wait", function()
      local seen
      assert.same({"fulfilled", false, reason}, {outcome(spawn(function()
        return pcall(Promise.wrap(function()
          local _ <close> = closing(function(_, e) seen = e end)
          await(1)
          throw(reason)
        end))
      end))})
      assert.equal(reason, seen)
    end)

    it("that it awaits", function()
      assert.same({"rejected", reason}, {outcome(spawn(Promise.wrap(
        function() await(Promise.reject(reason)) end)))})
    end)

    it("to its own pcall first", function()
      assert.same({"fulfilled", false, reason},
        {outcome(spawn(Promise.wrap(function()
          return pcall(await, Promise.reject(reason))
        end)))})
    end)
  end)

  it("raises when its function has ended", function()
    for _, fn in ipairs {nop, await, throw} do
      local generator = Promise.wrap(fn)
      pcall(generator)
      local ok, reason = pcall(generator)
      assert.is_false(ok)
      assert.matches("dead coroutine", reason, 1, true)
    end
  end)

  -- Places where its caller can't wait: the error is raised where it awaits.
  local refused = {
    ["a handler"] = function(fn) Promise.resolve():next(fn) end,
    ["an executor"] = function(fn) Promise.new(fn) end,
    ["'all'"] = function(fn) Promise.all(fn):catch(nop) end,
    ["'all' in an async call"] = function(fn)
      spawn(function() Promise.all(fn):catch(nop) end)
    end,
    ["table.sort in an async call"] = function(fn)
      spawn(function()
        table.sort({1, 2}, function() return fn() == nil end)
      end)
    end,
    ["a coroutine in an async call"] = function(fn)
      spawn(function() coroutine.wrap(fn)() end)
    end,
  }
  for place, call in pairs(refused) do
    it("refuses to wait in " .. place .. ", at the await", function()
      local here, reason
      local went_on = false
      local generator = Promise.wrap(function()
        reason = select(2, pcall(function()
          here = line() + 1
          await(Promise.resolve())
        end))
        coroutine.yield(nil)
        went_on = await(true)
      end)
      call(function() return (generator()) end)
      helper.drain()
      assert.matches("^spec/await_places_spec.lua:" .. here ..
        ": can't await ", reason)
      generator()
      assert.is_true(went_on)
      assert.is_true(is_consistent())
    end)
  end

  it("raises at the await when nothing could settle that", function()
    local generator = Promise.wrap(function()
      local ok, reason = pcall(await, Promise.new(nop))
      coroutine.yield(ok, reason)
      return await "on"
    end)
    local ok, reason = generator()
    assert.is_false(ok)
    assert.matches("promise still pending, nothing left to do", reason)
    assert.equal("on", generator())
  end)

  it("gives 'all' the promises that it yields", function()
    local generator = Promise.wrap(function()
      for i = 1, 3 do coroutine.yield(Promise.delay(i, i)) end
    end)
    assert.same({1, 2, 3, n = 3}, await(Promise.all(generator)))
  end)

  it("is collected while it waits, when nobody can reach it", function()
    local weak = setmetatable({}, {__mode = "k"})
    spawn(Promise.wrap(function()
      weak[coroutine.running()] = true
      await(Promise.new(nop))
    end))
    helper.drain()
    helper.collect()
    assert.is_nil(next(weak))
  end)
end)
