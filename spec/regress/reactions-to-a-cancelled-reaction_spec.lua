--- A promise was cancelled after the one it waits for had settled, but before
--- its turn. A handler added after that ran before those added earlier.

local helper = require "spec.helper"
local Promise = require "cpromise"

describe("handlers of a promise that is cancelled before its turn", function()
  local log, p, resolve
  before_each(function()
    log = {}
    p, resolve = Promise.withResolvers()
  end)

  local function note(label)
    return function() log[#log + 1] = label end
  end

  it("run in the order they were added", function()
    local derived = p:next(note "never")
    derived:catch(note "first")
    resolve()
    derived:cancel()
    derived:catch(note "second")
    derived:catch(note "third")
    helper.drain()
    derived:catch(note "fourth")
    helper.drain()
    assert.same({"first", "second", "third", "fourth"}, log)
  end)

  it("run so when an earlier reaction of the batch cancels it", function()
    local derived
    p:next(function()
      derived:cancel()
      derived:catch(note "second")
      Promise.spawn(function()
        Promise.pawait(derived)
        log[#log + 1] = "third"
      end)
    end)
    derived = p:next(note "never")
    derived:catch(note "first")
    resolve()
    helper.drain()
    assert.same({"first", "second", "third"}, log)
  end)

  it("run so when the drain stops in between", function()
    local derived
    p:next(function() derived:cancel() end)
    derived = p:next(note "never")
    derived:catch(note "first")
    resolve()
    Promise.drain(1)
    derived:catch(note "second")
    helper.drain()
    assert.same({"first", "second"}, log)
  end)
end)
