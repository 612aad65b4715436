--- Commands through examples/redis.lua, so many at once: what
--- bench/uv/redis.js does. For each depth prints microseconds for a command
--- and those of processor time.
---
---     redis.lua PATH COMMANDS DEPTH...

local Promise = require "cpromise"
local luv = require "luv"
local await = Promise.await

local redis = dofile "examples/redis.lua"

local function cpu()
  local used = luv.getrusage()
  return (used.utime.sec + used.stime.sec) * 1e6 +
    used.utime.usec + used.stime.usec
end

local function once(client, n, depth)
  local used, start = cpu(), luv.hrtime()
  local i, workers = 0, {}
  for k = 1, depth do
    workers[k] = Promise.spawn(function()
      while i < n do
        i = i + 1
        await(client:call("SET", "key", "value"))
      end
    end)
  end
  await(Promise.all(workers))
  print(depth, (luv.hrtime() - start) / 1e3 / n, (cpu() - used) / n)
end

Promise.run(function()
  local client <close> = redis.connect(arg[1])
  await(client:call "PING")
  for k = 3, #arg do
    local depth = tonumber(arg[k])
    once(client, depth == 1 and arg[2] // 10 or tonumber(arg[2]), depth)
  end
end)
