--- What happens at the limits: of Lua's stack, of its C stack, of memory;
--- and with parts of Lua that the program has changed.

local Promise = require "cpromise"
local helper = require "spec.helper"
local alloc = require "support.alloc"
local virtual = require "cpromise.loop.virtual"

local await, pawait = Promise.await, Promise.pawait

local function ignore() end

--- Nearly as many values as Lua's stack can take, and no more than that
--- where it isn't deep.
local many = 900000
local overflow = "stack overflow (too many values)"

local values
local function unpack_many() return table.unpack(values, 1, many) end

--- What f returns, called where the stack has no room for so many values.
--- The table makes it a call that keeps its frame.
local function deep(f, n)
  n = n or 40000
  if n == 0 then return f() end
  return (table.unpack {deep(f, n - 1)})
end

describe("a promise of more values than the stack has room for", function()
  local p, q

  setup(function()
    values = {}
    for i = 1, many do values[i] = i end
    p = Promise.fulfill(unpack_many())
    q = Promise.fulfill({}, unpack_many())
  end)

  teardown(function() values, p, q = nil, nil, nil end)

  --- The reason of the promise that `make` returns, settled deep.
  local function reason(make)
    return deep(function()
      local made = make()
      made:catch(ignore)
      return select(2, helper.outcome(made))
    end)
  end

  it("tells its values where there is room", function()
    assert.equal(many + 1, select("#", p:status()))
  end)

  it("raises instead of telling them", function()
    assert.equal(overflow, deep(function()
      return select(2, pcall(p.status, p))
    end))
  end)

  local ways = {
    ["a handler that gets them"] = function() return p:next(ignore) end,
    ["a promise that takes its outcome"] = function() return q:next() end,
    ["one that follows it"] = function()
      return (Promise.resolve(1):next(function() return q end))
    end,
    ["select, whose first one has them"] = function()
      return Promise.select {p}
    end,
    ["an async function that returns them"] = function()
      return Promise.spawn(unpack_many)
    end,
  }
  for name, make in pairs(ways) do
    it("rejects " .. name, function()
      assert.equal(overflow, reason(make))
    end)
  end

  it("raises from await on a full stack", function()
    local call = Promise.spawn(function()
      return deep(function() return pawait(p) end)
    end)
    call:catch(ignore)
    local status, why = helper.outcome(call)
    assert.equal("rejected", status)
    assert.equal(overflow, why)
  end)

  it("is reported by the microtask that gets them", function()
    local seen = helper.unhandled(function()
      Promise.queueMicrotask(ignore, unpack_many())
      deep(helper.drain)
    end)
    assert.equal(1, #seen)
    assert.equal(overflow, seen[1].reason)
  end)
end)

describe("the queue in the message handler of a C stack overflow", function()
  it("rejects calls that can't be resumed", function()
    local p, resolve = Promise.withResolvers()
    local closed = false
    local call = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        closed = true
      end})
      return await(p)
    end)
    call:catch(ignore)
    resolve(1)
    local function recurse() string.gsub("x", "x", recurse) end
    local drained
    assert.is_false(xpcall(recurse, function()
      drained = drained or Promise.drain()
    end))
    assert.equal(2, drained)
    local status, why = helper.outcome(call)
    assert.equal("rejected", status)
    assert.equal("C stack overflow", why)
    assert.is_true(closed)
  end)
end)

describe("a generator that the C stack has no room for", function()
  it("raises, and goes on when there is room", function()
    local generate = Promise.wrap(function()
      coroutine.yield(1)
      return 2
    end)
    assert.equal(1, generate())
    local function recurse() string.gsub("x", "x", recurse) end
    local why
    assert.is_false(xpcall(recurse, function()
      why = why or select(2, pcall(generate))
    end))
    assert.equal("C stack overflow", why)
    assert.equal(2, generate())
  end)
end)

