--- Promises in a program that runs libuv's loop itself, with luv. Each
--- program is a process: whether it ends, and how, is what counts.

local child = require "spec.child"

-- A watchdog ends a program that hangs; it keeps no loop alive.
local PROLOGUE <const> = [[
local uv = require "luv"
local watchdog = uv.new_timer()
watchdog:start(10000, 0, function()
  print "hangs"
  os.exit(9)
end)
watchdog:unref()
]]

local PROMISES <const> = PROLOGUE .. [[
local Promise = require "cpromise"
local function job(name)
  return function()
    Promise.resolve(name or "job"):next(print)
  end
end
]]

local function check(expected, program)
  local text, status = child.run(program)
  assert.equal(expected, child.without_tracebacks(text))
  assert.equal(0, status)
end

describe("uv.run", function()
  -- What makes one job, in each phase of the loop or outside of it.
  local births = {
    ["before it"] = [[
      job()()
    ]],
    ["in a timer"] = [[
      local handle = uv.new_timer()
      handle:start(1, 0, function() handle:close(); job()() end)
    ]],
    ["in a timer that was the last thing alive"] = [[
      local handle = uv.new_timer()
      handle:start(1, 0, job())
    ]],
    ["in an idle callback"] = [[
      local handle = uv.new_idle()
      handle:start(function() handle:close(); job()() end)
    ]],
    ["in a prepare callback"] = [[
      local handle = uv.new_prepare()
      handle:start(function() handle:close(); job()() end)
    ]],
    ["in a check callback"] = [[
      local timer = uv.new_timer()
      timer:start(1, 0, function() timer:close() end)
      local handle = uv.new_check()
      handle:start(function() handle:close(); job()() end)
    ]],
    ["in a stopped check callback"] = [[
      local timer = uv.new_timer()
      timer:start(1, 0, function() timer:close() end)
      local handle = uv.new_check()
      handle:start(function() handle:stop(); job()() end)
    ]],
    ["when a file is ready"] = [[
      uv.fs_stat(".", job())
    ]],
    ["when a pipe is ready"] = [[
      local fds = uv.pipe({nonblock = true}, {nonblock = true})
      local reader, writer = uv.new_pipe(false), uv.new_pipe(false)
      reader:open(fds.read)
      writer:open(fds.write)
      reader:read_start(function() reader:close(); job()() end)
      writer:write("x", function() writer:close() end)
    ]],
    ["when a signal from a thread arrives"] = [[
      local handle
      handle = uv.new_async(function() handle:close(); job()() end)
      handle:send()
    ]],
    ["in the callback of a close, at the very end"] = [[
      uv.new_timer():close(job())
    ]],
    ["in a coroutine"] = [[
      local timer = uv.new_timer()
      timer:start(1, 0, coroutine.wrap(function()
        timer:close(job())
        coroutine.yield(job())
      end))
    ]],
  }

  for name, birth in pairs(births) do
    it("runs a job that is born " .. name, function()
      check("job\nend\n", PROMISES .. birth .. "uv.run() print 'end'")
    end)
  end

  for name, birth in pairs(births) do
    it("runs the jobs of jobs born " .. name, function()
      check("job\ndelayed\nlast\nend\n", PROMISES .. [[
        local first = job
        function job()
          return function()
            local made = first()
            made()
            Promise.resolve():next(function()
              return Promise.delay(0.001, "delayed")
            end):next(print):next(first "last")
          end
        end
      ]] .. birth .. "uv.run() print 'end'")
    end)
  end

  it("runs jobs when it runs once", function()
    check("job\nend\n", PROMISES .. "job()() uv.run 'once' print 'end'")
  end)

  it("runs jobs when it may not wait", function()
    check("job\nend\n", PROMISES .. [[
      job()()
      local timer = uv.new_timer()
      timer:start(5000, 0, print)
      uv.run "nowait"
      print "end"
    ]])
  end)

  it("runs jobs again after it has ended", function()
    check("1\n2\n3\n", PROMISES .. [[
      for i = 1, 3 do
        job(i)()
        uv.run()
      end
    ]])
  end)

  it("runs a job before it waits for a timer", function()
    check("job\n", PROMISES .. [[
      local late = uv.new_timer()
      late:start(5000, 0, function() print "late" end)
      Promise.delay(0.001):next(job()):next(function() late:close() end)
      uv.run()
    ]])
  end)

  it("runs a job before it waits for nothing but a pipe", function()
    check("job\n", PROMISES .. [[
      local fds = uv.pipe({nonblock = true}, {nonblock = true})
      local reader = uv.new_pipe(false)
      reader:open(fds.read)
      reader:read_start(print)
      uv.fs_stat(".", function()
        Promise.resolve():next(job()):next(function() reader:close() end)
      end)
      uv.run()
    ]])
  end)

  it("runs on after an error in a handler", function()
    check("cpromise: unhandled rejection: boom\njob\nend\n", PROMISES .. [[
      Promise.delay(0.001):next(function()
        Promise.delay(0.001):next(job())
        error("boom", 0)
      end)
      uv.run()
      print "end"
    ]])
  end)

  it("runs on after an error in a microtask", function()
    check("cpromise: unhandled error: boom\njob\nend\n", PROMISES .. [[
      Promise.queueMicrotask(function()
        Promise.delay(0.001):next(job())
        error("boom", 0)
      end)
      uv.run()
      print "end"
    ]])
  end)

  it("runs on after an error in a timer of the loop", function()
    check("cpromise: unhandled error: boom\njob\nend\n", PROMISES .. [[
      Promise.loop().timer(0.001, function() error("boom", 0) end)
      Promise.delay(0.005):next(job())
      uv.run()
      print "end"
    ]])
  end)

  it("runs on after an error in the hook for rejections", function()
    local text, status = child.run(PROMISES .. [[
      Promise.onUnhandledRejection(function() error "hook" end)
      Promise.loop().timer(0, function() error "boom" end)
      Promise.delay(0.005):next(job())
      uv.run()
      print "end"
    ]])
    assert.matches("job\nend\n$", text)
    assert.equal(0, status)
  end)

  it("does not spin while it waits", function()
    local text = child.run(PROMISES .. [[
      local turns = 0
      local prepare = uv.new_prepare()
      prepare:start(function() turns = turns + 1 end)
      prepare:unref()
      job()()
      Promise.delay(0.1):next(job()):next(function()
        return Promise.delay(0.1)
      end)
      uv.run()
      print(turns < 20 and "rests" or turns)
    ]])
    assert.equal("job\njob\nrests\n", text)
  end)

  it("has nothing alive when all is done", function()
    check("job\nfalse\n", PROMISES .. [[
      Promise.delay(0.001):next(job())
      uv.run()
      print(uv.loop_alive())
    ]])
  end)

  it("finds two handles of ours at most, whatever has fired", function()
    check("true\n", PROMISES .. [[
      for i = 1, 10 do Promise.delay(i / 1000) end
      for i = 1, 10 do
        Promise.withResolvers():timeout(i / 1000):catch(function() end)
      end
      local cancelled = Promise.loop().timer(100, print)
      Promise.loop().cancel(cancelled)
      uv.run()
      local timers = 0
      uv.walk(function(handle)
        if uv.handle_get_type(handle) == "timer" then timers = timers + 1 end
      end)
      io.write(tostring(timers - 1 <= 2), "\n") -- less the watchdog
    ]])
  end)

  it("comes to what else has happened between delays of nothing", function()
    check("seen\n", PROMISES .. [[
      local seen
      uv.fs_stat("/", function() seen = true end)
      Promise.run(function()
        repeat Promise.await(Promise.delay(0)) until seen
      end)
      print "seen"
    ]])
  end)

  it("cancels a delay of nothing that was started by another", function()
    check("once\n1\n", PROMISES .. [[
      local fired = 0
      local p
      Promise.delay(0):next(function()
        p = Promise.delay(0)
        p:next(function() fired = fired + 1 end)
        p:cancel()
        print "once"
      end)
      Promise.delay(0.01):next(function() print(fired + 1) end)
      uv.run()
    ]])
  end)

  it("runs jobs after a program has closed all handles", function()
    check("1\n2\n", PROMISES .. [[
      job(1)()
      uv.run()
      uv.walk(function(handle) handle:close() end)
      uv.run()
      job(2)()
      uv.run()
    ]])
  end)

  it("ends the program in silence", function()
    check("", PROMISES .. [[
      Promise.delay(0.001):next(function() end)
      uv.run()
    ]])
  end)
end)

