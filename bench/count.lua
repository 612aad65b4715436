--- Instructions for one operation, counted by callgrind: repeatable, so this
--- is what compares two versions.
---
---   lua5.4 bench/count.lua count [PATTERN]   print those of all workloads
---   lua5.4 bench/count.lua check             compare with instructions.txt
---   lua5.4 bench/count.lua accept            write instructions.txt
---   lua5.4 bench/count.lua growth [PATTERN]  of those kept, few and many
---
--- `check` fails if a count is more than 3 % above the kept one, and exits
--- with 77 where the versions are others, which proves nothing.

local instructions = require "bench.instructions"
local versions = require "bench.versions"
local workloads = require "bench.workloads"

local FILE <const> = "bench/instructions.txt"
local TOLERANCE <const> = 0.03
local NOT_HERE <const> = 77
local FEW <const>, MANY <const> = 10000, 1000000

-- These, and all flows.
local KEPT <const> =
  {"new", "chain", "fan-out", "step", "all", "await", "async", "throw"}
for _, workload in ipairs(workloads) do
  if workload.flow then KEPT[#KEPT + 1] = workload.name end
end

local HEAD <const> = [[
# Instructions for one operation, and the versions that they hold for.
# 'make bench-accept' writes this file; the commit says why they changed.
]]

-- The first version that is not the kept one, in words.
local function other_version(kept)
  for _, tool in ipairs(versions.tools()) do
    local name, version = table.unpack(tool)
    if version ~= kept[name] then
      return ("%s is %s here, not %s"):format(
        name, version or "missing", kept[name])
    end
  end
end

local modes = {}

function modes.count(pattern)
  for _, workload in ipairs(workloads) do
    local name = workload.name
    if name:find(pattern) then
      print(("%-18s %6d"):format(name, instructions.count(name)))
    end
  end
end

function modes.check()
  local kept = instructions.read(FILE)
  if not versions.valgrind() then
    print "valgrind is missing"
    return NOT_HERE
  end
  local other = other_version(kept)
  local failed = false
  for _, name in ipairs(KEPT) do
    local text, more = instructions.compare(name, instructions.count(name),
      tonumber(kept[name]), TOLERANCE)
    print(text)
    failed = failed or more
  end
  if other then
    print(other)
    return NOT_HERE
  end
  return failed and 1 or 0
end

-- An hour. Of flows, which take more, there are fewer.
function modes.growth(pattern)
  for _, name in ipairs(KEPT) do
    if name:find(pattern) then
      local few = instructions.count(name, FEW)
      local n = workloads[name].flow and MANY // 10 or MANY
      local many = instructions.count(name, n)
      print(("%-14s %6d of %d, %6d of %d, %+.1f %%"):format(
        name, few, FEW, many, n, (many / few - 1) * 100))
    end
  end
end

function modes.accept()
  local lines = {}
  for _, tool in ipairs(versions.tools()) do
    lines[#lines + 1] = ("%-14s %s\n"):format(table.unpack(tool))
  end
  for _, name in ipairs(KEPT) do
    local line = ("%-14s %d\n"):format(name, instructions.count(name))
    io.write(line)
    lines[#lines + 1] = line
  end
  local file <close> = assert(io.open(FILE, "w"))
  file:write(HEAD, table.concat(lines))
end

os.exit(modes[arg[1]](arg[2] or "") or 0)
