local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local dummy = aplus.dummy

-- Declare the rules of both subclauses.
local function declare_rules(state)
  local each, register = state.each, state.register

  each("calls every handler with the same value", dummy,
    function(promise, settle)
      local handler, calls = aplus.recorder()
      for _ = 1, 3 do register(promise, handler) end
      settle()
      local call = {dummy, n = 1}
      assert.same({call, call, call}, calls)
    end)

  each("calls the others when one raises", dummy, function(promise, settle)
    local log = {}
    register(promise, function() log[#log + 1] = 1 end)
    register(promise, function() error "boom" end)
    register(promise, function() log[#log + 1] = 3 end)
    settle()
    assert.same({1, 3}, log)
  end)

  each("gives each registration an outcome of its own", dummy,
    function(promise, settle)
      local reason = {}
      local first = register(promise, function() return "first" end)
      local second = register(promise, function() error(reason) end)
      local third = register(promise, function() return "third" end)
      settle()
      aplus.fulfils(first, "first")
      aplus.rejects(second, reason)
      aplus.fulfils(third, "third")
    end)

  each("keeps the order of registration", dummy, function(promise, settle)
    local log = {}
    for i = 1, 5 do
      register(promise, function() log[#log + 1] = i end)
    end
    settle()
    assert.same({1, 2, 3, 4, 5}, log)
  end)

  each("keeps that order on both sides of settling", dummy,
    function(promise, settle)
      local log = {}
      register(promise, function() log[#log + 1] = "before" end)
      settle()
      register(promise, function() log[#log + 1] = "after" end)
      register(promise, function() log[#log + 1] = "last" end)
      Promise.drain()
      assert.same({"before", "after", "last"}, log)
    end)

  each("puts a handler that a handler adds last", dummy,
    function(promise, settle)
      local log = {}
      register(promise, function()
        log[#log + 1] = 1
        register(promise, function() log[#log + 1] = 3 end)
      end)
      register(promise, function() log[#log + 1] = 2 end)
      settle()
      assert.same({1, 2, 3}, log)
    end)
end

aplus.clause("2.2.6 'next' may be called many times", function()
  describe("2.2.6.1 on a fulfilled promise", function()
    declare_rules(aplus.fulfilled)
  end)

  describe("2.2.6.2 on a rejected promise", function()
    declare_rules(aplus.rejected)
  end)
end)
