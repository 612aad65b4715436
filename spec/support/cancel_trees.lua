--- Random programs that are cancelled at random times, on the virtual clock,
--- and what must be true of each: see cancel_trees_spec.lua.
---
--- A program is a tree of async calls. Each body does a few random things:
--- waits, calls others in all the ways that the library knows, cleans up,
--- fails, catches. All that begins and ends is noted in a *body*; each error
--- is an object of its own, which counts how often it was delivered.

local Promise = require "cpromise"
local virtual = require "cpromise.loop.virtual"

local await, delay = Promise.await, Promise.delay
local random = math.random

local trees = {}

---@class Run  what is known of the present program
---@field loop table
---@field bodies table[]  all that have begun
---@field running integer  how many have not ended
---@field errors table[]  all that were thrown
---@field requests table[]  all calls of `cancel`
---@field promises Promise[]  all calls, for those who cancel one
---@field deliveries integer  of requests
---@field depth integer
---@field budget integer  how many bodies may still begin
---@field shared boolean  whether promises may have several waiters
local run

local function chance(percent)
  return random(100) <= percent
end

local function never()
  return Promise.new(function() end)
end

-- What happens, for who looks at one program.
local function trace(...)
  if trees.verbose then print(run.loop.now(), ...) end
end

-- What went wrong: an error no program throws or catches.
local function broken(text, ...)
  run.broken = run.broken or text:format(...)
  trace("BROKEN", run.broken)
end

-- Errors: each is delivered once, to who catches it or in a report

local Failure = {__name = "failure"}

function Failure:__tostring()
  return ("failure %d of %s"):format(self.id, self.body.name)
end

local function fail(body)
  local failure = setmetatable({
    id = #run.errors + 1, body = body, lossy = body.lossy, delivered = 0,
  }, Failure)
  run.errors[failure.id] = failure
  error(failure, 0)
end

local function is_failure(err)
  return getmetatable(err) == Failure
end

-- Somebody has got an error, and passes it on to nobody.
local function delivered(err)
  if is_failure(err) then
    trace("delivered", tostring(err), debug.traceback())
    err.delivered = err.delivered + 1
  elseif Promise.isAggregate(err) then
    for i = 1, err.errors.n do delivered(err.errors[i]) end
  end
end

-- It is not known whether that counts.
local function may_be_lost(err)
  if is_failure(err) then
    err.lossy = true
  elseif Promise.isAggregate(err) then
    for i = 1, err.errors.n do may_be_lost(err.errors[i]) end
  end
end

-- Bodies: all that runs

