--- Random order programs (see order.lua) for specs that compare two runs.
---
--- ORDER_PROGRAMS is how many, ORDER_SEED the seed of the first (1); the
--- others have the seeds after it. ORDER_SIZE fixes their size.

local generator = require "spec.support.order_generator"
local helper = require "spec.helper"

local random_orders = {}

-- So many are kept in memory at a time.
local BATCH = 2000

local function setting(name)
  return math.tointeger(tonumber(os.getenv(name)))
end

local first_seed = setting "ORDER_SEED" or 1
local size = setting "ORDER_SIZE"

-- What a failure tells: the program, as small as it gets, and its seed.
local function report(seed, first_failing, runs)
  local text =
    generator.shrink(generator.program(seed, size), first_failing)
  local lines = {
    ("ORDER_SEED=%d ORDER_PROGRAMS=1 shows it. In short:"):format(seed), text,
  }
  for _, run in ipairs(runs) do
    lines[#lines + 1] = ("%s: %s"):format(run[1], run[2](text))
  end
  return table.concat(lines, "\n")
end

--- The programs with the seeds from `first` to `last`.
function random_orders.programs(first, last)
  local texts = {}
  for seed = first, last do
    texts[#texts + 1] = generator.text(generator.program(seed, size))
  end
  return texts
end

--- How many programs, if the specs say `default`.
function random_orders.count(default)
  return setting "ORDER_PROGRAMS" or helper.scaled(default)
end

--- Raise if a program fails, with a small one that does.
---@param default integer  how many, unless the environment says
---@param first_failing fun(texts: string[]): integer?  index of the first
---@param runs table  list of {name, fun(text): log}, to be reported
function random_orders.check(default, first_failing, runs)
  local last_seed = first_seed + random_orders.count(default) - 1
  for seed = first_seed, last_seed, BATCH do
    local texts =
      random_orders.programs(seed, math.min(seed + BATCH - 1, last_seed))
    local i = first_failing(texts)
    assert(not i, i and report(seed + i - 1, first_failing, runs))
  end
end

return random_orders
