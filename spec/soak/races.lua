--- A million races between a promise that stays pending for all of the run
--- and one that settles: the long-lived one does not collect the losers.
---
---     races.lua [SCALE]

local Promise = require "cpromise"

local n = math.floor(1000000 * (tonumber(arg[1]) or 1))
local sample = n // 10

local stop, halt = Promise.withResolvers()
local won, lost = 0, 0
local function win() won = won + 1 end
local function lose() lost = lost + 1 end
local races = {stop}

collectgarbage()
local before, high = collectgarbage "count", 0
for i = 1, n do
  races[2] = Promise.resolve(i)
  Promise.race(races):next(win, lose)
  Promise.drain()
  if i % sample == 0 then
    races[2] = nil
    collectgarbage()
    high = math.max(high, collectgarbage "count" - before)
  end
end
print(("%d races, at most %.1f KB more in use"):format(n, high))
assert(won == n and lost == 0, "races were lost")
assert(high < 16, "the losers are kept")

local last = Promise.race {stop, (Promise.withResolvers())}
halt "stopped"
Promise.drain()
assert(select(2, last:status()) == "stopped", "the promise is dead")
