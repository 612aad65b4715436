--- Structured concurrency: what is spawned in a scope ends before the scope.
---
--- `spawn` starts an async call and observes it: so each child counts as
--- waited for, and its outcome is never lost. The end of the scope, `join`,
--- waits till no child runs. Whatever goes wrong meanwhile cancels them, and
--- is raised when all have ended.

local check = require "cpromise.check"
local core = require "cpromise.core"

---@class cpromise.Child
---@field promise Promise
---@field observed Promise  settles when the scope has taken note of its end

-- The body of `Promise.scope(fn)` is a child too: the first, number 0.
---@class cpromise.ScopeState: cpromise.Scope
---@field children table<integer, cpromise.Child>  those that run
---@field started integer  how many were started
---@field failures {reason: any, promise: Promise?}[]  in order of time
---@field cancellation cpromise.Cancellation?  what new children get at once
---@field ended boolean?  nothing can be spawned any more
local Scope = {__name = "scope"}
Scope.__index = Scope

local ENDED <const> = "the scope has ended: nothing can be spawned in it"

local function new()
  return setmetatable({children = {}, started = 0, failures = {}}, Scope)
end

-- Cancel what runs, in the order it was started, and what will be spawned. If
-- memory lacks for one, the others are cancelled all the same.
local function cancel(self, reason)
  local order, short = {}, nil
  for i in pairs(self.children) do order[#order + 1] = i end
  table.sort(order)
  local cancellation = core.cancellation(reason)
  self.cancellation = cancellation
  for _, i in ipairs(order) do
    local child = self.children[i] -- gone if a hook has run jobs
    if child then
      local ok, err = pcall(core.methods.cancel, child.promise, cancellation)
      if not ok then short = err end
    end
  end
  if short then error(short, 0) end
end

-- The same where nobody is to be told that memory ran short, only once.
local function cancel_once(self, reason)
  if self.cancellation then return end
  local ok, short = pcall(cancel, self, reason)
  if not ok then core.report(short) end
end

local function note_failure(self, reason, promise)
  self.failures[#self.failures + 1] = {reason = reason, promise = promise}
end

-- Whether a child has failed with that reason, which then is its failure
-- though the block that awaited it raises it too.
local function is_noted(self, reason)
  for _, failure in ipairs(self.failures) do
    if rawequal(failure.reason, reason) then return true end
  end
  return false
end

local function child_rejected(self, reason, child)
  if core.isCancelled(reason) then return end -- by hand, or by us
  note_failure(self, reason, child)
  cancel_once(self, reason)
end

local function body_rejected(self, reason, body)
  if not core.isCancelled(reason) and not is_noted(self, reason) then
    note_failure(self, reason, body)
  end
  cancel_once(self, reason)
end

-- Whatever fails in the handlers for want of memory, the child stays in the
-- table till `join` has seen that.
local function observe(self, i, promise, rejected)
  if self.ended then error(ENDED, 0) end -- in jobs that the child has run
  local child = {promise = promise}
  self.children[i] = child
  child.observed = promise:next(function()
    self.children[i] = nil
  end, function(reason)
    if self.ended then return promise end -- it rejects: so that is reported
    rejected(self, reason, promise)
    self.children[i] = nil
  end)
end

-- Let the scope have the i-th child, which runs already.
local function adopt(self, i, promise, rejected)
  local ok, short = pcall(observe, self, i, promise, rejected)
  if not ok then
    self.children[i] = nil
    promise:cancel(short)
    error(short, 0)
  end
  if self.cancellation then promise:cancel(self.cancellation) end
  return promise
end

-- Wait for a child. Returns a cancellation of the waiting call.
local function wait(self, i, child)
  local ok, reason = core.pawait(core.shield(child.observed))
  if not ok and core.isCancelled(reason) then return reason end
  self.children[i] = nil
  if not ok then
    note_failure(self, reason, child.observed)
    cancel_once(self, reason)
  end
end

-- Wait till no child runs. If the waiting call is cancelled meanwhile, all
-- are cancelled, and it waits on; returns that cancellation.
local function wait_for_all(self)
  local cancellation
  repeat
    local i = 0
    while i <= self.started do
      local child = self.children[i]
      local reason = child and wait(self, i, child)
      if reason then
        cancellation = reason
        cancel_once(self, reason)
      else
        i = i + 1
      end
    end
  until not next(self.children) -- one has run jobs before it was observed
  return cancellation
end

-- The same, and end the scope. If it can't wait (memory lacks, or the main
-- thread sees that nothing is left to do), all are cancelled and left.
local function join(self)
  local ok, result = pcall(wait_for_all, self)
  self.ended = true
  if not ok then
    cancel_once(self, result)
    error(result, 0)
  end
  return result
end

-- Raise what has failed. A block's own error that is the only one is raised
-- by Lua.
local function raise_failures(self)
  local failures = self.failures
  local n = #failures
  if n > 1 then
    local errors = {n = n}
    for i, failure in ipairs(failures) do errors[i] = failure.reason end
    error(core.aggregate(errors, n .. " tasks of the scope failed"), 0)
  elseif n == 1 and failures[1].promise then
    core.unwrap(failures[1].promise)
  end
end

--- Start `fn(...)` as an async call that the scope waits for.
function Scope:spawn(fn, ...)
  check.self(self, Scope, "spawn")
  if not check.callable(fn) then
    check.fail(2, "spawn", check.expected("callable", fn))
  elseif self.ended then
    error(ENDED, 2)
  end
  local i = self.started + 1
  self.started = i -- before those that `fn` starts at once
  return adopt(self, i, core.spawn(fn, ...), child_rejected)
end

--- Cancel all that runs in the scope, and what will be spawned in it.
function Scope:cancel(reason)
  check.self(self, Scope, "cancel")
  if self.ended or self.cancellation then return false end
  cancel(self, reason)
  return true
end

function Scope:__close(err)
  if not core.canAwait() then -- the coroutine is closed from outside
    self.ended = true
    return cancel_once(self, err)
  end
  if err ~= nil then body_rejected(self, err) end
  local cancellation = join(self)
  raise_failures(self)
  if cancellation and err == nil then error(cancellation, 0) end
end

-- The async call behind `Promise.scope(fn)`.
local function run(fn)
  local self = new()
  local body = adopt(self, 0, core.spawn(fn, self), body_rejected)
  join(self)
  raise_failures(self)
  if self.cancellation then error(self.cancellation, 0) end
  return core.unwrap(body)
end

--- With a function, a promise for its results when all that it spawned has
--- ended; without, a scope for `local scope <close>`.
return function(...)
  if select("#", ...) == 0 then return new() end
  local fn = ...
  if not check.callable(fn) then
    check.fail(1, "scope", check.expected("callable", fn))
  end
  return core.spawn(run, fn)
end
