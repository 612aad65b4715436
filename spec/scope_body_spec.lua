--- How the body of a scope is interrupted, and what becomes of a cancellation
--- from outside.

local Promise = require "cpromise"
local virtual = require "cpromise.loop.virtual"

local await, pawait = Promise.await, Promise.pawait

local loop, log

local function note(...)
  log[#log + 1] = table.concat({...}, " ")
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

-- A child that fails after so many seconds.
local function failing(seconds, err)
  return function()
    await(Promise.delay(seconds))
    error(err, 0)
  end
end

-- A child that takes so long to clean up.
local function cleaning(name, seconds)
  return function()
    pcall(await, Promise.delay(1000))
    await(Promise.delay(seconds))
    note(name, "cleaned up")
  end
end

local function setup()
  loop, log = virtual.new(), {}
  Promise.setLoop(loop)
end

local function teardown()
  exhaust()
  Promise.setLoop(nil)
end

-- A function that runs `body(scope)` in a block.
local function block(body)
  return function()
    local scope <close> = Promise.scope()
    return body(scope)
  end
end

-- Whether the promise was fulfilled, and its value or reason.
local function ended(p)
  p:catch(function() end)
  exhaust()
  local state, reason = p:status()
  return state == "fulfilled", reason
end

local function in_call(fn)
  return ended(Promise.spawn(fn))
end

local function in_coroutine(fn)
  local ok, result
  coroutine.wrap(function() ok, result = pcall(fn) end)()
  exhaust()
  return ok, result
end

-- The body as a generator, which is read once.
local function generator(body)
  return (Promise.wrap(body))
end

-- Run `body(scope)` in a scope: whether it ended well, and its error or
-- results. Bodies that only blocks can have get the place alone.
local places = {
  ["Promise.scope(fn)"] = function(body)
    return ended(Promise.scope(body))
  end,
  ["a block of an async function"] = function(body)
    return in_call(block(body))
  end,
  ["a block of a coroutine"] = function(body)
    return in_coroutine(block(body))
  end,
  ["a block of the main thread"] = function(body)
    return pcall(block(body))
  end,
  ["a block around a generator, in an async function"] = function(body)
    return in_call(block(generator(body)))
  end,
  ["a block around a generator, in a coroutine"] = function(body)
    return in_coroutine(block(generator(body)))
  end,
  ["a block around a generator, on the main thread"] = function(body)
    return pcall(block(generator(body)))
  end,
  ["a block around a generator in a generator"] = function(body)
    return pcall(block(generator(function(scope)
      return generator(body)(scope)
    end)))
  end,
  ["a block of a generator"] = function(body)
    return pcall(generator(block(body)))
  end,
}

for name, run in pairs(places) do
  local is_block = name ~= "Promise.scope(fn)"

  describe("the body of " .. name, function()
    before_each(setup)
    after_each(teardown)

    it("is interrupted when a child fails", function()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(failing(1, "boom"))
        await(Promise.delay(3600))
      end)})
      assert.equal(1, loop.now())
    end)

    it("gets a cancellation with the failure as its reason", function()
      local seen
      run(function(scope)
        scope:spawn(failing(1, "boom"))
        seen = select(2, pcall(await, Promise.delay(3600)))
      end)
      assert.is_true(Promise.isCancelled(seen))
      assert.equal("boom", seen.reason)
    end)

    it("is interrupted in pawait", function()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(failing(1, "boom"))
        pawait(Promise.delay(3600))
        note "went on"
      end)})
      assert.same({}, log)
      assert.equal(1, loop.now())
    end)

    it("is interrupted after pawait of what fails at that moment",
      function()
        assert.same({false, "boom"}, {run(function(scope)
          local p, _, reject = Promise.withResolvers()
          scope:spawn(function()
            await(Promise.delay(1))
            reject "other"
            error("boom", 0)
          end)
          note(tostring(select(2, pawait(p))))
          pawait(Promise.delay(3600))
          note "never"
        end)})
        assert.same({"other"}, log)
        assert.equal(1, loop.now())
      end)

    it("is interrupted at its next await if it runs", function()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(function() error("boom", 0) end)
        pcall(function()
          note "runs"
          await(Promise.delay(3600)) -- in which the failure is noted
        end)
      end)})
      assert.same({"runs"}, log)
      assert.equal(0, loop.now())
    end)

    it("is interrupted once, and cleans up", function()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(failing(1, "boom"))
        pcall(await, Promise.delay(3600))
        note(await(Promise.delay(1, "cleaned up")))
      end)})
      assert.same({"cleaned up"}, log)
      assert.equal(2, loop.now())
    end)

    it("fails in cleaning up, too", function()
      local ok, reason = run(function(scope)
        scope:spawn(failing(1, "boom"))
        pcall(await, Promise.delay(3600))
        error("cleanup", 0)
      end)
      assert.is_false(ok)
      assert.same({"boom", "cleanup", n = 2}, reason.errors)
    end)

    it("lets go of what others wait for", function()
      local shared = Promise.delay(100)
      local other = shared:next()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(failing(1, "boom"))
        await(shared)
      end)})
      assert.equal("fulfilled", (outcome(other)))
    end)

    it("waits for what it awaits", function()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(failing(1, "boom"))
        local _ <close> = setmetatable({}, {__close = function()
          note "body"
        end})
        await(Promise.spawn(cleaning("awaited", 5)))
      end)})
      assert.same({"awaited cleaned up", "body"}, log)
      assert.equal(6, loop.now())
    end)

    it("is told of the failure only at the end if it goes on", function()
      assert.same({false, "boom"}, {run(function(scope)
        scope:spawn(failing(1, "boom"))
        pcall(await, Promise.delay(3600))
        return "result"
      end)})
    end)

    it("is interrupted by scope:cancel", function()
      local ok, reason = run(function(scope)
        scope:spawn(cleaning("child", 2))
        scope:spawn(function()
          await(Promise.delay(1))
          scope:cancel "enough"
        end)
        local ok, reason = pcall(await, Promise.delay(3600))
        note(tostring(ok), reason.reason)
        return "result"
      end)
      assert.same({true, "result"}, {ok, reason})
      assert.same({"false enough", "child cleaned up"}, log)
      assert.equal(3, loop.now())
    end)

    it("is interrupted again by the next scope:cancel", function()
      assert.same({true, "result"}, {run(function(scope)
        for i = 1, 3 do
          Promise.delay(i):next(function() assert(scope:cancel(i)) end)
        end
        for i = 1, 3 do
          local _, reason = pcall(await, Promise.delay(3600))
          assert.equal(i, reason.reason)
        end
        return "result"
      end)})
      assert.equal(3, loop.now())
    end)

    it("may fail as if there was no scope", function()
      assert.same({false, "own"}, {run(function(scope)
        scope:spawn(cleaning("child", 1))
        await(Promise.delay(1))
        error("own", 0)
      end)})
      assert.same({"child cleaned up"}, log)
    end)

    it("is not interrupted after an inner block has failed", function()
      assert.same({true, "result"}, {run(function()
        local ok, err = pcall(function()
          local inner <close> = Promise.scope()
          inner:spawn(failing(1, "inner"))
          await(Promise.delay(3600))
        end)
        note(tostring(ok), err)
        return (await(Promise.delay(1, "result")))
      end)})
      assert.same({"false inner"}, log)
      assert.equal(2, loop.now())
    end)

    it("is not interrupted by an inner block that noticed late", function()
      assert.same({true, "result"}, {run(function()
        local ok, err = pcall(function()
          local inner <close> = Promise.scope()
          inner:spawn(function() error("inner", 0) end)
        end)
        note(tostring(ok), err)
        return (await(Promise.delay(1, "result")))
      end)})
      assert.same({"false inner"}, log)
    end)

    it("is interrupted in an inner block, which ends first", function()
      assert.same({false, "outer"}, {run(function(outer)
        outer:spawn(failing(1, "outer"))
        local ok, err = pcall(function()
          local inner <close> = Promise.scope()
          inner:spawn(cleaning("inner", 2))
          pawait(Promise.delay(3600))
          note "never"
        end)
        note(tostring(ok), err.reason)
        error(err, 0)
      end)})
      assert.same({"inner cleaned up", "false outer"}, log)
      assert.equal(3, loop.now())
    end)

    it("is interrupted where an inner block waits for its children",
      function()
        assert.same({false, "outer"}, {run(function(outer)
          outer:spawn(failing(1, "outer"))
          local ok, err = pcall(function()
            local inner <close> = Promise.scope()
            inner:spawn(cleaning("inner", 2))
          end)
          note(tostring(ok), err.reason)
        end)})
        assert.same({"inner cleaned up", "false outer"}, log)
      end)

    it("hears of the failure after an inner one, at its next await",
      function()
        assert.same({false, "outer"}, {run(function(outer)
          outer:spawn(failing(1, "outer"))
          local ok, err = pcall(function()
            local inner <close> = Promise.scope()
            inner:spawn(function()
              pcall(await, Promise.delay(3600))
              error("inner", 0)
            end)
            await(Promise.delay(3600))
          end)
          note(tostring(ok), err)
          await(Promise.delay(3600))
          note "never"
        end)})
        assert.same({"false inner"}, log)
        assert.equal(1, loop.now())
      end)

    if is_block then
      it("goes on after the block as if nothing had been", function()
        local after
        run(function()
          pcall(function()
            local scope <close> = Promise.scope()
            scope:spawn(failing(1, "boom"))
            await(Promise.delay(3600))
          end)
          after = {pawait(Promise.delay(1, "after"))}
          assert(Promise.cancelled() == nil)
        end)
        assert.same({true, "after"}, after)
      end)
    end
  end)
