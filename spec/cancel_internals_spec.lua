--- What cancelling does to the lists, counts and slots of the core; in every
--- state, from inside everything else.

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

--- A list, and a function that makes functions that add a label to it.
local function logger()
  local log = {}
  return log, function(label)
    return function() log[#log + 1] = label end
  end
end

--- Reports of errors that nobody handled, during a block.
local function reports(block)
  local list = helper.unhandled(block)
  for i, report in ipairs(list) do list[i] = report.reason end
  return list
end

--- Call `f` for each order of the numbers from 1 to n.
local function each_order(n, f, order, used)
  order, used = order or {}, used or {}
  if #order == n then return f(order) end
  for i = 1, n do
    if not used[i] then
      used[i], order[#order + 1] = true, i
      each_order(n, f, order, used)
      used[i], order[#order] = nil, nil
    end
  end
end

--- Run code in a Lua state of its own, where collecting takes no time. `due`
--- calls a function from a finalizer as soon as anything is allocated.
local function apart(code)
  local state <close> = alloc.open()
  assert(state:run([[
    local Promise = require "cpromise"
    local helper = require "spec.helper"
    local function pass(...) return ... end
    local function due(f)
      collectgarbage "stop"
      setmetatable({}, {__gc = f})
      helper.incremental(1, 1000, 1)
      collectgarbage "restart"
    end
    local function litter(n)
      for _ = 1, n do local _ = {} end
    end
    local function collect()
      collectgarbage()
      helper.incremental(200, 100, 13)
    end
  ]] .. code))
end

describe("the ring of a promise whose reactions are cancelled", function()
  --- Makers of a promise that waits for p, and says so when it goes on.
  local kinds = {
    next = function(p, f) return p:next(f) end,
    await = function(p, f)
      return Promise.spawn(function() f(await(p)) end)
    end,
    all = function(p, f)
      local all = Promise.all {p}
      all:next(f)
      return all
    end,
    shield = function(p, f)
      local shield = Promise.shield(p)
      shield:next(f)
      return shield
    end,
  }

  for name, make in pairs(kinds) do
    it("keeps the others in order, whichever leave: " .. name, function()
      for n = 1, 4 do
        for leaving = 1, n do
          each_order(n, function(order)
            local p, resolve = Promise.withResolvers()
            local keep = p:next(pass)
            local log, note = logger()
            local expected, made = {}, {}
            for i = 1, n do made[i] = make(p, note(i)) end
            for i = 1, leaving do made[order[i]]:cancel() end
            -- some more join who is left
            for i = n + 1, n + 2 do made[i] = make(p, note(i)) end
            for i = leaving + 1, n do expected[#expected + 1] = order[i] end
            table.sort(expected)
            expected[#expected + 1] = n + 1
            expected[#expected + 1] = n + 2
            resolve()
            drain()
            assert.same(expected, log)
            assert.equal("fulfilled", keep:status())
            for i = 1, leaving do
              assert.is_true(is_cancelled(made[order[i]]))
            end
          end)
        end
      end
    end)
  end

  it("cancels the promise when the last one leaves, not before", function()
    for n = 1, 5 do
      each_order(math.min(n, 4), function(order)
        local p = Promise.withResolvers()
        local made = {}
        for i = 1, n do made[i] = p:next(never) end
        for _, i in ipairs(order) do made[i]:cancel() end
        assert.equal(n > 4 and "pending" or "rejected", p:status())
        drain()
      end)
    end
  end)

  it("links nothing of those that left", function()
    local p = Promise.withResolvers()
    local calls = {}
    for i = 1, 4 do calls[i] = Promise.spawn(await, p) end
    -- each is in the queue now, alone or the last one
    for i = 1, 4 do
      calls[i]:cancel()
      assert.equal(i, (core.left()))
    end
    drain()
    assert.equal(0, (core.left()))
    for i = 1, 2 do calls[i] = Promise.spawn(await, p) end
    drain()
  end)

  it("has no link in a ring of one", function()
    local p = Promise.withResolvers()
    local first, second = Promise.spawn(await, p), Promise.spawn(await, p)
    first:cancel()
    drain()
    second:cancel()
    assert.equal(1, (core.left()))
    drain()
    assert.is_true(is_cancelled(second))
    assert.is_true(is_cancelled(p))
  end)

  it("holds few of those that left, and none alone", function()
    local p = Promise.withResolvers()
    local q = Promise.withResolvers()
    local stays = q:next(pass)
    local weak = setmetatable({}, {__mode = "k"})
    local function make()
      local alone = p:next(never)
      local beside = q:next(never)
      weak[alone], weak[beside] = true, true
      alone:cancel()
      beside:cancel()
    end
    for _ = 1, 100 do make() end
    drain()
    helper.collect()
    local kept = 0
    for _ in pairs(weak) do kept = kept + 1 end
    assert.is_true(kept <= 1)
    assert.is_true(is_cancelled(p))
    assert.equal("pending", q:status())
    assert.equal("pending", stays:status())
  end)

  it("is swept of the dead when somebody asks who waits", function()
    local p = Promise.withResolvers()
    local dead = {}
    for i = 1, 7 do
      dead[i] = Promise.race {p, Promise.resolve(i)}
    end
    drain()
    local derived = p:next(never)
    derived:cancel()
    assert.is_true(is_cancelled(p))
    for i = 1, 7 do assert.same({"fulfilled", i}, {dead[i]:status()}) end
  end)

  it("keeps who waits behind the dead", function()
    local p, resolve = Promise.withResolvers()
    Promise.race {p, 1}
    drain()
    local waits = Promise.race {p}
    local derived = p:next(never)
    derived:cancel()
    assert.equal("pending", p:status())
    resolve "value"
    assert.same({"fulfilled", "value"}, {outcome(waits)})
  end)
end)

describe("who waits without a place in a ring", function()
  --- n promises that are to follow p; their jobs have not run.
  local function followers(p, n)
    local list = {}
    for i = 1, n do list[i] = Promise.new(function(r) r(p) end) end
    return list
  end

  it("counts, before it has started to follow", function()
    local p = Promise.withResolvers()
    local follower = followers(p, 1)[1]
    p:next(never):cancel()
    assert.equal("pending", p:status())
    drain()
    p:next(never):cancel()
    assert.equal("pending", p:status())
    follower:cancel()
    assert.is_true(is_cancelled(p))
    drain()
    assert.is_true(is_cancelled(follower))
  end)

  it("leaves, before it has started to follow", function()
    local p = Promise.withResolvers()
    local list = followers(p, 2)
    assert.is_true(list[1]:cancel())
    assert.equal("pending", p:status())
    assert.is_true(is_cancelled(list[1]))
    assert.is_true(list[2]:cancel())
    assert.is_true(is_cancelled(p))
    assert.equal("pending", list[2]:status())
    drain()
    assert.is_true(is_cancelled(list[2]))
    assert.equal(0, (core.left()))
  end)

  it("tells those that wait for it when it leaves then", function()
    local p = Promise.withResolvers()
    local list = followers(p, 2)
    local log, note = logger()
    list[1]:catch(note "follower")
    Promise.queueMicrotask(note "older")
    list[1]:cancel()
    Promise.queueMicrotask(note "younger")
    drain()
    assert.same({"older", "follower", "younger"}, log)
    assert.equal("pending", p:status())
  end)

  it("leaves what has settled meanwhile", function()
    local p, resolve = Promise.withResolvers()
    local follower = followers(p, 1)[1]
    local seen
    follower:catch(function() seen = true end)
    resolve(1)
    follower:cancel()
    drain()
    assert.is_true(seen)
    assert.same({"fulfilled", 1}, {p:status()})
  end)

  it("is counted, however many there are", function()
    for _, n in ipairs {1, 254, 255, 256, 257, 600, 70000} do
      for _, started in ipairs {false, true} do
        local p = Promise.withResolvers()
        local list = followers(p, n)
        if started then drain() end
        p:next(never):cancel()
        assert.equal("pending", p:status())
        for i = 1, n - 1 do list[i]:cancel() end
        p:next(never):cancel()
        assert.equal("pending", p:status())
        assert.is_true(n == 1 or is_cancelled(list[1]))
        drain()
        p:next(never):cancel()
        assert.equal("pending", p:status())
        list[n]:cancel()
        assert.is_true(is_cancelled(p))
        drain()
        assert.is_true(is_cancelled(list[n]))
      end
    end
  end)

  it("counts, on the main thread", function()
    local p, resolve = Promise.withResolvers()
    local derived = p:next(never)
    Promise.queueMicrotask(function()
      derived:cancel()
      assert.equal("pending", p:status())
      resolve "value"
    end)
    assert.equal("value", await(p))
    assert.same({}, reports(function()
      local r, _, reject = Promise.withResolvers()
      Promise.queueMicrotask(function()
        Promise.shield(r):cancel()
        reject "seen"
      end)
      assert.same({false, "seen"}, {pcall(await, r)})
    end))
    local q = Promise.withResolvers()
    assert.has_error(function() await(q) end)
    q:next(never):cancel()
    assert.is_true(is_cancelled(q))
  end)
end)

describe("a hook", function()
  it("runs once, in order, with the reason that its promise gets", function()
    local log = {}
    local p, _, _, onCancel = Promise.withResolvers()
    for i = 1, 5 do
      onCancel(function(...)
        log[#log + 1] = i
        log.reason = ...
        assert.equal(1, select("#", ...))
        assert.equal("pending", p:status())
      end)
    end
    assert.same({}, reports(function() assert.is_true(p:cancel "why") end))
    assert.same({1, 2, 3, 4, 5, reason = select(2, p:status())}, log)
    assert.equal("why", log.reason.reason)
    assert.is_false(p:cancel())
    drain()
    assert.equal(5, #log)
  end)

  it("is given by every kind of executor", function()
    for _, make in pairs {
      function(add)
        return Promise.new(function(_, _, onCancel) add(onCancel) end)
      end,
      function(add)
        return Promise.new(function(...) add((select(3, ...))) end)
      end,
      function(add)
        return Promise.new(function(_, _, onCancel, more)
          assert.is_nil(more)
          add(onCancel)
        end)
      end,
      function(add)
        return Promise.new(setmetatable({}, {
          __call = function(_, _, _, onCancel) add(onCancel) end,
        }))
      end,
    } do
      local ran = 0
      make(function(onCancel)
        onCancel(function() ran = ran + 1 end)
      end):cancel()
      assert.equal(1, ran)
    end
  end)

  it("finds its promise locked", function()
    local p, resolve, reject, onCancel = Promise.withResolvers()
    onCancel(function()
      resolve "too late"
      assert.equal("pending", p:status())
      reject "too late"
      assert.equal("pending", p:status())
      assert.is_false(p:cancel "again")
      onCancel(never)
    end)
    assert.same({}, reports(function() assert.is_true(p:cancel()) end))
    assert.is_true(is_cancelled(p))
    assert.is_nil(select(2, p:status()).reason)
  end)

  it("that raises is reported, and the others run", function()
    local ran = 0
    local p, _, _, onCancel = Promise.withResolvers()
    onCancel(function() error("one", 0) end)
    onCancel(function() ran = ran + 1 end)
    onCancel(function() error("three", 0) end)
    local list = helper.unhandled(function() p:cancel() end)
    assert.equal("one", list[1].reason)
    assert.is_nil(list[1].promise)
    assert.matches("cancel_internals_spec", list[1].traceback)
    assert.equal("three", list[2].reason)
    assert.equal(2, #list)
    assert.equal(1, ran)
    assert.is_true(is_cancelled(p))
  end)

  it("can't await, and what runs after it can", function()
    local why
    local p, _, _, onCancel = Promise.withResolvers()
    onCancel(function() why = select(2, pcall(await, 1)) end)
    p:cancel()
    assert.matches("can't await", why)
    assert.equal(1, await(1))
    p, _, _, onCancel = Promise.withResolvers()
    onCancel(function() why = select(2, pcall(await, 2)) end)
    local call = Promise.spawn(function()
      p:cancel()
      return await(2)
    end)
    assert.matches("can't await", why)
    assert.same({"fulfilled", 2}, {outcome(call)})
  end)

  it("is nothing to a promise that has settled", function()
    local p, resolve, _, onCancel = Promise.withResolvers()
    resolve "value"
    onCancel(never)
    assert.same({"fulfilled", "value"}, {p:status()})
    assert.is_false(p:cancel())
    local q, _, reject, onCancelQ = Promise.withResolvers()
    reject "reason"
    onCancelQ(never)
    assert.same({"rejected", "reason"}, {q:status()})
    q:catch(pass)
    drain()
  end)

  it("is nothing to a promise that was resolved to follow", function()
    for _, target in ipairs {
      (Promise.withResolvers()),
      {next = pass},
      {next = function(_, resolve) resolve(Promise.withResolvers()) end},
    } do
      local p, resolve, _, onCancel = Promise.withResolvers()
      onCancel(never)
      resolve(target)
      onCancel(never)
      drain()
      onCancel(never)
      assert.same({}, reports(function() assert.is_true(p:cancel()) end))
      assert.is_true(is_cancelled(p))
    end
  end)

  it("is dropped when its promise is resolved or settles", function()
    local weak = setmetatable({}, {__mode = "k"})
    local kept = {}
    local pending = Promise.withResolvers()
    for _, value in ipairs {1, pending, {next = pass}} do
      local p, resolve, _, onCancel = Promise.withResolvers()
      local function hook() return p, weak end
      weak[hook] = true
      onCancel(hook)
      resolve(value)
      kept[#kept + 1] = p
    end
    local p, _, _, onCancel = Promise.withResolvers()
    local function hook() return p, weak end
    weak[hook] = true
    onCancel(hook)
    p:cancel()
    kept[#kept + 1] = p
    drain()
    p, onCancel, hook = nil, nil, nil -- luacheck: ignore
    helper.collect()
    assert.is_nil(next(weak))
    assert.equal(4, #kept)
  end)

  it("may settle everything else", function()
    local log, note = logger()
    local p, _, _, onCancel = Promise.withResolvers()
    local q, resolveQ = Promise.withResolvers()
    local derived = p:next(never)
    derived:catch(note "derived")
    q:next(note "q")
    onCancel(function()
      assert.is_true(derived:cancel())
      assert.is_false(derived:cancel())
      resolveQ()
      Promise.drain()
      helper.collect()
      log[#log + 1] = "hook"
    end)
    p:cancel()
    drain()
    assert.same({"q", "hook", "derived"}, log)
    assert.is_true(is_cancelled(p))
    assert.is_true(is_cancelled(derived))
  end)

  it("comes too late to wait for what has been asked with it", function()
    local p, resolve = Promise.withResolvers()
    local inner, _, _, onCancel = Promise.withResolvers()
    local all = Promise.all {inner, p}
    local waits
    onCancel(function() waits = p:next(pass) end)
    all:cancel()
    assert.is_true(is_cancelled(inner))
    assert.is_true(is_cancelled(p))
    resolve(5)
    drain()
    assert.is_true(is_cancelled(waits))
  end)

  it("finds rejected what had none, and follows nothing of ours", function()
    local log = {}
    local called = Promise.resolve {next = pass}
    drain()
    local queued = Promise.resolve {next = never}
    local p, _, _, onCancel = Promise.withResolvers()
    local last, _, _, onCancelLast = Promise.withResolvers()
    onCancel(function()
      log = {(called:status()), (queued:status()), (last:status())}
    end)
    onCancelLast(pass)
    Promise.all({p, called, queued, last}):cancel()
    assert.same({"rejected", "rejected", "pending"}, log)
    drain()
  end)

  it("can't settle what has been asked with it", function()
    local p, resolve, reject, onCancelP = Promise.withResolvers()
    local inner, _, _, onCancel = Promise.withResolvers()
    local log, note = logger()
    onCancelP(note "second")
    onCancel(function()
      log[1] = "first"
      resolve "by the hook"
      reject "by the hook"
      assert.is_false(p:cancel())
      assert.equal("pending", p:status())
      onCancelP(never)
    end)
    assert.same({}, reports(function() Promise.all({inner, p}):cancel() end))
    assert.same({"first", "second"}, log)
    assert.is_true(is_cancelled(inner))
    assert.is_true(is_cancelled(p))
    drain()
  end)

  it("may cancel something else with hooks of its own", function()
    local log, note = logger()
    local p, _, _, onCancel = Promise.withResolvers()
    local q, _, _, onCancelQ = Promise.withResolvers()
    local derived = q:next(never)
    onCancelQ(note "inner")
    onCancel(function()
      log[#log + 1] = "outer"
      assert.is_true(derived:cancel "of the hook")
      assert.is_true(is_cancelled(q))
    end)
    onCancel(note "outer again")
    p:cancel "of the caller"
    assert.same({"outer", "inner", "outer again"}, log)
    drain()
    assert.equal("of the hook", select(2, derived:status()).reason)
    assert.equal("of the caller", select(2, p:status()).reason)
  end)

  it("may cancel the aggregate around it, and its elements", function()
    local promises, seen = {}, {}
    for i = 1, 4 do
      local onCancel, _
      promises[i], _, _, onCancel = Promise.withResolvers()
      onCancel(function()
        seen[#seen + 1] = i
        for _, p in ipairs(promises) do p:cancel() end
      end)
    end
    local all = Promise.all(promises)
    all:cancel()
    assert.same({1, 2, 3, 4}, seen)
    for i = 1, 4 do assert.is_true(is_cancelled(promises[i])) end
  end)

  it("may close, resume and start coroutines", function()
    local gate, _, _, onCancel = Promise.withResolvers()
    local co, own, later
    local closed = 0
    local function close()
      return setmetatable({}, {__close = function() closed = closed + 1 end})
    end
    local call = Promise.spawn(function()
      co = coroutine.running()
      local _ <close> = close()
      return await(gate)
    end)
    own = coroutine.create(function()
      local _ <close> = close()
      await(Promise.withResolvers())
    end)
    coroutine.resume(own)
    onCancel(function()
      coroutine.resume(co, "not this")
      coroutine.close(co)
      coroutine.resume(own, "not this")
      coroutine.close(own)
      later = Promise.spawn(function() return await(1) end)
    end)
    assert.is_true(call:cancel "why")
    assert.equal(2, closed)
    assert.equal("pending", call:status())
    drain()
    assert.is_true(is_cancelled(call))
    assert.equal("why", select(2, call:status()).reason)
    assert.same({"fulfilled", 1}, {later:status()})
  end)

  it("may run out of a finalizer", function()
    apart [[
      local p, _, _, onCancel = Promise.withResolvers()
      local ran = 0
      onCancel(function() ran = ran + 1 end)
      due(function() p:cancel() end)
      litter(10)
      collect()
      assert(ran == 1)
      assert(Promise.isCancelled(select(2, p:status())))
    ]]
  end)

  it("is refused if it is not callable", function()
    local p, _, _, onCancel = Promise.withResolvers()
    assert.has_error(function() onCancel(1) end)
    assert.has_error(function() onCancel() end)
    assert.is_true(p:cancel())
  end)
end)

describe("cancelling between settling and the turn", function()
  local log, note, p, resolve, reject
  before_each(function()
    log, note = logger()
    p, resolve, reject = Promise.withResolvers()
  end)

  --- What waits for p, by name: a promise whose code must not run.
  local waiting = {
    next = function() return p:next(never) end,
    catch = function() return p:catch(never) end,
    both = function() return p:next(never, never) end,
    pass = function() return p:next() end,
    shield = function() return Promise.shield(p) end,
    follower = function()
      local f = Promise.new(function(r) r(p) end)
      drain()
      return f
    end,
    all = function() return Promise.all {p} end,
    any = function() return Promise.any {p} end,
    race = function() return Promise.race {p} end,
    allSettled = function() return Promise.allSettled {p} end,
    allKeyed = function() return Promise.allKeyed {a = p} end,
    await = function()
      return Promise.spawn(function()
        await(p)
        never()
      end)
    end,
  }

  --- Whether w has come to what it must: no failure is lost.
  local function check(w, how)
    if how == "resolve" then
      assert.is_true(is_cancelled(w))
    else
      assert.same({"rejected", "reason"}, {w:status()})
    end
  end

  for name, make in pairs(waiting) do
    for _, how in ipairs {"resolve", "reject"} do
      it(("skips its reaction: %s, %s"):format(name, how), function()
        local settle = how == "resolve" and function() resolve "value" end
          or function() reject "reason" end
        p:next(note "before", note "before")
        local w = make()
        w:next(note "ok", note "rejected")
        p:next(note "after", note "after")
        settle()
        assert.is_true(w:cancel())
        assert.is_false(w:cancel())
        assert.equal("pending", w:status())
        drain()
        check(w, how)
        table.sort(log)
        assert.same({"after", "before", "rejected"}, log)
        assert.not_equal("pending", p:status())
        assert.equal(0, drain())
      end)

      it(("skips it in the running batch: %s, %s"):format(name, how),
      function()
        local settle = how == "resolve" and function() resolve "value" end
          or function() reject "reason" end
        local w
        local function cancel()
          log[#log + 1] = "before"
          assert.is_true(w:cancel())
          assert.is_false(w:cancel())
          assert.equal("pending", w:status())
        end
        p:next(cancel, cancel)
        w = make()
        w:next(note "ok", note "rejected")
        p:next(note "after", note "after")
        settle()
        drain()
        check(w, how)
        table.sort(log)
        assert.same({"after", "before", "rejected"}, log)
        assert.equal(0, drain())
      end)

      it(("skips it alone in the queue: %s, %s"):format(name, how),
      function()
        if how == "resolve" then resolve "value" else reject "reason" end
        p:catch(pass)
        drain()
        if name == "follower" then return end
        local first = Promise.resolve():next(note "before")
        local w = make()
        w:next(note "ok", note "rejected")
        Promise.resolve():next(note "after")
        assert.is_true(w:cancel())
        assert.is_false(w:cancel())
        drain()
        check(w, how)
        table.sort(log)
        assert.same({"after", "before", "rejected"}, log)
        assert.equal("fulfilled", first:status())
        assert.equal(0, drain())
      end)

      it(("takes no tick more or less: %s, %s"):format(name, how),
      function()
        local function jobs(cancel)
          p, resolve, reject = Promise.withResolvers()
          local w = make()
          w:catch(pass)
          drain()
          if how == "resolve" then resolve "value" else reject "reason" end
          if cancel then w:cancel() end
          local n = 0
          while w:status() == "pending" do n = n + Promise.drain(1) end
          drain()
          return n
        end
        -- An aggregate that ends by its own elements' values takes as long.
        local plain = name ~= "next" and name ~= "catch" and name ~= "both"
          and name ~= "await"
        assert.equal(plain and jobs(false) or 1, jobs(true))
      end)
    end
  end

  it("runs a finally all the same", function()
    for _, settled in ipairs {true, false} do
      p, resolve = Promise.withResolvers()
      if settled then
        resolve "value"
        drain()
      end
      local ran = 0
      local w = p:finally(function(...)
        ran = ran + 1
        assert.equal(0, select("#", ...))
      end)
      resolve "value"
      assert.is_true(w:cancel())
      assert.is_false(w:cancel())
      assert.equal("pending", w:status())
      drain()
      assert.equal(1, ran)
      assert.is_true(is_cancelled(w))
    end
  end)

  it("runs a finally of the running batch all the same", function()
    local w
    local ran = 0
    p:next(function() w:cancel() end)
    w = p:finally(function() ran = ran + 1 end)
    resolve "value"
    drain()
    assert.equal(1, ran)
    assert.is_true(is_cancelled(w))
  end)

  it("goes on at once with those that wait for a finally that fails",
    function()
      local labels = {}
      local function add(label) labels[#labels + 1] = label end
      local source, settle = Promise.withResolvers()
      local failing
      source:next(function() failing:cancel "why" end)
      failing = source:finally(function()
        add "cleans up"
        error("no", 0)
      end)
      local first = failing:next(never)
      failing:catch(function(reason)
        add(reason)
        Promise.queueMicrotask(add, "later")
      end)
      failing:finally(function() add "third" end):catch(pass)
      first:catch(pass)
      settle "value"
      drain()
      assert.same({"cleans up", "no", "third", "later"}, labels)
      assert.same({"rejected", "no"}, {first:status()})
    end)

  it("leaves nothing of the batch of a finally that fails", function()
    local weak = setmetatable({}, {__mode = "k"})
    do
      local source, settle = Promise.withResolvers()
      weak[source] = true
      local failing
      source:next(function() failing:cancel "why" end)
      failing = source:finally(error)
      failing:catch(pass)
      settle "value"
    end
    drain()
    helper.collect()
    assert.is_nil(next(weak))
  end)

  it("reports a failure that nobody looks at, and only that", function()
    assert.same({"boom"}, reports(function()
      reject "boom"
      p:next(never):cancel()
      local q, resolveQ = Promise.withResolvers()
      resolveQ "value"
      q:next(never):cancel()
      Promise.withResolvers():cancel()
    end))
  end)

  it("leaves the rest to a later drain", function()
    p:next(note "first")
    local w = p:next(never)
    w:catch(note "cancelled")
    local x = Promise.spawn(function()
      local ok, why = pcall(pawait, p)
      log[#log + 1] = not ok and Promise.isCancelled(why) and "raised"
    end)
    p:next(note "last")
    resolve()
    assert.equal(1, Promise.drain(1))
    w:cancel()
    x:cancel()
    assert.equal(1, Promise.drain(1))
    assert.same({"first"}, log)
    assert.is_true(is_cancelled(w))
    assert.equal(1, Promise.drain(1))
    assert.same({"first", "raised"}, log)
    drain()
    assert.same({"first", "raised", "last", "cancelled"}, log)
  end)
end)

describe("cancelling from inside", function()
  it("its own handler settles once", function()
    local function thenable() return {next = never} end
    for _, finish in ipairs {pass, thenable} do
      for _, method in ipairs {"next", "catch"} do
        local source = method == "next" and Promise.resolve()
          or Promise.reject()
        local w, ran
        w = source[method](source, function()
          assert.is_true(w:cancel())
          assert.is_false(w:cancel())
          return finish "late"
        end)
        w:next(never, function() ran = true end)
        assert.same({}, reports(drain))
        assert.is_true(is_cancelled(w))
        assert.is_true(ran)
      end
    end
  end)

  it("its own handler takes the ticks of what that returns", function()
    local function ticks(cancel)
      local w
      w = Promise.resolve():next(function()
        if cancel then w:cancel() end
        return Promise.resolve "value"
      end)
      local n = 0
      while w:status() == "pending" do n = n + Promise.drain(1) end
      return n
    end
    assert.equal(ticks(false), ticks(true))
  end)

  it("its own finally handler rejects when that is done", function()
    local gate, open = Promise.withResolvers()
    for _, finish in ipairs {
      pass, function() return gate end, function() return {} end,
      function() return setmetatable({}, {}) end,
    } do
      local w
      w = Promise.resolve("value"):finally(function()
        assert.is_true(w:cancel())
        assert.is_false(w:cancel())
        return finish()
      end)
      drain()
      open()
      drain()
      assert.is_true(is_cancelled(w))
    end
    local w
    w = Promise.resolve():finally(function()
      w:cancel()
      error("late", 0)
    end)
    w:catch(pass)
    assert.same({"rejected", "late"}, {outcome(w)})
  end)

  it("its own finally handler costs no tick", function()
    local gate, open = Promise.withResolvers()
    local log, note = logger()
    local w
    w = Promise.resolve():finally(function()
      w:cancel()
      return gate
    end)
    w:catch(note "cancelled")
    Promise.resolve():finally(function() return gate end):next(note "not")
    drain()
    open()
    drain()
    assert.same({"cancelled", "not"}, log)
  end)

  it("a finally asks its result as it goes", function()
    local gate = Promise.withResolvers()
    local w = Promise.resolve("value"):finally(function() return gate end)
    drain()
    assert.is_true(w:cancel "why")
    assert.is_true(is_cancelled(gate))
    assert.is_false(w:cancel())
    assert.equal("pending", w:status())
    drain()
    assert.equal("why", select(2, w:status()).reason)

    local refused, _, fail = Promise.withResolvers()
    w = Promise.resolve("value"):finally(function() return refused end)
    w:catch(pass)
    drain()
    fail "reason"
    assert.is_true(w:cancel())
    assert.same({"rejected", "reason"}, {outcome(w)})
  end)

  it("a finally asks the promise of a thenable that it returned", function()
    local settle
    local w = Promise.resolve():finally(function()
      return {next = function(_, resolve) settle = resolve end}
    end)
    drain()
    assert.is_true(w:cancel "why")
    drain()
    assert.equal("why", select(2, w:status()).reason)
    settle "too late"
    assert.equal(0, drain())
  end)

  it("a finally whose handler has run takes its ticks", function()
    for jobs = 0, 2 do
      local log, note = logger()
      local w = Promise.resolve("value"):finally(pass)
      w:next(never, note "cancelled")
      Promise.drain(jobs)
      assert.is_true(w:cancel())
      assert.is_false(w:cancel())
      assert.equal("pending", w:status())
      assert.equal(4 - jobs, drain())
      assert.is_true(is_cancelled(w))
      assert.same({"cancelled"}, log)
    end
  end)

  it("a cancelled finally that waits for a promise settles with it",
  function()
    -- It must not be taken for one that is diverted still.
    local gate, open = Promise.withResolvers()
    local p = Promise.withResolvers()
    local w = p:finally(function() return gate end)
    assert.is_true(w:cancel())
    drain()
    assert.equal("pending", w:status())
    open()
    assert.equal(2, drain())
    assert.is_true(is_cancelled(w))
  end)

  it("the executor", function()
    local cancel
    local p = Promise.new(function(resolve, _, onCancel)
      onCancel(function() cancel = "hook" end)
      resolve "value"
    end)
    assert.is_false(p:cancel())
    assert.is_nil(cancel)
  end)

  it("a thenable's method settles once", function()
    for _, finish in ipairs {pass, error} do
      local p, ran
      p = Promise.resolve {next = function(_, resolve, reject)
        assert.is_true(p:cancel())
        resolve "late"
        reject "late"
        finish "late"
      end}
      p:catch(function() ran = true end)
      assert.same({}, reports(drain))
      assert.is_true(is_cancelled(p))
      assert.is_true(ran)
    end
  end)

  it("a thenable before and after its method has run", function()
    for jobs = 0, 1 do
      local log, note = logger()
      local resolve
      local p = Promise.resolve {next = function(_, r) resolve = r end}
      p:next(never, note "cancelled")
      Promise.drain(jobs)
      assert.is_true(p:cancel())
      assert.is_false(p:cancel())
      local jobs_left, rejections_left = core.left()
      assert.same({1, 0}, {jobs_left, rejections_left}) -- queued once
      if resolve then resolve "late" end
      drain()
      assert.is_true(is_cancelled(p))
      assert.equal(jobs == 1, resolve ~= nil)
      assert.same({"cancelled"}, log)
    end
  end)

  it("an iterator, a getter, a hook for reports, a microtask", function()
    local log, note = logger()
    local function made()
      local p = Promise.withResolvers()
      p:catch(note "x")
      return p
    end
    local p, q, r, s = made(), made(), made(), made()
    Promise.all(function() p:cancel() end)
    Promise.resolve(setmetatable({}, {__index = function() q:cancel() end}))
    local previous = Promise.onUnhandledRejection(function() r:cancel() end)
    Promise.reject()
    Promise.queueMicrotask(function() s:cancel() end)
    drain()
    Promise.onUnhandledRejection(previous)
    assert.same({"x", "x", "x", "x"}, log)
  end)

  it("a finalizer, while its reasons are made", function()
    apart [[
      for n = 0, 60 do
        local p, resolve = Promise.withResolvers()
        due(n % 2 == 0 and function() resolve "settled" end
          or function() p:cancel "finalizer" end)
        litter(n % 20)
        local did = p:cancel "caller"
        collect()
        local state, value = p:status()
        if did then
          assert(value.reason == "caller")
        elseif n % 2 == 0 then
          assert(state == "fulfilled" and value == "settled")
        else
          assert(value.reason == "finalizer")
        end
      end
    ]]
  end)

  it("a finalizer, while a hook is added", function()
    apart [[
      for n = 0, 100 do
        local p, resolve, _, onCancel = Promise.withResolvers()
        due(function() resolve "settled" end)
        litter(n % 10)
        onCancel(pass)
        onCancel(pass)
        collect()
        local state, value = p:status()
        assert(state == "fulfilled" and value == "settled")
      end
    ]]
  end)
end)

describe("a cancelled call", function()
  local gate, open
  before_each(function() gate, open = Promise.withResolvers() end)

  it("raises the cancellation once, at the await it waits in", function()
    local log = {}
    local call = Promise.spawn(function()
      log[#log + 1] = select(2, pcall(await, gate))
      log[#log + 1] = await(Promise.resolve "next")
      log[#log + 1] = await "value"
      return "end"
    end)
    assert.is_true(call:cancel "why")
    assert.is_false(call:cancel())
    assert.is_true(is_cancelled(gate))
    assert.equal("pending", call:status())
    assert.same({"fulfilled", "end"}, {outcome(call)})
    assert.equal(select(2, gate:status()), log[1])
    assert.same({"next", "value"}, {log[2], log[3]})
  end)

  it("raises where it awaits a plain value, or what has settled", function()
    for _, value in ipairs {false, 1, "text", Promise.resolve(1)} do
      for _, wait in ipairs {await, pawait} do
        local seen
        local call = Promise.spawn(function()
          seen = table.pack(pcall(wait, value))
          local ok, again = pcall(wait, value)
          return ok, again
        end)
        assert.is_true(call:cancel())
        drain()
        assert.is_false(seen[1])
        assert.is_true(Promise.isCancelled(seen[2]))
        local state, first = call:status()
        assert.same({"fulfilled", true}, {state, first})
      end
    end
  end)

  it("is not overtaken by what its await waited for", function()
    local shared = gate:next(pass) -- somebody else waits
    local seen
    local call = Promise.spawn(function()
      seen = {pcall(pawait, gate)}
      return pawait(gate)
    end)
    assert.is_true(call:cancel())
    assert.is_false(call:cancel())
    assert.equal("pending", gate:status())
    open "value"
    drain()
    assert.is_false(seen[1])
    assert.same({"fulfilled", true, "value"}, {call:status()})
    assert.same({"fulfilled", "value"}, {shared:status()})
  end)

  it("is raised at the next await if it runs", function()
    local call, seen
    local other = Promise.withResolvers()
    local shared = Promise.withResolvers()
    local keep = shared:next(pass)
    for i, value in ipairs {other, shared, 1, Promise.resolve(2)} do
      call = Promise.spawn(function()
        await(nil)
        assert.is_true(call:cancel(i))
        assert.is_false(call:cancel())
        seen = {pcall(pawait, value)}
        return pawait(3)
      end)
      drain()
      assert.is_false(seen[1])
      assert.equal(i, seen[2].reason)
      assert.same({"fulfilled", true, 3}, {call:status()})
    end
    assert.is_true(is_cancelled(other))
    assert.equal("pending", shared:status())
    assert.equal("pending", keep:status())
  end)

  it("waits for what it awaits next, and has asked, to end", function()
    local ended, call
    local inner = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        await(gate)
        ended = true
      end})
      await(Promise.withResolvers())
    end)
    call = Promise.spawn(function()
      await(nil)
      call:cancel "why"
      await(inner)
    end)
    call:finally(function() assert(ended) end):catch(pass)
    drain()
    assert.equal("pending", call:status())
    open()
    drain()
    assert.is_true(ended)
    assert.is_true(is_cancelled(call))
    assert.equal(select(2, inner:status()), select(2, call:status()))
  end)

  it("is not replaced by a second one from downstream", function()
    local seen = {}
    local call = Promise.spawn(function()
      seen[1] = select(2, pcall(pawait, gate)).reason
      seen[2] = pawait(1)
    end)
    call:cancel "first"
    local second = call:next(never)
    assert.is_true(second:cancel "second")
    assert.is_false(second:cancel "third")
    drain()
    assert.same({"first", true}, seen)
    assert.equal("fulfilled", call:status())
    -- The call was asked with the first one, and that's what it kept.
    assert.equal("first", select(2, second:status()).reason)
  end)

  it("takes the first of those that come before it is delivered", function()
    local reasons = {}
    local call
    call = Promise.spawn(function()
      await(nil)
      for i = 1, 3 do
        call:cancel(i)
        call:cancel(-i)
        reasons[i] = select(2, pcall(await, i)).reason
      end
    end)
    drain()
    assert.same({1, 2, 3}, reasons)
  end)

  it("leaves alone a call that is being cancelled already", function()
    local reason, call
    local other = Promise.spawn(function()
      reason = select(2, pcall(pawait, gate)).reason
    end)
    call = Promise.spawn(function()
      await(nil)
      call:cancel "of the caller"
      other:cancel "its own"
      await(other)
    end)
    drain()
    assert.equal("of the caller", select(2, call:status()).reason)
    assert.equal("its own", reason)
    assert.equal("fulfilled", other:status())
  end)

  it("is raised in its turn, not before", function()
    local log, note = logger()
    local call
    call = Promise.spawn(function()
      await(nil)
      Promise.queueMicrotask(note "queued before")
      call:cancel()
      Promise.queueMicrotask(note "queued too")
      pcall(pawait, gate)
      log[#log + 1] = "raised"
    end)
    drain()
    assert.same({"queued before", "queued too", "raised"}, log)
  end)

  it("handles the failure of what it awaits next", function()
    local call, seen
    assert.same({}, reports(function()
      call = Promise.spawn(function()
        await(nil)
        call:cancel "why"
        seen = {pcall(await, Promise.reject "handled")}
        await(1)
      end)
      drain()
    end))
    assert.same({false, "handled"}, seen)
    assert.equal("why", select(2, call:status()).reason)
  end)

  it("is forgotten when the body ends first", function()
    local call
    call = Promise.spawn(function()
      await(nil)
      call:cancel()
      error("mine", 0)
    end)
    call:catch(pass)
    assert.same({"rejected", "mine"}, {outcome(call)})

    call = Promise.spawn(function()
      await(nil)
      call:cancel()
      coroutine.yield()
    end)
    call:catch(pass)
    drain()
    assert.matches("can't yield", select(2, call:status()))

    call = Promise.spawn(function()
      await(nil)
      call:cancel()
      return 1, nil, 3
    end)
    assert.same({"fulfilled", 1, nil, 3}, {outcome(call)})
  end)

  it("that follows what it returned is asked as any", function()
    local call = Promise.spawn(function()
      pcall(await, Promise.withResolvers())
      return gate
    end)
    assert.is_true(call:cancel "of the body")
    drain()
    assert.equal("pending", call:status())
    assert.equal("pending", gate:status())
    assert.is_true(call:cancel "now it follows")
    assert.is_true(is_cancelled(gate))
    drain()
    assert.equal("now it follows", select(2, call:status()).reason)
  end)

  it("that was asked, and follows, is taken for a call that was", function()
    local call = Promise.spawn(function()
      pcall(await, Promise.withResolvers())
      pcall(await, Promise.withResolvers())
      return gate
    end)
    local w = call:next(never)
    assert.is_true(w:cancel "first")
    drain()
    assert.is_true(call:cancel "second")
    drain()
    open "value"
    drain()
    assert.same({"fulfilled", "value"}, {call:status()})
    assert.equal("second", select(2, w:status()).reason)
  end)

  --- Makers of what waits for p.
  local waiting = {
    next = function(p) return p:next(never) end,
    finally = function(p) return p:finally(pass) end,
    call = function(p) return Promise.spawn(function() await(p) end) end,
    all = function(p) return Promise.all {p} end,
    timeout = function(p) return p:timeout(1000) end,
  }
  for name, make in pairs(waiting) do
    it("that hangs is left by a second request, if others wait: " .. name,
      function()
        Promise.setLoop(virtual.new())
        local call = Promise.spawn(function()
          pcall(await, Promise.withResolvers())
          await(gate)
          return "value"
        end)
        local w = make(call)
        assert.is_true(w:cancel "first")
        drain()
        assert.equal("pending", w:status())
        local other = call:next(pass)
        assert.is_true(w:cancel "second")
        drain()
        assert.is_true(is_cancelled(w))
        assert.equal("pending", gate:status())
        open()
        assert.same({"fulfilled", "value"}, {outcome(other)})
        Promise.setLoop(nil)
      end)
  end

  it("from a scope inside yields to others", function()
    local reasons = {}
    local call = Promise.spawn(function()
      await(nil)
      core.interrupt(core.running(), "inside")
      reasons[1] = Promise.cancelled().reason
      await(gate)
    end)
    local w = Promise.all {call}
    w:catch(pass)
    helper.after_jobs(1, function()
      assert.is_true(call:cancel "outside")
      assert.is_false(call:cancel "again")
    end)
    drain()
    assert.equal("inside", reasons[1])
    assert.equal("outside", select(2, call:status()).reason)
  end)

  it("from a scope inside is raised if there is no other", function()
    local call = Promise.spawn(function()
      await(nil)
      core.interrupt(core.running(), "inside")
      await(1)
    end)
    drain()
    assert.equal("inside", select(2, call:status()).reason)
  end)

  it("from a scope inside takes no other's place", function()
    local call
    call = Promise.spawn(function()
      await(nil)
      assert(call:cancel "outside")
      core.interrupt(core.running(), "inside")
      assert(not call:cancel "again")
      await(1)
    end)
    drain()
    assert.equal("outside", select(2, call:status()).reason)
  end)

  it("from a scope inside is withdrawn", function()
    local c = core.cancellation "inside"
    local seen = {}
    local call = Promise.spawn(function()
      await(nil)
      local before = core.interrupt(core.running(), c)
      seen[1] = Promise.cancelled()
      core.withdraw(core.running(), c, before)
      seen[2] = Promise.cancelled() == nil
      return await "value"
    end)
    assert.same({"fulfilled", "value"}, {outcome(call)})
    assert.equal(c, seen[1])
    assert.is_true(seen[2])
  end)

  it("is not withdrawn if another one has come", function()
    local c = core.cancellation "inside"
    local call
    call = Promise.spawn(function()
      await(nil)
      local before = core.interrupt(core.running(), c)
      call:cancel "outside"
      core.withdraw(core.running(), c, before)
      assert(Promise.cancelled().reason == "outside")
      await "value"
    end)
    drain()
    assert.equal("outside", select(2, call:status()).reason)
  end)

  it("gives what it was asked with last to a finally", function()
    local call = Promise.spawn(function()
      pcall(await, Promise.withResolvers())
      pcall(await, gate)
      return "value"
    end)
    local w = call:finally(pass)
    assert.is_true(w:cancel "first")
    drain()
    assert.is_true(w:cancel "second")
    drain()
    assert.equal("second", select(2, w:status()).reason)
    assert.same({"fulfilled", "value"}, {call:status()})
  end)

  it("holds the latest reason only", function()
    local weak = setmetatable({}, {__mode = "k"})
    local call
    call = Promise.spawn(function()
      await(nil)
      for i = 1, 3 do
        do
          local reason = {i}
          weak[reason] = true
          call:cancel(reason)
        end
        pcall(await, nil)
      end
      return "value"
    end)
    drain()
    helper.collect()
    local reason = next(weak)
    assert.same({3}, reason)
    assert.is_nil(next(weak, reason))
    assert.same({"fulfilled", "value"}, {call:status()})
  end)

  it("that follows what it has returned is cancelled as any", function()
    local call = Promise.spawn(function()
      await(nil)
      return gate
    end)
    drain()
    call:cancel()
    assert.is_true(is_cancelled(gate))
    drain()
    assert.is_true(is_cancelled(call))
  end)

  it("before it has started is raised at its first await", function()
    local calls, log = {}, {}
    local function nest(n)
      calls[n] = Promise.spawn(function()
        if n < 100 then nest(n + 1) end
        log[n] = table.pack(pcall(pawait, gate))
        return n
      end)
    end
    nest(1)
    local last = #calls
    assert.is_true(last < 100)
    assert.is_true(calls[last]:cancel "early")
    assert.is_false(calls[last]:cancel())
    assert.equal("pending", calls[last]:status())
    drain()
    assert.equal(100, #calls)
    assert.is_false(log[last][1])
    assert.equal("early", log[last][2].reason)
    assert.same({"fulfilled", last}, {calls[last]:status()})
    assert.equal("pending", calls[last - 1]:status())
    open()
    drain()
    assert.is_true(log[last - 1][2])
  end)

  it("whose coroutine is closed rejects with the cancellation", function()
    local co
    local call = Promise.spawn(function()
      co = coroutine.running()
      await(gate)
    end)
    coroutine.close(co)
    assert.is_true(call:cancel "why")
    assert.equal("why", select(2, call:status()).reason)
    -- It waits for nothing any more.
    assert.equal("pending", gate:status())
    gate:next(never):cancel()
    assert.is_true(is_cancelled(gate))
    drain()

    call = Promise.spawn(function()
      co = coroutine.running()
      await(1)
    end)
    call:cancel "why"
    coroutine.close(co)
    drain()
    assert.equal("why", select(2, call:status()).reason)
  end)

  it("whose coroutine is closed is told to those that wait", function()
    local co
    local call = Promise.spawn(function()
      co = coroutine.running()
      await(gate)
    end)
    local seen
    local w = call:next(never, function(why) seen = why.reason end)
    coroutine.close(co)
    assert.is_true(w:next(never):cancel "why")
    drain()
    assert.is_nil(seen)
    assert.is_true(is_cancelled(call))
    assert.is_true(is_cancelled(w))
  end)

  it("keeps its request when another one fails that it closes", function()
    local co
    local other = Promise.spawn(function()
      co = coroutine.running()
      local _ <close> = setmetatable({}, {__close = function()
        error("no", 0)
      end})
      await(gate)
    end)
    other:catch(pass)
    local call
    call = Promise.spawn(function()
      await(nil)
      assert(call:cancel "why")
      assert.same({false, "no"}, {coroutine.close(co)})
      await(1)
      never()
    end)
    drain()
    assert.equal("why", select(2, call:status()).reason)
  end)

  it("may fail when it is closed where no call runs", function()
    local co
    local call = Promise.spawn(function()
      co = coroutine.running()
      local _ <close> = setmetatable({}, {__close = function()
        error("no", 0)
      end})
      await(gate)
    end)
    assert.same({false, "no"}, {coroutine.close(co)})
    open()
    drain()
    assert.same({"rejected", "the coroutine of the async call was closed"},
      {call:status()})
    call:catch(pass)
  end)

  it("goes on in its turn only, whoever resumes it", function()
    local co, seen
    local call = Promise.spawn(function()
      co = coroutine.running()
      seen = table.pack(pcall(pawait, gate))
    end)
    call:cancel()
    assert.is_true(coroutine.resume(co, "not this"))
    assert.is_nil(seen)
    drain()
    assert.equal(2, seen.n)
    assert.is_true(Promise.isCancelled(seen[2]))
  end)

  it("keeps errors in flight when it awaits in __close", function()
    local call = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        assert.is_false(pcall(pawait, gate))
      end})
      error "boom"
    end)
    call:cancel()
    call:catch(pass)
    drain()
    assert.matches("boom", select(2, call:status()))
    assert.matches("cancel_internals_spec", call:traceback())
  end)

  it("that can't be resumed leaves the next await alone", function()
    local call = Promise.spawn(function() return await(gate) end)
    call:catch(pass)
    call:cancel()
    local function recurse() string.gsub("x", "x", recurse) end
    local drained
    assert.is_false(xpcall(recurse, function()
      drained = drained or Promise.drain()
    end))
    assert.same({"rejected", "C stack overflow"}, {call:status()})
    local light = debug.upvalueid(recurse, 1) -- nearly looks like a promise
    local own
    coroutine.wrap(function() own = await(light) end)()
    local other = Promise.spawn(function() return await(light) end)
    drain()
    assert.equal(light, own)
    assert.same({"fulfilled", light}, {other:status()})
  end)

  it("that waits for a generator raises in that", function()
    local seen, after
    local generator = Promise.wrap(function()
      seen = table.pack(pcall(pawait, gate))
      after = await "after"
      coroutine.yield(1)
    end)
    local call = Promise.spawn(function()
      return generator(), await "outside"
    end)
    assert.is_true(call:cancel "why")
    assert.is_true(is_cancelled(gate))
    drain()
    assert.is_false(seen[1])
    assert.equal("why", seen[2].reason)
    assert.equal("after", after)
    assert.same({"fulfilled", 1, "outside"}, {call:status()})
  end)

  it("that waits for a generator leaves what others wait for", function()
    local keep = gate:next(pass)
    local seen
    local generator = Promise.wrap(function()
      seen = table.pack(pcall(await, gate))
      coroutine.yield(1)
    end)
    local call = Promise.spawn(function() return generator() end)
    assert.is_true(call:cancel "why")
    drain()
    assert.equal("why", seen[2].reason)
    assert.same({"fulfilled", 1}, {call:status()})
    assert.equal("pending", gate:status())
    open(2)
    assert.same({"fulfilled", 2}, {outcome(keep)})
  end)

  it("that waits for a generator's generator raises in that", function()
    local seen
    local inner = Promise.wrap(function()
      local _ <close> = setmetatable({}, {__close = function()
        local ok, why = pcall(await, " closes")
        seen = seen .. (ok and " closes" or " and " .. why.reason)
      end})
      local ok, why = pcall(await, 1)
      seen = not ok and why.reason
      pcall(await, gate)
    end)
    local outer = Promise.wrap(function() inner() end)
    local call = Promise.spawn(function() outer() end)
    call:cancel "why"
    drain()
    assert.equal("why", seen)
    assert.is_true(call:cancel "again")
    assert.is_true(is_cancelled(gate))
    drain()
    assert.equal("why closes", seen)
    assert.equal("fulfilled", call:status())
  end)

  it("that waits for a closed generator leaves others alone", function()
    local co
    local generator = Promise.wrap(function()
      co = coroutine.running()
      await(gate)
    end)
    local call = Promise.spawn(function()
      local ok, why = pcall(generator)
      return ok, why, await(1)
    end)
    call:cancel()
    coroutine.close(co)
    drain()
    local state, ok, why, one = call:status()
    assert.same({"fulfilled", false, 1}, {state, ok, one})
    assert.matches("dead coroutine", why)
  end)
end)

describe("an aggregate that is cancelled", function()
  local names = {"all", "allSettled", "any", "race"}

  --- By name, functions that combine the promises of a list.
  local combine = {}
  for _, name in ipairs(names) do
    combine[name] = Promise[name]
    combine[name .. " of an iterator"] = function(list)
      return Promise[name](ipairs(list))
    end
  end
  for _, name in ipairs {"allKeyed", "allSettledKeyed"} do
    combine[name] = function(list)
      local keyed = {}
      for i, p in ipairs(list) do keyed["k" .. i] = p end
      return Promise[name](keyed)
    end
  end

  for name, make in pairs(combine) do
    it("lets go of its elements: " .. name, function()
      for n = 1, 6 do
        local alone, shared, keep = {}, {}, {}
        local list = {}
        for i = 1, n do
          alone[i] = Promise.withResolvers()
          shared[i] = Promise.withResolvers()
          keep[i] = shared[i]:next(pass)
          list[#list + 1] = alone[i]
          list[#list + 1] = shared[i]
          list[#list + 1] = "plain"
          list[#list + 1] = alone[i] -- twice
        end
        local p = make(list)
        local seen
        p:catch(function(why) seen = why end)
        assert.is_true(p:cancel())
        assert.is_false(p:cancel())
        assert.equal("pending", p:status())
        for i = 1, n do
          assert.is_true(is_cancelled(alone[i]))
          assert.equal("pending", shared[i]:status())
        end
        assert.same({}, reports(drain))
        local why = select(2, p:status())
        assert.equal(why, seen)
        for i = 1, n do
          assert.same({"rejected", why}, {alone[i]:status()})
          keep[i]:cancel()
          assert.is_true(is_cancelled(shared[i]))
        end
        drain()
        assert.equal(0, (core.left()))
      end
    end)

    it("after some have settled: " .. name, function()
      local p, resolve = Promise.withResolvers()
      local first, settle = Promise.withResolvers()
      local all = make {first, p}
      settle(1)
      local did = all:cancel()
      assert.is_true(did)
      assert.is_true(is_cancelled(p))
      assert.same({"fulfilled", 1}, {first:status()})
      resolve(2)
      drain()
      assert.is_true(is_cancelled(all))
    end)
  end

  it("cancels them in their order", function()
    for _, name in ipairs(names) do
      local log, list = {}, {}
      for i = 1, 40 do
        list[i] = Promise.new(function(_, _, onCancel)
          onCancel(function() log[#log + 1] = i end)
        end)
      end
      Promise[name](ipairs(list)):cancel()
      for i = 1, 40 do assert.equal(i, log[i]) end
    end
  end)

  it("leaves alone what is no element but a result", function()
    local p = Promise.withResolvers()
    local q, resolve = p:next(pass), nil
    q:next(pass)
    local pending = Promise.withResolvers()
    local light = debug.upvalueid(function() return p end, 1)
    local all = Promise.all {Promise.fulfill(q), Promise.fulfill(p),
      Promise.fulfill(io.stdout), light, pending}
    drain()
    all:cancel()
    assert.is_true(is_cancelled(pending))
    assert.equal("pending", p:status())
    assert.equal("pending", q:status())
    assert.is_nil(resolve)
    q:cancel()
    assert.is_true(is_cancelled(p))
  end)

  it("that the debug library finds too early does no harm", function()
    local did
    local elements = setmetatable({}, {__len = function()
      for level = 2, 4 do
        local _, p = debug.getlocal(level, 1)
        if Promise.is(p) then did = p:cancel() or did end
      end
      return 0
    end})
    local all = Promise.all(elements)
    assert.is_true(did)
    assert.equal("rejected", all:status())
    all:catch(pass)
    drain()
  end)

  it("asks what it takes after an element has failed", function()
    local asked, all = {}, nil
    local function element(name, err)
      return Promise.spawn(function()
        local _, reason = pcall(await, (Promise.withResolvers()))
        asked[#asked + 1] = name
        error(err or reason, 0)
      end)
    end
    local last = Promise.withResolvers()
    local function find()
      for level = 2, 4 do
        local _, p = debug.getlocal(level, 1)
        if Promise.is(p) then all = p end
      end
    end
    local step = coroutine.wrap(function()
      coroutine.yield(element("first", "no"))
      all:cancel "why"
      drain()
      coroutine.yield(element "second")
      coroutine.yield(last)
    end)
    local made = Promise.all(function()
      find()
      return step()
    end)
    made:catch(pass)
    drain()
    assert.equal(made, all)
    assert.same({"first", "second"}, asked)
    assert.is_true(is_cancelled(last))
    -- not that of its own failure
    assert.is_nil(select(2, last:status()).reason)
    assert.same({"rejected", "no"}, {made:status()})
  end)

  it("tells of two failures unless they are one object", function()
    local object = setmetatable({}, {__tostring = function() return "x" end})
    for _, reason in ipairs {"text", 7, true, false, object} do
      local function failing()
        return Promise.spawn(function()
          pcall(await, (Promise.withResolvers()))
          error(reason, 0)
        end)
      end
      local all = Promise.all {failing(), failing()}
      all:catch(pass)
      all:cancel "why"
      local expected = reason ~= object and {reason} or {}
      assert.same(expected, reports(drain))
      assert.same({"rejected", reason}, {all:status()})
    end
    local function failing()
      return Promise.spawn(function()
        pcall(await, (Promise.withResolvers()))
        error()
      end)
    end
    local all = Promise.all {failing(), failing()}
    all:catch(pass)
    all:cancel "why"
    assert.equal(1, #helper.unhandled(drain))
    assert.same({"rejected", helper.thrown(nil)}, {all:status()})
  end)

  it("lets go of the losers only, when it settles", function()
    for _, name in ipairs {"race", "any"} do
      local loser, resolve = Promise.withResolvers()
      local p = Promise[name] {loser, Promise.resolve(1)}
      assert.same({"fulfilled", 1}, {outcome(p)})
      assert.equal("pending", loser:status())
      assert.is_false(p:cancel())
      resolve()
    end
  end)

  it("whose elements are aggregates goes on to theirs", function()
    local leaves = {}
    local function leaf()
      local p = Promise.withResolvers()
      leaves[#leaves + 1] = p
      return p
    end
    local tree = Promise.all {
      Promise.any {leaf(), Promise.race {leaf(), leaf()}},
      leaf():next(pass),
      Promise.allSettled {Promise.shield(leaf()), leaf()},
      Promise.allKeyed {a = leaf(), b = Promise.all {leaf()}},
    }
    tree:cancel()
    local still = {}
    for i, p in ipairs(leaves) do
      if not is_cancelled(p) then still[#still + 1] = i end
    end
    assert.same({5}, still)
  end)
end)

describe("what was cancelled", function()
  it("is not kept when its jobs have run", function()
    local weak = setmetatable({}, {__mode = "k"})
    for _ = 1, 100 do
      local p = Promise.withResolvers()
      local q = p:next(never)
      local f = p:finally(pass)
      local all = Promise.all {q, f, p:next(never)}
      weak[p], weak[q], weak[f], weak[all] = true, true, true, true
      all:cancel()
    end
    drain()
    helper.collect()
    assert.is_nil(next(weak))
    assert.equal(0, (select(2, core.left())))
  end)
end)

describe("a call that has ended by its cancellation", function()
  it("is not among the rejections that nobody was told of", function()
    local rejections
    local p = Promise.spawn(await, Promise.withResolvers())
    p:cancel()
    Promise.queueMicrotask(function()
      assert(is_cancelled(p))
      rejections = select(2, core.left())
    end)
    drain()
    assert.equal(0, rejections)
  end)
end)

describe("a reason", function()
  it("is the same for all that are cancelled with it", function()
    local p = Promise.withResolvers()
    local q = p:next(pass)
    local f = q:finally(pass)
    local r = Promise.all {f}
    r:cancel "why"
    drain()
    local why = select(2, r:status())
    assert.equal(why, select(2, f:status()))
    assert.equal(why, select(2, q:status()))
    assert.equal(why, select(2, p:status()))
    local s = Promise.withResolvers()
    s:cancel(why)
    assert.equal(why, select(2, s:status()))
    assert.is_false(Promise.isCancelled(setmetatable({}, {})))
    assert.is_false(Promise.isCancelled({}))
    assert.is_false(Promise.isCancelled(nil))
  end)

  it("is made anew by each call of cancel", function()
    local p, q = Promise.withResolvers(), Promise.withResolvers()
    p:cancel "why"
    q:cancel "why"
    assert.not_equal(select(2, p:status()), select(2, q:status()))
  end)

  it("of a block that an error leaves is not the error", function()
    local p
    pcall(function()
      local q <close> = Promise.withResolvers()
      p = q
      error "boom"
    end)
    assert.is_true(is_cancelled(p))
    assert.is_nil(select(2, p:status()).reason)
  end)

  it("is written as text", function()
    local function text(...)
      local p = Promise.withResolvers()
      p:cancel(...)
      return tostring(select(2, p:status()))
    end
    assert.equal("the promise was cancelled", text())
    assert.equal("the promise was cancelled: why", text "why")
    assert.equal("the promise was cancelled: false", text(false))
  end)

  it("is of no rejection that somebody should have handled", function()
    assert.same({}, reports(function()
      local p = Promise.withResolvers()
      p:next(never):finally(pass)
      p:cancel()
      local q = Promise.withResolvers()
      Promise.all({q:next(never)}):cancel()
      Promise.spawn(await, (Promise.withResolvers())):cancel()
    end))
  end)
end)

describe("the outcome that a scope takes from a promise", function()
  it("is known when it has settled", function()
    assert.same({1, nil, 3}, {core.unwrap(Promise.fulfill(1, nil, 3))})
    local p = Promise.reject "reason"
    p:catch(pass)
    assert.same({false, "reason"}, {pcall(core.unwrap, p)})
    -- in the place of an error that nobody has thrown
    local thrown = Promise.spawn(error, "thrown", 0)
    thrown:catch(pass)
    assert.same({false, "thrown"}, {pcall(core.unwrap, thrown, "other")})
    local pending = Promise.withResolvers()
    local ok, why = pcall(core.unwrap, pending)
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'unwrap' %(pending%)", why)
    drain()
  end)
end)

describe("cancelling and the loop", function()
  it("wakes it", function()
    local woken = 0
    core.setWake(function()
      woken = woken + 1
      return true
    end)
    local p = Promise.withResolvers()
    p:catch(pass)
    assert.equal(0, woken)
    p:cancel()
    assert.equal(1, woken)
    drain()
    core.setWake()
  end)

  it("of what has settled makes no garbage", function()
    local p = Promise.resolve(1)
    collectgarbage "stop"
    local before = collectgarbage "count"
    for _ = 1, 1000 do p:cancel() end
    local made = collectgarbage "count" - before
    collectgarbage "restart"
    assert.is_true(made < 1)
  end)
end)
