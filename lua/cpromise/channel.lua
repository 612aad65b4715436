--- Values on their way from those who send them to those who receive them.

local check = require "cpromise.check"
local core = require "cpromise.core"
local handoff = require "cpromise.handoff"
local waiting = require "cpromise.waiting"

local Channel = {__name = "channel"}
Channel.__index = Channel

-- Invariants: senders wait only while the channel holds as many values as it
-- has room for and receivers want; and an offer stands while one of those can
-- be served. So a value is the channel's as soon as its sender hears that it
-- was accepted, and if the receiver for which it was is cancelled, it stays:
-- then the channel holds more than its capacity for a time.

local function has_room(channel)
  return channel.held.n < channel.capacity + channel.waiters.n
end

-- Hold the values of a sender who waits.
local function accept(channel, sender)
  local resolve = sender.resolve
  waiting.leave(sender)
  waiting.join(channel.held, sender)
  resolve()
end

-- Nothing comes any more.
local function finish(channel, receiver)
  if channel.reason == nil then
    receiver.resolve()
  else
    receiver.reject(channel.reason)
  end
end

-- Give the first values, or the end, to the first receiver: see handoff.lua.
local function serve(channel)
  local receiver = waiting.first(channel.waiters)
  local item = waiting.first(channel.held)
  if receiver and item then -- it may lack memory: change last
    receiver.resolve(table.unpack(item.values, 1, item.values.n))
    waiting.leave(item)
  elseif receiver and channel.closed then
    finish(channel, receiver)
  else
    return false
  end
  waiting.leave(receiver)
  return true
end

--- Send values: a promise that is fulfilled once the channel has them.
function Channel:send(...)
  check.self(self, Channel, "send")
  if (...) == nil then
    check.fail(2, "send", "nil is the end of a channel, send something else")
  end
  if self.closed then
    return core.reject(self.reason == nil and
      "can't send: channel is closed" or self.reason)
  end
  local sender = {values = table.pack(...)}
  if not has_room(self) then return waiting.promise(self.senders, sender) end
  local accepted = core.fulfill()
  if self.waiters.n > 0 then handoff.offer(self) end
  waiting.join(self.held, waiting.entry(sender))
  return accepted
end

--- A promise of the next values, or of none at the end.
function Channel:receive()
  check.self(self, Channel, "receive")
  local sender = waiting.first(self.senders)
  if sender or self.held.n > 0 or self.closed then handoff.offer(self) end
  local promise = waiting.promise(self.waiters, {})
  if sender and has_room(self) then accept(self, sender) end
  return promise
end

--- Let nothing more be sent. What was sent before is still received; after
--- that receivers get the end, or the reason as an error.
function Channel:close(reason)
  check.self(self, Channel, "close")
  if self.closed then return end
  self.closed, self.reason = true, reason
  if self.waiters.n > 0 then handoff.offer(self) end
end

--- The step of a generic `for`.
function Channel:__call()
  check.can_await()
  return core.await(self:receive())
end

--- A channel that holds so many values which nobody has asked for yet.
return function(capacity)
  if capacity == nil then capacity = 0 end
  local why = check.not_count(capacity, 0)
  if why then check.fail(1, "channel", why) end
  return setmetatable(waiting.entry {
    capacity = capacity,
    closed = false,
    held = waiting.line(), -- values that have been accepted
    senders = waiting.line(), -- those whose values have not
    waiters = waiting.line(), -- receivers
    serve = serve,
  }, Channel)
end
