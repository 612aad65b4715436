--- Takes the bytes of an input for operations on the library: loaded by
--- fuzz.c.
---
--- Whatever Lua code an operation needs, a handler, executor, getter, body
--- of a coroutine, finalizer or hook, is always `program`, which goes on with
--- the bytes that follow when it is called. So every operation happens inside
--- every kind of call. At the end of the input all bytes are 0, which is to
--- return: each input ends.
---
--- Returns two functions: `run` takes the next operations; `finish`, after
--- all bytes and with memory enough, checks what must hold.

local fuzz = ...
local byte, ended, fail = fuzz.byte, fuzz.ended, fuzz.fail
local core = fuzz.open()
local other -- a second instance, whose promises are foreign to the first

-- Books are made in advance: they are right also when memory runs short.
local ROOM = 256
local runs, n_runs = table.pack(), 0
local weak = {__mode = "v"}
local sources = setmetatable({}, weak)
local derived = setmetatable({}, weak)
local on_fulfilled, on_rejected, n_reactions = {}, {}, 0
local hooked, hooks, n_hooks = setmetatable({}, weak), {}, 0
local asked = false -- whether anything may have been cancelled
local settled, states, n_settled = setmetatable({}, weak), {}, 0
for i = 1, ROOM do
  runs[i], on_fulfilled[i], on_rejected[i], hooks[i] = 0, 0, 0, 0
  sources[i], derived[i] = false, false
  hooked[i], settled[i], states[i] = false, false, ""
end

-- The values that operations use, newest first from `top` down.
local SLOTS = 16
local slots, top = {}, 0
for i = 1, SLOTS do slots[i] = false end

--- Strings are all one, so that those which are raised are known.
local function keep(v)
  if type(v) == "string" then v = "text" end
  if v ~= nil then
    top = top % SLOTS + 1
    slots[top] = v
  end
  return v
end

local function slot(distance)
  return slots[(top - 1 - distance) % SLOTS + 1]
end

--- What strings there may be as errors: programs raise other values, and one
--- text. Lua itself puts positions before the errors that pass through
--- coroutine.wrap.
local documented = {
  "not enough memory$",
  "stack overflow", -- of C, too
  "error in error handling$",
  "text$",
  "TypeError: a promise can't resolve to itself$",
  "can't await in a handler, ",
  "can't await in a coroutine that an async function resumes",
  "can't await across a C function",
  "promise still pending, nothing left to do$",
  "promise still pending, nothing left to do:\n",
  "the coroutine of the async call was closed$",
  "an async function can't yield",
  "bad argument #%d+ to '[%w_]+' %(",
  "attempt to yield from outside a coroutine$",
  "attempt to yield across a C%-call boundary$",
  "cannot resume dead coroutine$",
  "cannot resume non%-suspended coroutine$",
  "cannot resume a generator that awaits$",
  "cannot close a %w+ coroutine$",
  "got a non%-closable value$",
  "'__tostring' must return a string$",
  "object length is not an integer$",
  "can't send: channel is closed$",
  "needs an event loop", -- the other instance has none
  "too many %a+ to %a+$", -- where the stack could not grow
}

local function check_reason(reason)
  if type(reason) ~= "string" then return end
  if reason:find "not enough memory$" and not fuzz.failed() then
    fail "memory was there"
  end
  for _, pattern in ipairs(documented) do
    if reason:find(pattern) then return end
  end
  fail("an error that is not documented: " .. reason)
end

local program, value, values, pump, on_unhandled

--- A program that runs once, and where in the books that stands.
local function once()
  if n_runs == ROOM then return program end
  local id = n_runs + 1
  n_runs = id -- before the closure: making it may run finalizers
  local function run(...)
    runs[id] = runs[id] + 1
    if runs[id] > 1 then fail "a job ran twice" end
    return program(...)
  end
  return run, id
end

