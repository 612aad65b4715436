local Promise = require "cpromise"
local helper = require "spec.helper"

local drain = helper.drain

-- `{status, values..., n = }` after all jobs have run.
local function outcome(promise)
  return table.pack(helper.outcome(promise))
end

-- A rejection that the test looks at only through `status`.
local function looked_at(promise)
  promise:catch(function() end)
  return promise
end

-- Lists of values that functions can return, by name.
local hundreds = table.pack(table.unpack({}, 1, 300))
for i = 1, 299, 2 do hundreds[i] = i end

local lists = {
  ["no value"] = table.pack(),
  ["one value"] = table.pack(1),
  ["one nil"] = table.pack(nil),
  ["one false"] = table.pack(false),
  ["one table"] = table.pack({}),
  ["two values"] = table.pack(1, "two"),
  ["two nils"] = table.pack(nil, nil),
  ["a nil before a value"] = table.pack(nil, "message"),
  ["a nil after a value"] = table.pack(1, nil),
  ["a promise after a value"] = table.pack(1, Promise.resolve(2)),
  ["300 values, every other a nil"] = hundreds,
}

local function with_status(status, list)
  return table.pack(status, table.unpack(list, 1, list.n))
end

-- Declare that `make(...)` makes a promise fulfilled with all its arguments.
local function keeps_all_values(make)
  for name, list in pairs(lists) do
    it("keeps all it gets: " .. name, function()
      local promise = make(table.unpack(list, 1, list.n))
      assert.same(with_status("fulfilled", list), outcome(promise))
    end)
  end
end

local function thenable(...)
  local values = table.pack(...)
  return {next = function(_, resolve)
    resolve(table.unpack(values, 1, values.n))
  end}
end

describe("Promise.new", function()
  it("calls the executor at once", function()
    local called = false
    Promise.new(function() called = true end)
    assert.is_true(called)
  end)

  it("passes resolving functions to the executor", function()
    local args
    Promise.new(function(...) args = {...} end)
    assert.equal("function", type(args[1]))
    assert.equal("function", type(args[2]))
    assert.not_equal(args[1], args[2])
  end)

  it("is what calling the module does", function()
    local promise = Promise(function(resolve) resolve(1, 2) end)
    assert.is_true(Promise.is(promise))
    assert.same({"fulfilled", 1, 2, n = 3}, outcome(promise))
  end)

  it("ignores what the executor returns", function()
    local promise = Promise.new(function() return 1 end)
    assert.same({"pending", n = 1}, outcome(promise))
  end)

  it("settles before it returns", function()
    local promise = Promise.new(function(resolve) resolve(1) end)
    assert.equal("fulfilled", (promise:status()))
  end)

  it("settles later by the functions that were kept", function()
    local kept
    local promise = Promise.new(function(resolve) kept = resolve end)
    assert.same({"pending", n = 1}, outcome(promise))
    kept(1)
    assert.same({"fulfilled", 1, n = 2}, outcome(promise))
  end)

  keeps_all_values(function(...)
    local values = table.pack(...)
    return Promise.new(function(resolve)
      resolve(table.unpack(values, 1, values.n))
    end)
  end)

  describe("with an executor", function()
    it("without parameters leaves the promise pending", function()
      assert.same({"pending", n = 1}, outcome(Promise.new(function() end)))
    end)

    it("of one parameter gives it 'resolve'", function()
      local promise = Promise.new(function(resolve) resolve(1) end)
      assert.same({"fulfilled", 1, n = 2}, outcome(promise))
    end)

    it("of two parameters gives it 'reject' too", function()
      local promise = Promise.new(function(_, reject) reject(1) end)
      assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
    end)

    it("of any number of parameters gives it both", function()
      local promise = Promise.new(function(...)
        select(2, ...)(1)
      end)
      assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
    end)

    it("of one parameter and more gives it both", function()
      local promise = Promise.new(function(_, ...) (...)(1) end)
      assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
    end)

    it("that is a C function gives it both", function()
      local promise = Promise.new(coroutine.wrap(function(resolve, reject)
        assert(resolve ~= reject)
        reject(1)
      end))
      assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
    end)

    it("that has '__call' gives it both after itself", function()
      local executor = setmetatable({value = 1}, {
        __call = function(self, _, reject) reject(self.value) end,
      })
      local promise = Promise.new(executor)
      assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
    end)

    it("that raises rejects with the error as it is", function()
      for _, reason in ipairs {{}, "text", false, 5, print} do
        local promise = Promise.new(function() error(reason, 0) end)
        assert.same({"rejected", reason, n = 2},
          outcome(looked_at(promise)))
        assert.equal(reason, (select(2, promise:status())))
      end
    end)

    it("that raises nil rejects with what Lua makes of it", function()
      local promise = Promise.new(function() error() end)
      assert.same({"rejected", helper.thrown(nil), n = 2},
        outcome(looked_at(promise)))
    end)

    it("that raises a promise rejects with that promise", function()
      local reason = Promise.resolve(1)
      local promise = Promise.new(function() error(reason) end)
      assert.same({"rejected", reason, n = 2}, outcome(looked_at(promise)))
    end)

    it("that raises after resolving ignores the error", function()
      local promise = Promise.new(function(resolve)
        resolve(1)
        error "too late"
      end)
      assert.same({"fulfilled", 1, n = 2}, outcome(promise))
    end)

    it("that raises after following a promise still follows it", function()
      local followed, settle = Promise.withResolvers()
      local promise = Promise.new(function(resolve)
        resolve(followed)
        error "too late"
      end)
      assert.same({"pending", n = 1}, outcome(promise))
      settle(1)
      assert.same({"fulfilled", 1, n = 2}, outcome(promise))
    end)
  end)
end)

