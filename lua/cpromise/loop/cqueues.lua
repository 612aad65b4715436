--- The loop of a controller of cqueues. Its field `queue` is the
--- controller: that in which the loop was first used, or a new one where none
--- was running. A program that has one of its own sets it before that.
---
--- Both ways of waiting work in both kinds of coroutine: `await` in a thread
--- of any controller, and calls of cqueues that wait (`cqueues.sleep`,
--- sockets, conditions) in an async function.
---
--- Each time that the queue is no longer empty a thread is made that drains
--- it, and ends. (One that lived on would never let `queue:loop()` end.)
--- Timers have one thread, as long as there are any.

local call = require "cpromise.loop".call
local condition = require "cqueues.condition"
local core = require "cpromise.core"
local cqueues = require "cqueues"
local new_timers = require "cpromise.loop.timers"

if core.modules.cqueues then return core.modules.cqueues end -- see init.lua

---@class cpromise.CqueuesLoop: cpromise.Loop
local loop = {queue = cqueues.running() or cqueues.new()}

local poll = cqueues.poll
local FOREVER <const> = 1e6 -- seconds; then it is looked at again

-- A controller that another run, or a failure, has emptied has lost the
-- thread: then there is another.
local draining -- the controller that has one

function loop.wake(drain)
  local current = loop.queue
  if draining == current and not current:empty() then return end
  draining = current
  current:wrap(function()
    draining = nil
    drain()
  end)
end

loop.now = cqueues.monotime

local timers = new_timers()
local changed = condition.new() -- the first timer is another one
local ticking -- the controller that has the thread

-- A thread: fire what is due, and wait for the next one.
local function tick()
  local timer = timers:first()
  while timer do
    local seconds = timer.time - loop.now()
    if seconds > 0 then
      poll(changed, math.min(seconds, FOREVER))
    else
      call(timers:take(timer))
      poll(0) -- what it has queued comes first
    end
    timer = timers:first()
  end
  ticking = nil
end

function loop.timer(seconds, fn, background)
  local current = loop.queue
  local timer = timers:start(loop.now() + seconds, fn, background)
  if ticking ~= current or current:empty() then
    ticking = current
    current:wrap(tick)
  elseif timers:first() == timer then
    changed:signal()
  end
  return timer
end

function loop.cancel(timer)
  timers:take(timer)
  if not timers:first() then changed:signal() end
end

-- Whether any thread is left but one that waits for timers that nobody
-- waits for.
local function is_alive(current)
  local idle = ticking == current and timers.alive == 0 and 1 or 0
  return current:count() > idle
end

--- Let the controller turn once. An error that a thread of the program's has
--- raised is reported, and harms no other thread.
function loop.step()
  local current = loop.queue
  if not is_alive(current) then
    if not current:empty() then current:step(0) end
    if not is_alive(current) then return false end
  end
  local ok, why = current:step()
  if not ok then core.report(why) end
  return is_alive(current)
end

function loop.poll()
  local current = loop.queue
  if not current:empty() then current:step(0) end
end

function loop.inside()
  return cqueues.running() == loop.queue
end

--- Whether the running coroutine is a thread of a controller.
function loop.own()
  return (select(2, cqueues.running()))
end

--- Wait in such a thread till the function that `start` is called with has
--- been called.
function loop.suspend(start)
  local woken, waiting = false, condition.new()
  start(function()
    woken = true
    waiting:signal()
  end)
  while not woken do poll(waiting) end
end

-- A thread of ours waits in the place of an async function, for what that
-- would have polled; then `resume` is called with what is ready.
local function poll_for(resume, ...)
  loop.queue:wrap(function(...) resume(poll(...)) end, ...)
end

--- An async function has yielded: to cqueues, if so says the first value.
function loop.take(resume, kind, ...)
  if kind ~= cqueues._POLL then return false end
  poll_for(resume, ...)
  return true
end

core.modules.cqueues = loop
return loop
