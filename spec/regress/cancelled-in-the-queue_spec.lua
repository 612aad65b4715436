-- A promise was cancelled between the settling of what it waited for and its
-- turn. What waited for it ran in the place of its job, before older ones, or
-- later than it should; calls and handlers of 'finally' lost their turn.

local Promise = require "cpromise"

describe("a promise that is cancelled while its job is queued", function()
  local log
  local function note(text)
    return function() log[#log + 1] = text end
  end
  local function order()
    Promise.drain()
    return table.concat(log, " ")
  end
  before_each(function() log = {} end)

  it("has its consumers queued in its turn", function()
    local p = Promise.resolve(1):next(note "never")
    p:catch(note "consumer")
    Promise.queueMicrotask(note "older")
    p:cancel()
    Promise.queueMicrotask(note "younger")
    assert.equal("older younger consumer", order())
  end)

  it("has them queued then in the middle of a batch, too", function()
    local source, resolve = Promise.withResolvers()
    local p
    source:next(function()
      p:cancel()
      Promise.queueMicrotask(note "younger")
    end)
    p = source:next(note "never")
    p:catch(note "consumer")
    source:next(note "sibling")
    resolve(1)
    assert.equal("sibling younger consumer", order())
  end)

  it("has them queued then if it starts to follow", function()
    local p, resolve = Promise.withResolvers()
    resolve((Promise.withResolvers()))
    p:catch(note "consumer")
    Promise.queueMicrotask(note "older")
    p:cancel()
    assert.equal("older consumer", order())
  end)

  it("runs the handler of finally in its turn", function()
    local source, resolve = Promise.withResolvers()
    local p
    source:next(function() p:cancel() end)
    p = source:finally(note "finally")
    source:next(note "sibling")
    resolve(1)
    assert.equal("finally sibling", order())
    assert.is_true(Promise.isCancelled(select(2, p:status())))
  end)

  it("resumes an async call in its turn", function()
    local source, resolve = Promise.withResolvers()
    local p
    source:next(function() p:cancel() end)
    p = Promise.spawn(function()
      local _, reason = pcall(Promise.await, source)
      note(Promise.isCancelled(reason) and "cancelled" or "resumed")()
    end)
    source:next(note "sibling")
    resolve(1)
    assert.equal("cancelled sibling", order())
  end)

  it("gives the rest of the batch what that has settled with", function()
    local source, resolve = Promise.withResolvers()
    local p
    source:next(function() p:cancel() end)
    p = source:finally(note "finally")
    local sibling = source:next()
    resolve("value")
    Promise.drain()
    assert.same({"fulfilled", "value"}, {sibling:status()})
  end)

  it("keeps its ticks where the handler of finally is done", function()
    local p = Promise.resolve(1):finally(function() end)
    p:catch(note "consumer")
    Promise.drain(2) -- the handler, and what it returned
    assert.is_true(p:cancel())
    assert.equal("pending", (p:status()))
    Promise.queueMicrotask(note "younger")
    assert.equal("younger consumer", order())
  end)
end)