describe("await across a C function in a coroutine of the program's own",
function()
  local function refused()
    return coroutine.wrap(function()
      local ok, why
      string.gsub("x", "x", function() ok, why = pcall(await, 1) end)
      assert.is_false(ok)
      return why
    end)()
  end

  it("says so", function()
    assert.matches("^spec/edges_spec.lua:%d+: can't await across a C " ..
      "function", refused())
  end)

  it("says what a handler can do instead", function()
    local _, why = helper.outcome(Promise.resolve(1):next(refused))
    assert.matches("^spec/edges_spec.lua:%d+: can't await in a handler",
      why)
  end)
end)

describe("an error while NaN unwinds", function()
  it("has a traceback of its own", function()
    local function thrower() error "x" end
    local inner
    local outer = Promise.try(function()
      local _ <close> = setmetatable({}, {__close = function()
        inner = Promise.try(function() return (thrower()) end)
      end})
      error(0 / 0)
    end)
    outer:catch(ignore)
    inner:catch(ignore)
    assert.matches("thrower", inner:traceback(), 1, true)
    assert.is_nil(outer:traceback():find("thrower", 1, true))
    helper.drain()
  end)
end)

describe("the traceback of a deep stack", function()
  it("shows 22 levels", function()
    local function descend(n)
      if n == 0 then error "deep" end
      return (descend(n - 1))
    end
    local p = Promise.try(descend, 50)
    p:catch(ignore)
    local _, lines = p:traceback():gsub("\n", "")
    assert.equal(23, lines)
    assert.matches("\n\t...", p:traceback(), 1, true)
    helper.drain()
  end)
end)

describe("an argument error", function()
  local cases = {
    ["new"] = "'?new'? ?%(callable expected, got nil%)",
    ["queueMicrotask"] = "%(callable expected, got nil%)",
  }
  for name, message in pairs(cases) do
    it("has no position where no Lua function runs: " .. name, function()
      local co = coroutine.create(Promise[name])
      local ok, why = coroutine.resume(co, nil)
      assert.is_false(ok)
      assert.matches("^bad argument #1 to .*" .. message .. "$", why)
      assert.matches("'" .. name .. "'", why, 1, true)
    end)
  end
end)

describe("an executor", function()
  it("receives three functions, however many parameters it has", function()
    local n, types = 0, nil
    Promise.new(function(a, b, c, d)
      n = n + 1
      types = {type(a), type(b), type(c), type(d)}
    end)
    assert.equal(1, n)
    assert.same({"function", "function", "function", "nil"}, types)
  end)
end)

describe("a reason that the main thread awaits again and again", function()
  it("does not pile up", function()
    local q = Promise.try(function() error "again" end)
    q:catch(ignore)
    local function again(n)
      for _ = 1, n do
        local ok = pcall(await, q)
        assert.is_false(ok)
      end
      collectgarbage()
      return collectgarbage "count"
    end
    local before = again(10)
    assert.is_true(again(10000) - before < 100)
  end)
end)

describe("a reaction that has run", function()
  local function pass(...) return ... end

  --- Whether a reaction, held, keeps the one beside it.
  local function keeps(count, held, watched)
    local p, resolve = Promise.withResolvers()
    local reactions = {}
    for i = 1, count do reactions[i] = p:next(pass) end
    resolve(1)
    helper.drain()
    local one, weak = reactions[held],
      setmetatable({reactions[watched]}, {__mode = "v"})
    reactions = nil
    helper.collect()
    return weak[1] ~= nil, one, reactions
  end

  for count = 2, 3 do
    for held = 1, count do
      for watched = 1, count do
        if held ~= watched then
          it(("number %d of %d does not keep number %d"):format(held, count,
            watched), function()
            assert.is_false((keeps(count, held, watched)))
          end)
        end
      end
    end
  end
end)

