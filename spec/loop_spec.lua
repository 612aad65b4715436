--- What every loop must do, whoever wrote it, and what promises do on it.

local Promise = require "cpromise"
local luv = require "cpromise.loop.luv"
local virtual = require "cpromise.loop.virtual"
local frame = require "cpromise.loop.frame"
local has_cqueues, cqueues = pcall(require, "cpromise.loop.cqueues")
local helper = require "spec.helper"

-- One of a user's own, who knows nothing but the protocol: no timer that is
-- given back, jobs at the end of a step.
local function users_loop()
  local loop, timers, time, pending, running = {}, {}, 0, nil, false
  function loop.wake(drain) pending = drain end
  function loop.now() return time end
  function loop.inside() return running end
  function loop.timer(seconds, fn, background)
    local timer = {at = time + seconds, fn = fn, background = background}
    timers[#timers + 1] = timer
    return timer
  end
  function loop.cancel(timer) timer.fn = nil end
  local function take()
    local first
    for i = #timers, 1, -1 do
      if not timers[i].fn then
        table.remove(timers, i)
      end
    end
    for i, timer in ipairs(timers) do
      if not first or timer.at < timers[first].at then first = i end
    end
    return first and table.remove(timers, first)
  end
  local function alive()
    for _, timer in ipairs(timers) do
      if timer.fn and not timer.background then return true end
    end
    return pending ~= nil
  end
  function loop.step()
    if not alive() then return false end
    running = true
    local timer = not pending and take()
    if timer then
      time = timer.at
      require "cpromise.loop".call(timer.fn)
    end
    local drain = pending
    pending = nil
    if drain then drain() end
    running = false
    return alive()
  end
  return loop
end

-- `unit`: seconds between two timers that can't be mistaken for each other,
-- however slow the host is.
local loops = {
  {name = "luv", make = function() return luv end, unit = 0.1},
  {name = "virtual", make = virtual.new, unit = 1},
  {name = "frames", make = frame.new, unit = 1},
  {name = "a user's own", make = users_loop, unit = 1},
}
if has_cqueues then
  table.insert(loops, 2,
    {name = "cqueues", make = function() return cqueues end, unit = 0.1})
end

local FAR <const> = 30 -- seconds; nothing here may wait for that long

-- Step till nothing is alive, without any help from Promise.run.
local function exhaust(loop)
  local steps = 0
  repeat
    steps = steps + 1
    assert(steps < 100000, "the loop doesn't end")
  until not loop.step()
end

for _, subject in ipairs(loops) do
  describe("the loop of " .. subject.name, function()
    local loop, unit, log

    local function note(what)
      return function() log[#log + 1] = what end
    end

    before_each(function()
      helper.drain()
      loop, unit, log = subject.make(), subject.unit, {}
      Promise.setLoop(loop)
    end)

    after_each(function()
      exhaust(loop)
      Promise.setLoop(nil)
    end)

    it("is the one in use", function()
      assert.equal(loop, Promise.loop())
    end)

    describe("running jobs", function()
      it("runs in one step those that wait", function()
        Promise.resolve():next(note "a"):next(note "b")
        Promise.queueMicrotask(note "c")
        loop.step()
        assert.same({"a", "c", "b"}, log)
      end)

      it("does not run them in the call that queues them", function()
        Promise.queueMicrotask(note "job")
        assert.same({}, log)
      end)

      it("is asked again after each drain", function()
        for i = 1, 3 do
          Promise.queueMicrotask(note(i))
          loop.step()
        end
        assert.same({1, 2, 3}, log)
      end)

      it("is asked when the program drains only some", function()
        for i = 1, 3 do Promise.queueMicrotask(note(i)) end
        Promise.drain(2)
        loop.step()
        assert.same({1, 2, 3}, log)
      end)

      it("does not mind jobs that somebody else has run", function()
        Promise.queueMicrotask(note "job")
        Promise.drain()
        exhaust(loop)
        assert.same({"job"}, log)
      end)

      it("runs those born in a timer before it waits again", function()
        local late = loop.timer(FAR, note "late")
        loop.timer(0, function()
          Promise.resolve():next(note "job"):next(function()
            loop.cancel(late)
          end)
        end)
        exhaust(loop)
        assert.same({"job"}, log)
      end)

      it("loses none at the very end", function()
        loop.timer(0, function()
          local p = Promise.resolve()
          for i = 1, 5 do p = p:next(note(i)) end
        end)
        exhaust(loop)
        assert.same({1, 2, 3, 4, 5}, log)
      end)

      it("waits for the timers that they start", function()
        Promise.queueMicrotask(function()
          loop.timer(0, function()
            Promise.queueMicrotask(function()
              loop.timer(0, note "end")
            end)
          end)
        end)
        exhaust(loop)
        assert.same({"end"}, log)
      end)

      it("reports a rejection that nobody handles", function()
        local seen = helper.unhandled(function()
          Promise.reject "boom"
          loop.step()
          log[1] = "stepped"
        end)
        assert.equal("boom", seen[1].reason)
        assert.same({"stepped"}, log)
      end)

      it("takes over those that wait when it is set", function()
        Promise.setLoop(virtual.new())
        Promise.queueMicrotask(note "job")
        Promise.setLoop(loop)
        loop.step()
        assert.same({"job"}, log)
      end)

      it("leaves those that wait to the next loop", function()
        local successor = virtual.new()
        Promise.queueMicrotask(note "job")
        Promise.setLoop(successor)
        successor.step()
        assert.same({"job"}, log)
      end)
    end)

    describe("wake", function()
      it("does not call back at once", function()
        loop.wake(note "drain")
        assert.same({}, log)
        loop.step()
        assert.same({"drain"}, log)
      end)

      it("may be called again before the drain", function()
        local drain = note "drain"
        loop.wake(drain)
        loop.wake(drain)
        exhaust(loop)
        assert.same({"drain"}, log)
      end)

      it("may be called again in the drain", function()
        local count = 0
        local function drain()
          count = count + 1
          if count < 3 then loop.wake(drain) end
        end
        loop.wake(drain)
        exhaust(loop)
        assert.equal(3, count)
      end)
    end)

    describe("step", function()
      it("returns false when nothing is alive", function()
        assert.is_false(loop.step())
      end)

      it("returns false again when all is done", function()
        Promise.delay(0):next(note "late")
        exhaust(loop)
        assert.is_false(loop.step())
        assert.same({"late"}, log)
      end)

      it("returns true while a timer waits", function()
        local timer = loop.timer(FAR, note "never")
        loop.timer(0, function() end)
        Promise.queueMicrotask(function() end)
        assert.is_true(loop.step())
        loop.cancel(timer)
      end)
    end)

    describe("timer", function()
      it("does not fire in the call that starts it", function()
        loop.timer(0, note "fired")
        assert.same({}, log)
      end)

      it("fires once", function()
        loop.timer(0, note "fired")
        exhaust(loop)
        assert.same({"fired"}, log)
      end)

      it("fires in order of time", function()
        for _, i in ipairs {3, 1, 4, 2, 0} do
          loop.timer(i * unit, note(i))
        end
        exhaust(loop)
        assert.same({0, 1, 2, 3, 4}, log)
      end)

      it("fires in order of its start when times are equal", function()
        local expected = {}
        for i = 1, 50 do
          expected[i] = i
          loop.timer(0.001, note(i))
        end
        exhaust(loop)
        assert.same(expected, log)
      end)

      it("takes any number of seconds", function()
        for _, seconds in ipairs {0, 1e-9, 1.5e-3} do
          loop.timer(seconds, note(seconds))
        end
        for _, seconds in ipairs {1e9, 1e300, math.huge} do
          loop.cancel(loop.timer(seconds, note(seconds)))
        end
        exhaust(loop)
        assert.equal(3, #log)
      end)

      it("moves `now` by its time", function()
        local start = loop.now()
        loop.timer(unit, note "fired")
        exhaust(loop)
        -- libuv counts whole milliseconds
        assert.is_true(loop.now() - start >= unit - 0.002)
      end)

      it("gives a delay its values", function()
        local p = Promise.delay(unit, "a", nil, "c", nil)
        exhaust(loop)
        assert.same(table.pack("fulfilled", "a", nil, "c", nil),
          table.pack(p:status()))
      end)
    end)

    describe("cancel", function()
      it("keeps a timer from firing", function()
        local timer = loop.timer(0, note "cancelled")
        loop.timer(0, note "kept")
        loop.cancel(timer)
        exhaust(loop)
        assert.same({"kept"}, log)
      end)

      it("takes the timer's part in keeping the loop alive", function()
        loop.cancel(loop.timer(FAR, note "never"))
        loop.step()
        assert.is_false(loop.step())
      end)

      it("has no effect when it is done twice", function()
        local timer = loop.timer(0, note "cancelled")
        loop.timer(0, note "kept")
        loop.cancel(timer)
        loop.cancel(timer)
        exhaust(loop)
        loop.cancel(timer)
        assert.same({"kept"}, log)
      end)

      it("has no effect on a timer that has fired", function()
        local timer = loop.timer(0, note "fired")
        exhaust(loop)
        loop.cancel(timer)
        loop.timer(0, note "next")
        exhaust(loop)
        assert.same({"fired", "next"}, log)
      end)

      it("has no effect on the timer that is firing", function()
        local timer
        timer = loop.timer(0, function()
          loop.cancel(timer)
          log[1] = "fired"
        end)
        exhaust(loop)
        assert.same({"fired"}, log)
      end)

      it("reaches a timer from one that fires before it", function()
        local second
        loop.timer(0, function() loop.cancel(second) end)
        second = loop.timer(0, note "cancelled")
        exhaust(loop)
        assert.same({}, log)
      end)
    end)

    describe("a timer in the background", function()
      it("fires in its time while something else is alive", function()
        loop.timer(unit, note "background", true)
        loop.timer(2 * unit, note "foreground")
        exhaust(loop)
        assert.same({"background", "foreground"}, log)
      end)

      it("does not keep the loop alive", function()
        local timer = loop.timer(FAR, note "never", true)
        loop.step()
        assert.is_false(loop.step())
        Promise.run()
        loop.cancel(timer)
        assert.same({}, log)
      end)

      it("is cancelled as any other", function()
        loop.cancel(loop.timer(0, note "cancelled", true))
        loop.timer(0, note "kept")
        exhaust(loop)
        assert.same({"kept"}, log)
      end)

      it("takes no part in how long others keep it alive", function()
        loop.cancel(loop.timer(unit, note "cancelled", true))
        local fired = loop.timer(0, note "fired", true)
        loop.timer(unit, note "kept")
        exhaust(loop)
        loop.cancel(fired)
        loop.timer(0, note "last")
        assert.is_false(loop.step() and loop.step() and loop.step())
        assert.same({"fired", "kept", "last"}, log)
      end)
    end)

    describe("now", function()
      it("never goes back", function()
        local last, went_back = loop.now(), false
        local function look()
          went_back = went_back or loop.now() < last
          last = loop.now()
        end
        for i = 0, 3 do
          loop.timer(i / 1000, function()
            look()
            Promise.queueMicrotask(look)
          end)
        end
        repeat look() until not loop.step()
        look()
        assert.is_false(went_back)
      end)
    end)

    describe("inside", function()
      it("is false outside of the loop", function()
        assert.is_false(loop.inside())
        exhaust(loop)
        assert.is_false(loop.inside())
      end)

      it("is true in a timer", function()
        local inside
        loop.timer(0, function() inside = loop.inside() end)
        exhaust(loop)
        assert.is_true(inside)
        assert.is_false(loop.inside())
      end)

      it("is false after a timer that failed", function()
        helper.unhandled(function()
          loop.timer(0, error)
          exhaust(loop)
        end)
        assert.is_false(loop.inside())
      end)
    end)

    describe("time", function()
      -- Keep the loop from turning till everything is overdue.
      local function oversleep()
        local till = loop.now() + 3 * unit / 100
        while loop == luv and loop.now() < till do end
      end

      it("runs the jobs of one delay before the next one fires", function()
        for i = 1, 3 do
          Promise.delay(unit / 100):next(note("timer " .. i))
            :next(note("job " .. i)):next(note("job's job " .. i))
        end
        oversleep()
        exhaust(loop)
        assert.same({
          "timer 1", "job 1", "job's job 1", "timer 2", "job 2",
          "job's job 2", "timer 3", "job 3", "job's job 3",
        }, log)
      end)

      it("fires delays in order of time, then of their start", function()
        for _, n in ipairs {3, 1, 2, 1, 3} do
          Promise.delay(n * unit / 100, n):next(function(v)
            log[#log + 1] = v
          end)
        end
        oversleep()
        exhaust(loop)
        assert.same({1, 1, 2, 3, 3}, log)
      end)

      it("ends no delay before its time", function()
        local early = 0
        for i = 1, 50 do
          local start, seconds = loop.now(), i * unit / 2000
          Promise.delay(seconds):next(function()
            if loop.now() - start < seconds - 1e-9 then early = early + 1 end
          end)
        end
        exhaust(loop)
        assert.equal(0, early)
      end)

      it("lets what has settled win over a timeout, however late", function()
        local limited = Promise.delay(unit / 100, "value")
          :timeout(2 * unit / 100)
        local failing = Promise.delay(unit / 100)
          :next(function() error("disk full", 0) end)
          :timeout(2 * unit / 100)
        failing:catch(note "failed")
        oversleep()
        exhaust(loop)
        assert.same({"fulfilled", "value"}, {limited:status()})
        assert.same({"rejected", "disk full"}, {failing:status()})
      end)

      it("lets other timers come before a late timeout", function()
        local p, resolve = Promise.withResolvers()
        Promise.delay(unit / 100)
        loop.timer(unit / 100, function() resolve "value" end)
        local limited = p:timeout(2 * unit / 100)
        oversleep()
        exhaust(loop)
        assert.same({"fulfilled", "value"}, {limited:status()})
      end)

      it("waits on the main thread for a timeout alone", function()
        local p = Promise.withResolvers()
        local ok, reason = Promise.pawait(p:timeout(unit / 100))
        assert.is_false(ok)
        assert.is_true(Promise.isTimeout(reason))
        ok = Promise.run(function()
          return (Promise.pawait(Promise.withResolvers():timeout(unit / 100)))
        end)
        assert.is_false(ok)
      end)

      it("is kept going by no timeout", function()
        Promise.withResolvers():timeout(FAR):catch(note "too late")
        local start = loop.now()
        Promise.run()
        assert.is_true(loop.now() - start < FAR / 2)
        assert.same({}, log)
      end)

      it("ends when the last delay is cancelled", function()
        local far = Promise.delay(FAR)
        Promise.delay(unit / 100):next(function() far:cancel() end)
        local start = loop.now()
        Promise.run()
        assert.is_true(loop.now() - start < FAR / 2)
      end)

      it("counts the turns of an interval without a drift", function()
        Promise.run(function()
          local start = loop.now()
          for i in Promise.interval(unit / 50) do
            log[#log + 1] = i
            assert.is_true(loop.now() - start >= i * unit / 50 - 1e-9)
            if i == 4 then break end
          end
        end)
        assert.same({1, 2, 3, 4}, log)
      end)

      it("moves what waits to the loop that is set next", function()
        local start = loop.now()
        Promise.delay(unit / 10):next(note "moved")
        local other = virtual.new()
        other.advance(1000)
        Promise.setLoop(other)
        other.advance(unit / 10 - (loop.now() - start) - unit / 1000)
        if loop ~= luv then assert.same({}, log) end
        other.advance(unit)
        assert.same({"moved"}, log)
      end)
    end)

    describe("await", function()
      it("waits on the main thread", function()
        assert.equal("late", Promise.await(Promise.delay(unit / 20, "late")))
        assert.is_false(loop.inside())
      end)

      it("waits in a coroutine that a timer has made", function()
        loop.timer(0, function()
          coroutine.wrap(function()
            local v = Promise.await(Promise.delay(unit / 20, "late"))
            log[#log + 1] = v
          end)()
        end)
        exhaust(loop)
        assert.same({"late"}, log)
      end)

      it("is refused on the main thread in a timer", function()
        local message
        loop.timer(0, function()
          if select(2, coroutine.running()) then
            local _
            _, message = pcall(Promise.await, Promise.resolve())
          else
            message = "can't be called in a callback" -- waits as a coroutine
          end
        end)
        exhaust(loop)
        assert.matches("can't be called in a callback", message, 1, true)
      end)

      it("ends by a request while it waits", function()
        local call = Promise.spawn(Promise.await, Promise.delay(FAR))
        loop.timer(0, function() call:cancel "enough" end)
        call:catch(note "told")
        local start = loop.now()
        exhaust(loop)
        assert.same({"told"}, log)
        assert.is_true(loop.now() - start < FAR / 2)
      end)
    end)

    it("is one that another follows, and comes again", function()
      for i = 1, 2 do
        Promise.setLoop(virtual.new())
        Promise.delay(1):next(note("virtual " .. i))
        Promise.run()
        Promise.setLoop(loop)
        Promise.delay(unit / 20):next(note(i))
        Promise.run()
      end
      assert.same({"virtual 1", 1, "virtual 2", 2}, log)
    end)

    it("takes no processor time to wait", function()
      Promise.delay(unit / 5)
      local start = os.clock()
      Promise.run()
      assert.is_true(os.clock() - start < unit / 10)
    end)

    describe("an error", function()
      -- Where the error is thrown, and whether a promise brings it.
      local places = {
        ["a timer"] = {false, function(fail) loop.timer(0, fail) end},
        ["a microtask"] = {false, Promise.queueMicrotask},
        ["a handler"] =
          {true, function(fail) Promise.resolve():next(fail) end},
        ["a handler behind a delay"] =
          {true, function(fail) Promise.delay(0):next(fail) end},
      }

      for name, place in pairs(places) do
        local has_promise, start = place[1], place[2]

        it("in " .. name .. " is reported once", function()
          local reason = {}
          local seen = helper.unhandled(function()
            start(function() error(reason) end)
            exhaust(loop)
          end)
          assert.equal(1, #seen)
          assert.equal(reason, seen[1].reason)
          assert.equal(has_promise, Promise.is(seen[1].promise))
        end)

        it("in " .. name .. " harms nothing else", function()
          helper.unhandled(function()
            Promise.queueMicrotask(note "job before")
            loop.timer(0, note "timer before")
            start(function() error "boom" end)
            Promise.queueMicrotask(note "job after")
            loop.timer(0, note "timer after")
            exhaust(loop)
            Promise.queueMicrotask(note "job later")
            loop.timer(0, note "timer later")
            exhaust(loop)
          end)
          table.sort(log)
          assert.same({"job after", "job before", "job later",
            "timer after", "timer before", "timer later"}, log)
        end)
      end
    end)

    describe("Promise.run", function()
      it("runs until nothing is left to do", function()
        Promise.delay(unit):next(note "late"):next(function()
          return Promise.delay(unit)
        end):next(note "later")
        Promise.resolve():next(note "soon")
        Promise.run()
        assert.same({"soon", "late", "later"}, log)
        assert.is_false(loop.step())
      end)

      it("returns when there is nothing to do", function()
        Promise.run()
        Promise.run()
        assert.is_false(loop.step())
      end)

      -- The message of the error that Promise.run raises there.
      local function refusal(start)
        local ok, message
        start(function() ok, message = pcall(Promise.run) end)
        Promise.queueMicrotask(note "job")
        Promise.run()
        assert.is_false(ok)
        assert.same({"job"}, log) -- the outer run has gone on
        return (message:gsub("^spec/loop_spec.lua:%d+: ", ""))
      end

      local inside = {
        ["a handler"] = function(fn) Promise.resolve():next(fn) end,
        ["a microtask"] = Promise.queueMicrotask,
        ["a getter"] = function(fn)
          local thenable = setmetatable({}, {__index = fn})
          Promise.resolve():next(function() return thenable end)
        end,
        ["the hook for rejections"] = function(fn)
          local previous
          previous = Promise.onUnhandledRejection(function()
            Promise.onUnhandledRejection(previous)
            fn()
          end)
          Promise.reject()
        end,
      }
      for name, start in pairs(inside) do
        it("is refused in " .. name, function()
          assert.matches("^Promise.run can't be called in a handler",
            refusal(start))
        end)
      end

      it("is refused in a callback of the loop", function()
        assert.matches("^Promise.run can't be called in a callback",
          refusal(function(fn) loop.timer(0, fn) end))
      end)

      it("names the line that may not call it", function()
        local message
        loop.timer(0, function()
          local _
          _, message = pcall(function() Promise.run() end)
        end)
        Promise.run()
        assert.matches("loop_spec%.lua:%d+: Promise%.run can't", message)
      end)
    end)
  end)
end

describe("luv's loop", function()
  it("is what setLoop asks for when it is given luv itself", function()
    local _, message = pcall(function() Promise.setLoop(require "luv") end)
    assert.matches("bad argument #1 to 'setLoop' %(it is the library luv " ..
      "itself: give require 'cpromise%.loop%.luv'%)$", message)
  end)

  after_each(function() Promise.setLoop(nil) end)

  it("takes no processor time to wait", function()
    Promise.setLoop(luv)
    Promise.delay(0.2)
    local start = os.clock()
    Promise.run()
    assert.is_true(os.clock() - start < 0.1)
  end)
end)

describe("setLoop", function()
  after_each(function() Promise.setLoop(nil) end)

  local function with(name, value)
    local loop = {}
    for key, fn in pairs(virtual.new()) do loop[key] = fn end
    loop[name] = value
    return loop
  end

  local function message(loop)
    local _, err = pcall(function() Promise.setLoop(loop) end)
    return err
  end

  for _, v in ipairs {1, "luv", true, print} do
    it("raises for a " .. type(v), function()
      assert.matches("^spec/loop_spec%.lua:%d+: bad argument #1 to " ..
        "'setLoop' %(loop expected, got " .. type(v) .. "%)$", message(v))
    end)
  end

  for _, name in ipairs
      {"wake", "step", "now", "timer", "cancel", "inside"} do
    it("raises for a loop without " .. name, function()
      assert.matches("bad argument #1 to 'setLoop' %(a loop has a " ..
        "function '" .. name .. "'%)$", message(with(name, nil)))
    end)
  end

  it("changes nothing when it raises", function()
    local loop = virtual.new()
    Promise.setLoop(loop)
    message(with("step", 1))
    assert.equal(loop, Promise.loop())
  end)

  it("takes functions that are callable tables", function()
    local loop = with("now",
      setmetatable({}, {__call = function() return 7 end}))
    Promise.setLoop(loop)
    assert.equal(loop, Promise.loop())
  end)

  it("goes back to the loop of a loaded library for nil", function()
    Promise.setLoop(virtual.new())
    Promise.setLoop(nil)
    assert.equal(luv, Promise.loop())
  end)
end)

describe("a loop that says too early that it is done", function()
  after_each(function() Promise.setLoop(nil) end)

  it("does not end Promise.run while jobs wait", function()
    local loop, log = virtual.new(), {}
    function loop.wake() end
    function loop.step()
      if #log == 0 then
        Promise.queueMicrotask(function() log[#log + 1] = "job" end)
      end
      return false
    end
    Promise.setLoop(loop)
    Promise.run()
    assert.same({"job"}, log)
  end)
end)

describe("a loop whose wake fails", function()
  after_each(function() Promise.setLoop(nil) end)

  it("is asked again, and reported once", function()
    local loop, failures = virtual.new(), 0
    local wake = loop.wake
    function loop.wake(drain)
      if failures < 2 then
        failures = failures + 1
        error "not now"
      end
      wake(drain)
    end
    local ran = 0
    local seen = helper.unhandled(function()
      Promise.setLoop(loop)
      for _ = 1, 3 do
        Promise.queueMicrotask(function() ran = ran + 1 end)
      end
      loop.step()
      assert(ran == 3, "the loop was not asked")
    end)
    assert.equal(1, #seen)
    assert.matches("not now", seen[1].reason)
  end)

  it("is asked again by a call that queues nothing", function()
    local loop, fail = virtual.new(), true
    local wake = loop.wake
    function loop.wake(drain)
      if fail then error "not now" end
      wake(drain)
    end
    local p = Promise.withResolvers()
    local ran = false
    helper.unhandled(function()
      Promise.setLoop(loop)
      Promise.queueMicrotask(function() ran = true end)
      fail = false
      p:next(function() end)
      loop.step()
      assert(ran, "the loop was not asked")
    end)
  end)
end)

describe("a loop", function()
  after_each(function() Promise.setLoop(nil) end)

  it("hears of an executor that fails", function()
    local loop = virtual.new()
    Promise.setLoop(loop)
    local seen = {}
    local previous = Promise.onUnhandledRejection(function(reason)
      seen[#seen + 1] = reason
    end)
    Promise.new(function() error("boom", 0) end)
    loop.step()
    Promise.onUnhandledRejection(previous)
    assert.same({"boom"}, seen)
  end)

  it("that is set hears of what is left of a batch", function()
    local p, resolve = Promise.withResolvers()
    local ran = 0
    for _ = 1, 2 do p:next(function() ran = ran + 1 end) end
    resolve()
    Promise.drain(1)
    local loop = virtual.new()
    Promise.setLoop(loop)
    loop.step()
    assert.equal(2, ran)
  end)
end)
