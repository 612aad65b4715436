--- Cancelling: each sentence of what types/library/cpromise.lua says of it.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

-- A pending promise, made by `new`, and whether it has been cancelled.
local function pending()
  local state = {}
  local p = Promise.new(function(resolve, reject, on_cancel)
    state.resolve, state.reject = resolve, reject
    on_cancel(function(cancellation) state.cancelled = cancellation end)
  end)
  return p, state
end

-- The reason of a promise that has been cancelled.
local function cancellation_of(p)
  local state, reason = helper.outcome(p)
  assert.equal("rejected", state)
  assert.is_true(Promise.isCancelled(reason))
  return reason
end

describe("cancel", function()
  it("returns true for a pending promise", function()
    assert.is_true(pending():cancel())
  end)

  it("rejects it at once", function()
    local p = pending()
    p:cancel()
    assert.equal("rejected", (p:status()))
  end)

  for name, p in pairs {
    fulfilled = Promise.resolve(1),
    rejected = Promise.reject(1),
  } do
    it("returns false for one that is " .. name, function()
      p:catch(function() end)
      assert.is_false(p:cancel())
      assert.same({name, 1}, {p:status()})
    end)
  end

  it("returns false for one that is under a request already", function()
    local p, state = pending()
    local q = p:finally(function() end)
    assert.is_true(q:cancel "first")
    assert.is_false(q:cancel "second")
    assert.equal("first", cancellation_of(q).reason)
    assert.is_false(q:cancel "third")
    assert.equal("first", state.cancelled.reason)
  end)

  it("is a rejection that handlers see", function()
    local p = pending()
    local seen
    p:catch(function(reason) seen = reason end)
    p:cancel()
    helper.drain()
    assert.equal(cancellation_of(p), seen)
  end)

  it("leaves the resolving functions without effect", function()
    local p, state = pending()
    p:cancel()
    state.resolve(1)
    state.reject(2)
    cancellation_of(p)
  end)

  it("is never reported as unhandled", function()
    local reports = helper.unhandled(function()
      local p = pending()
      p:next(print):catch(nil):finally(function() end)
      p:cancel()
      pending():next(print):cancel()
      Promise.spawn(function() await(pending()) end):cancel()
      Promise.all {pending()}:cancel()
    end)
    assert.same({}, reports)
  end)

  -- A call that fails when it is cancelled, and cancelling what waits for it.
  -- A call that fails in cleaning up, after it has waited, and what lets it.
  local function failing()
    local gate, open = Promise.withResolvers()
    return Promise.spawn(function()
      pcall(await, pending())
      await(gate)
      error("cleanup", 0)
    end), open
  end

  local consumers = {
    next = function(p) return p:next(print) end,
    call = function(p) return Promise.spawn(function() await(p) end) end,
    element = function(p) return Promise.all {p, pending()} end,
    follower = function(p)
      return Promise.new(function(resolve) resolve(p) end)
    end,
  }
  for name, consume in pairs(consumers) do
    it("gives a failure in cleaning up to who waits: " .. name, function()
      local failed, fail = failing()
      local consumer = consume(failed)
      local seen
      consumer:catch(function(reason) seen = reason end)
      local reports = helper.unhandled(function()
        assert.is_true(consumer:cancel())
        fail()
        assert.same({"rejected", "cleanup"}, {helper.outcome(consumer)})
      end)
      assert.equal("cleanup", seen)
      assert.same({}, reports)
    end)

    it("reports such a failure once if nobody looks: " .. name, function()
      local reports = helper.unhandled(function()
        local failed, fail = failing()
        consume(failed):cancel()
        fail()
      end)
      assert.equal(1, #reports)
      assert.equal("cleanup", reports[1].reason)
    end)

    it("keeps its cancellation from those who asked too: " .. name,
      function()
        local p, state = pending()
        local consumer = consume(p)
        assert.is_true(consumer:cancel "why")
        assert.equal(state.cancelled, cancellation_of(consumer))
        assert.equal("why", state.cancelled.reason)
      end)

    it("rejects though what was asked fulfils: " .. name, function()
      local call = Promise.spawn(function()
        pcall(await, pending())
        return "value"
      end)
      local consumer = consume(call)
      consumer:cancel "why"
      assert.equal("why", cancellation_of(consumer).reason)
      assert.same({"fulfilled", "value"}, {call:status()})
    end)
  end

  for name, wait in pairs {
    shield = Promise.shield,
    ["what follows one"] = function(p)
      return Promise.shield(p):next(print)
    end,
  } do
    it("leaves the failure behind a cancelled shield to the report: " .. name,
      function()
        local p, state = pending()
        local reports = helper.unhandled(function()
          wait(p):cancel()
          helper.drain()
          state.reject "boom"
        end)
        assert.equal(1, #reports)
        assert.equal("boom", reports[1].reason)
        assert.equal(p, reports[1].promise)
      end)
  end

  it("leaves what others wait for handled, behind a shield", function()
    local reports = helper.unhandled(function()
      local p, state = pending()
      p:catch(function() end)
      Promise.shield(p):cancel()
      helper.drain()
      state.reject "boom"
    end)
    assert.same({}, reports)
  end)

  it("leaves what others wait for handled", function()
    local reports = helper.unhandled(function()
      local p, state = pending()
      p:catch(function() end)
      p:next(print):cancel()
      helper.drain()
      state.reject "boom"
    end)
    assert.same({}, reports)
  end)

  it("raises for what is no promise", function()
    local ok, err = pcall(function() pending().cancel(1) end)
    assert.is_false(ok)
    assert.equal("bad argument #1 to 'cancel' (promise expected, " ..
      "got number: use ':', not '.')",
      err:match "^spec/cancel_spec%.lua:%d+: (.*)")
  end)
end)

describe("a cancellation", function()
  it("has a message and the reason that was given", function()
    local p, given = pending(), {}
    p:cancel(given)
    local c = cancellation_of(p)
    assert.equal("the promise was cancelled", c.message)
    assert.equal(given, c.reason)
  end)

  it("has no reason if none was given", function()
    local p = pending()
    p:cancel()
    assert.is_nil(cancellation_of(p).reason)
  end)

  it("is readable", function()
    local p, q = pending(), pending()
    p:cancel()
    q:cancel "too late"
    assert.equal("the promise was cancelled", tostring(cancellation_of(p)))
    assert.equal("the promise was cancelled: too late",
      tostring(cancellation_of(q)))
  end)

  it("shows a reason of any type", function()
    local p = pending()
    p:cancel(setmetatable({}, {__tostring = function() return "shown" end}))
    assert.equal("the promise was cancelled: shown",
      tostring(cancellation_of(p)))
  end)

  it("is passed on as it is when it is the reason given", function()
    local p, q = pending(), pending()
    p:cancel "once"
    local c = cancellation_of(p)
    q:cancel(c)
    assert.equal(c, cancellation_of(q))
  end)

  it("is known by isCancelled, which knows nothing else", function()
    local p = pending()
    p:cancel()
    assert.is_true(Promise.isCancelled(cancellation_of(p)))
    for _, v in ipairs {1, "the promise was cancelled", {}, p, print} do
      assert.is_false(Promise.isCancelled(v))
    end
    assert.is_false(Promise.isCancelled(nil))
    assert.is_false(Promise.isCancelled())
  end)
end)

describe("onCancel", function()
  it("adds hooks, called at once in order with the cancellation", function()
    local log = {}
    local p = Promise.new(function(_, _, on_cancel)
      for i = 1, 3 do
        on_cancel(function(c) log[#log + 1] = {i, c} end)
      end
    end)
    p:cancel()
    local c = cancellation_of(p)
    assert.same({{1, c}, {2, c}, {3, c}}, log)
  end)

  it("is the fourth result of withResolvers", function()
    local called = 0
    local p, _, _, on_cancel = Promise.withResolvers()
    on_cancel(function() called = called + 1 end)
    p:cancel()
    assert.equal(1, called)
  end)

  it("runs its hooks while the promise is pending but locked", function()
    local p, state, second
    local hooks = 0
    p = Promise.new(function(resolve, reject, on_cancel)
      on_cancel(function()
        hooks = hooks + 1
        resolve "too late"
        reject "too late"
        state = p:status()
        second = p:cancel()
        on_cancel(function() hooks = hooks + 1 end)
      end)
    end)
    p:cancel()
    assert.equal("pending", state)
    assert.is_false(second)
    assert.equal(1, hooks)
    cancellation_of(p)
  end)

  it("runs its hooks before anything else of the program runs", function()
    local log = {}
    local p = Promise.new(function(_, _, on_cancel)
      on_cancel(function() log[#log + 1] = "hook" end)
    end)
    local q = p:next(print)
    q:catch(function() log[#log + 1] = "handler" end)
    p:catch(function() log[#log + 1] = "first" end)
    Promise.queueMicrotask(function() log[#log + 1] = "queued" end)
    p:cancel()
    assert.same({"hook"}, log)
    helper.drain()
    assert.same({"hook", "queued", "first", "handler"}, log)
  end)

  it("is not asked for a promise that others wait for", function()
    local p, state = pending()
    local keep = p:next(function() end)
    p:next(print):cancel()
    assert.is_nil(state.cancelled)
    assert.equal("pending", keep:status())
  end)

  it("reports the error of a hook, and calls the next one", function()
    local called
    local reports = helper.unhandled(function()
      local p = Promise.new(function(_, _, on_cancel)
        on_cancel(function() error("bad hook", 0) end)
        on_cancel(function() called = true end)
      end)
      assert.is_true(p:cancel())
      cancellation_of(p)
    end)
    assert.equal(1, #reports)
    assert.equal("bad hook", reports[1].reason)
    assert.is_nil(reports[1].promise)
    assert.is_true(called)
  end)

  it("has hooks that can't await", function()
    local why
    local p = Promise.new(function(_, _, on_cancel)
      on_cancel(function() why = select(2, pcall(await, 1)) end)
    end)
    p:cancel()
    assert.matches("can't await in a handler, executor, hook", why)
    Promise.spawn(function()
      local q = Promise.new(function(_, _, on_cancel)
        on_cancel(function() why = select(2, pcall(await, 1)) end)
      end)
      why = nil
      q:cancel()
    end)
    helper.drain()
    assert.matches("can't await", why)
  end)

  it("drops its hooks when the promise comes to follow another", function()
    local called = false
    local p, resolve, _, on_cancel = Promise.withResolvers()
    on_cancel(function() called = true end)
    resolve(pending())
    helper.drain()
    assert.is_true(p:cancel())
    cancellation_of(p)
    assert.is_false(called)
  end)

  it("drops its hooks when the promise settles", function()
    local weak = setmetatable({}, {__mode = "v"})
    local p, resolve, _, on_cancel = Promise.withResolvers()
    do
      local hook = setmetatable({}, {__call = error})
      weak[1] = hook
      on_cancel(hook)
    end
    resolve(1)
    helper.collect()
    assert.is_nil(weak[1])
    assert.is_false(p:cancel())
  end)

  it("does nothing once the promise is resolved", function()
    local p, resolve, _, on_cancel = Promise.withResolvers()
    resolve(1)
    on_cancel(error)
    assert.equal("fulfilled", (helper.outcome(p)))
  end)

  it("raises for a hook that is not callable", function()
    local _, _, _, on_cancel = Promise.withResolvers()
    local ok, err = pcall(function() on_cancel(1) end)
    assert.is_false(ok)
    assert.matches("^spec/cancel_spec%.lua:%d+: bad argument #1 .*" ..
      "callable expected, got number", err)
  end)

  it("takes callable objects", function()
    local called
    local p, _, _, on_cancel = Promise.withResolvers()
    on_cancel(setmetatable({}, {__call = function() called = true end}))
    p:cancel()
    assert.is_true(called)
  end)
end)

describe("a cancelled next or catch", function()
  it("that is not alone rejects at once, and never runs its handler",
    function()
      local p, state = pending()
      local other = p:next(print) -- keeps p alive
      local ran = false
      local function run() ran = true end
      local a, b = p:next(run, run), p:catch(run)
      assert.is_true(a:cancel())
      assert.is_true(b:cancel())
      assert.equal("rejected", (a:status()))
      assert.equal("rejected", (b:status()))
      assert.is_false(a:cancel())
      state.reject "boom"
      other:catch(function() end)
      helper.drain()
      assert.is_false(ran)
      cancellation_of(a)
      cancellation_of(b)
    end)

  it("that is alone is pending until its source has ended", function()
    local gate, open = Promise.withResolvers()
    local ended
    local call = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        await(gate)
        ended = true
      end})
      await(pending())
    end)
    local q = call:next(print):catch(print):next(print)
    q:finally(function() assert(ended) end)
    assert.is_true(q:cancel "why")
    helper.drain()
    assert.equal("pending", (q:status()))
    assert.is_nil(ended)
    open()
    assert.equal("why", cancellation_of(q).reason)
    assert.is_true(ended)
  end)

  it("cancels its parent if nobody else waits for that", function()
    local p, state = pending()
    local q = p:next(print)
    q:cancel "why"
    local c = cancellation_of(q)
    assert.equal(c, state.cancelled)
    assert.equal(c, cancellation_of(p))
  end)

  it("cancels up a chain to where somebody waits", function()
    local a, state = pending()
    local b = a:next(print)
    local other = b:next(function() return "other" end)
    local c = b:next(print)
    local d = c:next(print)
    d:cancel()
    assert.equal("rejected", (c:status()))
    cancellation_of(d)
    cancellation_of(c)
    assert.equal("pending", (b:status()))
    assert.is_nil(state.cancelled)
    assert.is_true(other:cancel())
    cancellation_of(b)
    assert.is_not_nil(state.cancelled)
  end)

  it("goes on to be asked for by those that come later", function()
    local gate, open = Promise.withResolvers()
    local call = Promise.spawn(function()
      pcall(await, pending())
      await(gate)
      return "value"
    end)
    local q = call:next(print)
    assert.is_true(q:cancel "first")
    local r = q:next(print)
    helper.drain()
    -- The call has caught the first request, so this one is told.
    local s = Promise.shield(r)
    assert.is_true(s:cancel())
    assert.is_true(r:cancel "second")
    open()
    assert.equal("second", cancellation_of(r).reason)
    cancellation_of(q)
  end)

  it("leaves its parent to a waiter that came later", function()
    local p, state = pending()
    local first = p:next(print)
    local later = p:next(function(v) return v end)
    first:cancel()
    assert.is_nil(state.cancelled)
    state.resolve "value"
    assert.same({"fulfilled", "value"}, {helper.outcome(later)})
  end)

  it("does not count variables as waiters", function()
    local p, state = pending()
    p:next(print):cancel()
    assert.is_not_nil(state.cancelled)
    assert.equal("rejected", (p:status()))
  end)

  it("gives the cancellation to those that come later", function()
    local p = pending()
    p:next(print):cancel()
    assert.equal(cancellation_of(p), cancellation_of(p:next(print)))
  end)

  for _, settle in ipairs {"resolve", "reject"} do
    it("does not run between the parent's " .. settle .. " and its turn",
      function()
        local p, state = pending()
        local ran = {}
        local q = p:next(function() ran[1] = true end, function()
          ran[1] = true
        end)
        local other = p:next(function() ran[2] = true end, function()
          ran[2] = true
        end)
        state[settle](1)
        q:catch(function() end)
        assert.is_true(q:cancel())
        assert.is_false(q:cancel())
        assert.equal("pending", (q:status()))
        if settle == "resolve" then
          cancellation_of(q)
        else -- a failure is never lost
          assert.same({"rejected", 1}, {helper.outcome(q)})
        end
        assert.same({[2] = true}, ran)
        assert.equal("fulfilled", (other:status()))
      end)
  end

  it("takes the cancellation that its parent was rejected with", function()
    local p, state = pending()
    local q = p:next(print)
    p:cancel "of the parent"
    assert.is_true(q:cancel "its own")
    assert.equal(state.cancelled, cancellation_of(q))
  end)

  it("does not run if a handler before it has cancelled it", function()
    local p, state = pending()
    local q, log = nil, {}
    p:next(function() log[#log + 1] = q:cancel() end)
    q = p:next(function() log[#log + 1] = "ran" end)
    local r = p:next(function() log[#log + 1] = "after" end)
    state.resolve()
    cancellation_of(q)
    assert.same({true, "after"}, log)
    assert.equal("fulfilled", (r:status()))
  end)

  -- What a handler returns after it has cancelled its own promise.
  local function cancelling(result)
    local p, state = pending()
    local q, did
    q = p:next(function()
      did = q:cancel "by its handler"
      assert(not q:cancel "again")
      return result()
    end)
    q:catch(function() end)
    state.resolve()
    helper.drain()
    assert.is_true(did)
    return q
  end

  for name, result in pairs {
    ["no value"] = function() end,
    values = function() return "a", "b" end,
    table = function() return {} end,
    ["a thenable"] = function() return {next = error} end,
    getter = function() return setmetatable({}, {__index = error}) end,
    ["a fulfilled promise"] = function() return Promise.resolve(1) end,
    ["a pending promise"] = function() return (pending()) end,
  } do
    it("rejects though its own handler cancels it and returns: " .. name,
      function()
        assert.equal("by its handler", cancellation_of(cancelling(result))
          .reason)
      end)
  end

  it("fails if its own handler cancels it and then fails", function()
    local q = cancelling(function() error("late", 0) end)
    assert.same({"rejected", "late"}, {q:status()})
    q = cancelling(function() return Promise.reject "returned" end)
    assert.same({"rejected", "returned"}, {q:status()})
  end)

  it("asks what its handler returns after it was cancelled", function()
    local inner, state = pending()
    local q = cancelling(function() return inner end)
    assert.equal(state.cancelled, cancellation_of(q))
    local shared, of_shared = pending()
    local other = shared:next(function() end)
    cancellation_of(cancelling(function() return shared end))
    assert.is_nil(of_shared.cancelled)
    assert.equal("pending", other:status())
  end)

  it("is asked by its own handler to no effect on its source", function()
    local p, state = pending()
    local q
    q = p:next(function()
      await(1)
    end)
    state.resolve "value"
    q:cancel()
    cancellation_of(q)
    assert.same({"fulfilled", "value"}, {p:status()})
  end)

  it("rejects in its place among those that wait for it", function()
    local p, state = pending()
    local log = {}
    local q = p:next(print)
    q:catch(function() log[#log + 1] = 1 end)
    q:catch(function() log[#log + 1] = 2 end)
    local other = p:next(function() log[#log + 1] = 3 end)
    state.resolve()
    q:cancel()
    helper.outcome(other)
    table.sort(log)
    assert.same({1, 2, 3}, log)
  end)
end)

describe("a cancelled finally", function()
  it("runs its handler, and is pending until that is done", function()
    local p, state = pending()
    local gate, open = Promise.withResolvers()
    local ran = 0
    local q = p:finally(function()
      ran = ran + 1
      return gate
    end)
    assert.is_true(q:cancel "why")
    assert.equal("pending", (q:status()))
    assert.equal(0, ran)
    assert.is_false(q:cancel())
    assert.equal("why", state.cancelled.reason)
    helper.drain()
    assert.equal(1, ran)
    assert.equal("pending", (q:status()))
    open()
    assert.equal(state.cancelled, cancellation_of(q))
    assert.equal(1, ran)
  end)

  it("rejects with the handler's error if it fails", function()
    local q = pending():finally(function() error("cleanup", 0) end)
    q:catch(function() end)
    q:cancel()
    assert.same({"rejected", "cleanup"}, {helper.outcome(q)})
  end)

  it("rejects though the parent has been fulfilled", function()
    local p, state = pending()
    local ran = 0
    local q = p:finally(function() ran = ran + 1 end)
    state.resolve "value"
    assert.is_true(q:cancel())
    cancellation_of(q)
    assert.equal(1, ran)
  end)

  it("asks what its handler returned", function()
    local gate, state = pending()
    local q = Promise.resolve "value":finally(function() return gate end)
    helper.drain()
    assert.is_true(q:cancel "why")
    assert.equal("why", state.cancelled.reason)
    assert.equal("why", cancellation_of(q).reason)
  end)

  it("leaves what its handler returned to others, at once", function()
    local gate, state = pending()
    local other = gate:next(function(v) return v end)
    local q = Promise.resolve "value":finally(function() return gate end)
    helper.drain()
    assert.is_true(q:cancel "why")
    assert.equal("rejected", (q:status()))
    assert.is_false(q:cancel())
    assert.equal("why", cancellation_of(q).reason)
    assert.is_nil(state.cancelled)
    state.resolve(1)
    assert.same({"fulfilled", 1}, {helper.outcome(other)})
  end)

  it("keeps the failure of its source", function()
    for _, moment in ipairs {"before its turn", "after it", "in it"} do
      local gate, open = Promise.withResolvers()
      local p, state = pending()
      local q
      q = p:finally(function()
        if moment == "in it" then assert(q:cancel()) end
        return gate
      end)
      q:catch(function() end)
      state.reject "boom"
      if moment == "before its turn" then assert.is_true(q:cancel()) end
      helper.drain()
      if moment == "after it" then assert.is_true(q:cancel()) end
      open()
      assert.same({"rejected", "boom"}, {helper.outcome(q)}, moment)
    end
  end)

  it("keeps the failure of its handler's promise", function()
    local gate, _, fail = Promise.withResolvers()
    local p = pending()
    local q = p:finally(function() return gate end)
    q:catch(function() end)
    q:cancel()
    helper.drain()
    fail "cleanup"
    assert.same({"rejected", "cleanup"}, {helper.outcome(q)})
  end)

  it("keeps its failure though its handler's promise is cancelled",
    function()
      local p, state = pending()
      local gate, of_gate = pending()
      local q = p:finally(function() return gate end)
      q:catch(function() end)
      state.reject "boom"
      helper.drain()
      assert.is_true(q:cancel())
      assert.is_not_nil(of_gate.cancelled)
      assert.same({"rejected", "boom"}, {helper.outcome(q)})
    end)

  it("does not ask what its handler returns if that ran meanwhile",
    function()
      local gate, state = pending()
      local q, did, again
      q = Promise.resolve():finally(function()
        did = q:cancel "why"
        again = q:cancel()
        return gate
      end)
      helper.drain()
      assert.is_true(did)
      assert.is_false(again)
      assert.is_nil(state.cancelled)
      assert.equal("pending", (q:status()))
      assert.is_true(q:cancel "again")
      assert.equal("again", state.cancelled.reason)
      assert.equal("why", cancellation_of(q).reason)
    end)

  it("runs its handler in its turn where it leaves", function()
    local p, state = pending()
    local log = {}
    local keep = p:next(function() log[#log + 1] = "kept" end)
    local q = p:finally(function() log[#log + 1] = "cleaned" end)
    Promise.queueMicrotask(function() log[#log + 1] = "older" end)
    assert.is_true(q:cancel "why")
    Promise.queueMicrotask(function() log[#log + 1] = "younger" end)
    assert.equal("pending", (q:status()))
    assert.equal("why", cancellation_of(q).reason)
    assert.same({"older", "cleaned", "younger"}, log)
    assert.is_nil(state.cancelled)
    state.resolve()
    helper.drain()
    assert.equal("fulfilled", (keep:status()))
    assert.same({"older", "cleaned", "younger", "kept"}, log)
  end)

  it("has run all cleaning up below it before its own", function()
    local log = {}
    local function note(label)
      return function()
        local gate, open = Promise.withResolvers()
        helper.after_jobs(5, function()
          log[#log + 1] = label
          open()
        end)
        return gate
      end
    end
    local p = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        await(note "call"())
      end})
      await(pending())
    end)
    local q = p:finally(note "inner"):next(print):finally(note "outer")
    q:cancel()
    cancellation_of(q)
    assert.same({"call", "inner", "outer"}, log)
  end)

  it("runs each handler on the way up", function()
    local log = {}
    local p = pending()
    local q = p
    for i = 1, 3 do
      q = q:finally(function() log[#log + 1] = i end)
    end
    q:cancel()
    cancellation_of(q)
    table.sort(log)
    assert.same({1, 2, 3}, log)
    cancellation_of(p)
  end)

  it("passes through what is no function", function()
    local p, state = pending()
    local q = p:finally(1)
    q:cancel()
    cancellation_of(q)
    assert.is_not_nil(state.cancelled)
  end)
end)

describe("a cancelled async call", function()
  it("raises the cancellation at its await, in its turn", function()
    local p, state = pending()
    local seen
    local q = Promise.spawn(function()
      local ok, reason = pcall(await, p)
      seen = reason
      if not ok then error(reason, 0) end
    end)
    assert.is_true(q:cancel "why")
    assert.is_nil(seen)
    assert.equal("pending", (q:status()))
    assert.equal("why", state.cancelled.reason)
    local c = cancellation_of(q)
    assert.equal(c, seen)
    assert.equal(c, state.cancelled)
  end)

  it("closes its variables", function()
    local log = {}
    local q = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function(_, err)
        log[#log + 1] = Promise.isCancelled(err)
        await(Promise.resolve())
        log[#log + 1] = "closed"
      end})
      await(pending())
    end)
    q:cancel()
    cancellation_of(q)
    assert.same({true, "closed"}, log)
  end)

  it("can be cancelled again once it has caught it", function()
    local reasons = {}
    local q = Promise.spawn(function()
      for _ = 1, 3 do
        local _, c = pcall(await, pending())
        reasons[#reasons + 1] = c.reason
      end
      return "end"
    end)
    for i = 1, 3 do
      assert.is_true(q:cancel(i))
      assert.is_false(q:cancel "not yet delivered")
      helper.drain()
    end
    assert.same({1, 2, 3}, reasons)
    assert.is_false(q:cancel())
    assert.same({"fulfilled", "end"}, {q:status()})
  end)

  it("can be cancelled again in cleaning up", function()
    local q = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        await(pending()) -- it hangs
      end})
      await(pending())
    end)
    assert.is_true(q:cancel "first")
    helper.drain()
    assert.equal("pending", (q:status()))
    assert.is_true(q:cancel "second")
    assert.equal("second", cancellation_of(q).reason)
  end)

  it("can be cancelled again by way of what waits for it", function()
    local reasons = {}
    local q = Promise.spawn(function()
      for _ = 1, 2 do
        reasons[#reasons + 1] = select(2, pcall(await, pending())).reason
      end
      return "end"
    end)
    local f = q:finally(function() end)
    local r = Promise.all {f}
    assert.is_true(r:cancel "first")
    assert.is_false(r:cancel "too soon")
    helper.drain()
    assert.equal("pending", (r:status()))
    assert.is_true(r:cancel "second")
    -- What follows a call takes what that was asked with last.
    assert.equal("first", cancellation_of(r).reason)
    assert.equal("second", cancellation_of(f).reason)
    assert.same({"first", "second"}, reasons)
  end)

  it("goes on if its body catches it", function()
    local q = Promise.spawn(function()
      local ok = pcall(await, pending())
      return ok, await(Promise.resolve(2))
    end)
    q:cancel()
    assert.same({"fulfilled", false, 2}, {helper.outcome(q)})
  end)

  it("is found by Promise.cancelled, delivered or not", function()
    local seen, thrown = {}, nil
    local q
    q = Promise.spawn(function()
      seen[1] = {Promise.cancelled()}
      await(1)
      q:cancel "first"
      seen[2] = Promise.cancelled().reason
      local _, c = pcall(await, 1)
      thrown = c
      seen[3] = Promise.cancelled()
      pcall(await, pending())
      seen[4] = Promise.cancelled().reason
    end)
    helper.drain()
    assert.is_true(q:cancel "second")
    assert.is_nil(Promise.cancelled()) -- outside of the call
    assert.equal("fulfilled", (helper.outcome(q)))
    assert.same({{}, "first", thrown, "second"}, seen)
  end)

  it("is not that of another call for Promise.cancelled", function()
    local inner, handler
    local q = Promise.spawn(function()
      pcall(await, pending())
      await(Promise.spawn(function() inner = {Promise.cancelled()} end))
      await(Promise.resolve():next(function()
        handler = {Promise.cancelled()}
      end))
    end)
    q:cancel()
    helper.drain()
    assert.same({}, inner)
    assert.same({}, handler)
  end)

  it("is never caught by pawait", function()
    for _, value in ipairs {
      1, Promise.resolve(1), (pending()), {next = print},
    } do
      local went_on
      local q = Promise.spawn(function()
        Promise.pawait(value)
        went_on = true
      end)
      q:cancel()
      cancellation_of(q)
      assert.is_nil(went_on)
    end
  end)

  it("gets the cancellation of what it awaits by pawait", function()
    local p, state = pending()
    local q = Promise.spawn(Promise.pawait, p)
    p:cancel()
    local s, ok, reason = helper.outcome(q)
    assert.same({"fulfilled", false}, {s, ok})
    assert.equal(state.cancelled, reason)
  end)

  it("ends what it awaits before it goes on", function()
    local gate, open = Promise.withResolvers()
    local keep = gate:next(function() end)
    local log = {}
    local inner = Promise.async(function()
      local _ <close> = setmetatable({}, {__close = function()
        await(gate)
        log[#log + 1] = "inner"
      end})
      await(pending())
    end)
    local q = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        log[#log + 1] = "outer"
      end})
      await(inner())
    end)
    q:cancel()
    helper.drain()
    assert.same({}, log)
    assert.equal("pending", (q:status()))
    open()
    cancellation_of(q)
    assert.equal("fulfilled", (keep:status()))
    assert.same({"inner", "outer"}, log)
  end)

  it("passes a second request on to what cleans up below it", function()
    local gate, state = pending()
    local inner = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        await(gate) -- it hangs
      end})
      await(pending())
    end)
    local q = Promise.spawn(function() await(inner) end)
    assert.is_true(q:cancel "first")
    assert.is_false(q:cancel "nobody has been told yet")
    helper.drain()
    assert.is_nil(state.cancelled)
    assert.is_true(q:cancel "second")
    assert.equal("second", state.cancelled.reason)
    assert.equal("second", cancellation_of(inner).reason)
    -- Its own request has been the first one all the time.
    assert.equal("first", cancellation_of(q).reason)
  end)

  it("leaves alone what others wait for", function()
    local p, state = pending()
    local other = p:next(function(v) return v end)
    local q = Promise.spawn(function() await(p) end)
    q:cancel()
    cancellation_of(q)
    assert.is_nil(state.cancelled)
    state.resolve(1)
    assert.same({"fulfilled", 1}, {helper.outcome(other)})
  end)

  it("gets it at its next await if it runs", function()
    local p, state = pending()
    local q, did, again, after, reason
    q = Promise.spawn(function()
      await(Promise.resolve())
      did = q:cancel "self"
      again = q:cancel "again"
      after = true
      local _
      _, reason = pcall(Promise.pawait, p)
      return "end"
    end)
    assert.same({"fulfilled", "end"}, {helper.outcome(q)})
    assert.is_true(did)
    assert.is_false(again)
    assert.is_true(after)
    assert.equal("self", reason.reason)
    assert.equal(reason, state.cancelled)
  end)

  it("gets it at its first await if it starts late", function()
    local late, known
    local p, state = pending()
    local reached = false
    local function deep(n)
      if n > 0 then return Promise.spawn(deep, n - 1) end
      late = Promise.spawn(function()
        reached = "before"
        known = Promise.cancelled().reason
        await(p)
        reached = "after"
      end)
      assert.is_false(reached)
      assert.is_true(late:cancel "why")
      assert.is_false(late:cancel())
    end
    deep(30)
    assert.equal("why", cancellation_of(late).reason)
    assert.equal("before", reached)
    assert.equal("why", known)
    assert.equal("why", state.cancelled.reason)
  end)

  it("fulfils if it ends without another await", function()
    local q
    q = Promise.spawn(function()
      await(1)
      q:cancel()
      return "end"
    end)
    assert.same({"fulfilled", "end"}, {helper.outcome(q)})
  end)

  it("gets it though what it awaits has settled", function()
    local p, state = pending()
    local seen
    local q = Promise.spawn(function() seen = {pcall(Promise.pawait, p)} end)
    state.resolve "value"
    assert.is_true(q:cancel())
    assert.is_false(q:cancel())
    helper.drain()
    assert.is_false(seen[1])
    assert.is_true(Promise.isCancelled(seen[2]))
  end)

  for _, moment in ipairs {"before", "after"} do
    it("gets a failure of what it awaits first, failed " .. moment,
      function()
        local gate, open = Promise.withResolvers()
        local p, state = pending()
        local source = moment == "before" and p or Promise.spawn(function()
          pcall(await, p)
          await(gate)
          error("boom", 0)
        end)
        local seen = {}
        local q = Promise.spawn(function()
          seen[1] = {pcall(await, source)}
          seen[2] = {pcall(Promise.pawait, 1)}
          seen[3] = {pcall(Promise.pawait, 2)}
        end)
        if moment == "before" then state.reject "boom" end
        assert.is_true(q:cancel "why")
        open()
        assert.equal("fulfilled", (helper.outcome(q)))
        assert.same({false, "boom"}, seen[1])
        assert.is_false(seen[2][1])
        assert.equal("why", seen[2][2].reason)
        assert.same({true, true, 2}, seen[3])
      end)
  end

  it("gets a failure by pawait first, and its cancellation then", function()
    local p, state = pending()
    local seen
    local q = Promise.spawn(function()
      seen = {Promise.pawait(p)}
      await(1)
      error "must not run"
    end)
    state.reject "boom"
    q:cancel "why"
    assert.equal("why", cancellation_of(q).reason)
    assert.same({false, "boom"}, seen)
  end)

  it("gets it through pawait and p:await too", function()
    for _, wait in ipairs {
      function(p) error(select(2, Promise.pawait(p)), 0) end,
      function(p) p:await() end,
    } do
      local p = pending()
      local q = Promise.spawn(function() wait(p) end)
      q:cancel()
      cancellation_of(q)
      cancellation_of(p)
    end
  end)

  it("gets it while a generator awaits for it", function()
    local p, state = pending()
    local log = {}
    local q = Promise.spawn(function()
      for _ in Promise.wrap(function()
        local _, reason = pcall(await, p)
        log[#log + 1] = Promise.isCancelled(reason)
        error(reason, 0)
      end) do end
    end)
    q:cancel()
    cancellation_of(q)
    assert.same({true}, log)
    assert.is_not_nil(state.cancelled)
  end)

  it("is awaited by calls that are cancelled from the inside out", function()
    local log = {}
    local function level(n)
      return Promise.spawn(function()
        local _ <close> = setmetatable({}, {__close = function()
          log[#log + 1] = n
        end})
        await(n > 0 and level(n - 1) or pending())
      end)
    end
    local q = level(3)
    q:cancel()
    cancellation_of(q)
    table.sort(log)
    assert.same({0, 1, 2, 3}, log)
  end)

  it("rejects as its body raises after the cancellation", function()
    local q = Promise.spawn(function()
      pcall(await, pending())
      error("other", 0)
    end)
    q:catch(function() end)
    q:cancel()
    assert.same({"rejected", "other"}, {helper.outcome(q)})
  end)

  it("fulfils with what its body returns after the cancellation", function()
    local q = Promise.spawn(function()
      pcall(await, pending())
      return "a", nil, "c"
    end)
    q:cancel()
    assert.same({"fulfilled", "a", nil, "c"}, {helper.outcome(q)})
  end)

  it("cleans up undisturbed if its body has raised first", function()
    local log = {}
    local q
    q = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function(_, err)
        log[#log + 1] = err
        await(Promise.resolve())
        log[#log + 1] = "closed"
      end})
      await(1)
      q:cancel()
      error("boom", 0)
    end)
    q:catch(function() end)
    assert.same({"rejected", "boom"}, {helper.outcome(q)})
    assert.same({"boom", "closed"}, log)
  end)

  it("leaves what others await, and raises in its turn", function()
    local p, state = pending()
    local log = {}
    local keep = p:next(function() end)
    local q = Promise.spawn(function()
      pcall(await, p)
      log[#log + 1] = "raised"
    end)
    Promise.queueMicrotask(function() log[#log + 1] = "older" end)
    assert.is_true(q:cancel())
    Promise.queueMicrotask(function() log[#log + 1] = "younger" end)
    assert.same({}, log)
    helper.drain()
    assert.same({"older", "raised", "younger"}, log)
    assert.is_nil(state.cancelled)
    assert.equal("pending", (keep:status()))
  end)

  it("asks the promise that its body returns", function()
    local inner, state = pending()
    local q
    q = Promise.spawn(function()
      await(1)
      q:cancel "why"
      return inner
    end)
    local c = cancellation_of(q)
    assert.equal("why", c.reason)
    assert.equal(c, state.cancelled)
    local shared, of_shared = pending()
    local keep = shared:next(function() end)
    q = Promise.spawn(function()
      await(1)
      q:cancel()
      return shared
    end)
    cancellation_of(q)
    assert.is_nil(of_shared.cancelled)
    assert.equal("pending", (keep:status()))
  end)

  it("follows what its body returns if it was told before", function()
    local inner, state = pending()
    local q = Promise.spawn(function()
      pcall(await, pending())
      return inner
    end)
    q:cancel()
    helper.drain()
    assert.is_nil(state.cancelled)
    state.resolve "value"
    assert.same({"fulfilled", "value"}, {helper.outcome(q)})
  end)

  it("rejects if its body returns another object, untold", function()
    for _, object in ipairs {{}, {next = error},
      setmetatable({}, {__index = error})} do
      local q
      q = Promise.spawn(function()
        await(1)
        q:cancel "why"
        return object
      end)
      assert.equal("why", cancellation_of(q).reason)
    end
  end)
end)

describe("a cancelled combinator", function()
  for _, name in ipairs {
    "all", "allSettled", "any", "race", "allKeyed", "allSettledKeyed",
  } do
    describe(name, function()
      it("rejects, and cancels elements nobody else waits for", function()
        local a, of_a = pending()
        local b, of_b = pending()
        local c, of_c = pending()
        local other = b:next(function(v) return v end)
        local p = Promise[name] {a, b, c, 4}
        assert.is_true(p:cancel "why")
        assert.is_false(p:cancel "again")
        assert.equal("pending", (p:status()))
        local cancellation = cancellation_of(p)
        assert.equal("why", cancellation.reason)
        assert.equal(cancellation, of_a.cancelled)
        assert.is_nil(of_b.cancelled)
        assert.equal(cancellation, of_c.cancelled)
        of_b.resolve(1)
        assert.same({"fulfilled", 1}, {helper.outcome(other)})
      end)

      it("rejects at once if nobody is left to wait for", function()
        local a, of_a = pending()
        local b = pending()
        local keep = Promise.all {a, b}
        local p = Promise[name] {a, b}
        assert.is_true(p:cancel "why")
        assert.equal("rejected", (p:status()))
        assert.is_false(p:cancel())
        assert.equal("why", cancellation_of(p).reason)
        assert.is_nil(of_a.cancelled)
        keep:cancel()
      end)

      it("rejects when those that were asked have ended", function()
        local log = {}
        local opens = {}
        local function call(label)
          return Promise.spawn(function()
            local _ <close> = setmetatable({}, {__close = function()
              await(Promise.new(function(open) opens[label] = open end))
              log[#log + 1] = label
            end})
            await(pending())
          end)
        end
        local p = Promise[name] {call(1), call(2), call(3)}
        p:cancel()
        for _, label in ipairs {2, 3, 1} do
          helper.drain()
          assert.equal("pending", (p:status()))
          opens[label]()
        end
        cancellation_of(p)
        assert.same({2, 3, 1}, log)
      end)

      it("rejects with the first failure in cleaning up", function()
        local second, open_second = Promise.withResolvers()
        local first, open_first = Promise.withResolvers()
        local function call(gate, reason)
          return Promise.spawn(function()
            pcall(await, pending())
            await(gate)
            error(reason, 0)
          end)
        end
        local p = Promise[name] {call(second, "second"),
          call(first, "first"), pending(), 5}
        p:catch(function() end)
        local reports = helper.unhandled(function()
          p:cancel()
          helper.drain()
          open_first()
          helper.drain()
          assert.equal("pending", (p:status()))
          open_second()
          assert.same({"rejected", "first"}, {helper.outcome(p)})
        end)
        -- The further ones are told to the report.
        assert.equal(1, #reports)
        assert.equal("second", reports[1].reason)
      end)

      it("rejects though an element fulfils as it is asked", function()
        local p = Promise[name] {Promise.spawn(function()
          pcall(await, pending())
          return "value"
        end), pending()}
        p:cancel "why"
        assert.equal("why", cancellation_of(p).reason)
      end)

      it("waits for elements whose turn is near", function()
        local a, of_a = pending()
        local b, of_b = pending()
        local p = Promise[name] {a, b}
        of_a.resolve(1)
        assert.is_true(p:cancel())
        assert.is_not_nil(of_b.cancelled)
        cancellation_of(p)
      end)

      it("takes the failure of an element whose turn is near", function()
        local a, of_a = pending()
        local b, of_b = pending()
        local p = Promise[name] {b, a}
        p:catch(function() end)
        of_a.reject "boom"
        assert.is_true(p:cancel())
        assert.is_not_nil(of_b.cancelled)
        assert.same({"rejected", "boom"}, {helper.outcome(p)})
      end)

      it("asks once for an element that stands in it twice", function()
        local a, of_a = pending()
        local p = Promise[name] {a, a, a}
        assert.is_true(p:cancel())
        cancellation_of(p)
        assert.is_not_nil(of_a.cancelled)
      end)
    end)
  end

  for _, name in ipairs {"all", "allSettled", "any", "race"} do
    it("takes iterators of elements: " .. name, function()
      local a, of_a = pending()
      local b, of_b = pending()
      local p = Promise[name](ipairs {a, b})
      p:cancel()
      assert.is_not_nil(of_a.cancelled)
      assert.is_not_nil(of_b.cancelled)
    end)
  end

  for _, name in ipairs {"race", "any"} do
    it(name .. " only lets go of the losers when it settles", function()
      local a, of_a = pending()
      local b, of_b = pending()
      local p = Promise[name] {a, b}
      of_a.resolve "won"
      assert.same({"fulfilled", "won"}, {helper.outcome(p)})
      assert.is_nil(of_b.cancelled)
      assert.equal("pending", (b:status()))
    end)

    it(name .. " no longer waits for the losers then", function()
      local a, of_a = pending()
      local b, of_b = pending()
      local p = Promise[name] {a, b}
      of_a.resolve "won"
      helper.outcome(p)
      b:next(print):cancel()
      assert.is_not_nil(of_b.cancelled)
    end)
  end

  it("cancels its thenable elements' promises", function()
    local taken
    local p = Promise.all {{next = function(_, resolve) taken = resolve end}}
    helper.drain()
    assert.is_true(p:cancel())
    taken(1)
    cancellation_of(p)
  end)

  it("goes up depth first, and runs the hooks after", function()
    local log, shared = {}, nil
    local function leaf(label)
      return Promise.new(function(_, _, on_cancel)
        on_cancel(function()
          log[#log + 1] = label
          -- All have been asked by now.
          if shared then assert(not shared:cancel()) end
        end)
      end)
    end
    shared = leaf "d"
    local p = Promise.all {
      leaf "a",
      Promise.race {leaf "b":next(print), Promise.all {leaf "c"}},
      shared:finally(function() end),
      Promise.allKeyed {k = leaf "e"},
    }
    p:cancel()
    assert.same({"a", "b", "c", "d", "e"}, log)
    cancellation_of(p)
  end)

  it("is cancelled in its own iteration", function()
    local p
    local a, of_a = pending()
    local b, of_b = pending()
    local c, of_c = pending()
    local keep = c:next(function() end)
    local list = {a, b, c}
    local log = {}
    local done = Promise.spawn(function()
      p = Promise.all(function(_, i)
        i = (i or 0) + 1
        if i == 2 then
          -- The aggregate is known to nobody yet but the debug library.
          for level = 2, 4 do
            local _, found = debug.getlocal(level, 1)
            if Promise.is(found) then
              log[1] = found:cancel "why"
              break
            end
          end
          log[2] = of_a.cancelled ~= nil
        end
        return list[i] and i, list[i]
      end)
    end)
    helper.outcome(done)
    assert.same({true, true}, log)
    assert.equal("why", of_b.cancelled.reason)
    assert.is_nil(of_c.cancelled)
    assert.equal("why", cancellation_of(p).reason)
    assert.equal("pending", (keep:status()))
  end)

  it("leaves the result of a cancelled element to all", function()
    local a = pending()
    local p = Promise.all {a, pending()}
    a:cancel "element"
    assert.equal("element", cancellation_of(p).reason)
  end)

  it("counts a cancelled element of allSettled as rejected", function()
    local a = pending()
    local p = Promise.allSettled {a, 2}
    a:cancel "element"
    local _, results = helper.outcome(p)
    assert.equal("rejected", results[1].status)
    assert.equal("element", results[1].reason.reason)
  end)
end)

describe("a cancelled promise that follows another", function()
  it("lets it lose a waiter, and cancels it if that was the last", function()
    local inner, state = pending()
    local p = Promise.new(function(resolve) resolve(inner) end)
    helper.drain()
    p:cancel()
    assert.equal(cancellation_of(p), state.cancelled)
  end)

  it("does so in the tick before it is linked, too", function()
    local inner, state = pending()
    local p = Promise.new(function(resolve) resolve(inner) end)
    assert.is_true(p:cancel())
    assert.is_false(p:cancel())
    assert.is_not_nil(state.cancelled)
    assert.equal("pending", (p:status()))
    -- It takes its two ticks.
    assert.equal(1, Promise.drain(1))
    assert.equal("pending", (p:status()))
    assert.equal(1, Promise.drain(1))
    assert.equal("rejected", (p:status()))
    cancellation_of(p)
  end)

  it("leaves it to others", function()
    local inner, state = pending()
    local other = inner:next(function(v) return v end)
    local p = Promise.new(function(resolve) resolve(inner) end)
    helper.drain()
    p:cancel()
    cancellation_of(p)
    assert.is_nil(state.cancelled)
    state.resolve(1)
    assert.same({"fulfilled", 1}, {helper.outcome(other)})
  end)

  it("follows what a handler returned", function()
    local inner, state = pending()
    local p = Promise.resolve():next(function() return inner end)
    helper.drain()
    p:cancel()
    cancellation_of(p)
    assert.is_not_nil(state.cancelled)
  end)

  it("lets a thenable's answer go", function()
    local settle
    local p = Promise.resolve {next = function(_, resolve)
      settle = resolve
    end}
    helper.drain()
    assert.is_true(p:cancel())
    assert.equal("rejected", (p:status()))
    settle(1)
    cancellation_of(p)
  end)

  it("never calls a thenable whose turn has not come", function()
    local p = Promise.resolve {next = function() error "called" end}
    assert.is_true(p:cancel())
    assert.equal("rejected", (p:status()))
    cancellation_of(p)
  end)
end)

describe("shield", function()
  it("follows the promise", function()
    local p, state = pending()
    local s = Promise.shield(p)
    state.resolve(1, 2)
    assert.same({"fulfilled", 1, 2}, {helper.outcome(s)})
    p, state = pending()
    s = Promise.shield(p)
    s:catch(function() end)
    state.reject "boom"
    assert.same({"rejected", "boom"}, {helper.outcome(s)})
  end)

  it("stops the cancellation", function()
    local p, state = pending()
    local s = Promise.shield(p)
    local q = s:next(print)
    assert.is_true(q:cancel "why")
    assert.equal("rejected", (s:status()))
    assert.equal("pending", (q:status()))
    assert.equal("why", cancellation_of(q).reason)
    cancellation_of(s)
    assert.is_nil(state.cancelled)
    assert.equal("pending", (p:status()))
    state.resolve "cached"
    assert.same({"fulfilled", "cached"}, {helper.outcome(p)})
  end)

  it("that is not pending for long takes what has settled", function()
    local p, state = pending()
    local s = Promise.shield(p)
    s:catch(function() end)
    state.reject "boom"
    assert.is_true(s:cancel())
    assert.same({"rejected", "boom"}, {helper.outcome(s)})
    p, state = pending()
    s = Promise.shield(p)
    state.resolve "value"
    assert.is_true(s:cancel())
    cancellation_of(s)
  end)

  it("counts as a waiter of what it shields", function()
    local p, state = pending()
    local s = Promise.shield(p)
    p:next(print):cancel()
    assert.is_nil(state.cancelled)
    s:cancel()
    assert.is_nil(state.cancelled)
    p:next(print):cancel()
    assert.is_not_nil(state.cancelled)
  end)

  it("lets the promise be cancelled by others", function()
    local p = pending()
    local s = Promise.shield(p)
    p:cancel "why"
    assert.equal("why", cancellation_of(s).reason)
  end)

  it("raises for what is no promise", function()
    local ok, err = pcall(function() Promise.shield(1) end)
    assert.is_false(ok)
    assert.matches("^spec/cancel_spec%.lua:%d+: bad argument #1 to " ..
      "'shield' %(promise expected, got number%)", err)
  end)
end)

describe("a promise that is to be closed", function()
  it("is cancelled at the end of the block", function()
    local p, state = pending()
    do
      local _ <close> = p
      assert.equal("pending", (p:status()))
    end
    cancellation_of(p)
    assert.is_not_nil(state.cancelled)
  end)

  it("is cancelled by an error", function()
    local p = pending()
    pcall(function()
      local _ <close> = p
      error "boom"
    end)
    assert.is_nil(cancellation_of(p).reason)
  end)

  it("is left alone if it has settled", function()
    local p, state = pending()
    do
      local _ <close> = p
      state.resolve "value"
    end
    assert.same({"fulfilled", "value"}, {helper.outcome(p)})
  end)
end)

describe("waiters", function()
  -- What waits for p, and is not cancelled when another consumer is.
  local waiters = {
    next = function(p) return p:next(print) end,
    catch = function(p) return p:catch(print) end,
    finally = function(p) return p:finally(function() end) end,
    await = function(p) return Promise.spawn(function() await(p) end) end,
    adoption = function(p)
      return Promise.new(function(resolve) resolve(p) end)
    end,
    element = function(p) return Promise.all {p} end,
    shield = Promise.shield,
    ["own coroutine"] = function(p)
      coroutine.wrap(function() Promise.pawait(p) end)()
    end,
  }
  for name, wait in pairs(waiters) do
    it("are: " .. name, function()
      local p, state = pending()
      local waiter = wait(p)
      local consumer = p:next(print)
      consumer:cancel()
      cancellation_of(consumer)
      assert.is_nil(state.cancelled)
      assert.equal("pending", (p:status()))
      if waiter and name ~= "shield" then
        waiter:cancel()
        assert.is_not_nil(state.cancelled)
      end
    end)
  end

  it("are: await on the main thread", function()
    Promise.setLoop(virtual.new())
    local p, state = pending()
    local seen
    Promise.queueMicrotask(function()
      p:next(print):cancel()
      seen = state.cancelled
      state.resolve "value"
    end)
    assert.equal("value", await(p))
    assert.is_nil(seen)
    Promise.setLoop(nil)
  end)
end)
