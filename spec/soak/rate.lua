--- A loop in which a hundred thousand promises settle every second, for a
--- minute of its time: the memory in use stays the same.
---
---     rate.lua [SCALE]

local Promise = require "cpromise"
local virtual = require "cpromise.loop.virtual"

local seconds = 60
local ticks = 1000 -- in a second
local burst = math.max(1, math.floor(100 * (tonumber(arg[1]) or 1)))

local loop = virtual.new()
Promise.setLoop(loop)

local settled, rejected = 0, 0
local function fulfil() settled = settled + 1 end
local function reject() rejected = rejected + 1 end

-- Some of each tick wait for the next one, in different ways.
local waiting, made = {}, 0
local function tick()
  local due = waiting
  waiting = {}
  for i = 1, burst do
    local p, resolve, refuse = Promise.withResolvers()
    p:next(fulfil, reject)
    made = made + 1
    waiting[i] = made % 10 == 0 and refuse or resolve
    if due[i] then due[i](i, p) end
  end
end

local low, high = math.huge, 0
local pages = Promise.spawn(function()
  for second = 1, seconds do
    for _ = 1, ticks do
      Promise.await(Promise.delay(1 / ticks))
      tick()
    end
    collectgarbage()
    local used = collectgarbage "count"
    if second > 1 then
      low, high = math.min(low, used), math.max(high, used)
    end
  end
end)
while loop.step() do end
assert(pages:status() == "fulfilled", select(2, pages:status()))

print(("%d settled, %d of them rejected, in %d seconds of the loop"):format(
  settled + rejected, rejected, seconds))
print(("%.1f to %.1f KB in use at the end of a second"):format(low, high))
local due = made - burst -- the last ones wait
assert(settled + rejected == due, "promises were lost")
assert(rejected == due // 10, "wrong outcomes")
assert(high - low < 16, "memory grows")