describe("a reason that is caught, and thrown after an await", function()
  for name, noise in pairs {
    ["that goes on at once"] = ignore,
    ["that is queued"] = function() Promise.queueMicrotask(ignore) end,
  } do
    it("keeps the traceback of its origin: " .. name, function()
      local function thrower() error("again", 0) end
      local p = Promise.try(function() return (thrower()) end)
      local call = Promise.spawn(function()
        await(1)
        pcall(await, p)
        noise()
        await(1)
        error("again", 0)
      end)
      call:catch(ignore)
      helper.drain()
      assert.matches("thrower", call:traceback(), 1, true)
    end)
  end
end)

describe("an aggregate that follows a thenable", function()
  local function thenable()
    return Promise.fulfill {next = ignore}
  end

  for _, name in ipairs {"race", "any"} do
    it("takes no other outcome: " .. name, function()
      local t = {next = ignore}
      local later, resolve = Promise.withResolvers()
      local p = Promise[name] {Promise.fulfill(t), 2, later}
      assert.equal("pending", (helper.outcome(p)))
      resolve(3)
      assert.equal("pending", (helper.outcome(p)))
      assert.same({next = ignore}, t)
    end)

    it("takes no error of its iterator: " .. name, function()
      local p = Promise[name](function(_, i)
        if not i then return 1, thenable() end
        Promise.drain()
        error "iterator"
      end)
      assert.equal("pending", (helper.outcome(p)))
    end)
  end
end)

describe("the functions that a thenable got", function()
  it("act once, also from the getter of what they resolve with", function()
    local object
    local p = Promise.resolve {next = function(_, resolve, reject)
      object = setmetatable({}, {__index = function()
        resolve "inside"
        reject "inside"
      end})
      resolve(object)
    end}
    local state, value = helper.outcome(p)
    assert.equal("fulfilled", state)
    assert.equal(object, value)
  end)
end)

describe("a promise that has settled", function()
  it("keeps the jobs of elements whose aggregate has failed", function()
    local p = Promise.resolve(1)
    local failed = {}
    for n = 1, 20 do
      failed[n] = Promise.all(function(_, i)
        if i then error "iterator" end
        return 1, p
      end)
    end
    for _, aggregate in ipairs(failed) do aggregate:catch(ignore) end
    assert.equal(40, Promise.drain())
  end)
end)

describe("an async call that drains the queue", function()
  it("can await afterwards", function()
    local call = Promise.spawn(function()
      Promise.queueMicrotask(ignore)
      return Promise.drain(), await "awaited"
    end)
    assert.same({"fulfilled", 1, "awaited"}, {helper.outcome(call)})
  end)
end)

describe("a generator that awaits while an error unwinds", function()
  it("leaves the error its traceback", function()
    local p, resolve = Promise.withResolvers()
    local generate = Promise.wrap(function() coroutine.yield(await(p)) end)
    local got
    local function thrower()
      local _ <close> = setmetatable({}, {__close = function()
        got = generate()
      end})
      error("unwinds", 0)
    end
    local call = Promise.spawn(function()
      thrower()
      return 1
    end)
    call:catch(ignore)
    resolve "value"
    local status, why = helper.outcome(call)
    assert.equal("rejected", status)
    assert.equal("unwinds", why)
    assert.equal("value", got)
    assert.matches("thrower", call:traceback(), 1, true)
  end)
end)

