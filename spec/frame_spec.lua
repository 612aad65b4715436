--- The loop of a host that calls once in each frame.

local Promise = require "cpromise"
local frame = require "cpromise.loop.frame"
local helper = require "spec.helper"

describe("the loop of frames", function()
  local loop, log

  local function note(what)
    return function() log[#log + 1] = what end
  end

  before_each(function()
    helper.drain()
    loop, log = frame.new(), {}
    Promise.setLoop(loop)
  end)

  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  it("has the time that it was told", function()
    loop.frame(0.5)
    loop.frame(0)
    loop.frame(0.25)
    assert.equal(0.75, loop.now())
  end)

  it("runs what falls due in a frame, in order of time", function()
    for _, seconds in ipairs {0.3, 0.1, 0.2, 0.9} do
      Promise.delay(seconds):next(note(seconds))
    end
    loop.frame(0.5)
    assert.same({0.1, 0.2, 0.3}, log)
    loop.frame(0.5)
    assert.same({0.1, 0.2, 0.3, 0.9}, log)
  end)

  it("ends, though each timer starts another", function()
    local function again()
      log[#log + 1] = "again"
      loop.timer(0, again)
    end
    loop.timer(0, again)
    loop.frame(0.1)
    assert.equal(1, #log)
    loop.frame(0.1)
    assert.equal(2, #log)
  end)

  it("lets async functions go on from frame to frame", function()
    Promise.spawn(function()
      for i = 1, 3 do
        Promise.await(Promise.delay(1 / 60))
        log[#log + 1] = i
      end
    end)
    for _ = 1, 4 do loop.frame(1 / 60) end
    assert.same({1, 2, 3}, log)
  end)

  it("refuses a frame in a frame", function()
    local ok, message
    Promise.queueMicrotask(function()
      ok, message = pcall(function() loop.frame(1) end)
    end)
    loop.frame(1)
    assert.is_false(ok)
    assert.matches("^spec/frame_spec%.lua:%d+: a frame is running already$",
      message)
    loop.frame(1)
    assert.equal(2, loop.now())
  end)

  for _, case in ipairs {
    {nil, "number expected, got nil"}, {"1", "number expected, got string"},
    {-1, "must not be negative"}, {0 / 0, "not a number (NaN)"},
    {math.huge, "must be finite"},
  } do
    it("raises for a frame of " .. tostring(case[1]), function()
      local _, message = pcall(function() loop.frame(case[1]) end)
      assert.matches("^spec/frame_spec%.lua:%d+: bad argument #1 to " ..
        "'frame' %(", message)
      assert.matches(case[2], message, 1, true)
    end)
  end
end)
