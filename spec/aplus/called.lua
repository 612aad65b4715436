--- The rules 2.2.2 and 2.2.3, which are the same ones for the two handlers.

local Promise = require "cpromise"
local assert = require "luassert"
local aplus = require "spec.aplus.helper"
local busted = require "busted"

local describe, it = busted.describe, busted.it
local dummy = aplus.dummy

--- Declare the rules for the handler of one state, as the clause `number`.
return function(number, state)
  local each, pending, register = state.each, state.pending, state.register

  local function called_once(calls)
    assert.same({{dummy, n = 1}}, calls)
  end

  describe(number .. ".1 it is called with the outcome", function()
    aplus.each(aplus.values, function(value, name)
      each("passes one argument, " .. name, value, function(promise, settle)
        local handler, calls = aplus.recorder()
        register(promise, handler)
        settle()
        assert.equal(1, #calls)
        assert.equal(1, calls[1].n)
        aplus.same(value, calls[1][1])
      end)
    end)
  end)

  describe(number .. ".2 it is not called before that", function()
    it("waits for a later job that settles the promise", function()
      local promise, act = pending()
      local settled = false
      local seen
      register(promise, function() seen = settled end)
      aplus.later(function()
        assert.is_nil(seen)
        settled = true
        act(dummy)
      end)
      assert.is_true(seen)
    end)

    it("is never called if the promise stays pending", function()
      local handler, calls = aplus.recorder()
      register(pending(), handler)
      Promise.drain()
      assert.equal(0, #calls)
    end)

    it("is not called while the promise follows a pending one", function()
      local handler, calls = aplus.recorder()
      local followed, act = pending()
      register(Promise.new(function(resolve) resolve(followed) end), handler)
      Promise.drain()
      assert.equal(0, #calls)
      act(dummy)
      Promise.drain()
      called_once(calls)
    end)
  end)

  describe(number .. ".3 it is called only once", function()
    each("stays at one call in all later drains", dummy,
      function(promise, settle)
        local handler, calls = aplus.recorder()
        register(promise, handler)
        settle()
        settle()
        called_once(calls)
      end)

    it("ignores that the promise is settled again at once", function()
      local promise, act = pending()
      local handler, calls = aplus.recorder()
      register(promise, handler)
      act(dummy)
      act "again"
      Promise.drain()
      called_once(calls)
    end)

    it("ignores that a later job settles the promise twice", function()
      local promise, act = pending()
      local handler, calls = aplus.recorder()
      register(promise, handler)
      aplus.later(function()
        act(dummy)
        act "again"
      end)
      called_once(calls)
    end)

    it("ignores that a later job settles the promise again", function()
      local promise, act = pending()
      local handler, calls = aplus.recorder()
      register(promise, handler)
      act(dummy)
      aplus.later(act, "again")
      called_once(calls)
    end)

    each("holds for registrations at different times", dummy,
      function(promise, settle)
        local log = {}
        for i = 1, 3 do
          local handler, calls = aplus.recorder()
          log[i] = calls
          if i == 3 then settle() end
          register(promise, handler)
          Promise.drain()
        end
        for i = 1, 3 do called_once(log[i]) end
      end)

    it("holds for registrations around the settling call", function()
      local promise, act = pending()
      local before, calls_before = aplus.recorder()
      local after, calls_after = aplus.recorder()
      register(promise, before)
      act(dummy)
      register(promise, after)
      Promise.drain()
      called_once(calls_before)
      called_once(calls_after)
    end)
  end)
end
