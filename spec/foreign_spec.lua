--- Promises of other libraries, of three shapes: synchronous, asynchronous;
--- tables, userdata.

local Promise = require "cpromise"
local helper = require "spec.helper"

local outcome = helper.outcome

-- Where the asynchronous one keeps its jobs: a loop of its own.
local jobs = {}

local function run_jobs()
  while #jobs > 0 do table.remove(jobs, 1)() end
end

-- A library whose promises call back as `defer` says. Its method has any
-- name; it knows promises by a method of that name in a table.
local function library(name, defer)
  local lib = {}
  local class = {}
  class.__index = class

  local function settle(self, state, ...)
    if self.state then return end
    self.state, self.values = state, table.pack(...)
    for _, waiter in ipairs(self.waiters) do waiter() end
  end

  function lib.new()
    local self = setmetatable({waiters = {}}, class)
    local function reject(reason) settle(self, "rejected", reason) end
    local function resolve(v, ...)
      if type(v) == "table" and v[name] then
        v[name](v, function(...) settle(self, "fulfilled", ...) end, reject)
      else
        settle(self, "fulfilled", v, ...)
      end
    end
    return self, resolve, reject
  end

  class[name] = function(self, on_fulfilled, on_rejected)
    local derived, resolve, reject = lib.new()
    local function call()
      defer(function()
        local handler = on_rejected
        if self.state == "fulfilled" then handler = on_fulfilled end
        if not handler then
          settle(derived, self.state, table.unpack(self.values))
          return
        end
        local results = table.pack(pcall(handler,
          table.unpack(self.values, 1, self.values.n)))
        if results[1] then
          resolve(table.unpack(results, 2, results.n))
        else
          reject(results[2])
        end
      end)
    end
    if self.state then call() else table.insert(self.waiters, call) end
    return derived
  end

  return lib
end

