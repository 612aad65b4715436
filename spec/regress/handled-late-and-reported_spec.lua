--- An aggregate that is cancelled reports the failures of its elements that
--- are not its reason, unless somebody else learns of them. It did not see
--- who came when the element had settled, what was still to follow it, nor an
--- aggregate that had settled before: such a failure was reported as well.

local Promise = require "cpromise"

describe("the second failure in an aggregate that is cancelled", function()
  local reported

  before_each(function()
    reported = {}
    Promise.onUnhandledRejection(function(reason)
      reported[#reported + 1] = reason
    end)
  end)

  after_each(function() Promise.onUnhandledRejection(nil) end)

  it("is reported if nobody else looks", function()
    local a, _, reject_a = Promise.withResolvers()
    local b, _, reject_b = Promise.withResolvers()
    local both = Promise.all {a, b}
    both:catch(function() end)
    reject_a "a"
    reject_b "b"
    both:cancel()
    Promise.drain()
    assert.same({"rejected", "a"}, {both:status()})
    assert.same({"b"}, reported)
  end)

  local ways = {
    ["a handler"] = function(b) b:catch(function() end) end,
    ["an await"] = function(b)
      Promise.spawn(function() pcall(Promise.await, b) end)
    end,
    ["another aggregate that lives"] = function(b)
      Promise.allSettled {b}
    end,
  }
  for name, look in pairs(ways) do
    for time, is_late in pairs {before = false, after = true} do
      it(("is not reported if there is %s, from %s on"):format(name, time),
        function()
          local a, _, reject_a = Promise.withResolvers()
          local b, _, reject_b = Promise.withResolvers()
          local both = Promise.all {a, b}
          if not is_late then look(b) end
          Promise.drain()
          reject_a "a"
          reject_b "b"
          if is_late then look(b) end
          both:catch(function() end)
          both:cancel()
          Promise.drain()
          assert.same({"rejected", "a"}, {both:status()})
          assert.same({}, reported)
        end)
    end
  end

  it("is reported once if two aggregates had it, both cancelled", function()
    local a, _, reject_a = Promise.withResolvers()
    local b, _, reject_b = Promise.withResolvers()
    reject_a "a"
    reject_b "b"
    for _ = 1, 2 do
      local both = Promise.all {a, b}
      both:catch(function() end)
      both:cancel()
    end
    Promise.drain()
    assert.same({"b"}, reported)
  end)

  it("is not reported if one that settled first has it", function()
    local a, b = Promise.reject "a", Promise.reject "b"
    Promise.allSettled {b}
    local both = Promise.all {a, b}
    both:catch(function() end)
    both:cancel()
    Promise.drain()
    assert.same({"rejected", "a"}, {both:status()})
    assert.same({}, reported)
  end)

  it("is not reported if a promise is to follow it", function()
    local a, _, reject_a = Promise.withResolvers()
    local b, _, reject_b = Promise.withResolvers()
    local follower, resolve = Promise.withResolvers()
    local both = Promise.all {a, b}
    both:catch(function() end)
    follower:catch(function() end)
    reject_a "a"
    reject_b "b"
    both:cancel()
    resolve(b)
    Promise.drain()
    assert.same({}, reported)
  end)

  it("is not reported if a race that settled had it", function()
    local a, _, reject_a = Promise.withResolvers()
    local source, _, reject_source = Promise.withResolvers()
    local b = source:next()
    Promise.race {b, "at once"}
    local both = Promise.all {a, b}
    both:catch(function() end)
    Promise.drain()
    reject_a "a"
    reject_source "b"
    both:cancel()
    Promise.drain()
    assert.same({}, reported)
  end)
end)
