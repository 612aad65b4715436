--- Code that closes the coroutine that it runs in, which Lua can from 5.5 on:
--- whatever function of the library has called it never goes on. Nothing but
--- that may end.

local Promise = require "cpromise"
local core = require "cpromise.core"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

-- Whether a coroutine can close itself.
local can_close = coroutine.resume(coroutine.create(function()
  coroutine.close(coroutine.running())
end))

local function close()
  coroutine.close(coroutine.running())
end

local function nop() end

-- Something that runs `close` when its 'next' is looked up.
local function getter()
  return setmetatable({}, {__index = close})
end

-- By name, what runs `close` while jobs run. Each returns the promise that
-- can't have its value, if there is one.
local jobs = {
  ["a handler"] = function() return Promise.resolve():next(close) end,
  ["a handler of rejections"] = function()
    return Promise.reject():catch(close)
  end,
  ["one of two handlers"] = function()
    return Promise.resolve():next(close, nop)
  end,
  ["a handler of 'finally'"] = function()
    return Promise.resolve():finally(close)
  end,
  ["a handler of 'finally' in a crowd"] = function()
    local p, resolve = Promise.withResolvers()
    for _ = 1, 10 do p:next(nop) end
    local q = p:finally(close)
    resolve()
    return q
  end,
  ["what 'finally' looks at"] = function()
    return Promise.resolve():finally(getter)
  end,
  ["the method of a thenable"] = function()
    return Promise.resolve {next = close}
  end,
  ["a getter"] = function() return Promise.resolve():next(getter) end,
  ["an executor in a handler"] = function()
    return Promise.resolve():next(function() Promise.new(close) end)
  end,
  ["an iterator in a handler"] = function()
    return Promise.resolve():next(function() Promise.all(close) end)
  end,
  ["a cancel hook"] = function()
    return Promise.resolve():next(function()
      local p, _, _, onCancel = Promise.withResolvers()
      onCancel(close)
      p:cancel()
    end)
  end,
  ["what an async call returns"] = function()
    local p, resolve = Promise.withResolvers()
    local q = Promise.spawn(function()
      Promise.await(p)
      return getter()
    end)
    resolve()
    return q
  end,
  ["a microtask"] = function() Promise.queueMicrotask(close) end,
  ["the hook for rejections"] = function()
    local previous
    previous = Promise.onUnhandledRejection(function()
      Promise.onUnhandledRejection(previous)
      close()
    end)
    Promise.reject()
  end,
}

-- By name, what runs `close` at once.
local calls = {
  ["an executor"] = function() Promise.new(close) end,
  ["the function of 'try'"] = function() Promise.try(close) end,
  ["a getter"] = function() Promise.resolve(getter()) end,
  ["an iterator"] = function() Promise.all(close) end,
  ["an element of a table"] = function()
    Promise.race(setmetatable({n = 1}, {__index = close}))
  end,
  ["a cancel hook"] = function()
    local p, _, _, onCancel = Promise.withResolvers()
    onCancel(close)
    p:cancel()
  end,
  ["the body of an async call"] = function() Promise.spawn(close) end,
  ["what an async call returns"] = function() Promise.spawn(getter) end,
  ["a generator"] = function() Promise.wrap(close)() end,
  ["the loop's function 'wake'"] = function()
    local loop = virtual.new()
    local wake = loop.wake
    function loop.wake(drain)
      loop.wake = wake
      if not select(2, coroutine.running()) then close() end
      wake(drain)
    end
    Promise.setLoop(loop)
    Promise.resolve():next(nop)
  end,
}

-- Who is closed.
local coroutines = {
  ["a coroutine"] = function(fn) coroutine.wrap(fn)() end,
  ["an async call"] = function(fn) Promise.spawn(fn):catch(nop) end,
  ["a coroutine in an async call"] = function(fn)
    Promise.spawn(function()
      coroutine.wrap(fn)()
      Promise.await(Promise.resolve()) -- the call knows that it runs
    end):catch(nop)
  end,
  ["a generator"] = function(fn) Promise.wrap(fn)() end,
}

