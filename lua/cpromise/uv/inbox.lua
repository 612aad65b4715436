--- Where something arrives for one who waits for it.
---
--- He takes it in his own turn, when no other job is left. So if he is
--- cancelled before that, it stays for the next.

local core = require "cpromise.core"

---@class cpromise.uv.Inbox
---@field waiting Promise?  of the latest who waits
---@field tell fun()?  tells him, once
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
  return self.tell ~= nil and inbox.is_busy(self)
end

--- Something has changed: tell who waits, if that is what he waits for.
function inbox.notify(self)
  local tell = self.tell
  if tell and self.ready(self) then
    self.tell = nil
    tell()
  end
end

--- A promise that is fulfilled when `ready(self)` holds, and no other job is
--- left: so that what a handler of it takes is not lost on its way. Nobody
--- else may wait.
---@param ready fun(self): boolean
---@return Promise
function inbox.wait(self, ready)
  local channel = core.channel(1)
  self.ready, self.waiting = ready, channel:receive()
  function self.tell() channel:send(true) end
  inbox.notify(self)
  return self.waiting
end

--- Await that, in the turn of who takes it himself.
---@async
---@param ready fun(self): boolean
---@param pull fun(self)?  called when that is not yet so
function inbox.await(self, ready, pull)
  self.ready = ready
  self.waiting, self.tell = core.withResolvers()
  inbox.notify(self)
  if pull and self.tell then pull(self) end
  core.await(self.waiting)
end

return inbox
