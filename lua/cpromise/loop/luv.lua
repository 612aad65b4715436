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
local uv = require "luv"

local luv = {}

local idle
local run_jobs -- what the idle handle calls
local drain_of_run_jobs

function luv.wake(drain)
  if drain ~= drain_of_run_jobs then
    drain_of_run_jobs = drain
    run_jobs = function()
      uv.idle_stop(idle)
      drain()
    end
  end
  if not idle or uv.is_closing(idle) then idle = assert(uv.new_idle()) end
  if not uv.is_active(idle) then assert(uv.idle_start(idle, run_jobs)) end
end

-- The program's own `uv.stop()` ends what runs the loop: so it is noted, and
-- done.
local stopped = false
local stop = uv.stop

function uv.stop()
  stopped = true
  return stop()
end

function luv.step()
  stopped = false
  local alive = uv.run "once"
  return stopped and "stopped" or alive
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

return luv