describe("a coroutine of the program's own", function()
  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  it("can drain some of a batch", function()
    local p, resolve = Promise.withResolvers()
    local log = {}
    for i = 1, 4 do p:next(function() log[#log + 1] = i end) end
    resolve()
    coroutine.wrap(function() Promise.drain(2) end)()
    assert.same({1, 2}, log)
    helper.drain()
    assert.same({1, 2, 3, 4}, log)
  end)

  it("can't run the loop in an executor", function()
    Promise.setLoop(virtual.new())
    local ok, message
    coroutine.wrap(function()
      Promise.new(function() ok, message = pcall(Promise.run) end)
    end)()
    assert.is_false(ok)
    assert.matches("Promise.run can't be called in a handler", message, 1,
      true)
  end)

  it("can't run the loop in a timer of the loop that it runs", function()
    local loop = virtual.new()
    Promise.setLoop(loop)
    local ok, message
    loop.timer(1, function() ok, message = pcall(Promise.run) end)
    coroutine.wrap(function()
      Promise.run(function() Promise.await(Promise.delay(2)) end)
    end)()
    assert.is_false(ok)
    assert.matches("Promise.run can't be called in a callback", message, 1,
      true)
  end)
end)

describe("a coroutine that is closed in", function()
  if not can_close then
    pending "its own code: Lua can't before 5.5"
    return
  end

  local loop

  before_each(function()
    helper.drain()
    loop = virtual.new()
    Promise.setLoop(loop)
  end)

  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  -- Nothing of the library believes that it is still running.
  local function is_consistent()
    helper.drain()
    Promise.queueMicrotask(nop)
    assert.equal(1, Promise.drain())
    assert.is_false(core.inside())
    assert.is_nil(core.running())
    local woken = 0
    local other = virtual.new()
    local wake = other.wake
    function other.wake(drain) woken = woken + 1; wake(drain) end
    Promise.setLoop(other)
    local p = Promise.spawn(function()
      return Promise.await(Promise.delay(1, "late"))
    end)
    Promise.resolve():next(nop)
    assert.is_true(woken > 0)
    assert.equal("late", Promise.await(p))
    -- a timeout keeps no loop alive
    local limited = Promise.withResolvers():timeout(60)
    local start = other.now()
    Promise.run()
    assert.is_true(other.now() - start < 60)
    limited:catch(nop)
  end

  for who, start in pairs(coroutines) do
    for name, queue in pairs(jobs) do
      it(name .. ", where " .. who .. " runs the jobs", function()
        local log = {}
        local seen = helper.unhandled(function()
          local p = queue()
          if p then p:catch(nop) end
          for i = 1, 2 do
            Promise.queueMicrotask(function() log[#log + 1] = i end)
          end
          start(Promise.drain)
          loop.step()
          if p then
            assert.same({"rejected", "the coroutine of the async call was " ..
              "closed"}, {p:status()})
          end
          assert.equal(2, #log)
        end)
        assert.is_true(#seen <= 1)
        is_consistent()
      end)
    end

    it("a batch, where " .. who .. " runs the jobs", function()
      local p, resolve = Promise.withResolvers()
      local log = {}
      for i = 1, 5 do
        p:next(function()
          log[#log + 1] = i
          if i == 2 then close() end
        end):catch(nop)
      end
      resolve()
      start(Promise.drain)
      loop.step()
      assert.same({1, 2, 3, 4, 5}, log)
      is_consistent()
    end)

    for name, call in pairs(calls) do
      it(name .. ", called by " .. who, function()
        local ended = false
        start(function()
          call()
          ended = true
        end)
        local is_in_another = name == "a generator" or
          name == "the body of an async call"
        assert.equal(is_in_another, ended)
        is_consistent()
      end)
    end
  end

  -- A promise of three others, of which each has three hooks; those that are
  -- named in `closers` close the coroutine that they run on.
  local function with_hooks(closers, log)
    local list = {}
    for i = 1, 3 do
      local p, _, _, onCancel = Promise.withResolvers()
      for j = 1, 3 do
        onCancel(function()
          log[#log + 1] = i .. j
          if closers:find(i .. j, 1, true) then close() end
        end)
      end
      list[i] = p
    end
    local all = Promise.all(list)
    all:catch(nop)
    return all, list
  end

  for _, closers in ipairs {"11", "13", "33", "11 12 21 33"} do
    for who, start in pairs(coroutines) do
      it("the hooks " .. closers .. ", which others follow, by " .. who,
        function()
          local log = {}
          local all, list = with_hooks(closers, log)
          start(function() all:cancel "why" end)
          assert.equal("11 12 13 21 22 23 31 32 33", table.concat(log, " "))
          for i = 1, 3 do
            local state, reason = list[i]:status()
            assert.equal("rejected", state)
            assert.equal("why", reason.reason)
          end
          helper.drain()
          assert.equal("rejected", (all:status()))
          is_consistent()
        end)
    end
  end

  it("a loop that it runs", function()
    Promise.delay(1):next(close)
    local outcome = {}
    coroutine.wrap(function()
      outcome[1] = pcall(Promise.run, function()
        Promise.await(Promise.delay(2))
      end)
    end)()
    assert.same({}, outcome)
    is_consistent()
  end)
end)
