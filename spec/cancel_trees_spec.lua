--- Random programs that are cancelled: TREES of them, or of the seeds from
--- SEED on.

local helper = require "spec.helper"
local trees = require "spec.support.cancel_trees"

local n = tonumber(os.getenv "TREES") or helper.scaled(8000)
local first = tonumber(os.getenv "SEED") or 1

describe("a random tree of calls that is cancelled", function()
  local previous

  before_each(function() previous = collectgarbage "generational" end)

  after_each(function()
    collectgarbage(previous)
    math.randomseed()
  end)

  it("ends from the inside out, and loses nothing", function()
    local bodies, deliveries = 0, 0
    for seed = first, first + n - 1 do
      local wrong, run = trees.run(seed)
      if wrong then error(("tree %d: %s"):format(seed, wrong), 0) end
      bodies = bodies + #run.bodies
      deliveries = deliveries + run.deliveries
    end
    assert.is_true(bodies > 3 * n)
    assert.is_true(deliveries > n)
  end)
end)
