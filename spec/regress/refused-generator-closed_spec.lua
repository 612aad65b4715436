-- A generator that waits on the main thread for nothing is resumed to raise
-- the error. If it had been closed meanwhile it could not, and whatever was
-- awaited next, anywhere, raised in its place.

local Promise = require "cpromise"

describe("a generator that is closed while its consumer waits", function()
  it("leaves the next await alone", function()
    local co
    local generator = Promise.wrap(function()
      co = coroutine.running()
      Promise.await((Promise.withResolvers()))
    end)
    Promise.queueMicrotask(function() coroutine.close(co) end)
    local ok, err = pcall(generator)
    assert.is_false(ok)
    assert.matches("cannot resume dead coroutine", err)

    local p = Promise.spawn(function()
      return Promise.await(Promise.resolve(1))
    end)
    Promise.drain()
    assert.same({"fulfilled", 1}, {p:status()})
  end)
end)
