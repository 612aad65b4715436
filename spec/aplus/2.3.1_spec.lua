local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

local function rejects_with_type_error(promise)
  Promise.drain()
  local state, reason = promise:status()
  assert.equal("rejected", state)
  assert.equal("string", type(reason))
  assert.matches("^TypeError", reason)
end

aplus.clause("2.3.1 a promise that is resolved with itself", function()
  for _, state in ipairs(aplus.states) do
    state.each(("is rejected when %s returns it"):format(state.handler),
      aplus.dummy, function(promise, settle)
        local derived
        derived = state.register(promise, function() return derived end)
        settle()
        rejects_with_type_error(derived)
      end)
  end

  it("is rejected by its resolving function at once", function()
    local promise, resolve = Promise.withResolvers()
    resolve(promise)
    assert.equal("rejected", (promise:status()))
    rejects_with_type_error(promise)
  end)

  it("is rejected by its resolving function in a later job", function()
    local promise, resolve = Promise.withResolvers()
    aplus.later(resolve, promise)
    rejects_with_type_error(promise)
  end)

  it("is rejected when other values follow it", function()
    local promise, resolve = Promise.withResolvers()
    resolve(promise, 1, 2)
    rejects_with_type_error(promise)
  end)

  it("is rejected when a thenable gives it back", function()
    local promise, resolve = Promise.withResolvers()
    resolve {next = function(_, settle) settle(promise) end}
    rejects_with_type_error(promise)
  end)

  it("settles once", function()
    local promise, resolve, reject = Promise.withResolvers()
    resolve(promise)
    resolve(1)
    reject(2)
    rejects_with_type_error(promise)
  end)
end)
