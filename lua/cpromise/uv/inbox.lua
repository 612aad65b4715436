--- Where something arrives for one who waits for it.
---
--- He takes it in his own turn, when no other job is left. So if he is
--- cancelled before that, it stays for the next.

local core = require "cpromise.core"

---@class cpromise.uv.Inbox
---@field waiting Promise?  of the latest who waits
---@field channel cpromise.Channel?  on which he is told
---@field ready fun(self): boolean  whether there is what he waits for
local inbox = {}

--- Whether somebody waits.
---@return boolean
function inbox.is_busy(self)
  return self.waiting ~= nil and self.waiting:status() == "pending"
end

--- Whether somebody waits who has not been told yet.
---@return boolean
function inbox.lacks(self)
  return self.channel ~= nil and inbox.is_busy(self)
end

--- Something has changed: tell who waits, if that is what he waits for.
function inbox.notify(self)
  local channel = self.channel
  if channel and self.ready(self) then
    self.channel = nil
    channel:send(true)
  end
end

--- A promise that is fulfilled when `ready(self)` holds. Nobody else may
--- wait.
---@param ready fun(self): boolean
---@return Promise
function inbox.wait(self, ready)
  local channel = core.channel(1)
  self.ready, self.channel = ready, channel
  self.waiting = channel:receive()
  inbox.notify(self)
  return self.waiting
end

return inbox
