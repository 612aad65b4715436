--- Promises on a controller of cqueues: what no other loop has.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"

local has_cqueues, cqueues = pcall(require, "cqueues")

describe("on cqueues", function()
  if not has_cqueues then
    pending "there is no cqueues"
    return
  end

  local condition = require "cqueues.condition"
  local loop = require "cpromise.loop.cqueues"
  local virtual = require "cpromise.loop.virtual"
  local await = Promise.await
  local log

  local function note(what) log[#log + 1] = what end

  before_each(function()
    helper.drain()
    log = {}
    loop.queue = cqueues.new()
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.run()
    Promise.setLoop(nil)
  end)

  it("a thread can await", function()
    loop.queue:wrap(function()
      local v = await(Promise.delay(0.02, "late"))
      note(v)
      note(await(1))
      note(select(2, Promise.pawait(Promise.reject "no")))
      note(select(2, pcall(await, Promise.reject "raised")))
    end)
    Promise.run()
    assert.same({"late", 1, "no", "raised"}, log)
  end)

  it("a generator can await in a thread, and its thread call cqueues",
    function()
      loop.queue:wrap(function()
        local function values()
          for i = 1, 3 do coroutine.yield(await(Promise.delay(0.01, i))) end
          await(Promise.reject "broken")
        end
        note(select(2, pcall(function()
          for v in Promise.wrap(values) do
            note(v)
            cqueues.sleep(0.01)
          end
        end)))
      end)
      Promise.run()
      assert.same({1, 2, 3, "broken"}, log)
    end)

  it("a generator that waits is nobody else's to resume", function()
    local next_value = Promise.wrap(function()
      coroutine.yield(await(Promise.delay(0.02, "late")))
      coroutine.yield "next"
    end)
    for _ = 1, 2 do
      loop.queue:wrap(function() note((select(2, pcall(next_value)))) end)
    end
    Promise.run()
    assert.matches("cannot resume a generator that awaits", log[1])
    assert.equal("late", log[2])
    assert.equal("next", next_value())
  end)

  it("a scope interrupts a generator in a thread", function()
    loop.queue:wrap(function()
      local _, reason = pcall(function()
        local scope <close> = Promise.scope()
        scope:spawn(function()
          await(Promise.delay(0.01))
          error("failed", 0)
        end)
        for v in Promise.wrap(function()
          coroutine.yield(await(Promise.delay(30, "late")))
        end) do
          note(v)
        end
      end)
      note(reason)
    end)
    Promise.run()
    assert.same({"failed"}, log)
  end)

  it("the controller in which promises are used first is found", function()
    assert.equal("slept\ndone\ttrue\n", child.run [[
local cqueues = require "cqueues"
local Promise = require "cpromise"
local controller = cqueues.new()
controller:wrap(function()
  print(Promise.await(Promise.delay(0.01, "slept")))
  Promise.await(Promise.resolve())
  print("done", require "cpromise.loop.cqueues".queue == controller)
end)
assert(controller:loop())]])
  end)

  it("a thread is told the remedy, though cqueues was loaded later",
    function()
      if not helper.has_luv then return pending "there is no luv" end
      local text = child.run [[
local Promise = require "cpromise"
require "luv"
Promise.await(Promise.delay(0))
local controller = require "cqueues".new()
controller:wrap(function()
  print(select(2, pcall(Promise.await, Promise.resolve())))
end)
assert(controller:loop())
print "goes on"]]
      assert.matches("can't await in a thread of cqueues", text, 1, true)
      assert.matches("goes on\n$", text)
    end)

  it("a thread of another controller can await", function()
    local other = cqueues.new()
    other:wrap(function()
      local v = await(Promise.delay(0.02, "late"))
      note(v)
    end)
    loop.queue:wrap(function() assert(other:loop()) end)
    Promise.run()
    assert.same({"late"}, log)
  end)

  it("a thread can still call cqueues after it awaited", function()
    loop.queue:wrap(function()
      await(Promise.delay(0.01))
      cqueues.sleep(0.01)
      await(1)
      cqueues.sleep(0.01)
      note "end"
    end)
    Promise.run()
    assert.same({"end"}, log)
  end)

  it("the controller can be run by the program", function()
    loop.queue:wrap(function()
      note(await(Promise.delay(0.01, "late")))
    end)
    assert(loop.queue:loop())
    assert.same({"late"}, log)
  end)

  it("async functions can sleep at the same time", function()
    local start = cqueues.monotime()
    Promise.run(function()
      local function sleep(seconds)
        cqueues.sleep(seconds)
        note(seconds)
      end
      await(Promise.all {
        Promise.spawn(sleep, 0.15), Promise.spawn(sleep, 0.05),
        Promise.spawn(sleep, 0.1),
      })
    end)
    assert.same({0.05, 0.1, 0.15}, log)
    assert.is_true(cqueues.monotime() - start < 0.25)
  end)

  it("an async function is given what is ready", function()
    local cond = condition.new()
    Promise.run(function()
      Promise.delay(0.01):next(function() cond:signal() end)
      note(cqueues.poll(cond, 5) == cond)
      note((cqueues.poll(cond, 0.01)))
    end)
    assert.same({true, 0.01}, log)
  end)

  it("an async function can wait for a condition", function()
    local cond = condition.new()
    Promise.run(function()
      await(Promise.resolve()) -- from here on it runs in the controller
      Promise.delay(0.01):next(function() cond:signal() end)
      note(cond:wait())
    end)
    assert.same({true}, log)
  end)

  it("an async function that yields anything else is refused", function()
    local p = Promise.spawn(function() coroutine.yield "mine" end)
    p:catch(function() end)
    Promise.run()
    local state, reason = p:status()
    assert.equal("rejected", state)
    assert.matches("an async function can't yield", reason, 1, true)
  end)

  it("a request to end reaches one that sleeps when it awaits", function()
    local p
    Promise.run(function()
      p = Promise.spawn(function()
        cqueues.sleep(0.02)
        note "slept"
        await(Promise.withResolvers())
      end)
      p:cancel()
      p:catch(function() end)
      Promise.pawait(p)
    end)
    assert.same({"slept"}, log)
    assert.is_true(Promise.isCancelled(select(2, p:status())))
  end)

  it("an error of a thread is reported, and harms no other", function()
    local seen = helper.unhandled(function()
      loop.queue:wrap(function() error("boom", 0) end)
      loop.queue:wrap(function()
        note(await(Promise.delay(0.01, "late")))
      end)
      Promise.run()
    end)
    assert.equal(1, #seen)
    assert.matches("boom", seen[1].reason, 1, true)
    assert.same({"late"}, log)
  end)

  it("takes no processor time to wait", function()
    Promise.delay(0.2)
    local start = os.clock()
    Promise.run()
    assert.is_true(os.clock() - start < 0.1)
  end)

  it("a generator is told the remedy if another loop is used", function()
    local other = virtual.new()
    Promise.setLoop(other)
    local queue = cqueues.new()
    local values = Promise.wrap(function()
      note(select(2, pcall(await, Promise.delay(1))))
      coroutine.yield "goes on"
    end)
    queue:wrap(function() note(values()) end)
    assert(queue:loop())
    assert.matches("can't await in a thread of cqueues", log[1], 1, true)
    assert.equal("goes on", log[2])
  end)

  it("a thread is told the remedy if another loop is used", function()
    Promise.setLoop(virtual.new())
    local queue = cqueues.new()
    local why
    queue:wrap(function() why = select(2, pcall(await, 1)) end)
    queue:step()
    assert.matches('Promise.setLoop(require "cpromise.loop.cqueues")', why, 1,
      true)
  end)
end)
