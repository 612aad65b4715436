--- The loop that a program already has, and how promises use it.
---
--- A loop is a table of functions (called without `self`):
---
--- * `wake(drain)`: jobs are queued, which was not so before. See that
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
--- * `interrupt(fn)`, if the loop can tell: call `fn()` on each Ctrl-C
---   (SIGINT) from now on, which doesn't keep the loop alive. Returns a
---   function that ends that.
--- * `poll()`, if the loop needs it: run the loop once without waiting. It is
---   called when a run ends because its promise has settled, though the loop
---   may have work left: so handles that are being closed get closed.
---
--- A loop that resumes coroutines itself has these, too:
---
--- * `own()`: whether the running coroutine is such a one.
--- * `suspend(start)`: called in such a one: call `start(wake)`, and wait, as
---   coroutines of the loop do, till `wake()` has been called.
--- * `take(resume, ...)`: an async function has yielded these values. If they
---   are meant for the loop, do what it would do in a coroutine of its own,
---   call `resume(...)` later with what the function is to get for them, and
---   return true. If not, return false.
---
--- All delays and timeouts together have one timer of the loop, set for the
--- first that is due. (While it is replaced there are two, for a moment.) So
--- a loop needs no good order of its own for thousands of timers. Nor does it
--- matter if it calls `fn` too early: the core looks at `now()`, and asks for
--- another timer. Between what is due the core itself runs the jobs.
---
--- `cpromise.loop.frame` is a short one to begin with.

local check = require "cpromise.check"
local core = require "cpromise.core"
local see = require "cpromise.see"

if core.modules.loop then return core.modules.loop end -- see init.lua

local loop = {}

local optional = {"interrupt", "poll", "own", "suspend", "take"}
local functions = {"wake", "step", "now", "timer", "cancel", "inside"}

-- Libraries that bring a loop, and the module that makes it one of ours.
local known = {
  {library = "luv", module = "cpromise.loop.luv"},
  {library = "cqueues", module = "cpromise.loop.cqueues"},
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

--- A library that calls back on the coroutine that loaded it.
---@param name string
---@return table
function loop.library(name)
  local ok, library = load_library(name)
  if not ok then error(library, 0) end
  return package.loaded[name] or library
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
  if new ~= nil and type(new) ~= "table" or new == check.module then
    check.fail(1, "setLoop", check.expected("loop", new))
  end
  for _, entry in ipairs(new and known or {}) do
    if new == package.loaded[entry.library] then
      check.fail(1, "setLoop", ("it is the library %s itself: give " ..
        "require '%s'"):format(entry.library, entry.module))
    end
  end
  for _, name in ipairs(new and functions or {}) do
    if not check.callable(new[name]) then
      check.fail(1, "setLoop", ("a loop has a function '%s'"):format(name))
    end
  end
  for _, name in ipairs(new and optional or {}) do
    if new[name] ~= nil and not check.callable(new[name]) then
      check.fail(1, "setLoop", ("a loop's '%s' is a function"):format(name))
    end
  end
  if new and new.own and not (new.suspend and new.take) then
    check.fail(1, "setLoop", "a loop with a function 'own' has functions " ..
      "'suspend' and 'take'")
  end
  chosen, found = new, nil
  use(new)
  core.setWake(loop.wake)
end

-- How `await` waits in a coroutine that is no async call's: true if it has
-- waited. Coroutines of cqueues can't wait if another loop is used. (The
-- library may be loaded at any time, so this is asked for each.)
local function suspend(promise)
  local current = loop.get()
  if current and current.own and current.own() then
    current.suspend(function(wake)
      if core.is(promise) then promise:next(wake, wake)
      else core.queueMicrotask(wake) end
    end)
    return true
  end
  local cqueues = package.loaded.cqueues
  if cqueues and not (current and current.own) and
      select(2, cqueues.running()) then
    error("can't await in a thread of cqueues while promises use another " ..
      "loop: call Promise.setLoop(require \"cpromise.loop.cqueues\")", 0)
  end
  return false
end

-- Whether the loop takes what an async function has yielded.
local function take(...)
  local current = loop.get()
  return current and current.take and current.take(...) or false
end

-- Whether a finalizer runs, as Lua 5.4.4 and later tell. It may be that of
-- luv's loop, which ends with the Lua state: then it is too late to use it.
local function is_in_finalizer()
  return collectgarbage "count" == nil
end

--- Tell the loop that jobs are queued: the core's hook.
---@return boolean  whether there is a loop that was told
function loop.wake()
  if not (chosen or found) and is_in_finalizer() then return false end
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

--- Why the loop can't be run here, or nil.
---@param what string  who wants to
---@param current cpromise.Loop?
---@return string?
function loop.refusal(what, current)
  if core.inside() then
    return what .. " can't be called in a handler, an async function or " ..
      "an executor: what called that runs the loop"
  elseif current and current.inside() then
    return what .. " can't be called in a callback of the loop, which is " ..
      "running already: start an async function there with Promise.spawn"
  end
end

-- A loop that has coroutines of its own runs the jobs in these: there they
-- can wait for it. It may not have been there when they were queued.
local function run_jobs(current)
  if not (current and current.own) then
    core.drain()
  elseif not core.idle() then
    current.wake(core.drain)
  end
end

-- Run jobs and the loop until `done()`, or until nothing is left to do.
-- Returns why it ended before that, if it was stopped.
local function run_until(current, done)
  repeat
    run_jobs(current)
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
--- do: how the core waits on the main thread, and in `Promise.run`.
---@return string?  why it can't
function loop.pump(promise)
  local current = loop.load()
  local why = loop.refusal("await on the main thread", current)
  if why then return why end
  local function has_settled()
    return not core.is(promise) or promise:status() ~= "pending"
  end
  why = run_until(current, has_settled)
  if why or has_settled() then return why end
  return see.why_pending(promise)
end

-- Start the async call that is run: where jobs run, if that is not here.
local function start(current, ...)
  if not (current and current.own) then return core.spawn(...) end
  local promise, resolve = core.withResolvers()
  core.queueMicrotask(function(...) resolve(core.spawn(...)) end, ...)
  return promise
end

--- Run jobs and the loop until nothing is left to do; or, given a function,
--- until the async call of it has settled.
function loop.run(...)
  local given = select("#", ...) > 0
  if given and not check.callable(...) then
    local hint = core.is((...)) and "; to wait for a promise use await" or ""
    check.fail(1, "run", check.expected("callable", (...)) .. hint)
  end
  local current = loop.load()
  local why = loop.refusal("Promise.run", current)
  if why then check.blame(why) end
  if given then return core.awaitLoop(start(current, ...)) end
  run_until(current, never)
end

--- The same where one may: run until nothing is left to do.
function loop.run_out()
  run_until(loop.load(), never)
end

local libraries = {}
for i, entry in ipairs(known) do libraries[i] = entry.library end
core.setLibraries(package.loaded, libraries)
core.setLoader(loop.load)
core.setPump(loop.pump)
core.setScheduler(suspend, take)
core.setWake(loop.wake)

core.modules.loop = loop
return loop
