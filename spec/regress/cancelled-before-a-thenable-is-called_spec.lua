--- Right before a thenable's "next" is called, the functions for it are made,
--- which takes memory. If a finalizer that ran then cancelled the promise,
--- the reason of that was replaced by an internal userdata.

local alloc = require "support.alloc"

describe("a promise that a finalizer cancels before its thenable is called",
  function()
    it("rejects with the cancellation", function()
      local moments = 0
      for litter = 0, 60 do
        local state <close> = alloc.open()
        local _, told, own, reason = assert(state:run(([[
          local Promise = require "cpromise"
          local drain, told = Promise.drain
          local p = Promise.resolve {next = function(_, resolve)
            resolve "value"
          end}
          p:catch(type)
          collectgarbage "stop"
          setmetatable({}, {__gc = function() told = p:cancel "why" end})
          require "spec.collector" (1, 100, 1)
          collectgarbage "restart"
          for _ = 1, %d do local _ = {} end
          local before = told
          drain()
          collectgarbage "stop"
          local amid = told and not before
          local state, reason = p:status()
          if Promise.isCancelled(reason) then reason = reason.reason end
          return amid, state, reason
        ]]):format(litter)))
        if told then
          moments = moments + 1
          assert.same({"rejected", "why"}, {own, reason})
        end
      end
      assert.is_true(moments > 0)
    end)
  end)
