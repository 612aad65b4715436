--- What is measured: cpromise, and the rivals that this machine has.
---
--- An implementation in Lua has a `module` that gives what the workloads ask
--- for. Others have a `program` with the same workloads, which measures them
--- as bench/measure.lua does. Libraries are looked for in the folder that the
--- environment's RIVALS names, in clones under their own names; `file` is one
--- that must be there. What is `hidden` is measured by name only.

local implementations = {
  {name = "cpromise", module = "bench.rivals.cpromise"},
  {name = "pure Lua", module = "bench.rivals.pure"},
  {
    name = "promise-async",
    module = "bench.rivals.promise_async",
    file = "promise-async/lua/promise.lua",
  },
  {
    name = "promise.lua",
    module = "bench.rivals.promise_lua",
    file = "promise.lua/promise.lua",
  },
  {
    name = "Promise.lua (Ezhik)",
    module = "bench.rivals.ezhik",
    file = "Promise.lua/Promise.lua",
  },
  {
    name = "lua-promises",
    module = "bench.rivals.deferred",
    file = "lua-promises/deferred.lua",
  },
  {name = "coroutines", module = "bench.rivals.coroutines"},
  {name = "luv callbacks", module = "bench.rivals.callbacks", luv = true},
  {name = "virtual clock", module = "bench.rivals.virtual", hidden = true},
  {
    name = "V8",
    command = "node",
    program = "node bench/rivals/v8.js",
  },
  {
    name = "asyncio",
    command = "python3",
    program = "python3 bench/rivals/python.py",
  },
}

local rivals = os.getenv "RIVALS"

local function path_of(implementation)
  return rivals .. "/" .. implementation.file
end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

local function has(implementation)
  if implementation.hidden then return false end
  if implementation.command then
    return os.execute("command -v " .. implementation.command ..
      " >/dev/null 2>&1")
  end
  if implementation.luv then
    return package.searchpath("luv", package.cpath)
  end
  return not implementation.file or rivals and exists(path_of(implementation))
end

local M = {}

--- Those that can be measured here, cpromise first.
function M.found()
  local list = {}
  for _, implementation in ipairs(implementations) do
    if has(implementation) then list[#list + 1] = implementation end
  end
  return list
end

--- The functions of one in Lua.
function M.load(name)
  for _, implementation in ipairs(implementations) do
    if implementation.name == name then
      if implementation.file then
        local folder = path_of(implementation):match "^(.*)/"
        package.path = folder .. "/?.lua;" .. package.path
      end
      return require(implementation.module)
    end
  end
  error("no implementation " .. name)
end

--- Whether an implementation in Lua has what a workload needs.
function M.can(P, workload)
  if P.own then return P.own[workload.name] ~= nil end
  if workload.clock and not P.timer then return false end
  local methods = P.methods or {catch = true, finally = true}
  for _, name in ipairs(workload.needs) do
    if not P[name] and not methods[name] then return false end
  end
  return true
end

--- What prepares a workload there, for n operations.
function M.setup(P, workload, n)
  return not P.own and workload.setup and workload.setup(P, n)
end

--- Do n operations of a workload there, with what was prepared.
function M.run(P, workload, n, made)
  if P.own then return P.own[workload.name](n) end
  return workload.run(P, n, made)
end

return M
