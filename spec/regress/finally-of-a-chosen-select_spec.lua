--- A 'select' that had chosen, and waited for its others to end, fulfils with
--- its choice though it is asked to end. A "finally" of it that was cancelled
--- meanwhile rejected with a cancellation that had no reason.

local Promise = require "cpromise"
local alloc = require "support.alloc"

local await = Promise.await

--- A select that has chosen `first` and waits until `open` is called.
local function chosen(first)
  local gate, open = Promise.withResolvers()
  local other = Promise.spawn(function()
    pcall(await, (Promise.withResolvers()))
    await(gate)
  end)
  local s = Promise.select {first = first, other = other}
  Promise.drain()
  assert(s:status() == "pending")
  return s, open
end

describe("a finally of a select that has chosen", function()
  it("rejects with the cancellation that it was asked with", function()
    local s, open = chosen(Promise.resolve("a", "b"))
    local cleaned = 0
    local w = s:finally(function() cleaned = cleaned + 1 end)
    local last = w:next(error)
    assert.is_true(last:cancel "why")
    open()
    Promise.drain()
    assert.same({"fulfilled", "first", "a", "b"}, {s:status()})
    assert.equal("why", select(2, w:status()).reason)
    assert.equal(select(2, w:status()), select(2, last:status()))
    assert.equal(1, cleaned)
  end)

  it("takes the latest request", function()
    local s, open = chosen(Promise.resolve "a")
    local w = s:finally(function() end)
    w:cancel "first"
    w:cancel "second"
    open()
    Promise.drain()
    assert.same({"fulfilled", "first", "a"}, {s:status()})
    assert.equal("second", select(2, w:status()).reason)
  end)

  it("rejects with that of a finalizer that ran amid the choice", function()
    local moments = 0
    for litter = 0, 60 do
      local state <close> = alloc.open()
      local _, amid, own, key, reason = assert(state:run(([[
        local Promise = require "cpromise"
        local s = Promise.select {
          Promise.resolve "a", (Promise.withResolvers()),
        }
        local w = s:finally(function() end)
        local ran, before
        collectgarbage "stop"
        setmetatable({}, {__gc = function() ran = w:cancel "why" end})
        require "spec.collector" (1, 100, 1)
        collectgarbage "restart"
        for _ = 1, %d do local _ = {} end
        before = ran
        Promise.drain()
        local amid = ran and not before
        collectgarbage "stop"
        local state, key = s:status()
        return amid, state, key, amid and select(2, w:status()).reason
      ]]):format(litter)))
      if amid then
        assert.equal("why", reason)
        assert.is_true(own == "rejected" or key == 1) -- before it, or amid
        moments = moments + 1
      end
    end
    assert.is_true(moments > 0)
  end)

  it("rejects with the failure that was chosen", function()
    local s, open = chosen(Promise.reject "no")
    local w = s:finally(function() end)
    w:cancel "why"
    open()
    Promise.drain()
    assert.same({"rejected", "no"}, {s:status()})
    assert.same({"rejected", "no"}, {w:status()})
    assert.is_nil(w:traceback())
    w:catch(function() end)
  end)

  it("takes the choice if nobody has asked", function()
    local s, open = chosen(Promise.resolve "a")
    local w = s:finally(function() end)
    open()
    Promise.drain()
    assert.same({"fulfilled", "first", "a"}, {w:status()})
  end)
end)
