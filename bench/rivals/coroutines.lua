--- Coroutines without promises, by hand: no errors, no cancelling, no checks.
--- What there is comes at once; only who has to wait waits.

local outcome = require "bench.outcome"

local expect_count = outcome.expect_count
local running, yield = coroutine.running, coroutine.yield

local function new_queue()
  return {first = 1, last = 0}
end

local function push(queue, v)
  local last = queue.last + 1
  queue.last, queue[last] = last, v
end

local function pop(queue)
  local first = queue.first
  local v = queue[first]
  if v == nil then return nil end
  queue.first, queue[first] = first + 1, nil
  return v
end

-- The coroutines whose turn comes.
local ready = new_queue()

local function spawn(fn)
  push(ready, coroutine.create(fn))
end

local function wait_in(queue)
  push(queue, (running()))
  return yield()
end

local function run()
  local thread = pop(ready)
  while thread do
    local ok, reason = coroutine.resume(thread)
    if not ok then error(reason, 0) end
    thread = pop(ready)
  end
end

-- Semaphores

local function new_semaphore(permits)
  return {free = permits, waiting = new_queue()}
end

local function acquire(semaphore)
  if semaphore.free == 0 then return wait_in(semaphore.waiting) end
  semaphore.free = semaphore.free - 1
end

local function release(semaphore)
  local thread = pop(semaphore.waiting)
  if thread then
    push(ready, thread)
  else
    semaphore.free = semaphore.free + 1
  end
end

-- Channels

local function new_channel(capacity)
  return {
    room = capacity,
    values = new_queue(),
    senders = new_queue(),
    receivers = new_queue(),
  }
end

local function send(channel, v)
  push(channel.values, v)
  local receiver = pop(channel.receivers)
  if receiver then push(ready, receiver) end
  channel.room = channel.room - 1
  if channel.room < 0 then wait_in(channel.senders) end
end

local function receive(channel)
  if channel.values.first > channel.values.last then
    wait_in(channel.receivers)
  end
  channel.room = channel.room + 1
  local sender = pop(channel.senders)
  if sender then push(ready, sender) end
  return pop(channel.values)
end

-- The workloads

local own = {}

function own.semaphore(n)
  local semaphore = new_semaphore(1)
  local count = 0
  spawn(function()
    for _ = 1, n do
      acquire(semaphore)
      count = count + 1
      release(semaphore)
    end
  end)
  run()
  expect_count(count, n)
end

-- Whoever asks waits till all that are waiting are answered.
own["semaphore-busy"] = function(n)
  local semaphore, asked = new_semaphore(10), new_queue()
  local started, ended, held, most = 0, 0, 0, 0
  for _ = 1, 100 do
    spawn(function()
      while started < n do
        started = started + 1
        acquire(semaphore)
        held = held + 1
        most = math.max(most, held)
        wait_in(asked)
        held, ended = held - 1, ended + 1
        release(semaphore)
      end
    end)
  end
  repeat
    run()
    ready, asked = asked, ready
  until ready.first > ready.last
  expect_count(ended, n)
  expect_count(most, 10)
end

local function run_channel(capacity, n)
  local channel = new_channel(capacity)
  local count = 0
  spawn(function()
    for i = 1, n do send(channel, i) end
    send(channel, false)
  end)
  spawn(function()
    local v = receive(channel)
    while v do
      if v == count + 1 then count = v end
      v = receive(channel)
    end
  end)
  run()
  expect_count(count, n)
end

own["channel-0"] = function(n) run_channel(0, n) end
own["channel-100"] = function(n) run_channel(100, n) end

local function new_event()
  return {happened = false, waiting = new_queue()}
end

local function set(event)
  event.happened = true
  local thread = pop(event.waiting)
  while thread do
    push(ready, thread)
    thread = pop(event.waiting)
  end
end

local function wait(event)
  if not event.happened then wait_in(event.waiting) end
end

function own.event(n)
  local ping, pong = new_event(), new_event()
  local rounds, count = n // 2, 0
  spawn(function()
    for _ = 1, rounds do
      wait(ping)
      ping.happened = false
      set(pong)
    end
  end)
  spawn(function()
    for _ = 1, rounds do
      set(ping)
      wait(pong)
      pong.happened = false
      count = count + 1
    end
  end)
  run()
  expect_count(count, rounds)
end

function own.map(n)
  local results, started = {}, 0
  for _ = 1, 100 do
    spawn(function()
      while started < n do
        started = started + 1
        local i = started
        wait_in(ready)
        results[i] = 2 * i
      end
    end)
  end
  run()
  expect_count(results[n], 2 * n)
end

return {own = own}
