-- The programs in spec/orders run in the order that their logs keep: that of
-- V8, which spec/orders/run.js has asked. So they do in the model of the
-- standard.

local Promise = require "cpromise"
local order = require "spec.support.order"
local programs = require "spec.support.order_programs"

local load_model = assert(loadfile "spec/support/model.lua")

local function drain_one_by_one()
  repeat until Promise.drain(1) == 0
end

describe("the order of events:", function()
  local hook
  before_each(function()
    hook = Promise.onUnhandledRejection(function() end)
  end)
  after_each(function()
    Promise.onUnhandledRejection(hook)
  end)

  for _, program in ipairs(programs.all()) do
    local title, text, log = program.title, program.text, program.log

    describe(program.topic, function()
      it(title, function()
        assert.equal(log, order.run(Promise, text))
      end)

      it(title .. ", drained one job at a time", function()
        assert.equal(log, order.run(Promise, text, drain_one_by_one))
      end)

      it(title .. ", in the model", function()
        assert.equal(log, order.run(load_model(), text))
      end)
    end)
  end
end)
