-- Random programs, async functions too, run in the same order here and in V8.
-- How many, and which, is said in spec/support/random_orders.lua.

local Promise = require "cpromise"
local order = require "spec.support.order"
local random_orders = require "spec.support.random_orders"

local has_node = os.execute "node -e 'Promise.any([1])' >/dev/null 2>&1"

-- The logs of the programs in V8.
local function logs_of_v8(texts)
  local from, to = os.tmpname(), os.tmpname()
  local file = assert(io.open(from, "w"))
  for _, text in ipairs(texts) do file:write(text, "\n====\n") end
  file:close()
  local ok = os.execute(("node spec/support/order.js %s %s"):format(from, to))
  local logs = {}
  for log in io.lines(to) do logs[#logs + 1] = log end
  os.remove(from)
  os.remove(to)
  assert(ok and #logs == #texts, "node failed")
  return logs
end

local function log_of(text, drain)
  local _, log = pcall(order.run, Promise, text, drain)
  return log
end

-- The index of the first program that logs something else here.
local function first_that_differs(texts)
  for i, log in ipairs(logs_of_v8(texts)) do
    if log_of(texts[i]) ~= log then return i end
  end
end

local function drain_in_pieces()
  local pieces = 0
  repeat
    pieces = pieces % 3 + 1
  until Promise.drain(pieces) == 0
end

local function first_that_differs_in_pieces(texts)
  for i, text in ipairs(texts) do
    if log_of(text, drain_in_pieces) ~= log_of(text) then return i end
  end
end

local function check(first_failing, cancels)
  random_orders.check {
    count = random_orders.count(2000),
    first_failing = first_failing,
    cancels = cancels,
    runs = {
      {"cpromise", log_of},
      {"in pieces", function(text)
        return log_of(text, drain_in_pieces)
      end},
      has_node and not cancels and {"V8", function(text)
        return logs_of_v8({text})[1]
      end} or nil,
    },
  }
end

describe("the order of events in random programs", function()
  local hook
  before_each(function()
    hook = Promise.onUnhandledRejection(function() end)
  end)
  after_each(function()
    Promise.onUnhandledRejection(hook)
  end)

  it("is the same when the queue is drained in pieces", function()
    check(first_that_differs_in_pieces)
  end)

  it("is so in programs that cancel, too", function()
    check(first_that_differs_in_pieces, true)
  end)

  if has_node then
    it("is that of V8", function()
      check(first_that_differs)
    end)
  else
    pending "is that of V8 (node 15 or later is not installed)"
  end
end)
