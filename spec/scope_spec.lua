--- Structured concurrency: both forms of a scope.

local Promise = require "cpromise"
local programs = require "spec.child"
local core = require "cpromise.core"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

local loop, log

-- An async function that takes so long, notes how it ends, and fails with
-- `err` if there is one.
local function task(name, seconds, err)
  return function()
    local ok, reason = pcall(await, Promise.delay(seconds))
    if not ok then
      log[#log + 1] = name .. " cancelled"
      error(reason, 0)
    end
    log[#log + 1] = name .. (err and " fails" or " ends")
    if err then error(err, 0) end
    return name
  end
end

-- Run the virtual clock till nothing is left.
local function exhaust()
  Promise.drain()
  while loop.step() do end
  Promise.drain()
end

-- What a promise comes to.
local function outcome(p)
  p:catch(function() end)
  exhaust()
  return p:status()
end

local function setup()
  loop, log = virtual.new(), {}
  Promise.setLoop(loop)
end

local function teardown()
  exhaust()
  Promise.setLoop(nil)
end

describe("Promise.scope(fn)", function()
  before_each(setup)
  after_each(teardown)

  it("calls fn at once, with the scope", function()
    local got
    Promise.scope(function(...) got = table.pack(...) end)
    assert.equal(1, got.n)
    assert.is_function(got[1].spawn)
  end)

  it("fulfils with all the results of fn", function()
    assert.same({"fulfilled", 1, nil, 3, n = 4},
      table.pack(outcome(Promise.scope(function() return 1, nil, 3 end))))
  end)

  it("calls fn where it can await", function()
    local p = Promise.scope(function()
      return await(Promise.delay(1, "x"))
    end)
    assert.same({"fulfilled", "x"}, {outcome(p)})
  end)

  it("settles only when all children have", function()
    local p = Promise.scope(function(scope)
      scope:spawn(task("a", 1))
      scope:spawn(task("b", 3))
      scope:spawn(task("c", 2))
      return "body"
    end)
    loop.advance(2.9)
    assert.equal("pending", (p:status()))
    assert.same({"a ends", "c ends"}, log)
    assert.same({"fulfilled", "body"}, {outcome(p)})
    assert.same({"a ends", "c ends", "b ends"}, log)
  end)

  it("waits for children that children spawn", function()
    local p = Promise.scope(function(scope)
      scope:spawn(function()
        await(Promise.delay(1))
        scope:spawn(function()
          await(Promise.delay(1))
          scope:spawn(task("grandchild", 1))
        end)
      end)
    end)
    assert.equal("fulfilled", (outcome(p)))
    assert.same({"grandchild ends"}, log)
    assert.equal(3, loop.now())
  end)

  it("returns the children's promises, which give all their values",
    function()
      local p = Promise.scope(function(scope)
        local child = scope:spawn(function(...)
          await(Promise.delay(1))
          return ...
        end, 1, nil, 3)
        assert.is_true(Promise.is(child))
        return await(child)
      end)
      assert.same({"fulfilled", 1, nil, 3, n = 4}, table.pack(outcome(p)))
    end)

  it("cancels the rest, in the order of their start, when one fails",
    function()
      local p = Promise.scope(function(scope)
        scope:spawn(task("a", 3))
        scope:spawn(task("b", 1, "boom"))
        scope:spawn(task("c", 3))
        task("body", 3)()
      end)
      assert.same({"rejected", "boom"}, {outcome(p)})
      assert.same({"b fails", "body cancelled", "a cancelled", "c cancelled"},
        log)
      assert.equal(1, loop.now())
    end)

  it("rejects with the failure unaltered, and its traceback", function()
    local err = {}
    local p = Promise.scope(function(scope)
      scope:spawn(function()
        await(Promise.delay(1))
        error(err)
      end)
    end)
    assert.same({"rejected", err}, {outcome(p)})
    assert.equal(err, select(2, p:status()))
    assert.matches("in function 'error'\n\tspec/scope_spec.lua:%d+:",
      p:traceback())
  end)

  it("gives the failure as the reason to those it cancels", function()
    local seen
    local p = Promise.scope(function(scope)
      scope:spawn(function()
        local _
        _, seen = pcall(await, Promise.delay(9))
      end)
      scope:spawn(task("b", 1, "boom"))
    end)
    outcome(p)
    assert.is_true(Promise.isCancelled(seen))
    assert.equal("boom", seen.reason)
  end)

  it("waits for what the cancelled ones do to clean up", function()
    local p = Promise.scope(function(scope)
      scope:spawn(function()
        pcall(await, Promise.delay(9))
        await(Promise.delay(2))
        log[#log + 1] = "cleaned up"
      end)
      scope:spawn(task("b", 1, "boom"))
    end)
    assert.same({"rejected", "boom"}, {outcome(p)})
    assert.same({"b fails", "cleaned up"}, log)
    assert.equal(3, loop.now())
  end)

  it("rejects when the body fails, after its children", function()
    local p = Promise.scope(function(scope)
      scope:spawn(task("a", 3))
      error("body", 0)
    end)
    assert.same({"rejected", "body"}, {outcome(p)})
    assert.same({"a cancelled"}, log)
    assert.equal("string", type(p:traceback()))
  end)

  it("rejects with an aggregate error if several fail by themselves",
    function()
      local p = Promise.scope(function(scope)
        scope:spawn(function()
          pcall(await, Promise.delay(9))
          error("second", 0)
        end)
        scope:spawn(task("b", 1, "first"))
        scope:spawn(task("c", 9))
        pcall(await, Promise.delay(9))
        await(Promise.delay(1))
        error("third", 0)
      end)
      local state, reason = outcome(p)
      assert.equal("rejected", state)
      assert.is_true(Promise.isAggregate(reason))
      assert.same({"first", "second", "third", n = 3}, reason.errors)
      assert.equal("3 tasks of the scope failed", reason.message)
      assert.equal("AggregateError: 3 tasks of the scope failed\n" ..
        "  1: first\n  2: second\n  3: third", tostring(reason))
    end)

  it("counts a failure once that the body passes on", function()
    local err = {}
    local p = Promise.scope(function(scope)
      local child = scope:spawn(function() error(err) end)
      local ok = Promise.pawait(child)
      assert(not ok)
      error(err)
    end)
    assert.equal(err, select(2, outcome(p)))
  end)

  it("does not take a child that is cancelled by hand for a failure",
    function()
      local p = Promise.scope(function(scope)
        local child = scope:spawn(task("a", 3))
        scope:spawn(task("b", 2))
        await(Promise.delay(1))
        child:cancel()
        return "body"
      end)
      assert.same({"fulfilled", "body"}, {outcome(p)})
      assert.same({"a cancelled", "b ends"}, log)
    end)

  it("ends as cancelled if the body awaits one that is", function()
    local p = Promise.scope(function(scope)
      local child = scope:spawn(task("a", 3))
      scope:spawn(task("b", 2))
      Promise.delay(1):next(function() child:cancel "by hand" end)
      await(child)
    end)
    local state, reason = outcome(p)
    assert.equal("rejected", state)
    assert.equal("by hand", reason.reason)
    assert.same({"a cancelled", "b cancelled"}, log)
  end)

  it("reports nothing of what it raises", function()
    local reports = helper.unhandled(function()
      local p = Promise.scope(function(scope)
        scope:spawn(task("a", 1, "one"))
        scope:spawn(task("b", 1, "two"))
      end)
      outcome(p)
    end)
    assert.same({}, reports)
  end)

  it("is reported itself if nobody handles it", function()
    local reports = helper.unhandled(function()
      Promise.scope(function(scope) scope:spawn(task("a", 1, "one")) end)
      exhaust()
    end)
    assert.equal(1, #reports)
    assert.equal("one", reports[1].reason)
  end)

  describe("cancelled", function()
    it("cancels all in it, waits, and rejects with that", function()
      local p = Promise.scope(function(scope)
        scope:spawn(task("a", 3))
        scope:spawn(function()
          pcall(await, Promise.delay(9))
          await(Promise.delay(1))
          log[#log + 1] = "b cleaned up"
        end)
        task("body", 9)()
      end)
      loop.advance(1)
      assert.is_true(p:cancel "why")
      assert.is_false(p:cancel())
      Promise.drain()
      assert.equal("pending", (p:status()))
      local state, reason = outcome(p)
      assert.equal("rejected", state)
      assert.equal("why", reason.reason)
      assert.same({"body cancelled", "a cancelled", "b cleaned up"}, log)
      assert.equal(2, loop.now())
    end)

    it("by the scope's own method, at once", function()
      local own, did, again
      local p = Promise.scope(function(scope)
        own = scope
        scope:spawn(task("a", 3))
      end)
      loop.advance(1)
      did, again = own:cancel "why", own:cancel()
      assert.is_true(did)
      assert.is_false(again)
      assert.same({"fulfilled", n = 1}, table.pack(outcome(p)))
      assert.same({"a cancelled"}, log)
    end)

    it("by the scope's own method, fulfils with what the body returns",
      function()
        local p = Promise.scope(function(scope)
          scope:spawn(task("a", 3))
          scope:cancel()
          return 1, nil, 3
        end)
        assert.same({"fulfilled", 1, nil, 3, n = 4}, table.pack(outcome(p)))
        assert.same({"a cancelled"}, log)
      end)

    it("by the scope's own method, fulfils though the body cleans up",
      function()
        local own
        local p = Promise.scope(function(scope)
          own = scope
          local _, reason = pcall(await, Promise.delay(9))
          await(Promise.delay(1))
          return reason.reason
        end)
        loop.advance(1)
        own:cancel "why"
        assert.same({"fulfilled", "why"}, {outcome(p)})
        assert.equal(2, loop.now())
      end)

    it("by the scope's own method, rejects with what fails then", function()
      local own
      local p = Promise.scope(function(scope)
        own = scope
        pcall(await, Promise.delay(9))
        error("cleanup", 0)
      end)
      own:cancel()
      assert.same({"rejected", "cleanup"}, {outcome(p)})
    end)

    it("by its own body, at the next await", function()
      local p = Promise.scope(function(scope)
        scope:cancel "why"
        log[1] = "after"
        await(Promise.delay(1))
        log[2] = "never"
      end)
      assert.same({"fulfilled", n = 1}, table.pack(outcome(p)))
      assert.same({"after"}, log)
    end)

    it("in both ways, rejects with that from outside", function()
      local own
      local p = Promise.scope(function(scope)
        own = scope
        pcall(await, Promise.delay(9))
        pcall(await, Promise.delay(9))
      end)
      own:cancel "inside"
      Promise.drain()
      p:cancel "outside"
      assert.equal("outside", select(2, outcome(p)).reason)
    end)

    it("by a child", function()
      local p = Promise.scope(function(scope)
        scope:spawn(task("a", 3))
        scope:spawn(function()
          await(Promise.delay(1))
          scope:cancel "child"
        end)
      end)
      assert.equal("fulfilled", (outcome(p)))
      assert.same({"a cancelled"}, log)
    end)

    it("rejects though the body catches it", function()
      local p = Promise.scope(function()
        pcall(await, Promise.delay(9))
        return "went on"
      end)
      p:cancel "why"
      assert.equal("why", select(2, outcome(p)).reason)
    end)

    it("rejects with what fails meanwhile", function()
      local p = Promise.scope(function(scope)
        scope:spawn(function()
          pcall(await, Promise.delay(9))
          error("cleanup", 0)
        end)
      end)
      p:cancel()
      assert.same({"rejected", "cleanup"}, {outcome(p)})
    end)

    it("starts what is spawned then, and cancels it at once", function()
      local p, child
      p = Promise.scope(function(scope)
        pcall(await, Promise.delay(9))
        child = scope:spawn(function()
          log[#log + 1] = "started"
          task("late", 1)()
        end)
      end)
      p:cancel "why"
      assert.equal("why", select(2, outcome(p)).reason)
      assert.same({"started", "late cancelled"}, log)
      assert.equal("why", select(2, child:status()).reason)
    end)

    it("when its consumer is, and nobody else waits", function()
      local p = Promise.scope(function(scope) scope:spawn(task("a", 3)) end)
      local consumer = Promise.spawn(function() await(p) end)
      consumer:cancel "why"
      assert.equal("why", select(2, outcome(p)).reason)
      assert.same({"a cancelled"}, log)
    end)

    it("bears hooks that run jobs, in which children end", function()
      local gate, open = Promise.withResolvers()
      local own
      local p = Promise.scope(function(scope)
        own = scope
        scope:spawn(function()
          await(Promise.new(function(_, _, on_cancel)
            on_cancel(function() Promise.drain() end)
          end))
        end)
        scope:spawn(function()
          await(gate)
          log[#log + 1] = "ended"
        end)
      end)
      open()
      assert.is_true(own:cancel "why")
      assert.same({"ended"}, log)
      assert.equal("fulfilled", (outcome(p)))
    end)

    it("in the very tick in which it would have ended", function()
      local done, finish = Promise.withResolvers()
      local p = Promise.scope(function(scope)
        scope:spawn(function() await(done) end)
      end)
      finish()
      local state
      local function try_later()
        state = p:status()
        if state == "pending" and not p:cancel() then
          Promise.queueMicrotask(try_later)
        end
      end
      try_later()
      assert.is_true(Promise.isCancelled(select(2, outcome(p))))
    end)

    it("in any tick, ends either way", function()
      for n = 0, 12 do
        local p = Promise.scope(function(scope)
          scope:spawn(function() await(1) end)
          return "body"
        end)
        Promise.drain(n)
        local did = p:cancel()
        local state, reason = outcome(p)
        assert.equal(did, state == "rejected")
        assert.equal(did, Promise.isCancelled(reason))
      end
    end)
  end)

  describe("spawn", function()
    it("raises after the scope has ended", function()
      local own
      outcome(Promise.scope(function(scope) own = scope end))
      local ok, err = pcall(function() own:spawn(print) end)
      assert.is_false(ok)
      assert.matches("^spec/scope_spec%.lua:%d+: the scope has ended: " ..
        "nothing can be spawned in it$", err)
    end)

    it("tells where, if it is a function's last call", function()
      local own
      outcome(Promise.scope(function(scope) own = scope end))
      local function spawn() return own:spawn(print) end
      local _, err = pcall(function() spawn() end)
      assert.matches("^spec/scope_spec%.lua:%d+: the scope has ended", err)
    end)

    it("raises if the child runs jobs in which the scope ends", function()
      local own, child
      local gate, open = Promise.withResolvers()
      local p = Promise.scope(function(scope)
        own = scope
        await(gate)
      end)
      open()
      local ok, err = pcall(function()
        own:spawn(function()
          child = Promise.delay(9)
          Promise.drain()
          assert(p:status() == "fulfilled")
          await(child)
        end)
      end)
      assert.is_false(ok)
      assert.matches("the scope has ended", err)
      Promise.drain()
      assert.is_true(Promise.isCancelled(select(2, child:status())))
    end)

    it("starts children that run jobs in which others end", function()
      local gates, open = {}, {}
      for i = 1, 3 do gates[i], open[i] = Promise.withResolvers() end
      local own
      local p = Promise.scope(function(scope)
        own = scope
        scope:spawn(await, gates[1])
      end)
      own:spawn(function()
        own:spawn(await, gates[3])
        open[1]()
        Promise.drain()
        await(gates[2])
      end)
      open[3]()
      Promise.drain()
      assert.equal("pending", (p:status()))
      open[2]()
      assert.equal("fulfilled", (outcome(p)))
    end)

    it("raises for what is not callable", function()
      local ok, err
      outcome(Promise.scope(function(scope)
        ok, err = pcall(function() scope:spawn(1) end)
      end))
      assert.is_false(ok)
      assert.matches("^spec/scope_spec%.lua:%d+: bad argument #1 to " ..
        "'spawn' %(callable expected, got number%)$", err)
    end)

    it("says what to do with a promise", function()
      local ok, err
      outcome(Promise.scope(function(scope)
        ok, err = pcall(function() scope:spawn(Promise.resolve()) end)
      end))
      assert.is_false(ok)
      assert.matches("'spawn' %(callable expected, got promise: give the " ..
        "function, not its call%)$", err)
    end)

    it("takes callable objects", function()
      local got
      outcome(Promise.scope(function(scope)
        local object = {__call = function(_, v) got = v end}
        scope:spawn(setmetatable({}, object), 5)
      end))
      assert.equal(5, got)
    end)

    it("raises for another self", function()
      local scope <close> = Promise.scope()
      for _, name in ipairs {"spawn", "cancel"} do
        local ok, err = pcall(function() scope[name]({}) end)
        assert.is_false(ok)
        assert.matches("^spec/scope_spec%.lua:%d+: bad argument #1 to '" ..
          name .. "' %(scope expected, got table: use ':', not '.'%)$", err)
      end
    end)
  end)

  it("raises for what is not callable", function()
    for _, v in ipairs {1, "x", {}, Promise.resolve()} do
      local ok, err = pcall(function() Promise.scope(v) end)
      assert.is_false(ok)
      assert.matches("^spec/scope_spec%.lua:%d+: bad argument #1 to " ..
        "'scope' %(callable expected, got ", err)
    end
    assert.is_false(pcall(Promise.scope, nil))
  end)

  it("nests as deep as memory allows", function()
    local function nest(n)
      if n == 0 then return "bottom" end
      return await(Promise.scope(function(scope)
        return await(scope:spawn(nest, n - 1))
      end))
    end
    local depth = math.max(40, helper.scaled(300))
    assert.same({"fulfilled", "bottom"},
      {outcome(Promise.spawn(nest, depth))})
  end)

  it("forgets children that have ended", function()
    local gate, open = Promise.withResolvers()
    local weak = setmetatable({}, {__mode = "k"})
    local p = Promise.scope(function(scope)
      for i = 1, 100 do
        local child = scope:spawn(function() await(1) end)
        weak[child] = true
        if i % 2 == 0 then child:cancel() end
      end
      await(gate)
    end)
    Promise.drain()
    helper.collect()
    assert.is_nil(next(weak))
    open()
    assert.equal("fulfilled", (outcome(p)))
  end)
end)

describe("a scope that is to be closed", function()
  before_each(setup)
  after_each(teardown)

  -- What an async call of the block, with a scope of its own, comes to.
  local function block(fn)
    return Promise.spawn(function()
      local scope <close> = Promise.scope()
      return fn(scope)
    end)
  end

  it("waits for its children at the end of the block", function()
    local p = block(function(scope)
      scope:spawn(task("a", 2))
      log[#log + 1] = "block ends"
      return "results", nil, 3
    end)
    loop.advance(1)
    assert.equal("pending", (p:status()))
    assert.same({"fulfilled", "results", nil, 3, n = 4},
      table.pack(outcome(p)))
    assert.same({"block ends", "a ends"}, log)
  end)

  it("needs no wait without children", function()
    local p = block(function() return 1 end)
    assert.equal("fulfilled", (p:status()))
  end)

  it("cancels them first if an error leaves it", function()
    local p = block(function(scope)
      scope:spawn(task("a", 9))
      await(Promise.delay(1))
      error("block", 0)
    end)
    assert.same({"rejected", "block"}, {outcome(p)})
    assert.same({"a cancelled"}, log)
    assert.equal(1, loop.now())
  end)

  it("raises a child's failure at the end, its siblings cancelled",
    function()
      local p = block(function(scope)
        scope:spawn(task("a", 9))
        scope:spawn(task("b", 1, "boom"))
        log[#log + 1] = "block ends"
      end)
      assert.same({"rejected", "boom"}, {outcome(p)})
      assert.same({"block ends", "b fails", "a cancelled"}, log)
      assert.equal("string", type(p:traceback()))
    end)

  it("raises all of several failures, the block's among them", function()
    local p = block(function(scope)
      scope:spawn(function()
        pcall(await, Promise.delay(9))
        await(Promise.delay(1))
        error("third", 0)
      end)
      scope:spawn(task("b", 0.5, "first"))
      pcall(await, Promise.delay(1))
      error("second", 0)
    end)
    local _, reason = outcome(p)
    assert.same({"first", "second", "third", n = 3}, reason.errors)
  end)

  it("raises the failure that the block passes on", function()
    local p = block(function(scope)
      await(scope:spawn(task("a", 1, "boom")))
    end)
    assert.same({"rejected", "boom"}, {outcome(p)})
  end)

  it("raises a failure rather than a cancellation that left it", function()
    local p = block(function(scope)
      scope:spawn(function()
        pcall(await, Promise.delay(9))
        error("cleanup", 0)
      end)
      await(Promise.delay(9))
    end)
    p:cancel()
    assert.same({"rejected", "cleanup"}, {outcome(p)})
  end)

  it("cancels them if the block is cancelled", function()
    local p = block(function(scope)
      scope:spawn(task("a", 9))
      task("block", 9)()
    end)
    loop.advance(1)
    assert.is_true(p:cancel "why")
    assert.equal("why", select(2, outcome(p)).reason)
    assert.same({"block cancelled", "a cancelled"}, log)
  end)

  it("cancels them if it is cancelled while it waits, and raises that after",
    function()
      local p = block(function(scope)
        scope:spawn(function()
          pcall(await, Promise.delay(9))
          await(Promise.delay(1))
          log[#log + 1] = "cleaned up"
        end)
      end)
      loop.advance(1)
      p:cancel "why"
      Promise.drain()
      assert.equal("pending", (p:status()))
      assert.equal("why", select(2, outcome(p)).reason)
      assert.same({"cleaned up"}, log)
      assert.equal(2, loop.now())
    end)

  it("keeps the block's error if it is cancelled while it waits", function()
    local p = block(function(scope)
      scope:spawn(function()
        pcall(await, Promise.delay(9))
        await(Promise.delay(1))
      end)
      error("block", 0)
    end)
    Promise.drain()
    p:cancel()
    assert.same({"rejected", "block"}, {outcome(p)})
  end)

  it("just ends after its own cancel, and raises nothing of it", function()
    local p = block(function(scope)
      scope:spawn(task("a", 9))
      await(Promise.delay(1))
      assert(scope:cancel())
      assert(not scope:cancel())
      return "result"
    end)
    assert.same({"fulfilled", "result"}, {outcome(p)})
    assert.same({"a cancelled"}, log)
  end)

  it("can't spawn after it has ended", function()
    local own
    outcome(block(function(scope) own = scope end))
    assert.is_false(pcall(own.spawn, own, print))
    assert.is_false(own:cancel())
  end)

  it("waits for children that are spawned while it waits", function()
    local p = block(function(scope)
      scope:spawn(function()
        await(Promise.delay(1))
        scope:spawn(task("late", 1))
      end)
    end)
    assert.equal("fulfilled", (outcome(p)))
    assert.same({"late ends"}, log)
  end)

  it("closed from outside cancels its children, and waits for none",
    function()
      local co
      local done = false
      Promise.spawn(function()
        co = coroutine.running()
        local scope <close> = Promise.scope()
        scope:spawn(task("a", 9))
        await(Promise.delay(5))
        done = true
      end):catch(function() end)
      loop.advance(1)
      assert.is_true(coroutine.close(co))
      assert.same({}, log)
      exhaust()
      assert.same({"a cancelled"}, log)
      assert.is_false(done)
    end)

  it("closed from outside leaves failures to the report", function()
    local co
    local reports = helper.unhandled(function()
      Promise.spawn(function()
        co = coroutine.running()
        local scope <close> = Promise.scope()
        scope:spawn(function()
          pcall(await, Promise.delay(9))
          error("cleanup", 0)
        end)
        await(Promise.delay(5))
      end):catch(function() end)
      coroutine.close(co)
      exhaust()
    end)
    assert.equal(1, #reports)
    assert.equal("cleanup", reports[1].reason)
    assert.equal("string", type(reports[1].traceback))
  end)

  it("waits on the main thread, and in a coroutine of one's own", function()
    do
      local scope <close> = Promise.scope()
      scope:spawn(task("a", 1))
    end
    assert.same({"a ends"}, log)
    coroutine.wrap(function()
      do
        local scope <close> = Promise.scope()
        scope:spawn(task("b", 1))
      end
      log[#log + 1] = "after"
    end)()
    exhaust()
    assert.same({"a ends", "b ends", "after"}, log)
  end)

  it("on the main thread raises if nothing could end a child", function()
    local child
    local ok, err = pcall(function()
      local scope <close> = Promise.scope()
      child = scope:spawn(function() await(Promise.withResolvers()) end)
    end)
    assert.is_false(ok)
    assert.matches("promise still pending, nothing left to do", err)
    assert.is_true(Promise.isCancelled(select(2, outcome(child))))
  end)

  it("waits for scopes inside it, from the inside out", function()
    local p = block(function(outer)
      outer:spawn(function()
        local inner <close> = Promise.scope()
        inner:spawn(function()
          pcall(await, Promise.delay(9))
          await(Promise.delay(2))
          log[#log + 1] = "innermost"
        end)
        await(Promise.delay(9))
      end):finally(function() log[#log + 1] = "inner" end)
         :catch(function() end)
      await(Promise.delay(1))
      error("block", 0)
    end)
    assert.same({"rejected", "block"}, {outcome(p)})
    assert.same({"innermost", "inner"}, log)
  end)

  it("closed while its coroutine waits leaves that alone", function()
    local p, resolve = Promise.withResolvers()
    local scope, got
    coroutine.wrap(function()
      scope = Promise.scope()
      got = table.pack(Promise.pawait(p))
    end)()
    do
      local _ <close> = scope
    end
    resolve "value"
    Promise.drain()
    assert.same({true, "value", n = 2}, got)
  end)

  it("closed when its call has ended takes nothing from that", function()
    local scope
    local call = Promise.spawn(function()
      scope = Promise.scope()
      scope:spawn(task("a", 1, "no"))
      await(Promise.delay(9))
    end)
    call:catch(function() end)
    exhaust()
    local state, reason = call:status()
    local traceback = call:traceback()
    assert.equal("rejected", state)
    assert.matches("scope_spec", traceback, 1, true)
    local ok, err = pcall(function()
      local _ <close> = scope
    end)
    assert.same({false, "no"}, {ok, err})
    assert.same({state, reason}, {call:status()})
    assert.equal(traceback, call:traceback())
  end)

  it("closed before one inside it takes back the request of both",
    function()
      local p = Promise.delay(1, "other")
      p:cancel "both"
      local _, both = p:status()
      local call = Promise.spawn(function()
        local outer, inner = Promise.scope(), Promise.scope()
        outer:cancel(both)
        inner:cancel(both)
        do
          local _ <close> = outer
        end
        do
          local _ <close> = inner
        end
        return Promise.cancelled() or await "value"
      end)
      assert.same({"fulfilled", "value"}, {outcome(call)})
    end)

  it("whose children have ended meanwhile has nothing to wait for",
    function()
      local idle = core.idlePromise(core.group({}, error), error)
      assert.same({"fulfilled", n = 1}, table.pack(idle:status()))
    end)

  it("is closed once by two variables", function()
    local p = Promise.spawn(function()
      local a <close> = Promise.scope()
      local b <close> = a
      a:spawn(task("a", 1))
      log[#log + 1] = tostring(a == b)
    end)
    assert.equal("fulfilled", (outcome(p)))
    assert.same({"true", "a ends"}, log)
  end)

  it("raises a failure once if it is closed twice", function()
    local p = Promise.spawn(function()
      local ok, err = pcall(function()
        local a <close> = Promise.scope()
        local ok, err = pcall(function()
          local _ <close> = a
          a:spawn(task("a", 1, "boom"))
          await(Promise.delay(9))
        end)
        log[#log + 1] = tostring(ok) .. " " .. tostring(err)
      end)
      log[#log + 1] = tostring(ok) .. " " .. tostring(err)
    end)
    assert.equal("fulfilled", (outcome(p)))
    assert.same({"a fails", "false boom", "true nil"}, log)
  end)

  it("refuses to close another object", function()
    local scope <close> = Promise.scope()
    local close = getmetatable(scope).__close
    for _, v in ipairs {1, "x", {}, print, Promise.resolve()} do
      local ok, err = pcall(close, v)
      assert.is_false(ok)
      assert.matches("%(scope expected, got %a+", err)
    end
    assert.is_false(pcall(close))
  end)

  describe("that is never closed", function()
    -- A scope that is forgotten, with a child that runs `fn`.
    local function forget(fn)
      Promise.spawn(function()
        local scope = Promise.scope()
        if fn then scope:spawn(fn) end
      end)
      exhaust()
    end

    it("is reported when it is collected", function()
      local reports = helper.unhandled(function()
        forget()
        helper.collect()
      end)
      assert.equal(1, #reports)
      assert.equal("a scope was never closed, write " ..
        "'local scope <close> = Promise.scope()'", reports[1].reason)
    end)

    it("is reported with the failures in it", function()
      local reports = helper.unhandled(function()
        forget(function()
          await(Promise.delay(1))
          error("lost", 0)
        end)
        helper.collect()
      end)
      assert.equal(1, #reports)
      assert.matches("never closed.*a task of it failed: lost",
        reports[1].reason)
    end)

    it("is reported with a failure that has no text", function()
      local reports = helper.unhandled(function()
        forget(function()
          error(setmetatable({}, {__tostring = error}))
        end)
        helper.collect()
      end)
      assert.equal(1, #reports)
      assert.matches("never closed", tostring(reports[1].reason))
    end)

    it("is reported at exit", function()
      local text = programs.run [[
        local Promise = require "cpromise"
        scope = Promise.scope()
        scope:spawn(function() error("lost", 0) end)
        Promise.run()
      ]]
      assert.matches("a scope was never closed", text)
      assert.matches("lost", text)
    end)

    it("is not reported if it was closed", function()
      local reports = helper.unhandled(function()
        outcome(block(function(scope) scope:spawn(task("a", 1)) end))
        helper.collect()
      end)
      assert.same({}, reports)
    end)
  end)

  -- Seconds to cancel a scope of n children that wait.
  local function cost(n)
    local own
    local p = block(function(scope)
      own = scope
      for _ = 1, n do
        scope:spawn(function() await(Promise.new(function() end)) end)
      end
      await(Promise.new(function() end))
    end)
    p:catch(function() end)
    helper.collect()
    collectgarbage "stop"
    local start = os.clock()
    own:cancel()
    Promise.drain()
    local seconds = os.clock() - start
    collectgarbage "restart"
    assert.equal("rejected", (p:status())) -- the body awaited
    return seconds
  end

  it("cancels many children in a time that grows with their number",
    function()
      local n = helper.scaled(100000)
      local small, large = cost(n // 10), cost(n)
      small = math.min(small, cost(n // 10))
      assert.is_true(large < 50 * small + 0.1)
    end)
end)
