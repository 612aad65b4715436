-- The look at a value's 'next' may run code of the user's, which may cancel
-- the very promise that is being resolved with the value: it settled twice, or
-- forgot that it had been cancelled.

local Promise = require "cpromise"

-- A table whose 'next' is looked at, and then is that.
local function with_next(on_look, method)
  return setmetatable({}, {__index = function(_, key)
    if key == "next" then
      on_look()
      return method
    end
  end})
end

local function is_cancelled(p)
  Promise.drain()
  local state, reason = p:status()
  assert.equal("rejected", state)
  assert.is_true(Promise.isCancelled(reason))
end

describe("a promise that is cancelled by the getter of its value", function()
  local p, returned
  local function cancel() returned = p:cancel() end
  after_each(function() assert.is_true(returned) end)

  for name, method in pairs {
    value = false, thenable = function(_, resolve) resolve(1) end,
  } do
    it("is rejected by its resolving function, given a " .. name, function()
      local resolve
      p, resolve = Promise.withResolvers()
      resolve(with_next(cancel, method))
      is_cancelled(p)
    end)

    it("is rejected after its handler, given a " .. name, function()
      p = Promise.resolve(1):next(function()
        return with_next(cancel, method)
      end)
      is_cancelled(p)
    end)

    it("is rejected as it passes on a " .. name, function()
      p = Promise.fulfill(with_next(cancel, method)):catch(print)
      is_cancelled(p)
    end)

    it("is rejected as an async call, given a " .. name, function()
      p = Promise.spawn(function()
        Promise.await(1)
        return with_next(cancel, method)
      end)
      is_cancelled(p)
    end)

    it("is rejected as a race, given a " .. name, function()
      p = Promise.race {Promise.fulfill(with_next(cancel, method))}
      is_cancelled(p)
    end)

    it("is rejected after finally has got a " .. name, function()
      p = Promise.resolve(1):finally(function()
        return with_next(cancel, method)
      end)
      is_cancelled(p)
    end)

    it("is rejected as finally passes on a " .. name, function()
      p = Promise.fulfill(with_next(cancel, method)):finally(function() end)
      is_cancelled(p)
    end)
  end

  it("is rejected if the getter raises, too", function()
    local resolve
    p, resolve = Promise.withResolvers()
    resolve(with_next(function()
      cancel()
      error "unseen"
    end))
    is_cancelled(p)
  end)
end)
