--- Runs order programs: small programs that log what happens, and when.
---
--- They are written in a part of Lua that `order.js` makes into JavaScript by
--- replacing words, so that a JavaScript engine can run the very same
--- program: one statement a line (or `;` between them), calls with
--- parentheses, braces for lists only, and of the language itself no more
--- than `local`, `function(...)`, `return`, `end`, `nil`, `for i = 1, n do`
--- (and none of these words in a string). Both languages know these names:
---
--- * `Promise.resolve`, `reject`, `all`, `allSettled`, `any`, `race`, and
---   the methods `next` (in JavaScript `then`), `catch` and `finally`;
--- * `make(executor)`: `Promise.new`;
--- * `p[k]`: the promise number k. One that was not assigned is pending until
---   `resolve(k, value)` or `reject(k, reason)`; `resolver(k)`: the function
---   that resolves it; `keep(k, r, j)`: from now on r and j settle number k;
--- * `start(function() ... end)`: an async call; in its body, and not in
---   functions inside it, `await(value)`, and `xpcall(function()`, a body,
---   `end, caught(text))`, which logs the error of the body and goes on;
--- * `queueMicrotask(fn)`; `turn(fn)`: call it when the queue is empty;
--- * `ticks(n)`: count the rounds of the queue: a job that logs 1 and queues
---   one that logs 2, and so on. It shows in which tick something happens;
--- * `log(text[, value])`; `say(text)`: a handler that logs its value and
---   returns it; `raise(reason)`; `outcomes(n)`: log how p[1] to p[n] settle;
--- * `thenable(name, fn[, skip])`: an object with a method `next`, which logs
---   its call and calls fn(resolve, reject). It logs each look at `next`, and
---   has none yet at the first `skip` of them; nor at any without fn;
--- * `trap(name)`: an object that raises its name when `next` is looked at;
---   `plain(name, fn)`: a thenable with `next` as a field like any other;
--- * `each(list[, stop])`: an iterator that logs its steps and fails at the
---   step `stop`.
---
--- JavaScript can't cancel promises. Programs that are not for it also know
--- `Promise.shield` and the method `cancel`, executors that take a third
--- parameter, which adds a cancel hook, and
---
--- * `hook(k, fn)`: add a cancel hook to p[k], if it was not assigned;
--- * `closing(k, fn)`: call fn in a block that p[k] is closed at the end of;
--- * `cleanup(fn)`: what calls fn when it is closed: `local _ <close> =` it;
--- * `later(n, fn)`: call fn in the n-th round of the queue from now;
--- * `asked(name, fn)`: an object that calls fn when `next` is looked at.

local order = {}

-- A thenable may be resolved with itself: the calls are limited.
local MAX_CALLS = 30

local show

-- Cancellations, and how many were shown: their numbers, so that the same one
-- can be told from one that is alike.
local cancellations

local function is_named(v, name)
  local meta = getmetatable(v)
  return meta and meta.__name == name
end

local function show_list(list)
  local shown = {}
  for i = 1, list.n do shown[i] = show(list[i]) end
  return "{" .. table.concat(shown, ",") .. "}"
end

local function show_cancellation(v)
  if not cancellations[v] then
    cancellations.n = cancellations.n + 1
    cancellations[v] = cancellations.n
  end
  return ("cancelled%d(%s)"):format(cancellations[v], show(v.reason))
end

local function show_table(v)
  if is_named(v, "Cancellation") then return show_cancellation(v) end
  if rawget(v, "label") then return v.label end
  if v.errors then return "AggregateError" .. show_list(v.errors) end
  if v.status == "fulfilled" then return "+" .. show(v.value) end
  if v.status == "rejected" then return "-" .. show(v.reason) end
  return show_list(v)
end

-- A promise is a userdata; those of model.lua are tables.
local function is_promise(v)
  return type(v) == "userdata" or is_named(v, "promise")
end

function show(v)
  if is_promise(v) then return "promise" end
  if type(v) == "table" then return show_table(v) end
  return (tostring(v):gsub("^TypeError.*", "TypeError"))
end

