local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

aplus.clause("2.2.1 both handlers are optional", function()
  describe("2.2.1.1 an onFulfilled that is not callable", function()
    aplus.each(aplus.not_callable, function(handler, name)
      aplus.each_rejected("leaves onRejected alone: " .. name, dummy,
        function(promise, settle)
          local on_rejected, calls = aplus.recorder()
          promise:next(handler, on_rejected)
          promise:next(print):next(handler, on_rejected)
          settle()
          assert.same({{dummy, n = 1}, {dummy, n = 1}}, calls)
        end)
    end)
  end)

  describe("2.2.1.2 an onRejected that is not callable", function()
    aplus.each(aplus.not_callable, function(handler, name)
      aplus.each_fulfilled("leaves onFulfilled alone: " .. name, dummy,
        function(promise, settle)
          local on_fulfilled, calls = aplus.recorder()
          promise:next(on_fulfilled, handler)
          promise:next(nil, print):next(on_fulfilled, handler)
          settle()
          assert.same({{dummy, n = 1}, {dummy, n = 1}}, calls)
        end)
    end)
  end)
end)
