--- A loop whose time stands still until it is told to move: for tests.
--- The module is such a loop itself, and `new()` makes more of them.

local call = require "cpromise.loop".call
local check = require "cpromise.check"
local core = require "cpromise.core"
local new_timers = require "cpromise.loop.timers"

if core.modules.virtual then return core.modules.virtual end -- see init.lua

-- Let the next few calls inside one another need no memory.
local function make_room(depth)
  if depth > 0 then make_room(depth - 1) end
end

local function new()
  local virtual = {}
  local time = 0
  local timers = new_timers()
  local pending -- the drain that was asked for
  local depth = 0 -- timers that fire, one in another: they may move time
  -- Ends one, even if it has closed the coroutine that it fires on.
  local leave = setmetatable({}, {__close = function() depth = depth - 1 end})

  -- Once a drain or a timer has been taken, nothing may fail.
  local function run_jobs()
    make_room(8)
    local drain = pending
    pending = nil
    if drain then drain() end
  end

  local function fire()
    make_room(8)
    local timer = timers:first()
    time = timer.time
    do
      depth = depth + 1
      local _ <close> = leave
      call(timers:take(timer))
    end
    run_jobs()
  end

  function virtual.wake(drain)
    pending = drain
  end

  function virtual.now()
    return time
  end

  function virtual.timer(seconds, fn, background)
    return timers:start(time + seconds, fn, background)
  end

  function virtual.cancel(timer)
    timers:take(timer)
  end

  function virtual.inside()
    return depth > 0
  end

  --- Jump to the next timer.
  function virtual.step()
    run_jobs()
    if timers.alive > 0 then fire() end
    return pending ~= nil or timers.alive > 0
  end

  --- Let time pass: what falls due fires in order of time, and jobs run
  --- between one timer and the next.
  ---@param seconds number
  function virtual.advance(seconds)
    local why = check.not_seconds(seconds)
    if why then check.fail(1, "advance", why) end
    local goal = time + seconds
    run_jobs()
    local timer = timers:first()
    while timer and timer.time <= goal do
      fire()
      timer = timers:first()
    end
    time = math.max(time, goal)
  end

  return virtual
end

local default = new()
default.new = new
core.modules.virtual = default
return default
