--- Promise.lua of Billiam: https://github.com/Billiam/promise.lua
---
--- Its own queue takes entries out with table.remove(queue, 1), which would
--- be all that is measured; it is given another, as its documentation shows.

local fifo = require "bench.rivals.fifo"
local Promise = require "promise"

Promise.async = fifo.push

local P = {
  new = Promise.new,
  drain = fifo.drain,
  methods = Promise,
}

function P.resolve(value)
  local p = Promise.new()
  p:resolve(value)
  return p
end

function P.withResolvers()
  local resolve, reject
  local p = Promise.new(function(f, g) resolve, reject = f, g end)
  return p, resolve, reject
end

function P.all(list)
  return Promise.all(table.unpack(list))
end

function P.race(list)
  return Promise.race(table.unpack(list))
end

return P
