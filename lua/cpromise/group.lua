--- Async calls that end together: the children of a scope, the workers of a
--- map.
---
--- `spawn` starts a call and observes it: so each child counts as waited for,
--- and its outcome is never lost. The first failure cancels the others.
--- `join` waits till no child runs, whatever happens meanwhile.

local core = require "cpromise.core"
local waiting = require "cpromise.waiting"

---@class cpromise.Child
---@field promise Promise
---@field observed Promise  settles when the group has taken note of its end

---@class cpromise.Group
---@field serial integer  how many were started
---@field children table  a line of those that run: see waiting.lua
---@field failures {reason: any, promise: Promise?}[]  in order of time
---@field cancellation cpromise.Cancellation?  what new children get at once
---@field rejected fun(self, reason: any, promise: Promise): boolean?
---  takes note of a child that was rejected; true: let that be reported
---@field interrupt fun(self, cancellation): boolean?
---  cancels the body too; returns whether that is news to it
---@field ended boolean?  nothing can be spawned any more
local group = {}

local ask = core.methods.cancel

group.ENDED = "the scope has ended: nothing can be spawned in it"

---@generic T: table
---@param self T  becomes a group
---@return T
function group.init(self)
  self.children, self.failures, self.serial = waiting.line(), {}, 0
  return self
end

-- Ask all children to end, the oldest first. A hook may run jobs, in which
-- children end. If memory lacks for one, the others are asked all the same.
local function ask_children(self, cancellation)
  local told, short = false, nil
  local child, serial = waiting.first(self.children), 0
  while child do
    if child.serial > serial and child.promise then
      serial = child.serial
      local ok, result = pcall(ask, child.promise, cancellation)
      if not ok then short = result end
      told = told or ok and result
    end
    child = child.line and waiting.after(child) or
      not child.line and waiting.first(self.children)
  end
  if short then error(short, 0) end
  return told
end

--- Ask all that runs to end, and what will be spawned. Returns whether that
--- told anybody anything.
function group.cancel(self, reason)
  local cancellation = core.cancellation(reason)
  local told = not self.cancellation
  self.cancellation = cancellation
  if self.interrupt then told = self:interrupt(cancellation) or told end
  return ask_children(self, cancellation) or told
end

--- The same, once, where nobody is to be told that memory ran short.
function group.cancel_once(self, reason)
  if self.cancellation then return end
  local ok, short = pcall(group.cancel, self, reason)
  if not ok then core.report(short) end
end

--- Whether something has failed with that reason.
function group.has_failed(self, reason)
  for _, failure in ipairs(self.failures) do
    if rawequal(failure.reason, reason) then return true end
  end
  return false
end

--- Note a failure, and cancel what runs.
function group.fail(self, reason, promise)
  self.failures[#self.failures + 1] = {reason = reason, promise = promise}
  group.cancel_once(self, reason)
end

local function join(self, child)
  self.serial = self.serial + 1
  child.serial = self.serial
  waiting.join(self.children, child)
end

-- Whatever fails in the handlers for want of memory, the child stays in the
-- line till `join` has seen that.
local function observe(self, child)
  local promise = child.promise
  if self.ended then error(group.ENDED, 0) end -- in jobs the child has run
  if not child.line then join(self, child) end
  child.observed = promise:next(function()
    waiting.leave(child)
  end, function(reason)
    if self.ended or self:rejected(reason, promise) then
      promise:next() -- nobody handles that: so the reason is reported
    end
    waiting.leave(child)
  end)
end

-- Let the group have the call of a child, which runs already.
local function adopt(self, child, promise)
  child.promise = promise
  local ok, short = pcall(observe, self, child)
  if not ok then
    waiting.leave(child)
    promise:cancel(short)
    error(short, 0)
  end
  if self.cancellation then promise:cancel(self.cancellation) end
  return promise
end

--- Start `fn(...)` as a child.
---@return Promise
function group.spawn(self, fn, ...)
  return adopt(self, waiting.entry {}, core.spawn(fn, ...))
end

--- The same, before the children that it spawns at once. The group has its
--- promise under that name.
function group.spawn_first(self, name, fn, ...)
  local child = waiting.entry {}
  join(self, child)
  self[name] = core.spawn(fn, ...)
  adopt(self, child, self[name])
end

-- Wait for a child. If the waiting call is cancelled meanwhile, all are asked
-- to end, at once; returns that cancellation. If it can't wait, all are asked
-- to end, too; the second time that child is left.
local function wait(self, child)
  local ok, reason = pcall(core.await, core.gate(child.observed,
    function(cancellation) group.cancel(self, cancellation) end))
  if ok then return end
  if core.isCancelled(reason) then
    if self.cancellation ~= reason then group.cancel(self, reason) end
    return reason
  end
  if self.cancellation then waiting.leave(child) end
  if not group.has_failed(self, reason) then group.fail(self, reason) end
end

-- Wait till no child runs, and note the cancellations of the waiting call,
-- which may be cancelled again and again.
local function wait_for_all(self, asked)
  local child = waiting.first(self.children)
  while child do
    asked[#asked + 1] = wait(self, child)
    child = waiting.first(self.children)
  end
end

--- The same, and end the group. If it can't wait (memory lacks, or the main
--- thread sees that nothing is left to do), all are cancelled and left.
---@param asked cpromise.Cancellation[]?  gets the cancellations
---@return cpromise.Cancellation?  the latest
function group.join(self, asked)
  asked = asked or {}
  local ok, reason = pcall(wait_for_all, self, asked)
  self.ended = true
  if not ok then
    group.cancel_once(self, reason)
    error(reason, 0)
  end
  return asked[#asked]
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
    core.unwrap(failures[1].promise)
  elseif n == 1 and not rawequal(failures[1].reason, err) then
    error(failures[1].reason, 0)
  end
end

return group