describe("resolving functions", function()
  it("return nothing", function()
    local _, resolve, reject = Promise.withResolvers()
    assert.equal(0, select("#", resolve(1)))
    assert.equal(0, select("#", reject(1)))
  end)

  it("act once", function()
    for first = 1, 2 do
      for second = 1, 2 do
        local promise, resolve, reject = Promise.withResolvers()
        local act = {resolve, reject}
        act[first](1)
        act[second](2)
        local status = first == 1 and "fulfilled" or "rejected"
        assert.same({status, 1, n = 2}, outcome(looked_at(promise)))
      end
    end
  end)

  it("act once when the first call has no value", function()
    local promise, resolve = Promise.withResolvers()
    resolve()
    resolve(2)
    assert.same({"fulfilled", n = 1}, outcome(promise))
  end)

  it("act once when the promise follows another", function()
    local followed, settle = Promise.withResolvers()
    local promise, resolve, reject = Promise.withResolvers()
    resolve(followed)
    resolve(2)
    reject(3)
    assert.same({"pending", n = 1}, outcome(promise))
    resolve(4)
    reject(5)
    settle(1)
    resolve(6)
    assert.same({"fulfilled", 1, n = 2}, outcome(promise))
  end)

  it("look at the first value for a promise", function()
    local promise, resolve = Promise.withResolvers()
    resolve(Promise.resolve(1, 2), "ignored")
    assert.same({"fulfilled", 1, 2, n = 3}, outcome(promise))
  end)

  it("look at the first value for a thenable", function()
    local promise, resolve = Promise.withResolvers()
    resolve(thenable(1, nil), "ignored")
    assert.same({"fulfilled", 1, nil, n = 3}, outcome(promise))
  end)

  it("take one reason", function()
    local promise, _, reject = Promise.withResolvers()
    reject(1, 2, 3)
    assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
  end)

  it("take no reason for nil", function()
    local promise, _, reject = Promise.withResolvers()
    reject()
    assert.same({"rejected", nil, n = 2}, outcome(looked_at(promise)))
  end)

  it("keep a promise as the reason", function()
    local reason = Promise.resolve(1)
    local promise, _, reject = Promise.withResolvers()
    reject(reason)
    assert.same({"rejected", reason, n = 2}, outcome(looked_at(promise)))
  end)

  it("reject a promise that is resolved with itself", function()
    local promise, resolve = Promise.withResolvers()
    resolve(promise)
    local status, reason = helper.outcome(looked_at(promise))
    assert.equal("rejected", status)
    assert.matches("^TypeError", reason)
  end)
end)

