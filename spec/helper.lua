--- What the specs share. Paths are set by `make test`.

local Promise = require "cpromise"

local helper = {}

--- Multiplies the large sizes: 0.01 for slow hosts, more for long runs.
helper.scale = tonumber(os.getenv "SCALE") or 1

--- A large size, at least 1.
function helper.scaled(n)
  return math.max(1, math.floor(n * helper.scale))
end

--- Run all jobs that wait.
function helper.drain()
  return Promise.drain()
end

--- `status, ...` of a promise after all jobs have run.
function helper.outcome(promise)
  Promise.drain()
  return promise:status()
end

--- Collect all garbage, finalizers included.
function helper.collect()
  collectgarbage()
  collectgarbage()
end

--- Collect the unhandled rejections of a block: a list of
--- {reason=, promise=, traceback=}.
function helper.unhandled(block)
  local seen = {}
  local previous = Promise.onUnhandledRejection(
    function(reason, promise, traceback)
      seen[#seen + 1] =
        {reason = reason, promise = promise, traceback = traceback}
    end)
  local ok, err = pcall(block)
  Promise.drain()
  Promise.onUnhandledRejection(previous)
  if not ok then error(err, 0) end
  return seen
end

return helper
