--- Promises in plain Lua, as thrifty as the right order allows: what the C
--- core has to beat. It does what bench/workloads.lua and the programs in
--- spec/orders need, and nothing else: one value, tables for thenables, no
--- reports, no tracebacks, no checks of arguments.
---
--- A promise is an array of six. While it is pending it is also the reaction
--- that waits in the ring of another promise, and the job in the queue, so a
--- `next` makes one table; an async call waits in its own promise.

local STATE <const>, VALUE <const> = 1, 2
local HANDLER <const> = 2 -- + the state of what it waits for
local LINK <const> = 5 -- the next one in the ring
local REACTIONS <const> = 6 -- the last one of its ring

local PENDING <const>, FULFILLED <const>, REJECTED <const> = 0, 1, 2

local resume, yield = coroutine.resume, coroutine.yield

local P = {}
local methods = {}
local metatable = {__index = methods, __name = "promise"}

local function make(on_fulfilled, on_rejected)
  return setmetatable(
    {PENDING, nil, on_fulfilled, on_rejected, nil, nil}, metatable)
end

-- The queue: entries of two, what to run and with what.
local queue, head, tail = {}, 0, 0

local function enqueue(job, source)
  queue[tail + 1], queue[tail + 2] = job, source
  tail = tail + 2
end

-- Resolving

local function settle(p, state, value)
  p[STATE], p[VALUE] = state, value
  local last = p[REACTIONS]
  if not last then return end
  p[REACTIONS] = nil
  local reaction = last
  repeat
    reaction = reaction[LINK]
    enqueue(reaction, p)
  until reaction == last
end

local function link(reaction, source)
  if source[STATE] ~= PENDING then return enqueue(reaction, source) end
  local last = source[REACTIONS]
  if last then
    reaction[LINK], last[LINK] = last[LINK], reaction
  else
    reaction[LINK] = reaction
  end
  source[REACTIONS] = reaction
end

local function is_callable(v)
  local meta = getmetatable(v)
  return type(v) == "function" or meta and is_callable(meta.__call)
end

local function get_next(v)
  return v.next
end

local resolve

local function resolving_functions(p)
  local done = false
  return function(value)
    if done then return end
    done = true
    resolve(p, value)
  end, function(reason)
    if done then return end
    done = true
    settle(p, REJECTED, reason)
  end
end

local function resolve_with_thenable(p, thenable)
  local found, method = pcall(get_next, thenable)
  if not found then return settle(p, REJECTED, method) end
  if method == next or not is_callable(method) then
    return settle(p, FULFILLED, thenable)
  end
  enqueue(function()
    local resolve_p, reject_p = resolving_functions(p)
    local ok, reason = pcall(method, thenable, resolve_p, reject_p)
    if not ok then reject_p(reason) end
  end)
end

function resolve(p, value)
  if type(value) ~= "table" then return settle(p, FULFILLED, value) end
  if value == p then
    settle(p, REJECTED, "TypeError: a promise can't follow itself")
  elseif getmetatable(value) == metatable then
    p[HANDLER + FULFILLED], p[HANDLER + REJECTED] = nil, nil
    enqueue(link, {p, value})
  else
    resolve_with_thenable(p, value)
  end
end

-- Jobs

local function step(call, thread, ...)
  local ok, value = resume(thread, ...)
  if not ok then return settle(call, REJECTED, value) end
  if coroutine.status(thread) == "dead" then return resolve(call, value) end
  link(call, value)
end

local function finish(p, ok, value)
  if ok then return resolve(p, value) end
  settle(p, REJECTED, value)
end

local function react(p, source)
  local state, value = source[STATE], source[VALUE]
  local handler = p[HANDLER + state]
  if type(handler) == "thread" then
    step(p, handler, state == FULFILLED, value)
  elseif handler then
    p[HANDLER + FULFILLED], p[HANDLER + REJECTED] = nil, nil
    finish(p, pcall(handler, value))
  elseif state == FULFILLED then
    resolve(p, value)
  else
    settle(p, REJECTED, value)
  end
end

