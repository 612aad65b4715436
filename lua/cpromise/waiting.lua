--- Those who wait for something, in the order in which they came.
---
--- A line is a ring of itself and its entries, linked both ways: so one who
--- is cancelled leaves it in constant time, wherever it stands. Nothing but
--- making lines and entries needs memory.

local core = require "cpromise.core"

local waiting = {}

--- An empty line.
function waiting.line()
  local line = {n = 0}
  line.before, line.after = line, line
  return line
end

--- Make a table an entry, which stands in no line.
---@generic T: table
---@param entry T
---@return T
function waiting.entry(entry)
  entry.line, entry.before, entry.after = false, false, false
  return entry
end

--- The entry that came first, or nil.
function waiting.first(line)
  local first = line.after
  return first ~= line and first or nil
end

--- The entry that came after one that stands in a line, or nil.
function waiting.after(entry)
  local after = entry.after
  return after ~= entry.line and after or nil
end

--- Let an entry that stands in no line stand at the end of this one.
function waiting.join(line, entry)
  local last = line.before
  entry.line, entry.before, entry.after = line, last, line
  last.after, line.before = entry, entry
  line.n = line.n + 1
end

--- Take an entry out of its line, if it stands in one.
function waiting.leave(entry)
  local line = entry.line
  if not line then return end
  line.n = line.n - 1
  entry.before.after, entry.after.before = entry.after, entry.before
  entry.line, entry.before, entry.after = false, false, false
end

--- Let a new entry wait: the promise that `entry.resolve` and `entry.reject`
--- settle. If that is cancelled the entry leaves its line.
---@param line table
---@param entry table
---@return Promise
function waiting.promise(line, entry)
  local promise, resolve, reject, on_cancel = core.withResolvers()
  entry.resolve, entry.reject = resolve, reject
  waiting.entry(entry)
  on_cancel(function() waiting.leave(entry) end)
  waiting.join(line, entry)
  return promise
end

return waiting
