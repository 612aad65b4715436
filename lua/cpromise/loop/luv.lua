--- libuv's default loop, through luv.
---
--- No handle is ever closed here: luv crashes if the state closes while one
--- is being closed. A timer that is over is stopped, and used again.
---
--- Jobs run from an idle handle that exists only while some wait: referenced,
--- so that the loop lives until they have run, and active, so that it doesn't
--- sleep before. (An unreferenced check or prepare handle would lose the last
--- job; an idle handle that is never stopped would keep a core busy.)

local call = require "cpromise.loop".call
local core = require "cpromise.core"
local uv = require "luv"

if core.modules.luv then return core.modules.luv end -- see init.lua

local luv = {}

local idle
local run_jobs -- what the idle handle calls
local drain_of_run_jobs

-- While `step` turns the loop once, it is not to sleep after something has
-- happened that it may have been waiting for: an idle handle keeps it awake.
local stepping = false
local awake -- that handle
local is_awake = false

local function noop() end

local function stay_awake()
  if not stepping or is_awake then return end
  if not awake or uv.is_closing(awake) then awake = assert(uv.new_idle()) end
  assert(uv.idle_start(awake, noop))
  is_awake = true
end

local function may_sleep()
  if is_awake and not uv.is_closing(awake) then uv.idle_stop(awake) end
  is_awake = false
end

function luv.wake(drain)
  if drain ~= drain_of_run_jobs then
    drain_of_run_jobs = drain
    run_jobs = function()
      uv.idle_stop(idle)
      stay_awake()
      drain()
    end
  end
  if not idle or uv.is_closing(idle) then idle = assert(uv.new_idle()) end
  if not uv.is_active(idle) then assert(uv.idle_start(idle, run_jobs)) end
end

-- The program's own `uv.stop()` ends what runs the loop: so it is noted, and
-- done. Between two steps, too: then the next one ends at once.
local stopped = false
local stop = uv.stop

function uv.stop()
  if stepping or not uv.loop_mode() then stopped = true end
  return stop()
end

function luv.step()
  stepping = true
  local ok, alive = pcall(uv.run, "once")
  stepping = false
  may_sleep()
  if not ok then error(alive, 0) end
  if stopped then
    stopped = false
    return "stopped"
  end
  return alive
end

-- Handles that the program is closing get closed: see above.
function luv.poll()
  uv.run "nowait"
end

local hrtime = uv.hrtime

function luv.now()
  return hrtime() / 1e9
end

-- libuv counts milliseconds in 64 bits; a Lua integer holds fewer.
local longest = 2^52

local spare = {} -- timers that are stopped

-- A timer to start; some may have been closed by the program.
local function take_timer()
  local timer = table.remove(spare)
  while timer and uv.is_closing(timer) do timer = table.remove(spare) end
  return timer or assert(uv.new_timer())
end

-- `armed` is the handle: it holds the timer as long as that will fire.
local function release(armed)
  local timer = armed.timer
  armed.timer = nil
  if not timer or uv.is_closing(timer) then return end
  uv.timer_stop(timer)
  spare[#spare + 1] = timer
end

function luv.timer(seconds, fn, background)
  local timer = take_timer()
  local armed = {timer = timer}
  local milliseconds = math.ceil(math.min(seconds * 1000, longest))
  uv.update_time() -- the loop's clock stood still while our caller ran
  uv.timer_start(timer, milliseconds, 0, function()
    release(armed)
    stay_awake()
    call(fn)
  end)
  if background then uv.unref(timer) else uv.ref(timer) end
  return armed
end

function luv.cancel(armed)
  release(armed)
end

function luv.inside()
  return uv.loop_mode() ~= nil
end

core.modules.luv = luv
return luv
