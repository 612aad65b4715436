--- A timeline of a million events: it is written as it comes, so that the
--- memory in use stays the same.
---
---     trace.lua [SCALE]

local Promise = require "cpromise"
local trace = require "cpromise.trace"
local virtual = require "cpromise.loop.virtual"
local await = Promise.await

local rounds = 100
local calls = math.max(1, math.floor(500 * (tonumber(arg[1]) or 1)))

Promise.setLoop(virtual.new())

-- Twenty events: spans of two calls, of what they await, and arrows.
local inner = Promise.async(function(i)
  await(Promise.delay(1))
  return i
end)
local outer = Promise.async(function(i) return (await(inner(i))) end)

local path = os.tmpname()
trace.start(path)
local low, high = math.huge, 0
Promise.run(function()
  for round = 1, rounds do
    do
      local all = {}
      for i = 1, calls do all[i] = outer(i) end
      await(Promise.all(all))
    end
    collectgarbage()
    local used = collectgarbage "count"
    if round > 1 then
      low, high = math.min(low, used), math.max(high, used)
    end
  end
end)
trace.stop()

local events = -2 -- the brackets
for _ in io.lines(path) do events = events + 1 end
os.remove(path)
print(("%d events"):format(events))
print(("%.1f to %.1f KB in use at the end of a round"):format(low, high))
assert(events >= rounds * calls * 20, "events were lost")
assert(high - low < 64, "memory grows")
