--- luv without promises: what timers cost by themselves.

local uv = require "luv"

local P = {}

function P.timer(seconds, fn)
  local timer = uv.new_timer()
  timer:start(math.ceil(seconds * 1000), 0, function()
    timer:close()
    fn()
  end)
end

function P.run()
  uv.run()
end

return P
