--- Seeing: what a program that hangs is told, and what it can ask for.

local Promise = require "cpromise"
local core = require "cpromise.core"
local child = require "spec.child"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await, spawn = Promise.await, Promise.spawn

local function nop() end

before_each(function() Promise.setLoop(virtual.new()) end)

after_each(function() Promise.setLoop(nil) end)

-- Run a program, whose chunk is called "prog". It can't go on in the end: the
-- message, its lines without what differs from run to run.
local function stuck(program)
  local env = setmetatable({
    Promise = Promise, await = await, spawn = spawn, nop = nop,
    async = Promise.async,
  }, {__index = _G})
  local ok, reason = pcall(assert(load(program, "=prog", "t", env)))
  assert.is_false(ok)
  return reason
end

local cases = {
  {"a promise that nobody settles", "await(Promise.new(nop))", [[
└─ a promise that nobody has settled]]},
  {"what is derived", "await(Promise.new(nop):next():finally(nop))", [[
└─ finally
   └─ next
      └─ a promise that nobody has settled]]},
  {"a shield", "await(Promise.shield(Promise.new(nop)))", [[
└─ shield
   └─ a promise that nobody has settled]]},
  {"a thenable", "await {next = nop}", [[
└─ a promise that follows a thenable]]},
  {"an async call, with its line", [[
local function work()
  await(Promise.new(nop)) -- line 2
end
await(spawn(work))]], [[
└─ an async call at prog:2
   └─ a promise that nobody has settled]]},
  {"calls in calls", [[
local inner = async(function() await(Promise.new(nop)) end)
local function outer()
  local function named() await(inner()) end
  named()
end
Promise.run(outer)]], [[
└─ an async call at prog:3 in function 'named'
   └─ an async call at prog:1
      └─ a promise that nobody has settled]]},
  {"the elements of a combinator that are missing", [[
await(Promise.all {1, Promise.resolve(), Promise.new(nop), {next = nop}})
]], [[
└─ Promise.all, 2 to come
   ├─ a promise that nobody has settled
   └─ a promise that follows a thenable]]},
  {"every other combinator", [[
local p = Promise.new(nop)
await(Promise.allSettled {Promise.any {Promise.race {Promise.select {p}}}})
]], [[
└─ Promise.allSettled, 1 to come
   └─ Promise.any, 1 to come
      └─ Promise.race, 1 to come
         └─ Promise.select, 1 to come
            └─ a promise that nobody has settled]]},
  {"a semaphore", [[
local semaphore = Promise.semaphore(1)
local permit = await(semaphore:acquire())
await(semaphore:acquire())]], [[
└─ acquire from a semaphore without a free permit
   └─ held at prog:3]]},
  {"who holds the permits of a semaphore", [[
local semaphore = Promise.semaphore(2)
local function holder()
  local permit <close> = await(semaphore:acquire())
  await(Promise.new(nop)) -- line 4
end
local holders = {spawn(holder), spawn(holder)}
await(semaphore:acquire(holders))]], [[
└─ acquire from a semaphore without a free permit
   ├─ held by the call at prog:4
   │  └─ a promise that nobody has settled
   └─ held by the call at prog:4
      └─ a promise that nobody has settled]]},
  {"a circle of those who hold permits", [[
local first, second = Promise.semaphore(1), Promise.semaphore(1)
local function take(one, other)
  local permit <close> = await(one:acquire())
  await(1)
  await(other:acquire()) -- line 5
end
local a, b = spawn(take, first, second), spawn(take, second, first)
await(Promise.all {a, b})]], [[
└─ Promise.all, 2 to come
   ├─ an async call at prog:5
   │  └─ acquire from a semaphore without a free permit
   │     └─ held by the call at prog:5
   │        └─ acquire from a semaphore without a free permit
   │           └─ held by the call at prog:5: a cycle, it is above
   └─ an async call at prog:5: see above]]},
  {"a channel that is empty", "for _ in Promise.channel() do end", [[
└─ receive from a channel of capacity 0 that is empty]]},
  {"a channel that is full", [[
local channel = Promise.channel(1)
await(channel:send(1))
await(channel:send(2))]], [[
└─ send to a channel of capacity 1 that holds 1]]},
  {"a channel without a limit",
    "await(Promise.channel(math.huge):receive())", [[
└─ receive from a channel without a limit that is empty]]},
  {"an event", "await(Promise.event():wait())", [[
└─ wait for an event that is not set]]},
  {"a scope", [[
Promise.run(function()
  await(Promise.scope(function(scope)
    scope:spawn(function() await(Promise.new(nop)) end)
    scope:spawn(await, Promise.event():wait())
  end))
end)]], [[
└─ an async call at prog:2
   └─ Promise.scope
      ├─ an async call at prog:3
      │  └─ a promise that nobody has settled
      └─ an async call
         └─ wait for an event that is not set]]},
  {"the end of a block", [[
do
  local scope <close> = Promise.scope()
  scope:spawn(function() await(Promise.new(nop)) end)
end]], [[
└─ an async call at prog:3
   └─ a promise that nobody has settled]]},
  {"map", [[
await(Promise.map({1, 2}, function() await(Promise.new(nop)) end))]], [[
└─ Promise.map
   ├─ an async call at prog:1 in function 'fn'
   │  └─ a promise that nobody has settled
   └─ an async call at prog:1 in function 'fn'
      └─ a promise that nobody has settled]]},
  {"retry",
    "await(Promise.retry(function() await(Promise.new(nop)) end))", [[
└─ Promise.retry
   └─ an async call at prog:1
      └─ a promise that nobody has settled]]},
  {"asCompleted", [[
Promise.run(function()
  for _ in Promise.asCompleted {Promise.new(nop)} do nop() end
end)]], [[
└─ an async call at prog:2
   └─ a promise that nobody has settled]]},
  {"a generator", [[
Promise.run(function()
  for _ in Promise.wrap(function() await(Promise.new(nop)) end) do nop() end
end)]], [[
└─ an async call at prog:2
   └─ a promise that nobody has settled]]},
  {"a generator on the main thread",
    "Promise.wrap(function() await(Promise.new(nop)) end)()", [[
└─ a promise that nobody has settled]]},
  {"a circle", [[
local first, second
first = spawn(function() await(Promise.resolve()) await(second) end)
second = spawn(function() await(first) end)
await(first)]], [[
└─ an async call at prog:2
   └─ an async call at prog:3
      └─ an async call at prog:2: a cycle, it is above]]},
  {"what two wait for, once", [[
local inner = spawn(function() await(Promise.new(nop)) end)
await(Promise.all {inner, inner:next(nop)})]], [[
└─ Promise.all, 2 to come
   ├─ an async call at prog:1
   │  └─ a promise that nobody has settled
   └─ next
      └─ an async call at prog:1: see above]]},
}