--- What is given for a handler. Only programs have a place in the books.
local function handler()
  local b = byte()
  if b < 160 then return once() end
  if b < 176 then return nil end
  if b < 192 then return setmetatable({}, {__call = program}) end
  return slot(b % SLOTS)
end

local function promise()
  local v = slot(byte() % SLOTS)
  if core.is(v) or other and other.is(v) then return v end
  for i = 0, SLOTS - 1 do
    if core.is(slot(i)) then return slot(i) end
  end
  return (core.withResolvers())
end

local function foreign()
  if not other then
    local instance = fuzz.open()
    instance.setPump(pump)
    instance.onUnhandledRejection(on_unhandled)
    other = instance
  end
  local p, resolve, reject = other.withResolvers()
  keep(reject)
  keep(resolve)
  return keep(p)
end

local function with(metamethod)
  return function() return setmetatable({}, {[metamethod] = program}) end
end

local makers = {
  function() return nil end,
  function() return byte() end,
  function() return byte() < 128 end,
  function() return "text" end,
  function() return {} end,
  function() return program end,
  function() return {next = program} end,
  function() return {next = setmetatable({}, {__call = program})} end,
  function() return {next = value()} end,
  function() return {n = byte() % 8, value(), value()} end,
  with "__index", with "__tostring", with "__gc", with "__close",
  with "__len",
  function() return core.resolve(values()) end,
  function() return core.reject(value()) end,
  function() return (core.withResolvers()) end,
  function() return (coroutine.running()) end,
  foreign,
}

