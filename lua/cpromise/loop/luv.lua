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
local signals = require "cpromise.loop.signals"
local uv = require "luv"

if core.modules.luv then return core.modules.luv end -- see init.lua

local luv = {}

-- When the Lua state is closed, luv closes its handles, and runs its loop
-- until none is left: one that a callback made then would have it run for
-- ever. This finalizer runs before luv's, since it was made later.
local state = setmetatable({}, {
  __gc = function(self) self.is_closing = true end,
})

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
  if state.is_closing then return end
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

-- Handles that are stopped, by what makes and what stops them.
local timers = {new = uv.new_timer, stop = uv.timer_stop}
local turns = {new = uv.new_idle, stop = uv.idle_stop}

-- One to start; some may have been closed by the program.
local function take(spare)
  local handle = table.remove(spare)
  while handle and uv.is_closing(handle) do handle = table.remove(spare) end
  return handle or assert(spare.new())
end

-- What `luv.timer` returns holds the handle as long as that will fire.
local function release(armed)
  local handle, spare = armed.handle, armed.spare
  armed.handle = nil
  if not handle or uv.is_closing(handle) then return end
  spare.stop(handle)
  spare[#spare + 1] = handle
end

local firing = false -- a timer's function runs

local function fire(armed, fn)
  release(armed)
  stay_awake()
  firing = true
  call(fn)
  firing = false
end

-- libuv would fire a timer that is due at once in the turn in which another
-- one has started it, and again, and never come to what else has happened: so
-- an idle handle does it, in the next turn.
function luv.timer(seconds, fn, background)
  if state.is_closing then return {} end
  local milliseconds = math.ceil(math.min(seconds * 1000, longest))
  local spare = milliseconds == 0 and firing and turns or timers
  local handle = take(spare)
  local armed = {handle = handle, spare = spare}
  local function callback() fire(armed, fn) end
  if spare == turns then
    uv.idle_start(handle, callback)
  else
    uv.update_time() -- the loop's clock stood still while our caller ran
    uv.timer_start(handle, milliseconds, 0, callback)
  end
  if background then uv.unref(handle) else uv.ref(handle) end
  return armed
end

function luv.cancel(armed)
  release(armed)
end

local interrupts -- the handle of SIGINT

function luv.interrupt(fn)
  if not interrupts or uv.is_closing(interrupts) then
    interrupts = assert(uv.new_signal())
  end
  signals.default(interrupts, "sigint", function() call(fn) end)
  return function()
    if not uv.is_closing(interrupts) then uv.signal_stop(interrupts) end
  end
end

function luv.inside()
  return uv.loop_mode() ~= nil
end

core.modules.luv = luv
return luv
