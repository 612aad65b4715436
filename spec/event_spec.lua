--- Events: something that happens, and that many wait for.

local Promise = require "cpromise"
local helper = require "spec.helper"

local await = Promise.await

local function status(promise)
  return (promise:status())
end

describe("an event", function()
  it("lets nobody go on before it is set", function()
    local event = Promise.event()
    local p = event:wait()
    assert.equal("pending", helper.outcome(p))
    assert.is_nil(event:set())
    assert.same({"fulfilled", n = 1}, table.pack(helper.outcome(p)))
  end)

  it("lets all go on, in the order in which they came", function()
    local event, log = Promise.event(), {}
    for i = 1, 5 do
      event:wait():next(function() log[#log + 1] = i end)
    end
    event:set()
    Promise.drain()
    assert.same({1, 2, 3, 4, 5}, log)
  end)

  it("lets those go on at once who come later", function()
    local event = Promise.event()
    event:set()
    event:set()
    assert.same({"fulfilled", n = 1}, table.pack(event:wait():status()))
  end)

  it("lets those wait who come after clear", function()
    local event = Promise.event()
    event:set()
    assert.is_nil(event:clear())
    local p = event:wait()
    assert.equal("pending", helper.outcome(p))
    event:set()
    assert.equal("fulfilled", helper.outcome(p))
  end)

  it("doesn't take back what clear follows at once", function()
    local event = Promise.event()
    local p = event:wait()
    event:set()
    event:clear()
    assert.equal("fulfilled", helper.outcome(p))
    assert.equal("pending", status(event:wait()))
  end)

  it("minds no clear before set", function()
    local event = Promise.event()
    local p = event:wait()
    event:clear()
    assert.equal("pending", helper.outcome(p))
    event:set()
    assert.equal("fulfilled", helper.outcome(p))
  end)

  it("lets a waiter wait again", function()
    local event, log = Promise.event(), {}
    Promise.spawn(function()
      for i = 1, 2 do
        await(event:wait())
        log[#log + 1] = i
        event:clear()
      end
    end)
    event:set()
    Promise.drain()
    assert.same({1}, log)
    event:set()
    Promise.drain()
    assert.same({1, 2}, log)
  end)

  it("shows its kind", function()
    assert.matches("^event: ", tostring(Promise.event()))
  end)

  it("forgets a waiter who is cancelled", function()
    local event, log = Promise.event(), {}
    local promises = {}
    for i = 1, 3 do
      promises[i] = event:wait()
      promises[i]:next(function() log[#log + 1] = i end)
        :catch(function() end)
    end
    assert.is_true(promises[2]:cancel())
    event:set()
    Promise.drain()
    assert.same({1, 3}, log)
  end)

  it("is still set when a waiter is cancelled in the tick of set", function()
    local event = Promise.event()
    local task = Promise.spawn(function() await(event:wait()) end)
    event:set()
    task:cancel()
    Promise.drain()
    assert.is_true(Promise.isCancelled(select(2, task:status())))
    assert.equal("fulfilled", status(event:wait()))
  end)

  it("keeps nothing of those who were cancelled", function()
    local event = Promise.event()
    local function wait_in_vain(n)
      for _ = 1, n do event:wait():cancel() end
      Promise.drain()
      helper.collect()
      return collectgarbage "count"
    end
    wait_in_vain(10)
    local before = wait_in_vain(10)
    assert.is_true(wait_in_vain(1000) < before + 8)
  end)

  for _, name in ipairs {"set", "clear", "wait"} do
    it("raises for a call without self: " .. name, function()
      local event = Promise.event()
      assert.equal(("bad argument #1 to '%s' (event expected, " ..
        "got no value: use ':', not '.')"):format(name),
        helper.raised(function() event[name]() end))
    end)
  end
end)