describe("Promise.resolve", function()
  keeps_all_values(Promise.resolve)

  it("returns a promise as it is", function()
    local promise = Promise.withResolvers()
    assert.equal(promise, (Promise.resolve(promise)))
    assert.equal(1, select("#", Promise.resolve(promise, 1, 2)))
  end)

  it("follows a thenable", function()
    local promise = Promise.resolve(thenable(1, 2), "ignored")
    assert.same({"pending", n = 1}, table.pack(promise:status()))
    assert.same({"fulfilled", 1, 2, n = 3}, outcome(promise))
  end)

  it("rejects when a thenable can't be asked", function()
    local reason = {}
    local promise = Promise.resolve(setmetatable({}, {
      __index = function() error(reason) end,
    }))
    assert.same({"rejected", reason, n = 2}, outcome(looked_at(promise)))
  end)
end)

describe("Promise.fulfill", function()
  keeps_all_values(Promise.fulfill)

  local followed = Promise.resolve(1, 2)
  local values = {
    ["a promise"] = followed,
    ["a thenable"] = thenable(1, 2),
  }

  for name, value in pairs(values) do
    describe("with " .. name, function()
      it("keeps it as the value", function()
        local promise = Promise.fulfill(value)
        assert.same({"fulfilled", value, n = 2}, outcome(promise))
        assert.equal(value, (select(2, promise:status())))
      end)

      it("keeps the values that come after it", function()
        local promise = Promise.fulfill(value, nil, 3, nil)
        assert.same({"fulfilled", value, nil, 3, nil, n = 5},
          outcome(promise))
      end)

      it("hands it to a handler", function()
        local seen
        Promise.fulfill(value, 3):next(function(...)
          seen = table.pack(...)
        end)
        drain()
        assert.same({value, 3, n = 2}, seen)
      end)

      -- whoever resolves with it looks at it again
      local passed_on = {
        ["a handler that returns it"] = function(promise)
          return promise:next(function(...) return ... end)
        end,
        ["a promise without a handler"] = function(promise)
          return promise:next()
        end,
        ["a promise that only catches"] = function(promise)
          return promise:catch(error)
        end,
        ["finally"] = function(promise)
          return promise:finally(function() end)
        end,
        ["a promise that follows"] = function(promise)
          return Promise.new(function(resolve) resolve(promise) end)
        end,
        ["race"] = function(promise) return Promise.race {promise} end,
        ["any"] = function(promise) return Promise.any {promise} end,
      }

      for how, pass_on in pairs(passed_on) do
        it("is followed by " .. how, function()
          local promise = pass_on(Promise.fulfill(value, "ignored"))
          assert.same({"fulfilled", 1, 2, n = 3}, outcome(promise))
        end)
      end
    end)
  end

  it("does not ask for 'next'", function()
    local asked = false
    Promise.fulfill(setmetatable({}, {
      __index = function() asked = true end,
    }))
    drain()
    assert.is_false(asked)
  end)
end)

describe("Promise.reject", function()
  it("keeps one reason of any kind", function()
    local followed = Promise.resolve(1)
    for _, reason in ipairs {1, "text", false, {}, followed, thenable(1)} do
      local promise = Promise.reject(reason, "ignored")
      assert.same({"rejected", reason, n = 2}, outcome(looked_at(promise)))
      assert.equal(reason, (select(2, promise:status())))
    end
  end)

  it("takes no reason for nil", function()
    assert.same({"rejected", nil, n = 2},
      outcome(looked_at(Promise.reject())))
  end)

  it("returns one value", function()
    assert.equal(1, select("#", looked_at(Promise.reject(1, 2, 3))))
  end)
end)

describe("Promise.withResolvers", function()
  it("returns a pending promise", function()
    local promise = Promise.withResolvers()
    assert.is_true(Promise.is(promise))
    assert.same({"pending", n = 1}, outcome(promise))
  end)

  it("returns the function that resolves it", function()
    local promise, resolve = Promise.withResolvers()
    resolve(1, 2)
    assert.same({"fulfilled", 1, 2, n = 3}, outcome(promise))
  end)

  it("returns the function that rejects it", function()
    local promise, _, reject = Promise.withResolvers()
    reject(1)
    assert.same({"rejected", 1, n = 2}, outcome(looked_at(promise)))
  end)

  it("ignores arguments", function()
    local promise = Promise.withResolvers(1, 2, 3)
    assert.same({"pending", n = 1}, outcome(promise))
  end)
end)

