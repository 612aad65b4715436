--- Signals of the process, through luv.
---
--- What a signal does by default, as Ctrl-C does for `Promise.main`, it does
--- only while the program doesn't listen to it.

local core = require "cpromise.core"
local uv = require "luv"

-- see cpromise/init.lua
if core.modules.signals then return core.modules.signals end

local signals = {}

-- Handles of those who listen, by the signal's name; luv holds them while
-- they are open.
local listening = {}

-- One that could not be started is kept for the next: luv 1.44 crashes if the
-- program ends, with this failure perhaps, while a handle is being closed.
local unused

local function take()
  local handle = unused
  unused = nil
  if handle and not uv.is_closing(handle) then return handle end
  return uv.new_signal()
end

--- Call a function with the signal's name each time it comes. Returns the
--- handle, which is to be closed; or nil and a failure.
---@param name string  as luv has it: "sigint"
---@param fn fun(name: string)
---@return userdata?, string?
function signals.listen(name, fn)
  local handle, text = take()
  if not handle then return nil, text end
  local ok
  ok, text = uv.signal_start(handle, name, fn)
  if not ok then
    unused = handle
    return nil, text
  end
  listening[name] = listening[name] or setmetatable({}, {__mode = "k"})
  listening[name][handle] = true
  return handle
end

-- Whether somebody listens. Handles may have been closed by whomever.
local function is_taken(name)
  local handles = listening[name] or {}
  for handle in pairs(handles) do
    if not uv.is_closing(handle) then return true end
    handles[handle] = nil
  end
  return false
end

--- The same as a default, on a handle that is used again and again, and
--- doesn't keep the loop alive.
---@param handle userdata
---@param name string
---@param fn fun(name: string)
function signals.default(handle, name, fn)
  uv.unref(handle)
  assert(uv.signal_start(handle, name, function(...)
    if not is_taken(name) then fn(...) end
  end))
end

core.modules.signals = signals
return signals
