-- In Lua 5.4.3 and 5.4.4 lua_settop, which closes what is above the new top,
-- goes on with a pointer into the stack as it was before: so a '__close' that
-- made the stack grow left the combinator with a wrong stack.

local Promise = require "cpromise"

local function descend(n)
  return n > 0 and 1 + descend(n - 1) or 0
end

local function closing()
  return setmetatable({}, {__close = function() descend(1000) end})
end

describe("a closing value that makes the stack grow", function()
  for _, name in ipairs {"all", "allSettled", "any", "race"} do
    it("leaves " .. name .. " as it was", function()
      local p
      -- a coroutine starts with a small stack
      coroutine.wrap(function()
        local i = 0
        p = Promise[name](function()
          i = i + 1
          return i == 1 and "element" or nil
        end, nil, nil, closing())
      end)()
      Promise.drain()
      local status, value = p:status()
      assert.equal("fulfilled", status)
      if type(value) == "table" then assert.equal(1, value.n) end
    end)
  end
end)
