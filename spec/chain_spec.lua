local Promise = require "cpromise"
local helper = require "spec.helper"

local drain = helper.drain
local lua_assert = _G.assert -- the name alone means busted's

-- `{status, values..., n = }` after all jobs have run.
local function outcome(promise)
  return table.pack(helper.outcome(promise))
end

-- The outcome of a promise whose rejection nobody else looks at.
local function outcome_of_rejected(promise)
  promise:catch(function() end)
  return outcome(promise)
end

local function callable(fn)
  return setmetatable({}, {__call = function(_, ...) return fn(...) end})
end

-- Values that are no handlers; nil is tested as a missing one, too.
local not_callable = {false, 5, "print", {}, {print}, io.stdout,
  Promise.resolve(1), coroutine.create(print)}

local hundreds = table.pack(table.unpack({}, 1, 300))
for i = 1, 299, 2 do hundreds[i] = i end

local lists = {
  ["no value"] = table.pack(),
  ["one nil"] = table.pack(nil),
  ["one value"] = table.pack(1),
  ["a nil before a value"] = table.pack(nil, 2),
  ["a nil after a value"] = table.pack(1, nil),
  ["300 values, every other a nil"] = hundreds,
}

local function fulfilled(list)
  return table.pack("fulfilled", table.unpack(list, 1, list.n))
end

