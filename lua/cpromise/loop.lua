--- The loop that a program already has, and how promises use it.
---
--- A loop is a table of functions (called without `self`):
---
--- * `wake(drain)`: jobs are waiting, which was not so before. See that
---   `drain()` is called soon, not before `wake` returns, and that the loop
---   doesn't end or sleep before. `drain` takes nothing and never raises.
---   It may be asked again before it has happened.
--- * `step()`: run the loop once, waiting if need be. Returns false when
---   nothing is alive in it, so that waiting would have no end; or "stopped"
---   if the program has stopped the loop meanwhile: then `Promise.run()`
---   returns, and what waits is left as it is.
--- * `now()`: seconds since any fixed moment, never going back. The core
---   takes this function from the table once, when the loop is set: to
---   replace it, set the loop again.
--- * `timer(seconds, fn, background)`: call `fn()` once, that much later;
---   keeps the loop alive till then, unless `background` is true. Returns a
---   handle. An error in `fn` must not harm the loop: call it through
---   `loop.call`.
--- * `cancel(handle)`: the timer won't fire; without effect if it has.
--- * `inside()`: whether one of the loop's callbacks is running.
--- * `poll()`, if the loop needs it: run the loop once without waiting. It is
---   called when a run ends because its promise has settled, though the loop
---   may have work left: so handles that are being closed get closed.
---
--- All delays and timeouts together have one timer of the loop, set for the
--- first that is due. (While it is replaced there are two, for a moment.) So
--- a loop needs no good order of its own for thousands of timers. Nor does it
--- matter if it calls `fn` too early: the core looks at `now()`, and asks for
--- another timer. Between what is due the core itself runs the jobs.
---
--- For a game, say, that draws sixty frames a second and calls `frame` in
--- each with the seconds since the last one, this is a whole loop:
---
---     local loop, timers, pending = {}, {}, nil
---     local time, running = 0, false
---     function loop.wake(drain) pending = drain end
---     function loop.now() return time end
---     function loop.timer(seconds, fn, background)
---       local t = {at = time + seconds, fn = fn, background = background}
---       local i = #timers
---       while i > 0 and timers[i].at > t.at do i = i - 1 end
---       table.insert(timers, i + 1, t)
---       return t
---     end
---     function loop.cancel(t)
---       for i = #timers, 1, -1 do
---         if timers[i] == t then table.remove(timers, i) end
---       end
---     end
---     function loop.inside() return running end
---     local function frame(seconds)
---       time, running = time + seconds, true
---       while timers[1] and timers[1].at <= time do
---         require "cpromise.loop".call(table.remove(timers, 1).fn)
---       end
---       if pending then local drain = pending; pending = nil; drain() end
---       running = false
---     end
---     function loop.step()
---       frame(1 / 60)
---       for _, t in ipairs(timers) do
---         if not t.background then return true end
---       end
---       return pending ~= nil
---     end

local check = require "cpromise.check"
local core = require "cpromise.core"

if core.modules.loop then return core.modules.loop end -- see init.lua

local loop = {}

local functions = {"wake", "step", "now", "timer", "cancel", "inside"}

-- Libraries that bring a loop, and the module that makes it one of ours.
local known = {
  {library = "luv", module = "cpromise.loop.luv"},
}

local chosen -- by the program
local found -- by ourselves

-- Delays and timeouts go by the clock of this loop.
local function use(current)
  core.setClock(current)
  return current
end

-- The loop whose library the program has loaded already.
local function find_loaded()
  for _, entry in ipairs(known) do
    if package.loaded[entry.library] then
      return use(require(entry.module))
    end
  end
end

-- luv calls its callbacks on the coroutine that loaded it, even one that was
-- collected since. So it is loaded on the main one, or on one that stays.
local loaders = {}

local function load_library(name)
  local _, is_main = coroutine.running()
  if is_main then return pcall(require, name) end
  loaders[name] = coroutine.create(require)
  return coroutine.resume(loaders[name], name)
end

local function find_installed()
  for _, entry in ipairs(known) do
    if load_library(entry.library) then return use(require(entry.module)) end
  end
end

--- The loop in use: the one that was set, or that of a library which the
--- program has loaded; nil if there is none.
---@return cpromise.Loop?
function loop.get()
  if not chosen and not found then found = find_loaded() end
  return chosen or found
end

--- The same, but an installed library is loaded for it.
---@return cpromise.Loop?
function loop.load()
  if not loop.get() then found = find_installed() end
  return chosen or found
end

--- Use this loop from now on; nil: find one again.
---@param new cpromise.Loop?
function loop.set(new)
  if new ~= nil and type(new) ~= "table" then
    check.fail(1, "setLoop", check.expected("loop", new))
  end
  for _, name in ipairs(new and functions or {}) do
    if not check.callable(new[name]) then
      check.fail(1, "setLoop", ("a loop has a function '%s'"):format(name))
    end
  end
  chosen, found = new, nil
  if new then use(new) else core.setClock() end
  core.setWake(loop.wake)
end

--- Tell the loop that jobs are waiting: the core's hook.
---@return boolean  whether there is a loop that was told
function loop.wake()
  local current = loop.get()
  if current then current.wake(core.drain) end
  return current ~= nil
end

--- Call a function for the loop; an error in it is reported as one that
--- nobody handles.
---@param fn function
function loop.call(fn)
  local ok, reason = pcall(fn)
  if not ok then core.report(reason) end
end

-- Why the loop can't be run here, or nil.
local function refusal(what, current)
  if core.inside() then
    return what .. " can't be called in a handler, an async function or " ..
      "an executor: what called that runs the loop"
  elseif current and current.inside() then
    return what .. " can't be called in a callback of the loop, which is " ..
      "running already"
  end
end

-- Run jobs and the loop until `done()`, or until nothing is left to do.
-- Returns why it ended before that, if it was stopped.
local function run_until(current, done)
  repeat
    core.drain()
    if done() then
      if current and current.poll then current.poll() end
      return
    end
    local alive = current and current.step()
    if alive == "stopped" then
      return "promise still pending: the loop was stopped"
    end
  until not alive and core.idle()
end

local function never()
  return false
end

--- Run jobs and the loop until the promise has settled, or nothing is left to
--- do: how the core waits on the main thread.
---@return string?  why it can't
function loop.pump(promise)
  local current = loop.load()
  local why = refusal("await on the main thread", current)
  if why then return why end
  return run_until(current, function()
    return not core.is(promise) or promise:status() ~= "pending"
  end)
end

--- Run jobs and the loop until nothing is left to do; or, given a function,
--- until the async call of it has settled.
function loop.run(...)
  local given = select("#", ...) > 0
  if given and not check.callable(...) then
    check.fail(1, "run", check.expected("callable", (...)))
  end
  local current = loop.load()
  local why = refusal("Promise.run", current)
  if why then error(why, 2) end
  if given then return core.awaitLoop(core.spawn(...)) end
  run_until(current, never)
end

local libraries = {}
for i, entry in ipairs(known) do libraries[i] = entry.library end
core.setLibraries(package.loaded, libraries)
core.setLoader(loop.load)
core.setPump(loop.pump)
core.setWake(loop.wake)

core.modules.loop = loop
return loop
