--- What the specs share. Paths are set by `make test`.

local Promise = require "cpromise"
local check = require "cpromise.check"

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

--- Whether this Lua has luv.
helper.has_luv = pcall(require, "luv")

--- The names of the options that a call looks for, which it is given in vain.
function helper.known_options(call)
  local names = {}
  local not_options = check.not_options
  check.not_options = function(v, known)
    for name in pairs(known) do names[name] = true end
    return not_options(v, known)
  end
  pcall(call, {["no such option"] = true})
  check.not_options = not_options
  return names
end

--- Collect all garbage, finalizers included.
function helper.collect()
  collectgarbage()
  collectgarbage()
end

helper.incremental = require "spec.collector"

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

--- The message of the error that a block raises at one of its own lines.
function helper.raised(block)
  local ok, err = pcall(block)
  if ok then error("nothing was raised", 2) end
  local source = debug.getinfo(block, "S")
  local file, line, message = tostring(err):match "^(.-):(%d+): (.*)$"
  line = tonumber(line)
  if file ~= source.short_src or line < source.linedefined or
      line > source.lastlinedefined then
    error("raised elsewhere: " .. tostring(err), 2)
  end
  return message
end

--- What an error raised with that value is: since Lua 5.5 a string in the
--- place of nil.
function helper.thrown(value)
  return select(2, pcall(error, value, 0))
end

--- Another core in this Lua state, which has one for all who require it:
--- the registry forgets that for a moment.
function helper.second_core()
  local registry, loaded = debug.getregistry(), package.loaded
  local first, required = registry["cpromise.core"], loaded["cpromise.core"]
  registry["cpromise.core"], loaded["cpromise.core"] = nil, nil
  local ok, second = pcall(require, "cpromise.core")
  registry["cpromise.core"], loaded["cpromise.core"] = first, required
  if not ok then error(second, 0) end
  return second
end

--- Call a function in the n-th job from now on, if others queue one each.
function helper.after_jobs(n, fn)
  if n == 0 then return fn() end
  Promise.queueMicrotask(helper.after_jobs, n - 1, fn)
end

return helper