describe("Promise.try", function()
  keeps_all_values(function(...)
    return Promise.try(function(...) return ... end, ...)
  end)

  it("calls the function at once with all arguments", function()
    local seen
    Promise.try(function(...) seen = table.pack(...) end, nil, 1, nil)
    assert.same({nil, 1, nil, n = 3}, seen)
  end)

  it("calls a callable table", function()
    local callable = setmetatable({}, {
      __call = function(self, x) return self, x end,
    })
    assert.same({"fulfilled", callable, 1, n = 3},
      outcome(Promise.try(callable, 1)))
  end)

  it("calls a C function", function()
    assert.same({"fulfilled", 2, 3, n = 3},
      outcome(Promise.try(select, 2, 1, 2, 3)))
  end)

  it("rejects with the error as it is", function()
    local reason = {}
    assert.same({"rejected", reason, n = 2},
      outcome(looked_at(Promise.try(error, reason))))
    assert.same({"rejected", helper.thrown(nil), n = 2},
      outcome(looked_at(Promise.try(error))))
  end)

  it("follows a promise that is returned", function()
    local promise = Promise.try(function() return Promise.resolve(1, 2) end)
    assert.same({"pending", n = 1}, table.pack(promise:status()))
    assert.same({"fulfilled", 1, 2, n = 3}, outcome(promise))
  end)

  it("follows a thenable that is returned", function()
    assert.same({"fulfilled", 1, n = 2},
      outcome(Promise.try(thenable, 1)))
  end)
end)

describe("Promise.is", function()
  it("is true for promises", function()
    local promise = Promise.withResolvers()
    assert.is_true(Promise.is(promise))
    assert.is_true(Promise.is(promise:next()))
    assert.is_true(Promise.is(Promise.all {}))
    drain()
  end)

  it("is false for everything else", function()
    local like = {next = print, catch = print, status = print}
    local values = {1, "promise", true, {}, like, thenable(1), print,
      coroutine.create(print), io.stdout, Promise}
    for _, value in ipairs(values) do
      assert.is_false(Promise.is(value))
    end
    assert.is_false(Promise.is(nil))
    assert.is_false(Promise.is())
  end)

  it("asks no metamethod", function()
    assert.is_false(Promise.is(setmetatable({}, {
      __index = error,
      __eq = error,
      __name = "promise",
    })))
  end)
end)

describe("Promise._VERSION", function()
  it("is a string", function()
    assert.equal("string", type(Promise._VERSION))
  end)
end)

describe("a promise", function()
  local function each_state(block)
    block("pending", (Promise.withResolvers()))
    block("fulfilled", Promise.resolve(1, 2))
    block("rejected", looked_at(Promise.reject(1)))
    drain()
  end

  it("tells its state and values by status()", function()
    assert.same({"pending", n = 1},
      table.pack(Promise.withResolvers():status()))
    assert.same({"fulfilled", 1, nil, n = 3},
      table.pack(Promise.resolve(1, nil):status()))
    assert.same({"rejected", 1, n = 2},
      table.pack(looked_at(Promise.reject(1)):status()))
    drain()
  end)

  it("is pending in status() while it follows another", function()
    local promise = Promise.new(function(resolve)
      resolve(Promise.resolve(1))
    end)
    assert.same({"pending", n = 1}, table.pack(promise:status()))
    drain()
  end)

  it("shows its state in tostring", function()
    each_state(function(state, promise)
      assert.matches("^promise: .*%(" .. state .. "%)$", tostring(promise))
    end)
  end)

  it("differs from others in tostring", function()
    local a, b = Promise.resolve(1), Promise.resolve(1)
    assert.not_equal(tostring(a), tostring(b))
    assert.equal(tostring(a), tostring(a))
  end)

  it("hides its metatable", function()
    each_state(function(_, promise)
      assert.not_equal("table", type(getmetatable(promise)))
    end)
  end)

  it("takes no fields", function()
    assert.has_error(function() Promise.resolve(1).field = 1 end)
  end)
end)
