--- Memory runs short: at every allocation that a scenario with every function
--- of the core makes. spec/support/memory.lua has the scenario, and checks
--- what is left after each failure.

local child = require "spec.child"
local helper = require "spec.helper"

--- The numbers that the sweep printed. It ended well if there is nothing
--- else but reports of errors that found no memory for their hook.
local function sweep(...)
  local text, status = child.run([[dofile "spec/support/memory.lua"]], ...)
  local numbers = {}
  for line in text:gmatch "[^\n]+" do
    if line:find "^[%d%s]+$" then
      for number in line:gmatch "%d+" do
        numbers[#numbers + 1] = tonumber(number)
      end
    elseif not line:find "^cpromise: " then
      error(line)
    end
  end
  assert.equal(0, status)
  return table.unpack(numbers)
end

describe("memory that runs short", function()
  local stride = helper.scale < 1 and 17 or 1

  it("spares a scenario that gets all it asks for", function()
    local made, ran, short = sweep()
    assert.is_true(made > 1000)
    assert.equal(144, ran)
    assert.equal(0, short)
  end)

  -- If only one allocation fails Lua collects garbage and tries again, so
  -- the first case alone would prove little.
  local cases = {
    {"harms nothing if the next allocation succeeds", 0, 0},
    {"leaves all alive if two allocations fail", 1, 100},
    {"leaves all alive if eight allocations fail", 7, 100},
    {"leaves all alive if all allocations fail", math.maxinteger, 100},
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local made, rejected = sweep(tostring(case[2]),
        tostring(stride))
      assert.is_true(made > 1000)
      assert.is_true(rejected >= case[3] / stride)
    end)
  end
end)
