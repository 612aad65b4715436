--- A call that was asked to end, went on, and returned a thenable, forgot
--- by what it had been asked: a "finally" of it rejected with a cancellation
--- that had no reason.

local Promise = require "cpromise"
local alloc = require "support.alloc"

local function thenable(n, value)
  return setmetatable({}, {__index = {next = function(_, resolve)
    resolve(n > 1 and thenable(n - 1, value) or value)
  end}})
end

describe("a call that was asked to end and answers by a thenable", function()
  local function asked_call(answer)
    return Promise.spawn(function()
      pcall(Promise.await, (Promise.withResolvers()))
      return answer()
    end)
  end

  for _, n in ipairs {1, 2, 5} do
    it(("passes its cancellation on: %d of them"):format(n), function()
      local call = asked_call(function() return thenable(n, "value") end)
      local cleaned = 0
      local last = call:finally(function() cleaned = cleaned + 1 end)
      Promise.drain()
      assert.is_true(last:cancel "why")
      Promise.drain()
      assert.same({"fulfilled", "value"}, {call:status()})
      local state, reason = last:status()
      assert.equal("rejected", state)
      assert.equal("why", reason.reason)
      assert.equal(1, cleaned)
    end)
  end

  it("passes it on through a promise that follows a thenable", function()
    local call = asked_call(function()
      return Promise.resolve(thenable(2, "value"))
    end)
    local last = call:finally(function() end)
    Promise.drain()
    last:cancel "why"
    Promise.drain()
    assert.same({"fulfilled", "value"}, {call:status()})
    assert.equal("why", select(2, last:status()).reason)
  end)

  it("has the traceback of a failure, not what it was asked by", function()
    for _, answer in ipairs {
      function() return thenable(1, Promise.reject "no") end,
      function()
        return setmetatable({}, {__index = {next = function(_, _, reject)
          reject "no"
        end}})
      end,
      function()
        return setmetatable({}, {__index = {next = function()
          error("no", 0)
        end}})
      end,
    } do
      local call = asked_call(answer)
      Promise.drain()
      call:cancel "why"
      local traceback
      Promise.onUnhandledRejection(function(_, _, text) traceback = text end)
      Promise.drain()
      Promise.onUnhandledRejection(nil)
      assert.same({"rejected", "no"}, {call:status()})
      assert.is_true(traceback == nil or type(traceback) == "string")
    end
  end)

  --- In a state of its own: the call has been asked, and answers when the
  --- queue drains; after so much garbage, with a finalizer due.
  local function prepare(state, finalizer, litter)
    assert(state:run(([[
      local Promise = require "cpromise"
      local incremental = require "spec.collector"
      local call, called, ran, before
      local function answer()
        collectgarbage "stop"
        setmetatable({}, {__gc = function() ran = %s end})
        incremental(1, 100, 1)
        collectgarbage "restart"
        local thenable = {next = function(_, resolve)
          called = true
          resolve "value"
        end}
        for _ = 1, %d do local _ = {} end
        before = ran
        return thenable
      end
      call = Promise.spawn(function()
        pcall(Promise.await, (Promise.withResolvers()))
        return answer()
      end)
      call:catch(type)
      call:cancel "first"
      function verify()
        local amid = ran and not before
        collectgarbage "stop"
        Promise.drain()
        local state, value = call:status()
        if Promise.isCancelled(value) then value = value.reason end
        assert(call:traceback() == nil)
        return amid, called, state, value
      end
      drain = Promise.drain
    ]]):format(finalizer, litter)))
  end

  it("ends at a request by a finalizer", function()
    local moments = 0
    for litter = 0, 60 do
      local state <close> = alloc.open()
      prepare(state, [[call:cancel "second"]], litter)
      assert(state:run "drain(2)")
      local _, amid, _, own, value = assert(state:run "return verify()")
      if amid then
        moments = moments + 1
        assert.same({"rejected", "second"}, {own, value})
      end
    end
    assert.is_true(moments > 0)
  end)

  it("rejects if memory lacks", function()
    local seen = {}
    for first = 1, math.huge do
      local state <close> = alloc.open()
      prepare(state, "true", 0)
      state:run("drain()", first, first + 1)
      local count = state:count()
      local _, _, called, own, value = assert(state:run "return verify()")
      assert.not_equal("pending", own)
      if not called then seen[value] = true end
      if count < first then break end
    end
    assert.same({["not enough memory"] = true}, seen)
  end)

  it("ends at a second request", function()
    local call = asked_call(function() return thenable(1, "value") end)
    Promise.drain()
    call:cancel "first"
    Promise.drain(1)
    assert.equal("pending", call:status())
    assert.is_true(call:cancel "second")
    assert.equal("second", select(2, call:status()).reason)
    Promise.drain()
  end)
end)
