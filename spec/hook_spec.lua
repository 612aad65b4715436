--- Hosts that divide time: debug hooks that yield from Lua code, or raise,
--- at every instruction.

local Promise = require "cpromise"
local helper = require "spec.helper"
local hook = require "support.hook"
local virtual = require "cpromise.loop.virtual"

local await, spawn = Promise.await, Promise.spawn

local function nop() end

-- Programs of several instructions; each returns a promise. What they note in
-- the log is the same however they are divided.
local programs = {
  ["an async call"] = function(log)
    return spawn(function(a, b)
      local sum = 0
      for i = a, b do sum = sum + i end
      log(sum)
      return sum, nil
    end, 1, 5)
  end,
  ["an async call that waits"] = function(log)
    return spawn(function()
      local v = await(Promise.delay(1, "late"))
      log(v)
      log(select(2, Promise.pawait(Promise.reject "no")))
      return await(3) + await(Promise.resolve(4))
    end)
  end,
  ["an async call that fails"] = function(log)
    return spawn(function()
      local _ <close> = setmetatable({}, {__close = function(_, why)
        await(1)
        log(why)
      end})
      log "failing"
      error("boom", 0)
    end)
  end,
  ["an async call that returns a promise"] = function(log)
    return spawn(function()
      log(1)
      return Promise.delay(1, "of another")
    end)
  end,
  ["a generator in an async call"] = function(log)
    return spawn(function()
      for i, v in Promise.wrap(function()
        for i = 1, 3 do coroutine.yield(i, await(i * 2)) end
      end) do
        log(i)
        log(v)
      end
      return "end"
    end)
  end,
  ["a generator in a generator"] = function(log)
    return spawn(function()
      local outer = Promise.wrap(function()
        for v in Promise.wrap(function()
          for i = 1, 2 do
            await(i)
            coroutine.yield(i)
          end
        end) do
          coroutine.yield(v * 10)
        end
      end)
      log(outer())
      log(outer())
      return outer()
    end)
  end,
  ["a generator on the main thread"] = function(log)
    local sum = 0
    for v in Promise.wrap(function()
      for i = 1, 3 do coroutine.yield(i) end
    end) do
      sum = sum + v
    end
    log(sum)
    return Promise.resolve()
  end,
  ["a scope"] = function(log)
    return Promise.scope(function(scope)
      for i = 1, 2 do
        scope:spawn(function()
          await(Promise.delay(i))
          log(i)
        end)
      end
      return "all"
    end)
  end,
  ["a map"] = function(log)
    return Promise.map({1, 2, 3}, function(v)
      await(Promise.delay(v))
      log(v)
      return v
    end, {concurrency = 2}):next(table.unpack)
  end,
  ["a coroutine that waits"] = function(log)
    local p, resolve = Promise.withResolvers()
    local co = coroutine.create(function()
      local v = await(Promise.delay(1, "late"))
      for i = 1, 3 do log(i) end
      resolve(v, await(2))
    end)
    -- the host that made it resumes it till it waits
    repeat
      hook.yields()
      coroutine.resume(co)
    until hook.yields() == 0
    return p
  end,
  ["a coroutine with a generator"] = function(log)
    local p, resolve = Promise.withResolvers()
    local co = coroutine.create(function()
      await(1)
      for v in Promise.wrap(function()
        for i = 1, 2 do coroutine.yield(await(i)) end
      end) do
        log(v)
      end
      resolve "end"
    end)
    repeat
      hook.yields()
      coroutine.resume(co)
    until hook.yields() == 0
    return p
  end,
}

