--- Results that somebody has to close: what nobody gets is given back.
---
--- A promise that has been fulfilled may still be let go of, as long as the
--- turn of who awaits it has not come. So what is handed over waits until no
--- other job is left in the queue; then nothing can come between.

local core = require "cpromise.core"

local handover = {}

--- In an async call: wait until no other job is left. What the call returns
--- then is taken by who awaits it, before anything else runs.
function handover.wait()
  local channel = core.channel(1)
  channel:send(true)
  core.await(channel:receive())
end

--- Return a result from an async call; or, if the call is cancelled, give it
--- back, and raise that.
---@generic T
---@param result T
---@param give_back fun(result: T)
---@return T
function handover.give(result, give_back)
  local ok, reason = pcall(handover.wait)
  if not ok then
    give_back(result)
    error(reason, 0)
  end
  return result
end

return handover
