--- Tracebacks: where the error was thrown that rejected a promise.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

setup(function() Promise.setLoop(virtual.new()) end)
teardown(function() Promise.setLoop(nil) end)

local await, spawn = Promise.await, Promise.spawn

local function nop() end

local function closing(fn)
  return setmetatable({}, {__close = fn})
end

-- Promises that a program keeps, and its other names.
local kept
local env = setmetatable({
  Promise = Promise,
  async = Promise.async,
  await = await,
  pawait = Promise.pawait,
  spawn = spawn,
  nop = nop,
  closing = closing,
}, {__index = _G})

function env.keep(promise)
  kept[#kept + 1] = promise
  promise:catch(nop)
  return promise
end

env.boom = load([[
  error(... == nil and "boom" or ..., 0) -- line 1
]], "=boom")

-- A traceback in one line, innermost first: `source:line`, or the name of a
-- C function. Nothing but the program's own frames may be in it.
local function short(traceback)
  if traceback == nil then return nil end
  local header, levels = traceback:match "^([^\n]+)\n(.*)$"
  assert.equal("stack traceback:", header)
  for _, alien in ipairs {"cpromise", "[C]: in ?", "spec/", "busted"} do
    assert.is_nil(levels:find(alien, 1, true), traceback)
  end
  local list = {}
  for level in levels:gmatch "[^\n]+" do
    list[#list + 1] = level:match "^\t(%[%a+%])$" or
      level:match "^\t%[C%]: in %a+ '([%w_]+)'$" or
      level:match "^\t([^:]+:%d+): in .+$" or level
  end
  return table.concat(list, " ")
end

-- Run a program in a job; the traceback of what it keeps first.
local function thrown_in(program)
  kept = {}
  Promise.queueMicrotask(assert(load(program, "=prog", "t", env)))
  helper.drain()
  return short(kept[1]:traceback())
end

-- `{title, what is expected, program}` for each: declare that the program's
-- first promise has that traceback.
local function check_all(cases)
  for _, case in ipairs(cases) do
    it(case[1], function()
      assert.equal(case[2], thrown_in(case[3]))
      assert.equal("rejected", (kept[1]:status()))
    end)
  end
end

describe("the traceback of an error", function()
  describe("starts where it is thrown", function()
    check_all {
      {"in a handler of next", "error boom:1 prog:2", [[
        keep(Promise.resolve():next(function()
          boom()
        end))
      ]]},
      {"in a handler of rejections", "error boom:1 prog:2", [[
        keep(Promise.reject():catch(function()
          boom()
        end))
      ]]},
      {"in the second handler of next", "error boom:1 prog:2", [[
        keep(Promise.reject():next(nop, function()
          boom()
        end))
      ]]},
      {"in a handler of finally", "error boom:1 prog:2", [[
        keep(Promise.resolve():finally(function()
          boom()
        end))
      ]]},
      {"in an executor", "error boom:1 prog:2 prog:1", [[
        keep(Promise.new(function()
          boom()
        end))
      ]]},
      {"in the function of 'try'", "error boom:1 prog:2 prog:1", [[
        keep(Promise.try(function()
          boom()
        end))
      ]]},
      {"in a function that 'try' calls by itself", "error boom:1 prog:1", [[
        keep(Promise.try(boom))
      ]]},
      {"in the method of a thenable", "error boom:1 prog:2", [[
        keep(Promise.resolve {next = function()
          boom()
        end})
      ]]},
      {"in a getter", "error boom:1 prog:2 prog:1", [[
        keep(Promise.resolve(setmetatable({}, {__index = function()
          boom()
        end})))
      ]]},
      {"in the getter of a result", "error boom:1 prog:3", [[
        keep(Promise.resolve():next(function()
          return setmetatable({}, {__index = function()
            boom()
          end})
        end))
      ]]},
      {"in an iterator", "error boom:1 prog:2 prog:1", [[
        keep(Promise.all(function()
          boom()
        end))
      ]]},
      {"in an element", "error boom:1 prog:2 prog:1", [[
        keep(Promise.race(setmetatable({n = 1}, {__index = function()
          boom()
        end})))
      ]]},
      {"in an async call", "error boom:1 prog:2", [[
        keep(spawn(function()
          boom()
        end))
      ]]},
      {"in an async call after a wait", "error boom:1 prog:3", [[
        keep(spawn(function()
          await(1)
          boom()
        end))
      ]]},
      {"in an async call after a long wait", "error boom:1 prog:4", [[
        local gate, open = Promise.withResolvers()
        keep(spawn(function()
          pcall(await, gate)
          boom()
        end))
        open()
      ]]},
      {"in nested functions", "error boom:1 prog:1 prog:2 prog:4 prog:6", [[
        local function f() boom() return end
        local function g() f() return end
        local function h()
          g()
        end
        keep(Promise.resolve():next(function() h() end))
      ]]},
      {"in nested functions, each after a wait",
        "error boom:1 prog:1 prog:2 prog:4", [[
        local function f() await(1) boom() return end
        local function g() await(2) f() return end
        keep(spawn(function()
          g()
        end))
      ]]},
      {"in a pcall that doesn't catch it", "error prog:4", [[
        keep(spawn(function()
          local ok, reason = pcall(boom)
          await(1)
          error(reason, 0)
        end))
      ]]},
      {"in a coroutine that hands it on", "error prog:3", [[
        keep(spawn(function()
          local ok, reason = coroutine.resume(coroutine.create(boom))
          error(reason, 0)
        end))
      ]]},
      {"after another job caught the same", "error prog:3", [[
        spawn(function() pcall(await, Promise.try(boom)) end)
        keep(Promise.resolve():next(nop):next(function()
          error("boom", 0)
        end))
      ]]},
      {"after its call caught the same", "error prog:4", [[
        keep(spawn(function()
          pcall(boom)
          pcall(await, Promise.reject "boom")
          error("boom", 0)
        end))
      ]]},
      {"in a generator", "error boom:1 prog:2 [generator] prog:4", [[
        local generator = Promise.wrap(function()
          boom()
        end)
        keep(spawn(function() for _ in generator do nop() end end))
      ]]},
      {"in a generator after a wait",
        "error boom:1 prog:3 [generator] prog:5", [[
        local generator = Promise.wrap(function()
          await(1)
          boom()
        end)
        keep(spawn(function() for _ in generator do nop() end end))
      ]]},
      {"by Lua itself", "prog:3", [[
        keep(Promise.resolve():next(function()
          local x
          x.y = 1
        end))
      ]]},
      {"by a C function", "assert prog:2", [[
        keep(Promise.resolve():next(function()
          assert(false, "boom")
        end))
      ]]},
      {"by this library", "prog:2", [[
        keep(Promise.resolve():next(function()
          Promise.new(nil)
        end))
      ]]},
      {"by a refused await", "prog:2", [[
        keep(Promise.resolve():next(function()
          local value = await(1)
          return value
        end))
      ]]},
    }
  end)

  it("names the functions", function()
    thrown_in [[
      local function inner() boom() end
      keep(Promise.resolve():next(function() inner() end))
    ]]
    assert.equal("stack traceback:\n" ..
      "\t[C]: in function 'error'\n" ..
      "\tboom:1: in function 'boom'\n" ..
      "\tprog:1: in function 'inner'\n" ..
      "\tprog:2: in function <prog:2>", kept[1]:traceback())
  end)

  local reasons = {
    ["a string"] = "'text'",
    ["a table"] = "{}",
    ["a function"] = "print",
    ["false"] = "false",
    ["a number"] = "42",
    ["NaN"] = "0 / 0",
    ["nil"] = "nil",
  }
  for name, reason in pairs(reasons) do
    it("stands beside a reason of any kind: " .. name, function()
      for code, expected in pairs {
        ["keep(Promise.resolve():next(function()\nerror(%s, 0) end))"] =
          "error prog:2",
        ["keep(spawn(function() await(1)\nerror(%s, 0) end))"] =
          "error prog:2",
        ["keep(Promise.new(function()\nerror(%s, 0)\nend))"] =
          "error prog:2 prog:1",
      } do
        assert.equal(expected, thrown_in(code:format(reason)))
      end
    end)
  end

  it("asks nothing of the reason", function()
    local function refuse() error "asked" end
    env.reason = setmetatable({}, {
      __tostring = refuse, __index = refuse, __eq = refuse, __name = 1,
    })
    assert.equal("error prog:2", thrown_in [[
      keep(Promise.resolve():next(function()
        error(reason)
      end))
    ]])
    assert.is_true(rawequal(env.reason, select(2, kept[1]:status())))
    env.reason = nil
  end)

  describe("is kept", function()
    check_all {
      {"through promises without a handler", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(first:next(nop):next():next(nop))
      ]]},
      {"through finally", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(first:finally(nop):finally(function() return 1 end))
      ]]},
      {"through finally that waits", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(first:finally(function() return Promise.resolve() end))
      ]]},
      {"by one that resolves to it", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(Promise.new(function(resolve) resolve(first) end))
      ]]},
      {"by one whose handler returns it", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(Promise.resolve():next(function() return first end))
      ]]},
      {"by an async call that returns it", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(function() return first end))
      ]]},
      {"by 'all'", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(Promise.all {1, Promise.new(nop), first})
      ]]},
      {"by 'allKeyed'", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(Promise.allKeyed {key = first})
      ]]},
      {"by 'race'", "error boom:1 prog:1", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(Promise.race {first, Promise.new(nop)})
      ]]},
      {"by 'all' of several that were thrown", "error boom:1 prog:2", [[
        local late = Promise.resolve():next(nop):next(function() boom() end)
        local first = Promise.resolve():next(function() boom() end)
        keep(Promise.all {late, first})
      ]]},
      {"by an await", "error boom:1 prog:1 [await] prog:2", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(function() await(first) end))
      ]]},
      {"by an await as a method", "error boom:1 prog:1 [await] prog:2", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(function() local v = first:await() return v end))
      ]]},
      {"by an await of one that settled long ago",
        "error boom:1 prog:1 [await] prog:5", [[
        local first = Promise.resolve():next(function() boom() end)
        first:catch(nop)
        keep(spawn(function()
          for _ = 1, 3 do await(1) end
          await(first)
        end))
      ]]},
      {"by several levels of async calls",
        "error boom:1 prog:4 [await] prog:6 [await] prog:6", [[
        local function level(n)
          await(n)
          if n == 0 then
            boom()
          end
          await(spawn(level, n - 1))
        end
        keep(spawn(level, 2))
      ]]},
      {"by an await that closes variables",
        "error boom:1 prog:1 [await] prog:4", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(function()
          local _ <close> = closing(nop)
          await(first)
        end))
      ]]},
      {"by an await in a generator",
        "error boom:1 prog:1 [await] prog:2 [generator] prog:3", [[
        local first = Promise.resolve():next(function() boom() end)
        local generator = Promise.wrap(function() await(first) end)
        keep(spawn(function() generator() end))
      ]]},
      {"by an await whose reason is thrown again",
        "error boom:1 prog:1 [await] error prog:4", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(function()
          local ok, reason = pcall(await, first)
          error(reason, 0)
        end))
      ]]},
      {"by an await whose reason is thrown again after another await",
        "error boom:1 prog:1 [await] error prog:5", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(function()
          local ok, reason = pcall(await, first)
          await(1)
          error(reason, 0)
        end))
      ]]},
      {"not by a call that throws the same text", "error boom:1 prog:1", [[
        local function fail() await(1); boom() end
        spawn(function()
          for _ = 1, 3 do
            pcall(await, spawn(fail))
            await(1)
          end
          keep(spawn(boom, nil))
        end)
        keep(spawn(fail))
      ]]},
      {"not by what is thrown at once in a call", "error boom:1", [[
        spawn(function()
          for _ = 1, 3 do
            pcall(await, spawn(boom))
            await(1)
          end
          keep(spawn(boom))
        end)
      ]]},
      {"by an object, in whatever call it is thrown again",
        "error boom:1 prog:2 [await] error prog:5", [[
        local reason = {}
        local function fail() await(1); boom(reason) end
        spawn(function()
          local ok, caught = pcall(await, spawn(fail))
          keep(spawn(function() error(caught) end))
        end)
      ]]},
      {"by Promise.wrap as the call", "error boom:1 prog:1 [await] prog:2", [[
        local first = Promise.resolve():next(function() boom() end)
        keep(spawn(Promise.wrap(function() await(first) end)))
      ]]},
    }

    it("by an await for each that waits", function()
      assert.equal("error boom:1 prog:1", thrown_in [[
        local first = Promise.resolve():next(function() boom() end)
        keep(first)
        for _ = 1, 3 do keep(spawn(function() await(first) end)) end
      ]])
      for i = 2, 4 do
        assert.equal("error boom:1 prog:1 [await] prog:3",
          short(kept[i]:traceback()))
      end
    end)
  end)

  describe("spans the await of", function()
    check_all {
      {"all", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.all {1, spawn(leaf)})
        end))
      ]]},
      {"allKeyed", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.allKeyed {key = spawn(leaf)})
        end))
      ]]},
      {"race", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.race {spawn(leaf)})
        end))
      ]]},
      {"select", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.select {spawn(leaf)})
        end))
      ]]},
      {"a handler that is not called",
        "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(spawn(leaf):next(nop))
        end))
      ]]},
      {"finally", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(spawn(leaf):finally(nop))
        end))
      ]]},
      {"shield", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.shield(spawn(leaf)))
        end))
      ]]},
      {"timeout", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(spawn(leaf):timeout(1))
        end))
      ]]},
      {"map", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.map({1}, leaf))
        end))
      ]]},
      {"retry", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.retry(leaf, {attempts = 1}))
        end))
      ]]},
      {"a scope", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.scope(function(s) s:spawn(leaf) end))
        end))
      ]]},
      {"the body of a scope", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.scope(leaf))
        end))
      ]]},
      {"asCompleted", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          for _, p in Promise.asCompleted {spawn(leaf)} do await(p) end
        end))
      ]]},
      {"a permit", "error boom:1 prog:1 [await] prog:3", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          await(Promise.semaphore(1):with(leaf))
        end))
      ]]},
      {"a block", "error boom:1 prog:1 [await] prog:5", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          local s <close> = Promise.scope()
          s:spawn(leaf)
        end))
      ]]},
      {"a block that waits", "error boom:1 prog:1 [await] prog:5", [[
        local function leaf() await(1); boom() end
        keep(spawn(function()
          local s <close> = Promise.scope()
          s:spawn(leaf)
          await(Promise.new(nop))
        end))
      ]]},
    }

    it("itself, where nothing was thrown", function()
      assert.equal("prog:2 [await] prog:3", thrown_in [[
        local function inner()
          await(Promise.reject "reason") end
        keep(spawn(function() await(spawn(inner)) end))
      ]])
    end)

    it("a long way, in a text that doesn't grow", function()
      local lengths = {}
      for i, n in ipairs {20, 1000, 10000} do
        local depth = math.max(20, helper.scaled(n))
        env.depth = depth
        local levels = thrown_in [[
          local function level(n)
            await(n)
            if n == 0 then boom() end
            await(spawn(level, n - 1)) -- line 4
          end
          keep(spawn(level, depth))
        ]]
        local first = "error boom:1 prog:3" .. (" [await] prog:4"):rep(9)
        assert.equal(("%s \t... (%d hops left out) [await] prog:4")
          :format(first, depth - 10), levels)
        lengths[i] = #kept[1]:traceback()
      end
      assert.is_true(lengths[3] - lengths[1] < 10)
    end)
  end)

  -- While an error unwinds, a to-be-closed variable runs other code.
  describe("is kept while it unwinds", function()
    -- The code of the variable, whose own error is at prog:2.
    local codes = {
      ["past an executor that throws"] = [[
        keep(Promise.new(function()
          error("other", 0)
        end))
      ]],
      ["past an executor that throws the same"] = [[
        keep(Promise.new(function()
          error("boom", 0)
        end))
      ]],
      ["past an async call that throws"] = [[
        keep(spawn(function()
          error("other", 0)
        end))
      ]],
      ["past a getter that throws"] = [[
        keep(Promise.resolve(setmetatable({}, {__index = function()
          error("other", 0)
        end})))
      ]],
      ["past an await that raises"] = [[
        pcall(await, keep(Promise.try(function()
          error("other", 0)
        end)))
      ]],
      ["past an await that raises the same"] = [[
        pcall(await, keep(Promise.try(function()
          error("boom", 0)
        end)))
      ]],
      ["past a generator that throws"] = [[
        pcall(Promise.wrap(function()
          error("other", 0)
        end))
      ]],
      ["past awaits"] = [[
        await(1)
        pcall(error, "other")
        await(Promise.resolve():next(nop):next(nop))
      ]],
      ["past an await in another variable"] = [[
        local _ <close> = closing(function() await(2) end)
        await(1)
      ]],
      ["past a drain"] = [[
        keep(Promise.resolve():next(function()
          error("other", 0)
        end))
        Promise.drain()
      ]],
    }
    for name, code in pairs(codes) do
      it(name, function()
        kept = {}
        local close = assert(load(code, "=prog", "t", env))
        local call = spawn(load([[
          local _ <close> = closing(...)
          boom()
        ]], "=body", "t", env), close)
        call:catch(nop)
        helper.drain()
        assert.same({"rejected", "boom"}, {call:status()})
        assert.equal("error boom:1 body:2", short(call:traceback()))
        if kept[1] then
          assert.matches("^error prog:2", short(kept[1]:traceback()))
        end
      end)
    end

    it("unless the variable throws one of its own", function()
      assert.equal("error prog:3", thrown_in [[
        keep(spawn(function()
          local _ <close> = closing(function()
            error("other", 0)
          end)
          boom()
        end))
      ]])
    end)
  end)

  it("ends at the drain that runs the job", function()
    local promise = Promise.resolve():next(function() env.boom() end)
    promise:catch(nop)
    local function someone_drains() helper.drain() end
    someone_drains()
    local traceback = promise:traceback()
    assert.matches("in %a+ 'boom'", traceback)
    assert.is_nil(traceback:find("someone_drains", 1, true))
    assert.is_nil(traceback:find("busted", 1, true))
  end)

  it("ends at the start of the async call", function()
    local function someone_starts()
      local call = spawn(function() env.boom() end)
      call:catch(nop)
      return call
    end
    local traceback = someone_starts():traceback()
    assert.matches("in %a+ 'boom'", traceback)
    assert.is_nil(traceback:find("someone_starts", 1, true))
    helper.drain()
  end)

  describe("is bounded", function()
    local endless = [[
      local function endless() return 1 + endless() end
    ]]
    for name, code in pairs {
      ["in a handler"] = "keep(Promise.resolve():next(endless))",
      ["in an executor"] = "keep(Promise.new(endless))",
      ["in an async call"] = "keep(spawn(endless))",
      ["in an async call after a wait"] =
        "keep(spawn(function() await(1) endless() end))",
    } do
      it("for a stack overflow " .. name, function()
        local traceback = thrown_in(endless .. code)
        assert.matches("stack overflow", select(2, kept[1]:status()))
        assert.matches("^prog:1 prog:1 ", traceback)
        assert.is_true(#kept[1]:traceback() < 2000)
      end)
    end

    it("for a deep one", function()
      assert.matches("^error boom:1 prog:2 prog:3 prog:3 ", thrown_in [[
        local function deep(n)
          if n == 0 then boom() end
          return 1 + deep(n - 1)
        end
        keep(Promise.resolve(1000):next(deep))
      ]])
      assert.is_true(#kept[1]:traceback() < 2000)
    end)
  end)
end)

describe("promise:traceback()", function()
  -- `{title, program}`: what it keeps first was not thrown by code.
  local cases = {
    {"a pending promise", "keep(Promise.new(nop))"},
    {"a fulfilled promise", "keep(Promise.resolve(1))"},
    {"Promise.reject", "keep(Promise.reject 'boom')"},
    {"reject", "keep(Promise.new(function(_, no) no 'boom' end))"},
    {"a thenable that rejects", [[
      keep(Promise.resolve {next = function(_, _, no) no "boom" end})
    ]]},
    {"a promise that is resolved with itself", [[
      local promise, resolve = Promise.withResolvers()
      keep(promise)
      resolve(promise)
    ]]},
    {"'any' of errors", "keep(Promise.any {Promise.try(boom)})"},
    {"a handler that returns a rejection",
      "keep(Promise.resolve():next(Promise.reject))"},
    {"a call that yields", "keep(spawn(coroutine.yield))"},
    {"a promise that code rejected, then threw", [[
      keep(Promise.new(function(_, reject)
        reject "boom"
        boom()
      end))
    ]]},
    {"a reason that was thrown and caught", [[
      local ok, reason = pcall(boom)
      keep(Promise.reject(reason))
    ]]},
    {"a reason that was thrown in another promise", [[
      Promise.try(boom):catch(nop)
      keep(Promise.reject "boom")
    ]]},
    {"a reason with which the code of another rejects", [[
      keep(Promise.try(boom):catch(function(reason)
        return Promise.reject(reason)
      end))
    ]]},
    {"a reason that was awaited, then rejected with", [[
      keep(spawn(function()
        local ok, reason = pcall(await, Promise.try(boom))
        return Promise.new(function(_, reject) reject(reason) end)
      end))
    ]]},
    {"a reason that an await returned", [[
      keep(spawn(function()
        local ok, reason = pawait(Promise.try(boom))
        return Promise.reject(reason)
      end))
    ]]},
  }
  for _, case in ipairs(cases) do
    it("is nil for " .. case[1], function()
      assert.is_nil(thrown_in(case[2]))
    end)
  end

  it("refuses what is no promise", function()
    local ok, reason = pcall(Promise.resolve().traceback, 1)
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'traceback' %(promise expected",
      reason)
  end)

  it("is the same each time", function()
    thrown_in "keep(Promise.try(boom))"
    local first = kept[1]:traceback()
    helper.collect()
    assert.equal(first, kept[1]:traceback())
    assert.matches("boom:1", first, 1, true)
  end)
end)

describe("a report", function()
  local function hooked(program)
    kept = {}
    return helper.unhandled(assert(load(program, "=prog", "t", env)))
  end

  it("gives the hook the traceback of a promise", function()
    local seen = hooked "Promise.resolve():next(function() boom() end)"
    assert.equal(1, #seen)
    assert.equal("error boom:1 prog:1", short(seen[1].traceback))
    assert.equal(seen[1].promise:traceback(), seen[1].traceback)
  end)

  it("gives the hook the traceback of a microtask", function()
    local seen = hooked [[Promise.queueMicrotask(function()
      boom()
    end)]]
    assert.equal("error boom:1 prog:2", short(seen[1].traceback))
  end)

  it("gives the hook the traceback of a coroutine", function()
    local seen = hooked [[coroutine.wrap(function()
      await(1)
      boom()
    end)()]]
    assert.equal("error boom:1 prog:3", short(seen[1].traceback))
  end)

  it("gives the hook the origin of what a coroutine awaits", function()
    local seen = hooked [[
      local first = Promise.resolve():next(function() boom() end)
      coroutine.wrap(function() await(first) end)()
    ]]
    assert.equal("error boom:1 prog:1 [await] prog:2",
      short(seen[1].traceback))
  end)

  it("gives the hook nil for what was not thrown", function()
    local calls = {}
    local previous = Promise.onUnhandledRejection(function(...)
      calls[#calls + 1] = table.pack(...)
    end)
    Promise.reject "boom"
    Promise.reject(nil)
    helper.drain()
    Promise.onUnhandledRejection(previous)
    assert.equal(3, calls[1].n)
    assert.is_nil(calls[1][3])
    assert.is_nil(calls[2][3])
  end)

  local function output(program)
    return (child.run('local Promise = require "cpromise"\n' .. program)
      :gsub("[^%s<]*lua_%w+", "FILE"))
  end

  it("shows it on standard error", function()
    assert.equal([[
cpromise: unhandled rejection: boom
stack traceback:
	[C]: in function 'error'
	FILE:3: in function 'fail'
	FILE:6: in function <FILE:5>
]], output [[
local function fail()
  error("boom", 0)
end
Promise.resolve():next(function()
  fail()
end)
Promise.drain()
]])
  end)

  it("shows that of an async call", function()
    assert.equal([[
cpromise: unhandled rejection: FILE:4: boom
stack traceback:
	[C]: in function 'error'
	FILE:4: in function <FILE:2>
]], output [[
Promise.spawn(function()
  Promise.await(1)
  error "boom"
end)
Promise.drain()
]])
  end)

  it("shows that of a coroutine", function()
    assert.equal([[
cpromise: unhandled error: FILE:4: boom
stack traceback:
	[C]: in function 'error'
	FILE:4: in function <FILE:2>
]], output [[
coroutine.wrap(function()
  Promise.await(1)
  error "boom"
end)()
Promise.drain()
]])
  end)

  it("shows none where nothing was thrown", function()
    assert.equal("cpromise: unhandled rejection: boom\n",
      output [[
Promise.reject "boom"
Promise.drain()
]])
  end)

  it("shows that of an error in the hook", function()
    assert.equal([[
cpromise: unhandled rejection: boom
cpromise: error in the hook for that: FILE:3: broken
stack traceback:
	[C]: in function 'error'
	FILE:3: in function <FILE:2>
]], output [[
Promise.onUnhandledRejection(function()
  error "broken"
end)
Promise.reject "boom"
Promise.drain()
]])
  end)
end)
