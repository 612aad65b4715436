--- Async calls and what they wait for, in their own coroutine. The other
--- places where `await` may stand are in await_places_spec.

local Promise = require "cpromise"
local helper = require "spec.helper"

local async, await, pawait = Promise.async, Promise.await, Promise.pawait

local function nop() end

-- `status, ...` of a promise after all jobs; a rejection is not reported.
local function outcome(promise)
  promise:catch(nop)
  return helper.outcome(promise)
end

-- The same of an async call.
local function run(fn, ...)
  return outcome(Promise.spawn(fn, ...))
end

local function sequence(n)
  local list = {n = n}
  for i = 1, n do list[i] = i end
  return list
end

local function unpack(list)
  return table.unpack(list, 1, list.n)
end

-- A to-be-closed value.
local function closing(fn)
  return setmetatable({}, {__close = fn})
end

-- Kilobytes in use at ten moments of a loop of n steps: the growth between
-- the second and the last.
local function growth(n, step)
  local every = math.max(1, n // 10)
  local samples = {}
  for i = 1, n do
    step(i)
    if i % every == 0 then
      helper.collect()
      samples[#samples + 1] = collectgarbage "count"
    end
  end
  return samples[#samples] - samples[2]
end

-- Lists of values, nils at the end included.
local lists = {
  ["none"] = table.pack(),
  ["one"] = table.pack(1),
  ["nil"] = table.pack(nil),
  ["false"] = table.pack(false),
  ["several"] = table.pack(1, "two", print, {}),
  ["several nils"] = table.pack(nil, 2, nil, nil),
  ["300"] = sequence(300),
}

local reasons = {
  ["a string"] = "boom",
  ["a table"] = {},
  ["a function"] = print,
  ["false"] = false,
  ["nil"] = nil,
  ["a number"] = 1.5,
}

-- `fn(reason)` for each of them, nil too.
local function each_reason(fn)
  for name, reason in pairs(reasons) do fn(name, reason) end
  fn("nil", nil)
end

-- A function that throws the reason as it is.
local function throw(reason)
  error(reason, 0)
end

describe("an async call", function()
  it("runs its function before it returns", function()
    local log = {}
    local fn = async(function()
      log[#log + 1] = "body"
    end)
    fn()
    log[#log + 1] = "caller"
    assert.same({"body", "caller"}, log)
  end)

  it("returns a promise, pending while it waits", function()
    local promise = async(function() await(1) end)()
    assert.is_true(Promise.is(promise))
    assert.equal("pending", promise:status())
    assert.equal("fulfilled", outcome(promise))
  end)

  it("returns a settled promise when it never waits", function()
    assert.same({"fulfilled", 1, 2},
      {async(function() return 1, 2 end)():status()})
  end)

  for name, list in pairs(lists) do
    it("takes and returns values: " .. name, function()
      local seen
      local promise = async(function(...)
        seen = table.pack(...)
        return ...
      end)(unpack(list))
      assert.same(list, seen)
      assert.same(table.pack("fulfilled", unpack(list)),
        table.pack(promise:status()))
    end)

    it("takes and returns values after it waited: " .. name, function()
      assert.same(table.pack("fulfilled", unpack(list)),
        table.pack(run(function(...)
          await(Promise.resolve())
          return ...
        end, unpack(list))))
    end)
  end

  each_reason(function(name, reason)
    it("rejects with what it throws: " .. name, function()
      local promise = async(throw)(reason)
      assert.same(table.pack("rejected", helper.thrown(reason)),
        table.pack(outcome(promise)))
    end)

    it("rejects with what it throws after it waited: " .. name, function()
      local expected = table.pack("rejected", helper.thrown(reason))
      assert.same(expected, table.pack(run(function()
        await(Promise.resolve())
        throw(reason)
      end)))
    end)
  end)

  it("keeps the identity of its reason", function()
    local reason = {}
    assert.equal(reason, select(2, run(throw, reason)))
  end)

  it("keeps a NaN", function()
    local _, reason = run(throw, 0 / 0)
    assert.is_true(reason ~= reason)
    local _, value = run(function() return await(0 / 0) end)
    assert.is_true(value ~= value)
  end)

  it("calls a table that can be called", function()
    local object = setmetatable({}, {__call = function(self, ...)
      await(1)
      return self, ...
    end})
    assert.same({"fulfilled", object, 1, nil, 3},
      {outcome(async(object)(1, nil, 3))})
    assert.same({"fulfilled", object, 2}, {run(object, 2)})
  end)

  it("has a coroutine of its own", function()
    local first, second
    local fn = async(function()
      local co, is_main = coroutine.running()
      assert(not is_main)
      await(1)
      assert(co == coroutine.running())
      return co
    end)
    first = select(2, outcome(fn()))
    second = select(2, outcome(fn()))
    assert.equal("thread", type(first))
    assert.not_equal(first, second)
  end)

  it("follows the promise that it returns", function()
    local promise, resolve = Promise.withResolvers()
    local call = async(function() return promise, "ignored" end)()
    assert.equal("pending", helper.outcome(call))
    resolve(1, nil, 3)
    assert.same({"fulfilled", 1, nil, 3}, {outcome(call)})
  end)

  it("rejects when it returns itself", function()
    local call
    call = async(function()
      await(1)
      return call
    end)()
    local status, reason = outcome(call)
    assert.equal("rejected", status)
    assert.matches("^TypeError", reason)
  end)

  it("waits for ever for itself", function()
    local call
    call = async(function()
      await(1)
      await(call)
    end)()
    assert.equal("pending", outcome(call))
    assert.equal(0, Promise.drain())
  end)

  it("is reported when it rejects and nobody handles it", function()
    local call
    local seen = helper.unhandled(function()
      call = Promise.spawn(function()
        await(1)
        throw "boom"
      end)
    end)
    assert.equal(1, #seen)
    assert.equal("boom", seen[1].reason)
    assert.equal(call, seen[1].promise)
  end)

  it("takes a job for each await", function()
    local steps = 0
    Promise.spawn(function()
      for _ = 1, 5 do
        await(1)
        steps = steps + 1
      end
    end)
    assert.equal(2, Promise.drain(2))
    assert.equal(2, steps)
    assert.equal(3, Promise.drain())
    assert.equal(5, steps)
  end)

  it("handles the rejections that it awaits", function()
    assert.same({}, helper.unhandled(function()
      Promise.spawn(function()
        pcall(await, Promise.reject(1))
        pawait(Promise.reject(2))
      end)
    end))
  end)

  it("is independent of others that throw", function()
    local gate, open = Promise.withResolvers()
    local fn = async(function(i)
      await(gate)
      if i == 2 then throw(i) end
      return i
    end)
    local first, second, third = fn(1), fn(2), fn(3)
    open()
    assert.same({"rejected", 2}, {outcome(second)})
    assert.same({"fulfilled", 1}, {first:status()})
    assert.same({"fulfilled", 3}, {third:status()})
  end)

  it("starts others, which start others", function()
    local function fib(n)
      if n < 2 then return await(n) end
      local a, b = Promise.spawn(fib, n - 1), Promise.spawn(fib, n - 2)
      return await(a) + await(b)
    end
    assert.same({"fulfilled", 144}, {run(fib, 12)})
  end)
end)

describe("await", function()
  for name, list in pairs(lists) do
    it("returns the values of a promise: " .. name, function()
      assert.same(table.pack("fulfilled", unpack(list)),
        table.pack(run(function()
          return await(Promise.fulfill(unpack(list)))
        end)))
    end)

    it("returns the values of a pending promise: " .. name, function()
      local promise, resolve = Promise.withResolvers()
      local call = Promise.spawn(function() return await(promise) end)
      resolve(unpack(list))
      assert.same(table.pack("fulfilled", unpack(list)),
        table.pack(outcome(call)))
    end)
  end

  each_reason(function(name, reason)
    it("raises the reason of a promise: " .. name, function()
      local expected = table.pack(false, helper.thrown(reason))
      assert.same(table.pack("fulfilled", expected),
        table.pack(run(function()
          return table.pack(pcall(await, Promise.reject(reason)))
        end)))
    end)

    it("raises the reason of a pending promise: " .. name, function()
      local promise, _, reject = Promise.withResolvers()
      local call = Promise.spawn(function() await(promise) end)
      reject(reason)
      assert.same(table.pack("rejected", helper.thrown(reason)),
        table.pack(outcome(call)))
    end)
  end)

  it("returns a plain value", function()
    local object = setmetatable({}, {})
    for _, value in ipairs {1, "s", true, false, print, object, io.stdout,
                            coroutine.create(print)} do
      assert.same({"fulfilled", value}, {run(await, value)})
    end
    assert.same(table.pack("fulfilled", nil), table.pack(run(await, nil)))
    assert.same(table.pack("fulfilled", nil), table.pack(run(await)))
  end)

  it("takes one value", function()
    assert.same({"fulfilled", 1}, {run(await, 1, 2, 3)})
  end)

  it("is a method of promises", function()
    assert.same({"fulfilled", 1, 2}, {run(function()
      return Promise.resolve(1, 2):await()
    end)})
  end)

  it("gives one promise to all who wait, in order", function()
    local promise, resolve = Promise.withResolvers()
    local log = {}
    for i = 1, 5 do
      Promise.spawn(function()
        local value = await(promise)
        log[#log + 1] = i .. value
      end)
    end
    resolve "v"
    helper.drain()
    assert.same({"1v", "2v", "3v", "4v", "5v"}, log)
  end)

  it("returns the same values each time", function()
    local promise = Promise.resolve({}, nil)
    assert.same({"fulfilled", true}, {run(function()
      local a, b = table.pack(await(promise)), table.pack(await(promise))
      return a[1] == b[1] and a.n == 2 and b.n == 2
    end)})
  end)

  describe("of a thenable", function()
    -- `{what it is, its outcome, the thenable}`
    local cases = {
      {"that resolves at once", {"fulfilled", 1, 2},
        {next = function(_, resolve) resolve(1, 2) end}},
      {"that rejects at once", {"rejected", "no"},
        {next = function(_, _, reject) reject "no" end}},
      {"that resolves later", {"fulfilled", 1},
        {next = function(_, resolve)
          Promise.queueMicrotask(resolve, 1)
        end}},
      {"that rejects later", {"rejected", "no"},
        {next = function(_, _, reject)
          Promise.queueMicrotask(reject, "no")
        end}},
      {"that throws", {"rejected", "no"},
        {next = function() throw "no" end}},
      {"that resolves and throws", {"fulfilled", 1},
        {next = function(_, resolve)
          resolve(1)
          throw "no"
        end}},
      {"whose getter throws", {"rejected", "no"},
        setmetatable({}, {__index = function() throw "no" end})},
      {"that resolves with another", {"fulfilled", 3},
        {next = function(_, resolve)
          resolve {next = function(_, again) again(3) end}
        end}},
    }
    for _, case in ipairs(cases) do
      it(case[1] .. " has its outcome", function()
        assert.same(case[2], {run(await, case[3])})
      end)
    end

    it("reads its method once", function()
      local reads = {}
      local object = setmetatable({}, {__index = function(_, key)
        reads[#reads + 1] = key
      end})
      run(function() await(object) end)
      assert.same({"next"}, reads)
    end)
  end)
end)

describe("pawait", function()
  for name, list in pairs(lists) do
    it("returns true and the values: " .. name, function()
      assert.same(table.pack("fulfilled", true, unpack(list)),
        table.pack(run(function()
          return pawait(Promise.fulfill(unpack(list)))
        end)))
    end)
  end

  each_reason(function(name, reason)
    it("returns false and the reason: " .. name, function()
      assert.same(table.pack("fulfilled", false, reason),
        table.pack(run(function()
          return pawait(Promise.reject(reason))
        end)))
    end)
  end)

  it("returns true and a plain value", function()
    assert.same({"fulfilled", true, 1}, {run(pawait, 1)})
    assert.same(table.pack("fulfilled", true, nil),
      table.pack(run(pawait, nil)))
  end)

  it("returns the outcome of a thenable", function()
    assert.same({"fulfilled", true, 1}, {run(pawait,
      {next = function(_, resolve) resolve(1) end})})
    assert.same({"fulfilled", false, "no"}, {run(pawait,
      {next = function(_, _, reject) reject "no" end})})
  end)
end)

-- The logs are V8's. `tick` logs 1, 2, 3 ... one job apart.
describe("the order of events is that of ECMAScript:", function()
  local log
  before_each(function() log = {} end)

  local function note(what)
    log[#log + 1] = tostring(what)
  end

  local function noted(what)
    return function() note(what) end
  end

  local function tick()
    local promise = Promise.resolve()
    for i = 1, 5 do promise = promise:next(noted(i)) end
  end

  local function thenable(value)
    return {next = function(_, resolve) resolve(value) end}
  end

  -- The call whose function is the case's, and what follows on it.
  local function after(fn)
    async(fn)():next(noted "a", note)
  end

  local function await_each(...)
    local values = table.pack(...)
    async(function()
      for i = 1, values.n do
        local ok, reason = pcall(await, values[i])
        note(ok and ("abc"):sub(i, i) or reason)
      end
    end)()
  end

  -- `{title, V8's log, program}`
  local cases = {
    {"an await of a settled promise", "a 1 b 2 3 4 5", function()
      await_each(Promise.resolve(), Promise.resolve())
    end},
    {"an await of a plain value", "a 1 b 2 3 4 5", function()
      await_each(1, 2)
    end},
    {"an await of nil", "a 1 b 2 3 4 5", function()
      await_each(nil, nil)
    end},
    {"an await of a rejected promise", "x 1 b 2 3 4 5", function()
      await_each(Promise.reject "x", 2)
    end},
    {"an await of a pending promise", "1 a n 2 b 3 4 5", function()
      local promise, resolve = Promise.withResolvers()
      await_each(promise, promise)
      promise:next(noted "n")
      Promise.resolve():next(resolve)
    end},
    {"an await of a thenable", "1 a 2 3 b 4 5", function()
      await_each(thenable(1), thenable(2))
    end},
    {"an await of a slow thenable", "1 2 a 3 4 5", function()
      await_each {next = function(_, resolve)
        Promise.queueMicrotask(resolve)
      end}
    end},
    {"an await of a thenable that rejects", "1 x 2 3 4 5", function()
      await_each {next = function(_, _, reject) reject "x" end}
    end},
    {"an await of a thenable whose getter throws", "x 1 2 3 4 5", function()
      await_each(setmetatable({}, {__index = function() throw "x" end}))
    end},
    {"an await of a promise that follows one", "1 2 a 3 4 5", function()
      await_each(Promise.new(function(resolve)
        resolve(Promise.resolve())
      end))
    end},
    {"an await of 'all'", "1 a 2 3 4 5", function()
      await_each(Promise.all {1, Promise.resolve(2)})
    end},
    {"a call that returns a value", "a 1 2 3 4 5", function()
      after(function() return 1 end)
    end},
    {"a call that waits, then returns a value", "1 a 2 3 4 5", function()
      after(function()
        await(1)
        return 1
      end)
    end},
    {"a call that throws", "x 1 2 3 4 5", function()
      after(function() throw "x" end)
    end},
    {"a call that waits, then throws", "1 x 2 3 4 5", function()
      after(function()
        await(1)
        throw "x"
      end)
    end},
    {"a call that returns a promise", "1 2 a 3 4 5", function()
      after(function() return Promise.resolve() end)
    end},
    {"a call that waits, then returns a promise", "1 2 3 a 4 5", function()
      after(function()
        await(1)
        return Promise.resolve()
      end)
    end},
    {"a call that returns a rejected promise", "1 2 x 3 4 5", function()
      after(function() return Promise.reject "x" end)
    end},
    {"a call that returns a thenable", "1 a 2 3 4 5", function()
      after(function() return thenable(1) end)
    end},
    {"a call that returns what it awaits", "1 a 2 3 4 5", function()
      after(function() return await(Promise.resolve()) end)
    end},
    {"calls that await one another", "f1 1 f2 2 f3 3 4 5", function()
      local f
      f = async(function(n)
        if n == 0 then return end
        await(f(n - 1))
        note("f" .. n)
      end)
      f(3)
    end},
    {"calls that return one another", "1 2 3 a 4 5", function()
      local f
      f = async(function(n)
        if n > 0 then return f(n - 1) end
      end)
      f(2):next(noted "a")
    end},
    {"two calls at once", "a1 b1 1 a2 b2 2 a3 b3 3 4 5", function()
      local f = async(function(name)
        for i = 1, 3 do
          await(Promise.resolve())
          note(name .. i)
        end
      end)
      f "a"
      f "b"
    end},
    {"many that await one promise", "a n b c 1 aa bb cc 2 3 4 5", function()
      local promise, resolve = Promise.withResolvers()
      local f = async(function(name)
        await(promise)
        note(name)
        await(promise)
        note(name .. name)
      end)
      f "a"
      promise:next(noted "n")
      f "b"
      f "c"
      resolve()
    end},
    {"a call and its caller", "start after end 1 2 3 4 5", function()
      async(function()
        note "start"
        await(1)
        note "end"
      end)()
      note "after"
    end},
    {"jobs that a call queues", "a 1 m b 2 n c 3 4 5", function()
      async(function()
        await(1)
        note "a"
        Promise.queueMicrotask(note, "m")
        await(1)
        note "b"
        Promise.resolve():next(noted "n")
        await(1)
        note "c"
      end)()
    end},
    {"the 'finally' of a call", "1 f 2 3 4 a 5", function()
      async(function() await(1) end)():finally(noted "f"):next(noted "a")
    end},
    {"'all' of calls", "1 2 3 4 a 5", function()
      local f = async(function(n)
        for _ = 1, n do await(1) end
      end)
      Promise.all({f(1), f(3), f(0)}):next(noted "a")
    end},
  }

  local function drain_one_by_one()
    repeat until Promise.drain(1) == 0
  end

  for _, case in ipairs(cases) do
    for how, drain in pairs {[""] = helper.drain,
                             [", job by job"] = drain_one_by_one} do
      it(case[1] .. how, function()
        case[3]()
        tick()
        drain()
        assert.equal(case[2], table.concat(log, " "))
      end)
    end
  end
end)

describe("an await across", function()
  -- What an async function returns after a wait in the middle of something.
  local function later(...)
    return await(Promise.resolve(...))
  end

  it("pcall returns to it", function()
    assert.same({"fulfilled", true, 1, nil, 3}, {run(function()
      return pcall(later, 1, nil, 3)
    end)})
  end)

  it("nested pcalls raises to the innermost", function()
    local reason = {}
    assert.same({"fulfilled", true, false, reason}, {run(function()
      return pcall(pcall, await, Promise.reject(reason))
    end)})
  end)

  it("xpcall calls its message handler", function()
    assert.same({"fulfilled", false, "handled x"}, {run(function()
      return xpcall(await, function(e) return "handled " .. e end,
        Promise.reject "x")
    end)})
  end)

  it("pcall catches errors after it", function()
    assert.same({"fulfilled", false, "x", 2}, {run(function()
      local ok, reason = pcall(function()
        later()
        throw "x"
      end)
      return ok, reason, later(2)
    end)})
  end)

  it("many levels of pcall returns through all", function()
    local function nest(depth)
      if depth == 0 then return later "deep" end
      return select(2, pcall(nest, depth - 1))
    end
    assert.same({"fulfilled", "deep"}, {run(nest, 150)})
  end)

  local metamethods = {
    __index = "o.field",
    __newindex = "(function() o.field = 1; return o.result end)()",
    __call = "o(1)",
    __add = "o + 1",
    __sub = "1 - o",
    __mul = "o * 2",
    __div = "o / 2",
    __mod = "o % 2",
    __pow = "o ^ 2",
    __unm = "-o",
    __idiv = "o // 2",
    __band = "o & 1",
    __bor = "o | 1",
    __bxor = "o ~ 1",
    __shl = "o << 1",
    __shr = "o >> 1",
    __bnot = "~o",
    __concat = "'a' .. o",
    __len = "#o",
    __eq = "o == other",
    __lt = "o < 1",
    __le = "o <= 1",
  }
  for event, code in pairs(metamethods) do
    it("the metamethod " .. event .. " returns to it", function()
      for _, value in ipairs {true, false} do
        local mt = {}
        local object, other = setmetatable({}, mt), setmetatable({}, mt)
        mt[event] = function()
          local result = later(value)
          rawset(object, "result", result)
          return result
        end
        local body = load("local o, other = ... return " .. code)
        assert.same({"fulfilled", value}, {run(body, object, other)})
      end
    end)
  end

  it("a concatenation of several returns to it", function()
    local object = setmetatable({}, {__concat = function(a, b)
      return later(type(a) == "table" and "[" .. b or a .. "]")
    end})
    assert.same({"fulfilled", "a[bc"}, {run(function()
      return "a" .. object .. "b" .. "c"
    end)})
  end)

  it("the iterator of a generic for goes on with the loop", function()
    assert.same({"fulfilled", 6, 3}, {run(function()
      local sum, steps = 0, 0
      for i in function(_, last)
        if last < 3 then return later(last + 1) end
        later()
      end, nil, 0 do
        sum = sum + later(i)
        steps = steps + 1
      end
      return sum, steps
    end)})
  end)

  it("a tail call returns to its caller", function()
    local function count(n)
      if n == 0 then return later "done" end
      later()
      return count(n - 1)
    end
    assert.same({"fulfilled", "done"}, {run(count, 1000)})
  end)
end)

describe("an await in a to-be-closed variable", function()
  local log
  before_each(function() log = {} end)

  -- A variable that logs its name and its error, a wait apart.
  local function slow(name)
    return closing(function(_, reason)
      log[#log + 1] = name
      await(Promise.resolve())
      log[#log + 1] = reason == nil and "nil" or reason
    end)
  end

  -- `{what ends the block, the outcome, the body, the log}`
  local cases = {
    {"the end of the block", {"fulfilled", 1}, function()
      do
        local _ <close> = slow "b"
        local _ <close> = slow "a"
      end
      return 1
    end},
    {"a return", {"fulfilled", 1, nil, 3}, function()
      local _ <close> = slow "b"
      local _ <close> = slow "a"
      return 1, nil, 3
    end},
    {"a return after a wait", {"fulfilled", 1, 2}, function()
      local _ <close> = slow "b"
      local _ <close> = slow "a"
      return await(Promise.resolve(1, 2))
    end},
    {"a break", {"fulfilled", "after"}, function()
      for i = 1, 2 do
        local _ <close> = slow "b"
        local _ <close> = slow "a"
        if i == 1 then break end
      end
      return "after"
    end},
    {"a goto", {"fulfilled"}, function()
      do
        local _ <close> = slow "b"
        local _ <close> = slow "a"
        goto out
      end
      ::out::
    end},
    {"an error", {"rejected", "x"}, function()
      local _ <close> = slow "b"
      local _ <close> = slow "a"
      throw "x"
    end, "a x b x"},
    {"an error after a wait", {"rejected", "x"}, function()
      local _ <close> = slow "b"
      local _ <close> = slow "a"
      await(1)
      throw "x"
    end, "a x b x"},
    {"a reason that is awaited", {"rejected", "x"}, function()
      local _ <close> = slow "b"
      local _ <close> = slow "a"
      await(Promise.reject "x")
    end, "a x b x"},
    {"an error in pcall", {"fulfilled", false, "x"}, function()
      return pcall(function()
        local _ <close> = slow "b"
        local _ <close> = slow "a"
        await(1)
        throw "x"
      end)
    end, "a x b x"},
    {"the error of another one", {"rejected", "y"}, function()
      local _ <close> = slow "b"
      local _ <close> = closing(function(_, reason)
        log[#log + 1] = "a"
        await(1)
        log[#log + 1] = reason
        throw "y"
      end)
      throw "x"
    end, "a x b y"},
    {"the end of a generic for", {"fulfilled", "after"}, function()
      for _ in next, {1}, nil, slow "a" do
        log[#log + 1] = "loop"
      end
      return "after"
    end, "loop a nil"},
    {"the break of a generic for", {"fulfilled", "after"}, function()
      for i in next, {1, 2}, nil, slow "a" do
        if await(i) == 1 then break end
      end
      return "after"
    end, "a nil"},
    {"an error in a generic for", {"rejected", "x"}, function()
      for _ in next, {1}, nil, slow "a" do
        await(1)
        throw "x"
      end
    end, "a x"},
  }
  for _, case in ipairs(cases) do
    it("is fine at " .. case[1], function()
      assert.same(case[2], {run(case[3])})
      assert.equal(case[4] or "a nil b nil", table.concat(log, " "))
    end)
  end

  it("hands the reason to it unaltered", function()
    local reason = {}
    local seen
    assert.equal(reason, select(2, run(function()
      local _ <close> = closing(function(_, e)
        await(1)
        seen = e
      end)
      throw(reason)
    end)))
    assert.equal(reason, seen)
  end)

  it("delays the outcome of the call", function()
    local gate, open = Promise.withResolvers()
    local call = Promise.spawn(function()
      local _ <close> = closing(function() await(gate) end)
      throw "x"
    end)
    assert.equal("pending", outcome(call))
    open()
    assert.same({"rejected", "x"}, {outcome(call)})
  end)
end)

describe("a great number", function()
  after_each(helper.collect)

  it("of awaits in one call takes no memory", function()
    local n = helper.scaled(1000000)
    local promise = Promise.resolve(1)
    local sum = 0
    local status, grown = run(growth, n, function()
      sum = sum + await(promise)
    end)
    assert.equal("fulfilled", status)
    assert.equal(n, sum)
    assert.is_true(grown < 32, grown .. " kB")
  end)

  it("of awaits of plain values takes no memory", function()
    local status, grown = run(growth, helper.scaled(100000), await)
    assert.equal("fulfilled", status)
    assert.is_true(grown < 32, grown .. " kB")
  end)

  it("of awaits of pending promises takes no memory", function()
    local status, grown = run(growth, helper.scaled(100000), function()
      local promise, resolve = Promise.withResolvers()
      Promise.queueMicrotask(resolve)
      await(promise)
    end)
    assert.equal("fulfilled", status)
    assert.is_true(grown < 32, grown .. " kB")
  end)

  it("of calls awaits one promise", function()
    local gate, open = Promise.withResolvers()
    local n = helper.scaled(100000)
    local sum = 0
    for i = 1, n do
      Promise.spawn(function()
        local factor = await(gate)
        sum = sum + factor * i
      end)
    end
    open(1)
    helper.drain()
    assert.equal(n * (n + 1) // 2, sum)
  end)

  local fn = async(function(i)
    await(Promise.resolve())
    if i % 2 == 0 then throw(i) end
    return i
  end)

  it("of calls in turn takes no memory", function()
    local grown = growth(10000, function(i)
      outcome(fn(i))
    end)
    assert.is_true(grown < 32, grown .. " kB")
  end)

  it("of calls that a call awaits in turn takes no memory", function()
    local status, grown = run(growth, 10000, function(i)
      assert(pawait(fn(i)) == (i % 2 == 1))
    end)
    assert.equal("fulfilled", status)
    assert.is_true(grown < 32, grown .. " kB")
  end)
end)

describe("a recursion 10000 deep", function()
  after_each(helper.collect)

  -- How a level calls the next one, `f(n - 1)`, and makes its result from it.
  local ways = {
    ["that awaits"] = function(f, n)
      return await(f(n)) + 1
    end,
    ["with a pcall at each level"] = function(f, n)
      local ok, promise = pcall(f, n)
      assert(ok, promise)
      return await(promise) + 1
    end,
    ["with nested pcalls at each level"] = function(f, n)
      local ok, called, promise = pcall(pcall, f, n)
      assert(ok and called, promise)
      return await(promise) + 1
    end,
    ["with a metamethod at each level"] = function(f, n)
      local object = setmetatable({}, {__index = function() return f(n) end})
      return await(object.promise) + 1
    end,
    ["with an executor at each level"] = function(f, n)
      return await(Promise.new(function(resolve) resolve(f(n)) end)) + 1
    end,
    ["with 'try' at each level"] = function(f, n)
      return await(Promise.try(f, n)) + 1
    end,
    ["through handlers"] = function(f, n)
      return f(n):next(function(result) return result + 1 end)
    end,
    ["from handlers"] = function(f, n)
      return Promise.resolve(n):next(f):next(function(result)
        return result + 1
      end)
    end,
    ["after a wait"] = function(f, n)
      await(1)
      return await(f(n)) + 1
    end,
  }
  for name, way in pairs(ways) do
    it(name .. " reaches its end", function()
      local f
      f = async(function(n)
        return n == 0 and 0 or way(f, n - 1)
      end)
      assert.same({"fulfilled", 10000}, {outcome(f(10000))})
    end)
  end

  it("rejects with the reason of its end", function()
    local reason = {}
    local f
    f = async(function(n)
      if n == 0 then throw(reason) end
      await(f(n - 1))
    end)
    local status, seen = outcome(f(10000))
    assert.equal("rejected", status)
    assert.equal(reason, seen)
  end)

  it("passes all arguments", function()
    local f
    f = async(function(n, ...)
      if n == 0 then return select("#", ...), ... end
      return await(f(n - 1, ...))
    end)
    assert.same({"fulfilled", 3, nil, 2, nil},
      {outcome(f(10000, nil, 2, nil))})
  end)
end)

describe("a call that nobody can reach", function()
  -- How many of n calls of `fn(gate)` still live, each after its wait began,
  -- when nothing but `keep(gate, resolve)` holds what they wait for.
  local function living(fn, keep)
    local weak = setmetatable({}, {__mode = "k"})
    for _ = 1, 100 do
      local gate, resolve = Promise.withResolvers()
      Promise.spawn(function()
        weak[coroutine.running()] = true
        return fn(gate)
      end)
      if keep then keep(resolve) end
    end
    helper.drain()
    helper.collect()
    local n = 0
    for _ in pairs(weak) do n = n + 1 end
    return n
  end

  it("is collected while it waits", function()
    assert.equal(0, living(await))
  end)

  it("is collected while it waits for another", function()
    assert.equal(0, living(function(gate)
      await(Promise.spawn(await, gate))
    end))
  end)

  it("is collected while it waits in 'all'", function()
    assert.equal(0, living(function(gate)
      await(Promise.all {gate, 1})
    end))
  end)

  it("is collected after it ended", function()
    local resolvers = {}
    assert.equal(0, living(function() await(1) end, function(resolve)
      resolvers[#resolvers + 1] = resolve
    end))
  end)

  it("is collected though it holds its own promise", function()
    local weak = setmetatable({}, {__mode = "v"})
    do
      local call
      call = Promise.spawn(function()
        await(1)
        await(call)
      end)
      weak[1] = call
    end
    helper.drain()
    helper.collect()
    assert.is_nil(weak[1])
  end)

  it("lives as long as what it waits for can be settled", function()
    local resolvers = {}
    local ended = 0
    assert.equal(100, living(function(gate)
      await(gate)
      ended = ended + 1
    end, function(resolve)
      resolvers[#resolvers + 1] = resolve
    end))
    for _, resolve in ipairs(resolvers) do resolve() end
    helper.drain()
    assert.equal(100, ended)
  end)
end)

describe("a wrong argument", function()
  -- The error of a program, whose second line is the code.
  local function error_of(code)
    local chunk = load("\n" .. code, "=prog", "t",
      {P = Promise, pcall = pcall, error = error, coroutine = coroutine})
    return select(2, pcall(chunk))
  end

  for _, name in ipairs {"async", "spawn", "wrap", "run"} do
    for _, case in ipairs {{"nil", "nil"}, {"1", "number"},
                           {"'print'", "string"}, {"{}", "table"},
                           {"P.resolve()", "promise"}} do
      local expected = ("prog:2: bad argument #1 to '%s' " ..
        "(callable expected, got %s%s)"):format(name, case[2],
          case[2] ~= "promise" and "" or
          name == "run" and "; to wait for a promise use await" or
          ": give the function, not its call")

      it(("is refused by P.%s(%s)"):format(name, case[1]), function()
        assert.equal(expected,
          error_of(("P.%s(%s)"):format(name, case[1])))
      end)

      it(("is refused by pcall(P.%s, %s)"):format(name, case[1]), function()
        assert.equal(expected, error_of(
          ("local _, e = pcall(P.%s, %s) error(e, 0)"):format(
            name, case[1])))
      end)
    end
  end

  for _, name in ipairs {"async", "spawn", "wrap"} do
    it("is refused by P." .. name .. "()", function()
      assert.equal(("prog:2: bad argument #1 to '%s' " ..
        "(callable expected, got no value)"):format(name),
        error_of(("P.%s()"):format(name)))
    end)
  end

  it("rejects an async call in which it is given", function()
    assert.same({"rejected",
      "prog:2: bad argument #1 to 'spawn' (callable expected, got nil)"},
      {run(load("\nlocal P = ... P.spawn(nil)", "=prog"), Promise)})
  end)
end)
