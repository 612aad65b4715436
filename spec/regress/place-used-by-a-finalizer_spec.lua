--- Whether one has to wait for an event, or to send, was asked before the
--- promise for that was made. A finalizer that ran then could set the event,
--- or begin to receive: and both sides waited for ever.

local alloc = require "support.alloc"

--- Let `use` make a promise of an `object`, and run the finalizer in the best
--- case while it does. Returns how often it was so; then both are settled.
local function try(object, finalizer, use)
  local moments = 0
  for litter = 0, 60 do
    local state <close> = alloc.open()
    local _, amid, own, other = assert(state:run(([[
      local Promise = require "cpromise"
      local object = %s
      local ran, before, p, q
      collectgarbage "stop"
      setmetatable({}, {__gc = function()
        ran = true
        q = %s
      end})
      require "spec.collector" (1, 100, 1)
      collectgarbage "restart"
      for _ = 1, %d do local _ = {} end
      before = ran
      p = %s
      local amid = ran and not before
      collectgarbage "stop"
      Promise.drain()
      return amid, (p:status()), q and (q:status())
    ]]):format(object, finalizer, litter, use)))
    if amid then
      moments = moments + 1
      assert.same({"fulfilled", "fulfilled"}, {own, other or "fulfilled"})
    end
  end
  assert.is_true(moments > 0)
end

describe("what a finalizer uses meanwhile", function()
  it("is an event that somebody waits for", function()
    try("Promise.event()", "object:set()", "object:wait()")
  end)

  it("is a channel to which somebody sends", function()
    try("Promise.channel()", "object:receive()", "object:send(1)")
  end)

  it("is a channel from which somebody receives", function()
    try("Promise.channel()", "object:send(1)", "object:receive()")
  end)

  it("is a semaphore that somebody acquires", function()
    try("Promise.semaphore(2)", "object:acquire()", "object:acquire()")
  end)
end)
