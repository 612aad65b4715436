--- The debug mode: see csrc/debug.h.

local check = require "cpromise.check"
local core = require "cpromise.core"

local debug_mode = {}

--- Switch the debug mode on or off, if told so. Returns whether it was on.
function debug_mode.switch(...)
  local on = ...
  if select("#", ...) == 0 then return core.debug() end
  if type(on) ~= "boolean" then
    check.fail(1, "debug", check.expected("boolean", on))
  end
  return core.debug(on)
end

-- A host may leave out the library.
if os and os.getenv and os.getenv "CPROMISE_DEBUG" == "1" then
  core.debug(true)
end

return debug_mode
