--- The timers of a loop that has none of its own, in order of time; of those
--- at the same time the one that was started first.

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

---@class cpromise.LoopTimers
---@field alive integer  those that wait, and keep the loop alive
local Timers = {}
Timers.__index = Timers

--- Start one, to fire at that time.
function Timers:start(time, fn, background)
  self.serial = self.serial + 1
  local timer = {
    time = time, serial = self.serial, fn = fn, background = background,
  }
  push(self.heap, timer)
  if not background then self.alive = self.alive + 1 end
  return timer
end

--- Take the function of a timer, which won't fire any more; nil if it has
--- been taken.
function Timers:take(timer)
  local fn = timer.fn
  timer.fn = nil
  if fn and not timer.background then self.alive = self.alive - 1 end
  return fn
end

--- The next timer that will fire: those that were taken have no function.
function Timers:first()
  local heap = self.heap
  while heap[1] and not heap[1].fn do pop(heap) end
  return heap[1]
end

return function()
  return setmetatable({heap = {}, serial = 0, alive = 0}, Timers)
end
