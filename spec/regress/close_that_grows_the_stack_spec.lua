--- Lua before 5.4.5 keeps the address of its stack in 'lua_settop' while that
--- closes a value. The combinators closed the closing value of an iterator
--- so: if its __close needed a larger stack they went on in freed memory.

local Promise = require "cpromise"
local helper = require "spec.helper"

local function count_to(n)
  if n == 0 then return 0 end
  return 1 + count_to(n - 1)
end

describe("a closing value that makes the stack grow", function()
  for _, name in ipairs {"all", "allSettled", "any", "race"} do
    it("leaves " .. name .. " its elements", function()
      local deep
      local closing = setmetatable({}, {
        __close = function() deep = count_to(10000) end,
      })
      local i = 0
      local function step()
        i = i + 1
        if i <= 3 then return i end
      end
      -- A coroutine starts with a small stack.
      local combined = coroutine.wrap(function()
        return Promise[name](step, nil, nil, closing)
      end)()
      assert.equal(10000, deep)
      local status, value = helper.outcome(combined)
      assert.equal("fulfilled", status)
      assert.equal(name:find "^all" and 3 or 1,
        type(value) == "table" and value.n or value)
    end)
  end
end)
