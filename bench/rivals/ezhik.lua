--- Promise.lua of Ezhik: https://github.com/SilverEzhik/Promise.lua

local fifo = require "bench.rivals.fifo"
local Promise = require "Promise"

Promise.schedule = fifo.push

local P = {drain = fifo.drain, methods = Promise}
for name, value in pairs(Promise) do P[name] = value end

return P
