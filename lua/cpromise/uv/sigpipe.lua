--- A write to a pipe or socket that nobody reads any more is to fail with
--- EPIPE. The system would end the process with a signal; luv leaves it so.

local luv = require "cpromise.uv.luv"

local sigpipe = {}

local handle

local function ignore() end

--- See that the signal is caught; programs that this one starts have it as it
--- was. (All handles may have been closed.)
function sigpipe.catch()
  if handle and not luv.is_closing(handle) then return end
  if not luv.constants.SIGPIPE then return end
  handle = luv.new_signal()
  if not handle then return end
  luv.signal_start(handle, "sigpipe", ignore)
  luv.unref(handle)
end

sigpipe.catch()

return sigpipe
