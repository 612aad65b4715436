--- Permits for so many at once, and no more.

local check = require "cpromise.check"
local handoff = require "cpromise.handoff"
local waiting = require "cpromise.waiting"

local Semaphore = {__name = "semaphore"}
Semaphore.__index = Semaphore

-- A function that gives a permit back, once.
local function new_release(semaphore)
  local released = false
  return function()
    if released then return end
    handoff.offer(semaphore)
    released = true
    semaphore.free = semaphore.free + 1
  end
end

-- Give one permit to the first who waits: see handoff.lua.
local function serve(semaphore)
  local waiter = waiting.first(semaphore.waiters)
  if not waiter or semaphore.free == 0 then return false end
  waiter.resolve(new_release(semaphore)) -- may lack memory: change last
  waiting.leave(waiter)
  semaphore.free = semaphore.free - 1
  return true
end

--- A promise of a function that gives the permit back.
function Semaphore:acquire()
  check.self(self, Semaphore, "acquire")
  if self.free > 0 then handoff.offer(self) end
  return waiting.promise(self.waiters, {})
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