describe("a loop that is set", function()
  local function loop()
    local woken = 0
    local none = function() end
    return {
      wake = function() woken = woken + 1 end,
      step = none, now = none, timer = none, cancel = none,
      inside = none,
    }, function() return woken end
  end

  after_each(function() Promise.setLoop(nil) end)

  it("hears of a batch that was interrupted", function()
    local p = Promise.resolve(1)
    for _ = 1, 3 do p:next(function() end) end
    Promise.drain(1)
    local new, woken = loop()
    Promise.setLoop(new)
    assert.equal(1, woken())
    helper.drain()
  end)

  it("does not hear of a rejection that the main thread awaits", function()
    local new, woken = loop()
    local p, _, reject = Promise.withResolvers()
    function new.step() reject "awaited" return true end
    Promise.setLoop(new)
    local ok, why = pcall(await, p)
    assert.is_false(ok)
    assert.equal("awaited", why)
    assert.equal(0, woken())
  end)

  it("hears of a rejection that is to be reported", function()
    local new, woken = loop()
    Promise.setLoop(new)
    local p = Promise.try(error, "reported")
    assert.equal(1, woken())
    p:catch(ignore)
    helper.drain()
  end)

  it("hears of many jobs now and then", function()
    local new, woken = loop()
    Promise.setLoop(new)
    local before = woken()
    for _ = 1, 1000 do Promise.queueMicrotask(ignore) end
    local times = woken() - before
    assert.is_true(times >= 1 and times < 15)
    helper.drain()
  end)

  it("hears of jobs that a drain has left", function()
    local new, woken = loop()
    Promise.setLoop(new)
    for _ = 1, 2 do Promise.queueMicrotask(ignore) end
    local before = woken()
    Promise.drain(1)
    assert.equal(before + 1, woken())
    helper.drain()
  end)

  it("hears of a semaphore that can serve", function()
    local semaphore = Promise.semaphore(1)
    local p = semaphore:acquire()
    local new, woken = loop()
    Promise.setLoop(new)
    assert.equal(1, woken())
    helper.drain()
    assert.equal("fulfilled", (p:status()))
  end)

  it("is not asked in the job that sets it", function()
    local new, woken = loop()
    local inside
    Promise.queueMicrotask(function()
      Promise.queueMicrotask(function() end)
      Promise.setLoop(new)
      inside = woken()
    end)
    helper.drain()
    assert.equal(0, inside)
    assert.equal(0, woken())
  end)
end)

describe("the core alone", function()
  --- A second instance of it, loaded while `next` is something else.
  local function load_with(value)
    local found = _G.next
    rawset(_G, "next", value)
    local ok, core = pcall(helper.second_core)
    rawset(_G, "next", found)
    assert(ok, core)
    return core
  end

  for name, value in pairs {["is gone"] = false,
      ["is a Lua function"] = function() end} do
    it("takes thenables when Lua's next " .. name, function()
      local core = load_with(value or nil)
      local p = core.resolve {next = function(_, resolve) resolve(7) end}
      core.drain()
      assert.same({"fulfilled", 7}, {core.methods.status(p)})
    end)
  end

  it("has tracebacks without knowing what files are its own", function()
    local core = load_with(next)
    local function thrower() error "x" end
    local p = core.try(function() thrower() end)
    assert.matches("thrower", core.methods.traceback(p), 1, true)
    core.methods.catch(p, ignore)
    core.drain()
  end)

  it("looks for no clock, and takes the one that it is given", function()
    local core = load_with(next)
    local ok, err = pcall(core.delay, 1)
    assert.is_false(ok)
    assert.matches("Promise.delay needs an event loop", err, 1, true)
    local loop = virtual.new()
    core.setClock(loop)
    local p = core.delay(1, "value")
    loop.advance(1)
    assert.same({"fulfilled", "value"}, {core.methods.status(p)})
  end)

  it("lets a coroutine await without knowing of scopes", function()
    local core = load_with(next)
    local p, resolve = core.withResolvers()
    local got
    coroutine.wrap(function() got = core.await(p) end)()
    resolve "value"
    core.drain()
    assert.equal("value", got)
  end)

  it("forgets its loop when its hook is given as none", function()
    local core = load_with(next)
    local woken = 0
    core.setWake(function() woken = woken + 1 end)
    core.setWake()
    core.queueMicrotask(function() end)
    core.drain()
    assert.equal(0, woken)
  end)
end)

