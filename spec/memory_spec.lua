--- Memory runs short: at every allocation that a scenario with every public
--- function makes. spec/support/memory.lua has the scenario, and checks what
--- is left after each failure.

local child = require "spec.child"
local helper = require "spec.helper"

--- The numbers that the sweep printed, and the words after them. It ended
--- well if there is nothing else but reports of errors that found no memory
--- for their hook.
local function sweep(...)
  local text, status = child.run([[dofile "spec/support/memory.lua"]], ...)
  local results = {}
  for line in text:gmatch "[^\n]+" do
    if line:find "^%d" then
      for field in line:gmatch "[^\t]+" do
        results[#results + 1] = math.tointeger(field) or field
      end
    elseif not line:find "^cpromise: " then
      error(line)
    end
  end
  assert.equal(0, status)
  return table.unpack(results)
end

describe("memory that runs short", function()
  -- all of them, which .ci/run does, take a minute or two
  local stride = helper.scale < 1 and 53 or helper.scale > 1 and 1 or 7

  it("spares a scenario that gets all it asks for", function()
    local made, ran, short = sweep()
    assert.is_true(made > 2000)
    assert.equal(270, ran)
    assert.equal(0, short)
  end)

  it("strikes every public function and method", function()
    local forgotten = select(4, sweep())
    assert.is_nil(forgotten)
  end)

  -- If only one allocation fails Lua collects garbage and tries again, so
  -- the first case alone would prove little.
  local cases = {
    {"harms nothing if the next allocation succeeds", "0", 0},
    {"leaves all alive if two allocations fail", "1", 100},
    {"leaves all alive if eight allocations fail", "7", 100},
    {"leaves all alive if all allocations fail", "on", 100},
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local made, rejected = sweep(case[2], tostring(stride))
      assert.is_true(made > 2000)
      assert.is_true(rejected >= case[3] / stride)
    end)
  end
end)
