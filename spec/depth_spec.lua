--- Large sizes: nothing recurses, so nothing overflows.

local Promise = require "cpromise"
local helper = require "spec.helper"

local million = helper.scaled(1000000)
local many = helper.scaled(100000)

local function inc(n) return n + 1 end
local function pass(...) return ... end

describe("a great depth", function()
  after_each(helper.collect)

  it("is fine for a chain of a million handlers", function()
    local head, resolve = Promise.withResolvers()
    local p = head
    for _ = 1, million do p = p:next(inc) end
    resolve(0)
    assert.equal(million, Promise.drain())
    assert.same({"fulfilled", million}, {p:status()})
  end)

  it("is fine for a chain that grows as it runs", function()
    local n = 0
    local function grow()
      n = n + 1
      if n < million then Promise.resolve():next(grow) end
    end
    Promise.resolve():next(grow)
    Promise.drain()
    assert.equal(million, n)
  end)

  it("is fine for a rejection that passes a hundred thousand", function()
    local p, _, reject = Promise.withResolvers()
    local last = p
    for _ = 1, many do last = last:next(inc):finally(pass) end
    reject "reason"
    local caught = last:catch(pass)
    assert.same({"fulfilled", "reason"}, {helper.outcome(caught)})
    assert.same({"rejected", "reason"}, {last:status()})
  end)

  --- Promises that each follow the next one, and the resolve functions.
  local function followers(n)
    local promises, resolves = {}, {}
    for i = 1, n do
      promises[i], resolves[i] = Promise.withResolvers()
    end
    return promises, resolves
  end

  local function assert_all(promises, ...)
    for i = 1, #promises do
      local state, value = promises[i]:status()
      if state ~= (...) or value ~= select(2, ...) then
        assert.same({i, ...}, {i, state, value})
      end
    end
  end

  it("is fine for adoption from the innermost outwards", function()
    local promises, resolves = followers(many)
    resolves[many]("value")
    for i = many - 1, 1, -1 do resolves[i](promises[i + 1]) end
    Promise.drain()
    assert_all(promises, "fulfilled", "value")
  end)

  it("is fine for adoption from the outermost inwards", function()
    local promises, resolves = followers(many)
    for i = 1, many - 1 do resolves[i](promises[i + 1]) end
    Promise.drain()
    assert.equal("pending", promises[1]:status())
    resolves[many]("value")
    Promise.drain()
    assert_all(promises, "fulfilled", "value")
  end)

  it("is fine for the adoption of a rejection", function()
    local promises, resolves = followers(many)
    promises[1]:catch(pass)
    for i = 1, many - 1 do resolves[i](promises[i + 1]) end
    Promise.drain()
    resolves[many](Promise.reject "reason")
    Promise.drain()
    assert_all(promises, "rejected", "reason")
  end)

  it("is fine for a loop of promises that follow each other", function()
    local promises, resolves = followers(many)
    for i = 1, many do resolves[i](promises[i % many + 1]) end
    Promise.drain()
    assert.equal("pending", promises[1]:status())
    assert.equal("pending", promises[many]:status())
  end)

  it("is fine for a million handlers of one promise", function()
    local p, resolve = Promise.withResolvers()
    local order, ran = true, 0
    for i = 1, million do
      p:next(function()
        ran = ran + 1
        order = order and ran == i
      end)
    end
    resolve()
    assert.equal(million, Promise.drain())
    assert.equal(million, ran)
    assert.is_true(order)
  end)

  it("is fine for thenables within thenables", function()
    local function thenable(n)
      return {next = function(_, resolve)
        resolve(n > 0 and thenable(n - 1) or "innermost")
      end}
    end
    local p = Promise.resolve(thenable(many))
    assert.same({"fulfilled", "innermost"}, {helper.outcome(p)})
  end)

  it("is fine for a thenable that was nested before", function()
    local thenable = "innermost"
    for _ = 1, many do
      local inner = thenable
      thenable = {next = function(_, resolve) resolve(inner) end}
    end
    local p = Promise.resolve(thenable)
    assert.same({"fulfilled", "innermost"}, {helper.outcome(p)})
  end)

  it("is fine for handlers that promise the next handler", function()
    local function count(n)
      if n == many then return n end
      return Promise.resolve(n + 1):next(count)
    end
    local p = Promise.resolve(0):next(count)
    assert.same({"fulfilled", many}, {helper.outcome(p)})
  end)

  it("is fine for finally handlers that promise the next one", function()
    local n = 0
    local function again()
      n = n + 1
      if n < many then return Promise.resolve():finally(again) end
    end
    local p = Promise.resolve("value"):finally(again)
    assert.same({"fulfilled", "value"}, {helper.outcome(p)})
    assert.equal(many, n)
  end)

  it("is fine for aggregates of aggregates", function()
    local inner, resolve = Promise.withResolvers()
    local p = inner
    for _ = 1, many / 10 do
      p = Promise.all {p}
      p = Promise.race {p}
      p = Promise.any {p}
    end
    resolve "innermost"
    local state, value = helper.outcome(p)
    assert.equal("fulfilled", state)
    local depth = 0
    while type(value) == "table" do
      assert(value.n == 1)
      value = value[1]
      depth = depth + 1
    end
    assert.equal("innermost", value)
    assert.equal(many // 10, depth)
  end)

  it("is fine for an aggregate of a million", function()
    local elements = {}
    for i = 1, million do elements[i] = i end
    elements[million] = Promise.resolve(million)
    local state, results = helper.outcome(Promise.all(elements))
    assert.equal("fulfilled", state)
    assert.equal(million, results.n)
    for i = 1, million do
      if results[i] ~= i then assert.equal(i, results[i]) end
    end
  end)

  it("is fine for a million microtasks", function()
    local ran = 0
    for i = 1, million do
      Promise.queueMicrotask(function(j) ran = ran + (i == j and 1 or 0) end,
        i)
    end
    Promise.drain()
    assert.equal(million, ran)
  end)

  it("is fine for as many values as a call can take", function()
    local n = 200000 -- what fits on Lua's stack does not scale
    local values = {}
    for i = 1, n do values[i] = i end
    local p = Promise.resolve(table.unpack(values)):next(pass):finally(pass)
    assert.equal(n + 1, select("#", helper.outcome(p)))
    assert.equal(n, (select(n + 1, p:status())))
  end)

  it("is fine for the collection of all that", function()
    local first = Promise.new(pass)
    local p = first
    for _ = 1, million do p = p:next(inc) end
    local weak = setmetatable({p}, {__mode = "v"})
    p = nil -- luacheck: ignore
    helper.collect()
    assert.equal("pending", weak[1]:status())
    assert.equal("pending", first:status())
    first = nil -- luacheck: ignore
    helper.collect()
    assert.is_nil(weak[1])
  end)

  it("ends in a rejection where code recurses without end", function()
    local function recurse(n)
      return Promise.new(function(resolve) resolve(recurse(n + 1)) end)
    end
    -- Somewhere an executor hits Lua's limit for calls from C.
    local p = Promise.resolve(1):next(recurse)
    p:catch(pass)
    local state, reason = helper.outcome(p)
    assert.equal("rejected", state)
    assert.matches("stack overflow", reason)
  end)
end)
