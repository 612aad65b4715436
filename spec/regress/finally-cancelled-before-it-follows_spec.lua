--- A "finally" whose original value is a thenable makes a promise to follow.
--- If a finalizer that ran then cancelled the "finally", it took that, and
--- followed all the same: the program crashed.

local alloc = require "support.alloc"

describe("a finally that a finalizer cancels before it follows a thenable",
  function()
    it("rejects with the cancellation", function()
      local moments = 0
      for litter = 0, 60 do
        local state <close> = alloc.open()
        local _, told, own, reason, called = assert(state:run(([[
          local Promise = require "cpromise"
          local drain, told, cleaned = Promise.drain, nil, 0
          local p = Promise.fulfill {next = function(_, resolve)
            resolve "value"
          end}
          local w = p:finally(function() cleaned = cleaned + 1 end)
          w:catch(type)
          drain(1)
          collectgarbage "stop"
          setmetatable({}, {__gc = function() told = w:cancel "why" end})
          require "spec.collector" (1, 100, 1)
          collectgarbage "restart"
          for _ = 1, %d do local _ = {} end
          local before = told
          drain()
          collectgarbage "stop"
          local amid = told and not before
          local state, reason = w:status()
          if Promise.isCancelled(reason) then reason = reason.reason end
          return amid, state, reason, cleaned
        ]]):format(litter)))
        assert.equal(1, called)
        if told then
          moments = moments + 1
          assert.same({"rejected", "why"}, {own, reason})
        end
      end
      assert.is_true(moments > 0)
    end)
  end)
