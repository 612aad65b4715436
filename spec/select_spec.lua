--- Promise.select: the first of several to settle, and an end of the others.

local Promise = require "cpromise"
local alloc = require "support.alloc"
local helper = require "spec.helper"

local await = Promise.await
local drain, outcome = helper.drain, helper.outcome

local function pass(...) return ... end

-- A pending promise, and its functions; `cancelled` when it was cancelled.
local function pending()
  local state = {}
  local p = Promise.new(function(resolve, reject, on_cancel)
    state.resolve, state.reject = resolve, reject
    on_cancel(function(cancellation) state.cancelled = cancellation end)
  end)
  return p, state
end

local function is_cancelled(p)
  local state, reason = p:status()
  return state == "rejected" and Promise.isCancelled(reason)
end

-- A call that waits until it is cancelled; then until `open` is called, and
-- fails with the reason given to that, if any.
local function cleaning()
  local gate, open = Promise.withResolvers()
  local call = Promise.spawn(function()
    pcall(await, (pending()))
    local reason = await(gate)
    if reason then error(reason, 0) end
  end)
  return call, open
end

describe("select", function()
  for name, key in pairs {
    string = "key", integer = 7, float = 0.5, boolean = true,
    table = {}, ["function"] = print, promise = Promise.resolve(),
  } do
    it("fulfils with the key and all values of the first: " .. name,
      function()
        local p, of_p = pending()
        local s = Promise.select {[key] = p, other = pending()}
        of_p.resolve(1, nil, 3, nil)
        local got = table.pack(outcome(s))
        assert.equal(6, got.n)
        assert.equal("fulfilled", got[1])
        assert.equal(key, got[2])
        assert.same({1, nil, 3}, {table.unpack(got, 3, got.n)})
      end)
  end

  it("fulfils with the key alone if the first has no value", function()
    local p, of_p = pending()
    local s = Promise.select {a = p}
    of_p.resolve()
    local got = table.pack(outcome(s))
    assert.same({"fulfilled", "a", n = 2}, got)
  end)

  it("takes holes and the field n for what they are", function()
    local p, of_p = pending()
    local s = Promise.select {nil, p, n = 5}
    assert.same({"fulfilled", "n", 5}, {outcome(s)})
    assert.is_not_nil(of_p.cancelled)
  end)

  it("takes values that are no promises as fulfilled", function()
    local p, of_p = pending()
    assert.same({"fulfilled", "b", "plain"},
      {outcome(Promise.select {a = p, b = "plain"})})
    assert.is_not_nil(of_p.cancelled)
    assert.same({"fulfilled", "b", false},
      {outcome(Promise.select {a = pending(), b = false})})
  end)

  it("follows thenables", function()
    local settle
    local s = Promise.select {a = {next = function(_, resolve)
      settle = resolve
    end}}
    drain()
    settle("value", 2)
    assert.same({"fulfilled", "a", "value", 2}, {outcome(s)})
  end)

  it("does not follow what a promise was fulfilled with", function()
    local thenable = {next = error}
    local s = Promise.select {a = Promise.fulfill(thenable)}
    assert.same({"fulfilled", "a", thenable}, {outcome(s)})
  end)

  it("numbers the elements of an iterator", function()
    for i = 1, 3 do
      local list, settle = {}, {}
      for j = 1, 3 do
        local p, state = pending()
        list[j], settle[j] = p, state.resolve
      end
      local s = Promise.select(ipairs(list))
      settle[i]("value", i)
      assert.same({"fulfilled", i, "value", i}, {outcome(s)})
    end
    local p, of_p = pending()
    local s = Promise.select(coroutine.wrap(function()
      coroutine.yield((pending()))
      coroutine.yield(p)
    end))
    of_p.resolve "yielded"
    assert.same({"fulfilled", 2, "yielded"}, {outcome(s)})
  end)

  it("closes its iterator", function()
    local closed = 0
    local closing = setmetatable({}, {__close = function()
      closed = closed + 1
    end})
    local s = Promise.select(function(_, i)
      if not i then return 1, "value" end
    end, nil, nil, closing)
    assert.equal(1, closed)
    assert.same({"fulfilled", 1, "value"}, {outcome(s)})
  end)

  it("rejects with the reason of the first", function()
    local p, of_p = pending()
    local q, of_q = pending()
    local s = Promise.select {a = p, b = q}
    s:catch(pass)
    local reason = {}
    of_p.reject(reason)
    local state, got = outcome(s)
    assert.equal("rejected", state)
    assert.equal(reason, got)
    assert.is_not_nil(of_q.cancelled)
  end)

  it("has a reason for its cancellations", function()
    local p, of_p = pending()
    outcome(Promise.select {p, 1})
    assert.is_true(Promise.isCancelled(of_p.cancelled))
    assert.equal("another promise was selected", of_p.cancelled.reason)
  end)

  it("takes the first in order of those that have settled", function()
    local list = {}
    for i = 1, 5 do list[i] = Promise.resolve(i) end
    assert.same({"fulfilled", 1, 1}, {outcome(Promise.select(ipairs(list)))})
    for i = 1, 5 do assert.same({"fulfilled", i}, {list[i]:status()}) end
    local failed = Promise.reject "no"
    failed:catch(pass)
    local s = Promise.select(ipairs {pending(), failed, list[1]})
    s:catch(pass)
    assert.same({"rejected", "no"}, {outcome(s)})
  end)

  it("is pending until its losers have ended", function()
    local winner, of_winner = pending()
    local loser, open = cleaning()
    local other, open_other = cleaning()
    local s = Promise.select {a = winner, b = loser, c = other}
    of_winner.resolve "won"
    drain()
    assert.equal("pending", s:status())
    open()
    drain()
    assert.equal("pending", s:status())
    open_other()
    assert.same({"fulfilled", "a", "won"}, {outcome(s)})
    assert.equal("fulfilled", loser:status())
  end)

  it("waits for its losers also if the first has failed", function()
    local winner, of_winner = pending()
    local loser, open = cleaning()
    local s = Promise.select {a = winner, b = loser}
    s:catch(pass)
    of_winner.reject "boom"
    drain()
    assert.equal("pending", s:status())
    open()
    assert.same({"rejected", "boom"}, {outcome(s)})
  end)

  it("leaves losers that others wait for", function()
    local winner, of_winner = pending()
    local shared, of_shared = pending()
    local keep = shared:next(pass)
    local s = Promise.select {a = winner, b = shared}
    of_winner.resolve "won"
    assert.same({"fulfilled", "a", "won"}, {outcome(s)})
    assert.is_nil(of_shared.cancelled)
    keep:cancel()
    assert.is_not_nil(of_shared.cancelled)
  end)

  it("leaves what is shielded", function()
    local p, of_p = pending()
    local s = Promise.select {a = Promise.shield(p), b = 1}
    assert.same({"fulfilled", "b", 1}, {outcome(s)})
    assert.is_nil(of_p.cancelled)
  end)

  it("cancels once what stands in it twice", function()
    local p, of_p = pending()
    local s = Promise.select {a = p, b = p, c = 1}
    assert.same({"fulfilled", "c", 1}, {outcome(s)})
    assert.is_not_nil(of_p.cancelled)
  end)

  it("is chosen once by what stands in it twice", function()
    local p, of_p = pending()
    local s = Promise.select(ipairs {p, p})
    of_p.resolve "value"
    assert.same({"fulfilled", 1, "value"}, {outcome(s)})
  end)

  it("cancels a chain of losers up to its end", function()
    local p, of_p = pending()
    local log = {}
    local loser = Promise.all {p:next(error):finally(function()
      log[#log + 1] = "cleaned"
    end)}
    local s = Promise.select {a = loser, b = 1}
    s:next(function() log[#log + 1] = "selected" end)
    drain()
    assert.is_not_nil(of_p.cancelled)
    assert.same({"cleaned", "selected"}, log)
  end)

  it("takes what settles second for a loser all the same", function()
    local p, of_p = pending()
    local q, of_q = pending()
    local s = Promise.select {a = p, b = q}
    local reports = helper.unhandled(function()
      of_q.resolve "first"
      of_p.resolve "second"
      assert.same({"fulfilled", "b", "first"}, {outcome(s)})
    end)
    assert.same({}, reports)
    assert.same({"fulfilled", "second"}, {p:status()})
  end)

  it("reports a loser's failure in cleaning up", function()
    local loser, open = cleaning()
    local s = Promise.select {a = loser, b = "won"}
    local reports = helper.unhandled(function()
      drain()
      open "cleanup"
      assert.same({"fulfilled", "b", "won"}, {outcome(s)})
    end)
    assert.equal(1, #reports)
    assert.equal("cleanup", reports[1].reason)
    assert.equal(loser, reports[1].promise)
  end)

  it("reports a loser that fails in the tick of the first", function()
    local p, of_p = pending()
    local q, of_q = pending()
    local s = Promise.select(ipairs {p, q})
    local reports = helper.unhandled(function()
      of_p.resolve "won"
      of_q.reject "too late"
      assert.same({"fulfilled", 1, "won"}, {outcome(s)})
    end)
    assert.equal(1, #reports)
    assert.equal("too late", reports[1].reason)
  end)

  it("reports no loser whose failure others learn of", function()
    for _, first in ipairs {true, false} do
      local p, of_p = pending()
      local q, of_q = pending()
      if first then q:catch(pass) end
      local s = Promise.select(ipairs {p, q})
      if not first then q:catch(pass) end
      local reports = helper.unhandled(function()
        of_p.resolve "won"
        of_q.reject "too late"
        assert.same({"fulfilled", 1, "won"}, {outcome(s)})
      end)
      assert.same({}, reports)
    end
  end)

  it("reports a loser once that several have let go of", function()
    local p, of_p = pending()
    local q, of_q = pending()
    local loser, of_loser = pending()
    local s = Promise.select(ipairs {p, loser})
    local t = Promise.select(ipairs {q, loser})
    local reports = helper.unhandled(function()
      of_p.resolve(1)
      of_q.resolve(2)
      of_loser.reject "too late"
      assert.equal("fulfilled", (outcome(s)))
      assert.equal("fulfilled", (outcome(t)))
    end)
    assert.equal(1, #reports)
    assert.equal("too late", reports[1].reason)
  end)

  it("reports a loser that another has left before", function()
    local p, of_p = pending()
    local loser, of_loser = pending()
    local gone = loser:next(pass)
    local s = Promise.select(ipairs {p, loser})
    gone:cancel()
    local reports = helper.unhandled(function()
      of_p.resolve(1)
      of_loser.reject "too late"
      assert.equal("fulfilled", (outcome(s)))
    end)
    assert.equal(1, #reports)
  end)

  it("is not interested in losers that were cancelled", function()
    local p, of_p = pending()
    local q = pending()
    local s = Promise.select(ipairs {p, q})
    local reports = helper.unhandled(function()
      of_p.resolve "won"
      q:cancel "by hand"
      assert.same({"fulfilled", 1, "won"}, {outcome(s)})
    end)
    assert.same({}, reports)
  end)

  it("of nothing is pending for ever", function()
    for _, s in ipairs {
      Promise.select {}, Promise.select(function() end),
    } do
      drain()
      assert.equal("pending", s:status())
      assert.is_true(s:cancel "why")
      assert.equal("why", select(2, outcome(s)).reason)
    end
  end)

  it("passes the error of its iterator on", function()
    local p, of_p = pending()
    local s = Promise.select(function(_, i)
      if i then error("iterator", 0) end
      return 1, p
    end)
    s:catch(pass)
    assert.same({"rejected", "iterator"}, {outcome(s)})
    assert.is_nil(of_p.cancelled)
  end)

  it("passes the error of an __index on", function()
    -- Keys are taken raw, values by the metamethods.
    local t = setmetatable({a = 1}, {__index = error})
    assert.same({"fulfilled", "a", 1}, {outcome(Promise.select(t))})
  end)

  it("reads its table once", function()
    local p, of_p = pending()
    local t = {a = p}
    local s = Promise.select(t)
    t.a, t.b = nil, 5
    of_p.resolve "value"
    assert.same({"fulfilled", "a", "value"}, {outcome(s)})
  end)

  for _, wrong in ipairs {1, "text", true, Promise.resolve()} do
    local shown = Promise.is(wrong) and "promise" or type(wrong)
    it("raises for a " .. shown, function()
      local ok, err = pcall(function() Promise.select(wrong) end)
      assert.is_false(ok)
      assert.matches("^spec/select_spec%.lua:%d+: bad argument #1 to " ..
        "'select' %(iterable expected, got " .. shown, err)
    end)
  end

  it("raises for nothing", function()
    local ok, err = pcall(function() Promise.select() end)
    assert.is_false(ok)
    assert.matches("^spec/select_spec%.lua:%d+: bad argument #1 to " ..
      "'select'", err)
  end)
end)

describe("a select that is cancelled", function()
  it("asks all, and rejects when they have ended", function()
    local p, of_p = pending()
    local loser, open = cleaning()
    local shared, of_shared = pending()
    local keep = shared:next(pass)
    local s = Promise.select {a = p, b = loser, c = shared}
    assert.is_true(s:cancel "why")
    assert.is_false(s:cancel "again")
    assert.equal("why", of_p.cancelled.reason)
    assert.is_nil(of_shared.cancelled)
    drain()
    assert.equal("pending", s:status())
    open()
    assert.equal("why", select(2, outcome(s)).reason)
    assert.is_true(is_cancelled(s))
    assert.equal("pending", keep:status())
  end)

  it("fails as what it waited for fails in cleaning up", function()
    local loser, open = cleaning()
    local s = Promise.select {a = loser, b = pending()}
    local reports = helper.unhandled(function()
      s:catch(pass)
      s:cancel()
      drain()
      open "cleanup"
      assert.same({"rejected", "cleanup"}, {outcome(s)})
    end)
    assert.same({}, reports)
  end)

  it("is not chosen any more", function()
    local p, of_p = pending()
    local q, of_q = pending()
    local s = Promise.select {a = p, b = q}
    of_p.resolve "value"
    assert.is_true(s:cancel "why")
    assert.is_not_nil(of_q.cancelled)
    assert.equal("why", select(2, outcome(s)).reason)
  end)

  it("when it has chosen, keeps to its choice", function()
    local loser, open = cleaning()
    local s = Promise.select {a = loser, b = "won"}
    drain()
    s:cancel "too late"
    open()
    assert.same({"fulfilled", "b", "won"}, {outcome(s)})
  end)

  it("when it has chosen, asks those that clean up", function()
    local hung, of_hung = pending()
    local loser = Promise.spawn(function()
      pcall(await, (pending()))
      await(hung)
    end)
    local s = Promise.select {a = loser, b = "won"}
    drain()
    assert.equal("pending", s:status())
    assert.is_true(s:cancel "hurry")
    assert.equal("hurry", of_hung.cancelled.reason)
    assert.same({"fulfilled", "b", "won"}, {outcome(s)})
    assert.is_true(is_cancelled(loser))
  end)

  it("in its own iteration asks what comes then", function()
    local a, of_a = pending()
    local b, of_b = pending()
    local told
    local s = Promise.select(function(_, i)
      i = (i or 0) + 1
      if i == 2 then
        for level = 2, 4 do
          local _, found = debug.getlocal(level, 1)
          if Promise.is(found) then
            told = found:cancel "why"
            break
          end
        end
        assert(of_a.cancelled)
      end
      return ({1, 2})[i], ({a, b})[i]
    end)
    assert.is_true(told)
    assert.equal("why", of_b.cancelled.reason)
    assert.equal("why", select(2, outcome(s)).reason)
  end)

  it("by its own loser's hook is none the worse", function()
    local s
    local loser = Promise.new(function(_, _, on_cancel)
      on_cancel(function() s:cancel "hook" end)
    end)
    s = Promise.select {a = loser, b = "won"}
    assert.same({"fulfilled", "b", "won"}, {outcome(s)})
  end)

  it("loses nothing of what it had chosen to a call that awaits", function()
    local loser, open = cleaning()
    local got
    local call = Promise.spawn(function()
      got = {await(Promise.select {a = loser, b = "won"})}
      await(1)
      error "must not run"
    end)
    drain()
    assert.is_true(call:cancel "why")
    open()
    drain()
    assert.same({"b", "won"}, got)
    assert.equal("why", select(2, call:status()).reason)
  end)

  it("loses nothing if it is cancelled in the tick of the call", function()
    local got, call
    local p, of_p = pending()
    call = Promise.spawn(function()
      got = {pcall(await, Promise.select {a = p})}
      await(1)
    end)
    of_p.resolve "won"
    drain(1)
    Promise.queueMicrotask(function() call:cancel "why" end)
    drain()
    assert.same({true, "a", "won"}, got)
    assert.equal("fulfilled", (call:status()))
  end)

  it("is asked by an await in a call", function()
    local p, of_p = pending()
    local call = Promise.spawn(function()
      return await(Promise.select {a = p, b = pending()})
    end)
    assert.is_true(call:cancel "why")
    assert.equal("why", of_p.cancelled.reason)
    assert.equal("why", select(2, outcome(call)).reason)
  end)
end)

describe("a select in its own iteration", function()
  it("chooses what has its turn before the end of that", function()
    -- Draining inside of an iterator that no job runs.
    local a, of_a = pending()
    local b, of_b = pending()
    local s = Promise.select(function(_, i)
      i = (i or 0) + 1
      if i == 2 then
        of_a.resolve "early"
        Promise.drain()
      end
      return ({1, 2})[i], ({a, b})[i]
    end)
    assert.same({"fulfilled", 1, "early"}, {outcome(s)})
    assert.equal("another promise was selected", of_b.cancelled.reason)
  end)

  it("rejects though it has chosen if that then fails", function()
    local s = Promise.select(function(_, i)
      if i then
        Promise.drain()
        error("iterator", 0)
      end
      return 1, "early"
    end)
    s:catch(pass)
    assert.same({"rejected", "iterator"}, {outcome(s)})
  end)
end)

describe("select over what can be taken", function()
  it("takes from one channel only", function()
    local a, b = Promise.channel(2), Promise.channel(2)
    local got = {}
    local consumer = Promise.spawn(function()
      for _ = 1, 4 do
        local key, v = await(Promise.select {a = a:receive(),
          b = b:receive()})
        got[#got + 1] = key .. v
      end
    end)
    local producer = Promise.spawn(function()
      for i = 1, 2 do
        await(a:send(i))
        await(b:send(i))
      end
    end)
    drain()
    assert.equal("fulfilled", producer:status())
    assert.equal("fulfilled", consumer:status())
    table.sort(got)
    assert.same({"a1", "a2", "b1", "b2"}, got)
  end)

  it("takes from one only if all are ready", function()
    local channels = {}
    for i = 1, 3 do
      channels[i] = Promise.channel(1)
      channels[i]:send(i)
    end
    drain()
    local list = {}
    for i, channel in ipairs(channels) do list[i] = channel:receive() end
    local _, key, value = outcome(Promise.select(ipairs(list)))
    assert.equal(key, value)
    -- What it did not take is still there.
    for i, channel in ipairs(channels) do
      local next_one = channel:receive()
      local state, got = outcome(next_one)
      assert.equal(i ~= key and "fulfilled" or "pending", state)
      assert.equal(i ~= key and i or nil, got)
      next_one:cancel()
    end
    drain()
  end)

  it("gives back a permit that it does not take", function()
    local semaphore = Promise.semaphore(1)
    local _, permit = outcome(semaphore:acquire())
    local key = select(2, outcome(Promise.select {
      permit = semaphore:acquire(), other = "other",
    }))
    assert.equal("other", key)
    permit()
    -- Nobody stands in the queue any more.
    local state = outcome(semaphore:acquire())
    assert.equal("fulfilled", state)
  end)

  it("sends to one channel only", function()
    local a, b = Promise.channel(), Promise.channel()
    local s = Promise.select {a = a:send "x", b = b:send "x"}
    drain()
    assert.same({"fulfilled", "x"}, {outcome(b:receive())})
    local state, key = outcome(s)
    assert.same({"fulfilled", "b"}, {state, key})
    local r = a:receive()
    drain()
    assert.equal("pending", r:status())
    r:cancel()
    drain()
  end)

  it("leaves an event to the others that wait", function()
    local event = Promise.event()
    local other = event:wait():next(function() return "woken" end)
    assert.same({"fulfilled", "value", 1},
      {outcome(Promise.select {event = event:wait(), value = 1})})
    event:set()
    assert.same({"fulfilled", "woken"}, {outcome(other)})
  end)
end)

describe("the memory of select", function()
  local function flat(round)
    round()
    round()
    helper.collect()
    local before = collectgarbage "count"
    for _ = 1, 10 do round() end
    helper.collect()
    return collectgarbage "count" - before
  end

  it("is flat in a loop over a promise that lives long", function()
    local stop = Promise.withResolvers()
    local keep = stop:next(pass)
    assert.is_true(flat(function()
      for i = 1, 300 do
        outcome(Promise.select {stop = stop, value = Promise.resolve(i)})
        Promise.select {stop = stop, other = stop}:cancel()
        drain()
      end
    end) < 10)
    assert.equal("pending", keep:status())
    assert.equal("pending", stop:status())
    keep:cancel()
    assert.is_true(is_cancelled(stop))
  end)

  it("is flat in a loop over an event", function()
    local stop = Promise.event()
    assert.is_true(flat(function()
      for i = 1, 300 do
        outcome(Promise.select {stop = stop:wait(), value = i})
      end
    end) < 10)
  end)

  it("that runs out rejects, and leaves all alive", function()
    local function prepare()
      local P = require "cpromise"
      local trial = {P = P}
      package.loaded.trial = trial
      P.onUnhandledRejection(function() end)
      trial.source, trial.resolve = P.withResolvers()
      trial.other = P.withResolvers()
      trial.keep = trial.other:next(print)
      trial.t = {a = trial.source, b = trial.other}
      collectgarbage "stop"
    end
    local function run()
      local trial = package.loaded.trial
      local ok, s = pcall(trial.P.select, trial.t)
      trial.s = ok and s
      trial.failed = not ok and s
      trial.resolve(1, 2, 3)
      trial.P.drain()
    end
    local function verify()
      local trial = package.loaded.trial
      local P = trial.P
      P.drain()
      assert(trial.keep:status() == "pending")
      local settled, reason = trial.source:status()
      assert(settled == "fulfilled" or reason == "not enough memory")
      if not trial.s then
        assert(trial.failed == "not enough memory")
        return "raised"
      end
      local state, key, _, _, last = trial.s:status()
      if state == "rejected" then
        assert(key == "not enough memory", key)
      else
        assert(state == "fulfilled" and key == "a" and last == 3)
      end
      return state
    end
    prepare, run, verify = string.dump(prepare), string.dump(run),
      string.dump(verify)
    local seen = {}
    for first = 1, 1000 do
      local state <close> = alloc.open()
      assert(state:run(prepare))
      state:run(run, first, math.maxinteger)
      local count = state:count()
      local ok, result = state:run(verify)
      assert.is_true(ok, result)
      seen[result] = true
      assert.equal(0, state:close())
      if count < first then break end
    end
    assert.same({raised = true, rejected = true, fulfilled = true}, seen)
  end)

  it("keeps its elements no longer than it needs them", function()
    local weak = setmetatable({}, {__mode = "k"})
    local s
    do
      local a, of_a = pending()
      local b = pending()
      weak[a], weak[b] = true, true
      s = Promise.select {a = a, b = b}
      of_a.resolve "value"
    end
    drain()
    helper.collect()
    assert.is_nil(next(weak))
    assert.same({"fulfilled", "a", "value"}, {s:status()})
  end)
end)
