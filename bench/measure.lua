--- Measures one workload of one implementation in Lua, in this process.
---
---   lua5.4 bench/measure.lua IMPLEMENTATION WORKLOAD N time SECONDS
---   lua5.4 bench/measure.lua IMPLEMENTATION WORKLOAD N bytes
---   lua5.4 bench/measure.lua IMPLEMENTATION WORKLOAD N run|setup
---
--- `time` prints the nanoseconds of one operation: CPU time, of rounds of n
--- operations for at least so many seconds, and of collecting their garbage,
--- after one round to warm up, whose garbage is not counted. `bytes` prints
--- what one operation asks for or, where the workload holds what it makes,
--- keeps. `run` does n operations and `setup` only prepares them, for
--- counting instructions.
---
--- It prints `-` if the implementation lacks what the workload needs.

local implementations = require "bench.implementations"
local workloads = require "bench.workloads"

local P = implementations.load(arg[1])
local workload = assert(workloads[arg[2]], "no such workload")
local n = math.tointeger(arg[3])

local function setup()
  return implementations.setup(P, workload, n)
end

local function run(made)
  return implementations.run(P, workload, n, made)
end

local function collect()
  collectgarbage()
  collectgarbage()
end

local modes = {}

function modes.time(seconds)
  local spent, rounds = 0, 0
  local function charge(fn, ...)
    local start = os.clock()
    fn(...)
    spent = spent + os.clock() - start
  end
  run(setup())
  collect()
  repeat
    local made = setup()
    charge(run, made)
    rounds = rounds + 1
  until spent >= tonumber(seconds)
  charge(collect)
  return spent / rounds / n * 1e9
end

function modes.bytes()
  local made = setup()
  collect()
  if not workload.holds then collectgarbage "stop" end
  local before = collectgarbage "count"
  local held = run(made)
  if workload.holds then collect() end
  local grown = collectgarbage "count" - before
  return grown * 1024 / n, held
end

-- The collector starts with nothing to do, or it would depend on the setup
-- when it does it.
function modes.setup()
  local made = setup()
  collect()
  return nil, made
end

function modes.run()
  local _, made = modes.setup()
  run(made)
end

if not implementations.can(P, workload) then
  print "-"
else
  print((modes[arg[4]](arg[5])))
end
