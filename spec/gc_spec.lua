--- What promises keep alive, and finalizers that use promises.

local Promise = require "cpromise"
local helper = require "spec.helper"

--- A table, and a function that says whether anything keeps it.
local function probe()
  local value = {}
  local weak = setmetatable({value}, {__mode = "v"})
  return value, function()
    helper.collect()
    return weak[1] ~= nil
  end
end

--- A handler, and a function that says whether anything keeps it.
local function probe_handler(result)
  local upvalue, alive = probe()
  return function() return upvalue and result end, alive
end

--- Whether what `make` returns (with everything else that it made) lives on
--- after it has returned. `make` may return more values, which are kept.
local function survives(make)
  local weak
  local function watch(value, ...)
    weak = setmetatable({value}, {__mode = "v"})
    return ...
  end
  local kept = table.pack(watch(make()))
  helper.collect()
  return weak[1] ~= nil, kept
end

local function pass(...) return ... end

describe("garbage", function()
  after_each(helper.drain)

  local cycles = {
    ["a promise that its own handler refers to"] = function()
      local p = Promise.new(pass)
      p:next(function() return p end)
      return p
    end,
    ["a promise that its own resolving functions refer to"] = function()
      local p, resolve, reject
      p, resolve, reject = Promise.withResolvers()
      p:next(function() return p, resolve, reject end)
      return p
    end,
    ["an executor that refers to its promise"] = function()
      local p
      p = Promise.new(function(resolve, reject)
        resolve {next = function() return p, resolve, reject end}
      end)
      Promise.drain()
      return p
    end,
    ["a promise fulfilled with a table that holds it"] = function()
      local value = {}
      value.promise = Promise.resolve(value)
      return value.promise
    end,
    ["a promise rejected with a table that holds it"] = function()
      local reason = {}
      reason.promise = Promise.reject(reason)
      reason.promise:catch(pass)
      Promise.drain()
      return reason.promise
    end,
    ["promises that wait for one another"] = function()
      local p, resolve_p = Promise.withResolvers()
      local q, resolve_q = Promise.withResolvers()
      resolve_p(q)
      resolve_q(p)
      Promise.drain()
      return p
    end,
    ["an aggregate of pending promises that hold it"] = function()
      local p = Promise.new(pass)
      local all = Promise.all {p, Promise.race {p}, Promise.any {p}}
      p:next(function() return all end)
      return all
    end,
    ["a keyed aggregate whose key holds it"] = function()
      local key = {}
      key.all = Promise.allKeyed {[key] = Promise.new(pass)}
      return key.all
    end,
    ["a thenable that keeps the resolving functions"] = function()
      local thenable = {}
      function thenable:next(...) self.functions = {...} end
      thenable.promise = Promise.resolve(thenable)
      Promise.drain()
      return thenable.promise
    end,
    ["an unreachable pending promise with reactions"] = function()
      local p = Promise.new(pass)
      p:next(pass):catch(pass):finally(pass)
      p:finally(pass)
      return p
    end,
    ["the reactions of an unreachable pending promise"] = function()
      return Promise.new(pass):next(pass):next(pass)
    end,
    ["calls that wait for each other"] = function()
      local p, resolve = Promise.withResolvers()
      resolve(Promise.spawn(Promise.await, p))
      Promise.drain()
      return p
    end,
    ["an unreachable crowd"] = function()
      local p = Promise.new(pass)
      for _ = 1, 20 do
        p:finally(pass)
        Promise.spawn(Promise.await, p)
        Promise.select {p, Promise.shield(p)}
      end
      return p
    end,
    ["a call that was asked, and never told"] = function()
      local p = Promise.new(pass)
      p:next(pass)
      local call = Promise.spawn(function()
        pcall(Promise.await, Promise.new(pass))
        Promise.await(Promise.new(function(resolve) p:next(resolve) end))
      end)
      call:next(pass):cancel()
      Promise.drain()
      call:cancel()
      Promise.drain()
      return call
    end,
    ["a promise that a coroutine refers to in its handler"] = function()
      local p = Promise.new(pass)
      local co = coroutine.create(function() coroutine.yield(p) end)
      coroutine.resume(co)
      p:next(function() return co end)
      return p
    end,
  }
  for name, make in pairs(cycles) do
    it("includes " .. name, function()
      assert.is_false((survives(make)))
    end)
  end

  for _, drains in ipairs {true, false} do
    it("includes what was cancelled with a promise" ..
      (drains and " by hooks that drain" or ""), function()
      local alive, kept = survives(function()
        local list, hooks = {}, 0
        for i = 1, 3 do
          local onCancel, _
          list[i], _, _, onCancel = Promise.withResolvers()
          onCancel(function()
            hooks = hooks + 1
            if drains then Promise.drain() end
          end)
        end
        Promise.all(list):cancel()
        assert(hooks == 3)
        Promise.drain()
        return list[2], list[1]
      end)
      assert.is_false(alive)
      assert.equal("rejected", kept[1]:status())
    end)
  end

  it("includes a coroutine that was closed where it waited", function()
    local alive, kept = survives(function()
      local told = false
      local p = Promise.new(function(_, _, on_cancel)
        on_cancel(function() told = true end)
      end)
      local co = coroutine.create(Promise.await)
      coroutine.resume(co, p)
      coroutine.close(co)
      -- One that is in no ring yet leaves: so the ring is emptied.
      Promise.new(function(resolve) resolve(p) end):cancel()
      assert(told)
      Promise.drain()
      return co, p
    end)
    assert.is_false(alive)
    assert.equal("rejected", kept[1]:status())
  end)

  it("includes the rest of a chain that has settled", function()
    local head = Promise.resolve(1)
    local derived = survives(function()
      local p = head:next(pass)
      p:next(pass):next(pass)
      Promise.drain()
      return p
    end)
    assert.is_false(derived)
    assert.equal("fulfilled", head:status())
  end)

  it("includes the start of a chain that has settled", function()
    local alive, kept = survives(function()
      local p = Promise.resolve(1)
      local last = p:next(pass):finally(pass):catch(pass)
      Promise.drain()
      return p, last
    end)
    assert.is_false(alive)
    assert.same({"fulfilled", 1}, {kept[1]:status()})
  end)

  it("includes the siblings of a promise that has settled", function()
    local p, resolve = Promise.withResolvers()
    local all, weak = {}, setmetatable({}, {__mode = "v"})
    for i = 1, 5 do
      all[i] = p:next(pass)
      weak[i] = all[i]
    end
    resolve(1)
    Promise.drain()
    local third = all[3]
    all = nil -- luacheck: ignore
    helper.collect()
    assert.equal(third, weak[3])
    for _, i in ipairs {1, 2, 4, 5} do assert.is_nil(weak[i]) end
  end)

  it("includes a promise whose batch was interrupted once", function()
    assert.is_false((survives(function()
      local p = Promise.resolve()
      for _ = 1, 3 do p:next(pass) end
      Promise.drain(1)
      Promise.drain()
      return p
    end)))
    assert.is_false((survives(function()
      local p = Promise.resolve()
      p:next(pass)
      local last = p:next(pass)
      Promise.drain(1)
      Promise.drain()
      return last
    end)))
  end)

  it("includes the promise that another one has followed", function()
    local alive, kept = survives(function()
      local inner = Promise.resolve(1)
      local outer = Promise.new(function(resolve) resolve(inner) end)
      Promise.drain()
      return inner, outer
    end)
    assert.is_false(alive)
    assert.same({"fulfilled", 1}, {kept[1]:status()})
  end)

  it("excludes what a pending promise will be settled from", function()
    local resolve
    local alive, kept = survives(function()
      local p
      p, resolve = Promise.withResolvers()
      return p, p:next(pass):next(pass)
    end)
    assert.is_true(alive)
    resolve(1)
    assert.same({"fulfilled", 1}, {helper.outcome(kept[1])})
  end)

  it("excludes the handlers of a promise that can still settle", function()
    local handler, alive = probe_handler(1)
    local p, resolve = Promise.withResolvers()
    local derived = p:next(handler)
    p, handler = nil, nil -- luacheck: ignore
    assert.is_true(alive())
    resolve()
    assert.same({"fulfilled", 1}, {helper.outcome(derived)})
  end)

  it("excludes jobs that wait", function()
    local ran = {}
    do
      local function job(i)
        return function() ran[#ran + 1] = i end
      end
      Promise.queueMicrotask(job(1))
      Promise.resolve():next(job(2)):next(job(4))
      Promise.all {1}:next(job(5))
      Promise.resolve({next = function(_, resolve) resolve(7) end})
        :next(job(3))
    end
    helper.collect()
    Promise.drain()
    table.sort(ran)
    assert.same({1, 2, 3, 4, 5}, ran)
  end)

  it("excludes what is left of a batch that was interrupted", function()
    local ran = {}
    do
      local p, resolve = Promise.withResolvers()
      for i = 1, 5 do p:next(function() ran[#ran + 1] = i end) end
      resolve()
    end
    for _ = 1, 5 do
      assert.equal(1, Promise.drain(1))
      helper.collect()
    end
    assert.same({1, 2, 3, 4, 5}, ran)
  end)

  it("includes a batch that was interrupted, when it has run", function()
    local weak = setmetatable({}, {__mode = "k"})
    do
      local p, resolve = Promise.withResolvers()
      weak[p] = true
      for _ = 1, 2 do weak[p:next(pass)] = true end
      resolve()
    end
    Promise.drain(1)
    Promise.drain()
    helper.collect()
    assert.is_nil(next(weak))
  end)

  it("excludes rejections that nobody has reported", function()
    local seen = helper.unhandled(function()
      Promise.reject "lost"
      helper.collect()
    end)
    assert.equal("lost", seen[1].reason)
  end)
end)

describe("a promise that has settled", function()
  --- A promise that uses the handler `f`, for each way in which one ends.
  local ways = {
    next = function(f) return Promise.resolve():next(f) end,
    ["next, both"] = function(f) return Promise.resolve():next(f, pass) end,
    ["next, unused"] = function(f) return Promise.resolve():next(pass, f) end,
    catch = function(f) return Promise.reject():catch(f) end,
    ["catch, unused"] = function(f) return Promise.resolve():catch(f) end,
    finally = function(f) return Promise.resolve():finally(f) end,
    ["finally, raising"] = function(f)
      local p = Promise.resolve():finally(function() error(f()) end)
      p:catch(pass)
      return p
    end,
    ["a thenable's"] = function(f)
      return Promise.resolve():next(function()
        return {next = function(_, resolve) resolve(f()) end}
      end)
    end,
    new = function(f)
      return Promise.new(function(resolve) resolve(f()) end)
    end,
    try = function(f) return Promise.try(f) end,
  }
  for name, make in pairs(ways) do
    it("drops the handler: " .. name, function()
      local handler, alive = probe_handler(1)
      local p = make(handler)
      handler = nil -- luacheck: ignore
      Promise.drain()
      assert.not_equal("pending", p:status())
      assert.is_false(alive())
    end)
  end

  it("drops the handler once it has promised another promise", function()
    for _, name in ipairs {"next", "finally"} do
      local never = Promise.new(pass)
      local handler, alive = probe_handler(never)
      local p = Promise.resolve()
      local derived = p[name](p, handler)
      handler = nil -- luacheck: ignore
      Promise.drain()
      assert.equal("pending", derived:status())
      assert.is_false(alive())
    end
  end)

  it("drops the thenable that it has followed", function()
    local thenable, alive = probe()
    function thenable:next(resolve) resolve(self and 1) end
    local p = Promise.resolve(thenable)
    Promise.drain()
    thenable = nil -- luacheck: ignore
    assert.same({"fulfilled", 1}, {p:status()})
    assert.is_false(alive())
  end)

  it("drops a thenable whose method was called, settled or not", function()
    local thenable, alive = probe()
    function thenable.next() end
    local p = Promise.resolve(thenable)
    thenable = nil -- luacheck: ignore
    assert.is_true(alive())
    Promise.drain()
    assert.equal("pending", p:status())
    assert.is_false(alive())
  end)

  it("keeps its values as long as it lives", function()
    local a, a_alive = probe()
    local b, b_alive = probe()
    local p = Promise.resolve(1, a, b)
    a, b = nil, nil -- luacheck: ignore
    assert.is_true(a_alive() and b_alive())
    assert.equal("fulfilled", p:status())
    p = nil -- luacheck: ignore
    assert.is_false(a_alive() or b_alive())
  end)

  it("is kept by its resolving functions without its reactions", function()
    local handler, alive = probe_handler(1)
    local p, resolve, reject = Promise.withResolvers()
    local derived = setmetatable({p:next(handler)}, {__mode = "v"})
    p, handler = nil, nil -- luacheck: ignore
    resolve(1)
    Promise.drain()
    assert.is_false(alive())
    assert.is_nil(derived[1])
    resolve(2)
    reject(3)
  end)

  it("does not keep the jobs that have run", function()
    local f, f_alive = probe_handler(1)
    local argument, argument_alive = probe()
    Promise.queueMicrotask(f, argument, nil)
    f, argument = nil, nil -- luacheck: ignore
    assert.is_true(f_alive() and argument_alive())
    Promise.drain()
    assert.is_false(f_alive() or argument_alive())
  end)
end)

describe("an aggregate that has settled", function()
  --- Ends early, while the second element is pending.
  local ends = {
    all = function(value, p)
      return Promise.all {value, p, Promise.reject(1)}
    end,
    any = function(value, p)
      return Promise.any {Promise.reject(value), p, 1}
    end,
    allKeyed = function(value, p)
      local q, _, reject = Promise.withResolvers()
      local all = Promise.allKeyed {a = value, b = p, c = q}
      Promise.drain()
      reject(1)
      return all
    end,
  }
  for name, make in pairs(ends) do
    it("drops the values of its elements: " .. name, function()
      local value, alive = probe()
      local pending = Promise.new(pass)
      local aggregate = make(value, pending)
      value = nil -- luacheck: ignore
      aggregate:catch(pass)
      Promise.drain()
      assert.not_equal("pending", aggregate:status())
      assert.is_false(alive())
      assert.equal("pending", pending:status())
    end)
  end

  it("keeps its results and no element", function()
    local value = {}
    local elements = setmetatable({}, {__mode = "v"})
    local p = Promise.all(coroutine.wrap(function()
      for i = 1, 10 do
        elements[i] = Promise.resolve(value)
        coroutine.yield(i, elements[i])
      end
    end))
    local _, results = helper.outcome(p)
    helper.collect()
    assert.is_nil(next(elements))
    assert.equal(10, results.n)
    assert.equal(value, results[10])
  end)
end)

describe("a promise that stays pending", function()
  --- Kilobytes that `n` calls of `use` leave behind.
  local function growth(n, use)
    for _ = 1, 100 do use() end
    Promise.drain()
    helper.collect()
    local before = collectgarbage "count"
    for i = 1, n do
      use()
      if i % 100 == 0 then Promise.drain() end
    end
    Promise.drain()
    helper.collect()
    return collectgarbage "count" - before
  end

  local uses = {
    ["race"] = function(p) return Promise.race {p, 1} end,
    ["any"] = function(p) return Promise.any {p, 1} end,
    ["all that fails"] = function(p)
      return Promise.all {p, Promise.reject(1)}:catch(pass)
    end,
    ["allKeyed that fails"] = function(p)
      return Promise.allKeyed {p, Promise.reject(1)}:catch(pass)
    end,
    ["race that nobody keeps"] = function(p)
      return Promise.race(ipairs {p, p, 1})
    end,
    ["select"] = function(p) return Promise.select {a = p, b = 1} end,
    ["select that is cancelled"] = function(p)
      return Promise.select {a = p, b = p}:cancel()
    end,
    ["next that is cancelled"] = function(p) return p:next(pass):cancel() end,
    ["finally that is cancelled"] = function(p)
      return p:finally(pass):cancel()
    end,
    ["call that is cancelled"] = function(p)
      return Promise.spawn(Promise.await, p):cancel()
    end,
    ["call that is closed"] = function(p)
      local co
      Promise.spawn(function()
        co = coroutine.running()
        Promise.await(p)
      end):catch(pass)
      coroutine.close(co)
    end,
    ["coroutine that is closed"] = function(p)
      local co = coroutine.create(Promise.await)
      coroutine.resume(co, p)
      coroutine.close(co)
    end,
    ["adoption that is cancelled"] = function(p)
      return Promise.new(function(resolve) resolve(p) end):cancel()
    end,
  }
  for name, use in pairs(uses) do
    it("forgets what waits for it no more: " .. name, function()
      local n = helper.scaled(name == "race" and 1000000 or 100000)
      local pending, resolve = Promise.withResolvers()
      -- A live reaction, ahead of all the dead ones.
      local ran = 0
      pending:next(function() ran = ran + 1 end)
      local kilobytes = growth(n, function() use(pending) end)
      assert.is_true(kilobytes < 100)
      resolve()
      Promise.drain()
      assert.equal(1, ran)
    end)
  end

  it("keeps the live ones among the dead in order", function()
    local pending, resolve = Promise.withResolvers()
    local seen, expected = {}, {}
    local function note(i)
      return function() seen[#seen + 1] = i end
    end
    -- What settles by the pending promise after 1, 2, and 3 ticks.
    local last = {}
    for i = 1, 300 do
      if i % 7 == 0 then
        expected[#expected + 1] = i
        pending:next(note(i))
      elseif i % 11 == 0 then
        expected[#expected + 1] = i
        Promise.race {pending}:next(note(i))
        last[#last + 1] = table.remove(expected)
      else
        Promise.race {pending, 1}
        if i % 3 == 0 then Promise.drain() end
      end
    end
    table.move(last, 1, #last, #expected + 1, expected)
    resolve()
    Promise.drain()
    assert.same(expected, seen)
  end)

  it("keeps all reactions that live, however many", function()
    local n = helper.scaled(100000)
    local pending, resolve = Promise.withResolvers()
    local races, ran = {}, 0
    for i = 1, n do races[i] = Promise.race {pending} end
    for i = 1, n do races[i]:next(function() ran = ran + 1 end) end
    resolve()
    Promise.drain()
    assert.equal(n, ran)
  end)
end)

describe("a finalizer", function()
  --- Make garbage whose finalizer calls `f`.
  local function plant(f)
    setmetatable({}, {__gc = f})
  end

  --- Run `block` with finalizers that call `f` running all through it.
  local function amid(f, block)
    local planting = true
    local function again()
      if planting then
        plant(again)
        f()
      end
    end
    for _ = 1, 4 do plant(again) end
    local ok, err = pcall(block)
    planting = false
    helper.collect()
    if not ok then error(err, 0) end
  end

  local modes = {
    incremental = function() helper.incremental(1, 1000, 1) end,
    generational = function() collectgarbage("generational", 1, 100) end,
  }

  --- Every function of the core at once; returns what came of it all.
  local function everything()
    local log = {}
    local function note(label)
      return function(...)
        log[#log + 1] = label .. select("#", ...)
        return ...
      end
    end
    local function thenable()
      return setmetatable({}, {__index = function(_, key)
        return key == "next" and function(_, resolve) resolve({}, {}) end
      end})
    end
    local p, resolve = Promise.withResolvers()
    p:next(note "next"):catch(note "never"):finally(note "finally")
    Promise.new(function(_, reject) reject {} end):catch(note "catch")
    Promise.try(function() return {}, {} end):next(note "try")
    Promise.fulfill({}, {}, {}):next(note "fulfill", note "never")
    Promise.reject({}):next(note "never", note "reject")
    Promise.resolve(thenable()):next(note "thenable")
    Promise.resolve():next(thenable):next(note "result")
    Promise.resolve():finally(thenable):next(note "wait")
    for _, name in ipairs {"all", "allSettled", "any", "race"} do
      local function elements()
        return {{}, Promise.resolve({}), thenable(), Promise.resolve(p)}
      end
      Promise[name](elements()):next(note(name))
      Promise[name](ipairs(elements())):next(note(name))
    end
    Promise.allKeyed({a = {}, b = p, c = thenable()}):next(note "keyed")
    Promise.allSettledKeyed({a = {}, b = p}):next(note "settled")
    Promise.queueMicrotask(note "microtask", {}, {})
    resolve({}, {})
    Promise.drain()
    table.sort(log)
    return table.concat(log, " ")
  end

  local actions = {
    ["settles promises"] = function()
      local _, resolve = Promise.withResolvers()
      resolve({}, {})
      Promise.resolve {}
      Promise.reject({}):catch(pass)
    end,
    ["registers handlers"] = function()
      Promise.resolve({}):next(pass):finally(pass)
    end,
    ["drains the queue"] = function() Promise.drain() end,
    ["queues jobs"] = function() Promise.queueMicrotask(pass, {}) end,
    ["combines promises"] = function()
      Promise.all {Promise.race {1}, Promise.any {2}}
    end,
    ["raises an error"] = error,
  }

  -- One that drains may do so before a rejection has got its handler.
  local previous
  before_each(function()
    previous = Promise.onUnhandledRejection(pass)
    -- Lua 5.4.4 postpones what it was to collect when the mode changes.
    helper.collect()
  end)

  after_each(function()
    collectgarbage("generational", 20, 100)
    helper.incremental(200, 100, 13)
    helper.drain()
    Promise.onUnhandledRejection(previous)
  end)

  for mode, set in pairs(modes) do
    for name, action in pairs(actions) do
      it(("%s amid all functions (%s)"):format(name, mode), function()
        local expected = everything()
        local count, rounds = 0, 0
        set()
        amid(function()
          count = count + 1
          action()
        end, function()
          repeat
            assert.equal(expected, everything())
            rounds = rounds + 1
          until count > 1000 or rounds == 1000
        end)
        assert.is_true(count > 100)
      end)
    end
  end

  --- Calls of a function, each at a moment when a finalizer is due.
  local function due(f)
    collectgarbage "stop"
    plant(f)
    helper.incremental(1, 1000, 1)
    collectgarbage "restart"
  end

  it("settles the promise that a handler is being added to", function()
    local methods = {"next", "catch", "finally"}
    for i = 1, 300 do
      local p, resolve = Promise.withResolvers()
      local ran = 0
      local name = methods[i % 3 + 1]
      due(function() resolve(1) end)
      local derived = p[name](p, function() ran = ran + 1 end)
      helper.collect()
      Promise.drain()
      assert.equal("fulfilled", derived:status())
      assert.equal(name == "catch" and 0 or 1, ran)
    end
  end)

  it("settles the elements that are being combined", function()
    for _ = 1, 100 do
      local p, resolve = Promise.withResolvers()
      due(function() resolve(1); Promise.drain() end)
      local all = Promise.all {p, 2, p, {}, Promise.resolve(p)}
      local race = Promise.race {p, Promise.new(pass)}
      helper.collect()
      local _, results = helper.outcome(all)
      assert.same({1, 2, 1, {}, 1, n = 5}, results)
      assert.same({"fulfilled", 1}, {race:status()})
    end
  end)

  it("settles promises when no other code runs", function()
    local p, resolve = Promise.withResolvers()
    local ran = 0
    p:next(function() ran = ran + 1 end)
    plant(function() resolve(1) end)
    helper.collect()
    assert.equal("fulfilled", p:status())
    assert.equal(0, ran)
    Promise.drain()
    assert.equal(1, ran)
  end)

  it("revives a promise and uses it", function()
    local log = {}
    local function make()
      local p, resolve = Promise.withResolvers()
      local derived = p:next(function(v) log[#log + 1] = v end)
      setmetatable({p, resolve, derived}, {__gc = function(t)
        t[2]("revived")
        t[1]:next(function(v) log[#log + 1] = v end)
        t[3]:finally(function() log[#log + 1] = "end" end)
      end})
    end
    make()
    helper.collect()
    Promise.drain()
    assert.same({"revived", "revived", "end"}, log)
  end)
end)
