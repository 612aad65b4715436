--- Turns at regular times, on the clock of the loop.

local check = require "cpromise.check"
local core = require "cpromise.core"

local time = {}

--- An iterator that gives 1, 2, ... each so many seconds after the last one
--- was due. A turn that was missed is left out.
function time.interval(seconds)
  local why = check.not_seconds(seconds) or
    seconds == 0 and "must be greater than zero" or
    seconds == math.huge and "must be finite"
  if why then check.fail(1, "interval", why) end
  local start, turns, count = core.now(), 0, 0
  return function()
    check.can_await()
    local now = core.now()
    turns = math.max(turns + 1, math.ceil((now - start) / seconds))
    core.await(core.delay(math.max(0, start + turns * seconds - now)))
    count = count + 1
    return count
  end
end

return time
