--- A function applied to every element, to so many at once.

local check = require "cpromise.check"
local core = require "cpromise.core"
local iterable = require "cpromise.iterable"

local known = {
  concurrency = function(v) return check.not_count(v, 1) end,
  progress = check.not_callable,
}

-- Cancel what runs: what pulls elements, then the calls, the oldest first.
local function stop(job, cancellation)
  job.over = true
  for i = 0, job.pulled do
    local call = job.calls[i]
    if call and not call:cancel(cancellation) then job.calls[i] = nil end
  end
end

-- An async call of the job has been rejected.
local function fail(job, i, call, reason)
  if not job.over then
    job.resolve(call) -- follow it: so its traceback is handed on
    stop(job, core.cancellation(reason))
  elseif job.calls[i] then
    call:next() -- it has failed after it was cancelled: let that be reported
  end
end

-- The first async call of the job that is rejected rejects it. If memory
-- lacks even for that, so does the lack.
local function observe(job, i, call)
  job.calls[i] = call
  call:catch(function(reason) fail(job, i, call, reason) end)
    :catch(job.reject)
end

local function finish_if_complete(job)
  if job.completed ~= job.total then return end
  job.over = true
  job.results.n = job.total
  job.resolve(job.results)
end

-- The call for one element. It holds a slot until it ends.
local function apply(job, element, i)
  local fn, progress = job.fn, job.progress
  job.results[i] = core.await(fn((core.await(element)), i))
  if job.over then return end
  job.done = job.done + 1
  if progress then progress(job.done, job.total or job.expected) end
  job.completed = job.completed + 1
  job.calls[i] = nil
  job.running = job.running - 1
  if job.on_free then job.on_free() end
  finish_if_complete(job)
end

local function start(job, element)
  local i = job.pulled + 1
  job.pulled, job.running = i, job.running + 1
  observe(job, i, core.spawn(apply, job, element, i))
end

local function wait_for_slot(job)
  while job.running >= job.limit do
    local free
    free, job.on_free = core.withResolvers()
    core.await(free)
  end
end

-- An async call too, so that an iterator can await.
local function pull(job, source)
  local step
  step, job.expected = iterable.steps(source)
  while not job.over do
    wait_for_slot(job)
    local more, element = step()
    if not more then
      job.total = job.pulled
      finish_if_complete(job)
      return
    elseif not job.over then
      start(job, element)
    end
  end
end

--- A promise of the results of `fn(element, index)`, in input order.
return function(source, fn, options)
  if type(source) ~= "table" and not check.callable(source) then
    check.fail(1, "map", check.expected("iterable", source))
  end
  local why = check.not_callable(fn)
  if why then check.fail(2, "map", why) end
  why = check.not_options(options, known)
  if why then check.fail(3, "map", why) end

  local promise, resolve, reject, on_cancel = core.withResolvers()
  local job = {
    fn = fn,
    limit = options and options.concurrency or math.huge,
    progress = options and options.progress,
    resolve = resolve,
    reject = reject,
    results = {n = 0},
    calls = {}, -- those that run, by index; 0 is what pulls elements
    pulled = 0, -- elements
    running = 0, -- calls
    done = 0, -- calls that have a result
    completed = 0, -- ... and have told the progress
    over = false, -- settled or cancelled
  }
  on_cancel(function(cancellation) stop(job, cancellation) end)
  observe(job, 0, core.spawn(pull, job, source))
  return promise
end
