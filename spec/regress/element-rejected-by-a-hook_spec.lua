--- An aggregate was cancelled, and the hook of one of its elements rejected
--- another one, which nobody waited for any more: that was not reported.

local helper = require "spec.helper"
local Promise = require "cpromise"

describe("a hook that rejects the next element to be cancelled", function()
  --- What is reported when `use` gets that element, before it is rejected.
  local function reasons(use)
    local list = helper.unhandled(function()
      local first, _, _, onCancel = Promise.withResolvers()
      local second, _, reject = Promise.withResolvers()
      onCancel(function()
        use(second)
        reject "reason"
      end)
      Promise.all({first, second}):cancel()
    end)
    for i, report in ipairs(list) do list[i] = report.reason end
    return list
  end

  it("is told that nobody handled it", function()
    assert.same({"reason"}, reasons(function() end))
  end)

  it("is told nothing if somebody does", function()
    assert.same({}, reasons(function(p) p:catch(function() end) end))
  end)
end)
