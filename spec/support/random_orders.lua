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
local fixed_size = setting "ORDER_SIZE"

-- What a failure tells: the program, as small as it gets, and its seed.
local function report(check, seed, size)
  local text = generator.shrink(
    generator.program(seed, size, check.cancels), check.first_failing)
  local lines = {
    ("ORDER_SEED=%d%s ORDER_PROGRAMS=1 shows it. In short:")
      :format(seed, size and " ORDER_SIZE=" .. size or ""), text,
  }
  for _, run in ipairs(check.runs) do
    lines[#lines + 1] = ("%s: %s"):format(run[1], run[2](text))
  end
  return table.concat(lines, "\n")
end

--- The programs with the seeds from `first` to `last`.
---@return string[]
function random_orders.programs(first, last, size, cancels)
  local texts = {}
  for seed = first, last do
    texts[#texts + 1] =
      generator.text(generator.program(seed, size, cancels))
  end
  return texts
end

--- How many programs, if a spec says `default`.
function random_orders.count(default)
  return setting "ORDER_PROGRAMS" or helper.scaled(default)
end

--- Raise if a program fails, with a small one that does. Fields:
---
--- * `count`: of programs; `size`: statements in each (2 to 25);
--- * `cancels`: whether they cancel promises;
--- * `first_failing`: a function that takes a list of programs and returns
---   the index of the first that fails, or nil;
--- * `runs`: list of {name, function from program to log}, for the report.
function random_orders.check(check)
  local size = fixed_size or check.size
  local last_seed = first_seed + check.count - 1
  for first = first_seed, last_seed, BATCH do
    local last = math.min(first + BATCH - 1, last_seed)
    local i = check.first_failing(
      random_orders.programs(first, last, size, check.cancels))
    if i then error(report(check, first + i - 1, size), 0) end
  end
end

return random_orders
