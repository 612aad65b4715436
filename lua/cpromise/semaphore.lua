--- What semaphores have in Lua: the method `with`.

local check = require "cpromise.check"
local core = require "cpromise.core"

-- What the function has returned, settled if it is a promise.
local function settled(...)
  if core.is((...)) then return core.await((...)) end
  return ...
end

local function run(semaphore, fn, ...)
  local _ <close> = core.await(semaphore:acquire())
  return settled(fn(...))
end

--- A promise of the results of `fn(...)`, called while it holds a permit.
function core.semaphore_methods:with(fn, ...)
  check.object(self, "semaphore", "with")
  local why = check.not_callable(fn)
  if why then check.fail(2, "with", why) end
  return core.spawn(run, self, fn, ...)
end

return core.semaphore
