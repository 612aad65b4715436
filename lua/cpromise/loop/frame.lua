--- A loop for games, and for other hosts that call once in each frame:
---
---     local loop = require "cpromise.loop.frame"
---     Promise.setLoop(loop)
---     function update(seconds) loop.frame(seconds) end
---
--- Its time is the sum of the seconds that it was told, so it stands still
--- while the game is paused. The module is such a loop itself, and `new()`
--- makes more of them.

local call = require "cpromise.loop".call
local check = require "cpromise.check"
local core = require "cpromise.core"
local new_timers = require "cpromise.loop.timers"

if core.modules.frame then return core.modules.frame end -- see init.lua

-- What `step` takes for the time since the last frame.
local FRAME <const> = 1 / 60

local function new()
  local loop = {}
  local time = 0
  local timers = new_timers()
  local pending -- the drain that was asked for
  local running = false
  -- Ends a frame, even if what runs in it has closed the coroutine.
  local leave = setmetatable({}, {__close = function() running = false end})

  local function run_jobs()
    local drain = pending
    pending = nil
    if drain then drain() end
  end

  -- Jobs that are queued run first, and then those of each timer before the
  -- next one fires. What the frame's own code starts is due in a later one.
  local function run_frame(seconds)
    time = time + seconds
    run_jobs()
    local timer = timers:first()
    local newest = timers.serial
    while timer and timer.time <= time and timer.serial <= newest do
      call(timers:take(timer))
      run_jobs()
      timer = timers:first()
    end
  end

  function loop.wake(drain)
    pending = drain
  end

  function loop.now()
    return time
  end

  function loop.timer(seconds, fn, background)
    return timers:start(time + seconds, fn, background)
  end

  function loop.cancel(timer)
    timers:take(timer)
  end

  function loop.inside()
    return running
  end

  --- Let a frame's time pass: run what waits and what has fallen due.
  ---@param seconds number  since the last frame
  function loop.frame(seconds)
    local why = check.not_seconds(seconds) or
      seconds == math.huge and "must be finite"
    if why then check.fail(1, "frame", why) end
    if running then error("a frame is running already", 2) end
    running = true
    local _ <close> = leave
    run_frame(seconds)
  end

  --- How `Promise.run` and `await` on the main thread let time pass: by one
  --- frame, without drawing it, and without waiting.
  function loop.step()
    if pending or timers.alive > 0 then loop.frame(FRAME) end
    return pending ~= nil or timers.alive > 0
  end

  return loop
end

local default = new()
default.new = new
core.modules.frame = default
return default