--- Runs in a state of its own, while there is memory: the steps that will
--- fail for want of it where they move `size` values, and the promises that
--- tell.
local function prepare(size)
  local Promise = require "cpromise" -- luacheck: ignore 431
  package.loaded["cpromise.core"].setWake(nil) -- it needs memory itself
  local function ignore() end -- luacheck: ignore 431
  Promise.onUnhandledRejection(ignore)
  local t, told = {}, {}
  for i = 1, size do t[i] = i end
  local function fill() return table.unpack(t, 1, size) end
  local function tell(p)
    p:catch(ignore)
    told[1] = p
  end
  local generate = Promise.wrap(ignore)
  local fulfilled = Promise.fulfill(fill())
  local list = Promise.fulfill({}, fill())
  local one = Promise.resolve(1)
  -- Lua's stack shrinks, and then has room for frames: so a hook needs no
  -- memory.
  local function descend(n) return n > 0 and 1 + descend(n - 1) or 0 end
  collectgarbage()
  collectgarbage()
  collectgarbage "stop"
  descend(30)
  return {
    function() tell(Promise.spawn(ignore, fill())) end,
    function() generate(fill()) end,
    function() tell(Promise.fulfill(fill())) end,
    function() return fulfilled:status() end,
    function() Promise.queueMicrotask(ignore, fill()) end,
    function() tell(Promise.spawn(fill)) end,
  }, {
    function() tell(one:next(fill)) end,
    function() tell(list:next()) end,
    function() tell(fulfilled:next(ignore)) end,
    function() tell(one:next(function() return t, fill() end)) end,
  }, told
end

describe("many values for which memory runs short", function()
  local first = [[
    local steps, jobs, told = load(%q, "prepare", "b")(%d)
    local step = steps[%d]
    if not step then
      jobs[%d - #steps]()
      step = require "cpromise".drain
    end
    package.loaded.step, package.loaded.told = step, told
    return #steps + #jobs
  ]]
  local second = [[
    local ok, why = pcall(package.loaded.step)
    local p = package.loaded.told[1]
    if ok and p then
      local state, reason = p:status()
      if state == "rejected" then ok, why = false, reason end
    end
    return ok or why
  ]]
  local dumped = string.dump(prepare)

  -- What Lua says of values that it has no memory to move, and we.
  local expected = {"^not enough memory$", "too many results to unpack$",
    "too many arguments$", "stack overflow"}

  local function is_expected(why)
    for _, pattern in ipairs(expected) do
      if why == true or tostring(why):find(pattern) then return true end
    end
  end

  --- Fail every allocation from the n-th on, for all n: the first one that
  --- fails alone would make Lua collect garbage and try again.
  local function sweep(size, number)
    local failures = 0
    for n = 1, math.huge do
      local state <close> = alloc.open()
      assert(state:run(first:format(dumped, size, number, number)))
      local _, why = state:run(second, n, math.maxinteger)
      local made = state:count()
      if not is_expected(why) then error(why) end
      assert(state:run [[require "cpromise".drain()]])
      assert.equal(0, state:close())
      if made < n then return failures end
      failures = failures + 1
    end
  end

  for number = 1, 10 do
    it("fail as a whole: case " .. number, function()
      local failures = 0
      for _, size in ipairs {20, 60, 300, 1000, 3000} do
        failures = failures + sweep(size, number)
      end
      assert.is_true(failures > 0)
    end)
  end
end)

describe("the prefix of the library's own files", function()
  local core = require "cpromise.core"

  -- promisify.lua calls the function.
  local function shows_own_files()
    local p = Promise.promisify(function() error "here" end)()
    p:catch(ignore)
    helper.drain()
    return p:traceback():find("promisify.lua", 1, true) ~= nil
  end

  it("stays as it is where the caller has no file", function()
    coroutine.wrap(core.setOwn) "init.lua"
    assert.is_false(shows_own_files())
  end)

  it("stays as it is where the caller's name is too short", function()
    core.setOwn(("x"):rep(1000))
    assert.is_false(shows_own_files())
  end)
end)
