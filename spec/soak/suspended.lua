--- A hundred thousand async calls that wait for one promise at once: how
--- much memory each takes, and that all of them go on in turn.
---
---     suspended.lua [SCALE]

local Promise = require "cpromise"
local await = Promise.await

local n = math.floor(100000 * (tonumber(arg[1]) or 1))
local limit = 1500 -- bytes for each, nearly all of it Lua's coroutine

local gate, open = Promise.withResolvers()
local ended = 0
local call = Promise.async(function(i)
  local value = await(gate)
  local sum = value + await(i)
  assert(ended == i - 1, "out of turn")
  ended = i
  return sum
end)

local calls = {}
for i = 1, n do calls[i] = false end
collectgarbage()
local before = collectgarbage "count"
for i = 1, n do calls[i] = call(i) end
collectgarbage()
local bytes = (collectgarbage "count" - before) * 1024 / n
print(("%d suspended calls, %.1f bytes each"):format(n, bytes))
assert(bytes <= limit, "a call takes too much memory")

open(1)
Promise.drain()
for i = 1, n do
  local state, value = calls[i]:status()
  assert(state == "fulfilled" and value == i + 1, "a call was lost")
end
print(("%d of them ended"):format(ended))
assert(ended == n, "calls were lost")
