--- The loop whose time moves only when it is told to.

local Promise = require "cpromise"
local virtual = require "cpromise.loop.virtual"
local helper = require "spec.helper"

describe("the virtual loop", function()
  local loop, log

  local function note(what)
    return function() log[#log + 1] = what end
  end

  before_each(function()
    loop, log = virtual.new(), {}
    Promise.setLoop(loop)
  end)

  after_each(function()
    Promise.drain()
    Promise.setLoop(nil)
  end)

  describe("new", function()
    it("makes a loop that starts at zero", function()
      assert.equal(0, loop.now())
    end)

    it("makes loops that share neither time nor timers", function()
      local other = virtual.new()
      other.timer(1, note "other")
      loop.advance(5)
      assert.same({}, log)
      assert.equal(0, other.now())
      assert.is_false(loop.step())
    end)

    it("leaves the module a loop itself", function()
      Promise.setLoop(virtual)
      local start = virtual.now()
      Promise.delay(2):next(note "late")
      virtual.advance(2)
      assert.same({"late"}, log)
      assert.equal(start + 2, virtual.now())
    end)
  end)

  describe("advance", function()
    it("moves the time", function()
      loop.advance(1.5)
      loop.advance(0)
      loop.advance(2)
      assert.equal(3.5, loop.now())
    end)

    it("fires what falls due, its own end included", function()
      for i = 1, 4 do loop.timer(i, note(i)) end
      loop.advance(3)
      assert.same({1, 2, 3}, log)
    end)

    it("fires each timer at its time", function()
      for _, seconds in ipairs {2, 0.5, 1} do
        loop.timer(seconds, function() log[#log + 1] = loop.now() end)
      end
      loop.advance(10)
      assert.same({0.5, 1, 2}, log)
      assert.equal(10, loop.now())
    end)

    it("fires nothing before its time", function()
      loop.timer(1, note "late")
      loop.advance(0.999)
      assert.same({}, log)
      loop.advance(0.001)
      assert.same({"late"}, log)
    end)

    it("keeps the order of many timers", function()
      local expected = {}
      for i = 1, 500 do
        local seconds = i * 7919 % 101 -- each time about five times
        expected[i] = {seconds, i}
        loop.timer(seconds, note(expected[i]))
      end
      table.sort(expected, function(a, b)
        if a[1] ~= b[1] then return a[1] < b[1] end
        return a[2] < b[2]
      end)
      loop.advance(101)
      assert.same(expected, log)
    end)

    it("keeps the order of those that are left", function()
      local timers = {}
      for i = 1, 20 do timers[i] = loop.timer(21 - i, note(21 - i)) end
      for i = 1, 20, 2 do loop.cancel(timers[i]) end
      loop.advance(30)
      assert.same({1, 3, 5, 7, 9, 11, 13, 15, 17, 19}, log)
    end)

    it("runs the jobs that wait first", function()
      loop.timer(0, note "timer")
      Promise.queueMicrotask(note "job")
      loop.advance(0)
      assert.same({"job", "timer"}, log)
    end)

    it("runs jobs between one timer and the next", function()
      for i = 1, 2 do
        loop.timer(1, function()
          note("timer " .. i)()
          Promise.resolve():next(note("job " .. i))
            :next(note("its job " .. i))
        end)
      end
      loop.advance(1)
      assert.same({"timer 1", "job 1", "its job 1",
        "timer 2", "job 2", "its job 2"}, log)
    end)

    it("fires timers that start in the span and end in it", function()
      Promise.delay(1):next(function()
        log[#log + 1] = loop.now()
        return Promise.delay(1)
      end):next(function()
        log[#log + 1] = loop.now()
        return Promise.delay(2)
      end):next(note "beyond")
      loop.advance(3)
      assert.same({1, 2}, log)
      loop.advance(1)
      assert.same({1, 2, "beyond"}, log)
    end)

    it("reports a rejection at the time at which it happens", function()
      local seen = helper.unhandled(function()
        local hook
        hook = Promise.onUnhandledRejection(function(...)
          log[#log + 1] = loop.now()
          hook(...)
        end)
        Promise.delay(1):next(error)
        loop.advance(5)
        Promise.onUnhandledRejection(hook)
      end)
      assert.equal(1, #seen)
      assert.same({1}, log)
    end)

    it("may be called in a timer, and time never goes back", function()
      loop.timer(1, function()
        loop.advance(10)
        log[#log + 1] = loop.inside()
      end)
      loop.timer(3, note "nested")
      loop.advance(5)
      assert.same({"nested", true}, log)
      assert.equal(11, loop.now())
      assert.is_false(loop.inside())
    end)

    it("may be called in a job", function()
      loop.timer(2, function() Promise.queueMicrotask(note "last") end)
      Promise.queueMicrotask(function()
        loop.advance(3)
        log[#log + 1] = loop.now()
      end)
      loop.advance(1)
      assert.same({3, "last"}, log)
      assert.equal(3, loop.now())
    end)

    local wrong = {
      {"number expected, got nil", nil},
      {"number expected, got string", "1"},
      {"number expected, got promise", Promise.resolve()},
      {"must not be negative", -1},
      {"not a number (NaN)", 0 / 0},
    }
    for _, case in ipairs(wrong) do
      it("raises for " .. tostring(case[2]):gsub("0x%x+", ""), function()
        loop.timer(0, note "fired")
        local ok, err = pcall(function() loop.advance(case[2]) end)
        assert.is_false(ok)
        assert.matches("^spec/virtual_spec%.lua:%d+: ", err)
        local expected =
          ("bad argument #1 to 'advance' (%s)"):format(case[1])
        assert.equal(expected, err:match ": (bad.*)$")
        assert.same({}, log)
        assert.equal(0, loop.now())
        loop.advance(0)
      end)
    end
  end)

  describe("step", function()
    it("jumps to the next timer", function()
      loop.timer(1e6, note "far")
      loop.timer(5, note "near")
      assert.is_true(loop.step())
      assert.same({"near"}, log)
      assert.equal(5, loop.now())
      assert.is_false(loop.step())
      assert.same({"near", "far"}, log)
      assert.equal(1e6, loop.now())
    end)

    it("skips a timer that was cancelled", function()
      loop.cancel(loop.timer(1, note "cancelled"))
      loop.timer(2, note "kept")
      loop.step()
      assert.same({"kept"}, log)
      assert.equal(2, loop.now())
    end)

    it("does not move the time when there is no timer", function()
      loop.cancel(loop.timer(1, note "cancelled"))
      Promise.queueMicrotask(note "job")
      assert.is_false(loop.step())
      assert.same({"job"}, log)
      assert.equal(0, loop.now())
    end)
  end)

  describe("with Promise.run", function()
    it("spends as much time as the timers need", function()
      Promise.all {Promise.delay(60), Promise.delay(3600)}:next(note "all")
      Promise.run()
      assert.same({"all"}, log)
      assert.equal(3600, loop.now())
    end)

    it("gives the same log each time", function()
      local function program()
        log = {}
        Promise.setLoop(virtual.new())
        for i = 1, 50 do
          Promise.delay(i * 31 % 7):next(note(i)):next(note(-i))
        end
        Promise.run()
        return log
      end
      assert.same(program(), program())
    end)
  end)
end)
