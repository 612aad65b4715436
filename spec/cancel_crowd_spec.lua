--- Many that wait for one promise, and leave it, in any order; and those that
--- wait in a circle.

local Promise = require "cpromise"
local alloc = require "support.alloc"
local core = require "cpromise.core"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await, pawait = Promise.await, Promise.pawait
local drain, outcome = helper.drain, helper.outcome

local function pass(...) return ... end
local function never() error "must not run" end

local function is_cancelled(p)
  local state, reason = p:status()
  return state == "rejected" and Promise.isCancelled(reason)
end

local loop
before_each(function()
  loop = virtual.new()
  Promise.setLoop(loop)
end)
after_each(function() Promise.setLoop(nil) end)

--- By name, makers of what waits for p, is a promise that ends as p does, and
--- calls f when it goes on.
local kinds = {
  next = function(p, f) return p:next(f) end,
  catch = function(p, f)
    local q = p:catch(never)
    q:next(f)
    return q
  end,
  finally = function(p, f)
    return p:finally(pass):next(function(...)
      f()
      return ...
    end)
  end,
  ["finally with nothing to call"] = function(p, f)
    local q = p:finally()
    q:next(f)
    return q
  end,
  call = function(p, f)
    return Promise.spawn(function()
      local v = await(p)
      f()
      return v
    end)
  end,
  follower = function(p, f)
    local q = Promise.new(function(resolve) resolve(p) end)
    q:next(f)
    drain()
    return q
  end,
  shield = function(p, f)
    local q = Promise.shield(p)
    q:next(f)
    return q
  end,
  timeout = function(p, f)
    local q = p:timeout(1000)
    q:next(f)
    return q
  end,
  all = function(p, f)
    local q = Promise.all {p}
    q:next(f)
    return q
  end,
  race = function(p, f)
    local q = Promise.race {p}
    q:next(f)
    return q
  end,
  select = function(p, f)
    local q = Promise.select {p}
    q:next(f)
    return q
  end,
}

local orders = {
  oldest = function(_, i) return i end,
  newest = function(n, i) return n + 1 - i end,
  inwards = function(n, i)
    return i % 2 == 0 and i // 2 or n - i // 2
  end,
  mixed = function(n, i) return (i * 7919) % n + 1 end,
}

