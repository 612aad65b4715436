-- Random programs, async functions too, run in the same order here and in V8.
--
-- ORDER_PROGRAMS is how many (2000), ORDER_SEED the seed of the first (1);
-- the others have the seeds after it. ORDER_SIZE fixes their size.

local Promise = require "cpromise"
local generator = require "spec.support.order_generator"
local helper = require "spec.helper"
local order = require "spec.support.order"

local function setting(name)
  return math.tointeger(tonumber(os.getenv(name)))
end

local count = setting "ORDER_PROGRAMS" or helper.scaled(2000)
local first_seed = setting "ORDER_SEED" or 1
local size = setting "ORDER_SIZE"

local has_node = os.execute "node -e 'Promise.any([1])' >/dev/null 2>&1"

local function generate(seed)
  return generator.text(generator.program(seed, size))
end

local function programs()
  local texts = {}
  for i = 1, count do texts[i] = generate(first_seed + i - 1) end
  return texts
end

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

-- What a failure tells: the program, as small as it gets, and its seed.
local function report(i, first_failing)
  local seed = first_seed + i - 1
  local text =
    generator.shrink(generator.program(seed, size), first_failing)
  local lines = {
    ("ORDER_SEED=%d ORDER_PROGRAMS=1 shows it. In short:"):format(seed), text,
    "cpromise: " .. log_of(text),
    "in pieces: " .. log_of(text, drain_in_pieces),
    has_node and "V8: " .. logs_of_v8 {text}[1],
  }
  return table.concat(lines, "\n")
end

local function check(first_failing)
  local i = first_failing(programs())
  assert(not i, i and report(i, first_failing))
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

  if has_node then
    it("is that of V8", function()
      check(first_that_differs)
    end)
  else
    pending "is that of V8 (node 15 or later is not installed)"
  end
end)
