--- Several values are packed into a table, and the results of 'any' and
--- 'allSettled' made, right before a promise settles. If a finalizer that ran
--- then settled or cancelled the very promise, it settled twice, or its
--- results were stored where none were any more.

local alloc = require "support.alloc"

--- In a Lua state of its own, where collecting takes no time, settle what
--- `make` returns, with a finalizer that comes at another moment each time.
local function try(code)
  local state <close> = alloc.open()
  assert(state:run([[
    local Promise = require "cpromise"
    local helper = require "spec.helper"
    Promise.onUnhandledRejection(function() end)

    -- Call `f` from a finalizer as soon as anything is allocated.
    local function due(f)
      collectgarbage "stop"
      setmetatable({}, {__gc = f})
      helper.incremental(1, 1000, 1)
      collectgarbage "restart"
    end

    local function collect()
      collectgarbage()
      helper.incremental(200, 100, 13)
    end

    local function rounds(round)
      for n = 0, 300 do
        round(function()
          for _ = 1, n % 20 do local _ = {} end
        end)
      end
    end
  ]] .. code))
end

describe("a promise that a finalizer settles while it settles", function()
  it("is resolved once, with several values", function()
    try [[
      rounds(function(litter)
        local p, resolve = Promise.withResolvers()
        local seen = 0
        p:next(function() seen = seen + 1 end)
        due(function() resolve "finalizer" end)
        litter()
        resolve(1, 2, 3)
        local state, first = p:status()
        assert(state == "fulfilled")
        assert(first == 1 or first == "finalizer")
        collect()
        Promise.drain()
        assert(select(2, p:status()) == first)
        assert(seen == 1)
      end)
    ]]
  end)

  --- Code that returns a promise, and the function that settles it.
  for name, code in pairs {
    ["resolved with several values"] = [[
      local p, resolve = Promise.withResolvers()
      return p, function() resolve(1, 2, 3) end
    ]],
    ["of a handler that returns several values"] = [[
      return Promise.resolve():next(function() return 1, 2, 3 end),
        Promise.drain
    ]],
    ["of an async call that returns several values"] = [[
      return Promise.spawn(function()
        Promise.await(nil)
        return 1, 2, 3
      end), Promise.drain
    ]],
    ["of any"] = [[
      return Promise.any {Promise.reject(1), Promise.reject(2)},
        Promise.drain
    ]],
    ["of allSettled"] = [[
      local one, two = Promise.resolve(1), Promise.resolve(2)
      return Promise.allSettled {one, two}, Promise.drain
    ]],
  } do
    it("is cancelled or not: one " .. name, function()
      try("local function make() " .. code .. [[ end
        rounds(function(litter)
          local p, settle = make()
          local seen, told = 0, nil
          local function note() seen = seen + 1 end
          p:next(note, note)
          due(function() told = p:cancel() end)
          litter()
          settle()
          Promise.drain()
          local state, reason = p:status()
          assert(state ~= "pending")
          collect()
          assert(told ~= nil)
          -- The failure of an element is one of 'any' that was cancelled.
          assert(not told or state == "rejected")
          assert(not told or Promise.isCancelled(reason) or reason == 1)
          if type(reason) == "table" and told then
            assert(#reason == 0) -- nothing is stored in it
          end
          assert(seen == 1)
          assert(Promise.drain() == 0)
        end)
      ]])
    end)
  end
end)
