--- Thenables of every kind, as lists of {name, make}.

local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local thenables = {}

-- A table whose field 'next' can be read once.
local function read_once(next)
  return setmetatable({}, {__index = function(_, key)
    local method = key == "next" and next
    next = nil
    return method or nil
  end})
end

--- `make(value)` makes one that fulfils with the value.
thenables.fulfilling = {
  {"a thenable that resolves at once", function(value)
    return {next = function(_, resolve) resolve(value) end}
  end},
  {"a thenable that resolves in a later job", function(value)
    return {next = function(_, resolve)
      Promise.queueMicrotask(resolve, value)
    end}
  end},
  {"a thenable that inherits 'next'", function(value)
    return setmetatable({}, {__index = {
      next = function(_, resolve) resolve(value) end,
    }})
  end},
  {"a thenable whose 'next' can be read once", function(value)
    return read_once(function(_, resolve) resolve(value) end)
  end},
  {"a thenable whose 'next' is a callable table", function(value)
    return {next = setmetatable({}, {
      __call = function(_, _, resolve) resolve(value) end,
    })}
  end},
  {"a thenable that resolves twice", function(value)
    return {next = function(_, resolve)
      resolve(value)
      resolve "again"
    end}
  end},
  {"a thenable that resolves, then raises", function(value)
    return {next = function(_, resolve)
      resolve(value)
      error "too late"
    end}
  end},
  {"a userdata with 'next' and 'catch'", function(value)
    return aplus.userdata {__index = {
      next = function(_, resolve) resolve(value) end,
      catch = function() end,
    }}
  end},
  {"a fulfilled promise", Promise.fulfill},
  {"a promise that is fulfilled in a later job", function(value)
    local promise, resolve = Promise.withResolvers()
    Promise.queueMicrotask(resolve, value)
    return promise
  end},
}

--- `make(reason)` makes one that rejects for the reason.
thenables.rejecting = {
  {"a thenable that rejects at once", function(reason)
    return {next = function(_, _, reject) reject(reason) end}
  end},
  {"a thenable that rejects in a later job", function(reason)
    return {next = function(_, _, reject)
      Promise.queueMicrotask(reject, reason)
    end}
  end},
  {"a thenable whose 'next' can be read once", function(reason)
    return read_once(function(_, _, reject) reject(reason) end)
  end},
  {"a thenable that raises", function(reason)
    return {next = function() error(reason, 0) end}
  end},
  {"a thenable that raises when 'next' is read", function(reason)
    return setmetatable({}, {__index = function() error(reason, 0) end})
  end},
  {"a userdata with 'next' and 'catch'", function(reason)
    return aplus.userdata {__index = {
      next = function(_, _, reject) reject(reason) end,
      catch = function() end,
    }}
  end},
  {"a rejected promise", Promise.reject},
  {"a promise that is rejected in a later job", function(reason)
    local promise, _, reject = Promise.withResolvers()
    Promise.queueMicrotask(reject, reason)
    return promise
  end},
}

return thenables
