--- Signals by name, and as events.

local check = require "cpromise.check"
local errors = require "cpromise.uv.errors"
local events = require "cpromise.uv.events"
local luv = require "cpromise.uv.luv"
local listen = require "cpromise.loop.signals".listen

local signals = {}

--- Why it is no signal's name, or nil: luv takes an unknown one for signal 0.
---@param v any
---@return string?
function signals.not_name(v)
  if type(v) ~= "string" then return check.expected("string", v) end
  if not luv.constants[signals.name(v):upper()] then
    return ("unknown signal '%s'"):format(v)
  end
end

--- luv's name for "SIGTERM", "sigterm" or "term".
---@param name string
---@return string
function signals.name(name)
  name = name:lower()
  return name:find "^sig" and name or "sig" .. name
end

--- The same, or raise.
function signals.check(arg, call, name)
  local why = signals.not_name(name)
  if why then check.fail(arg, call, why) end
  return signals.name(name)
end

--- The signal, each time it comes: events.
function signals.signal(name)
  name = signals.check(1, "signal", name)
  local self = events.new "signal"
  self.handle = errors.check("signal", nil,
    listen(name, events.callback(self, {})))
  function self.on_stop()
    if not luv.is_closing(self.handle) then luv.close(self.handle) end
  end
  return self
end

return signals
