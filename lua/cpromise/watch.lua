--- Several listeners to what the core does: csrc/watch.h says what they are
--- told. While there is none, that costs nothing but the test of a flag.
---
--- A listener is called in the midst of things: it must return soon, can't
--- await, and what it makes the core do is told to nobody. An error in it is
--- ignored, and stops neither the others nor the queue.

local core = require "cpromise.core"

local watch = {}

local listeners = {}

local function tell(...)
  for _, listener in ipairs(listeners) do pcall(listener, ...) end
end

-- A new list: a listener may leave while they are told.
local function listen(list)
  core.setWatch(#list > 0 and tell or nil)
  listeners = list
end

--- Have the function called as `listener(event, ...)` from now on.
---@param listener fun(event: string, promise: Promise?, ...)
function watch.subscribe(listener)
  local list = table.move(listeners, 1, #listeners, 1, {})
  list[#list + 1] = listener
  listen(list)
end

--- Don't call it any more.
---@param listener function
function watch.unsubscribe(listener)
  local list = {}
  for _, other in ipairs(listeners) do
    if other ~= listener then list[#list + 1] = other end
  end
  listen(list)
end

return watch
