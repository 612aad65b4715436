--- Functions of luv that have a callback, and a way of their own with it.

local check = require "cpromise.check"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local events = require "cpromise.uv.events"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"

local handles = {}

-- A handle that is closing can't be closed again; what is no handle at all is
-- a wrong argument.
local function refuse_close(name, message)
  if tostring(message):find "^bad argument" then request.refuse(message) end
  return errors.reject(name, "EBADF", "the handle is closing already")
end

-- A promise that is fulfilled when luv has closed it, which it always does.
local function closing(name)
  local fn = luv[name]
  return function(handle, callback)
    request.check_handles(name, handle)
    if callback ~= nil then return request.pass(fn, handle, callback) end
    local promise, resolve = core.withResolvers()
    local ok, result, text = pcall(fn, handle, function() resolve() end)
    if not ok then return refuse_close(name, result) end
    if text ~= nil then return core.reject(errors.from(name, text)) end
    return promise
  end
end

handles.close = closing "close"
--- A promise that is fulfilled when a handle of ours has been closed. The
--- program may have done that itself.
---@return Promise
function handles.close_anyhow(handle)
  if luv.is_closing(handle) then return core.resolve() end
  return handles.close(handle)
end

handles.tcp_close_reset = luv.tcp_close_reset and closing "tcp_close_reset"

--- luv's `listen`: each event is a connection to accept.
function handles.listen(handle, backlog, callback)
  request.check_handles("listen", handle)
  if callback ~= nil then
    return request.pass(luv.listen, handle, backlog, callback)
  end
  if request.is_closed(handle) then
    error(errors.new("listen", "EBADF"), 0)
  end
  local self = events.new "listen"
  local ok, started, text = pcall(luv.listen, handle, backlog,
    events.callback(self, {error = true}))
  if not ok then request.refuse(started) end
  errors.check("listen", nil, started, text)
  return self
end

--- luv's `new_async`: the handle, and what is sent to it.
function handles.new_async(callback)
  if callback ~= nil then return request.pass(luv.new_async, callback) end
  local self = events.new "new_async"
  local handle = errors.check("new_async", nil,
    luv.new_async(events.callback(self, {})))
  function self.on_stop()
    if not luv.is_closing(handle) then luv.close(handle) end
  end
  return handle, self
end

-- Close the handle of a process that has ended.
local function close_process(handle)
  if handle and not luv.is_closing(handle) then luv.close(handle) end
end

--- luv's `spawn`: a promise of exit code and signal, the handle and the pid.
--- Cancelled, the process gets SIGTERM, and the promise ends when it has.
function handles.spawn(path, options, on_exit)
  if on_exit ~= nil then
    -- luv would crash at the end of the program
    local why = check.not_callable(on_exit)
    if why then check.fail(3, "spawn", why) end
    return request.pass(luv.spawn, path, options, on_exit)
  end
  local promise, resolve, reject, on_cancel = core.withResolvers()
  local ended, finish, handle
  local ok, process, pid = pcall(luv.spawn, path, options, function(...)
    close_process(handle)
    if finish then finish() else resolve(...) end
  end)
  if not ok then request.refuse(process) end
  handle = process
  if not process then
    reject(errors.from("spawn", pid, {path = path}))
    return promise
  end
  on_cancel(function()
    ended, finish = core.withResolvers()
    pcall(luv.process_kill, process, "sigterm")
  end)
  return promise:finally(function() return ended end), process, pid
end

--- A promise that is fulfilled after so many milliseconds, as luv counts.
function handles.sleep(milliseconds)
  local why = check.not_integer(milliseconds)
  if why then
    check.fail(1, "sleep", why .. "; milliseconds, as luv has it")
  elseif milliseconds < 0 then
    check.fail(1, "sleep", "must not be negative")
  end
  return core.delay(milliseconds / 1000)
end

return handles
