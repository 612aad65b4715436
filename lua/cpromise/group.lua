--- Async calls that end together: the children of a scope, the workers of a
--- map. The first failure cancels the others; `join` waits till none runs,
--- whatever happens meanwhile.

local core = require "cpromise.core"

---@class cpromise.Group
---@field group userdata  its children: see csrc/group.h
---@field failures {reason: any, promise: Promise?}[]  in order of time
---@field cancellation cpromise.Cancellation?  what new children get at once
---@field interrupt fun(self, cancellation): boolean?  the body is cancelled
---  too; returns whether that is news to it
---@field ended boolean?  nothing can be spawned any more
local group = {}

group.ENDED = "the scope has ended: nothing can be spawned in it"

local function rejected(self, reason, promise)
  return self.ended or self:rejected(reason, promise)
end

--- Make a table a group. Its method `rejected(reason, promise)` takes note of
--- a child that was rejected; true: let that be reported.
---@generic T: table
---@param self T
---@return T
function group.init(self)
  self.group, self.failures = core.group(self, rejected), {}
  return self
end

--- Ask all that runs to end, the oldest first, and what will be spawned.
--- Returns whether that told anybody anything.
function group.cancel(self, reason)
  local cancellation = core.cancellation(reason)
  local told = not self.cancellation
  self.cancellation = cancellation
  if self.interrupt then told = self:interrupt(cancellation) or told end
  return core.askChildren(self.group, cancellation) or told
end

--- The same, once, where nobody is to be told that memory ran short.
function group.cancel_once(self, reason)
  if self.cancellation then return end
  local ok, short = pcall(group.cancel, self, reason)
  if not ok then core.report(short) end
end

--- Note a failure, and cancel what runs.
function group.fail(self, reason, promise)
  self.failures[#self.failures + 1] = {reason = reason, promise = promise}
  group.cancel_once(self, reason)
end

--- Start `fn(...)` as a child, before those that it spawns itself. In jobs
--- that it runs the group may end.
---@return Promise
function group.spawn(self, fn, ...)
  local promise = core.spawnChild(self.group, fn, ...)
  if self.ended then
    promise:cancel(group.ENDED)
    error(group.ENDED, 0)
  end
  if self.cancellation then promise:cancel(self.cancellation) end
  return promise
end

-- Wait till no child runs. If the waiting call is cancelled meanwhile, all
-- are asked to end, at once, and it waits on: it may be cancelled again and
-- again.
local function wait(self, asked)
  local function ask(reason) group.cancel(self, reason) end
  while core.children(self.group) > 0 do
    local ok, reason = pcall(core.await, core.idlePromise(self.group, ask))
    if not ok and core.isCancelled(reason) then
      asked[#asked + 1] = reason
      if self.cancellation ~= reason then ask(reason) end
    elseif not ok and self.cancellation then
      error(reason, 0)
    elseif not ok then -- nothing is left that could end them but this
      group.fail(self, reason)
    end
  end
end

--- The same, and end the group. If it can't wait (memory lacks, or the main
--- thread sees that nothing is left to do), all are cancelled and left.
---@param asked cpromise.Cancellation[]?  gets those of the waiting call
---@return cpromise.Cancellation?  the latest
function group.join(self, asked)
  asked = asked or {}
  local ok, reason = pcall(wait, self, asked)
  self.ended = true
  if not ok then
    group.cancel_once(self, reason)
    error(reason, 0)
  end
  return asked[#asked]
end

--- Whether a child has failed with that reason.
function group.has_failed(self, reason)
  for _, failure in ipairs(self.failures) do
    if rawequal(failure.reason, reason) then return true end
  end
  return false
end

--- Report what has failed, where nobody can raise it.
function group.report_failures(self)
  for _, failure in ipairs(self.failures) do
    if failure.promise then failure.promise:next() end -- unhandled
  end
end

--- Raise what has failed, if anything has: several as an aggregate error.
--- What is in flight already, the error `err`, is left to Lua to raise.
function group.raise_failures(self, err)
  local failures = self.failures
  local n = #failures
  if n > 1 then
    local errors = {n = n}
    for i, failure in ipairs(failures) do errors[i] = failure.reason end
    error(core.aggregate(errors, n .. " tasks of the scope failed"), 0)
  elseif n == 1 and failures[1].promise then
    core.unwrap(failures[1].promise, err)
  elseif n == 1 and not rawequal(failures[1].reason, err) then
    error(failures[1].reason, 0)
  end
end

return group
