--- What a library inside other people's processes must survive: programs
--- that end, raise, close and call in the worst places.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await, spawn = Promise.await, Promise.spawn

local function nop() end

local function closing(f)
  return setmetatable({}, {__close = f})
end

local function same(a, b)
  return rawequal(a, b) or a ~= a and b ~= b
end

--- The queue runs what is added to it, once and in order.
local function assert_alive()
  local log = {}
  for i = 1, 3 do
    Promise.resolve(i):next(function(v) log[#log + 1] = v end)
  end
  local call = spawn(function()
    return await(1) + await(Promise.resolve(2))
  end)
  helper.drain()
  assert.same({1, 2, 3}, log)
  assert.same({"fulfilled", 3}, {call:status()})
end

describe("a thousand Lua states", function()
  it("free all they have when they close, in any order", function()
    local n = helper.scaled(1000)
    local text, status = child.run([=[
      local alloc = require "support.alloc"
      local n = tonumber(arg[1])
      local states = {}
      for i = 1, n do
        states[i] = alloc.open()
        assert(states[i]:run [[
          Promise = require "cpromise"
          local await, spawn = Promise.await, Promise.spawn
          local function pass(...) return ... end
          gate, open = Promise.withResolvers()
          gate:next(pass):finally(function() return gate end)
          Promise.all {gate, 1, Promise.reject "element"}:catch(pass)
          Promise.reject "nobody handles it"
          local function wait()
            local _ <close> = setmetatable({}, {__close = function()
              open "closed"
            end})
            return await(gate)
          end
          spawn(wait)
          spawn(function() for v in Promise.wrap(wait) do await(v) end end)
          coroutine.wrap(wait)()
          Promise.onUnhandledRejection(pass)
          setmetatable({}, {__gc = function() gate:next(open) end})
        ]])
        if i % 3 == 0 then assert(states[i]:run "Promise.drain()") end
        if i % 5 == 0 then assert(states[i]:run "open(1)") end
        if i % 7 == 0 then assert(states[i]:run "Promise.drain(2)") end
      end
      local held = 0
      for i = 1, n do held = held + states[i * 389 % n + 1]:close() end
      print("held", held)
    ]=], tostring(n))
    assert.equal(0, status, text)
    assert.matches("held\t0\n", text)
    local _, reports = text:gsub("cpromise: [^\n]*\n", "")
    assert.is_true(reports > n // 2)
  end)
end)

describe("os.exit", function()
  -- Where it is called, as a program in which it is `exit`.
  local places = {
    ["a handler"] = "gate:next(exit) open()",
    ["the last handler of a chain"] =
      "gate:next(f):next(f):finally(f):next(exit) open()",
    ["an executor"] = "Promise.new(exit)",
    ["an async function"] = "spawn(exit)",
    ["an async function that waited"] =
      "spawn(function() await(gate) exit() end) open()",
    ["a variable that an async function closes"] = [[
      spawn(function()
        local _ <close> = setmetatable({}, {__close = exit})
        await(gate)
      end)
      open()]],
    ["a generator"] = [[
      spawn(function()
        for _ in Promise.wrap(function() await(gate) exit() end) do f() end
      end)
      open()]],
    ["a coroutine that waited"] =
      "coroutine.wrap(function() await(gate) exit() end)() open()",
    ["the hook for rejections"] =
      "Promise.onUnhandledRejection(exit) Promise.reject()",
    ["a finalizer"] = [[
      gate:next(function()
        setmetatable({}, {__gc = exit})
        collectgarbage()
      end)
      open()]],
    ["the method of a thenable"] = "Promise.resolve {next = exit}",
    ["a getter"] = "Promise.resolve(setmetatable({}, {__index = exit}))",
    ["an iterator"] = "Promise.all(exit)",
    ["a closing value"] =
      "Promise.all(f, nil, nil, setmetatable({}, {__close = exit}))",
    ["a microtask"] = "Promise.queueMicrotask(exit)",
    ["the loop's wake"] = [[
      Promise.setLoop {wake = exit, step = f, now = f, timer = f, cancel = f,
        inside = f}
      open()]],
    ["a timer"] = [[
      Promise.setLoop(require "cpromise.loop.virtual")
      Promise.loop().timer(1, exit)
      Promise.run()]],
    ["a function of Promise.run"] = "Promise.run(exit)",
    ["a reason that is shown"] =
      "Promise.reject(setmetatable({}, {__tostring = exit}))",
  }
  local program = [[
    local Promise = require "cpromise"
    local await, spawn = Promise.await, Promise.spawn
    local function exit() os.exit(7, arg[1] == "close") end
    local function f() end
    local gate, open = Promise.withResolvers()
    -- in flight when the program ends
    local p = Promise.race {gate, Promise.resolve(1)}
    spawn(function() for _ = 1, 100 do await(p:next(f)) end end)
    coroutine.wrap(function() await(Promise.new(f)) end)()
    Promise.queueMicrotask(f)
    %s
    Promise.drain()
    print "still there"
  ]]
  for place, code in pairs(places) do
    it("ends the program in " .. place, function()
      local text, status = child.run(program:format(code))
      assert.same({"", 7}, {text, status})
    end)

    it("closes the state in " .. place, function()
      local text, status = child.run(program:format(code), "close")
      assert.equal(7, status, text)
      for line in text:gmatch "[^\n]+" do
        assert.matches("^cpromise: .*Promise.run%(%)$", line)
      end
    end)
  end
end)

-- Anything that can be an error; some of it can't be shown.
local function shown_by(f)
  return setmetatable({}, {__tostring = f})
end
local reasons = {
  {"nil", nil}, {"false", false}, {"NaN", 0 / 0}, {"an integer", 42},
  {"a string", "text"}, {"an empty string", ""}, {"a table", {}},
  {"a function", nop}, {"a C function", print},
  {"a coroutine", coroutine.create(nop)},
  {"a coroutine that runs", (coroutine.running())},
  {"a file", io.stdout}, {"a promise", Promise.resolve(1)},
  {"a thenable", {next = error}},
  {"an object with a raising getter", setmetatable({}, {__index = error})},
  {"an object whose __tostring raises", shown_by(error)},
  {"an object whose __tostring yields", shown_by(coroutine.yield)},
  {"an object whose __tostring awaits", shown_by(await)},
  {"an object whose __tostring returns a table", shown_by(function(t)
    return t
  end)},
}

describe("any error", function()
  -- Promises that reject when f raises.
  local places = {
    ["an executor"] = Promise.new,
    ["Promise.try"] = Promise.try,
    ["a handler of next"] = function(f) return Promise.resolve():next(f) end,
    ["a handler of catch"] = function(f) return Promise.reject():catch(f) end,
    ["a handler of finally"] = function(f)
      return Promise.resolve():finally(f)
    end,
    ["the method of a thenable"] = function(f)
      return Promise.resolve {next = f}
    end,
    ["a getter"] = function(f)
      return Promise.resolve(setmetatable({}, {__index = f}))
    end,
    ["the getter of a handler's result"] = function(f)
      return Promise.resolve():next(function()
        return setmetatable({}, {__index = f})
      end)
    end,
    ["an iterator"] = Promise.all,
    ["a closing value"] = function(f)
      return Promise.any(nop, nil, nil, closing(f))
    end,
    ["the getter of an element"] = function(f)
      return Promise.race(setmetatable({n = 1}, {__index = f}))
    end,
    ["the length of a sequence"] = function(f)
      return Promise.allSettled(setmetatable({}, {__len = f}))
    end,
    ["the getter of a keyed element"] = function(f)
      return Promise.allKeyed {a = setmetatable({}, {__index = f})}
    end,
    ["an async function"] = spawn,
    ["an async function that waited"] = function(f)
      return spawn(function()
        await(1)
        f()
      end)
    end,
    ["a variable that an async function closes"] = function(f)
      return spawn(function()
        local _ <close> = closing(f)
        await(1)
      end)
    end,
    ["a getter of what is awaited"] = function(f)
      return spawn(function() await(setmetatable({}, {__index = f})) end)
    end,
    ["a generator"] = function(f)
      return spawn(function()
        return Promise.wrap(function()
          await(1)
          f()
        end)()
      end)
    end,
    ["a function with a callback"] = function(f)
      return Promise.promisify(f)()
    end,
  }
  for place, run in pairs(places) do
    it("is the reason as it is, raised by " .. place, function()
      for _, case in ipairs(reasons) do
        local name, reason = case[1], case[2]
        local p
        helper.unhandled(function()
          p = run(function() error(reason, 0) end)
        end)
        local status, got = p:status()
        assert.equal("rejected", status, name)
        assert.is_true(same(helper.thrown(reason), got), name)
      end
      assert_alive()
    end)
  end

  -- Where no promise could reject.
  local none = {
    ["a microtask"] = Promise.queueMicrotask,
    ["a coroutine that waited"] = function(f)
      coroutine.wrap(function()
        await(1)
        f()
      end)()
    end,
    ["the loop's wake"] = function(f)
      Promise.setLoop {wake = f, step = nop, now = nop, timer = nop,
        cancel = nop, inside = nop}
      Promise.queueMicrotask(nop)
      Promise.setLoop(nil)
    end,
    ["a timer"] = function(f)
      local loop = virtual.new()
      loop.timer(1, f)
      loop.step()
    end,
  }
  for place, run in pairs(none) do
    it("is reported as it is, raised by " .. place, function()
      for _, case in ipairs(reasons) do
        local name, reason = case[1], case[2]
        local reports = helper.unhandled(function()
          run(function() error(reason, 0) end)
        end)
        assert.equal(1, #reports, name)
        assert.is_true(same(helper.thrown(reason), reports[1].reason), name)
        assert.is_nil(reports[1].promise)
      end
      assert_alive()
    end)
  end

  -- On standard error, with all that can't be shown.
  local function report(hook)
    return child.run([[
      local Promise = require "cpromise"
      local function shown_by(f)
        return setmetatable({}, {__tostring = f})
      end
      local ran = 0
      for _, reason in ipairs {false, 0 / 0, 42, "text", {}, print, io.stdout,
          coroutine.create(print), Promise.resolve(1), shown_by(error),
          shown_by(coroutine.yield), shown_by(Promise.await),
          shown_by(function(t) return t end)} do
        ]] .. hook .. [[
        Promise.reject(reason)
        Promise.queueMicrotask(error, reason)
        Promise.drain()
        Promise.queueMicrotask(function() ran = ran + 1 end)
        Promise.drain()
      end
      print("ran", ran)
    ]])
  end

  it("is reported whether or not it can be shown", function()
    local text, status = report ""
    assert.equal(0, status)
    assert.matches("ran\t13\n", text)
    assert.equal(8, select(2, text:gsub("a reason that can't be shown", "")))
    assert.equal(13, select(2, text:gsub("unhandled rejection: ", "")))
    assert.equal(13, select(2, text:gsub("unhandled error: ", "")))
  end)

  it("is reported when the hook raises it", function()
    local text, status = report
      "Promise.onUnhandledRejection(function() error(reason, 0) end)"
    assert.equal(0, status)
    assert.matches("ran\t13\n", text)
    assert.equal(16, select(2, text:gsub("a reason that can't be shown", "")))
    assert.equal(26, select(2, text:gsub("error in the hook for that", "")))
  end)
end)

describe("a coroutine in the library's hands", function()
  local gate, open, co, promise

  -- They leave the coroutine in `co`, and a promise of its end.
  local victims = {
    ["an async call that waits"] = function()
      promise = spawn(function()
        co = coroutine.running()
        return await(gate)
      end)
    end,
    ["an async call that waits for a value"] = function()
      promise = spawn(function()
        co = coroutine.running()
        return await(1)
      end)
    end,
    ["a generator that awaits in a call"] = function()
      promise = spawn(function()
        return Promise.wrap(function()
          co = coroutine.running()
          return await(gate)
        end)()
      end)
    end,
    ["a call whose generator awaits"] = function()
      promise = spawn(function()
        co = coroutine.running()
        return Promise.wrap(function() return await(gate) end)()
      end)
    end,
    ["a generator between two values"] = function()
      promise = spawn(function()
        local generator = Promise.wrap(function()
          co = coroutine.running()
          coroutine.yield(1)
          return 2
        end)
        generator()
        await(gate)
        return generator()
      end)
    end,
    ["a coroutine of the program that waits"] = function()
      local ended
      promise, ended = Promise.withResolvers()
      co = coroutine.create(function()
        ended(await(gate))
      end)
      coroutine.resume(co)
    end,
  }
  -- Whether the coroutine still ends by itself afterwards.
  local acts = {
    {"is closed", function() assert(coroutine.close(co)) end, false},
    {"is resumed", function() coroutine.resume(co, "wrong") end, true},
    {"is resumed through pcall, twice", function()
      pcall(coroutine.resume, co, nil, 1)
      pcall(coroutine.resume, co)
    end, true},
    {"is forgotten amid a collection", function()
      co = nil
      helper.collect()
    end, true},
    {"has its hook set", function() debug.sethook(co, nop, "crl", 1) end,
      true},
    {"is closed amid a collection", function()
      coroutine.close(co)
      co = nil
      helper.collect()
    end, false},
  }
  -- Where that happens.
  local places = {
    ["the main program"] = function(f) f() end,
    ["a handler"] = function(f) Promise.resolve():next(f) end,
    ["a handler of what it awaits"] = function(f)
      gate:next(f)
      open "late"
    end,
    ["an executor"] = Promise.new,
    ["an async function"] = spawn,
    ["an async function that waited"] = function(f)
      spawn(function()
        await(Promise.resolve())
        f()
      end)
    end,
    ["a getter"] = function(f)
      Promise.all {setmetatable({}, {__index = f})}
    end,
  }

  for victim, make in pairs(victims) do
    for _, act in ipairs(acts) do
      it(("survives if %s %s"):format(victim, act[1]), function()
        for _, run in pairs(places) do
          co, promise = nil, nil
          gate, open = Promise.withResolvers()
          make()
          helper.unhandled(function()
            run(function() if co and coroutine.status(co) == "suspended" then
              act[2]()
            end end)
          end)
          helper.unhandled(function() open "late" end)
          if act[3] and victim ~= "a generator between two values" then
            assert.equal("fulfilled", (promise:status()))
          elseif not victim:find "of the program" then
            assert.not_equal("pending", (promise:status()))
          end
          assert_alive()
        end
      end)
    end
  end

  it("can't be resumed by itself", function()
    local resumed
    local call = spawn(function()
      await(1)
      resumed = coroutine.resume(coroutine.running())
      return await "on"
    end)
    helper.drain()
    assert.is_false(resumed)
    assert.same({"fulfilled", "on"}, {call:status()})
  end)

  it("can't be closed by itself, or ends with nothing", function()
    local closed
    local call = spawn(function()
      await(1)
      closed = pcall(coroutine.close, coroutine.running())
      return await "on"
    end)
    helper.drain()
    if closed == nil then -- Lua 5.5
      assert.same({"fulfilled"}, {call:status()})
    else
      assert.is_false(closed)
      assert.same({"fulfilled", "on"}, {call:status()})
    end
  end)

  it("can't be closed by a call that it started", function()
    local closed
    local call = spawn(function()
      local me = coroutine.running()
      await(spawn(function() closed = pcall(coroutine.close, me) end))
      return await "on"
    end)
    helper.drain()
    assert.is_false(closed)
    assert.same({"fulfilled", "on"}, {call:status()})
  end)

  it("tells the main program if a job closed its generator", function()
    local generator = Promise.wrap(function()
      local me = coroutine.running()
      Promise.resolve():next(function() coroutine.close(me) end)
      await(Promise.resolve():next(nop):next(nop))
    end)
    local ok, err = pcall(generator)
    assert.is_false(ok)
    assert.matches("dead coroutine", err, 1, true)
    assert_alive()
  end)
end)

describe("a promise without its metatable", function()
  local methods = debug.getmetatable(Promise.resolve()).__index
  local function strip(p)
    return debug.setmetatable(p, nil)
  end

  local makers = {
    pending = function() return (Promise.withResolvers()) end,
    fulfilled = function() return Promise.resolve(1, 2) end,
    rejected = function()
      local p = Promise.reject "reason"
      p:catch(nop)
      return p
    end,
  }
  for state, make in pairs(makers) do
    for name, method in pairs(methods) do
      it(("is refused by %s, %s"):format(name, state), function()
        local ok, err = pcall(method, strip(make()), nop)
        if name == "await" then -- takes any value
          assert.is_true(ok)
        else
          assert.is_false(ok)
          assert.matches("promise expected, got userdata", err, 1, true)
        end
        assert_alive()
      end)
    end

    it("is a value like any other, " .. state, function()
      local p = strip(make())
      assert.is_false(Promise.is(p))
      for _, name in ipairs {"resolve", "fulfill", "delay"} do
        Promise.setLoop(virtual.new())
        local q = name == "delay" and Promise.delay(1, p) or Promise[name](p)
        Promise.run()
        Promise.setLoop(nil)
        assert.same({"fulfilled", p}, {q:status()})
      end
      assert.equal(p, Promise.run(function() return await(p) end))
      local all = Promise.all {p, Promise.resolve(2)}
      local race = Promise.race {p}
      helper.drain()
      assert.equal(p, select(2, all:status())[1])
      assert.equal(p, select(2, race:status()))
    end)
  end

  it("still settles what waits for it", function()
    local p, resolve = Promise.withResolvers()
    local q = p:next(function(v) return v + 1 end)
    local all = Promise.all {p}
    local call = spawn(function() return await(p) end)
    strip(p)
    resolve(1)
    helper.drain()
    assert.same({"fulfilled", 2}, {q:status()})
    assert.same({1, n = 1}, select(2, all:status()))
    assert.same({"fulfilled", 1}, {call:status()})
  end)

  it("is no trouble when a job strips it", function()
    local p, resolve = Promise.withResolvers()
    local seen = {}
    local q
    q = p:next(function(v)
      strip(p)
      strip(q)
      return v + 1
    end)
    q:next(function(v) seen[#seen + 1] = v end)
    p:next(function(v) seen[#seen + 1] = v end)
    resolve(1)
    helper.drain()
    assert.same({1, 2}, seen)
  end)

  it("is reported if it is a rejection", function()
    local p
    local seen = helper.unhandled(function()
      p = strip(Promise.reject "reason")
    end)
    assert.equal(p, seen[1].promise)
    assert.equal("reason", seen[1].reason)
  end)
end)

describe("a wrong argument", function()
  local light = debug.upvalueid(function() return nop end, 1)
  local wrong = {
    {"nil", nil}, {"a boolean", true}, {"a number", 1.5},
    {"a negative number", -1}, {"NaN", 0 / 0}, {"a string", "next"},
    {"a table", {}}, {"the library", Promise}, {"a file", io.stdout},
    {"light userdata", light}, {"a coroutine", coroutine.create(nop)},
    {"the metatable", debug.getmetatable(Promise.resolve())},
    {"a table with the metatable",
      setmetatable({}, debug.getmetatable(Promise.resolve()))},
  }

  before_each(function() Promise.setLoop(virtual.new()) end)
  after_each(function() Promise.setLoop(nil) end)

  local function call_all(functions, check)
    for name, f in pairs(functions) do
      for _, case in ipairs(type(f) == "function" and wrong or {}) do
        helper.unhandled(function()
          check(name .. " of " .. case[1],
            name, pcall(f, case[2], case[2], case[2]))
        end)
      end
    end
    assert_alive()
  end

  it("as self is refused by every method", function()
    local methods = debug.getmetatable(Promise.resolve()).__index
    call_all(methods, function(what, name, ok, err)
      if name == "await" then return end -- takes any value
      assert.is_false(ok, what)
      assert.matches("bad argument #1 to", err, 1, true, what)
      assert.is_true(err:find "promise expected, got" ~= nil or
        err:find "use '.', not ':'" ~= nil, what)
    end)
  end)

  it("is taken or refused by every function", function()
    local functions = {}
    for name, f in pairs(Promise) do functions[name] = f end
    functions.onUnhandledRejection = nil -- would take nil for no hook
    functions.onRejectionHandled = nil -- likewise
    functions.dump = nil -- would write
    functions.main = nil -- would end the process
    call_all(functions, function(what, _, ok, err)
      if not ok then assert.equal("string", type(err), what) end
    end)
  end)
end)

describe("a debug hook that raises", function()
  -- All of it with a hook that raises at the n-th event, here and in the
  -- coroutines. Returns whether that happened.
  local function run(mask, n)
    local left, raised = n, false
    local function hook()
      left = left - 1
      if left == 0 then
        raised = true
        error "hook"
      end
    end
    local function arm()
      debug.sethook(hook, mask, mask == "" and 1 or 0)
    end
    local runs = {}
    local gate, open = Promise.withResolvers()
    local made = {gate}
    local function job(i)
      runs[i] = 0
      return function(...)
        runs[i] = runs[i] + 1
        return ...
      end
    end
    local function program()
      made[2] = gate:next(job(1)):finally(job(2))
      made[3] = Promise.new(function(resolve) resolve(gate) end)
      made[4] = Promise.all(ipairs {gate, made[3], 1})
      made[5] = spawn(function()
        arm()
        for v in Promise.wrap(function()
          arm()
          coroutine.yield(await(gate))
        end) do
          await(v)
        end
      end)
      made[6] = Promise.any {Promise.resolve {next = function(_, resolve)
        resolve(gate)
      end}}
      open(1)
      Promise.drain()
    end
    helper.unhandled(function()
      pcall(function()
        arm()
        program()
        debug.sethook()
      end)
      debug.sethook()
      open(1)
    end)
    helper.drain()
    for _, p in pairs(made) do assert.not_equal("pending", (p:status())) end
    for _, count in pairs(runs) do assert.is_true(count <= 1) end
    return raised
  end

  for name, mask in pairs {instructions = "", lines = "l", calls = "c",
      returns = "r"} do
    it(("does no harm, counting %s"):format(name), function()
      local n = 1
      while run(mask, n) do n = n + 1 end
      assert.is_true(n > 10)
      assert_alive()
    end)
  end
end)
