--- A program that ended right after it had cancelled something was told that
--- a rejection was never reported.

local child = require "spec.child"

describe("a program that ends after cancelling", function()
  it("is told of rejections only", function()
    local text, status = child.run [[
      local Promise = require "cpromise"
      do
        local p <close> = Promise.withResolvers()
        p:next(print)
      end
      Promise.withResolvers():cancel()
      Promise.reject {}
      Promise.reject "reason"
    ]]
    assert.equal(0, status)
    assert.matches("1 job never ran and 2 rejections were never reported",
      text, 1, true)
  end)

  it("is told nothing if nothing else is left", function()
    local text, status = child.run [[
      local Promise = require "cpromise"
      local p <close> = Promise.withResolvers()
      Promise.withResolvers():cancel()
    ]]
    assert.same({"", 0}, {text, status})
  end)
end)
