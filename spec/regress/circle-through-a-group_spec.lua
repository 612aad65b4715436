--- A child that waited for the call or the scope that waited for it never
--- ended, however often that was cancelled: the request goes from the call to
--- the children by a hook, where the walk could not see that it ran in a
--- circle. And what the last one of a circle had left was still regarded as
--- looked at: its failure was lost.

local Promise = require "cpromise"
local await = Promise.await

local function none() return (Promise.withResolvers()) end

--- By name, functions that start something whose child calls `wait(it)`.
local groups = {
  ["Promise.scope"] = function(wait)
    local p
    p = Promise.scope(function(scope)
      scope:spawn(function()
        await()
        return wait(p)
      end)
    end)
    return p
  end,
  ["a block"] = function(wait)
    local p
    p = Promise.spawn(function()
      local scope <close> = Promise.scope()
      scope:spawn(function()
        await()
        return wait(p)
      end)
      await()
    end)
    return p
  end,
  ["map"] = function(wait)
    local p
    p = Promise.map({1}, function()
      await()
      return wait(p)
    end)
    return p
  end,
  ["a scope in a scope"] = function(wait)
    local p
    p = Promise.scope(function(outer)
      outer:spawn(function()
        await(Promise.scope(function(inner)
          inner:spawn(function()
            await()
            return wait(p)
          end)
        end))
      end)
    end)
    return p
  end,
}

local ways = {
  ["an await"] = await,
  ["a promise that is returned"] = function(p) return p end,
  ["next"] = function(p) await(p:next()) end,
  ["finally"] = function(p) await(p:finally(function() end)) end,
  ["all"] = function(p) await(Promise.all {p, none()}) end,
  ["another call"] = function(p)
    await(Promise.spawn(function() await(p) end))
  end,
  ["another scope"] = function(p)
    await(Promise.scope(function(scope)
      scope:spawn(function() await(p) end)
    end))
  end,
}

for group, start in pairs(groups) do
  describe(("a circle through %s"):format(group), function()
    for way, wait in pairs(ways) do
      it(("ends when it is cancelled: %s"):format(way), function()
        local p = start(wait)
        Promise.drain()
        assert.is_true(p:cancel "stop")
        Promise.drain()
        assert.equal("rejected", (p:status()))
        assert.equal("stop", select(2, p:status()).reason)
      end)
    end
  end)
end

describe("a circle through a scope", function()
  it("ends when another child fails", function()
    local p
    p = Promise.scope(function(scope)
      scope:spawn(function() await(p) end)
      scope:spawn(function()
        await()
        error("boom", 0)
      end)
    end)
    p:catch(function() end)
    Promise.drain()
    assert.same({"rejected", "boom"}, {p:status()})
  end)
end)

describe("a call that was the last to wait for itself", function()
  local own = {
    ["an await"] = function(p) return p end,
    ["next"] = function(p) return p:next() end,
    ["finally"] = function(p) return p:finally(function() end) end,
    ["all"] = function(p) return Promise.all {p} end,
    ["a shield"] = function(p) return Promise.shield(p) end,
    ["a timeout"] = function(p) return p:timeout(3600) end,
  }

  local previous

  before_each(function()
    local loop = require "cpromise.loop.virtual".new()
    previous = Promise.setLoop(loop)
  end)

  after_each(function() Promise.setLoop(previous) end)

  for way, derive in pairs(own) do
    it(("has its failure reported: %s"):format(way), function()
      local reported = {}
      Promise.onUnhandledRejection(function(reason)
        reported[#reported + 1] = reason
      end)
      local p
      p = Promise.spawn(function()
        await()
        pcall(await, derive(p))
        error("boom", 0)
      end)
      Promise.drain()
      p:cancel()
      Promise.drain()
      Promise.onUnhandledRejection(nil)
      assert.same({"rejected", "boom"}, {p:status()})
      assert.same({"boom"}, reported)
    end)
  end
end)