describe("a hook that yields", function()
  local loop

  before_each(function()
    helper.drain()
    loop = virtual.new()
    Promise.setLoop(loop)
    hook.yields()
  end)

  after_each(function()
    hook.off()
    helper.drain()
    Promise.setLoop(nil)
  end)

  -- What a program has come to, with a hook or without.
  local function run(program, every)
    local log = {}
    if every then hook.every(every) end
    local p = program(function(v) log[#log + 1] = tostring(v) end)
    hook.off()
    p:catch(nop)
    loop.advance(100)
    return table.pack(table.concat(log, " "), p:status())
  end

  for name, program in pairs(programs) do
    it("changes nothing for " .. name, function()
      local expected = run(program)
      assert.not_equal("pending", expected[2])
      for every = 1, 12 do
        hook.yields()
        assert.same(expected, run(program, every))
      end
    end)
  end

  it("does yield, at every instruction", function()
    hook.every(1)
    local p = spawn(function()
      local sum = 0
      for i = 1, 10 do sum = sum + i end
      return sum
    end)
    hook.off()
    assert.equal("pending", p:status())
    assert.same({"fulfilled", 55}, {helper.outcome(p)})
    assert.is_true(hook.yields() > 20)
  end)

  it("lets other jobs run between two slices", function()
    local log = {}
    hook.every(5)
    local function body(name)
      for _ = 1, 3 do table.insert(log, name) end
    end
    spawn(body, "a")
    spawn(body, "b")
    hook.off()
    helper.drain()
    assert.equal(6, #log)
    assert.not_equal("aaabbb", table.concat(log))
  end)

  it("gives way to a limit of the drain", function()
    hook.every(1)
    local co
    spawn(function()
      co = coroutine.running()
      repeat until false
    end):catch(nop)
    hook.off()
    assert.equal(100, Promise.drain(100))
    coroutine.close(co)
  end)

  for name, yield in pairs {
    ["nothing"] = function() coroutine.yield() end,
    ["values"] = function() coroutine.yield(1, 2) end,
  } do
    it("is told from a body that yields " .. name, function()
      hook.every(1)
      local p = spawn(yield)
      hook.off()
      p:catch(nop)
      helper.drain()
      local state, reason = p:status()
      assert.equal("rejected", state)
      assert.matches("an async function can't yield", reason, 1, true)
    end)
  end

  it("does not take a generator's own yield of nothing away", function()
    local n = 0
    local p = spawn(function()
      local step = Promise.wrap(function()
        coroutine.yield()
        coroutine.yield()
        return "end"
      end)
      repeat
        n = n + 1
      until step() == "end"
    end)
    helper.drain()
    assert.equal("fulfilled", (p:status()))
    assert.equal(3, n)
  end)

  it("lets a request to end come in at the next await", function()
    hook.every(1)
    local cleaned = false
    local p = spawn(function()
      local _ <close> = setmetatable({}, {__close = function()
        cleaned = true
      end})
      for _ = 1, 10 do nop() end
      await(Promise.withResolvers())
    end)
    hook.off()
    assert.is_true(p:cancel "enough")
    p:catch(nop)
    helper.drain()
    local state, reason = p:status()
    assert.equal("rejected", state)
    assert.is_true(Promise.isCancelled(reason))
    assert.is_true(cleaned)
  end)

  it("lets a request go through a generator that it has paused", function()
    hook.every(1)
    local reason
    local p = spawn(function()
      local step = Promise.wrap(function()
        local a, b, c = 1, 2, 3
        for _ = 1, 10 do nop() end
        assert(a + b + c == 6)
        local _
        _, reason = pcall(await, (Promise.withResolvers()))
        coroutine.yield(a, b, c)
      end)
      return step()
    end)
    Promise.drain(20)
    p:cancel()
    hook.off()
    helper.drain()
    assert.is_true(Promise.isCancelled(reason))
    assert.same({"fulfilled", 1, 2, 3}, {p:status()})
  end)

  it("lets others close the coroutine that it has paused", function()
    local running, co = coroutine.running, nil
    hook.every(1)
    local p = spawn(function()
      co = running()
      for _ = 1, 100 do nop() end
    end)
    Promise.drain(50)
    hook.off()
    assert.is_true(coroutine.close(co))
    p:catch(nop)
    assert.same({"rejected", "the coroutine of the async call was closed"},
      {helper.outcome(p)})
  end)

  it("is no reason to go on for who awaits again meanwhile", function()
    local p, resolve = Promise.withResolvers()
    local got
    hook.every(1)
    local co = coroutine.create(function()
      await(1)
      for _ = 1, 3 do nop() end
      got = await(p)
    end)
    repeat
      hook.yields()
      coroutine.resume(co)
    until hook.yields() == 0
    Promise.drain(2) -- goes on, and is paused
    for _ = 1, 100 do coroutine.resume(co) end -- by the host, up to the await
    hook.off()
    helper.drain()
    assert.is_nil(got)
    resolve "value"
    helper.drain()
    assert.equal("value", got)
  end)
end)

describe("a hook that raises", function()
  local loop

  before_each(function()
    helper.drain()
    loop = virtual.new()
    Promise.setLoop(loop)
  end)

  after_each(function()
    debug.sethook()
    helper.drain()
    Promise.setLoop(nil)
  end)

  -- From here on the n-th instruction of the running coroutine raises, once.
  local function raise_after(n)
    debug.sethook(function()
      debug.sethook()
      error("time is over", 0)
    end, "", n)
  end

  local function disarm() debug.sethook() end

  -- By name, what calls `arm` in some code, after which it raises.
  local places = {
    ["a handler"] = function(arm, work)
      Promise.resolve():next(function() arm() work() disarm() end):catch(nop)
    end,
    ["an executor"] = function(arm, work)
      Promise.new(function() arm() work() disarm() end):catch(nop)
    end,
    ["an async call"] = function(arm, work)
      spawn(function() arm() work() await(1) work() end):catch(nop)
    end,
    ["an async call that waited"] = function(arm, work)
      spawn(function() await(1) arm() work() await(2) end):catch(nop)
    end,
    ["a generator"] = function(arm, work)
      spawn(function()
        for _ in Promise.wrap(function()
          arm()
          work()
          coroutine.yield(await(1))
        end) do work() end
      end):catch(nop)
    end,
    ["a getter"] = function(arm, work)
      Promise.resolve(setmetatable({}, {__index = function()
        arm()
        work()
        disarm()
      end})):catch(nop)
    end,
    ["an iterator"] = function(arm, work)
      Promise.all(function() arm() work() disarm() end):catch(nop)
    end,
    ["a task of a scope"] = function(arm, work)
      Promise.scope(function(scope)
        scope:spawn(function() arm() work() await(1) work() end)
      end):catch(nop)
    end,
    ["a scope's body"] = function(arm, work)
      Promise.scope(function(scope)
        arm()
        scope:spawn(function() await(Promise.delay(1)) end)
        work()
      end):catch(nop)
    end,
    ["a map"] = function(arm, work)
      Promise.map({1, 2}, function() arm() work() await(1) end):catch(nop)
    end,
  }

  for name, place in pairs(places) do
    it("leaves all in order, in " .. name, function()
      local function work()
        local sum = 0
        for i = 1, 3 do sum = sum + i end
        return sum
      end
      helper.unhandled(function()
        for n = 1, 60 do
          place(function() raise_after(n) end, work)
          loop.advance(10)
          debug.sethook()
          local ran = false
          Promise.queueMicrotask(function() ran = true end)
          assert(Promise.drain() == 1 and ran, "jobs run no more")
          local p = Promise.delay(1, "late")
          assert(await(p) == "late")
        end
      end)
    end)
  end
end)
