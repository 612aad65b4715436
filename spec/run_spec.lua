--- Promise.run, on each loop. Most programs run in a process of their own:
--- so they have just the loop that they load.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await, spawn = Promise.await, Promise.spawn

-- What makes `Promise` use each loop.
local prologues = {
  luv = [[
    local uv = require "luv"
    local watchdog = uv.new_timer() -- ends a program that hangs
    watchdog:start(10000, 0, function()
      print "hangs"
      os.exit(9)
    end)
    watchdog:unref()
  ]],
  ["the virtual loop"] = [[
    Promise.setLoop(require "cpromise.loop.virtual".new())
  ]],
  ["no loop"] = [[
    package.preload.luv = function() error "not here" end
    package.preload.cqueues = package.preload.luv
  ]],
}

if pcall(require, "cqueues") then
  prologues.cqueues = [[
    package.preload.luv = function() error "not here" end
    require "cqueues"
  ]]
  prologues["cqueues, which is found later"] = [[
    package.preload.luv = function() error "not here" end
  ]]
end

local PROLOGUE <const> = [[
  local Promise = require "cpromise"
  local await = Promise.await
  local function show(...)
    print(select("#", ...), ...)
  end
]]

-- `{title, what the program prints, program}`
local programs = {
  {"returns the values", "4 nil 2 nil nil", [[
    show(Promise.run(function(...)
      return await(nil), ..., nil, nil
    end, 2))
  ]]},
  {"passes all arguments", "3 nil 2 nil", [[
    Promise.run(show, nil, 2, nil)
  ]]},
  {"returns no values", "0", [[
    show(Promise.run(function() await(1) end))
  ]]},
  {"takes what can be called", "2 true 1", [[
    local object
    object = setmetatable({}, {__call = function(self, ...)
      return self == object, await(...)
    end})
    show(Promise.run(object, 1))
  ]]},
  {"raises the reason unaltered", "3 false true nil", [[
    local reason = {}
    local ok, seen, more = pcall(Promise.run, function()
      await(1)
      error(reason)
    end)
    show(ok, seen == reason, more)
  ]]},
  {"raises nil", "2 false nil", [[
    show(pcall(Promise.run, function() error(nil, 0) end))
  ]]},
  {"returns the values of the promise that is returned", "2 1 2", [[
    show(Promise.run(function() return Promise.resolve(1, 2) end))
  ]]},
  {"raises when nothing is left to do",
    "2 false promise still pending, nothing left to do", [[
    local ok, reason = pcall(Promise.run, function()
      await(Promise.new(function() end))
    end)
    show(ok, (reason:gsub("^.-:%d+: ", ""):gsub(":\n.*", "")))
  ]]},
  {"runs the jobs that wait", "1 first 1 second 1 third", [[
    Promise.resolve "first":next(show)
    Promise.run(function()
      await(1)
      show "second"
      await(1)
    end)
    show "third"
  ]]},
  {"runs all jobs when it is given no function", "1 a 1 b 1 end", [[
    Promise.resolve "a":next(function(a)
      show(a)
      return "b"
    end):next(show)
    Promise.run()
    show "end"
  ]]},
  {"returns nothing when it is given no function", "0", [[
    show(Promise.run())
  ]]},
  {"does nothing when nothing is to do", "1 end", [[
    Promise.new(function() end):next(show)
    Promise.run()
    Promise.run()
    show "end"
  ]]},
  {"can follow itself", "1 1 1 2 1 3", [[
    for i = 1, 3 do show(Promise.run(await, i)) end
  ]]},
  {"runs after one that raised", "1 false 1 2", [[
    show((pcall(Promise.run, error, 1)))
    show(Promise.run(await, 2))
  ]]},
  {"leaves the outcome of others alone", "1 2 2 false 1", [[
    local other = Promise.spawn(function()
      await(1)
      error(1, 0)
    end)
    other:catch(function() end)
    show(Promise.run(await, 2))
    show(Promise.pawait(other))
  ]]},
}

-- The same, of programs that need timers.
local timed = {
  {"runs the loop until the call has settled", "1 a 1 b 1 c", [[
    Promise.run(function()
      show(await(Promise.delay(0.002, "a")))
      show(await(Promise.delay(0.001, "b")))
    end)
    show "c"
  ]]},
  {"returns at once when the call has settled", "1 early 1 false", [[
    local fired = false
    Promise.delay(5):next(function() fired = true end)
    show(Promise.run(function()
      return await(Promise.delay(0.001, "early"))
    end))
    show(fired)
    os.exit(0) -- or luv waits
  ]]},
  {"goes on with what an earlier one left", "1 1 1 2", [[
    local late = Promise.delay(0.005, 2)
    show(Promise.run(function() return await(Promise.delay(0.001, 1)) end))
    show(Promise.run(function() return await(late) end))
  ]]},
  {"waits for all timers when it is given no function", "1 1 1 2 1 end", [[
    Promise.delay(0.001, 1):next(function(i)
      show(i)
      return Promise.delay(0.001, 2)
    end):next(show)
    Promise.run()
    show "end"
  ]]},
  {"raises what is thrown after a wait", "2 false boom", [[
    show(pcall(Promise.run, function()
      await(Promise.delay(0.001))
      error("boom", 0)
    end))
  ]]},
  {"waits for timers before it raises that nothing is left",
    "1 fired 1 false", [[
    Promise.delay(0.001, "fired"):next(show)
    show((pcall(Promise.run, await, Promise.new(function() end))))
  ]]},
  {"is refused in a timer", "1 refused 1 refused", [[
    local function try(...)
      local _, reason = pcall(Promise.run, ...)
      show(reason:find("callback of the loop", 1, true) and "refused")
    end
    Promise.loop().timer(0.001, function()
      try()
      try(print)
    end)
    Promise.run()
  ]]},
}

