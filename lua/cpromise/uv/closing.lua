--- What `__close` does for objects that take a while to close.

local core = require "cpromise.core"

local closing = {}

--- At the end of a block: wait until something has been closed. If the call
--- is cancelled meanwhile, that is raised when it has; if cancelled again,
--- at once. Where nobody can wait it goes on by itself.
---@param closed Promise
function closing.wait(closed)
  if not core.canAwait() then return end
  local ok, reason = pcall(core.await, core.shield(closed))
  if ok then return end
  if closed:status() == "pending" then core.await(core.shield(closed)) end
  error(reason, 0)
end

return closing
