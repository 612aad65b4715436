--- Pictures of a program: a timeline of what it does, and a graph of what it
--- waits for. The functions are described in
--- types/library/cpromise/trace.lua.

local check = require "cpromise.check"
local core = require "cpromise.core"
local graph = require "cpromise.graph"
local timeline = require "cpromise.timeline"

local trace = {}

local current -- the timeline that was started last

local function is_running()
  return current ~= nil and current:is_open()
end

function trace.start(path)
  if type(path) ~= "string" then
    check.fail(1, "start", check.expected("string", path))
  end
  if is_running() then
    check.blame("a timeline is being written: end it with trace.stop()")
  end
  local new, why = timeline.open(path)
  if not new then check.blame(why) end
  current = new
end

function trace.stop()
  if not is_running() then return false end
  local ok, why = current:close()
  if not ok then check.blame(why) end
  return true
end

function trace.dot(promise)
  if not core.is(promise) then
    check.fail(1, "dot", check.expected("promise", promise))
  end
  return graph(promise)
end

return trace
