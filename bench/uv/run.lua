--- Programs of luv's layer beside the same in node, in one run, in turn:
---
---     run.lua [ROUNDS [SHARE]]
---
--- writes docs/benchmarks-uv.md. SHARE is of the requests and commands.

local Promise = require "cpromise"
local luv = require "luv"
local uv = require "cpromise.uv"
local versions = require "bench.versions"
local await = Promise.await

local rounds, share = tonumber(arg[1] or 5), tonumber(arg[2] or 1)

local LUA <const> = arg[-1]

-- What a program prints: lines of numbers.
local function measure(command, args)
  local result = await(uv.run_process(command, args, {stderr = 2}))
  assert(result.code == 0, command .. " failed")
  local lines = {}
  for line in result.stdout:gmatch "[^\n]+" do
    local numbers = {}
    for number in line:gmatch "%S+" do
      numbers[#numbers + 1] = tonumber(number)
    end
    lines[#lines + 1] = numbers
  end
  return lines
end

-- Microseconds of processor time that a process has used.
local function cpu_of(pid)
  local stat = await(uv.read_file(("/proc/%d/stat"):format(pid)))
  local user, system = stat:match "%) %S (.*)":match(
    ("%S+ "):rep(10) .. "(%d+) (%d+)")
  return (user + system) * 10000 -- a hundred ticks a second
end

-- The least of each figure in all rounds, by row and program.
local rows, found = {}, {}

local function note(row, program, ...)
  if not found[row] then
    rows[#rows + 1], found[row] = row, {}
  end
  local best = found[row][program] or {}
  for i, figure in ipairs {...} do
    best[i] = math.min(best[i] or math.huge, figure)
  end
  found[row][program] = best
end

local function start(command, args)
  local process = await(uv.start_process(command, args, {stdout = true}))
  local line = await(process.stdout:read_until "\n")
  return process, line:match "%d+$"
end

-- Requests through a proxy.
local function measure_proxy(program, command, args)
  local proxy <close>, port = start(command, args)
  local load = {"bench/uv/load.lua", port, "16"}
  local function ask(n, path)
    local words = {table.unpack(load)}
    words[4], words[5] = tostring(n), path
    return measure(LUA, words)[1]
  end
  ask(1000, "/100") -- to warm up
  for _, case in ipairs {{"/100", 10000}, {"/100000", 2000}} do
    local path, n = case[1], math.ceil(case[2] * share)
    local used = cpu_of(proxy.pid)
    local numbers = ask(n, path)
    local cpu = (cpu_of(proxy.pid) - used) / n
    local row = ("proxy, an answer of %s bytes"):format(path:sub(2))
    note(row .. ", a request", program, numbers[1], cpu)
    note(row .. ", median", program, numbers[2])
    note(row .. ", 99th percentile", program, numbers[3])
  end
end

local function measure_proxies()
  local _ <close>, port = start(LUA, {"bench/uv/server.lua"})
  measure_proxy("cpromise", LUA, {"examples/proxy.lua", "0", "127.0.0.1",
    port})
  measure_proxy("node", "node", {"bench/uv/proxy.js", port})
end

local DEPTHS <const> = {"1", "16", "1000"}

local function measure_redis()
  local temporary <close> = await(uv.temporary_directory())
  local path = temporary.path .. "/socket"
  local _ <close> = await(uv.start_process("redis-server",
    {"--port", "0", "--unixsocket", path, "--save", ""}, {stdout = false}))
  while not luv.fs_stat(path) do await(Promise.delay(0.01)) end
  local n = tostring(math.ceil(100000 * share))
  local programs = {
    cpromise = {LUA, "bench/uv/redis.lua"},
    node = {"node", "bench/uv/node-redis.js"},
    ["a client for SET alone, in node"] = {"node", "bench/uv/redis.js"},
  }
  for program, words in pairs(programs) do
    for _, numbers in ipairs(measure(words[1],
      {words[2], path, n, table.unpack(DEPTHS)})) do
      note(("Redis, %d commands at once, a command"):format(numbers[1]),
        program, numbers[2], numbers[3])
    end
  end
  for _, depth in ipairs(DEPTHS) do
    local result = await(uv.run_process("redis-benchmark", {"-s", path, "-n",
      n, "-c", "1", "-P", depth, "-t", "set", "--csv"}))
    local second = result.stdout:match '"SET","([%d.]+)"'
    note(("Redis, %s commands at once, a command"):format(depth),
      "redis-benchmark", 1e6 / second)
  end
end

local FOLDER <const> = "/usr/include"

local function measure_folder()
  local row = ("walking and reading %s"):format(FOLDER)
  for program, words in pairs {
    cpromise = {LUA, "bench/uv/walk.lua"},
    node = {"node", "bench/uv/walk.js"},
  } do
    for _, numbers in ipairs(measure(words[1], {words[2], FOLDER, "32"})) do
      note(row, program, numbers[3], numbers[4])
    end
  end
  local begun = luv.hrtime()
  await(uv.run_process("sh", {"-c",
    "find " .. FOLDER .. " -type f -exec cat {} + | wc -c"}))
  note(row, "find and wc", (luv.hrtime() - begun) / 1e3)
end

-- The page -----------------------------------------------------------------

local function figure(v)
  if not v then return "" end
  return v < 10 and ("%.2f"):format(v) or ("%.0f"):format(v)
end

local function ratio(a, b)
  return a and b and ("%.2f"):format(a / b) or ""
end

local function line_of(row)
  local ours, theirs = found[row].cpromise, found[row].node
  local others = {}
  for _, program in ipairs {
    "a client for SET alone, in node", "redis-benchmark", "find and wc",
  } do
    local best = found[row][program]
    if best then
      others[#others + 1] = ("%s: %s"):format(program, figure(best[1]))
    end
  end
  return ("| %s | %s | %s | %s | %s | %s | %s | %s |\n"):format(row,
    figure(ours[1]), figure(theirs[1]), ratio(ours[1], theirs[1]),
    figure(ours[2]), figure(theirs[2]), ratio(ours[2], theirs[2]),
    table.concat(others, ", "))
end

-- The versions of what was measured.
local function machine()
  local parts = {versions.processor()}
  for _, list in ipairs {versions.tools(), versions.rivals()} do
    for _, entry in ipairs(list) do
      if entry[2] then parts[#parts + 1] = entry[1] .. " " .. entry[2] end
    end
  end
  return table.concat(parts, ", ")
end

local HEAD <const> = [[
# Benchmarks of luv's layer

Written by `make bench-uv` on %s. %s.

Microseconds, the least of %d rounds in which the programs took turns. "Share"
is cpromise's figure divided by that of node. First stands the time that
passed; then the processor time (CPU), which other work on the machine
disturbs less; at last what other programs took, in time that passed.

`examples/proxy.lua` stands beside the smallest proxy of node's own modules
(`bench/uv/proxy.js`), with 16 clients; `examples/redis.lua` beside
node-redis, the client for node, and in the last column a client in node that
does no more than SET needs (`bench/uv/redis.js`), and redis-benchmark,
written in C; `uv.walk` and `uv.read_file` beside `fs/promises`
(`bench/uv/walk.js`), with 32 files at once.

|  | cpromise | node | share | cpromise, CPU | node, CPU | share | others |
|---|---:|---:|---:|---:|---:|---:|---|
]]

Promise.run(function()
  for _ = 1, rounds do
    measure_proxies()
    measure_redis()
    measure_folder()
  end
  local page = {HEAD:format(os.date "%Y-%m-%d", machine(), rounds)}
  for _, row in ipairs(rows) do page[#page + 1] = line_of(row) end
  await(uv.write_file("docs/benchmarks-uv.md", page, {atomic = true}))
  io.write(table.unpack(page))
end)