describe("Promise.run", function()
  for name, prologue in pairs(prologues) do
    local function check(program)
      it(program[1] .. ", on " .. name, function()
        local text, status =
          child.run(PROLOGUE .. prologue .. program[3])
        assert.equal(program[2], (text:gsub("%s+$", ""):gsub("%s+", " ")))
        assert.equal(0, status)
      end)
    end

    -- a loop is found when it is needed, but `Promise.loop()` finds none
    for _, program in ipairs(programs) do check(program) end
    if name ~= "no loop" and not name:find "later" then
      for _, program in ipairs(timed) do check(program) end
    end
  end

  it("loads luv where it is installed", function()
    local text, status = child.run(PROLOGUE .. [[
      show(Promise.run(function()
        local delay = Promise.delay(0.001, "late")
        return await(delay), package.loaded.luv ~= nil
      end))
    ]])
    assert.equal("2\tlate\ttrue\n", text)
    assert.equal(0, status)
  end)

  it("says what a delay without a loop needs", function()
    local text = child.run(PROLOGUE .. prologues["no loop"] .. [[
      show(pcall(Promise.run, function() await(Promise.delay(1)) end))
    ]])
    assert.matches("Promise.delay needs an event loop: install luv", text)
  end)

  it("reports the rejections that nobody handles before it ends", function()
    local text = child.run(PROLOGUE .. prologues["no loop"] .. [[
      Promise.run(function()
        Promise.reject "boom"
        await(1)
      end)
      io.stderr:write "end\n"
    ]])
    assert.equal("cpromise: unhandled rejection: boom\nend\n", text)
  end)
end)

describe("Promise.run", function()
  local loop
  before_each(function()
    loop = virtual.new()
    Promise.setLoop(loop)
  end)
  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  it("moves the clock no further than it must", function()
    local late = loop.timer(10, function() end)
    Promise.run(function() await(Promise.delay(2)) end)
    assert.equal(2, loop.now())
    loop.cancel(late)
  end)

  it("handles the rejection that it raises", function()
    assert.same({}, helper.unhandled(function()
      pcall(Promise.run, error, "boom")
      pcall(Promise.run, function() await(Promise.reject "boom") end)
    end))
  end)

  it("runs the loop in a coroutine, too", function()
    local co = coroutine.create(function()
      return Promise.run(function()
        return await(Promise.delay(1, "late"))
      end)
    end)
    assert.same({true, "late"}, {coroutine.resume(co)})
  end)

  it("runs until nothing is left in a coroutine, too", function()
    local fired = false
    loop.timer(1, function() fired = true end)
    coroutine.wrap(Promise.run)()
    assert.is_true(fired)
  end)

  it("waits for a call that an earlier one left pending", function()
    local gate, open = Promise.withResolvers()
    local call = spawn(await, gate)
    assert.is_false(pcall(Promise.run, await, call))
    open(1)
    assert.equal(1, Promise.run(await, call))
  end)

  -- Where it is refused, as the loop, a job or a call runs already.
  local places = {
    ["a handler"] = function(try) Promise.resolve():next(try) end,
    ["a handler of rejections"] = function(try)
      Promise.reject():catch(try)
    end,
    ["a microtask"] = Promise.queueMicrotask,
    ["an executor"] = function(try) Promise.new(try) end,
    ["an executor in a handler"] = function(try)
      Promise.resolve():next(function() Promise.new(try) end)
    end,
    ["an iterator"] = function(try) Promise.all(try) end,
    ["a getter"] = function(try)
      Promise.resolve(setmetatable({}, {__index = try}))
    end,
    ["an async call"] = function(try) spawn(try) end,
    ["an async call that has waited"] = function(try)
      spawn(function()
        await(1)
        try()
      end)
    end,
    ["a coroutine in an async call"] = function(try)
      spawn(function() coroutine.wrap(try)() end)
    end,
    ["a generator in an async call"] = function(try)
      spawn(function() Promise.wrap(try)() end)
    end,
    ["a coroutine that has waited"] = function(try)
      coroutine.wrap(function()
        await(1)
        try()
      end)()
    end,
    ["Promise.run"] = function(try) Promise.run(try) end,
    ["a timer"] = function(try) loop.timer(1, try) end,
    ["the hook for rejections"] = function(try)
      local previous
      previous = Promise.onUnhandledRejection(function()
        Promise.onUnhandledRejection(previous)
        try()
      end)
      Promise.reject()
    end,
  }
  for place, enter in pairs(places) do
    it("is refused in " .. place, function()
      local ran = false
      local reasons = {}
      local first
      enter(function()
        first = debug.getinfo(1, "l").currentline + 1
        reasons[1] = select(2, pcall(function()
          Promise.run(function() ran = true end)
        end))
        reasons[2] = select(2, pcall(function()
          Promise.run()
        end))
      end)
      Promise.run()
      assert.is_false(ran)
      for i, at in ipairs {first + 1, first + 4} do
        assert.matches("^spec/run_spec.lua:" .. at ..
          ": Promise.run can't be called ", reasons[i])
      end
      assert.equal(1, Promise.run(await, 1))
      assert.equal(0, Promise.drain())
    end)
  end
end)
