--- promise-async: https://github.com/kevinhwang91/promise-async
---
--- Its loop is replaced, as its documentation shows, by a plain queue.

local fifo = require "bench.rivals.fifo"
local Promise = require "promise"
local async = require "async"

-- What looks for unhandled rejections comes after all other jobs.
local idle = {}

Promise.loop = {
  nextTick = fifo.push,
  nextIdle = function(fn) idle[#idle + 1] = fn end,
}

Promise.next = Promise.thenCall

local P = {
  resolve = Promise.resolve,
  reject = Promise.reject,
  all = Promise.all,
  allSettled = Promise.allSettled,
  any = Promise.any,
  race = Promise.race,
  await = async.wait,
  methods = Promise,
}

function P.new(executor)
  return Promise:new(executor)
end

function P.withResolvers()
  local resolve, reject
  local p = Promise:new(function(f, g) resolve, reject = f, g end)
  return p, resolve, reject
end

-- Its `async` calls a function without arguments.
function P.async(fn)
  return function(v)
    return async.sync(function() return fn(v) end)
  end
end

function P.drain()
  fifo.drain()
  for i = 1, #idle do
    local fn = idle[i]
    idle[i] = nil
    fn()
  end
end

return P
