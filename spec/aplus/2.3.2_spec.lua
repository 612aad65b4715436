local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

-- A pending promise, and the functions that settle it; each x of a rule
-- comes with its own.
local function deferred()
  local promise, resolve, reject = Promise.withResolvers()
  return promise, {resolve = resolve, reject = reject}
end

-- Declare a rule for a pending x: `test(promise, x, settle)`.
local function each_pending(title, test)
  local settle
  local function make()
    local promise
    promise, settle = deferred()
    return promise
  end
  aplus.each_resolved(title, make, function(promise, x)
    test(promise, x, settle)
  end)
end

aplus.clause("2.3.2 a promise that is resolved with a promise x", function()
  describe("2.3.2.1 while x is pending", function()
    each_pending("is pending", function(promise)
      aplus.stays_pending(promise)
    end)

    each_pending("ignores a later resolution of its own", function(promise)
      local following, resolve, reject = Promise.withResolvers()
      resolve(promise)
      resolve(1)
      reject(2)
      aplus.stays_pending(following)
    end)

    it("stays pending when it follows x and x follows it", function()
      local a, resolve_a = Promise.withResolvers()
      local b, resolve_b = Promise.withResolvers()
      resolve_a(b)
      resolve_b(a)
      aplus.stays_pending(a)
      aplus.stays_pending(b)
    end)
  end)

  describe("2.3.2.2 when x is fulfilled", function()
    aplus.each(aplus.values, function(value, name)
      aplus.each_resolved("has its value already: " .. name,
        function() return Promise.fulfill(value) end,
        function(promise) aplus.fulfils(promise, value) end)

      each_pending("has its value at once: " .. name,
        function(promise, _, settle)
          settle.resolve(value)
          aplus.fulfils(promise, value)
        end)

      each_pending("has its value eventually: " .. name,
        function(promise, _, settle)
          aplus.later(settle.resolve, value)
          aplus.fulfils(promise, value)
        end)
    end)

    each_pending("follows what x follows", function(promise, _, settle)
      local last, act = deferred()
      settle.resolve(last)
      aplus.stays_pending(promise)
      act.resolve(dummy)
      aplus.fulfils(promise, dummy)
    end)
  end)

  describe("2.3.2.3 when x is rejected", function()
    aplus.each(aplus.values, function(reason, name)
      aplus.each_resolved("has its reason already: " .. name,
        function() return Promise.reject(reason) end,
        function(promise) aplus.rejects(promise, reason) end)

      each_pending("has its reason at once: " .. name,
        function(promise, _, settle)
          settle.reject(reason)
          aplus.rejects(promise, reason)
        end)

      each_pending("has its reason eventually: " .. name,
        function(promise, _, settle)
          aplus.later(settle.reject, reason)
          aplus.rejects(promise, reason)
        end)
    end)

    each_pending("follows what x follows", function(promise, _, settle)
      local last, act = deferred()
      settle.resolve(last)
      aplus.stays_pending(promise)
      act.reject(dummy)
      aplus.rejects(promise, dummy)
    end)
  end)
end)