describe("nothing left to do", function()
  for _, case in ipairs(cases) do
    it("names " .. case[1], function()
      local reason = stuck(case[2])
      assert.matches(
        "^prog:%d+: promise still pending, nothing left to do:\n", reason)
      assert.equal(case[3], (reason:gsub("^[^\n]*\n", "")))
    end)
  end

  it("stands at the line of the caller", function()
    for program, line in pairs {
      ["\nPromise.run(function() await(Promise.new(nop)) end)"] = 2,
      ["\n\nawait(Promise.new(nop))"] = 3,
      ["local p = Promise.new(nop)\np:await()"] = 2,
      ["\nfor _ in Promise.channel() do end"] = 2,
      ["Promise.pawait(Promise.new(nop))"] = 1,
    } do
      assert.matches(("^prog:%d: "):format(line), stuck(program))
    end
  end)

  it("draws a long chain and a broad one in part", function()
    local lines = select(2, stuck [[
local p = Promise.new(nop)
for _ = 1, 1000 do p = p:next(nop) end
await(p)]]:gsub("\n", ""))
    assert.is_true(lines < 50)
    lines = select(2, stuck [[
local list = {}
for i = 1, 1000 do list[i] = Promise.new(nop) end
await(Promise.all(list))]]:gsub("\n", ""))
    assert.is_true(lines < 110)
  end)

  it("looks at no more of a long chain of calls", function()
    local reason = stuck [[
local p = Promise.new(nop)
for _ = 1, 1000 do
  local inner = p
  p = spawn(function() await(inner) end)
end
await(p)]]
    assert.matches("%.%.%.$", reason)
  end)
end)