-- Declare that no handler runs before the call returns that registers it:
-- `register(promise, handler)`.
local function runs_later(make, register)
  it("never runs before the call returns that registers it", function()
    local ran = false
    local promise = make()
    register(promise, function() ran = true end)
    assert.is_false(ran)
    drain()
    assert.is_true(ran)
  end)

  it("never runs inside the handler that registers it", function()
    local log = {}
    Promise.resolve():next(function()
      register(make(), function() log[#log + 1] = "inner" end)
      drain()
      log[#log + 1] = "outer"
    end)
    drain()
    assert.same({"outer", "inner"}, log)
  end)
end

local function make_rejected()
  return Promise.reject "boom"
end

describe("p:next", function()
  it("has the names 'andThen' and 'then', too", function()
    for _, name in ipairs {"next", "andThen", "then"} do
      local p = Promise.resolve(1)
      local q = p[name](p, function(...) return name, ... end)
      assert.same({"fulfilled", name, 1, n = 3}, outcome(q))
      p = make_rejected()
      q = p[name](p, nil, function(...) return name, ... end)
      assert.same({"fulfilled", name, "boom", n = 3}, outcome(q))
    end
  end)

  it("returns a new promise each time", function()
    local p = Promise.resolve(1)
    local a, b = p:next(), p:next()
    assert.not_equal(p, a)
    assert.not_equal(a, b)
    assert.equal(1, select("#", p:next()))
    drain()
  end)

  describe("with onFulfilled", function()
    runs_later(Promise.resolve, function(p, handler) p:next(handler) end)

    for name, list in pairs(lists) do
      it("passes all values to it: " .. name, function()
        local seen
        Promise.fulfill(table.unpack(list, 1, list.n)):next(function(...)
          seen = table.pack(...)
        end)
        drain()
        assert.same(list, seen)
      end)

      it("takes all that it returns: " .. name, function()
        local p = Promise.resolve("other"):next(function()
          return table.unpack(list, 1, list.n)
        end)
        assert.same(fulfilled(list), outcome(p))
      end)
    end

    it("does not call it for a rejection", function()
      local called = false
      local p = make_rejected():next(function() called = true end)
      assert.same({"rejected", "boom", n = 2}, outcome_of_rejected(p))
      assert.is_false(called)
    end)

    it("rejects for the error that it raises", function()
      local reason = {}
      local p = Promise.resolve(1):next(function() error(reason) end)
      assert.same({"rejected", reason, n = 2}, outcome_of_rejected(p))
    end)

    it("rejects with what Lua makes of nil if it raises that", function()
      local p = Promise.resolve(1):next(function() error(nil) end)
      assert.same({"rejected", helper.thrown(nil), n = 2},
        outcome_of_rejected(p))
    end)

    it("keeps the position that 'error' adds", function()
      local p = Promise.resolve(1):next(function() error "boom" end)
      local _, reason = table.unpack(outcome_of_rejected(p))
      assert.matches("^[^\n]*chain_spec%.lua:%d+: boom$", reason)
    end)

    it("does not show its error to the onRejected beside it", function()
      local called = false
      local p = Promise.resolve(1):next(
        function() error("boom", 0) end,
        function() called = true end)
      assert.same({"rejected", "boom", n = 2}, outcome_of_rejected(p))
      assert.is_false(called)
    end)

    it("follows a promise that it returns", function()
      local inner, settle = Promise.withResolvers()
      local p = Promise.resolve(1):next(function() return inner, "x" end)
      assert.same({"pending", n = 1}, outcome(p))
      settle(1, 2)
      assert.same({"fulfilled", 1, 2, n = 3}, outcome(p))
    end)

    it("turns 'nil, message' into a rejection by assert", function()
      local p = Promise.resolve(nil, "no such file"):next(lua_assert)
      assert.same({"rejected", "no such file", n = 2},
        outcome_of_rejected(p))
    end)

    it("passes other values through assert", function()
      local p = Promise.resolve("file", nil, 3):next(lua_assert)
      assert.same({"fulfilled", "file", nil, 3, n = 4}, outcome(p))
    end)

    it("calls a callable table", function()
      local p = Promise.resolve(1, 2):next(callable(function(...)
        return "got", ...
      end))
      assert.same({"fulfilled", "got", 1, 2, n = 4}, outcome(p))
    end)
  end)

  describe("with onRejected", function()
    runs_later(make_rejected, function(p, handler) p:next(nil, handler) end)

    it("passes the reason to it", function()
      local seen
      Promise.reject(nil):next(nil, function(...) seen = table.pack(...) end)
      drain()
      assert.same({nil, n = 1}, seen)
    end)

    it("takes all that it returns", function()
      local p = make_rejected():next(nil, function() return 1, nil end)
      assert.same({"fulfilled", 1, nil, n = 3}, outcome(p))
    end)

    it("does not call it for a fulfilment", function()
      local called = false
      local p = Promise.resolve(1, 2):next(nil, function() called = true end)
      assert.same({"fulfilled", 1, 2, n = 3}, outcome(p))
      assert.is_false(called)
    end)

    it("rejects for the error that it raises", function()
      local p = make_rejected():next(nil, function(reason)
        error(reason .. "!", 0)
      end)
      assert.same({"rejected", "boom!", n = 2}, outcome_of_rejected(p))
    end)

    it("calls a callable table", function()
      local p = make_rejected():next(nil, callable(function(...)
        return "got", ...
      end))
      assert.same({"fulfilled", "got", "boom", n = 3}, outcome(p))
    end)
  end)

  it("calls one of two handlers", function()
    local function name(handler)
      return function(...) return handler, ... end
    end
    local p = Promise.resolve(1, 2):next(name "first", name "second")
    local q = make_rejected():next(name "first", name "second")
    assert.same({"fulfilled", "first", 1, 2, n = 4}, outcome(p))
    assert.same({"fulfilled", "second", "boom", n = 3}, outcome(q))
  end)

  it("ignores handlers that are not callable", function()
    for _, handler in ipairs(not_callable) do
      assert.same({"fulfilled", 1, nil, n = 3},
        outcome(Promise.resolve(1, nil):next(handler, handler)))
      assert.same({"rejected", "boom", n = 2},
        outcome_of_rejected(make_rejected():next(handler, handler)))
    end
  end)

  it("passes the outcome on without handlers", function()
    for name, list in pairs(lists) do
      local p = Promise.fulfill(table.unpack(list, 1, list.n))
      assert.same(fulfilled(list), outcome(p:next():next(nil, nil)), name)
    end
    assert.same({"rejected", "boom", n = 2},
      outcome_of_rejected(make_rejected():next():next(nil, nil)))
  end)

  it("ignores a third argument", function()
    local called = false
    Promise.resolve(1):next(nil, nil, function() called = true end)
    drain()
    assert.is_false(called)
  end)

  it("runs the handlers of a chain one after the other", function()
    local log = {}
    local function note(name)
      return function() log[#log + 1] = name end
    end
    Promise.resolve():next(note "a1"):next(note "a2"):next(note "a3")
    Promise.resolve():next(note "b1"):next(note "b2"):next(note "b3")
    drain()
    assert.same({"a1", "b1", "a2", "b2", "a3", "b3"}, log)
  end)
end)

describe("p:catch", function()
  runs_later(make_rejected, function(p, handler) p:catch(handler) end)

  it("passes the reason to the handler", function()
    local p = make_rejected():catch(function(...) return "got", ... end)
    assert.same({"fulfilled", "got", "boom", n = 3}, outcome(p))
  end)

  it("passes all values through", function()
    local called = false
    for name, list in pairs(lists) do
      local p = Promise.fulfill(table.unpack(list, 1, list.n))
      local q = p:catch(function() called = true end)
      assert.same(fulfilled(list), outcome(q), name)
    end
    assert.is_false(called)
  end)

  it("takes a callable table", function()
    local p = make_rejected():catch(callable(function() return 1 end))
    assert.same({"fulfilled", 1, n = 2}, outcome(p))
  end)

  it("ignores a handler that is not callable", function()
    for _, handler in ipairs(not_callable) do
      assert.same({"rejected", "boom", n = 2},
        outcome_of_rejected(make_rejected():catch(handler)))
    end
    assert.same({"rejected", "boom", n = 2},
      outcome_of_rejected(make_rejected():catch()))
  end)

  it("rejects for the error that the handler raises", function()
    local p = make_rejected():catch(function() error("again", 0) end)
    assert.same({"rejected", "again", n = 2}, outcome_of_rejected(p))
  end)
end)

describe("p:finally", function()
  local function thenable(method)
    return {next = method}
  end

  runs_later(Promise.resolve, function(p, handler) p:finally(handler) end)
  runs_later(make_rejected, function(p, handler)
    p:finally(handler):catch(function() end)
  end)

  it("passes nothing to the handler", function()
    local counts = {}
    local function count(...) counts[#counts + 1] = select("#", ...) end
    Promise.resolve(1, 2):finally(count)
    make_rejected():finally(count):catch(function() end)
    drain()
    assert.same({0, 0}, counts)
  end)

  it("passes the values through", function()
    for name, list in pairs(lists) do
      local p = Promise.fulfill(table.unpack(list, 1, list.n))
      local q = p:finally(function() return "other", "values" end)
      assert.same(fulfilled(list), outcome(q), name)
    end
  end)

  it("passes the reason through", function()
    local p = make_rejected():finally(function() return "other" end)
    assert.same({"rejected", "boom", n = 2}, outcome_of_rejected(p))
    p = Promise.reject():finally(function() return "other" end)
    assert.same({"rejected", nil, n = 2}, outcome_of_rejected(p))
  end)

  it("waits for a promise that the handler returns", function()
    for _, make in ipairs {Promise.fulfill, Promise.reject} do
      local inner, settle = Promise.withResolvers()
      local source = make "original"
      local p = source:finally(function() return inner end)
      p:catch(function() end)
      assert.same({"pending", n = 1}, outcome(p))
      settle "ignored"
      assert.same(table.pack(source:status()), outcome(p))
    end
  end)

  it("waits for a thenable that the handler returns", function()
    for _, make in ipairs {Promise.fulfill, Promise.reject} do
      local settle
      local source = make "original"
      local p = source:finally(function()
        return thenable(function(_, resolve) settle = resolve end)
      end)
      p:catch(function() end)
      assert.same({"pending", n = 1}, outcome(p))
      settle "ignored"
      assert.same(table.pack(source:status()), outcome(p))
    end
  end)

  it("keeps all values while it waits", function()
    local p = Promise.resolve(nil, 2, nil):finally(function()
      return Promise.resolve "ignored"
    end)
    assert.same({"fulfilled", nil, 2, nil, n = 4}, outcome(p))
  end)

  local replacements = {
    ["an error"] = function() error("new", 0) end,
    ["a rejected promise"] = function() return Promise.reject "new" end,
    ["a promise that rejects later"] = function()
      return Promise.resolve():next(function() error("new", 0) end)
    end,
    ["a thenable that rejects"] = function()
      return thenable(function(_, _, reject) reject "new" end)
    end,
    ["a thenable that raises"] = function()
      return thenable(function() error("new", 0) end)
    end,
    ["an object whose 'next' can't be read"] = function()
      return setmetatable({}, {__index = function() error("new", 0) end})
    end,
  }

  for name, handler in pairs(replacements) do
    it("replaces the values by the reason of " .. name, function()
      local p = Promise.resolve(1, 2):finally(handler)
      assert.same({"rejected", "new", n = 2}, outcome_of_rejected(p))
    end)

    it("replaces the reason by the reason of " .. name, function()
      local p = make_rejected():finally(handler)
      assert.same({"rejected", "new", n = 2}, outcome_of_rejected(p))
    end)
  end

  it("stays pending when the handler returns the result itself", function()
    for _, make in ipairs {Promise.fulfill, Promise.reject} do
      local p
      p = make(1):finally(function() return p end)
      assert.same({"pending", n = 1}, outcome(p))
    end
  end)

  it("stays pending when the handler's promise does", function()
    local p = Promise.resolve(1):finally(function()
      return (Promise.withResolvers())
    end)
    assert.same({"pending", n = 1}, outcome(p))
  end)

  it("calls a callable table", function()
    local called = false
    local p = Promise.resolve(1):finally(callable(function()
      called = true
    end))
    assert.same({"fulfilled", 1, n = 2}, outcome(p))
    assert.is_true(called)
  end)

  it("ignores a handler that is not callable", function()
    for _, handler in ipairs(not_callable) do
      assert.same({"fulfilled", 1, nil, n = 3},
        outcome(Promise.resolve(1, nil):finally(handler)))
      assert.same({"rejected", "boom", n = 2},
        outcome_of_rejected(make_rejected():finally(handler)))
    end
    assert.same({"fulfilled", 1, n = 2},
      outcome(Promise.resolve(1):finally()))
  end)

  it("calls the handler once", function()
    local calls = 0
    local p, resolve, reject = Promise.withResolvers()
    p:finally(function() calls = calls + 1 end)
    drain()
    assert.equal(0, calls)
    resolve(1)
    reject(2)
    drain()
    assert.equal(1, calls)
  end)
end)