local libraries = {
  ["a synchronous one"] = {"andThen", library("andThen", function(fn)
    fn()
  end)},
  ["an asynchronous one"] = {"thenCall", library("thenCall", function(fn)
    jobs[#jobs + 1] = fn
  end)},
}

-- The third shape: userdata, each of which follows a table of the first.
local proxies = setmetatable({}, {__mode = "k"})
local function proxy(inner)
  local object = io.tmpfile() -- some userdata
  object:close()
  proxies[object] = inner
  return debug.setmetatable(object, {__index = {
    after = function(self, ...) return proxies[self]:andThen(...) end,
  }})
end
libraries["one of userdata"] = {"after", {new = function()
  local inner, resolve, reject = libraries["a synchronous one"][2].new()
  return proxy(inner), resolve, reject
end}}

local function drain()
  repeat run_jobs() until Promise.drain() == 0 and #jobs == 0
end

for name, entry in pairs(libraries) do
  local method, lib = entry[1], entry[2]

  describe("a promise of another library, " .. name, function()
    it("is followed to its values", function()
      local foreign, resolve = lib.new()
      local p = Promise.from(foreign, method)
      drain()
      assert.equal("pending", p:status())
      resolve(1, nil, 3)
      drain()
      assert.same(table.pack("fulfilled", 1, nil, 3),
        table.pack(p:status()))
    end)

    it("is followed to its reason", function()
      local foreign, _, reject = lib.new()
      local p = Promise.from(foreign, method)
      local reason = {}
      reject(reason)
      p:catch(function() end)
      drain()
      assert.equal(reason, select(2, p:status()))
    end)

    it("is followed if it has settled", function()
      local foreign, resolve = lib.new()
      resolve "value"
      local p = Promise.from(foreign, method)
      drain()
      assert.same({"fulfilled", "value"}, {p:status()})
    end)

    it("can be awaited", function()
      local foreign, resolve = lib.new()
      local p = Promise.spawn(function()
        return Promise.await(Promise.from(foreign, method))
      end)
      resolve "value"
      drain()
      assert.same({"fulfilled", "value"}, {p:status()})
    end)
  end)
end

for _, name in ipairs {"a synchronous one", "an asynchronous one"} do
  local method, lib = table.unpack(libraries[name])

  describe("a promise as a table, for another library, " .. name, function()
    -- The library knows promises by its own method.
    local function given(p)
      local t = p:totable()
      t[method] = t.andThen
      return t
    end

    it("is followed to its value", function()
      local p, resolve_p = Promise.withResolvers()
      local foreign, resolve = lib.new()
      resolve(given(p))
      local got
      foreign[method](foreign, function(v) got = v end)
      drain()
      assert.is_nil(got)
      resolve_p "value"
      drain()
      assert.equal("value", got)
    end)

    it("is followed to its reason", function()
      local foreign, resolve = lib.new()
      resolve(given(Promise.reject "no"))
      local got
      foreign[method](foreign, nil, function(reason) got = reason end)
      drain()
      assert.equal("no", got)
    end)

    it("comes back as it was", function()
      local foreign, resolve = lib.new()
      resolve(given(Promise.delay and Promise.resolve "value"))
      local p = Promise.from(foreign, method)
      drain()
      assert.same({"fulfilled", "value"}, {p:status()})
    end)
  end)
end

describe("totable", function()
  it("gives a table with four methods", function()
    local names = {}
    for name, fn in pairs(Promise.resolve():totable()) do
      assert.is_function(fn)
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({"andThen", "catch", "finally", "next"}, names)
  end)

  it("gives one whose methods return tables", function()
    local log = {}
    local t = Promise.reject "no":totable()
    local last = t:catch(function(reason)
      log[#log + 1] = reason
      return "caught"
    end):finally(function() log[#log + 1] = "finally" end):next(function(v)
      log[#log + 1] = v
      return 1, 2
    end)
    helper.drain()
    assert.same({"no", "finally", "caught"}, log)
    assert.same({"fulfilled", 1, 2}, {outcome(Promise.resolve(last))})
  end)

  it("raises for what is no promise", function()
    local message = helper.raised(function()
      Promise.resolve().totable {}
    end)
    assert.matches("promise expected, got table", message, 1, true)
  end)
end)

describe("from", function()
  local function nop() end

  it("returns a promise of this library as it is", function()
    local p = Promise.resolve()
    assert.equal(p, Promise.from(p))
  end)

  it("takes the method 'next' without a name", function()
    local p = Promise.from {next = function(_, resolve) resolve(1, 2) end}
    assert.same({"fulfilled", 1, 2}, {outcome(p)})
  end)

  it("takes a function in place of a name", function()
    local object = {}
    local p = Promise.from(object, function(self, resolve)
      resolve(self == object)
    end)
    assert.same({"fulfilled", true}, {outcome(p)})
  end)

  it("calls the method in a job", function()
    local called = false
    Promise.from({later = function() called = true end}, "later")
    assert.is_false(called)
    helper.drain()
    assert.is_true(called)
  end)

  for name, case in pairs {
    ["calls both functions"] = {function(_, resolve, reject)
      resolve "first"
      reject "second"
    end, "fulfilled", "first"},
    ["calls one twice"] = {function(_, resolve)
      resolve "first"
      resolve "second"
    end, "fulfilled", "first"},
    ["raises"] = {function() error("broken", 0) end, "rejected", "broken"},
    ["raises after it has called back"] = {function(_, resolve)
      resolve "first"
      error "broken"
    end, "fulfilled", "first"},
    ["never calls back"] = {nop, "pending"},
    ["resolves with a promise"] = {function(_, resolve)
      resolve(Promise.resolve "inner")
    end, "fulfilled", "inner"},
  } do
    it("contains a method that " .. name, function()
      local p = Promise.from({m = case[1]}, "m")
      p:catch(nop)
      assert.same({table.unpack(case, 2)}, {outcome(p)})
    end)
  end

  for name, case in pairs {
    ["nil"] = {nil, "m"}, ["a number"] = {1, "m"},
    ["a table without it"] = {{}, "m"},
    ["a method that is no function"] = {{m = 1}, "m"},
    ["a getter that raises"] =
      {setmetatable({}, {__index = function() error "no" end}), "m"},
  } do
    it("raises for " .. name, function()
      local message = helper.raised(function()
        Promise.from(case[1], case[2])
      end)
      assert.matches("bad argument #1 to 'from' (promise expected, got ",
        message, 1, true)
    end)
  end

  it("raises for a method that is neither name nor callable", function()
    local message = helper.raised(function() Promise.from({}, 1) end)
    assert.matches("bad argument #2 to 'from' (name of a method or " ..
      "callable expected, got number)", message, 1, true)
  end)
end)

describe("a table whose __index raises", function()
  local strict = setmetatable({}, {__index = function(_, name)
    error("no field " .. name, 0)
  end})

  it("rejects who is resolved with it, as in the standard", function()
    local p = Promise.resolve(strict)
    p:catch(function() end)
    assert.same({"rejected", "no field next"}, {outcome(p)})
  end)

  it("is a value for fulfill", function()
    local p = Promise.fulfill(strict)
    local _, v = outcome(p)
    assert.equal(strict, v)
  end)
end)
