-- The core and a model of the standard, spec/support/model.lua, run random
-- programs in the same order. How many, and which, is said in
-- spec/support/random_orders.lua.

local compare = require "spec.support.compare_model"
local model_mutants = require "spec.support.model_mutants"
local random_orders = require "spec.support.random_orders"

local COUNT = 3000

local model = compare.model(compare.source())

local function first_that_differs(texts)
  for i, text in ipairs(texts) do
    if model(text) ~= compare.core(text) then return i end
  end
end

describe("the order of events in random programs", function()
  it("is that of the model", function()
    random_orders.check(COUNT, first_that_differs,
      {{"cpromise", compare.core}, {"the model", model}})
  end)
end)

describe("the comparison with the model", function()
  for _, mutant in ipairs(model_mutants.list) do
    it("notices " .. model_mutants.name(mutant), function()
      assert.is_truthy(model_mutants.programs_until_noticed(mutant))
    end)
  end
end)
