--- The combinators: what they take, and what becomes of it.

local Promise = require "cpromise"
local helper = require "spec.helper"

local names = {"all", "allSettled", "any", "race"}

local function pass(...) return ... end

--- How a promise has settled, which is not to be reported.
local function outcome(p)
  p:catch(pass)
  return helper.outcome(p)
end

--- The results of `all`, which shows what elements there are.
local function elements(...)
  local state, results = outcome(Promise.all(...))
  assert.equal("fulfilled", state)
  return results
end

--- The promise rejects with this reason, or one that matches this pattern.
local function assert_rejects(p, reason)
  local state, got = outcome(p)
  assert.equal("rejected", state)
  if type(reason) == "string" then
    assert.matches(reason, got)
  else
    assert.equal(reason, got)
  end
end

local function thenable(...)
  local values = table.pack(...)
  return {next = function(_, resolve)
    resolve(table.unpack(values, 1, values.n))
  end}
end

local function rejecting(reason)
  return {next = function(_, _, reject) reject(reason) end}
end

local function delayed(...)
  local values = table.pack(...)
  return Promise.resolve():next(pass):next(function()
    return table.unpack(values, 1, values.n)
  end)
end

describe("a sequence", function()
  after_each(helper.drain)

  it("is as long as its n", function()
    assert.same({1, 2, 3, n = 3}, elements {1, 2, 3, n = 3})
    assert.same({1, 2, n = 2}, elements {1, 2, 3, n = 2})
    assert.same({1, n = 4}, elements {1, n = 4})
    assert.same({n = 0}, elements {1, 2, 3, n = 0})
    assert.same({n = 3}, elements {n = 3})
  end)

  it("is as long as # says if it has no n", function()
    assert.same({1, 2, 3, n = 3}, elements {1, 2, 3})
    assert.same({n = 0}, elements {})
    assert.same({n = 0}, elements {a = 1, [-1] = 2, [1.5] = 3})
  end)

  it("is as long as # says if n is no integer from 0", function()
    for _, n in ipairs {2.0, 1.5, "1", -1, math.mininteger, {}, false} do
      assert.same({1, 2, 3, n = 3}, elements {1, 2, 3, n = n})
    end
  end)

  it("has nil where it has holes", function()
    assert.same({nil, 2, nil, 4, n = 5}, elements {nil, 2, nil, 4, n = 5})
    local _, settled = outcome(Promise.allSettled {nil, 2, n = 2})
    assert.same({{status = "fulfilled"}, {status = "fulfilled", value = 2},
      n = 2}, settled)
    assert.same({"fulfilled", nil}, {outcome(Promise.any {n = 1})})
    assert.same({"fulfilled", nil}, {outcome(Promise.race {nil, 2, n = 2})})
  end)

  it("takes its elements through metamethods", function()
    local t = setmetatable({}, {
      __len = function() return 3 end,
      __index = function(_, i) return i * 10 end,
    })
    -- 'n' is read raw: else its length would be an error.
    assert.same({10, 20, 30, n = 3}, elements(t))
    assert.same({10, 20, n = 2}, elements(setmetatable({n = 2},
      getmetatable(t))))
  end)

  it("reads no element twice, and none that is not there", function()
    local read = {}
    elements(setmetatable({n = 3}, {__index = function(_, i)
      read[#read + 1] = i
      return i
    end}))
    assert.same({1, 2, 3}, read)
  end)

  it("may be a table that can be called", function()
    local t = setmetatable({1, 2}, {__call = error})
    assert.same({1, 2, n = 2}, elements(t))
  end)

  it("rejects the aggregate when its length raises", function()
    local function sequence(reason)
      return setmetatable({}, {__len = function() error(reason, 0) end})
    end
    for _, name in ipairs(names) do
      local reason = {}
      assert_rejects(Promise[name](sequence(reason)), reason)
    end
  end)

  it("rejects the aggregate when its length is none", function()
    for _, length in ipairs {"x", 1.5, {}} do
      for _, name in ipairs(names) do
        assert_rejects(Promise[name](setmetatable({}, {
          __len = function() return length end,
        })), "object length is not an integer")
      end
    end
  end)

  it("rejects the aggregate when an element raises", function()
    for _, name in ipairs(names) do
      for bad = 1, 3 do
        local reason = {}
        local p = Promise[name](setmetatable({n = 3}, {
          __index = function(_, i)
            if i == bad then error(reason, 0) end
            return Promise.new(pass)
          end,
        }))
        assert_rejects(p, reason)
      end
    end
  end)

  it("has no elements if its length is negative", function()
    assert.same({n = 0}, elements(setmetatable({}, {
      __len = function() return -5 end,
    })))
  end)

  it("rejects the aggregate when it is too long for a table", function()
    for _, name in ipairs(names) do
      assert_rejects(Promise[name] {n = math.maxinteger}, "too many")
    end
  end)

  it("keeps its own table as it was", function()
    local t = {1, Promise.resolve(2), thenable(3), n = 3}
    local copy = {t[1], t[2], t[3], n = 3}
    assert.not_equal(t, elements(t))
    assert.same(copy, t)
    assert.equal(copy[3], t[3])
  end)

  it("is read before any job runs", function()
    local t = {1, 2, 3}
    local p = Promise.all(t)
    t[1], t[4] = "late", "late"
    local _, results = outcome(p)
    assert.same({1, 2, 3, n = 3}, results)
  end)
end)

describe("an iterator", function()
  after_each(helper.drain)

  --- An iterator that gives these, one by one.
  local function each(...)
    local values = table.pack(...)
    local i = 0
    return function()
      i = i + 1
      return values[i]
    end
  end

  it("may be ipairs, which gives the values", function()
    assert.same({"a", "b", n = 2}, elements(ipairs {"a", "b", nil, "d"}))
  end)

  it("may be pairs, which gives the values", function()
    local results = elements(pairs {x = 1, y = 2, z = Promise.resolve(3)})
    assert.equal(3, results.n)
    table.sort(results)
    assert.same({1, 2, 3, n = 3}, results)
  end)

  it("may be pairs with a metamethod", function()
    local t = setmetatable({}, {__pairs = function(t)
      return function(_, k) if not k then return 1, "value" end end, t, nil
    end})
    assert.same({"value", n = 1}, elements(pairs(t)))
  end)

  it("may be a coroutine", function()
    assert.same({1, 4, 9, n = 3}, elements(coroutine.wrap(function()
      for i = 1, 3 do coroutine.yield(i * i) end
    end)))
  end)

  it("may be string.gmatch", function()
    assert.same({"one", "two", n = 2}, elements(("one two"):gmatch "%w+"))
    assert.same({"1", "2", n = 2}, elements(("a=1 b=2"):gmatch "(%w)=(%w)"))
  end)

  it("may be io.lines", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write("first\nsecond\n")
    file:close()
    assert.same({"first", "second", n = 2}, elements(io.lines(name)))
    os.remove(name)
  end)

  it("may be a closure", function()
    assert.same({1, 2, 3, n = 3}, elements(each(1, Promise.resolve(2),
      thenable(3))))
  end)

  it("may be a userdata that can be called", function()
    local object = debug.setmetatable(Promise.resolve(), {
      __call = function(self, state, control)
        assert(type(self) == "userdata" and state == "state")
        if control < 3 then return control + 1, control * 2 end
      end,
    })
    assert.same({0, 2, 4, n = 3}, elements(object, "state", 0))
  end)

  it("gets its state, and the first value of its last step", function()
    local seen = {}
    local state = {}
    elements(function(...)
      seen[#seen + 1] = table.pack(...)
      if #seen < 3 then return "control" .. #seen, "value", "more" end
    end, state, "start")
    assert.same({
      {state, "start", n = 2},
      {state, "control1", n = 2},
      {state, "control2", n = 2},
    }, seen)
  end)

  it("ends with nil, and is not called again", function()
    local calls = 0
    local results = elements(function()
      calls = calls + 1
      if calls == 1 then return "only" end
      if calls == 2 then return nil, "not counted" end
      error "called again"
    end)
    assert.same({"only", n = 1}, results)
    assert.equal(2, calls)
  end)

  it("ends with no value at all", function()
    assert.same({n = 0}, elements(function() end))
  end)

  it("goes on with false", function()
    assert.same({false, false, n = 2}, elements(each(false, false)))
  end)

  it("has a second value as element even if that is nil", function()
    local done
    assert.same({n = 1}, elements(function()
      if not done then
        done = true
        return "control", nil
      end
    end))
  end)

  it("rejects the aggregate when a step raises", function()
    for _, name in ipairs(names) do
      for bad = 1, 3 do
        local reason = {}
        local step = 0
        local p = Promise[name](function()
          step = step + 1
          if step == bad then error(reason, 0) end
          return Promise.new(pass)
        end)
        assert_rejects(p, reason)
        assert.equal(bad, step)
      end
    end
  end)

  it("leaves its elements alone when a step raises", function()
    local log = {}
    local step = 0
    local first = Promise.resolve(1)
    assert_rejects(Promise.all(function()
      step = step + 1
      if step == 2 then error("reason", 0) end
      return first
    end), "reason")
    first:next(function(v) log[1] = v end)
    helper.drain()
    assert.same({1}, log)
  end)

  it("can't change an outcome that came while it ran", function()
    for _, name in ipairs {"any", "race"} do
      local step = 0
      local p = Promise[name](function()
        step = step + 1
        if step == 2 then
          Promise.drain()
          error "too late"
        end
        return "first"
      end)
      assert.same({"fulfilled", "first"}, {p:status()})
      assert.same({"fulfilled", "first"}, {outcome(p)})
    end
  end)

  it("may drain, which settles elements before it ends", function()
    local step = 0
    local p = Promise.all(function()
      step = step + 1
      Promise.drain()
      if step == 20 then return nil end
      return Promise.resolve(step % 3 > 0 and step or nil)
    end)
    local _, results = outcome(p)
    assert.equal(19, results.n)
    for i = 1, 19 do
      assert.equal(i % 3 > 0 and i or nil, results[i])
    end
  end)

  --- A closing value and a list of what it was closed with.
  local function closing(fail)
    local closed = {}
    return setmetatable({}, {__close = function(_, err)
      closed[#closed + 1] = err == nil and "no error" or err
      if fail then error(fail, 0) end
    end}), closed
  end

  for _, name in ipairs(names) do
    it("has its closing value closed at its end (" .. name .. ")", function()
      local value, closed = closing()
      Promise[name](each(1, 2), nil, nil, value)
      assert.same({"no error"}, closed)
    end)

    it("has its closing value closed on an error (" .. name .. ")",
      function()
        local value, closed = closing()
        local reason = {}
        local p = Promise[name](function() error(reason, 0) end, 1, 2, value)
        assert.equal(1, #closed)
        assert.equal(reason, closed[1])
        assert_rejects(p, reason)
      end)

    it("rejects with an error of its closing value (" .. name .. ")",
      function()
        local reason = {}
        local value, closed = closing(reason)
        assert_rejects(Promise[name](each(), nil, nil, value), reason)
        assert.same({"no error"}, closed)
        value, closed = closing(reason)
        assert_rejects(Promise[name](error, "first", nil, value), reason)
        assert.equal(1, #closed)
      end)
  end

  it("has its closing value closed when an element raises", function()
    local value, closed = closing()
    local bad = setmetatable({}, {__index = function() error("bad", 0) end})
    -- An error of a getter is the element's, not the iterator's.
    local _, results = outcome(Promise.allSettled(each(bad, 2), nil, nil,
      value))
    assert.same({"no error"}, closed)
    assert.same({{status = "rejected", reason = "bad"},
      {status = "fulfilled", value = 2}, n = 2}, results)
  end)

  it("may have false or nil for a closing value", function()
    assert.same({1, n = 1}, elements(each(1), nil, nil, false))
    assert.same({1, n = 1}, elements(each(1), nil, nil, nil))
  end)

  it("rejects the aggregate for what can't be closed", function()
    assert_rejects(Promise.all(each(1), nil, nil, {}), "non%-closable")
    assert_rejects(Promise.race(each(1), nil, nil, 1), "non%-closable")
  end)
end)

describe("an argument that can't be iterated", function()
  --- The call raises such an error, with the position of this file.
  local function assert_argument_error(name, expected, bad)
    local ok, err = pcall(Promise[name], bad)
    assert.is_false(ok)
    assert.matches(("^spec/combine_spec.lua:%%d+: bad argument #1 to '%s' " ..
      "%%(%s expected, got "):format(name, expected), err)
  end

  it("raises at the call", function()
    local bad = {nil, 1, "text", true, io.stdout, coroutine.create(pass)}
    for _, name in ipairs(names) do
      for i = 1, 6 do assert_argument_error(name, "iterable", bad[i]) end
    end
  end)

  it("raises for a promise", function()
    for _, name in ipairs(names) do
      assert.error_matches(function() Promise[name](Promise.resolve()) end,
        "iterable expected, got promise")
    end
  end)

  it("raises for the keyed ones unless it is a table", function()
    local bad = {nil, 1, "text", pass, Promise.resolve()}
    for _, name in ipairs {"allKeyed", "allSettledKeyed"} do
      for i = 1, 5 do assert_argument_error(name, "table", bad[i]) end
    end
  end)
end)

describe("all", function()
  after_each(helper.drain)

  it("keeps the order of its elements, not of their settling", function()
    local p, resolve_p = Promise.withResolvers()
    local q, resolve_q = Promise.withResolvers()
    local all = Promise.all {p, q, delayed "c", thenable "d", "e"}
    resolve_q "b"
    helper.drain()
    assert.equal("pending", all:status())
    resolve_p "a"
    local _, results = outcome(all)
    assert.same({"a", "b", "c", "d", "e", n = 5}, results)
  end)

  it("takes the first of several values", function()
    assert.same({1, nil, nil, 4, 5, n = 5}, elements {
      Promise.resolve(1, 2), Promise.resolve(), Promise.resolve(nil, 3),
      thenable(4, 5), delayed(5, 6), n = 5})
  end)

  it("takes a thenable that was fulfilled as it is", function()
    local value = thenable(1)
    assert.equal(value, elements({Promise.fulfill(value)})[1])
  end)

  it("rejects with the first reason, at once", function()
    local reason = {}
    local p = Promise.all {Promise.new(pass), delayed(1):next(error),
      Promise.reject(reason), Promise.reject "second"}
    assert_rejects(p, reason)
    assert_rejects(Promise.all {1, rejecting(reason), Promise.new(pass)},
      reason)
  end)

  it("handles all its rejections", function()
    local seen = helper.unhandled(function()
      Promise.all({Promise.reject(1), Promise.reject(2)}):catch(pass)
      Promise.allSettled {Promise.reject(3)}
      Promise.any {Promise.reject(4), 5}
      Promise.race {6, Promise.reject(7)}
    end)
    assert.same({}, seen)
  end)

  it("fulfils with an empty table for no elements", function()
    local p = Promise.all {}
    assert.same({"fulfilled", {n = 0}}, {p:status()})
  end)

  it("may have an element twice", function()
    local p = delayed "twice"
    assert.same({"twice", 1, "twice", n = 3}, elements {p, 1, p})
  end)

  it("makes a new table, which is the program's own", function()
    local p = Promise.all {1, 2}
    local _, results = outcome(p)
    results[1], results.n, results.more = nil, nil, true
    assert.same({"fulfilled", {[2] = 2, more = true}}, {p:status()})
    assert.is_nil(getmetatable(results))
  end)
end)

describe("allSettled", function()
  it("tells how each element has settled, in their order", function()
    local reason = {}
    local _, results = outcome(Promise.allSettled {
      delayed "a", Promise.reject(reason), thenable("c", 1), rejecting "d",
      5, Promise.resolve(), n = 7})
    assert.same({
      {status = "fulfilled", value = "a"},
      {status = "rejected", reason = reason},
      {status = "fulfilled", value = "c"},
      {status = "rejected", reason = "d"},
      {status = "fulfilled", value = 5},
      {status = "fulfilled"},
      {status = "fulfilled"},
      n = 7,
    }, results)
    assert.equal(reason, results[2].reason)
  end)

  it("has no reason for a rejection with nil", function()
    local _, results = outcome(Promise.allSettled {Promise.reject()})
    assert.same({{status = "rejected"}, n = 1}, results)
  end)

  it("fulfils with an empty table for no elements", function()
    assert.same({"fulfilled", {n = 0}}, {Promise.allSettled({}):status()})
  end)
end)

describe("any", function()
  it("fulfils with the first fulfilment, all values of it", function()
    assert.same({"fulfilled", 1, nil, 3}, {outcome(Promise.any {
      Promise.reject "a", Promise.new(pass), delayed(5),
      Promise.resolve(1, nil, 3)})})
    assert.same({"fulfilled", 1, 2},
      {outcome(Promise.any {rejecting "a", thenable(1, 2)})})
    assert.equal(1, select("#", outcome(Promise.any {Promise.resolve()})))
  end)

  it("fulfils with a plain value", function()
    assert.same({"fulfilled", "plain"},
      {outcome(Promise.any {delayed(1), Promise.reject "a", "plain"})})
  end)

  it("passes no value on that is a thenable", function()
    assert.same({"fulfilled", "inner"},
      {outcome(Promise.any {Promise.fulfill(thenable "inner")})})
  end)

  --- The reason of `any` over these.
  local function aggregate(...)
    local state, err = outcome(Promise.any(...))
    assert.equal("rejected", state)
    return err
  end

  it("rejects with all reasons in the order of the elements", function()
    local reason = {}
    local err = aggregate {delayed("a"):next(function() error("a", 0) end),
      Promise.reject(reason), rejecting "c", Promise.reject(), n = 4}
    assert.same({"a", reason, "c", n = 4}, err.errors)
    assert.equal(reason, err.errors[2])
    assert.equal("All promises were rejected", err.message)
  end)

  it("rejects for no elements", function()
    local p = Promise.any {}
    p:catch(pass)
    assert.equal("rejected", (p:status()))
    assert.same({n = 0}, aggregate({}).errors)
    assert.same({n = 0}, aggregate(pass).errors)
  end)

  it("makes errors that tell all", function()
    local err = aggregate {Promise.reject "first", Promise.reject {},
      Promise.reject(3)}
    local text = tostring(err)
    assert.matches("^AggregateError: All promises were rejected\n", text)
    assert.matches("\n  1: first\n", text)
    assert.matches("\n  2: table: ", text)
    assert.matches("\n  3: 3$", text)
    assert.equal("AggregateError: All promises were rejected",
      tostring(aggregate {}))
  end)

  it("makes errors whose text tells of errors within", function()
    local inner = Promise.any {Promise.reject "inner"}
    local err = aggregate {inner, Promise.reject "outer"}
    assert.is_true(Promise.isAggregate(err.errors[1]))
    assert.matches("1: AggregateError.*1: inner.*2: outer", tostring(err))
  end)

  it("makes errors that isAggregate knows", function()
    local err = aggregate {}
    assert.is_true(Promise.isAggregate(err))
    for _, v in ipairs {{}, "x", 1, false, Promise, setmetatable({}, {}),
        {errors = {}, message = err.message}, Promise.resolve()} do
      assert.is_false(Promise.isAggregate(v))
    end
    assert.is_false(Promise.isAggregate(nil))
  end)

  it("rejects with an error when iterating raises", function()
    assert_rejects(Promise.any(error, "raised"), "raised")
  end)
end)

describe("race", function()
  it("settles as the first element does, with all values", function()
    local never = Promise.new(pass)
    assert.same({"fulfilled", 1, nil, 3},
      {outcome(Promise.race {never, delayed(4), Promise.resolve(1, nil, 3)})})
    local reason = {}
    assert_rejects(Promise.race {never, Promise.reject(reason), 1}, reason)
    assert_rejects(Promise.race {never, rejecting(reason)}, reason)
    assert.same({"fulfilled", 1, 2},
      {outcome(Promise.race {never, thenable(1, 2)})})
    assert.equal(1, select("#", outcome(Promise.race {Promise.resolve()})))
  end)

  it("prefers the first of those that have settled", function()
    assert.same({"fulfilled", 1},
      {outcome(Promise.race {Promise.resolve(1), 2, Promise.reject(3)})})
    assert.same({"fulfilled", "plain"},
      {outcome(Promise.race {"plain", Promise.resolve(1)})})
  end)

  it("stays pending for no elements", function()
    assert.equal("pending", (outcome(Promise.race {})))
    assert.equal("pending", (outcome(Promise.race(pass))))
  end)

  it("follows what was fulfilled with a thenable", function()
    assert.same({"fulfilled", "inner", 2},
      {outcome(Promise.race {Promise.fulfill(thenable("inner", 2), 3)})})
  end)
end)

describe("the text of an aggregate error", function()
  --- One of `any`, of rejections with these reasons.
  local function aggregate(reasons)
    local list = {}
    for i, reason in ipairs(reasons) do list[i] = Promise.reject(reason) end
    local p = Promise.any(list)
    p:catch(function() end)
    return select(2, helper.outcome(p))
  end

  it("shows a hundred errors, and how many more there are", function()
    local reasons = {}
    for i = 1, 103 do reasons[i] = "reason " .. i end
    local text = tostring(aggregate(reasons))
    assert.matches("\n  100: reason 100\n  (3 more)", text, 1, true)
    assert.not_matches("reason 101", text, 1, true)
  end)

  it("shows a hundred errors of those in one another, too", function()
    local reasons = {}
    for i = 1, 60 do reasons[i] = "reason " .. i end
    local text = tostring(aggregate {aggregate(reasons), aggregate(reasons)})
    local _, n = text:gsub("reason %d+", "")
    assert.equal(98, n)
    assert.matches("(22 more)", text, 1, true)
  end)

  it("goes four levels deep", function()
    local err = "the innermost"
    for _ = 1, 6 do err = aggregate {err, err} end
    local text = tostring(err)
    assert.not_matches("innermost", text, 1, true)
    local _, n = text:gsub("%(2 more%)", "")
    assert.equal(16, n)
  end)
end)

describe("allKeyed", function()
  after_each(helper.drain)

  it("has results under the same keys", function()
    local key = {}
    local t = {a = 1, b = Promise.resolve(2, 3), [1] = thenable "c",
      [key] = delayed "d", [1.5] = 5, [true] = "f", [pass] = 7, n = 8,
      [-1] = 9, [Promise] = 10}
    local state, results = outcome(Promise.allKeyed(t))
    assert.equal("fulfilled", state)
    for k, v in pairs {a = 1, b = 2, [1] = "c", [key] = "d", [1.5] = 5,
        [true] = "f", [pass] = 7, n = 8, [-1] = 9, [Promise] = 10} do
      assert.equal(v, results[k])
    end
    for k in pairs(results) do assert.not_nil(t[k]) end
    assert.is_nil(getmetatable(results))
  end)

  it("has no key for a result that is nil", function()
    assert.same({"fulfilled", {a = 1}}, {outcome(Promise.allKeyed {
      a = 1, b = Promise.resolve(), c = delayed(nil), d = thenable()})})
  end)

  it("rejects with the first reason", function()
    assert_rejects(Promise.allKeyed {a = 1, b = Promise.reject "reason",
      c = Promise.new(pass)}, "reason")
  end)

  it("fulfils with an empty table for no elements", function()
    assert.same({"fulfilled", {}}, {Promise.allKeyed({}):status()})
  end)

  it("takes the keys first, by raw next", function()
    local t = setmetatable({a = 1, b = 2}, {
      __pairs = error,
      __index = function() return "inherited" end,
    })
    assert.same({"fulfilled", {a = 1, b = 2}}, {outcome(Promise.allKeyed(t))})
  end)

  it("reads values through metamethods if a key goes meanwhile", function()
    local t, removed = {}, nil
    local function remove(self)
      -- The getter of the first element removes all the others.
      for k in pairs(t) do
        if t[k] ~= self then
          t[k] = nil
          removed = k
        end
      end
    end
    for _, k in ipairs {"a", "b"} do
      t[k] = setmetatable({}, {__index = remove})
    end
    setmetatable(t, {__index = function() return "inherited" end})
    local state, results = outcome(Promise.allKeyed(t))
    assert.equal("fulfilled", state)
    assert.equal("inherited", results[removed])
  end)

  it("adds no key that came meanwhile", function()
    local t = {}
    t.a = setmetatable({}, {__index = function() t.b = 2 end})
    local _, results = outcome(Promise.allKeyed(t))
    assert.equal(t.a, results.a)
    assert.is_nil(results.b)
  end)

  it("rejects when reading a value raises", function()
    local t = {}
    for _, k in ipairs {"a", "b"} do
      t[k] = setmetatable({}, {__index = function()
        t.a, t.b = nil, nil
      end})
    end
    setmetatable(t, {__index = function() error("raised", 0) end})
    assert_rejects(Promise.allKeyed(t), "raised")
  end)
end)

describe("allSettledKeyed", function()
  it("tells how each element has settled, by key", function()
    local reason = {}
    local state, results = outcome(Promise.allSettledKeyed {
      a = delayed(1, 2), b = Promise.reject(reason), [3] = 4,
      d = rejecting "d", e = Promise.resolve()})
    assert.equal("fulfilled", state)
    assert.same({
      a = {status = "fulfilled", value = 1},
      b = {status = "rejected", reason = reason},
      [3] = {status = "fulfilled", value = 4},
      d = {status = "rejected", reason = "d"},
      e = {status = "fulfilled"},
    }, results)
  end)

  it("fulfils with an empty table for no elements", function()
    assert.same({"fulfilled", {}}, {Promise.allSettledKeyed({}):status()})
  end)
end)

describe("an element", function()
  after_each(helper.drain)

  local all = {}
  for _, name in ipairs(names) do
    all[name] = function(v) return Promise[name] {v} end
    all[name .. " of an iterator"] = function(v)
      return Promise[name](function(_, i) if not i then return 1, v end end)
    end
  end
  for _, name in ipairs {"allKeyed", "allSettledKeyed"} do
    all[name] = function(v) return Promise[name] {key = v} end
  end

  for name, combine in pairs(all) do
    it("is asked for its 'next' once (" .. name .. ")", function()
      local reads = 0
      local value = setmetatable({}, {__index = function(_, key)
        assert(key == "next")
        reads = reads + 1
        return function(_, resolve) resolve "value" end
      end})
      local p = combine(value)
      assert.equal(1, reads)
      assert.equal("fulfilled", (outcome(p)))
      assert.equal(1, reads)
    end)

    it("settles once, whatever it calls (" .. name .. ")", function()
      local p = combine {next = function(_, resolve, reject)
        resolve "first"
        resolve "second"
        reject "third"
        error "fourth"
      end}
      local state, v = outcome(p)
      assert.equal("fulfilled", state)
      while type(v) == "table" do v = v[1] or v.key or v.value end
      assert.equal("first", v)
    end)

    it("never settles the aggregate before the call returns (" .. name ..
      ")", function()
        for _, v in ipairs {1, Promise.resolve(1), thenable(1)} do
          assert.equal("pending", (combine(v):status()))
        end
      end)
  end

  it("wins by its tick, then by its place, whatever its kind", function()
    local kinds = {
      plain = pass,
      settled = Promise.resolve,
      thenable = thenable,
      following = function(v)
        return Promise.new(function(f) f(Promise.resolve(v)) end)
      end,
    }
    local ticks = {plain = 1, settled = 1, thenable = 2, following = 3}
    for a, make_a in pairs(kinds) do
      for b, make_b in pairs(kinds) do
        local winner = ticks[b] < ticks[a] and "b" or "a"
        for _, name in ipairs {"race", "any"} do
          assert.same({"fulfilled", winner},
            {outcome(Promise[name] {make_a "a", make_b "b"})})
        end
      end
    end
  end)
end)