end

describe("two blocks, one in the other, that fail at once", function()
  before_each(setup)
  after_each(teardown)

  local places_of_blocks = {
    ["an async function"] = function(fn) outcome(Promise.spawn(fn)) end,
    ["a coroutine"] = function(fn)
      coroutine.wrap(fn)()
      exhaust()
    end,
  }
  for place, run in pairs(places_of_blocks) do
    for _, first in ipairs {"outer", "inner"} do
      it(("interrupt what is left of the outer: %s, the %s one first")
        :format(place, first), function()
        run(function()
          local gate = Promise.event()
          local function fails(name)
            await(gate:wait())
            error(name, 0)
          end
          local ok, err = pcall(function()
            local outer <close> = Promise.scope()
            if first == "outer" then outer:spawn(fails, "outer") end
            local ok, err = pcall(function()
              local inner <close> = Promise.scope()
              inner:spawn(fails, "inner")
              if first == "inner" then outer:spawn(fails, "outer") end
              Promise.delay(1):next(function() gate:set() end)
              await(Promise.delay(3600))
            end)
            note(tostring(ok), err)
            await(Promise.delay(3600))
            note "never"
          end)
          note(tostring(ok), err)
          assert(Promise.cancelled() == nil)
        end)
        assert.same({"false inner", "false outer"}, log)
        assert.equal(1, loop.now())
      end)
    end
  end
end)