function value()
  local b = byte()
  if b >= 128 then return slot(b % SLOTS) end
  return makers[b % #makers + 1]()
end

function values()
  local n = byte() % 8
  if n == 0 then return end
  if n == 1 then return value() end
  if n == 2 then return value(), value() end
  if n == 3 then return value(), value(), value() end
  if n == 4 then return value(), nil end
  if n == 5 then return table.unpack({}, 1, byte()) end
  return slot(n - 6)
end

--- Register handlers, and write down which must run.
local function react(p, method)
  local f, f_id = handler()
  local g, g_id
  if method == "next" then g, g_id = handler() end
  if method == "catch" then f, f_id, g, g_id = nil, nil, f, f_id end
  local d
  if method == "catch" then
    d = p:catch(g)
  else
    d = p[method](p, f, g)
  end
  keep(d)
  if method ~= "finally" and n_reactions < ROOM and core.is(p) then
    n_reactions = n_reactions + 1
    sources[n_reactions], derived[n_reactions] = p, d
    on_fulfilled[n_reactions] = f_id or 0
    on_rejected[n_reactions] = g_id or 0
  end
end

--- Write down that a promise has settled, if so: it is to stay as it is.
local function watch(p)
  local state = p:status()
  if state ~= "pending" and n_settled < ROOM then
    n_settled = n_settled + 1
    settled[n_settled], states[n_settled] = p, state
  end
end

--- Give a cancel hook, and write down whose.
local function hook(p, on_cancel)
  local f, id = handler()
  on_cancel(f or program)
  if id and n_hooks < ROOM then
    n_hooks = n_hooks + 1
    hooked[n_hooks], hooks[n_hooks] = p, id
  end
end

local function cancel(p, ...)
  local pending = p:status() == "pending"
  local told = keep(p:cancel(...))
  if told and not pending then fail "a settled promise was cancelled" end
  watch(p)
end

-- A clock that moves when an operation says so, and its one timer.
local time, armed = 0, nil
local clock = {}

function clock.now()
  return time
end

function clock.timer(seconds, fn)
  armed = {at = time + seconds, fn = fn}
  return armed
end

function clock.cancel(handle)
  if armed == handle then armed = nil end
end

local function pass(seconds)
  time = time + seconds
  while armed and armed.at <= time do
    local handle = armed
    armed = nil
    if not pcall(handle.fn) and not armed then -- no memory even to start it
      armed = handle
      return
    end
  end
end

--- Something to iterate over. It must end, so it is nothing from a slot.
local function iterable()
  local b = byte() % 8
  if b < 4 then
    local list = {}
    for i = 1, b + 1 do list[i] = value() end
    list.n = byte() % 8 > 0 and b + 1 or nil
    return list
  end
  if b == 4 then return program, nil, nil, value() end
  if b == 5 then return core.wrap(program) end
  if b == 6 then return coroutine.wrap(program) end
  return setmetatable({n = byte() % 4}, {__index = program})
end

local function keys()
  return {a = value(), b = value(), [value() or 1] = value()}
end

local function pick(list)
  return list[byte() % #list + 1]
end

local makes = {"resolve", "fulfill", "reject", "withResolvers"}
local combinators = {"all", "allSettled", "any", "race"}
local keyed = {"allKeyed", "allSettledKeyed"}
local waits = {"await", "pawait", "await", "pawait", "awaitLoop"}
local asks = {"status", "traceback"}

-- With any arguments at all.
local functions = {
  "new", "try", "is", "allKeyed", "allSettledKeyed", "isAggregate", "async",
  "spawn", "wrap", "drain", "queueMicrotask", "onUnhandledRejection",
  "setWake", "report", "construct",
}

local collectors = {
  "collect", "step", "collect", "generational", "incremental", "step",
}

--- How many fail after the first: Lua collects garbage and tries once more,
--- so 0 is only that.
local more = {0, 1, 2, 7, 1 << 30}

--- Promises are cancelled without ado. (A hook may raise what it was given.)
local function check_report(reason, p)
  check_reason(reason)
  if p ~= nil and core.is(p) and core.isCancelled(reason) then
    fail "a cancellation was reported"
  end
end

function on_unhandled(reason, p)
  check_report(reason, p)
  return program()
end

function pump()
  if core.inside() then return "can't await in a handler, nor here" end
  repeat
    core.drain()
    program()
  until ended()
  core.drain()
end

local function close_after(v)
  local _ <close> = v
  return program()
end

--- The coroutine in a slot, or a new one.
local function thread()
  local v = slot(byte() % SLOTS)
  if type(v) == "thread" then return v end
  return keep(coroutine.create(program))
end

local function keep_all(...)
  for i = 1, select("#", ...) do keep((select(i, ...))) end
end

--- After a protected call.
local function caught(ok, reason)
  if not ok then check_reason(reason) end
  return keep(reason)
end

local operations = {
  function() keep(core.new(handler() or program)) end,
  function() keep_all(core[pick(makes)](values())) end,
  function() keep(core.try(handler() or program, values())) end,
  function() -- settle, or call an async function or generator
    local f = slot(byte() % SLOTS)
    if type(f) == "function" then keep(f(values())) end
  end,
  function() react(promise(), "next") end,
  function() react(promise(), "catch") end,
  function() react(promise(), "finally") end,
  function() keep(core[pick(combinators)](iterable())) end,
  function() keep(core[pick(keyed)](keys())) end,
  function() core.queueMicrotask(handler() or program, values()) end,
  function() keep(core.async(program)) end,
  function() keep(core.spawn(handler() or program, values())) end,
  function() keep(core[pick(waits)](value())) end,
  function() keep(promise():await()) end,
  function() keep(core.wrap(program)) end,
  function() keep(coroutine.wrap(program)) end,
  function() keep(coroutine.create(program)) end,
  function() caught(coroutine.resume(thread(), values())) end,
  function() caught(coroutine.close(thread())) end,
  function() keep(coroutine.yield(values())) end,
  function() keep(coroutine.running()) end,
  function()
    local max = byte() % 8
    core.drain(max > 0 and max or nil)
    if other then other.drain() end
  end,
  function() collectgarbage(pick(collectors)) end,
  function() slots[byte() % SLOTS + 1] = false end,
  function() for i = 1, SLOTS do slots[i] = false end end,
  function() fuzz.arm(byte() + 1, pick(more)) end,
  function() fuzz.arm(0, 0) end,
  function()
    core.onUnhandledRejection(byte() % 4 > 0 and on_unhandled or nil)
  end,
  function() core.setWake(byte() % 4 > 0 and program or nil) end,
  function() caught(pcall(program)) end,
  function() close_after(with "__close"()) end,
  function() keep(setmetatable({}, {__gc = program})) end,
  function()
    local p = promise()
    keep(select(2, p[pick(asks)](p)))
    tostring(p)
    watch(p)
  end,
  function() keep_all(core[pick(functions)](values())) end,
  function() keep(value()) end,
}

local cancelling_functions = {
  "shield", "isCancelled", "cancellation", "aggregate", "unwrap", "canAwait",
}

local function cancel_at_end(p)
  local _ <close> = p
  return program()
end

--- Cancelling: see `program` for where these stand among the bytes.
local cancelling = {
  function() cancel(promise()) end,
  function() cancel(promise(), value()) end,
  function() -- once more
    local p = promise()
    cancel(p)
    cancel(p, value())
  end,
  function() keep(core.shield(promise())) end,
  function() -- the same functions as without hooks, and which adds them
    local p, resolve, reject, on_cancel = core.withResolvers()
    hook(p, on_cancel)
    keep_all(on_cancel, reject, resolve, p)
  end,
  function()
    local on_cancel
    local p = core.new(function(resolve, reject, add)
      on_cancel = add
      return program(resolve, reject)
    end)
    keep(p)
    if on_cancel then -- there was memory to call the executor
      hook(p, on_cancel)
      keep(on_cancel)
    end
  end,
  function() cancel_at_end(promise()) end,
  function() -- a call that goes on after its cancellation
    local v = value()
    keep(core.spawn(function()
      caught(pcall(core.await, v))
      return program()
    end))
  end,
  function() -- one whose variables close with it
    local v = value()
    keep(core.spawn(function()
      local _ <close> = with "__close"()
      keep(core.await(v))
      return program()
    end))
  end,
  function()
    local p = keep(core[pick(combinators)](iterable()))
    cancel(p)
  end,
  function() -- a long way up
    local p = promise()
    for _ = 1, byte() * 2 do p = p:next() end
    cancel(keep(p))
  end,
  function() -- many dead waiters
    local p = promise()
    for _ = 1, byte() % 32 do core.race {p, 1} end
  end,
  function() -- in a job
    local p = promise()
    core.queueMicrotask(function() cancel(p) end)
  end,
  function() keep_all(core[pick(cancelling_functions)](values())) end,
  function() keep(promise():timeout(byte() % 4, value())) end,
  function() keep(core.delay(byte() % 4, values())) end,
  function() pass(byte() % 4) end,
  function() keep(core.select(iterable())) end,
  function() keep(core.select(keys())) end,
  function() keep(core.cancelled()) end,
  function() -- a crowd, of which some leave
    local p = promise()
    local crowd = {}
    for i = 1, byte() % 32 do
      crowd[i] = i % 3 == 0 and p:finally(program) or
        i % 3 == 1 and core.spawn(core.await, p) or p:next(program)
    end
    for i = 1, #crowd, 2 do cancel(crowd[i]) end
    keep_all(table.unpack(crowd, 1, 3))
  end,
  function() -- permits, given back in some job
    local semaphore = core.semaphore(byte() % 3 + 1)
    for _ = 1, byte() % 8 do
      keep(semaphore:acquire()):next(function(permit)
        program()
        permit()
      end)
    end
  end,
  function() -- a call that holds one, and waits
    local semaphore, v = core.semaphore(1), value()
    for _ = 1, byte() % 4 do
      keep(core.spawn(function()
        local _ <close> = core.await(semaphore:acquire())
        return core.await(v)
      end))
    end
  end,
  function()
    local channel = core.channel(byte() % 3)
    for _ = 1, byte() % 4 do keep(channel:receive()) end
    for _ = 1, byte() % 4 do keep(channel:send(value() or 1, value())) end
    if byte() % 2 == 0 then channel:close(value()) end
    keep(core.spawn(function()
      for v in channel do keep(v) end
    end))
  end,
  function()
    local event = core.event()
    for _ = 1, byte() % 4 do keep(event:wait()) end
    program()
    event:set()
    keep(event:wait())
  end,
  function() -- a group, as scopes have one
    local group = core.group({}, program)
    for _ = 1, byte() % 4 do
      keep(core.spawnChild(group, program, value()))
    end
    keep(core.idlePromise(group, program))
    if byte() % 2 == 0 then
      core.askChildren(group, core.cancellation(value()))
    end
  end,
}

--- The next bytes, up to one that ends it.
function program(a, b)
  keep(b)
  keep(a)
  while true do
    local code = byte()
    if code == 0 then return end
    if code >= 248 then return values() end
    if code >= 240 then error(value(), 0) end
    local list = code < 184 and operations or cancelling
    asked = asked or list == cancelling
    list[code % #list + 1]()
  end
end

local function run()
  caught(pcall(program))
end

local function expect(condition, message)
  if not condition then fail(message) end
end

local function excused(p)
  local _, reason = p:status()
  return type(reason) == "string" and (reason:find "not enough memory$" or
    reason:find "stack overflow" or reason:find "error in error handling$")
end

--- Whether a promise was cancelled. (One may reject with a failure instead,
--- and still not run its handler.)
local function cancelled(p)
  local _, reason = p:status()
  if core.is(p) and core.isCancelled(reason) or
      other and other.isCancelled(reason) then
    return true
  end
end

local function check_handler(id, wanted, d, message)
  local n = id == 0 and wanted or runs[id]
  if n ~= wanted and not (n == 0 and (asked or cancelled(d))) then
    fail(message)
  end
end

--- Those handlers have run that had to, and no others.
local function check_reactions()
  for i = 1, n_reactions do
    local source, d = sources[i], derived[i]
    if source and d and not excused(d) then
      local status = source:status()
      check_handler(on_fulfilled[i], status == "fulfilled" and 1 or 0, d,
        "a handler of a promise that is " .. status)
      check_handler(on_rejected[i], status == "rejected" and 1 or 0, d,
        "a handler of a rejection of a promise that is " .. status)
    end
  end
end

--- A promise whose hook has run was cancelled, and one that has settled stays
--- as it was.
local function check_settled()
  for i = 1, n_hooks do
    local p = hooked[i]
    expect(not p or runs[hooks[i]] == 0 or
      p:status() == "rejected" and (excused(p) or cancelled(p)),
      "a hook has run, but the promise was not cancelled")
  end
  for i = 1, n_settled do
    local p = settled[i]
    expect(not p or p:status() == states[i], "a promise has settled again")
  end
end

local function check_idle(instance)
  local jobs, rejections = instance.left()
  expect(jobs == 0, "jobs are left")
  expect(rejections == 0, "rejections are left")
  expect(not instance.inside(), "it says that it runs")
end

local function finish()
  core.setWake()
  core.onUnhandledRejection(check_report)
  if other then other.onUnhandledRejection(check_report) end
  repeat
    pass(10)
    local n = core.drain() + (other and other.drain() or 0)
  until n == 0 and core.waiting() == 0 and select(2, core.waiting()) == 0
  check_idle(core)
  if other then check_idle(other) end
  check_reactions()
  check_settled()

  local seen
  core.resolve(1):next(function(v) seen = v end)
  core.drain()
  expect(seen == 1, "a new promise does nothing")
  core.spawn(function() seen = core.await(core.resolve(2)) end)
  core.drain()
  expect(seen == 2, "a new async call does nothing")
  check_idle(core)
end

core.setClock(clock)
core.setPump(pump)
core.onUnhandledRejection(on_unhandled)
return run, finish
