--- Ten million timers are armed, and half of them cancelled: the memory in
--- use is that of those which wait.
---
---     timers.lua [SCALE]

local Promise = require "cpromise"
local virtual = require "cpromise.loop.virtual"

local rounds = 100
local burst = math.max(100, math.floor(100000 * (tonumber(arg[1]) or 1)))

local loop = virtual.new()
Promise.setLoop(loop)

local fired, left = 0, 0
local function fire() fired = fired + 1 end
local function leave() left = left + 1 end

-- One in ten has a duration of its own.
local function duration(i)
  return i % 10 == 0 and math.random() or i % 7 / 10
end

local low, high = math.huge, 0
for round = 1, rounds do
  do
    local all = {}
    for i = 1, burst do
      all[i] = Promise.delay(duration(i))
      all[i]:next(fire, leave)
    end
    for i = 2, burst, 2 do all[i]:cancel() end
  end
  loop.advance(2)
  collectgarbage()
  local used = collectgarbage "count"
  if round > 1 then
    low, high = math.min(low, used), math.max(high, used)
  end
end

print(("%d fired, %d cancelled"):format(fired, left))
print(("%.1f to %.1f KB in use at the end of a round"):format(low, high))
assert(fired == rounds * (burst - burst // 2), "timers were lost")
assert(left == rounds * (burst // 2), "wrong outcomes")
assert(high - low < 64, "memory grows")
