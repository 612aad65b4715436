--- What a program leaves behind when it ends.

local core = require "cpromise.core"

local left = {}

-- A program that has said why it ends needs no more advice.
local is_silent = false

function left.silence()
  is_silent = true
end

local function add(parts, n, singular, plural)
  if n > 0 then
    parts[#parts + 1] = ("%d %s"):format(n, n == 1 and singular or plural)
  end
end

--- Runs when the Lua state closes: a program that forgot to run its jobs is
--- told so. (A finalizer on the promises themselves could not tell this from
--- ordinary garbage, and would cost every one of them.) What it left behind
--- when it had run what it wanted, it knows of.
function left.report()
  local jobs, rejections, delays, calls, is_news = core.left()
  local parts = {}
  if is_silent or jobs + rejections == 0 and not is_news then return end
  add(parts, jobs, "job never ran", "jobs never ran")
  add(parts, delays, "timer never fired", "timers never fired")
  add(parts, rejections, "rejection was never reported",
    "rejections were never reported")
  local advice = #parts > 0 and "end the program with Promise.run()" or
    "nothing is left that could settle what they await"
  add(parts, calls, "async call never ended", "async calls never ended")
  if #parts > 0 then
    local last = table.remove(parts)
    local list = table.concat(parts, ", ")
    io.stderr:write("cpromise: ", #parts > 0 and list .. " and " or "", last,
      "; ", advice, "\n")
  end
end

return left
