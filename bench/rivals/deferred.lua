--- lua-promises: https://github.com/zserge/lua-promises
---
--- It has no queue: handlers run inside the call that settles a promise, one
--- inside the other.

local deferred = require "deferred"

local methods = getmetatable(deferred.new())

function methods:catch(on_rejected)
  return self:next(nil, on_rejected)
end

local P = {
  all = deferred.all,
  race = deferred.first,
  methods = methods,
}

local function resolving_functions(d)
  return function(value) d:resolve(value) end,
    function(reason) d:reject(reason) end
end

function P.new(executor)
  return deferred.new(function(d) executor(resolving_functions(d)) end)
end

function P.resolve(value)
  return deferred.new():resolve(value)
end

function P.withResolvers()
  local d = deferred.new()
  return d, resolving_functions(d)
end

function P.drain() end

return P
