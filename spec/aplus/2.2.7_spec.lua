local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

-- As values a resolution would follow these; as reasons they stay.
local reasons = table.move(aplus.values, 1, #aplus.values, 4, {
  {"a thenable", {next = function(_, resolve) resolve(1) end}},
  {"a fulfilled promise", Promise.fulfill(dummy)},
  {"a pending promise", (Promise.withResolvers())},
})

aplus.clause("2.2.7 'next' returns a promise", function()
  for _, state in ipairs(aplus.states) do
    state.each("makes a new one", dummy, function(promise, settle)
      local with = state.register(promise, function() end)
      local without = promise:next()
      assert.is_true(Promise.is(with))
      assert.is_true(Promise.is(without))
      assert.not_equal(promise, with)
      assert.not_equal(promise, without)
      assert.not_equal(with, without)
      settle()
    end)
  end

  describe("2.2.7.1 a handler that returns x resolves it", function()
    for _, state in ipairs(aplus.states) do
      aplus.each(aplus.values, function(value, name)
        state.each(("fulfils it with %s"):format(name), dummy,
          function(promise, settle)
            local derived =
              state.register(promise, function() return value end)
            settle()
            aplus.fulfils(derived, value)
          end)
      end)
    end
  end)

  describe("2.2.7.2 a handler that raises e rejects it", function()
    for _, state in ipairs(aplus.states) do
      aplus.each(reasons, function(reason, name)
        state.each(("rejects it with %s"):format(name), dummy,
          function(promise, settle)
            local derived =
              state.register(promise, function() error(reason, 0) end)
            settle()
            aplus.rejects(derived, aplus.thrown(reason))
          end)
      end)
    end
  end)

  describe("2.2.7.3 an onFulfilled that is not callable", function()
    aplus.each(aplus.not_callable, function(handler, name)
      aplus.each_fulfilled("passes the value on: " .. name, dummy,
        function(promise, settle)
          local derived = promise:next(handler)
          settle()
          aplus.fulfils(derived, dummy)
        end)
    end)
  end)

  describe("2.2.7.4 an onRejected that is not callable", function()
    aplus.each(aplus.not_callable, function(handler, name)
      aplus.each_rejected("passes the reason on: " .. name, dummy,
        function(promise, settle)
          local derived = promise:next(nil, handler)
          settle()
          aplus.rejects(derived, dummy)
        end)
    end)
  end)
end)