-- What programs log, do later, and make thenables with.
local function world(Promise)
  local entries, turns, calls = {}, {}, 0
  local names = {}

  function names.log(text, ...)
    if select("#", ...) > 0 then text = text .. "(" .. show(...) .. ")" end
    entries[#entries + 1] = text
  end

  function names.say(text)
    return function(v)
      names.log(text, v)
      return v
    end
  end

  function names.raise(reason)
    error(reason, 0)
  end

  function names.caught(text)
    return function(reason) names.log(text, reason) end
  end

  function names.turn(fn)
    turns[#turns + 1] = fn
  end

  function names.ticks(n)
    local i = 0
    local function tick()
      i = i + 1
      names.log(tostring(i))
      if i < n then Promise.queueMicrotask(tick) end
    end
    Promise.queueMicrotask(tick)
  end

  function names.cleanup(fn)
    return setmetatable({}, {__close = function() fn() end})
  end

  function names.later(n, fn)
    Promise.queueMicrotask(function()
      if n <= 1 then return fn() end
      names.later(n - 1, fn)
    end)
  end

  local function method(fn)
    return function(self, resolve, reject)
      names.log(show(self) .. "()")
      calls = calls + 1
      if calls <= MAX_CALLS then fn(resolve, reject) end
    end
  end

  function names.thenable(name, fn, skip)
    local reads = 0
    local function read(_, key)
      names.log(name .. "." .. tostring(key))
      reads = reads + 1
      if fn and reads > (skip or 0) then return method(fn) end
    end
    return setmetatable({label = name}, {__index = read})
  end

  function names.trap(name)
    local function read(_, key)
      names.log(name .. "." .. tostring(key))
      error(name, 0)
    end
    return setmetatable({label = name}, {__index = read})
  end

  function names.asked(name, fn)
    local function read(_, key)
      names.log(name .. "." .. tostring(key))
      calls = calls + 1
      if calls <= MAX_CALLS then fn() end
    end
    return setmetatable({label = name}, {__index = read})
  end

  function names.plain(name, fn)
    return {label = name, next = method(fn)}
  end

  function names.each(list, stop)
    local i = 0
    return function()
      i = i + 1
      names.log("step" .. i)
      if i == stop then error("stopped", 0) end
      return list[i]
    end
  end

  return names, entries, turns
end

-- The numbered promises.
local function add_promises(names, Promise)
  local settlers = {}

  names.p = setmetatable({}, {__index = function(p, k)
    local promise, resolve, reject, on_cancel = Promise.withResolvers()
    p[k], settlers[k] = promise, {resolve, reject, on_cancel}
    return promise
  end})

  -- Those of a promise that was assigned do nothing.
  local function settler(k, which)
    local _ = names.p[k]
    return settlers[k] and settlers[k][which] or function() end
  end

  function names.resolve(k, value) settler(k, 1)(value) end
  function names.reject(k, reason) settler(k, 2)(reason) end
  function names.resolver(k) return settler(k, 1) end
  function names.hook(k, fn) settler(k, 3)(fn) end
  function names.keep(k, resolve, reject) settlers[k] = {resolve, reject} end

  function names.closing(k, fn)
    local _ <close> = names.p[k]
    fn()
  end

  function names.outcomes(n)
    for k = 1, n do
      names.p[k]:next(names.say("+" .. k), names.say("-" .. k))
    end
  end
end

--- How a value appears in a log.
order.show = show

--- Run a program and return its log.
---@param Promise table  the implementation
---@param program string
---@param drain? function  runs all jobs; `Promise.drain` if absent
---@return string
function order.run(Promise, program, drain)
  cancellations = {n = 0}
  local names, entries, turns = world(Promise)
  add_promises(names, Promise)
  names.Promise = Promise
  names.make = Promise.new
  names.queueMicrotask = Promise.queueMicrotask
  names.start, names.await = Promise.spawn, Promise.await
  names.xpcall = xpcall
  drain = drain or Promise.drain

  assert(load(program, "=program", "t", names))()
  drain()
  for _, turn in ipairs(turns) do
    turn()
    drain()
  end
  return table.concat(entries, " ")
end

return order