describe("luv", function()
  it("may be loaded after jobs were queued", function()
    check("first\nsecond\n", [[
      local Promise = require "cpromise"
      Promise.resolve "first":next(print)
      local uv = require "luv"
      Promise.resolve "second":next(print)
      uv.run()
    ]])
  end)

  it("may be loaded after cpromise", function()
    check("job\n", [[
      local Promise = require "cpromise"
      local uv = require "luv"
      Promise.resolve "job":next(print)
      uv.run()
    ]])
  end)

  it("is not loaded to queue", function()
    check("job\nnil\n", [[
      local Promise = require "cpromise"
      Promise.resolve "job":next(print)
      Promise.drain()
      print(package.loaded.luv)
    ]])
  end)

  it("is loaded for a delay", function()
    check("late\n", [[
      local Promise = require "cpromise"
      Promise.delay(0.001, "late"):next(print)
      Promise.run()
    ]])
  end)

  it("outlives the coroutine in which a delay loads it", function()
    check("late\ntrue\n", [[
      local Promise = require "cpromise"
      local weak = setmetatable({}, {__mode = "k"})
      coroutine.wrap(function()
        weak[coroutine.running()] = true
        Promise.delay(0.001, "late"):next(print)
        coroutine.yield()
      end)()
      for _ = 1, 3 do collectgarbage() end
      Promise.run()
      print(next(weak) == nil) -- or this tests nothing
    ]])
  end)

  it("counts a delay from its call, however long the caller runs", function()
    check("true\n", PROMISES .. [[
      uv.run "nowait"
      local start = uv.hrtime()
      while uv.hrtime() - start < 50e6 do end
      local called = uv.hrtime()
      Promise.delay(0.03):next(function()
        print(uv.hrtime() - called >= 28e6)
      end)
      uv.run()
    ]])
  end)

  it("lets Promise.run follow uv.run", function()
    check("1\n2\n", PROMISES .. [[
      Promise.delay(0.001, 1):next(print)
      uv.run()
      Promise.delay(0.001, 2):next(print)
      Promise.run()
    ]])
  end)

  it("refuses Promise.run in each of its callbacks", function()
    local refused = "FILE: Promise.run can't be called in a callback of " ..
      "the loop, which is running already: start an async function there " ..
      "with Promise.spawn\n"
    check(refused:rep(3), PROMISES .. [[
      local function try()
        local _, reason = pcall(Promise.run)
        print((reason:gsub("^[^:]*:%d+", "FILE")))
      end
      uv.fs_stat(".", try)
      uv.new_timer():close(try)
      Promise.loop().timer(0.001, try)
      uv.run()
    ]])
  end)
end)
