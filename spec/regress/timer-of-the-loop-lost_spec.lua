--- While the loop's timer was being armed for one delay, another one was
--- started or cancelled: by the loop's own code, or by a finalizer. A delay
--- that was due earlier then fired late, with the first one; and one whose
--- timer was given back meanwhile never fired.

local Promise = require "cpromise"
local alloc = require "support.alloc"
local virtual = require "cpromise.loop.virtual"

describe("a delay that starts while the loop's timer is armed", function()
  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  --- Start one of 5 seconds by `outer`, and in the loop's code for that one
  --- of 1 second, by `inner`. Returns when each of them was over.
  local function nest(outer, inner)
    local loop = virtual.new()
    local timer, log, nested = loop.timer, {}, false
    local function note() log[#log + 1] = loop.now() end
    function loop.timer(...)
      if not nested then
        nested = true
        inner(1):catch(note)
      end
      return timer(...)
    end
    Promise.setLoop(loop)
    outer(5):catch(note)
    for _ = 1, 6 do loop.advance(1) end
    return log
  end

  local function delay(seconds)
    return Promise.delay(seconds):next(error)
  end

  local function timeout(seconds)
    return Promise.withResolvers():timeout(seconds)
  end

  it("is over in time", function()
    for _, outer in ipairs {delay, timeout} do
      for _, inner in ipairs {delay, timeout} do
        assert.same({1, 5}, nest(outer, inner))
      end
    end
  end)

  it("keeps the loop alive, in the code for a timeout", function()
    local loop = virtual.new()
    local timer, p = loop.timer, nil
    function loop.timer(...)
      if not p then
        p = true
        p = Promise.delay(9, "value")
      end
      return timer(...)
    end
    Promise.setLoop(loop)
    timeout(1):catch(function() end)
    Promise.run()
    assert.same({"fulfilled", "value"}, {p:status()})
  end)
end)

describe("a delay whose timer a finalizer gives back", function()
  it("gets another", function()
    -- The list of the 17th duration needs a larger block, which takes memory.
    local moments = 0
    for litter = 0, 60 do
      local state <close> = alloc.open()
      local _, own, value, ran = assert(state:run(([[
        local Promise = require "cpromise"
        local loop = require "cpromise.loop.virtual".new()
        Promise.setLoop(loop)
        local all, ran = {}, false
        for i = 1, 16 do all[i] = Promise.delay(i) end
        for i = 2, 16 do all[i]:cancel() end
        collectgarbage "stop"
        setmetatable({}, {__gc = function()
          ran = true
          all[1]:cancel()
        end})
        require "spec.collector" (1, 100, 1)
        collectgarbage "restart"
        for _ = 1, %d do local _ = {} end
        local before = ran
        local p = Promise.delay(20, "value")
        local amid = ran and not before
        collectgarbage "stop"
        while loop.step() do end
        local state, value = p:status()
        return state, value, amid
      ]]):format(litter)))
      assert.same({"fulfilled", "value"}, {own, value})
      if ran then moments = moments + 1 end
    end
    assert.is_true(moments > 0)
  end)
end)
