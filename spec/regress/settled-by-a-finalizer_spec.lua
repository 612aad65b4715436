--- Several values are packed into a table, and the results of 'any' and
--- 'allSettled' made, right before a promise settles. If a finalizer that ran
--- then settled or cancelled the very promise, it settled twice, or its
--- results were stored where none were any more.

local helper = require "spec.helper"
local Promise = require "cpromise"

local function pass() end

--- Call `f` from a finalizer as soon as anything is allocated.
local function due(f)
  collectgarbage "stop"
  setmetatable({}, {__gc = f})
  collectgarbage("incremental", 1, 1000, 1)
  collectgarbage "restart"
end

describe("a promise that a finalizer settles while it settles", function()
  local previous
  before_each(function()
    previous = Promise.onUnhandledRejection(pass)
    helper.collect()
  end)
  after_each(function()
    collectgarbage("incremental", 200, 100, 13)
    helper.drain()
    Promise.onUnhandledRejection(previous)
  end)

  --- Some rounds; the finalizer comes at another moment each time.
  local function try(round)
    for n = 0, 200 do round(n % 20) end
  end

  local function litter(n)
    for _ = 1, n do local _ = {} end
  end

  it("is resolved once, with several values", function()
    try(function(n)
      local p, resolve = Promise.withResolvers()
      local seen = 0
      p:next(function() seen = seen + 1 end)
      due(function() resolve "finalizer" end)
      litter(n)
      resolve(1, 2, 3)
      local state, first = p:status()
      assert.equal("fulfilled", state)
      assert.is_true(first == 1 or first == "finalizer")
      helper.drain()
      assert.equal(first, select(2, p:status()))
      assert.equal(1, seen)
    end)
  end)

  for name, make in pairs {
    ["resolved with several values"] = function()
      local p, resolve = Promise.withResolvers()
      return p, function() resolve(1, 2, 3) end
    end,
    ["of a handler that returns several values"] = function()
      return Promise.resolve():next(function() return 1, 2, 3 end),
        helper.drain
    end,
    ["of an async call that returns several values"] = function()
      return Promise.spawn(function()
        Promise.await(nil)
        return 1, 2, 3
      end), helper.drain
    end,
    ["of any"] = function()
      return Promise.any {Promise.reject(1), Promise.reject(2)},
        helper.drain
    end,
    ["of allSettled"] = function()
      return Promise.allSettled {1, Promise.resolve(2)}, helper.drain
    end,
  } do
    it("is cancelled or not: one " .. name, function()
      try(function(n)
        local p, settle = make()
        local seen, told = 0, nil
        local function note() seen = seen + 1 end
        p:next(note, note)
        due(function() told = p:cancel() end)
        litter(n)
        settle()
        helper.drain()
        local state, reason = p:status()
        assert.not_equal("pending", state)
        if told then
          assert.is_true(Promise.isCancelled(reason))
        elseif told == nil then
          helper.collect()
          assert.is_false(told)
        end
        assert.equal(1, seen)
        assert.equal(0, helper.drain())
      end)
    end)
  end
end)