describe("a crowd", function()
  for kind, make in pairs(kinds) do
    for order, at in pairs(orders) do
      it(("is left by %s, %s first"):format(kind, order), function()
        for _, n in ipairs {7, 8, 9, 10, 16, 17, 40} do
          for leaving = n - 9, n, 3 do
            local p, resolve = Promise.withResolvers()
            local log, expected, made = {}, {}, {}
            for i = 1, n do
              made[i] = make(p, function() log[#log + 1] = i end)
            end
            local gone = {}
            for i = 1, leaving do
              gone[at(n, i)] = true
              assert.is_true(made[at(n, i)]:cancel())
            end
            for i = 1, n do
              if not gone[i] then expected[#expected + 1] = i end
            end
            assert.equal(#expected == 0 and kind ~= "shield", is_cancelled(p))
            resolve "value"
            drain()
            assert.same(expected, log)
            for i = 1, n do
              assert.equal(gone[i] or false, is_cancelled(made[i]))
            end
            assert.equal(0, (core.left()))
          end
        end
      end)
    end

    it("tells its promise when the last one leaves: " .. kind, function()
      for _, n in ipairs {1, 8, 9, 30} do
        local p = Promise.withResolvers()
        local made = {}
        for i = 1, n do made[i] = make(p, never) end
        for i = 1, n - 1 do made[(i * 7) % n + 1]:cancel() end
        local last = n == 1 and 1 or (n * 7) % n + 1
        assert.equal("pending", p:status())
        assert.is_true(made[last]:cancel())
        assert.equal(kind ~= "shield", is_cancelled(p))
        drain()
        for i = 1, n do assert.is_true(is_cancelled(made[i])) end
      end
    end)

    it("keeps nothing of those that leave: " .. kind, function()
      local function round(p)
        local made = {}
        for i = 1, 300 do made[i] = make(p, never) end
        for i = 1, 300 do made[i]:cancel() end
        drain()
        loop.advance(2000)
      end
      local function crowd()
        local p, resolve = Promise.withResolvers()
        local stay = {}
        for i = 1, 12 do stay[i] = p:next(pass) end
        return p, resolve, stay
      end
      local p, resolve, stay = crowd()
      round(crowd())
      helper.collect()
      local before = collectgarbage "count"
      for _ = 1, 4 do round(p) end
      helper.collect()
      assert.is_true(collectgarbage "count" - before < 10)
      resolve(1)
      for i = 1, 12 do assert.same({"fulfilled", 1}, {outcome(stay[i])}) end
    end)

    it("is left in no more than linear time: " .. kind, function()
      -- Those that need a seat would each walk past all the others.
      local n = (kind == "call" or kind == "finally" or kind == "timeout")
        and 40000 or 10000
      -- None needs a drain of its own.
      local wait = kind == "follower"
        and function(q)
          return Promise.new(function(resolve) resolve(q) end)
        end or make
      for _, at in ipairs {orders.newest, orders.mixed} do
        local p = Promise.withResolvers()
        local keep = p:next(pass)
        local made = {}
        for i = 1, n do made[i] = wait(p, never) end
        drain()
        for i = 1, n do made[at(n, i)]:cancel() end
        drain()
        assert.equal("pending", keep:status())
        keep:cancel()
        assert.is_true(is_cancelled(p))
        drain()
      end
    end)
  end

  it("that waits for its turn is followed by a finally that comes late",
    function()
      local p, resolve = Promise.withResolvers()
      local log = {}
      for i = 1, 20 do p:next(function() log[#log + 1] = i end) end
      resolve "value"
      local w = p:finally(function() log[#log + 1] = "finally" end)
      assert.same({"fulfilled", "value"}, {outcome(w)})
      assert.equal(21, #log)
      assert.equal("finally", log[21])
    end)

  it("lets each of its kinds go on in its turn", function()
    local names = {}
    for kind in pairs(kinds) do names[#names + 1] = kind end
    table.sort(names)
    local p, resolve = Promise.withResolvers()
    local log, expected = {}, {}
    local made = {}
    for round = 1, 4 do
      for _, kind in ipairs(names) do
        if kind ~= "finally" then -- its follower runs later
          local label = kind .. round
          made[label] = kinds[kind](p, function() log[#log + 1] = label end)
          if round ~= 2 then expected[#expected + 1] = label end
        end
      end
    end
    for label, w in pairs(made) do
      if label:find "2$" then w:cancel() end
    end
    resolve "value"
    drain()
    table.sort(log)
    table.sort(expected)
    assert.same(expected, log)
    for label, w in pairs(made) do
      assert.equal(label:find "2$" ~= nil, is_cancelled(w))
    end
  end)

  it("rejects its calls, and runs finally, with its reason", function()
    for _, n in ipairs {5, 20} do
      local p, _, reject = Promise.withResolvers()
      local calls, cleanups, cleaned = {}, {}, 0
      for i = 1, n do
        calls[i] = Promise.spawn(pawait, p)
        cleanups[i] = p:finally(function() cleaned = cleaned + 1 end)
        cleanups[i]:catch(pass)
      end
      reject "reason"
      drain()
      assert.equal(n, cleaned)
      for i = 1, n do
        assert.same({"fulfilled", false, "reason"}, {calls[i]:status()})
        assert.same({"rejected", "reason"}, {cleanups[i]:status()})
      end
    end
  end)

  it("knows with what a handler of finally in it has asked", function()
    local p, resolve = Promise.withResolvers()
    local made = {}
    for i = 1, 12 do
      made[i] = p:finally(function()
        assert.is_true(made[i]:cancel(i))
        assert.is_false(made[i]:cancel(-i))
      end)
    end
    resolve "value"
    drain()
    for i = 1, 12 do assert.equal(i, select(2, made[i]:status()).reason) end
  end)

  it("waits for what the handler of a finally returned", function()
    local gate, open = Promise.withResolvers()
    local made = {}
    for i = 1, 20 do
      made[i] = Promise.resolve(i):finally(function() return gate end)
    end
    drain()
    for i = 1, 20, 2 do
      assert.is_true(made[i]:cancel())
      assert.is_true(is_cancelled(made[i]))
    end
    open()
    drain()
    for i = 2, 20, 2 do assert.same({"fulfilled", i}, {made[i]:status()}) end
  end)

  it("takes each request when its turn is near", function()
    for _, how in ipairs {"resolve", "reject"} do
      local p, resolve, reject = Promise.withResolvers()
      local calls, cleanups, waits, log = {}, {}, {}, {}
      for i = 1, 15 do
        calls[i] = Promise.spawn(function()
          log[i] = {pcall(await, p)}
          await(1)
        end)
        cleanups[i] = p:finally(pass)
        waits[i] = p:timeout(1000)
        calls[i]:catch(pass)
        cleanups[i]:catch(pass)
        waits[i]:catch(pass)
      end
      if how == "resolve" then resolve "value" else reject "reason" end
      for i = 1, 15, 2 do
        for _, w in ipairs {calls[i], cleanups[i], waits[i]} do
          assert.is_true(w:cancel(i))
          assert.is_false(w:cancel "again")
        end
      end
      drain()
      for i = 1, 15 do
        local list = {cleanups[i], waits[i]}
        for _, w in ipairs(list) do
          local _, reason = w:status()
          if how == "reject" then assert.equal("reason", reason)
          elseif i % 2 == 1 then assert.equal(i, reason.reason)
          else assert.equal("value", reason) end
        end
        if i % 2 == 1 then
          assert.is_false(log[i][1])
          assert.is_true(how == "reject" and log[i][2] == "reason"
            or how == "resolve" and log[i][2].reason == i)
        end
        -- A request that a failure has gone before is raised by the next.
        assert.equal(i % 2 == 1 and how == "reject", is_cancelled(calls[i]))
      end
    end
  end)

  it("takes each request in the running batch", function()
    local p, resolve = Promise.withResolvers()
    local made = {}
    for i = 1, 10 do p:next(i == 3 and function()
      for j = 1, 9 do made[j]:cancel(j) end
    end or pass) end
    local cleaned = 0
    for i = 1, 9, 3 do
      made[i] = p:finally(function() cleaned = cleaned + 1 end)
      made[i + 1] = Promise.spawn(await, p)
      made[i + 2] = p:timeout(1000)
    end
    local last = p:next(pass)
    resolve "value"
    drain()
    assert.equal(3, cleaned)
    for i = 1, 9 do assert.equal(i, select(2, made[i]:status()).reason) end
    assert.same({"fulfilled", "value"}, {last:status()})
  end)

  it("asks a call on a seat again", function()
    local p, resolve = Promise.withResolvers()
    for _ = 1, 10 do p:next(pass) end
    local seen = {}
    local call = Promise.spawn(function()
      for i = 1, 4 do
        local ok, why = pcall(await, p)
        seen[i] = ok and why or why.reason
      end
      return "end"
    end)
    for i = 1, 3 do
      assert.is_true(call:cancel(i))
      assert.is_false(call:cancel(-i))
      drain()
    end
    resolve "value"
    assert.same({"fulfilled", "end"}, {outcome(call)})
    assert.same({1, 2, 3, "value"}, seen)
  end)

  it("raises at a seat what a call was asked with before", function()
    local p = Promise.withResolvers()
    for _ = 1, 10 do p:next(pass) end
    local call
    call = Promise.spawn(function()
      await(1)
      call:cancel "why"
      await(p)
    end)
    drain()
    assert.equal("why", select(2, call:status()).reason)
    assert.equal("pending", p:status())
  end)

  it("is no crowd of those whose coroutine was closed", function()
    for _, driven in ipairs {true, false} do
      local p = Promise.withResolvers()
      local keep = p:next(pass)
      local calls = {}
      local function wait()
        local co
        local function body()
          co = coroutine.running()
          await(p)
        end
        if driven then
          calls[#calls + 1] = Promise.spawn(body)
          calls[#calls]:catch(pass)
        else
          coroutine.wrap(body)()
        end
        return co
      end
      local list = {}
      for i = 1, 30 do list[i] = wait() end
      for i = 1, 30 do coroutine.close(list[i]) end
      keep:cancel()
      assert.is_true(is_cancelled(p))
      drain()
      assert.equal(0, (core.left()))
      for _, call in ipairs(calls) do
        assert.matches("was closed", select(2, call:status()))
      end
    end
  end)

  it("keeps nothing of coroutines that were closed", function()
    for _, driven in ipairs {true, false} do
      local p = Promise.withResolvers()
      local keep = {}
      for i = 1, 12 do keep[i] = p:next(pass) end
      local function round()
        for _ = 1, 500 do
          local co
          local function body()
            co = coroutine.running()
            await(p)
          end
          if driven then
            Promise.spawn(body):catch(pass)
          else
            coroutine.wrap(body)()
          end
          coroutine.close(co)
        end
        p:next(never):cancel()
        drain()
        helper.collect()
      end
      round()
      round()
      local before = collectgarbage "count"
      for _ = 1, 4 do round() end
      assert.is_true(collectgarbage "count" - before < 60)
      for i = 1, 12 do keep[i]:cancel() end
      assert.is_true(is_cancelled(p))
      drain()
    end
  end)

  it("tells a call whose coroutine was closed in it", function()
    local p, resolve = Promise.withResolvers()
    local calls = {}
    for i = 1, 20 do
      local co
      calls[i] = Promise.spawn(function()
        co = coroutine.running()
        await(p)
      end)
      calls[i]:catch(pass)
      if i % 2 == 0 then coroutine.close(co) end
    end
    resolve()
    drain()
    for i = 1, 20 do
      local state, why = calls[i]:status()
      assert.equal(i % 2 == 0 and "rejected" or "fulfilled", state)
      if i % 2 == 0 then assert.matches("was closed", why) end
    end
  end)

  it("is one of coroutines of the program's own", function()
    local p, resolve = Promise.withResolvers()
    local log = {}
    for i = 1, 20 do
      coroutine.wrap(function()
        await(p)
        log[#log + 1] = i
      end)()
    end
    local call = Promise.spawn(await, p)
    call:cancel()
    drain()
    assert.is_true(is_cancelled(call))
    assert.equal("pending", p:status())
    resolve()
    drain()
    assert.equal(20, #log)
  end)

  --- Let a call await a promise in a crowd, and run code in a finalizer, in
  --- the best case while its seat is made. Returns how often it was so.
  local function amid_seating(finalizer, verify)
    local moments = 0
    for litter = 0, 100 do
      if moments > 0 and litter > 20 then break end
      local state <close> = alloc.open()
      local _, amid = assert(state:run(([[
        local Promise = require "cpromise"
        local core = require "cpromise.core"
        local p, resolve = Promise.withResolvers()
        local waiting = {}
        for i = 1, 10 do waiting[i] = p:next() end
        local call, co, ran, before
        local function finalizer() %s end
        Promise.spawn(function()
          call, co = core.running(), coroutine.running()
          collectgarbage "stop"
          setmetatable({}, {__gc = function()
            ran = true
            finalizer()
          end})
          require "spec.collector" (1, 100, 1)
          collectgarbage "restart"
          for _ = 1, %d do local _ = {} end
          before = ran
          return Promise.await(p)
        end)
        local amid = ran and not before
        collectgarbage "stop"
        call:catch(type)
        Promise.drain()
        if amid then %s end
        return amid
      ]]):format(finalizer, litter, verify)))
      if amid then moments = moments + 1 end
    end
    return moments
  end

  it("is left by a call that a finalizer cancels as it comes", function()
    assert.is_true(0 < amid_seating([[call:cancel "why"]], [[
      assert(select(2, call:status()).reason == "why")
      assert(p:status() == "pending")
      for i = 1, 10 do waiting[i]:cancel() end
      assert(select(2, p:status()).reason == nil)
    ]]))
  end)

  it("is not entered by a call that a finalizer closes as it comes",
    function()
      assert.is_true(0 < amid_seating([[coroutine.close(co)]], [[
        local _, reason = call:status()
        assert(reason == "the coroutine of the async call was closed")
        for i = 1, 10 do waiting[i]:cancel() end
        assert(Promise.isCancelled(select(2, p:status())))
      ]]))
    end)

  it("is over for a call that a finalizer cancels as it comes", function()
    assert.is_true(0 < amid_seating([[
      call:cancel "why"
      resolve "value"
    ]], [[
      assert(select(2, call:status()).reason == "why")
      for i = 1, 10 do
        local state, value = waiting[i]:status()
        assert(state == "fulfilled" and value == "value")
      end
    ]]))
  end)

  it("is left where memory lacks", function()
    local function prepare()
      local P = require "cpromise"
      local trial = {P = P, made = {}, cleaned = 0}
      package.loaded.trial = trial
      P.setLoop(require "cpromise.loop.virtual".new())
      trial.p, trial.resolve = P.withResolvers()
      for _ = 1, 10 do trial.p:next() end
      function trial.call() return P.await(trial.p) end
      function trial.clean() trial.cleaned = trial.cleaned + 1 end
      for i = 1, 40 do trial.made[i] = false end
      collectgarbage "stop"
    end
    local function run()
      local trial = package.loaded.trial
      local P = trial.P
      local made, p = trial.made, trial.p
      for i = 1, 12, 3 do
        local ok, w = pcall(P.spawn, trial.call)
        made[i] = ok and w
        ok, w = pcall(p.finally, p, trial.clean)
        made[i + 1] = ok and w
        ok, w = pcall(p.timeout, p, 1000)
        made[i + 2] = ok and w
      end
      for i = 2, 12, 2 do
        if made[i] then pcall(made[i].cancel, made[i]) end
      end
      P.drain()
    end
    local function verify()
      local trial = package.loaded.trial
      local P = trial.P
      for i = 2, 12, 2 do
        if trial.made[i] then trial.made[i]:cancel() end
      end
      P.drain()
      assert(trial.p:status() == "pending")
      trial.resolve "value"
      P.drain()
      for i = 1, 12 do
        local w = trial.made[i]
        if w then
          w:catch(print)
          local state, v = w:status()
          assert(state == "fulfilled" and v == "value"
            or state == "rejected" and (P.isCancelled(v)
              or v == "not enough memory"), i .. state .. tostring(v))
        end
      end
      return trial.cleaned
    end
    prepare, run, verify = string.dump(prepare), string.dump(run),
      string.dump(verify)
    for _, more in ipairs {0, 1, math.maxinteger // 2} do
      for first = 1, 1000 do
        local state <close> = alloc.open()
        assert(state:run(prepare))
        state:run(run, first, first + more)
        local count = state:count()
        local ok, result = state:run(verify)
        assert.is_true(ok, result)
        assert.equal(0, state:close())
        if count < first then break end
      end
    end
  end)
end)

describe("a circle", function()
  it("of a call and what that awaits ends", function()
    for _, whom in ipairs {"call", "promise"} do
      local p, resolve = Promise.withResolvers()
      local call = Promise.spawn(await, p)
      resolve(call)
      drain()
      -- One outside leaves it, and the circle is left as it was.
      local outside = call:next(never)
      assert.is_true(outside:cancel())
      assert.is_true(is_cancelled(outside))
      assert.equal("pending", p:status())
      local target = whom == "call" and call or p
      assert.is_true(target:cancel "why")
      drain()
      assert.equal("why", select(2, p:status()).reason)
      assert.equal("why", select(2, call:status()).reason)
    end
  end)

  for name, make in pairs {
    next = function(p) return p:next(never) end,
    finally = function(p) return p:finally(pass) end,
    shield = function(p) return Promise.shield(p) end,
    timeout = function(p) return p:timeout(1000) end,
    all = function(p) return Promise.all {p} end,
    any = function(p) return Promise.any {p, p} end,
    select = function(p) return Promise.select {p} end,
    follower = function(p)
      return Promise.new(function(resolve) resolve(p) end)
    end,
    call = function(p) return Promise.spawn(function() await(p) end) end,
    deep = function(p) return Promise.all {p:next(never):finally(pass)} end,
  } do
    it("ends from each place in it: " .. name, function()
      for _, first in ipairs {true, false} do
        local p, resolve = Promise.withResolvers()
        local w = make(p)
        resolve(w)
        drain()
        assert.equal("pending", p:status())
        local target = first and p or w
        assert.is_true(target:cancel "why")
        drain()
        assert.equal("why", select(2, p:status()).reason)
        assert.equal("why", select(2, w:status()).reason)
        assert.equal(0, (core.left()))
      end
    end)

    it("ends while it is being closed: " .. name, function()
      for _, first in ipairs {true, false} do
        local p, resolve = Promise.withResolvers()
        local w = make(p)
        resolve(w) -- its job has not run
        local target = first and p or w
        assert.is_true(target:cancel "why")
        drain()
        assert.is_true(is_cancelled(p))
        assert.is_true(is_cancelled(w))
        assert.equal(0, (core.left()))
      end
    end)
  end

  it("of three calls ends, and each cleans up", function()
    local log = {}
    local resolvers, calls = {}, {}
    local list = {}
    for i = 1, 3 do list[i], resolvers[i] = Promise.withResolvers() end
    for i = 1, 3 do
      calls[i] = Promise.spawn(function()
        local _ <close> = setmetatable({}, {__close = function()
          log[#log + 1] = i
        end})
        await(list[i])
      end)
    end
    for i = 1, 3 do resolvers[i](calls[i % 3 + 1]) end
    drain()
    assert.is_true(calls[2]:cancel())
    drain()
    table.sort(log)
    assert.same({1, 2, 3}, log)
    for i = 1, 3 do assert.is_true(is_cancelled(calls[i])) end
  end)
end)

describe("a timeout", function()
  it("cancels what it alone waits for, and waits for that", function()
    local gate, open = Promise.withResolvers()
    local call = Promise.spawn(function()
      pcall(await, (Promise.withResolvers()))
      await(gate)
    end)
    local p = call:timeout(1, "late")
    p:catch(pass)
    loop.advance(1)
    drain()
    assert.equal("pending", p:status())
    open()
    drain()
    local state, reason = p:status()
    assert.equal("rejected", state)
    assert.is_true(Promise.isTimeout(reason))
  end)

  it("leaves what others wait for, in a crowd too", function()
    for _, n in ipairs {1, 20} do
      local p = Promise.withResolvers()
      local keep, list = p:next(pass), {}
      for i = 1, n do
        list[i] = p:timeout(1)
        list[i]:catch(pass)
      end
      loop.advance(1)
      drain()
      for i = 1, n do
        assert.is_true(Promise.isTimeout(select(2, list[i]:status())))
      end
      assert.equal("pending", p:status())
      keep:cancel()
      assert.is_true(is_cancelled(p))
      drain()
    end
  end)

  it("rejects with the failure of what it has cancelled", function()
    local call = Promise.spawn(function()
      pcall(await, (Promise.withResolvers()))
      error("cleanup", 0)
    end)
    local p = call:timeout(1)
    p:catch(pass)
    assert.same({}, helper.unhandled(function() loop.advance(1) end))
    assert.same({"rejected", "cleanup"}, {outcome(p)})
  end)

  it("rejects with a timeout though what it cancelled fulfils", function()
    local call = Promise.spawn(function()
      pcall(await, (Promise.withResolvers()))
      return "value"
    end)
    local p = call:timeout(1)
    p:catch(pass)
    loop.advance(1)
    drain()
    assert.is_true(Promise.isTimeout(select(2, p:status())))
    assert.same({"fulfilled", "value"}, {call:status()})
  end)

  it("that is cancelled is no timeout, and asks on", function()
    local p = Promise.withResolvers()
    local q = p:timeout(1)
    assert.is_true(q:cancel "why")
    assert.is_true(is_cancelled(p))
    loop.advance(2)
    assert.equal("why", select(2, q:status()).reason)
  end)

  it("that is reported is so once", function()
    local reports = helper.unhandled(function()
      local p = Promise.withResolvers():timeout(1)
      loop.advance(1)
      drain()
      assert(Promise.isTimeout(select(2, p:status())))
    end)
    assert.equal(1, #reports)
  end)
end)
