--- The first time that a function of luv calls back, as a promise.

local check = require "cpromise.check"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local events = require "cpromise.uv.events"
local functions = require "cpromise.uv.functions"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"

-- What is known of a function, be it luv's, a handle's method, or ours.
---@type table<function, {name: string, stop: string, error: boolean?}>
local known = {}
for name, spec in pairs(functions.events) do
  local entry = {name = name, stop = spec.stop, error = spec.error}
  if luv[name] then
    known[luv[name]], known[events.all[name]] = entry, entry
  end
end

-- The function that takes a callback, and what is known of it.
local function resolve_start(handle, start)
  local fn = start
  if type(start) == "string" then
    local ok, method = pcall(function() return handle[start] end)
    fn = ok and method or luv[start]
    if not check.callable(fn) then
      check.fail(2, "once", ("the handle has no method '%s'"):format(start))
    end
  elseif not check.callable(start) then
    check.fail(2, "once", check.expected("callable", start))
  end
  local entry = known[fn]
  return entry and luv[entry.name] or fn, entry
end

-- End what was started, if that is known how.
local function stop(handle, entry)
  if type(handle) ~= "userdata" or request.is_closed(handle) then return end
  local fn = entry and luv[entry.stop] or handle.stop
  if fn then pcall(fn, handle) end
end

--- A promise of what `start(handle, ..., callback)` calls back with first.
---@param start function|string  a name is that of the handle's method
return function(handle, start, ...)
  local fn, entry = resolve_start(handle, start)
  if entry then request.check_handles("once", handle) end
  if request.is_closed(handle) then
    return errors.reject(entry and entry.name or "once", "EBADF")
  end
  local promise, resolve, reject, on_cancel = core.withResolvers()
  local args = table.pack(handle, ...)
  args[args.n + 1] = function(...)
    if promise:status() ~= "pending" then return end
    pcall(stop, handle, entry)
    if not entry or not entry.error then return resolve(...) end
    local err = ...
    if err then
      reject(errors.from(entry.name, err))
    else
      resolve(select(2, ...))
    end
  end
  local ok, started, text = pcall(fn, table.unpack(args, 1, args.n + 1))
  if not ok then request.refuse(started) end
  if started == nil and text ~= nil then
    reject(errors.from(entry and entry.name or "once", text))
  else
    on_cancel(function() pcall(stop, handle, entry) end)
  end
  return promise
end
