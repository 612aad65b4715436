--- A timer fired while memory was short: the promise of Promise.delay stayed
--- pending if there was no room for its values, and the virtual loop took
--- itself to be running for ever.

local alloc = require "support.alloc"

local function run(state, code, ...)
  return state:run([[
    local Promise = require "cpromise"
    trial = trial or {loop = require "cpromise.loop.virtual".new()}
  ]] .. code, ...)
end

--- Let a timer fire with all allocations from the n-th on failing. Returns
--- how many there were, the delay's state, and that of a later one.
local function fire(n)
  local state <close> = alloc.open()
  assert(run(state, [[
    collectgarbage "stop"
    Promise.setLoop(trial.loop)
    Promise.onUnhandledRejection(function() end)
    local values = {}
    for i = 1, 2000 do values[i] = i end
    trial.p = Promise.delay(1, table.unpack(values))
    -- a caught error gives room on the stack back to Lua
    collectgarbage()
    pcall(error)
  ]]))
  assert(state:run [[step = trial.loop.step]])
  state:run("step()", n, math.maxinteger)
  local made = state:count()
  local _, first, second = assert(run(state, [[
    while trial.loop.step() do end
    local later = Promise.delay(1)
    while trial.loop.step() do end
    local inside = trial.loop.inside() and "inside" or later:status()
    return (trial.p:status()), inside
  ]]))
  return made, first, second
end

describe("a delay that ends while memory is short", function()
  it("settles, and so does the next one", function()
    local n, rejected = 0, 0
    repeat
      n = n + 1
      local made, first, second = fire(n)
      assert.not_equal("pending", first)
      assert.equal("fulfilled", second)
      if first == "rejected" then rejected = rejected + 1 end
    until made < n
    assert.is_true(rejected > 0)
  end)
end)