describe("the caller of a scope, cancelled", function()
  before_each(setup)
  after_each(teardown)

  -- Both forms of a scope in an async call.
  local forms = {
    ["Promise.scope(fn)"] = function(body)
      return await(Promise.scope(body))
    end,
    ["a block"] = function(body)
      local scope <close> = Promise.scope()
      return body(scope)
    end,
  }

  for name, form in pairs(forms) do
    it("is told when all have ended: " .. name, function()
      local p = Promise.spawn(function()
        local ok, reason = pcall(form, function(scope)
          scope:spawn(cleaning("child", 2))
          await(Promise.spawn(cleaning("body", 3)))
        end)
        note(tostring(ok), reason.reason)
        error(reason, 0)
      end)
      loop.advance(1)
      assert.is_true(p:cancel "why")
      assert.equal("why", select(2, outcome(p)).reason)
      assert.equal("false why", table.remove(log))
      table.sort(log)
      assert.same({"body cleaned up", "child cleaned up"}, log)
    end)

    it("is told after a failure, at its next await: " .. name, function()
      local p = Promise.spawn(function()
        local ok, reason = pcall(form, function(scope)
          scope:spawn(function()
            pcall(await, Promise.delay(100))
            error("cleanup", 0)
          end)
          await(Promise.delay(50))
        end)
        note(tostring(ok), reason, Promise.cancelled().reason)
        await(Promise.delay(10))
        note "never"
      end)
      loop.advance(1)
      assert.is_true(p:cancel "stop")
      assert.equal("stop", select(2, outcome(p)).reason)
      assert.same({"false cleanup stop"}, log)
      assert.equal(1, loop.now())
    end)

    it("is told after a failure of the same moment: " .. name, function()
      local p
      p = Promise.spawn(function()
        local ok, reason = pcall(form, function(scope)
          scope:spawn(function()
            await(Promise.delay(1))
            p:cancel "stop"
            error("boom", 0)
          end)
          await(Promise.delay(50))
        end)
        note(tostring(ok), reason)
        await(Promise.delay(10))
        note "never"
      end)
      assert.equal("stop", select(2, outcome(p)).reason)
      assert.same({"false boom"}, log)
    end)

    it("is told after the failure that came first: " .. name, function()
      local p = Promise.spawn(function()
        local ok, reason = pcall(form, function(scope)
          scope:spawn(failing(1, "boom"))
          scope:spawn(cleaning("child", 5))
          await(Promise.delay(50))
        end)
        note(tostring(ok), reason)
        await(Promise.delay(10))
        note "never"
      end)
      loop.advance(2)
      assert.is_true(p:cancel "stop")
      assert.equal("stop", select(2, outcome(p)).reason)
      assert.same({"false boom"}, log)
    end)

    it("is told although the scope was cancelled, too: " .. name, function()
      local own
      local p = Promise.spawn(function()
        form(function(scope)
          own = scope
          pcall(await, Promise.delay(50))
          await(Promise.delay(50))
        end)
        note "never"
      end)
      own:cancel "inside"
      Promise.drain()
      p:cancel "stop"
      assert.equal("stop", select(2, outcome(p)).reason)
      assert.same({}, log)
    end)

    it("interrupts a clean-up that hangs by a second request: " .. name,
      function()
        local function hang(what)
          return function()
            pcall(await, Promise.delay(3600))
            local _ <close> = setmetatable({}, {__close = function()
              note(what)
            end})
            await(Promise.new(function() end))
          end
        end
        local p = Promise.spawn(function()
          return form(function(scope)
            scope:spawn(hang "child")
            hang "body" ()
          end)
        end)
        loop.advance(1)
        assert.is_true(p:cancel "first")
        loop.advance(1)
        assert.equal("pending", (p:status()))
        assert.is_true(p:cancel "second")
        loop.advance(1)
        -- in a block, that was the first one for the child
        if name == "a block" then assert.is_true(p:cancel "third") end
        assert.is_true(Promise.isCancelled(select(2, outcome(p))))
        table.sort(log)
        assert.same({"body", "child"}, log)
      end)
  end

  it("is told after blocks of which the outer fails, too", function()
    local p = Promise.spawn(function()
      pcall(function()
        local outer <close> = Promise.scope()
        outer:spawn(failing(2, "outer"))
        local inner <close> = Promise.scope()
        inner:spawn(function()
          pcall(await, Promise.delay(100))
          pcall(await, Promise.delay(100))
        end)
      end)
      await(Promise.delay(100))
      note "never"
    end)
    loop.advance(1)
    p:cancel "stop"
    assert.equal("stop", select(2, outcome(p)).reason)
    assert.same({}, log)
  end)

  it("has Promise.cancelled as before when the block has ended", function()
    local before, within, after
    local p = Promise.spawn(function()
      before = Promise.cancelled()
      pcall(function()
        local scope <close> = Promise.scope()
        scope:spawn(failing(1, "boom"))
        pcall(await, Promise.delay(9))
        within = Promise.cancelled()
      end)
      after = Promise.cancelled()
    end)
    outcome(p)
    assert.is_nil(before)
    assert.equal("boom", within.reason)
    assert.is_nil(after)
  end)

  it("has the latest cancellation from Promise.cancelled after that",
    function()
      local seen = {}
      local p = Promise.spawn(function()
        pcall(await, Promise.delay(9))
        seen[1] = Promise.cancelled()
        pcall(function()
          local scope <close> = Promise.scope()
          scope:spawn(failing(1, "boom"))
          pcall(await, Promise.delay(9))
          seen[2] = Promise.cancelled()
        end)
        seen[3] = Promise.cancelled()
        await(Promise.delay(1))
        return "ended"
      end)
      loop.advance(1)
      p:cancel "outside"
      assert.same({"fulfilled", "ended"}, {outcome(p)})
      assert.equal("outside", seen[1].reason)
      assert.equal("boom", seen[2].reason)
      assert.equal(seen[1], seen[3])
    end)
end)
