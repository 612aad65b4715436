--- Runs order programs in the core and in the model, to be compared.

local Promise = require "cpromise"
local order = require "spec.support.order"

local compare = {}

-- A program queues some hundred jobs; a broken model may do so for ever.
local MAX_JOBS = 100000

local FILE = "spec/support/model.lua"

--- The source of the model.
function compare.source()
  local file <close> = assert(io.open(FILE))
  return file:read "a"
end

--- A function that makes a model from its source. Each has a queue of its
--- own: a program that fails leaves nothing to the next one.
function compare.loader(source)
  return assert(load(source, "@" .. FILE, "t"))
end

-- The log of a program, and after it which rejections were reported in each
-- turn.
local function log_of(implementation, text, drain)
  local reports = {}
  local previous = implementation.onUnhandledRejection(function(reason)
    reports[#reports + 1] = order.show(reason)
  end)
  local _, log = pcall(order.run, implementation, text, function()
    drain()
    reports[#reports + 1] = "|"
  end)
  implementation.onUnhandledRejection(previous)
  return ("%s; reported: %s"):format(log, table.concat(reports, " "))
end

--- The log of a program in the core.
function compare.core(text)
  return log_of(Promise, text, Promise.drain)
end

--- A function for the log of a program in the model of this source.
function compare.model(source)
  local load_model = compare.loader(source)
  return function(text)
    local model = load_model()
    return log_of(model, text, function() model.drain(MAX_JOBS) end)
  end
end

return compare