local function enter(name, parent, is_lossy)
  local body = {
    name = ("%s %d"):format(name, #run.bodies + 1),
    lossy = is_lossy or parent and parent.lossy,
    parent = parent,
    raised = {}, -- cancellations that the program has seen in this call
    caught = 0,
  }
  run.bodies[#run.bodies + 1] = body
  run.running = run.running + 1
  return body
end

-- One that runs in the call of its parent.
local function enter_inside(name, parent)
  local body = enter(name, parent)
  body.raised = parent.raised
  return body
end

local function leave(body)
  body.ended = true
  run.running = run.running - 1
end

-- Whether that is the promise of the body, or of one that called it.
local function is_own(body, promise)
  while body do
    if body.call and body.call.promise == promise then return true end
    body = body.parent
  end
  return false
end

-- A request was raised in a body: what it was made for has not settled yet.
-- (A scope or map in which a call is cancelled by hand may pass that on to
-- others.)
local function told(body, cancellation)
  run.deliveries = run.deliveries + 1
  local request = run.requests[cancellation.reason]
  if not request or run.shared or not is_own(body, request.promise) then
    return
  end
  request.bodies[#request.bodies + 1] = body
  if request.promise:status() ~= "pending" then
    broken("%s is told after request %d was over", body.name, request.id)
  end
end

-- The program gets an error: what was asked of the body with it is delivered.
local function note_raised(body, err)
  if Promise.isCancelled(err) then body.raised[err] = true end
end

-- What `await` did. A request that has not been delivered is, or an error is
-- raised first.
local function note_told(body, asked, ok, ...)
  local err = ...
  local is_cancelled = not ok and Promise.isCancelled(err)
  if asked and not body.raised[asked] and (ok or is_cancelled and
      not rawequal(err, (Promise.cancelled()))) then
    broken("%s awaits, and was cancelled before", body.name)
  end
  if is_cancelled and rawequal(err, (Promise.cancelled())) then
    told(body, err)
  end
  if not ok then note_raised(body, err) end
  return ok, ...
end

local function pass_on(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

-- Wait in a body, for a promise or by a function.
local function wait(body, promise)
  local asked = Promise.cancelled()
  return pass_on(note_told(body, asked, pcall(await, promise)))
end

-- Call a function in the body, and go on whatever comes of it.
local function try(body, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then return true end
  body.caught = body.caught + 1
  note_raised(body, err)
  delivered(err)
  return false
end

local act -- do a few random things in a body

-- What a block closes as it is left; what it fails with comes in the place of
-- what the block has failed with.
local function cleanup(parent, depth)
  return setmetatable({}, {__close = function(_, err)
    local body = enter_inside("cleanup", parent)
    note_raised(body, err)
    if err ~= nil then note_raised(body, (Promise.cancelled())) end -- is void
    local ok, reason = pcall(act, body, depth, 1)
    leave(body)
    if ok then return end
    delivered(err)
    error(reason, 0)
  end})
end

-- Async calls

local function spawn(name, parent, depth, is_lossy)
  run.budget = run.budget - 1
  local of_body = {}
  local promise = Promise.spawn(function()
    local body = enter(name, parent, is_lossy)
    body.call = of_body
    of_body.name = body.name
    local _ <close> = setmetatable({}, {__close = function() leave(body) end})
    return act(body, depth - 1, parent and random(0, run.most) or run.first)
  end)
  of_body.promise = promise
  run.calls[#run.calls + 1] = promise
  trace("made", of_body.name, "by", parent and parent.name, promise)
  if chance(20) then run.promises[#run.promises + 1] = promise end
  return promise
end

local function call(parent, depth, is_lossy)
  return spawn("call", parent, depth, is_lossy)
end

-- Something that settles: mostly a call.
local function element(parent, depth, is_lossy)
  if chance(20) then return delay(random(0, 3)) end
  return call(parent, depth, is_lossy)
end

local function elements(parent, depth, is_lossy)
  local list = {}
  for i = 1, random(3) do list[i] = element(parent, depth, is_lossy) end
  return list
end

-- Ask a promise to end.
local function cancel(promise)
  local request = {id = run.n_requests + 1, promise = promise, bodies = {}}
  run.n_requests = request.id
  run.requests[request] = request
  run.active[#run.active + 1] = request
  trace("request", request.id, promise)
  return promise:cancel(request)
end

-- What can be done with a call: a promise for it.
local chains = {}

function chains.next(_, promise)
  return promise:next(function() end)
end

function chains.next_fails(body, promise)
  return promise:next(function() fail(body) end)
end

function chains.next_call(body, promise, depth)
  return promise:next(function() return call(body, depth) end)
end

function chains.catch(_, promise)
  return promise:catch(function(err) delivered(err) end)
end

-- What its handler fails with comes in the place of what the promise did.
local function finally(promise, handler)
  return promise:finally(function()
    local _, err = promise:status()
    local ok, result = pcall(handler)
    if ok and Promise.is(result) then
      return Promise.spawn(function()
        local fulfilled, reason = pcall(await, result)
        if fulfilled then return end
        if not Promise.isCancelled(reason) then
          delivered(err)
        elseif not Promise.cancelled() then
          may_be_lost(err) -- unless the promise of `finally` was cancelled
        end
        error(reason, 0)
      end)
    end
    if ok then return result end
    delivered(err)
    error(result, 0)
  end)
end

function chains.finally(_, promise)
  return finally(promise, function() end)
end

function chains.finally_fails(body, promise)
  return finally(promise, function() fail(body) end)
end

function chains.finally_call(body, promise, depth)
  return finally(promise, function() return call(body, depth) end)
end

function chains.timeout(_, promise)
  return promise:timeout(random(0, 4))
end

function chains.shield(_, promise)
  return Promise.shield(promise)
end

function chains.all(_, promise)
  return Promise.all {promise}
end

function chains.call(_, promise)
  return Promise.spawn(function() return promise end)
end

function chains.new(_, promise)
  return Promise.new(function(resolve) resolve(promise) end)
end

-- What a body does

local acts = {}

function acts.delay(body)
  wait(body, delay(random(0, 3)))
end

function acts.value(body)
  wait(body, nil)
end

function acts.never(body)
  wait(body, never())
end

function acts.call(body, depth)
  wait(body, call(body, depth))
end

function acts.detach(body, depth)
  call(body, depth)
end

function acts.fail(body)
  fail(body)
end

function acts.catch(body, depth)
  try(body, act, body, depth - 1, random(3))
end

-- Call pawait, and raise what it returns.
local function pawait(promise)
  local ok, err = Promise.pawait(promise)
  if ok then return end
  if Promise.isCancelled(err) and promise:status() == "pending" then
    broken "pawait returns the request"
  end
  error(err, 0)
end

function acts.pawait(body, depth)
  local promise = call(body, depth)
  local asked = Promise.cancelled()
  local ok, err = note_told(body, asked, pcall(pawait, promise))
  if ok then return end
  if rawequal(err, (Promise.cancelled())) then error(err, 0) end
  delivered(err)
end

function acts.cleanup(body, depth)
  local _ <close> = cleanup(body, depth - 1)
  act(body, depth - 1, random(3))
end

function acts.close(body, depth)
  local _ <close> = call(body, depth)
  wait(body, delay(random(0, 2)))
end

for name, chain in pairs(chains) do
  acts["chain_" .. name] = function(body, depth)
    wait(body, chain(body, call(body, depth), depth))
  end
end

function acts.all(body, depth)
  wait(body, Promise.all(elements(body, depth, true)))
end

function acts.any(body, depth)
  wait(body, Promise.any(elements(body, depth, true)))
end

function acts.race(body, depth)
  wait(body, Promise.race(elements(body, depth, true)))
end

function acts.allSettled(body, depth)
  for _, result in ipairs(wait(body,
    Promise.allSettled(elements(body, depth, true)))) do
    delivered(result.reason)
  end
end

function acts.select(body, depth)
  wait(body, Promise.select(elements(body, depth)))
end

function acts.asCompleted(body, depth)
  for _, promise in Promise.asCompleted(elements(body, depth, true)) do
    try(body, wait, body, promise)
  end
end

function acts.map(body, depth)
  local options = chance(50) and {concurrency = random(2)} or nil
  wait(body, Promise.map({1, 2, 3}, function(i)
    local worker = enter("worker", body)
    local _ <close> = setmetatable({}, {__close = function()
      leave(worker)
    end})
    if i == 2 then return call(worker, depth) end
    act(worker, depth - 1, 1)
  end, options))
end

function acts.retry(body, depth)
  wait(body, Promise.retry(function()
    return call(body, depth)
  end, {attempts = random(3), delay = random(0, 2), when = function(err)
    if Promise.cancelled() then broken "it tries again, though cancelled" end
    delivered(err)
    return true
  end}))
end

-- What happens in the body of a scope.
local function fill_scope(body, scope, depth, children)
  for _ = 1, random(0, 3) do
    if chance(30) then act(body, depth - 1, 1) end
    children[#children + 1] = scope:spawn(function()
      local child = enter("child", body)
      child.scope = children
      local _ <close> = setmetatable({}, {__close = function()
        leave(child)
      end})
      return act(child, depth - 1, random(0, 3))
    end)
    if chance(8) then scope:cancel "enough" end
    if chance(8) then cancel(children[random(#children)]) end
  end
  if chance(10) then fail(body) end
end

-- A scope has ended: so have those who were spawned in it.
local function check_children(children)
  for _, child in ipairs(children) do
    if child:status() == "pending" then broken "a scope leaves a child" end
  end
end

function acts.scope(body, depth)
  local children = {}
  local promise = Promise.scope(function(scope)
    local own = enter("scope", body)
    local _ <close> = setmetatable({}, {__close = function() leave(own) end})
    fill_scope(own, scope, depth, children)
  end)
  wait(body, promise:finally(function()
    if promise:status() ~= "pending" then check_children(children) end
  end))
end

-- Whether a scope, which has ended, still interrupts its body.
local function is_interrupted(children, before)
  local cancellation = Promise.cancelled()
  if not cancellation or rawequal(cancellation, before) then return false end
  local reason = cancellation.reason
  local origin = is_failure(reason) and reason.body
  while origin and origin.scope ~= children do origin = origin.parent end
  return origin
end

function acts.block(body, depth)
  local children = {}
  local before = Promise.cancelled()
  local ok, err = pcall(function()
    local scope <close> = Promise.scope()
    fill_scope(body, scope, depth, children)
  end)
  check_children(children)
  if not run.shared and is_interrupted(children, before) then
    broken("the block that %s has left interrupts it", body.name)
  end
  if not ok then error(err, 0) end
end

function acts.acquire(body, depth)
  local permit <close> = wait(body, run.semaphore:acquire())
  if chance(20) then return permit() end -- and closed
  run.held = run.held + 1
  local _ <close> = setmetatable({}, {__close = function()
    run.held = run.held - 1
  end})
  if run.held > run.permits then broken "there are too many permits" end
  act(body, depth - 1, 1)
end

function acts.with(body, depth)
  wait(body, run.semaphore:with(function() return call(body, depth) end))
end

function acts.send(body)
  local value = run.sent + 1
  run.sent = value
  local promise = run.channel:send(value)
  run.values[value] = promise
  wait(body, promise)
end

local function received(value)
  if value == nil then return end
  run.received[value] = (run.received[value] or 0) + 1
end

function acts.receive(body)
  received(wait(body, run.channel:receive()))
end

function acts.choose(body)
  local key, value = wait(body, Promise.select {
    channel = run.channel:receive(),
    permit = run.semaphore:acquire(),
    time = delay(random(0, 3)),
    event = run.event:wait(),
  })
  if key == "channel" then received(value) end
  if key == "permit" then value() end
end

function acts.event(body)
  if chance(50) then run.event:set() else run.event:clear() end
  wait(body, run.event:wait():timeout(1))
end

function acts.cancel()
  local n = #run.promises
  if n > 0 then cancel(run.promises[random(n)]) end
end

function acts.generator(body)
  for _ in Promise.wrap(function()
    for i = 1, 3 do
      wait(body, delay(random(0, 1)))
      coroutine.yield(i)
    end
  end) do
    if chance(30) then break end
    wait(body, delay(random(0, 1)))
  end
end

-- Only here a promise has several waiters. What it fails with may come to
-- where it counts for little.
function acts.share(body)
  local promise = run.promises[random(math.max(1, #run.promises))]
  if run.shared and promise and not is_own(body, promise) then
    run.lossy = run.lossy or body.lossy
    wait(body, promise)
  end
end

local names, weights = {}, {
  delay = 10, call = 10, fail = 3, catch = 4, cleanup = 4, block = 4,
  scope = 4, never = 2,
}
for name in pairs(acts) do names[#names + 1] = name end
table.sort(names)
for i = 1, #names do
  for _ = 2, weights[names[i]] or 1 do names[#names + 1] = names[i] end
end

local simple = {"delay", "value", "never", "fail"}

function act(body, depth, n)
  for _ = 1, n do
    local name = names[random(#names)]
    if depth <= 0 or run.budget <= 0 then
      name = simple[random(chance(30) and 4 or 2)]
    end
    trace(body.name, name)
    acts[name](body, depth)
  end
  if depth > 0 and chance(10) then return call(body, depth) end
end

-- What must be true

-- When a cancelled promise has settled, all that was cancelled with it ended.
local function check_requests()
  for i = #run.active, 1, -1 do
    local request = run.active[i]
    if request.promise:status() ~= "pending" then
      for _, body in ipairs(request.bodies) do
        if not body.ended then
          broken("request %d is over, and %s runs", request.id, body.name)
        end
      end
      table.remove(run.active, i)
    end
  end
end

local function run_jobs(by_one)
  if not by_one then
    Promise.drain()
    check_requests()
    return
  end
  while Promise.drain(1) > 0 do check_requests() end
end

-- Run till nothing is left to do.
local function exhaust(by_one)
  local steps = 0
  repeat
    run_jobs(by_one)
    steps = steps + 1
    if steps > 5000 then return broken "it never ends" end
  until not run.loop.step() and Promise.drain(0) == 0
  run_jobs(by_one)
end

-- What still waits can be cancelled, and is told; again and again.
local function end_promise(promise, by_one)
  local rounds = 0
  local most = 1
  for _, body in ipairs(run.bodies) do
    most = most + 1 + body.caught
  end
  while promise:status() == "pending" and not run.broken do
    local before = run.deliveries
    if not cancel(promise) then
      return broken "a pending promise can't be cancelled"
    end
    exhaust(by_one)
    rounds = rounds + 1
    if promise:status() == "pending" and run.deliveries == before then
      return broken "a request is not delivered"
    end
    if rounds > most + #run.bodies then return broken "it is immortal" end
  end
end

local function check_errors()
  for _, failure in ipairs(run.errors) do
    local n = failure.delivered
    if n == 0 and not (failure.lossy or run.lossy) then
      broken("%s is lost", tostring(failure))
    elseif n > 1 and not run.shared then
      broken("%s is delivered %d times", tostring(failure), n)
    end
  end
end

local function check_permits()
  for _ = 1, run.permits do
    local promise = run.semaphore:acquire()
    Promise.drain()
    if promise:status() ~= "fulfilled" then
      return broken "a permit is lost"
    end
  end
  local promise = run.semaphore:acquire()
  Promise.drain()
  if promise:status() ~= "pending" then broken "a permit was made" end
end

local function check_values()
  run.channel:close()
  local last
  repeat
    local promise = run.channel:receive()
    Promise.drain()
    last = select(2, promise:status())
    received(last)
  until last == nil
  for value, promise in ipairs(run.values) do
    local state, n = promise:status(), run.received[value] or 0
    if state == "fulfilled" and n ~= 1 then
      broken("value %d is received %d times", value, n)
    elseif state ~= "fulfilled" and n ~= 0 then
      broken("value %d was not accepted, but received", value)
    end
  end
end

-- At random times, the root is cancelled.
local function plan(root)
  for _ = 1, random(0, 3) do
    local when = random(0, 8)
    if chance(30) then
      cancel(root)
    else
      run.loop.timer(when, function() cancel(root) end)
    end
  end
end

local function go(seed)
  local by_one = chance(50)
  local root = call(nil, 6)
  root:catch(delivered)
  plan(root)
  exhaust(by_one)
  run.event:set()
  end_promise(root, by_one)
  -- what was detached, or lost a race
  for _, promise in ipairs(run.calls) do end_promise(promise, by_one) end
  exhaust(by_one)
  if run.broken then return end
  if run.running > 0 then broken("%d bodies never ended", run.running) end
  check_errors()
  check_permits()
  check_values()
  return seed
end

--- Run the program of that seed. Returns nil, or what was wrong.
function trees.run(seed)
  math.randomseed(seed)
  local loop = virtual.new()
  run = {
    loop = loop, bodies = {}, running = 0, errors = {}, requests = {},
    active = {}, n_requests = 0, promises = {}, calls = {}, deliveries = 0,
    budget = 100,
    first = random(3, 12), most = random(2, 4),
    shared = chance(25), permits = random(2), held = 0, sent = 0,
    values = {}, received = {}, event = Promise.event(),
    channel = Promise.channel(random(0, 1)),
  }
  run.semaphore = Promise.semaphore(run.permits)
  Promise.setLoop(loop)
  local previous = Promise.onUnhandledRejection(delivered)
  local ok, err = pcall(go, seed)
  Promise.drain()
  Promise.onUnhandledRejection(previous)
  Promise.setLoop(nil)
  if not ok then return tostring(err) end
  return run.broken, run
end

return trees
