-- The core and a model of the standard, spec/support/model.lua, run random
-- programs in the same order. How many, and which, is said in
-- spec/support/random_orders.lua.

local compare = require "spec.support.compare_model"
local model_mutants = require "spec.support.model_mutants"
local random_orders = require "spec.support.random_orders"

local COUNT = random_orders.count(3000)

local model = compare.model(compare.source())

local function first_that_differs(texts)
  for i, text in ipairs(texts) do
    if model(text) ~= compare.core(text) then return i end
  end
end

local function check(count, size, cancels)
  random_orders.check {
    count = count,
    size = size,
    cancels = cancels,
    first_failing = first_that_differs,
    runs = {{"cpromise", compare.core}, {"the model", model}},
  }
end

describe("the order of events", function()
  it("is that of the model in random programs", function()
    check(COUNT)
  end)

  it("is that of the model where many wait for one promise", function()
    check(math.ceil(COUNT / 10), 60)
  end)

  it("is that of the model in random programs that cancel", function()
    check(COUNT, nil, true)
  end)

  it("is that of the model in large programs that cancel", function()
    check(math.ceil(COUNT / 10), 60, true)
  end)
end)

describe("the comparison with the model", function()
  for _, mutant in ipairs(model_mutants.list) do
    it("notices " .. model_mutants.name(mutant), function()
      assert.is_truthy(model_mutants.programs_until_noticed(mutant, false))
    end)
  end

  for _, mutant in ipairs(model_mutants.cancelling) do
    it("notices " .. model_mutants.name(mutant), function()
      assert.is_truthy(model_mutants.programs_until_noticed(mutant, true))
    end)
  end
end)
