--- The end of a script: Promise.main, and Promise.traceback.

local Promise = require "cpromise"
local child = require "spec.child"
local has_luv = pcall(require, "luv")

-- What a program prints, without the name of its file, and its status.
local function run(program)
  local text, status = child.run("local Promise = require 'cpromise'\n" ..
    "local await = Promise.await\n" .. program)
  return (text:gsub("/tmp/lua_%w+:", "FILE:")), status
end

describe("Promise.main", function()
  it("runs a function with its arguments, and what is left to do", function()
    assert.same({"1\t2\nafter\nlater\nend\n", 0}, {run [[
      Promise.setLoop(require "cpromise.loop.virtual")
      Promise.main(function(...)
        print(...)
        Promise.delay(2):next(function() print "later" end)
        await(Promise.delay(1))
        print "after"
      end, 1, 2)
      print "end"]]})
  end)

  it("returns nothing", function()
    assert.same({"0\n", 0},
      {run "print(select('#', Promise.main(function() return 1 end)))"})
  end)

  it("prints a failure with its whole traceback, and ends", function()
    assert.same({[[
cpromise: the program failed: FILE:4: broken
stack traceback:
	[C]: in function 'error'
	FILE:4: in function <FILE:3>
	[await]
	FILE:7: in function <FILE:6>
	[await]
	FILE:6: in main chunk
]], 1}, {run [[
local leaf = Promise.async(function()
  await(1) error "broken"
end)
Promise.main(function()
  await(leaf())
end)
print "never"]]})
  end)

  it("shows a table by its fields", function()
    local text, status = run "Promise.main(error, {code = 5})"
    assert.equal(1, status)
    assert.matches("^cpromise: the program failed: {code = 5}\n", text)
  end)

  it("says nothing more of what is left", function()
    local text, status = run [[
Promise.main(function()
  Promise.delay(0.001)
  Promise.spawn(function() await(Promise.delay(1)) end)
  Promise.queueMicrotask(print, "runs")
  error "broken"
end)]]
    assert.equal(1, status)
    assert.is_nil(text:find("never", 1, true))
  end)

  it("closes the state: finalizers run", function()
    local text, status = run [[
      local _ = setmetatable({}, {__gc = function() print "closed" end})
      Promise.main(error, "broken")]]
    assert.equal(1, status)
    assert.matches("closed\n", text)
  end)

  it("says what a program waits for that can't go on", function()
    local text, status = run [[
Promise.main(function()
  await(Promise.event():wait())
end)]]
    assert.equal(1, status)
    assert.matches("^cpromise: the program failed: FILE:3: promise still " ..
      "pending, nothing left to do:\n└─ an async call at FILE:4\n" ..
      "   └─ wait for an event that is not set\n", text)
  end)

  it("refuses wrong arguments and places, at the line of the call", function()
    local text = run [[
print(pcall(function() Promise.main() end))
print(pcall(function() Promise.main(Promise.resolve()) end))
Promise.run(function()
  print(pcall(function() Promise.main(print) end))
end)]]
    assert.matches("FILE:3: bad argument #1 to 'main' " ..
      "%(callable expected, got nil%)\n", text)
    assert.matches("FILE:4: bad argument #1 to 'main' %(callable expected",
      text)
    assert.matches("FILE:6: Promise.main can't be called in a handler", text)
  end)

  if has_luv then
    -- A program that sends itself SIGINT so often.
    local function interrupted(times, body)
      return run(([[
local uv = require "luv"
local function interrupt() uv.kill(uv.os_getpid(), "sigint") end
Promise.main(function()
  for i = 1, %d do Promise.delay(i * 0.02):next(interrupt) end
  %s
end)
print "goes on"]]):format(times, body))
    end

    it("is cancelled by Ctrl-C, and cleans up", function()
      assert.same({"interrupted\ncleaned up\n", 130}, {interrupted(1, [[
        local _ <close> = setmetatable({}, {__close = function(_, reason)
          print(reason.reason)
          await(Promise.delay(0.01))
          print "cleaned up"
        end})
        await(Promise.delay(100))]])})
    end)

    it("ends at once at the second Ctrl-C", function()
      assert.same({"cleaning up\n", 130}, {interrupted(2, [[
        io.stdout:setvbuf "no"
        local _ <close> = setmetatable({}, {__close = function()
          print "cleaning up"
          await(Promise.delay(100))
          print "never"
        end})
        await(Promise.delay(100))]])})
    end)

    it("may go on after Ctrl-C", function()
      assert.same({"false\ngoes on\n", 0}, {interrupted(1, [[
        print((pcall(await, Promise.delay(100))))]])})
    end)

    it("prints what fails after Ctrl-C", function()
      local text, status = interrupted(1, [[
        pcall(await, Promise.delay(100))
        error "in cleaning up"]])
      assert.equal(130, status)
      assert.matches("the program failed: FILE:%d+: in cleaning up", text)
    end)

    it("ends at Ctrl-C when its function has ended", function()
      assert.same({"ended\n", 130}, {interrupted(1, [[
        io.stdout:setvbuf "no"
        Promise.delay(100)
        print "ended"]])})
    end)

    it("leaves Ctrl-C alone afterwards", function()
      local _, status = run [[
local uv = require "luv"
Promise.main(function() end)
uv.kill(uv.os_getpid(), "sigint")
for _ = 1, 1e9 do end]]
      assert.is_true(status ~= 0 and status ~= nil or status == 2)
    end)
  end
end)

describe("Promise.traceback", function()
  -- The text that a message handler makes of a failing function.
  local function handled(fn, handler)
    local _, text = xpcall(fn, handler or Promise.traceback)
    return (text:gsub("spec/main_spec.lua:%d+", "HERE"))
  end

  it("knows where a reason was thrown that came through awaits", function()
    local text = handled(function()
      local inner = Promise.async(function()
        Promise.await(1)
        error("broken", 0)
      end)
      Promise.run(function() Promise.await(inner()) end)
    end)
    assert.matches("^broken\nstack traceback:\n" ..
      "\t%[C%]: in function 'error'\n" ..
      "\tHERE: in function <HERE>\n" ..
      "\t%[await%]\n" ..
      "\tHERE: in function <HERE>\n" ..
      "\t%[await%]\n" ..
      "\tHERE: in function <HERE>\n", text)
  end)

  it("is like debug.traceback for other errors", function()
    local text = handled(function() error("plain", 0) end)
    assert.matches("^plain\nstack traceback:\n" ..
      "\t%[C%]: in function 'error'\n\tHERE: in function <HERE>\n", text)
  end)

  it("starts at a level", function()
    local text = handled(function() error("plain", 0) end, function(err)
      return Promise.traceback(err, 3)
    end)
    assert.matches("^plain\nstack traceback:\n\tHERE: in function <HERE>\n",
      text)
  end)

  it("shows tables by their fields, and every reason as text", function()
    assert.matches("^{code = 1}\nstack",
      handled(function() error {code = 1} end))
    assert.matches("^nil\nstack", handled(function() error(nil) end))
    assert.matches("^true\nstack", handled(function() error(true) end))
  end)

  it("leaves the reason alone that others catch", function()
    local reason = {}
    local p = Promise.reject(reason)
    handled(function() Promise.await(p) end)
    assert.equal(reason, select(2, p:status()))
  end)

  it("refuses a level that is no integer", function()
    local ok = pcall(Promise.traceback, "x", "y")
    assert.is_false(ok)
  end)
end)
