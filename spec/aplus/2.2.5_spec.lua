local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

-- Lua has no 'this': a handler gets the value and no self before it.
aplus.clause("2.2.5 handlers are called as functions", function()
  for _, state in ipairs(aplus.states) do
    state.each("passes no self to " .. state.handler, dummy,
      function(promise, settle)
        local handler, calls = aplus.recorder()
        state.register(promise, handler)
        settle()
        assert.equal(1, calls[1].n)
        assert.equal(dummy, calls[1][1])
      end)

    state.each("passes " .. state.handler .. " to its own '__call'", dummy,
      function(promise, settle)
        local record, calls = aplus.recorder()
        local handler = setmetatable({}, {__call = record})
        state.register(promise, handler)
        settle()
        assert.equal(2, calls[1].n)
        assert.equal(handler, calls[1][1])
        assert.equal(dummy, calls[1][2])
      end)
  end
end)
