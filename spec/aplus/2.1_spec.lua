local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

-- Every way to settle once more.
local attempts = {
  {"resolve", function(resolve) resolve "again" end},
  {"reject", function(_, reject) reject "again" end},
  {"resolve with a pending promise", function(resolve)
    resolve((Promise.withResolvers()))
  end},
  {"resolve with a rejected promise", function(resolve)
    resolve(Promise.reject "again")
  end},
}

-- Declare that a promise which `first(resolve, reject)` has settled stays as
-- it is; `check(promise)` asserts that.
local function never_changes(first, check)
  aplus.each(attempts, function(again, name)
    it("ignores an attempt to " .. name .. " at once", function()
      local promise, resolve, reject = Promise.withResolvers()
      first(resolve, reject)
      again(resolve, reject)
      check(promise)
    end)

    it("ignores an attempt to " .. name .. " in a later job", function()
      local promise, resolve, reject = Promise.withResolvers()
      first(resolve, reject)
      aplus.later(again, resolve, reject)
      check(promise)
    end)

    it("ignores an attempt to " .. name .. " in the same job", function()
      local promise, resolve, reject = Promise.withResolvers()
      aplus.later(function()
        first(resolve, reject)
        again(resolve, reject)
      end)
      check(promise)
    end)
  end)
end

aplus.clause("2.1.1 a pending promise", function()
  it("stays pending as long as nobody settles it", function()
    aplus.stays_pending((Promise.withResolvers()))
  end)

  it("becomes fulfilled", function()
    local promise, resolve = Promise.withResolvers()
    resolve(dummy)
    aplus.fulfils(promise, dummy)
  end)

  it("becomes rejected", function()
    local promise, _, reject = Promise.withResolvers()
    reject(dummy)
    aplus.rejects(promise, dummy)
  end)
end)

aplus.clause("2.1.2 a fulfilled promise", function()
  describe("2.1.2.1 does not change its state", function()
    aplus.each_fulfilled("calls onFulfilled only", dummy,
      function(promise, settle)
        local on_fulfilled, fulfilments = aplus.recorder()
        local on_rejected, rejections = aplus.recorder()
        promise:next(on_fulfilled, on_rejected)
        settle()
        assert.equal(1, #fulfilments)
        assert.equal(0, #rejections)
      end)

    never_changes(
      function(resolve) resolve(dummy) end,
      function(promise) aplus.fulfils(promise, dummy) end)
  end)

  describe("2.1.2.2 has a value that does not change", function()
    aplus.each(aplus.values, function(value, name)
      aplus.each_fulfilled("keeps " .. name, value,
        function(promise, settle)
          settle()
          aplus.fulfils(promise, value)
          promise:next(function() return "another" end)
          aplus.fulfils(promise, value)
        end)
    end)
  end)
end)

aplus.clause("2.1.3 a rejected promise", function()
  describe("2.1.3.1 does not change its state", function()
    aplus.each_rejected("calls onRejected only", dummy,
      function(promise, settle)
        local on_fulfilled, fulfilments = aplus.recorder()
        local on_rejected, rejections = aplus.recorder()
        promise:next(on_fulfilled, on_rejected)
        settle()
        assert.equal(0, #fulfilments)
        assert.equal(1, #rejections)
      end)

    never_changes(
      function(_, reject) reject(dummy) end,
      function(promise) aplus.rejects(promise, dummy) end)
  end)

  describe("2.1.3.2 has a reason that does not change", function()
    aplus.each(aplus.values, function(value, name)
      aplus.each_rejected("keeps " .. name, value,
        function(promise, settle)
          settle()
          aplus.rejects(promise, value)
          promise:catch(function() return "another" end)
          aplus.rejects(promise, value)
        end)
    end)
  end)
end)
