-- The context remembered the coroutine that had last been paused with its
-- generator until it went on. If it was closed instead and collected, and a
-- new coroutine came to stand at its address in memory, then a yield of that
-- one's own code looked like a pause: it was resumed again, and what it had
-- yielded for never came.

local Promise = require "cpromise"
local hook = require "support.hook"

-- Pause a coroutine in the middle of a generator, close it, and return where
-- it stood in memory.
local function pause_and_close()
  local consumer
  Promise.async(function()
    consumer = coroutine.running()
    Promise.wrap(function()
      hook.every(1) -- this coroutine alone
      for _ = 1, 100 do end
    end)()
  end)():ignore()
  assert.equal("suspended", coroutine.status(consumer))
  coroutine.close(consumer)
  Promise.drain()
  return ("%p"):format(consumer)
end

-- Call f with a function that yields nothing, until it has run at such an
-- address, or often enough: not every allocator gives one out again.
local function at_old_address(f)
  for _ = 1, 20 do
    local address, found = pause_and_close(), false
    collectgarbage()
    collectgarbage()
    local function yield()
      found = found or ("%p"):format(coroutine.running()) == address
      coroutine.yield()
      return "went on"
    end
    local kept -- alive, so that each stands somewhere else
    for _ = 1, 50 do
      kept = {f(yield), kept}
      if found then return end
    end
  end
end

describe("where a paused coroutine has been", function()
  it("refuses the yield of an async call", function()
    at_old_address(function(yield)
      local p = Promise.async(yield)():ignore()
      Promise.drain()
      assert.equal("rejected", (p:status()))
      return p
    end)
  end)

  it("hands on what a generator yields", function()
    at_old_address(function(yield)
      local generator = Promise.wrap(yield)
      assert.is_nil(generator())
      assert.equal("went on", generator())
      return generator
    end)
  end)

  it("leaves a program's own coroutine where it has yielded", function()
    at_old_address(function(yield)
      local went_on = false
      local co = coroutine.create(function()
        Promise.await(Promise.resolve())
        yield()
        went_on = true
      end)
      coroutine.resume(co)
      Promise.drain()
      assert.is_false(went_on)
      return co
    end)
  end)
end)