function P.drain()
  while head < tail do
    local job, source = queue[head + 1], queue[head + 2]
    queue[head + 1], queue[head + 2] = nil, nil
    head = head + 2
    if head == tail then head, tail = 0, 0 end
    if type(job) == "table" then
      react(job, source)
    elseif job == link then
      link(source[1], source[2])
    else
      pcall(job)
    end
  end
end

function P.queueMicrotask(fn)
  enqueue(fn)
end

-- Making and chaining

function P.new(executor)
  local p = make()
  local resolve_p, reject_p = resolving_functions(p)
  local ok, reason = pcall(executor, resolve_p, reject_p)
  if not ok then reject_p(reason) end
  return p
end

function P.withResolvers()
  local p = make()
  return p, resolving_functions(p)
end

function P.resolve(value)
  if getmetatable(value) == metatable then return value end
  local p = make()
  resolve(p, value)
  return p
end

function P.reject(reason)
  local p = make()
  settle(p, REJECTED, reason)
  return p
end

function methods:next(on_fulfilled, on_rejected)
  local p = make(is_callable(on_fulfilled) and on_fulfilled,
    is_callable(on_rejected) and on_rejected)
  link(p, self)
  return p
end

function methods:catch(on_rejected)
  return self:next(nil, on_rejected)
end

function methods:finally(fn)
  if not is_callable(fn) then return self:next(fn, fn) end
  return self:next(function(value)
    return P.resolve(fn()):next(function() return value end)
  end, function(reason)
    return P.resolve(fn()):next(function() error(reason, 0) end)
  end)
end

-- Combinators

-- Calls on_element(i, promise) for each of a list or iterator, and reject if
-- that raises: whether it did not.
local function each(iterable, reject, on_element)
  local function iterate()
    local count = 0
    local following = type(iterable) == "function" and iterable or function()
      return iterable[count + 1]
    end
    for element in following do
      count = count + 1
      on_element(count, P.resolve(element))
    end
  end
  local ok, reason = pcall(iterate)
  if not ok then reject(reason) end
  return ok
end

-- The promise for what is gathered in a tally: handlers(tally, i, count_down)
-- are those of element i, finished(tally) settles it.
local function gather(iterable, handlers, finished)
  local p, resolve_p, reject_p = P.withResolvers()
  local tally = {n = 0, left = 1, resolve = resolve_p, reject = reject_p}
  local function count_down()
    tally.left = tally.left - 1
    if tally.left == 0 then finished(tally) end
  end
  local function element(i, promise)
    tally.n, tally.left = i, tally.left + 1
    promise:next(handlers(tally, i, count_down))
  end
  if each(iterable, reject_p, element) then count_down() end
  return p
end

local function keep(tally, i, count_down)
  return function(value)
    tally[i] = value
    count_down()
  end
end

local function result(tally)
  local list = {n = tally.n}
  return table.move(tally, 1, tally.n, 1, list)
end

local function resolve_all(tally)
  tally.resolve(result(tally))
end

function P.all(iterable)
  return gather(iterable, function(tally, i, count_down)
    return keep(tally, i, count_down), tally.reject
  end, resolve_all)
end

function P.allSettled(iterable)
  return gather(iterable, function(tally, i, count_down)
    local store = keep(tally, i, count_down)
    return function(value)
      store {status = "fulfilled", value = value}
    end, function(reason)
      store {status = "rejected", reason = reason}
    end
  end, resolve_all)
end

function P.any(iterable)
  return gather(iterable, function(tally, i, count_down)
    return tally.resolve, keep(tally, i, count_down)
  end, function(tally)
    tally.reject {errors = result(tally)}
  end)
end

function P.race(iterable)
  local p, resolve_p, reject_p = P.withResolvers()
  each(iterable, reject_p, function(_, promise)
    promise:next(resolve_p, reject_p)
  end)
  return p
end

-- Coroutines

function P.async(fn)
  return function(...)
    local thread = coroutine.create(fn)
    local call = make(thread, thread)
    step(call, thread, ...)
    return call
  end
end

function P.spawn(fn, ...)
  return P.async(fn)(...)
end

function P.await(v)
  local ok, value = yield(P.resolve(v))
  if ok then return value end
  error(value, 0)
end

return P
