--- Delays and timeouts by the thousand, against a list that is sorted.

local Promise = require "cpromise"
local alloc = require "support.alloc"
local core = require "cpromise.core"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local loop

before_each(function()
  loop = virtual.new()
  Promise.setLoop(loop)
end)

after_each(function()
  Promise.drain()
  Promise.setLoop(nil)
end)

-- A number from a few, so that durations are shared, or from many.
local function duration(few)
  if few then return math.random(5) end
  return math.random() * 5
end

describe("timers", function()
  for _, few in ipairs {true, false} do
    local kind = few and "few durations" or "many durations"

    it("fire in order of time, then of their start: " .. kind, function()
      math.randomseed(few and 1 or 2)
      local expected, log = {}, {}
      for i = 1, 2000 do
        if i % 10 == 0 then loop.advance(0.25) end
        local seconds = duration(few)
        local due = loop.now() + seconds
        local p = Promise.delay(seconds)
        p:next(function() log[#log + 1] = i end)
        if math.random(3) > 1 then
          expected[#expected + 1] = {due = due, i = i, p = p}
        else
          p:cancel()
        end
      end
      table.sort(expected, function(a, b)
        if a.due ~= b.due then return a.due < b.due end
        return a.i < b.i
      end)
      loop.advance(20)
      assert.equal(#expected, #log)
      for k, entry in ipairs(expected) do assert.equal(entry.i, log[k]) end
      assert.same({0, 0}, {core.waiting()})
    end)

    it("keep nothing of what was cancelled: " .. kind, function()
      local function round()
        local all = {}
        for i = 1, 2000 do all[i] = Promise.delay(duration(few) + 100) end
        local limits = {}
        for i = 1, 2000 do
          limits[i] = Promise.withResolvers():timeout(duration(few) + 100)
        end
        for i = 1, 2000 do
          local j = i * 7919 % 2000 + 1
          all[j]:cancel()
          limits[j]:cancel()
        end
        Promise.drain()
        helper.collect()
        return collectgarbage "count"
      end
      round()
      round()
      local before = round()
      for _ = 1, 5 do round() end
      assert.is_true(round() - before < 40)
    end)
  end

  it("of a million settle or leave", function()
    local n = math.floor(1e5 * helper.scale)
    local settled, left = 0, 0
    for i = 1, n do
      local p = Promise.delay(i % 7 + 1)
      p:next(function() settled = settled + 1 end,
        function() left = left + 1 end)
      if i % 2 == 0 then p:cancel() end
    end
    loop.advance(10)
    assert.same({n - n // 2, n // 2}, {settled, left})
  end)

  it("take times from nanoseconds to years, and for ever", function()
    local log = {}
    for _, seconds in ipairs {1e-9, 1e-6, 0.5, 86400, 3.2e7 * 100} do
      Promise.delay(seconds, seconds):next(function(v)
        log[#log + 1] = v
      end)
    end
    local never = Promise.delay(math.huge)
    loop.advance(3.2e9 * 2)
    assert.same({1e-9, 1e-6, 0.5, 86400, 3.2e9}, log)
    assert.equal("pending", (never:status()))
    never:cancel()
  end)

  it("go on after the loop has refused a timer", function()
    local log = {}
    local timer = loop.timer
    Promise.delay(1, "a"):next(function(v) log[#log + 1] = v end)
    function loop.timer() error("no timers left", 0) end
    local ok, err = pcall(Promise.delay, 0.5)
    assert.same({false, "no timers left"}, {ok, err})
    loop.timer = timer
    Promise.delay(2, "b"):next(function(v) log[#log + 1] = v end)
    loop.advance(3)
    assert.same({"a", "b"}, log)
  end)

  it("that are due are armed again after the loop has refused", function()
    local log = {}
    local timer = loop.timer
    Promise.delay(1, "a"):next(function(v) log[#log + 1] = v end)
    Promise.delay(2, "b"):next(function(v) log[#log + 1] = v end)
    function loop.timer() error("no timers left", 0) end
    local reports = helper.unhandled(function() loop.advance(1) end)
    assert.same({"a"}, log)
    assert.is_true(#reports > 0)
    loop.timer = timer
    Promise.queueMicrotask(function() end)
    Promise.drain()
    loop.advance(1)
    assert.same({"a", "b"}, log)
  end)

  it("wait while the clock goes back", function()
    local offset, log = 0, {}
    local now = loop.now
    loop.now = function() return now() + offset end
    Promise.setLoop(loop)
    Promise.delay(1):next(function() log[#log + 1] = "first" end)
    offset = -1000
    Promise.delay(1):next(function() log[#log + 1] = "second" end)
    loop.advance(2000)
    assert.same({"first", "second"}, log)
  end)

  it("need a loop whose clock shows numbers", function()
    local now = loop.now
    function loop.now() return "noon" end
    Promise.setLoop(loop)
    local ok, err = pcall(Promise.delay, 1)
    assert.same({false, "the loop's function 'now' returned no number"},
      {ok, err})
    assert.same({0, 0}, {core.waiting()})
    loop.now = now
    Promise.setLoop(loop)
    local p = Promise.delay(1, "value")
    loop.advance(1)
    assert.same({"fulfilled", "value"}, {p:status()})
  end)

  it("get another one of the loop, which has lost the first", function()
    local handles, timer = {}, loop.timer
    function loop.timer(...)
      handles[#handles + 1] = timer(...)
      return handles[#handles]
    end
    local p = Promise.delay(1, "value")
    loop.cancel(handles[1]) -- the program closes all it finds
    loop.advance(1.5)
    Promise.delay(9)
    assert.equal(1, #handles) -- it may still come
    loop.advance(1)
    Promise.delay(9)
    assert.equal(2, #handles)
    loop.advance(0)
    assert.same({"fulfilled", "value"}, {p:status()})
    loop.advance(20)
    assert.same({0, 0}, {core.waiting()})
  end)

  it("of a loop that was given up are nothing to those that wait", function()
    function loop.cancel() end -- it fires in vain
    local p = Promise.delay(1, "value")
    Promise.setLoop(nil)
    loop.advance(2)
    assert.equal("pending", (p:status()))
    local other = virtual.new()
    Promise.setLoop(other)
    other.advance(1)
    assert.same({"fulfilled", "value"}, {p:status()})
  end)

  it("leave a limit to what has settled in the job that runs", function()
    local p, resolve = Promise.withResolvers()
    local limit = p:timeout(1)
    Promise.queueMicrotask(function()
      resolve "value"
      loop.advance(2)
    end)
    assert.same({"fulfilled", "value"}, {helper.outcome(limit)})
  end)

  it("lose nothing if a finalizer starts one while another starts",
    function()
      for litter = 0, 40 do
        local state <close> = alloc.open()
        -- the 17th duration, and the 18th, need more room
        assert(state:run(([[
          local Promise = require "cpromise"
          local loop = require "cpromise.loop.virtual".new()
          Promise.setLoop(loop)
          local all = {}
          for i = 1, 16 do all[i] = Promise.delay(i, i) end
          collectgarbage "stop"
          setmetatable({}, {__gc = function()
            all[17] = Promise.delay(17, 17)
          end})
          require "spec.collector" (1, 100, 1)
          collectgarbage "restart"
          for _ = 1, %d do local _ = {} end
          all[18] = Promise.delay(18, 18)
          collectgarbage()
          for i = 1, 18 do
            loop.advance(1)
            for k = 1, 18 do
              local state, value = all[k]:status()
              assert(state == (k <= i and "fulfilled" or "pending"))
              assert(k > i or value == k)
            end
          end
        ]]):format(litter)))
      end
    end)

  it("end a limit though memory lacks, and a finalizer settles its source",
    function()
      local seen = {}
      for _, jobs in ipairs {"Promise.drain()", ""} do
        for litter = 0, 45 do
          for first = 1, 20 do
            local state <close> = alloc.open()
            assert(state:run(([[
              local Promise = require "cpromise"
              local loop = require "cpromise.loop.virtual".new()
              Promise.setLoop(loop)
              local p, resolve = Promise.withResolvers()
              local limit = p:timeout(1)
              limit:catch(type)
              package.loaded.trial = function()
                collectgarbage "stop"
                setmetatable({}, {__gc = function()
                  resolve "value"
                  %s
                end})
                require "spec.collector" (1, 100, 1)
                collectgarbage "restart"
                for _ = 1, %d do local _ = {} end
                package.loaded.trial = limit
                return loop.advance
              end
            ]]):format(jobs, litter)))
            assert(state:run "advance = package.loaded.trial()")
            state:run("advance(1)", first, first + 1)
            local _, own, value = assert(state:run [[
              collectgarbage "stop"
              local Promise = require "cpromise"
              Promise.drain()
              require "cpromise".loop().advance(5)
              local own, value = package.loaded.trial:status()
              return own, Promise.isTimeout(value) and "timeout" or value
            ]])
            assert.not_equal("pending", own)
            seen[value] = true
          end
        end
      end
      local short = "not enough memory"
      assert.same({value = true, timeout = true, [short] = true}, seen)
    end)

  it("leave a limit that was cancelled to that", function()
    local p = Promise.withResolvers()
    local limit = p:timeout(1)
    assert.is_true(limit:cancel "by hand")
    loop.advance(2)
    local state, reason = limit:status()
    assert.equal("rejected", state)
    assert.is_true(Promise.isCancelled(reason))
  end)

  it("cancel what a timeout limits, and wait till that has ended", function()
    local log = {}
    local limit = Promise.spawn(function()
      local _ <close> = setmetatable({}, {__close = function(_, reason)
        log[#log + 1] = Promise.isCancelled(reason) and "told" or "not told"
        Promise.await(Promise.delay(3))
        log[#log + 1] = "cleaned up"
      end})
      Promise.await(Promise.delay(100))
    end):timeout(1, "slow")
    limit:catch(function() log[#log + 1] = "timed out" end)
    loop.advance(2)
    assert.same({"told"}, log)
    assert.equal("pending", (limit:status()))
    loop.advance(3)
    assert.same({"told", "cleaned up", "timed out"}, log)
    local _, reason = limit:status()
    assert.same({"timed out after 1 second: slow", 1, "slow"},
      {tostring(reason), reason.seconds, reason.reason})
  end)
end)

describe("interval", function()
  it("gives each turn at its time, however long the last one took", function()
    local log = {}
    Promise.spawn(function()
      for i in Promise.interval(10) do
        log[#log + 1] = i .. " at " .. loop.now()
        if i == 2 then Promise.await(Promise.delay(25)) end
        if i == 4 then break end
      end
    end)
    loop.advance(100)
    assert.same({"1 at 10", "2 at 20", "3 at 50", "4 at 60"}, log)
  end)

  it("raises where one can't wait, at the caller's line", function()
    local step = Promise.interval(1)
    local message
    Promise.resolve():next(function()
      local _, err = pcall(function() step() end)
      message = err
    end)
    Promise.drain()
    assert.matches("^spec/timers_spec.lua:%d+: can't await", message)
  end)

  for _, wrong in ipairs {-1, 0, 0 / 0, math.huge, "1", {}} do
    it("raises for " .. tostring(wrong):gsub("0x.*", ""), function()
      local ok, err = pcall(function() Promise.interval(wrong) end)
      assert.is_false(ok)
      assert.matches("^spec/timers_spec.lua:%d+: bad argument #1 to " ..
        "'interval'", err)
    end)
  end
end)
