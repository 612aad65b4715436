--- luv without promises: what timers cost by themselves.

local outcome = require "bench.outcome"
local uv = require "luv"

local expect_count = outcome.expect_count

local function start_timer(milliseconds, fn)
  local timer = uv.new_timer()
  timer:start(milliseconds, 0, function()
    timer:close()
    fn()
  end)
  return timer
end

local own = {}

-- n timers at once, which fire.
function own.timers(n)
  local count = 0
  local function fire() count = count + 1 end
  for _ = 1, n do start_timer(1, fire) end
  uv.run()
  expect_count(count, n)
end

own.delay = own.timers
own["timeout-fired"] = own.timers

own["loop-turn"] = function(n)
  local count = 0
  local function fire()
    count = count + 1
    if count < n then start_timer(0, fire) end
  end
  start_timer(0, fire)
  uv.run()
  expect_count(count, n)
end

function own.timeout(n)
  local timers, count = {}, 0
  local function fire() count = count + 1 end
  for i = 1, n do timers[i] = start_timer(60000, fire) end
  for i = 1, n do
    timers[i]:stop()
    timers[i]:close()
  end
  uv.run()
  expect_count(count, 0)
end

function own.retry(n)
  local count = 0
  local function fails_once(attempt)
    if attempt == 1 then error("once", 0) end
    count = count + 1
  end
  local function try_again() fails_once(2) end
  for i = 1, n do
    if not pcall(fails_once, 1) then start_timer(0, try_again) end
    if i % 100 == 0 or i == n then uv.run() end
  end
  expect_count(count, n)
end

return {own = own}
