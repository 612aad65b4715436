-- Why a generator can't wait any longer is told to the generator that it
-- waits for, if it does: the message was lost on the way to that.

local Promise = require "cpromise"

describe("a generator in a generator that awaits in vain", function()
  it("raises why", function()
    local ok, err = pcall(Promise.wrap(function()
      Promise.wrap(function()
        Promise.await((Promise.withResolvers()))
      end)()
    end))
    assert.is_false(ok)
    assert.matches("promise still pending, nothing left to do:\n", err)
  end)
end)
