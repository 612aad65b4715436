--- Ten million promises that are pending at once: how much memory each
--- takes, and that all of them settle.
---
---     pending.lua [SCALE]

local Promise = require "cpromise"

local n = math.floor(10000000 * (tonumber(arg[1]) or 1))
local limit = 140 -- bytes for each

local root, resolve = Promise.withResolvers()
local settled = 0
local function count(v) settled = settled + v end

collectgarbage()
local before = collectgarbage "count"
for _ = 1, n do root:next(count) end
collectgarbage()
local bytes = (collectgarbage "count" - before) * 1024 / n
print(("%d pending promises, %.1f bytes each"):format(n, bytes))
assert(bytes <= limit, "a promise takes too much memory")

resolve(1)
local jobs = Promise.drain()
print(("%d of them settled, in %d jobs"):format(settled, jobs))
assert(settled == n and jobs == n, "promises were lost")

collectgarbage()
local held = (collectgarbage "count" - before) * 1024
print(("%d bytes held afterwards"):format(held))
assert(held < 4096, "memory is held")
