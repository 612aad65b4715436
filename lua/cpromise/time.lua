--- Time, on the loop.

local check = require "cpromise.check"
local core = require "cpromise.core"
local loop = require "cpromise.loop"

local time = {}

--- A promise that is resolved with the values after that many seconds.
function time.delay(seconds, ...)
  local why = check.not_seconds(seconds)
  if why then check.fail(1, "delay", why) end
  local current = loop.load()
  if not current then
    error("Promise.delay needs an event loop: install luv, or set one " ..
      "with Promise.setLoop", 2)
  end
  local promise, resolve, reject = core.withResolvers()
  local values = table.pack(...)
  local function settle()
    resolve(table.unpack(values, 1, values.n))
  end
  current.timer(seconds, function()
    -- there may be no memory for all the values, and no second chance
    local ok, reason = pcall(settle)
    if not ok then reject(reason) end
  end)
  return promise
end

return time
