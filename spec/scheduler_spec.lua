--- A loop that resumes coroutines itself: what it says by own, suspend and
--- take.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await, spawn = Promise.await, Promise.spawn

local function nop() end

-- Its coroutines yield a function, which is called with what resumes them.
local function scheduler()
  local loop = virtual.new()
  local own = setmetatable({}, {__mode = "k"})
  local ready = {}

  local function resume(co, ...)
    local ok, request = coroutine.resume(co, ...)
    assert(ok, request)
    if coroutine.status(co) == "dead" then return end
    assert(type(request) == "function", "a yield that means nothing here")
    request(function(...)
      local values = table.pack(...)
      ready[#ready + 1] = function()
        resume(co, table.unpack(values, 1, values.n))
      end
    end)
  end

  function loop.go(fn)
    local co = coroutine.create(fn)
    own[co] = true
    resume(co)
  end

  function loop.own()
    return own[coroutine.running()] ~= nil
  end

  function loop.suspend(start) coroutine.yield(start) end

  function loop.take(wake, request)
    if type(request) ~= "function" then return false end
    request(wake)
    return true
  end

  local step = loop.step
  function loop.step()
    local alive = step()
    while ready[1] do
      table.remove(ready, 1)()
      alive = true
    end
    return alive
  end
  return loop
end

describe("a loop with coroutines of its own", function()
  local loop, log

  local function note(...) log[#log + 1] = table.concat({...}, " ") end

  before_each(function()
    helper.drain()
    loop, log = scheduler(), {}
    Promise.setLoop(loop)
  end)

  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  it("lets these await", function()
    loop.go(function()
      note(await(Promise.delay(1, "late", "values")))
      note(await "plain")
      note(select(2, Promise.pawait(Promise.reject "no")))
      note(select(2, pcall(await, Promise.reject "raised")))
      note(await {next = function(_, resolve) resolve "thenable" end})
    end)
    Promise.run()
    assert.same({"late values", "plain", "no", "raised", "thenable"}, log)
  end)

  it("leaves coroutines of the program's own as they are", function()
    coroutine.wrap(function()
      note(await(Promise.delay(1, "late")))
      note(await "plain")
    end)()
    Promise.run()
    assert.same({"late", "plain"}, log)
  end)

  describe("lets generators await", function()
    -- What a consumer gets from a generator that awaits twice.
    local function consume()
      local values = Promise.wrap(function()
        coroutine.yield(await(Promise.delay(1, "late")))
        note(select(2, pcall(await, Promise.reject "raised")))
        coroutine.yield(await "plain")
      end)
      for v in values do note(v) end
    end

    it("in its own", function()
      loop.go(consume)
      Promise.run()
      assert.same({"late", "raised", "plain"}, log)
    end)

    it("in the program's", function()
      coroutine.wrap(consume)()
      Promise.run()
      assert.same({"late", "raised", "plain"}, log)
    end)

    it("in async functions", function()
      Promise.run(consume)
      assert.same({"late", "raised", "plain"}, log)
    end)

    it("if it need not yield for that", function()
      function loop.suspend(start)
        local woken = false
        start(function() woken = true end)
        while not woken do loop.step() end
      end
      loop.go(consume)
      Promise.run()
      assert.same({"late", "raised", "plain"}, log)
    end)

    it("or lets them raise why not", function()
      function loop.suspend() error("not now", 0) end
      local values = Promise.wrap(function()
        note(select(2, pcall(await, 1)))
        coroutine.yield "goes on"
      end)
      loop.go(function() note(values()) end)
      assert.matches("not now$", log[1])
      assert.equal("goes on", log[2])
    end)

    it("or raises what it raises in its consumer", function()
      local reason = {}
      function loop.suspend() error(reason) end
      local values = Promise.wrap(function() await(1) end)
      loop.go(function() log[1] = select(2, pcall(values)) end)
      assert.equal(reason, log[1])
    end)

    it("in a scope that leaves them alone", function()
      loop.go(function()
        local _ <close> = Promise.scope()
        consume()
      end)
      Promise.run()
      assert.same({"late", "raised", "plain"}, log)
    end)

    it("in a scope, which interrupts them", function()
      loop.go(function()
        note(select(2, pcall(function()
          local scope <close> = Promise.scope()
          scope:spawn(function()
            await(Promise.delay(1))
            error("failed", 0)
          end)
          Promise.wrap(function() await(Promise.delay(60)) end)()
        end)))
      end)
      Promise.run()
      assert.same({"failed"}, log)
    end)
  end)

  it("is given what an async function yields", function()
    local wake
    local p = spawn(function()
      return coroutine.yield(function(resume) wake = resume end)
    end)
    helper.drain()
    assert.equal("pending", p:status())
    wake(1, nil, 3)
    Promise.run()
    assert.same(table.pack("fulfilled", 1, nil, 3), table.pack(p:status()))
  end)

  it("may let it go on at once", function()
    local p = spawn(function()
      await(1)
      return coroutine.yield(function(resume) resume "at once" end)
    end)
    Promise.run()
    assert.same({"fulfilled", "at once"}, {p:status()})
  end)

  it("lets it go on once", function()
    local wake
    local p = spawn(function()
      note(coroutine.yield(function(resume) wake = resume end))
      return await(Promise.delay(1, "end"))
    end)
    wake "first"
    wake "second"
    helper.drain()
    wake "third"
    Promise.run()
    assert.same({"first"}, log)
    assert.same({"fulfilled", "end"}, {p:status()})
  end)

  it("takes not all", function()
    local p = spawn(function() coroutine.yield "mine" end)
    p:catch(nop)
    Promise.run()
    assert.matches("an async function can't yield",
      select(2, p:status()), 1, true)
  end)

  it("rejects the call with an error of its own", function()
    local p = spawn(function()
      coroutine.yield(function() error("broken", 0) end)
    end)
    p:catch(nop)
    Promise.run()
    assert.same({"rejected", "broken"}, {p:status()})
  end)

  it("ends one that was closed meanwhile", function()
    local wake, co
    local p = spawn(function()
      co = coroutine.running()
      coroutine.yield(function(resume) wake = resume end)
    end)
    p:catch(nop)
    coroutine.close(co)
    wake "value"
    Promise.run()
    assert.same({"rejected", "the coroutine of the async call was closed"},
      {p:status()})
  end)

  it("starts what is run among its jobs", function()
    local inside
    Promise.run(function() inside = loop.inside() or Promise.drain() == 0 end)
    assert.is_true(inside)
  end)

  for name, change in pairs {
    ["suspend is missing"] = function() loop.suspend = nil end,
    ["take is missing"] = function() loop.take = nil end,
    ["own is no function"] = function() loop.own = true end,
    ["poll is no function"] = function() loop.poll = 1 end,
    ["interrupt is no function"] = function() loop.interrupt = 1 end,
  } do
    it("is refused if " .. name, function()
      change()
      local message = helper.raised(function() Promise.setLoop(loop) end)
      assert.matches("bad argument #1 to 'setLoop' (", message, 1, true)
    end)
  end
end)