-- What a function writes to a file.
local function written(fn)
  local file = io.tmpfile()
  fn(file)
  file:seek "set"
  local text = file:read "a"
  file:close()
  return text
end

describe("Promise.dump", function()
  local function dump() return written(Promise.dump) end

  it("says that no call waits", function()
    helper.collect()
    assert.equal("cpromise: no async call waits\n", dump())
  end)

  it("draws all calls, each below who waits for it", function()
    local event = Promise.event()
    local inner = spawn(function() await(event:wait()) end)
    local outer = spawn(function() await(inner) end)
    local text = dump()
    assert.matches("^cpromise: async calls that wait, and for what\n" ..
      "└─ an async call at spec/see_spec.lua:%d+\n" ..
      "   └─ an async call at spec/see_spec.lua:%d+\n" ..
      "      └─ wait for an event that is not set\n$", text)
    event:set()
    helper.drain()
    assert.equal("fulfilled", (outer:status()))
    assert.equal("cpromise: no async call waits\n", dump())
  end)

  it("finds calls wherever they are kept", function()
    local places = {
      table = function(call) return {call} end,
      key = function(call) return {[call] = true} end,
      upvalue = function(call) return function() return call end end,
      coroutine = function(call)
        local co = coroutine.create(function(p)
          coroutine.yield()
          return p
        end)
        coroutine.resume(co, call)
        return co
      end,
      vararg = function(call)
        local co = coroutine.create(function(...)
          coroutine.yield()
          return ...
        end)
        coroutine.resume(co, call)
        return co
      end,
      ["coroutine not started"] = function(call)
        return coroutine.create(function() return call end)
      end,
      metatable = function(call) return setmetatable({}, {call}) end,
      ["resolving function"] = function() return nil end,
    }
    for place, keep in pairs(places) do
      local p, resolve = Promise.withResolvers()
      local kept = keep(spawn(function() await(p) end))
      assert.equal(2, select(2, dump():gsub("\n", "")) - 1, place)
      resolve()
      helper.drain()
      assert.is_true(kept ~= 1)
    end
  end)

  it("draws circles, which nobody else waits for", function()
    local first, second
    first = spawn(function() await(Promise.resolve()) await(second) end)
    second = spawn(function() await(first) end)
    helper.drain()
    assert.equal(4, select(2, dump():gsub("\n", "")))
    first:cancel()
    helper.drain()
  end)

  it("shows a delay's time", function()
    local call = spawn(function() await(Promise.delay(90)) end)
    assert.matches("a delay, due in 90 seconds\n", dump())
    call:cancel()
    helper.drain()
  end)

  it("runs no code of the program's", function()
    local function fail() error "ran" end
    local kept = setmetatable({}, {
      __index = fail, __newindex = fail, __pairs = fail, __len = fail,
      __eq = fail, __tostring = fail, __metatable = false, __gc = fail,
    })
    dump()
    assert.equal("table", type(kept))
    debug.setmetatable(kept, nil)
  end)

  it("lets no finalizer run in between", function()
    local ran_within, within = false, false
    for _ = 1, 1000 do
      setmetatable({}, {__gc = function()
        ran_within = ran_within or within
      end})
    end
    within = true
    local calls = core.calls()
    within = false
    assert.equal("table", type(calls))
    assert.is_false(ran_within)
    assert.is_true(collectgarbage "isrunning")
  end)

  it("leaves a collector alone that was stopped", function()
    collectgarbage "stop"
    dump()
    local is_running = collectgarbage "isrunning"
    collectgarbage "restart"
    assert.is_false(is_running)
  end)

  it("works in a handler, an executor and an async function", function()
    local texts = {}
    local function note() texts[#texts + 1] = dump() end
    Promise.resolve():next(note)
    Promise.new(note)
    spawn(note)
    helper.drain()
    assert.equal(3, #texts)
  end)

  it("writes to standard error", function()
    assert.equal("cpromise: no async call waits\n", (child.run [[
      require "cpromise".dump()]]))
  end)

  it("leaves out a call that runs", function()
    local texts = {}
    spawn(function()
      texts[1] = dump()
      await(1)
      texts[2] = dump()
    end)
    helper.drain()
    for i = 1, 2 do
      assert.equal("cpromise: no async call waits\n", texts[i])
    end
    local inner
    spawn(function()
      local me
      me = spawn(function() await(Promise.resolve()) inner = me end)
      await(me)
    end)
    helper.drain()
    assert.equal("fulfilled", (inner:status()))
  end)

  it("says of a call that it runs if somebody waits for it", function()
    local p, what
    p = spawn(function()
      await(1)
      what = Promise.inspect(p)
    end)
    helper.drain()
    assert.equal("an async call that runs", what.label)
    assert.same({}, what.waits)
  end)

  it("refuses what is no open file", function()
    local _, reason = pcall(function() Promise.dump "name" end)
    assert.matches("^spec/see_spec.lua:%d+: bad argument #1 to 'dump' " ..
      "%(open file expected, got string%)", reason)
    local file = io.tmpfile()
    file:close()
    assert.error_matches(function() Promise.dump(file) end, "open file")
  end)
end)

describe("where a coroutine waits", function()
  it("is nowhere if it is none", function()
    assert.is_nil(core.where(nil))
    assert.is_nil(core.where "text")
  end)
end)

describe("Promise.pending", function()
  it("gives trees of tables", function()
    local event = Promise.event()
    local inner = spawn(function() await(event:wait()) end)
    local outer = spawn(function() await(inner) end)
    local roots = Promise.pending()
    assert.equal(1, #roots)
    assert.equal(outer, roots[1].promise)
    assert.matches("^spec/see_spec.lua:%d+$", roots[1].where)
    assert.equal(inner, roots[1].waits[1].promise)
    assert.equal("wait for an event that is not set",
      roots[1].waits[1].waits[1].label)
    event:set()
    helper.drain()
    assert.equal("fulfilled", (outer:status()))
  end)
end)

describe("Promise.inspect", function()
  it("tells what a pending promise waits for", function()
    local p = Promise.new(nop)
    local what = Promise.inspect(p:next(nop))
    assert.equal("pending", what.state)
    assert.equal("next", what.label)
    assert.equal(p, what.waits[1].promise)
  end)

  it("tells the values or the reason of a settled one", function()
    local what = Promise.inspect(Promise.resolve(1, nil))
    assert.equal("fulfilled", what.state)
    assert.same({1, nil, n = 2}, what.values)
    local p = Promise.try(error, "reason"):ignore()
    what = Promise.inspect(p)
    assert.same({"rejected", "reason"}, {what.state, what.reason})
    assert.equal(p:traceback(), what.traceback)
  end)

  it("refuses what is no promise", function()
    local _, reason = pcall(function()
      local what = Promise.inspect(1)
      return what
    end)
    assert.matches("^spec/see_spec.lua:%d+: bad argument #1 to 'inspect' " ..
      "%(promise expected, got number%)", reason)
  end)
end)
