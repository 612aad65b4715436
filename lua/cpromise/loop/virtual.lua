--- A loop whose time stands still until it is told to move: for tests.
--- The module is such a loop itself, and `new()` makes more of them.

local call = require "cpromise.loop".call
local check = require "cpromise.check"
local core = require "cpromise.core"

if core.modules.virtual then return core.modules.virtual end -- see init.lua

local function earlier(a, b)
  if a.time ~= b.time then return a.time < b.time end
  return a.serial < b.serial
end

-- A binary heap of timers: heap[1] is the next one.
local function push(heap, timer)
  local i = #heap + 1
  while i > 1 and earlier(timer, heap[i // 2]) do
    heap[i] = heap[i // 2]
    i = i // 2
  end
  heap[i] = timer
end

local function pop(heap)
  local first, last = heap[1], table.remove(heap)
  local n, i = #heap, 1
  if n == 0 then return first end
  while 2 * i <= n do
    local child = 2 * i
    if child < n and earlier(heap[child + 1], heap[child]) then
      child = child + 1
    end
    if not earlier(heap[child], last) then break end
    heap[i], i = heap[child], child
  end
  heap[i] = last
  return first
end

-- Let the next few calls inside one another need no memory.
local function make_room(depth)
  if depth > 0 then make_room(depth - 1) end
end

local function new()
  local virtual = {}
  local time, serial = 0, 0
  local timers = {}
  local alive = 0 -- of them, those that are not in the background
  local pending -- the drain that was asked for
  local running = false

  -- Once a drain or a timer has been taken, nothing may fail.
  local function run_jobs()
    make_room(8)
    local drain = pending
    pending = nil
    if drain then drain() end
  end

  -- The next timer that will fire: cancelled ones have no function.
  local function next_timer()
    while timers[1] and not timers[1].fn do pop(timers) end
    return timers[1]
  end

  -- Take a timer's function: it won't fire any more.
  local function take(timer)
    local fn = timer.fn
    timer.fn = nil
    if fn and not timer.background then alive = alive - 1 end
    return fn
  end

  local function fire()
    make_room(8)
    local timer = pop(timers)
    time = timer.time
    local nested = running -- time may be told to move by a timer
    running = true
    call(take(timer))
    running = nested
    run_jobs()
  end

  function virtual.wake(drain)
    pending = drain
  end

  function virtual.now()
    return time
  end

  function virtual.timer(seconds, fn, background)
    serial = serial + 1
    local timer = {
      time = time + seconds, serial = serial,
      fn = fn, background = background,
    }
    push(timers, timer)
    if not background then alive = alive + 1 end
    return timer
  end

  function virtual.cancel(timer)
    take(timer)
  end

  function virtual.inside()
    return running
  end

  --- Jump to the next timer.
  function virtual.step()
    run_jobs()
    if alive > 0 and next_timer() then fire() end
    return pending ~= nil or alive > 0
  end

  --- Let time pass: what falls due fires in order of time, and jobs run
  --- between one timer and the next.
  ---@param seconds number
  function virtual.advance(seconds)
    local why = check.not_seconds(seconds)
    if why then check.fail(1, "advance", why) end
    local goal = time + seconds
    run_jobs()
    local timer = next_timer()
    while timer and timer.time <= goal do
      fire()
      timer = next_timer()
    end
    time = math.max(time, goal)
  end

  return virtual
end

local default = new()
default.new = new
core.modules.virtual = default
return default
