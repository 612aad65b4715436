--- Permits for so many at once, and no more.

local check = require "cpromise.check"
local core = require "cpromise.core"
local handoff = require "cpromise.handoff"
local waiting = require "cpromise.waiting"

local Semaphore = {__name = "semaphore"}
Semaphore.__index = Semaphore

-- What its holder calls, or closes, to give it back.
local Permit = {__name = "permit"}

-- Give it back, once.
local function release(permit)
  local semaphore = permit.semaphore
  if not semaphore then return end
  handoff.offer(semaphore)
  permit.semaphore = nil
  semaphore.free = semaphore.free + 1
end

function Permit:__call()
  release(self)
end

function Permit:__close()
  release(self)
end

-- Give one permit to the first who waits: see handoff.lua.
local function serve(semaphore)
  local waiter = waiting.first(semaphore.waiters)
  if not waiter or semaphore.free == 0 then return false end
  local permit = setmetatable({semaphore = semaphore}, Permit)
  waiter.resolve(permit) -- may lack memory: change last
  waiting.leave(waiter)
  semaphore.free = semaphore.free - 1
  return true
end

--- A promise of a permit.
function Semaphore:acquire()
  check.self(self, Semaphore, "acquire")
  if self.free > 0 then handoff.offer(self) end
  return waiting.promise(self.waiters, {})
end

-- What the function has returned, settled if it is a promise.
local function settled(...)
  if core.is((...)) then return core.await((...)) end
  return ...
end

local function run(semaphore, fn, ...)
  local _ <close> = core.await(semaphore:acquire())
  return settled(fn(...))
end

--- A promise of the results of `fn(...)`, called while it holds a permit.
function Semaphore:with(fn, ...)
  check.self(self, Semaphore, "with")
  local why = check.not_callable(fn)
  if why then check.fail(2, "with", why) end
  return core.spawn(run, self, fn, ...)
end

--- A semaphore with that many permits.
return function(n)
  local why = check.not_count(n, 1)
  if why then check.fail(1, "semaphore", why) end
  return setmetatable(waiting.entry {
    free = n,
    waiters = waiting.line(),
    serve = serve,
  }, Semaphore)
end
