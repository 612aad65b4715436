--- Something that happens, and that many may wait for.

local check = require "cpromise.check"
local core = require "cpromise.core"
local waiting = require "cpromise.waiting"

local Event = {__name = "event"}
Event.__index = Event

--- It has happened: all who wait go on, in the order in which they came.
function Event:set()
  check.self(self, Event, "set")
  self.happened = true
  local waiter = waiting.first(self.waiters)
  while waiter do
    waiting.leave(waiter)
    waiter.resolve()
    waiter = waiting.first(self.waiters)
  end
end

--- It has not happened (again).
function Event:clear()
  check.self(self, Event, "clear")
  self.happened = false
end

--- A promise that is fulfilled when it happens, or has.
function Event:wait()
  check.self(self, Event, "wait")
  if self.happened then return core.fulfill() end
  return waiting.promise(self.waiters, {})
end

--- An event that has not happened.
return function()
  return setmetatable({happened = false, waiters = waiting.line()}, Event)
end
