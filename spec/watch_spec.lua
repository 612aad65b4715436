--- What the core tells those who listen, and that it never harms.

local Promise = require "cpromise"
local core = require "cpromise.core"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"
local watch = require "cpromise.watch"

local await, async, spawn = Promise.await, Promise.async, Promise.spawn

local function nop() end

describe("a listener", function()
  local events, listeners

  local function listen(listener)
    listeners[#listeners + 1] = listener
    watch.subscribe(listener)
  end

  -- What is told while the block runs and after it, without the promises.
  local function told(block)
    events = {}
    listen(function(event, promise)
      events[#events + 1] =
        promise and event .. " " .. promise:status() or event
    end)
    block()
    Promise.drain()
    return events
  end

  before_each(function()
    listeners = {}
    Promise.setLoop(virtual.new())
  end)

  after_each(function()
    for _, listener in ipairs(listeners) do watch.unsubscribe(listener) end
    Promise.drain()
    Promise.setLoop(nil)
  end)

  for name, react in pairs {
    next = function(p) p:next(nop, nop) end,
    ["next without a second handler"] = function(p) p:next(nop) end,
    finally = function(p) p:finally(nop) end,
  } do
    it("is told of the handler of " .. name, function()
      assert.same({"job pending", "job_end " ..
        (name == "finally" and "pending" or "fulfilled")},
        {table.unpack(told(function() react(Promise.resolve(1)) end), 1, 2)})
    end)
  end

  it("is told of the handler of catch", function()
    assert.same({"settled rejected", "job pending", "job_end fulfilled"},
      told(function() Promise.reject(1):catch(nop) end))
  end)

  it("is told which handler runs for what", function()
    local source = Promise.resolve(1)
    local function on_fulfilled() end
    local derived, seen = source:next(on_fulfilled, nop), nil
    listen(function(event, ...)
      if event == "job" then seen = {...} end
    end)
    Promise.drain()
    assert.same({derived, on_fulfilled, source}, seen)
  end)

  it("is told of the second of two handlers", function()
    local function on_rejected() end
    local seen
    Promise.reject(1):next(nop, on_rejected)
    listen(function(event, _, code)
      if event == "job" then seen = code end
    end)
    Promise.drain()
    assert.equal(on_rejected, seen)
  end)

  it("hears of no handler where the outcome passes through", function()
    local p, _, reject = Promise.withResolvers()
    local last = p:next(nop):next(nop):catch(nop)
    assert.same({
      "settled rejected", "settled rejected", "settled rejected",
      "job pending", "job_end fulfilled",
    }, told(function() reject(1) end))
    assert.equal("fulfilled", (last:status()))
  end)

  it("is told where an outcome that passes through comes from", function()
    local source = Promise.reject(1)
    local derived, seen = source:next(nop):ignore(), nil
    listen(function(event, ...)
      if event == "settled" then seen = {...} end
    end)
    Promise.drain()
    assert.same({derived, source}, seen)
  end)

  it("is told of microtasks, without a promise", function()
    local seen = {}
    listen(function(...) seen[#seen + 1] = table.pack(...) end)
    Promise.queueMicrotask(nop)
    Promise.queueMicrotask(nop, 1)
    Promise.drain()
    for i = 1, 3, 2 do
      assert.same({"job", nil, nop, nil, n = 4}, seen[i])
      assert.same({"job_end", nil, n = 2}, seen[i + 1])
    end
    assert.equal(4, #seen)
  end)

  it("is told of the method of a thenable", function()
    local function method(_, resolve) resolve(1) end
    local seen
    local p = Promise.resolve {next = method}
    listen(function(event, promise, code)
      if event == "job" then seen = {promise, code} end
    end)
    Promise.drain()
    assert.same({p, method}, seen)
  end)

  it("is told of coroutines of the program's own", function()
    local gate, open = Promise.withResolvers()
    local co = coroutine.create(function() await(gate) end)
    coroutine.resume(co)
    local seen = {}
    listen(function(event, promise, code)
      if event == "job" then seen[#seen + 1] = {promise or false, code} end
    end)
    open()
    Promise.drain()
    assert.same({{false, co}}, seen)
  end)

  it("is told of each slice of an async call", function()
    assert.same({
      "call pending", "call_end pending", -- a plain value
      "call pending", "call_end pending", -- a delay
      "timer fulfilled", "call pending", "call_end fulfilled",
    }, told(function()
      spawn(function()
        await(1)
        await(Promise.delay(1))
      end)
      Promise.run()
    end))
  end)

  it("is told the coroutine of an async call", function()
    local seen, co
    listen(function(event, promise, thread)
      if event == "call" then seen = {promise, thread} end
    end)
    local call = spawn(function() co = coroutine.running() end)
    assert.same({call, co}, seen)
  end)

  it("is told of a call whose start had to wait", function()
    local depth = 100
    local function nest(n) if n > 0 then spawn(nest, n - 1) end end
    local calls = 0
    for _, event in ipairs(told(function() spawn(nest, depth) end)) do
      if event:find "^call_end" then calls = calls + 1 end
    end
    assert.equal(depth + 1, calls)
  end)

  it("is told of a call whose coroutine was closed", function()
    local gate, open = Promise.withResolvers()
    local co
    spawn(function()
      co = coroutine.running()
      await(gate)
    end):ignore()
    coroutine.close(co)
    assert.same({"settled fulfilled", "settled rejected"}, told(open))
  end)

  it("is told of calls that wait in a crowd", function()
    local gate, open = Promise.withResolvers()
    local wait = async(function() await(gate) end)
    for _ = 1, 20 do wait() end
    local ended = 0
    for _, event in ipairs(told(open)) do
      if event == "call_end fulfilled" then ended = ended + 1 end
    end
    assert.equal(20, ended)
  end)

  it("is told of handlers that wait in a crowd", function()
    local gate, open = Promise.withResolvers()
    for _ = 1, 20 do gate:finally(nop) end
    local ran = 0
    for _, event in ipairs(told(open)) do
      if event:find "^job_end" then ran = ran + 1 end
    end
    assert.equal(20, ran)
  end)

  it("is told when an aggregate has settled", function()
    local p, resolve = Promise.withResolvers()
    local all, seen = Promise.all {p}, {}
    listen(function(event, promise, source)
      if event == "settled" then
        seen[#seen + 1] = {promise, promise:status(), source}
      end
    end)
    all:next(nop)
    resolve(1)
    Promise.drain()
    assert.same({p, "fulfilled"}, seen[1])
    assert.same({all, "fulfilled", p}, seen[2])
  end)

  it("is told of timeouts that strike", function()
    local loop = virtual.new()
    Promise.setLoop(loop)
    local limit = Promise.new(nop):timeout(1):ignore()
    local seen
    listen(function(event, promise)
      if event == "timer" then seen = promise end
    end)
    loop.advance(1)
    assert.equal(limit, seen)
  end)

  it("is told what was cancelled, once it was", function()
    local p = Promise.new(nop)
    local derived = p:next(nop)
    local seen = {}
    listen(function(event, promise)
      if event == "cancel" then
        seen[#seen + 1] = {promise, p:status()}
      end
    end)
    derived:cancel()
    derived:cancel()
    assert.equal(1, #seen)
    assert.equal(derived, seen[1][1])
    assert.equal("rejected", seen[1][2])
  end)

  it("hears nothing of what it makes the core do", function()
    local count = 0
    listen(function()
      count = count + 1
      Promise.resolve(1):next(nop)
      spawn(nop)
    end)
    spawn(nop)
    assert.equal(2, count)
  end)

  it("may raise", function()
    local heard = 0
    listen(function() error "no" end)
    listen(function() heard = heard + 1 end)
    local p = Promise.resolve(1):next(function(v) return v + 1 end)
    assert.same({"fulfilled", 2}, {helper.outcome(p)})
    assert.equal(2, heard)
  end)

  it("may use up the stack", function()
    local function endless() return 1 + endless() end
    core.setWatch(endless)
    local p = Promise.resolve(1):next(function(v) return v + 1 end)
    assert.same({"fulfilled", 2}, {helper.outcome(p)})
    core.setWatch(nil)
  end)

  it("can't await", function()
    local reason
    listen(function()
      local _, err = pcall(await, Promise.resolve(1))
      reason = err
    end)
    local call = spawn(function() return await(1) end)
    assert.same({"fulfilled", 1}, {helper.outcome(call)})
    assert.is_truthy(reason:find "can't await")
  end)

  it("may leave while it is told", function()
    local heard = {}
    local function once(event)
      heard[#heard + 1] = event
      watch.unsubscribe(once)
    end
    listen(once)
    listen(function(event) heard[#heard + 1] = event end)
    spawn(nop)
    assert.same({"call", "call", "call_end"}, heard)
  end)

  it("hears nothing after it has left", function()
    local function listener() error "is told" end
    core.setWatch(listener)
    core.setWatch(nil)
    local list = told(function() spawn(nop) end)
    watch.unsubscribe(listeners[1])
    spawn(nop)
    assert.same({"call pending", "call_end fulfilled"}, list)
  end)

  it("leaves errors in flight their traceback", function()
    listen(function() pcall(error, "another") end)
    local function thrower() error "thrown" end
    local call = spawn(function()
      local cleanup <close> = setmetatable({}, {__close = function()
        spawn(nop)
        await(1)
      end})
      thrower(cleanup)
    end):ignore()
    Promise.drain()
    assert.is_truthy(call:traceback():find "'thrower'")
  end)

  it("leaves a call its request to end", function()
    local left = 10
    listen(function()
      left = left - 1
      if left > 0 then spawn(function() await(1) end) end
    end)
    local call = spawn(function() await(Promise.new(nop)) end)
    call:cancel "enough"
    Promise.drain()
    local state, reason = call:status()
    assert.equal("rejected", state)
    assert.equal("enough", reason.reason)
  end)

  it("may cancel what runs", function()
    local block = true
    listen(function(event, promise)
      if block and event == "job" then promise:cancel() end
    end)
    local p = Promise.resolve(1):next(nop)
    local q = Promise.resolve {next = function(_, resolve) resolve(1) end}
    Promise.drain()
    block = false
    assert.is_true(Promise.isCancelled(select(2, p:status())))
    assert.is_true(Promise.isCancelled(select(2, q:status())))
  end)

  it("has to be callable", function()
    assert.has_error(function() core.setWatch(1) end)
  end)
end)

describe("monotonic", function()
  it("is a count of nanoseconds that never goes back", function()
    local first, second = core.monotonic(), core.monotonic()
    assert.equal("integer", math.type(first))
    assert.is_true(second >= first)
  end)
end)
