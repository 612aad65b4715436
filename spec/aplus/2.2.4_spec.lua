local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

-- Here that is: handlers run from the queue, one after the other, and never
-- inside of another call.
aplus.clause("2.2.4 handlers run on a clean stack", function()
  for _, state in ipairs(aplus.states) do
    local handler_name = state.handler

    state.each("runs " .. handler_name .. " after 'next' has returned",
      dummy, function(promise, settle)
        local returned = false
        local seen
        state.register(promise, function() seen = returned end)
        returned = true
        assert.is_nil(seen)
        settle()
        assert.is_true(seen)
      end)

    it("runs " .. handler_name .. " after the settling call", function()
      local promise, act = state.pending()
      local handler, calls = aplus.recorder()
      state.register(promise, handler)
      act(dummy)
      assert.equal(0, #calls)
      Promise.drain()
      assert.equal(1, #calls)
    end)

    it("runs " .. handler_name .. " after the job that settles", function()
      local promise, act = state.pending()
      local finished = false
      local seen
      state.register(promise, function() seen = finished end)
      aplus.later(function()
        act(dummy)
        Promise.drain()
        finished = true
      end)
      assert.is_true(seen)
    end)

    for _, outer in ipairs(aplus.states) do
      it(("runs %s after the %s that adds it"):format(
        handler_name, outer.handler), function()
        local promise, act = state.pending()
        local log = {}
        outer.register(outer.make(dummy), function()
          state.register(promise, function() log[#log + 1] = "before" end)
          act(dummy)
          state.register(promise, function() log[#log + 1] = "after" end)
          log[#log + 1] = "end"
        end)
        Promise.drain()
        assert.same({"end", "before", "after"}, log)
      end)
    end
  end
end)
