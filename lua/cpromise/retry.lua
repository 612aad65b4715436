--- Another attempt after a failure.

local check = require "cpromise.check"
local core = require "cpromise.core"
local loop = require "cpromise.loop"

local function not_share(v)
  local why = check.not_seconds(v)
  if not why and v > 1 then why = "must not be above 1" end
  return why
end

local function not_factor(v)
  local why = check.not_seconds(v)
  if v == math.huge then why = "must be finite" end
  return why
end

local known = {
  attempts = function(v) return check.not_count(v, 1) end,
  delay = check.not_seconds,
  factor = not_factor,
  maxDelay = check.not_seconds,
  jitter = not_share,
  when = check.not_callable,
}

local function with_defaults(options)
  return {
    attempts = options.attempts or 3,
    delay = options.delay or 0.1,
    factor = options.factor or 2,
    maxDelay = options.maxDelay or math.huge,
    jitter = options.jitter or 0,
    when = options.when or function() return true end,
  }
end

-- The promise of the last attempt. An attempt that was cancelled has ended
-- when its promise settles: so no two run at once. If this call was cancelled
-- meanwhile, the attempt was the last, and how it failed is the reason.
local function try(fn, options)
  local seconds = options.delay
  local attempt = 1
  while true do
    local call = core.spawn(fn, attempt)
    local ok, reason = core.pawait(call)
    if ok or core.isCancelled(reason) or core.cancelled() or
        attempt >= options.attempts or not options.when(reason, attempt) then
      return call
    end
    local share = 1 - options.jitter * math.random()
    core.await(core.delay(math.min(seconds, options.maxDelay) * share))
    seconds = seconds * options.factor
    attempt = attempt + 1
  end
end

--- A promise of the results of `fn(attempt)`, called until it succeeds.
return function(fn, options)
  local why = check.not_callable(fn)
  if why then check.fail(1, "retry", why) end
  why = check.not_options(options, known)
  if why then check.fail(2, "retry", why) end
  options = with_defaults(options or {})
  if options.attempts > 1 and not loop.load() then
    check.blame("Promise.retry needs an event loop: install luv, or set " ..
      "one with Promise.setLoop")
  end
  return core.spawn(try, fn, options)
end
