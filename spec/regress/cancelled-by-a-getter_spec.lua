--- Resolving asks an object for its "next". Where that ran code that
--- cancelled the very promise, that settled twice, or followed the object
--- nonetheless; an async call stayed pending for ever.

local helper = require "spec.helper"
local Promise = require "cpromise"

local function pass(...) return ... end

--- What looking for the 'next' of an object comes to, after `f` has run.
local ends = {
  ["a plain value"] = function() end,
  ["a thenable"] = function()
    return function(_, resolve) resolve "from the thenable" end
  end,
  ["an error"] = function() error "too late" end,
}

local function asking(f)
  return setmetatable({}, {__index = function(_, key)
    return key == "next" and f() or nil
  end})
end

--- By name, promises that are resolved with an object. `make(object)` returns
--- one, which the object's getter cancels.
local makers = {
  ["of withResolvers"] = function(object)
    local p, resolve = Promise.withResolvers()
    Promise.queueMicrotask(resolve, object)
    return p
  end,
  ["of several values"] = function(object)
    local p, resolve = Promise.withResolvers()
    Promise.queueMicrotask(resolve, object, 2, 3)
    return p
  end,
  ["of next"] = function(object)
    return Promise.resolve():next(function() return object end)
  end,
  ["of a catch that passes a value on"] = function(object)
    return Promise.fulfill(object):catch(pass)
  end,
  ["of a thenable"] = function(object)
    return Promise.resolve {next = function(_, resolve) resolve(object) end}
  end,
  ["of an async call"] = function(object)
    return Promise.spawn(function()
      Promise.await(nil)
      return object
    end)
  end,
  ["of a race"] = function(object)
    return Promise.race {Promise.fulfill(object)}
  end,
  ["of a finally whose handler returns it"] = function(object)
    return Promise.resolve():finally(function() return object end)
  end,
  ["of a finally that passes it on"] = function(object)
    return Promise.fulfill(object):finally(pass)
  end,
}

describe("a promise that a getter cancels while it is resolved", function()
  local previous
  before_each(function() previous = Promise.onUnhandledRejection(pass) end)
  after_each(function() Promise.onUnhandledRejection(previous) end)

  --- The getter cancels when it is asked for the `at`-th time.
  local function check(make, at, finish)
    local p, seen
    local asked, told = 0, {}
    p = make(asking(function()
      asked = asked + 1
      if asked < at then return end
      told[#told + 1] = p:cancel "gone"
      return finish()
    end))
    p:next(function(...) seen = {"fulfilled", ...} end,
      function(reason) seen = {"rejected", reason.reason} end)
    helper.drain()
    if asked < at then return end
    assert.is_true(told[1])
    assert.not_equal(true, told[2])
    assert.same({"rejected", "gone"}, seen)
    local state, reason = p:status()
    assert.equal("rejected", state)
    assert.is_true(Promise.isCancelled(reason))
    assert.equal(0, helper.drain())
  end

  for name, make in pairs(makers) do
    for what, finish in pairs(ends) do
      -- The error of its result is what a finally rejects with.
      if not (name:find "^of a finally whose" and what == "an error") then
        it(("rejects with that: one %s, %s"):format(name, what), function()
          check(make, 1, finish)
          check(make, 2, finish)
        end)
      end
    end
  end

  it("rejects with the error of the result of a finally", function()
    local p
    p = Promise.resolve():finally(function()
      return asking(function()
        p:cancel()
        error("too late", 0)
      end)
    end)
    assert.same({"rejected", "too late"}, {helper.outcome(p)})
  end)
end)
