--- Structured concurrency: what is spawned in a scope ends before the scope.
---
--- `Promise.scope(fn)` runs its body as the first child of a group. A block
--- is in the middle of a call, or of a coroutine: what interrupts that when a
--- child fails is its *body*, here.

local check = require "cpromise.check"
local core = require "cpromise.core"
local group = require "cpromise.group"

---@class cpromise.ScopeState: cpromise.Scope, cpromise.Group
---@field body table?  of a block: see below
---@field stopped cpromise.Cancellation?  what `scope:cancel` was called with
local methods = {}

-- A block has a finalizer, too.
local Scope = {__name = "scope", __index = methods}
local Block = {__name = "scope", __index = methods}

-- Bodies: how a block interrupts what runs in it, and takes that back

-- This body, or the first one around it, that was interrupted with that.
local function find(body, cancellation)
  while body and body.cancellation ~= cancellation do body = body.outer end
  return body
end

-- In an async call. What it was asked to end with before, it has back after.
local Call = {}
Call.__index = Call

local innermost = setmetatable({}, {__mode = "k"}) -- body of a call

-- Whether that is a promise rejected with the cancellation.
local function is_carrier(before, cancellation)
  if not before then return false end
  local _, reason = before:status()
  return rawequal(reason, cancellation)
end

function Call:interrupt_by(cancellation)
  local before, is_news = core.interrupt(self.call, cancellation)
  if not self.cancellation or not is_carrier(before, self.cancellation) then
    self.before, self.is_undelivered = before, not is_news
  end
  self.cancellation = cancellation
  return is_news
end

-- A block around this one that has interrupted the call since gives back what
-- this one would have.
function Call:hand_over()
  local outer = self.outer
  while outer do
    if outer.cancellation and is_carrier(outer.before, self.cancellation) then
      outer.before, outer.is_undelivered = self.before, self.is_undelivered
    end
    outer = outer.outer
  end
end

function Call:leave()
  if innermost[self.call] == self then innermost[self.call] = self.outer end
  if not self.cancellation then return end
  core.withdraw(self.call, self.cancellation, self.before,
    self.is_undelivered)
  self:hand_over()
end

-- The block around this one that has interrupted the call with that.
function Call:around(cancellation)
  return find(self.outer, cancellation)
end

-- The call was asked to end, but something else is raised first: it gets that
-- at its next `await`.
function Call:remind(cancellation)
  self.call:cancel(cancellation)
end

-- In a coroutine of the program's own, or on the main thread. Whatever is
-- awaited there goes through a promise that can be cancelled. As in a call,
-- each request is raised once, at one `await`.
---@class cpromise.Thread  the coroutine, while it is in blocks
---@field innermost table?  body
---@field awaited Promise?  by the present or the last `await`
---@field interrupt cpromise.Cancellation?  what that raises, by `pawait` too
---@field from table?  body that was interrupted with that
local Thread = {}
Thread.__index = Thread

local blocks = setmetatable({}, {__mode = "k"}) -- the Thread of a coroutine
core.setBlocks(blocks)

local Coroutine = {}
Coroutine.__index = Coroutine

-- Whether the promise was rejected with that.
local function is_reason(promise, cancellation)
  local state, reason = promise:status()
  return state == "rejected" and rawequal(reason, cancellation)
end

-- Note what the last `await` has raised: that is delivered.
local function note_delivered(self)
  local from = self.from
  if from and from.interrupt == self.interrupt and
      is_reason(self.awaited, self.interrupt) then
    from.interrupt = nil
  end
  self.interrupt, self.from = nil, nil
end

-- Let the present `await` raise that.
local function interrupt_await(self, body)
  if not self.interrupt then
    self.interrupt, self.from = body.interrupt, body
  end
  self.awaited:cancel(body.interrupt)
end

-- What `await` waits for in the place of `v`.
function Thread:follow(v)
  note_delivered(self)
  self.awaited = core.resolve(v):next()
  local body = self.innermost
  while body and not body.interrupt do body = body.outer end
  if body then interrupt_await(self, body) end
  return self.awaited
end

function Coroutine:interrupt_by(cancellation)
  local thread = self.thread
  local told = not self.interrupt or
    thread.from == self and is_reason(thread.awaited, self.interrupt)
  self.cancellation = cancellation
  self.interrupt = cancellation
  if thread.awaited then interrupt_await(thread, self) end
  return told
end

-- The same. A generator may be read by a coroutine that is in blocks.
function Coroutine:around(cancellation)
  local body = find(self.outer, cancellation)
  for _, thread in pairs(blocks) do
    body = body or thread ~= self.thread and
      find(thread.innermost, cancellation) or nil
  end
  return body
end

function Coroutine:leave()
  local thread = self.thread
  note_delivered(thread)
  self.left, self.interrupt = true, nil
  while thread.innermost and thread.innermost.left do
    thread.innermost = thread.innermost.outer
  end
  if not thread.innermost then blocks[self.coroutine] = nil end
