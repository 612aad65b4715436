--- Measures workloads in all implementations that this machine has.
---
---   lua5.4 bench/run.lua [PLAN] [PATTERN]
---
--- PLAN is one of bench/plans.lua, PATTERN limits the workloads by name. Each
--- measurement is a process of its own. They take turns: a round measures
--- every workload in every implementation, so that whatever else the machine
--- does hits all alike. The results go to build/bench/results.tsv.

local child = require "bench.child"
local implementations = require "bench.implementations"
local plans = require "bench.plans"
local results = require "bench.results"
local workloads = require "bench.workloads"

local LIMIT <const> = 60 -- seconds for a process

-- Bytes for one operation don't depend on their number, unless all of it is
-- held; so this is enough.
local BYTES_SIZE <const> = 10000

local function command(cell, ...)
  local program = cell.implementation.program or
    child.lua("bench/measure.lua", cell.implementation.name)
  return ("timeout %d %s %s"):format(
    LIMIT, program, child.command(cell.workload.name, ...))
end

-- Of what a failing process prints, the line that says why, without the
-- folders that this machine has.
local function why(text)
  local line = text:match "[^\n]*Error[^\n]*" or text:match "[^\n]*"
  return (line:gsub("^%S*lua%S*: ", ""):gsub("[^%s'\"]*/", ""))
end

-- The number that a process prints, nil for `-`; or nil, why it failed.
local function measure(line)
  local text, status = child.run(line)
  if status == 124 then return nil, "over " .. LIMIT .. " s" end
  if status ~= 0 then return nil, why(text) end
  return tonumber(text)
end

local function measure_bytes(cell)
  local n = cell.workload.holds and cell.n or math.min(cell.n, BYTES_SIZE)
  cell.bytes = measure(command(cell, n, "bytes"))
end

local function measure_time(cell)
  local seconds = cell.seconds or 0
  local ns, failure = measure(command(cell, cell.n, "time", seconds))
  cell.failure = failure
  cell.absent = not ns and not failure
  table.insert(cell.ns, ns)
end

local function has(list, item)
  for _, each in ipairs(list) do
    if each == item then return true end
  end
  return false
end

-- Adds a workload of one size in each implementation, once.
local function add_cells(cells, part, workload, n)
  for _, implementation in ipairs(implementations.found()) do
    local name = implementation.name
    local key = table.concat({workload.name, n, name}, "\t")
    if not cells[key] and (not part.of or has(part.of, name)) then
      cells[key] = true
      cells[#cells + 1] = {
        workload = workload,
        implementation = implementation,
        n = n,
        rounds = part.rounds,
        seconds = part.seconds,
        ns = {},
      }
    end
  end
end

local function is_chosen(part, workload, pattern)
  local name = workload.name
  return name:find(part.only) and name:find(pattern) and
    not (part.besides and name:find(part.besides)) and
    (workload.flow or not part.flows)
end

-- All that a plan measures.
local function cells_of(plan, pattern)
  local cells = {}
  for _, part in ipairs(plan) do
    for _, workload in ipairs(workloads) do
      if is_chosen(part, workload, pattern) then
        for _, n in ipairs(part.sizes) do
          add_cells(cells, part, workload, n)
        end
      end
    end
  end
  return cells
end

local function run_round(cells, round)
  for _, cell in ipairs(cells) do
    if round <= cell.rounds and not cell.failure and not cell.absent then
      measure_time(cell)
      if round == 1 and cell.seconds and #cell.ns > 0 then
        measure_bytes(cell)
      end
    end
  end
end

local function run(plan, pattern)
  local cells = cells_of(plan, pattern)
  local rounds = 0
  for _, part in ipairs(plan) do rounds = math.max(rounds, part.rounds) end
  for round = 1, rounds do
    io.stderr:write(("round %d of %d\n"):format(round, rounds))
    run_round(cells, round)
    results.save(results.of(cells)) -- the next one may take long
  end
  return results.of(cells)
end

local plan = assert(plans[arg[1] or "quick"], "no such plan")
local rows = run(plan, arg[2] or "")
results.print(rows)

-- A rival may fail; cpromise may not.
for _, row in ipairs(rows) do
  if row.implementation == "cpromise" and row.failure then os.exit(1) end
end
