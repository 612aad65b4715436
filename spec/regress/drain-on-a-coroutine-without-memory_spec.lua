--- What is to be closed when a drain ends on a coroutine is called for that,
--- which takes memory. Where that lacked, the drain never came to its end,
--- and no job ran any more; and a wait that ran the loop counted for ever.

local alloc = require "support.alloc"

-- Do it with two allocations failing, the first one, the second one and so
-- on; then see that all is in order.
local function try(setup, check)
  local failed = 0
  for first = 1, math.huge do
    local state <close> = alloc.open()
    assert(state:run(setup))
    state:run("go()", first, first + 1)
    local count = state:count()
    assert(state:run(check))
    if count < first then break end
    failed = failed + 1
  end
  assert.is_true(failed > 0)
end

describe("without memory on a coroutine", function()
  it("a drain ends", function()
    try([[
      Promise = require "cpromise"
      local co = coroutine.create(Promise.drain)
      function go() coroutine.resume(co) end
    ]], [[
      local ran = false
      Promise.queueMicrotask(function() ran = true end)
      Promise.drain()
      assert(ran)
    ]])
  end)

  it("a wait that runs the loop ends", function()
    try([[
      Promise = require "cpromise"
      loop = require "cpromise.loop.virtual".new()
      Promise.setLoop(loop)
      local co = coroutine.create(Promise.run)
      function go() coroutine.resume(co) end
    ]], [[
      -- else a timeout keeps the loop alive
      Promise.withResolvers():timeout(60):catch(type)
      Promise.run()
      assert(loop.now() < 60)
    ]])
  end)
end)
