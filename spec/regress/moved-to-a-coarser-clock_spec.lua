--- A delay that moved to another clock, of larger times, fell due between two
--- steps of that: the timer came an instant too early, and again, for ever.

local Promise = require "cpromise"
local virtual = require "cpromise.loop.virtual"

describe("a delay that moves to a clock with larger steps", function()
  after_each(function() Promise.setLoop(nil) end)

  for _, origin in ipairs {1e3, 1e9} do
    it(("ends, at %g"):format(origin), function()
      for i = 1, 50 do
        local first, second = virtual.new(), virtual.new()
        first.advance(i / 30000)
        Promise.setLoop(first)
        local p = Promise.delay(0.01)
        second.advance(origin)
        Promise.setLoop(second)
        local fired = 0
        local timer = second.timer
        function second.timer(...)
          fired = fired + 1
          assert(fired < 100, "the timer fires again and again")
          return timer(...)
        end
        second.advance(0.1)
        assert.equal("fulfilled", (p:status()))
      end
    end)
  end
end)
