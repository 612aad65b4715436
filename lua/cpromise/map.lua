--- A function applied to every element, to so many at once.
---
--- Workers do it, so many at most. Each takes an element, waits for what the
--- function makes of it, and takes the next one. The call of `map` starts
--- them and waits till none runs.

local check = require "cpromise.check"
local core = require "cpromise.core"
local group = require "cpromise.group"
local iterable = require "cpromise.iterable"

local known = {
  concurrency = function(v) return check.not_count(v, 1) end,
  progress = check.not_callable,
}

-- The first failure is the reason of all; later ones are reported. One that
-- was cancelled by hand ends the others, too.
local function rejected(job, reason, promise)
  local is_failure = not core.isCancelled(reason)
  if #job.failures > 0 then return is_failure end
  if is_failure or not job.cancellation then
    group.fail(job, reason, promise)
  end
end

-- An iterator that awaits keeps the other workers waiting for their turn.
local function wait_for_turn(job)
  while job.taking do
    if not job.turn then job.turn, job.give_turn = core.withResolvers() end
    core.await(job.turn)
  end
end

local function give_turn(job)
  job.turn = nil
  job.give_turn()
end

-- Take the next element: its index and itself, or nothing at the end. If the
-- iterator raises, all workers are cancelled.
local function take(job)
  if job.taking then wait_for_turn(job) end
  if job.cancellation or job.exhausted then return end
  job.taking = true
  local more, element = job.step()
  job.taking = false
  if job.turn then give_turn(job) end
  if not more then
    job.exhausted = true
    return
  end
  local results = job.results
  local i = results.n + 1
  results.n = i
  return i, element
end

local function tell_progress(job)
  job.done = job.done + 1
  job.progress(job.done, job.exhausted and job.results.n or job.expected)
end

-- The first time it awaits whatever it is: so that nothing is called in
-- `map`; later only what may be something to wait for.
local function work(job, i, element)
  local await, fn, results = core.await, job.fn, job.results
  element = await(element)
  while i do
    results[i] = await(fn(element, i))
    if job.progress and not job.cancellation then
      tell_progress(job)
    end
    i, element = take(job)
    local kind = type(element)
    if kind == "table" or kind == "userdata" then element = await(element) end
  end
end

-- Start workers while there are elements for them.
local function start(job, source)
  job.step, job.expected = iterable.steps(source)
  local i, element = take(job)
  while i do
    job.workers = job.workers + 1
    group.spawn(job, work, job, i, element)
    if job.workers >= job.limit then return end
    i, element = take(job)
  end
end

-- The call behind the promise.
local function run(job, source)
  group.spawn(job, start, job, source)
  local asked = group.join(job)
  group.raise_failures(job)
  if asked then error(asked, 0) end
  return job.results
end

-- Lua passes only the first result of `pairs(t)` where others follow it.
local halved = {[next] = "pairs", [(ipairs {})] = "ipairs"}

local function not_source(v)
  if halved[v] then
    return ("only the first result of %s arrives here: give the table, " ..
      "or a function that iterates"):format(halved[v])
  end
  return check.not_iterable(v)
end

--- A promise of the results of `fn(element, index)`, in input order.
return function(source, fn, options)
  local why = not_source(source)
  if why then check.fail(1, "map", why) end
  why = check.not_callable(fn)
  if why then check.fail(2, "map", why) end
  why = check.not_options(options, known)
  if why then check.fail(3, "map", why) end
  return core.spawn(run, group.init {
    fn = fn,
    limit = options and options.concurrency or math.huge,
    progress = options and options.progress,
    rejected = rejected,
    results = {n = 0},
    workers = 0,
    taking = false, -- an element, just now
    done = 0, -- elements that have a result
  }, source)
end
