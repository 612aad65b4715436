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

-- Take the next element: its index, or nil at the end. An iterator may await:
-- then the other workers wait for their turn.
local function take(job)
  while job.taking do core.await(job.taking) end
  if job.cancellation or job.exhausted then return end
  local done
  job.taking, done = core.withResolvers()
  local _ <close> = setmetatable({}, {__close = function()
    job.taking = nil
    done()
  end})
  local more, element = job.step()
  if not more then
    job.exhausted = true
    return
  end
  local i = job.results.n + 1
  job.results.n = i
  return i, element
end

-- Whether a value may be something to wait for.
local function is_object(v)
  local kind = type(v)
  return kind == "table" or kind == "userdata"
end

local function apply(job, i, element)
  local result = core.await(job.fn(element, i))
  job.results[i] = result
  job.done = job.done + 1
  if job.progress and not job.cancellation then
    job.progress(job.done, job.exhausted and job.results.n or job.expected)
  end
end

-- The first time it awaits whatever it is: so that nothing is called in
-- `map`.
local function work(job, i, element)
  element = core.await(element)
  while i do
    apply(job, i, element)
    i, element = take(job)
    if is_object(element) then element = core.await(element) end
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
  group.spawn_first(job, "starter", start, job, source)
  local asked = group.join(job)
  group.raise_failures(job)
  if asked then error(asked, 0) end
  return job.results
end

-- Lua passes only the first result of `pairs(t)` where others follow it.
local halved = {[next] = "pairs", [(ipairs {})] = "ipairs"}

local function not_source(v)
  if type(v) ~= "table" and not check.callable(v) then
    return check.expected("iterable", v)
  elseif halved[v] then
    return ("only the first result of %s arrives here: give the table, " ..
      "or a function that iterates"):format(halved[v])
  end
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
    done = 0, -- elements that have a result
  }, source)
end
