--- libuv's default loop, through luv.
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
  assert(uv.idle_start(idle, run_jobs))
end

function luv.step()
  return uv.run("once")
end

-- luv crashes if the Lua state closes while a handle is being closed.
function luv.poll()
  uv.run "nowait"
end

function luv.now()
  return uv.hrtime() / 1e9
end

-- libuv counts milliseconds in 64 bits; a Lua integer holds fewer.
local longest = 2^52

function luv.timer(seconds, fn, background)
  local timer = assert(uv.new_timer())
  local milliseconds = math.ceil(math.min(seconds * 1000, longest))
  uv.update_time() -- the loop's clock stood still while our caller ran
  uv.timer_start(timer, milliseconds, 0, function()
    uv.close(timer)
    call(fn)
  end)
  if background then uv.unref(timer) end
  return timer
end

function luv.cancel(timer)
  if not uv.is_closing(timer) then uv.close(timer) end
end

function luv.inside()
  return uv.loop_mode() ~= nil
end

return luv