end

-- It is a block around this one that was interrupted.
function Coroutine:remind(cancellation)
  local body = self:around(cancellation)
  if body then body.interrupt = cancellation end
end

local function new_coroutine()
  local co = coroutine.running()
  local thread = blocks[co] or setmetatable({}, Thread)
  blocks[co] = thread
  local body = {coroutine = co, thread = thread, outer = thread.innermost}
  thread.innermost = setmetatable(body, Coroutine)
  return body
end

local function new_body()
  local call = core.running()
  if call then
    local body = {call = call, outer = innermost[call]}
    innermost[call] = setmetatable(body, Call)
    return body
  end
  return new_coroutine()
end

-- What the group of a block does when it is cancelled.
local function interrupt_body(self, cancellation)
  return self.body:interrupt_by(cancellation)
end

-- Taking note

local function child_rejected(self, reason, child)
  if core.isCancelled(reason) then return end -- by hand, or by us
  group.fail(self, reason, child)
end

local function body_rejected(self, reason, body)
  if not core.isCancelled(reason) and not group.has_failed(self, reason) then
    group.fail(self, reason, body)
  else
    group.cancel_once(self, reason)
  end
end

local function rejected(self, reason, promise)
  if promise == self.body_call then
    body_rejected(self, reason, promise)
  else
    child_rejected(self, reason, promise)
  end
end

--- Start `fn(...)` as an async call that the scope waits for.
function methods:spawn(fn, ...)
  check.self(self, Scope, "spawn", Block)
  local why = check.not_callable(fn)
  if why then check.fail(2, "spawn", why) end
  if self.ended then check.blame(group.ENDED) end
  return group.spawn(self, fn, ...)
end

--- End the scope early: ask all that runs in it to end, its body too.
function methods:cancel(reason)
  check.self(self, Scope, "cancel", Block)
  if self.ended then return false end
  self.stopped = core.cancellation(reason)
  return group.cancel(self, self.stopped)
end

-- Whether it is a cancellation from outside of the scope.
local function is_outside(self, err)
  return core.isCancelled(err) and not rawequal(err, self.cancellation) and
    not rawequal(err, self.stopped)
end

-- Of the cancellations, the latest that is of no block around this one: those
-- have other ways to end. Or else the latest.
local function choose(self, asked)
  for i = #asked, 1, -1 do
    if not self.body:around(asked[i]) then return asked[i] end
  end
  return asked[#asked]
end

-- The end of a block, by the error `err` or none. A cancellation from outside
-- is raised, or, if a failure is, the call is reminded of it.
local function close(self, err)
  local all = {is_outside(self, err) and err or nil}
  if err ~= nil then body_rejected(self, err) end
  group.join(self, all)
  local asked = choose(self, all)
  if #self.failures > 0 then
    if asked then self.body:remind(asked) end
    group.raise_failures(self, err)
  elseif asked and asked ~= err then
    error(asked, 0)
  end
end

function Block:__close(err)
  check.self(self, Scope, "__close", Block)
  if self.ended then return end -- closed already
  self.body:leave()
  self.interrupt = nil
  if core.canAwait() then return close(self, err) end
  self.ended = true -- the coroutine is closed from outside
  group.cancel_once(self, err)
  group.report_failures(self)
end

-- The variable of a block has no <close>, or its coroutine never ended.
function Block:__gc()
  if self.ended then return end
  local parts = {"a scope was never closed, write 'local scope <close> = " ..
    "Promise.scope()'"}
  for _, failure in ipairs(self.failures) do
    local ok, text = pcall(tostring, failure.reason)
    parts[#parts + 1] = "a task of it failed: " ..
      (ok and text or "an error that can't be shown")
  end
  core.report(table.concat(parts, "; "))
end

-- What the body of `Promise.scope(fn)` has come to.
local function result_of_body(self)
  local _, reason = self.body_call:status()
  if self.stopped and core.isCancelled(reason) then return end
  return core.unwrap(self.body_call)
end

-- The async call behind `Promise.scope(fn)`.
local function run(fn)
  local self = setmetatable(group.init {rejected = rejected}, Scope)
  self.body_call = group.spawn(self, fn, self)
  local asked = group.join(self)
  group.raise_failures(self)
  if asked then error(asked, 0) end
  return result_of_body(self)
end

--- With a function, a promise for its results when all that it spawned has
--- ended; without, a scope for `local scope <close>`.
return function(...)
  if select("#", ...) == 0 then
    return setmetatable(group.init {
      rejected = rejected, body = new_body(), interrupt = interrupt_body,
    }, Block)
  end
  local fn = ...
  local why = check.not_callable(fn)
  if why then check.fail(1, "scope", why) end
  return core.spawn(run, fn)
end
