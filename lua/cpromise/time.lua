--- Time, on the loop.

local check = require "cpromise.check"
local core = require "cpromise.core"
local loop = require "cpromise.loop"

local time = {}

-- The loop, for a function of that name; one that lacks it raises.
local function need_loop(name)
  return loop.load() or error(name .. " needs an event loop: install luv, " ..
    "or set one with Promise.setLoop", 3)
end

-- What a timer calls to resolve with these values.
local function settler(resolve, reject, ...)
  if select("#", ...) == 0 then return resolve end
  local values = table.pack(...)
  local function settle()
    resolve(table.unpack(values, 1, values.n))
  end
  return function()
    -- there may be no memory for all the values, and no second chance
    local ok, reason = pcall(settle)
    if not ok then reject(reason) end
  end
end

--- A promise that is resolved with the values after that many seconds.
--- Cancelling it frees its timer.
function time.delay(seconds, ...)
  local why = check.not_seconds(seconds)
  if why then check.fail(1, "delay", why) end
  local current = need_loop "Promise.delay"
  local promise, resolve, reject, on_cancel = core.withResolvers()
  local timer
  on_cancel(function() current.cancel(timer) end)
  timer = current.timer(seconds, settler(resolve, reject, ...))
  return promise
end

local Timeout = {__name = "Timeout"}

function Timeout:__tostring()
  if self.reason == nil then return self.message end
  return ("%s: %s"):format(self.message, tostring(self.reason))
end

--- A promise that follows `promise`, or rejects with a timeout after that
--- many seconds: then `promise` loses a waiter, as if this one was cancelled.
function time.timeout(promise, seconds, reason)
  if not core.is(promise) then
    check.fail(1, "timeout", check.expected("promise", promise))
  end
  local why = check.not_seconds(seconds)
  if why then check.fail(2, "timeout", why) end
  local current = need_loop "timeout"
  local timer
  local follower = core.limit(promise)
  timer = current.timer(seconds, function()
    if promise:status() ~= "pending" then return end
    core.expire(follower, setmetatable({
      message = ("timed out after %.14g seconds"):format(seconds),
      seconds = seconds,
      reason = reason,
    }, Timeout))
  end, true)
  return follower
end

--- Whether `v` is the reason of a promise that timed out.
function time.isTimeout(v)
  return getmetatable(v) == Timeout
end

core.methods.timeout = time.timeout

return time
