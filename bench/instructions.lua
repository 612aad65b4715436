--- Counts instructions with callgrind, and keeps counts in a file.

local child = require "bench.child"
local workloads = require "bench.workloads"

-- The difference of two sizes leaves out starting and ending the process.
local SMALL <const>, LARGE <const> = 1000, 20000
local STEPS <const> = 4

local instructions = {}

local function collected(workload, n, mode)
  local implementation = workload.clock and "virtual clock" or "cpromise"
  local text, status = child.run(
    "valgrind --tool=callgrind --callgrind-out-file=/dev/null " ..
      child.lua("bench/measure.lua", implementation, workload.name, n, mode))
  local count = text:match "Collected : (%d+)"
  if status ~= 0 or not count then error(text, 0) end
  return tonumber(count)
end

-- The mean of the instructions of one operation for four sizes up to n,
-- within one doubling: the collector starts again whenever the heap has
-- doubled, and its share goes up and down by 4 % in between.
local function mean(workload, n, mode)
  local small = collected(workload, SMALL, mode)
  local sum = 0
  for step = 0, STEPS - 1 do
    local size = math.floor(n / 2 ^ (step / STEPS))
    sum = sum + (collected(workload, size, mode) - small) / (size - SMALL)
  end
  return sum / STEPS
end

--- The instructions of one operation of a workload, without its setup, where
--- there are n of them.
function instructions.count(name, n)
  local workload = workloads[name]
  local count = mean(workload, n or LARGE, "run")
  if workload.setup then
    count = count - mean(workload, n or LARGE, "setup")
  end
  return math.floor(count + 0.5)
end

--- Read a file of lines `name value`: a table of values, as text, and the
--- names in order.
function instructions.read(path)
  local values, names = {}, {}
  for line in io.lines(path) do
    local name, value = line:match "^([%w-]+)%s+(%S+)$"
    if name then
      values[name] = value
      names[#names + 1] = name
    end
  end
  return values, names
end

--- Compare counts with those that are kept: what each is in words, and
--- whether one is too many. `tolerance` is a part of the kept count.
function instructions.compare(name, count, kept, tolerance)
  local change = count / kept - 1
  local text = ("%-14s %6d, kept %6d, %+.1f %%"):format(
    name, count, kept, change * 100)
  if change > tolerance then return text .. ": too many", true end
  if change < -tolerance then return text .. ": fewer; accept it", false end
  return text, false
end

return instructions
