--- The debug mode: where promises were made, and mistakes that are no errors.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"

local function nop() end

-- What a program prints in the debug mode, without the name of its file.
local function run(program)
  local text, status = child.run(
    "local Promise = require 'cpromise' Promise.debug(true)\n" .. program)
  assert.equal(0, status, text)
  return (text:gsub("/tmp/lua_%w+:", "FILE:"))
end

describe("Promise.debug", function()
  after_each(function() Promise.debug(false) end)

  it("tells whether it is on, and switches it", function()
    assert.is_false(Promise.debug())
    assert.is_false(Promise.debug(true))
    assert.is_true(Promise.debug())
    assert.is_true(Promise.debug(true))
    assert.is_true(Promise.debug(false))
    assert.is_false(Promise.debug())
  end)

  it("refuses what is no boolean, at the line of the call", function()
    for _, wrong in ipairs {1, "on"} do
      local _, reason = pcall(function() Promise.debug(wrong) end)
      assert.matches("^spec/debug_spec.lua:%d+: bad argument #1 to " ..
        "'debug' %(boolean or table expected", reason)
    end
    for _, wrong in ipairs {{slow = "x"}, {slow = -1}, {fast = 1}} do
      local _, reason = pcall(function() Promise.debug(wrong) end)
      assert.matches("^spec/debug_spec.lua:%d+: bad argument #1 to 'debug'",
        reason)
    end
    assert.is_false(Promise.debug())
  end)

  -- Each makes a promise, in one line.
  local ways = {
    ["Promise.new"] = function() return Promise.new(nop) end,
    ["Promise()"] = function() return Promise(nop) end,
    ["Promise.resolve"] = function() return Promise.resolve {next = nop} end,
    ["Promise.reject"] = function() return Promise.reject(1):ignore() end,
    ["Promise.withResolvers"] =
      function() return (Promise.withResolvers()) end,
    ["Promise.try"] = function() return Promise.try(nop) end,
    ["Promise.all"] = function() return Promise.all {} end,
    ["Promise.select"] = function() return Promise.select {a = 1} end,
    ["next"] = function() return Promise.resolve():next(nop) end,
    ["catch"] = function() return Promise.resolve():catch(nop) end,
    ["finally"] = function() return Promise.resolve():finally(nop) end,
    ["Promise.shield"] =
      function() return Promise.shield(Promise.resolve()) end,
    ["Promise.spawn"] = function() return Promise.spawn(nop) end,
    ["an async function"] = function() return Promise.async(nop)() end,
    ["a channel"] = function() return Promise.channel():receive() end,
    ["a semaphore"] = function() return Promise.semaphore(1):acquire() end,
    ["an event"] = function() return Promise.event():wait() end,
    ["Promise.map"] = function() return Promise.map({}, nop) end,
    ["Promise.scope"] = function() return Promise.scope(nop) end,
  }
  for way, make in pairs(ways) do
    it("knows where a promise was made by " .. way, function()
      Promise.debug(true)
      local p = make()
      local line = debug.getinfo(make, "S").linedefined
      local origin = Promise.inspect(p).origin
      assert.matches("^stack traceback:\n", origin)
      local made = tonumber(origin:match "spec/debug_spec.lua:(%d+)")
      assert.is_true(made >= line and made <= line + 2, origin)
      assert.matches(", made at spec/debug_spec.lua:" .. made .. "$",
        tostring(p))
      helper.drain()
    end)
  end

  it("knows nothing of what was made while it was off", function()
    local before = Promise.new(nop)
    Promise.debug(true)
    local p = Promise.new(nop)
    Promise.debug(false)
    assert.is_nil(Promise.inspect(before).origin)
    assert.is_nil(Promise.inspect(p).origin)
    assert.matches("%(pending%)$", tostring(p))
  end)

  it("keeps no promise alive", function()
    Promise.debug(true)
    local weak = setmetatable({Promise.new(nop)}, {__mode = "v"})
    helper.collect()
    helper.collect()
    assert.is_nil(weak[1])
  end)
end)

describe("in the debug mode", function()
  it("a traceback goes on where the handler was registered", function()
    assert.equal([[
stack traceback:
	[C]: in function 'error'
	FILE:3: in function <FILE:3>
	[made]
	FILE:3: in function 'load'
	FILE:5: in main chunk
]], run [[
local function load()
  return Promise.resolve():next(function() error "broken" end)
end
local p = load()
p:ignore()
Promise.run()
print((p:traceback()))]])
  end)

  it("a report says where the promise was made", function()
    assert.equal([[
cpromise: unhandled rejection: reason
stack traceback:
	[made]
	FILE:2: in main chunk
]], run [[
Promise.reject "reason"
Promise.run()]])
  end)

  it("an origin goes on with that of the call that made it", function()
    local origin = run [[
local function inner() return Promise.new(function() end) end
local function outer()
  Promise.await(1)
  kept = inner() -- line 5
end
Promise.run(outer)
print(Promise.inspect(kept).origin)]]
    assert.equal([[
stack traceback:
	FILE:2: in upvalue 'inner'
	FILE:5: in function <FILE:3>
	[made]
	FILE:7: in main chunk
]], (origin:gsub("in function 'inner'", "in upvalue 'inner'")))
  end)

  it("and with that of the handler that made it", function()
    local origin = run [[
Promise.resolve():next(function()
  kept = Promise.new(function() end)
end)
Promise.run()
print(Promise.inspect(kept).origin)]]
    assert.equal([[
stack traceback:
	FILE:3: in function <FILE:2>
	[made]
	FILE:2: in main chunk
]], origin)
  end)

  it("nothing comes from a job that has ended", function()
    assert.equal("stack traceback:\n\tFILE:4: in main chunk\n", run [[
Promise.resolve():next(function() end)
Promise.drain()
print(Promise.inspect(Promise.new(function() end)).origin)]])
  end)

  it("a call that never ended is told of when it is collected", function()
    assert.equal("cpromise: warning: FILE:3: an async call waits here " ..
      "that never ended; made at FILE:2\nend\n", (run [[
Promise.spawn(function()
  Promise.await(Promise.new(function() end))
end)
collectgarbage() collectgarbage()
io.stderr:write "end\n"
Promise.run(print)]]
      :gsub("\ncpromise: 1 async call never ended.-$", "\n")
      :gsub("\n\n", "\n")))
  end)

  it("and at the end of the program", function()
    assert.matches("cpromise: warning: FILE:3: an async call waits here " ..
      "that never ended; made at FILE:2\n", run [[
kept = Promise.spawn(function()
  Promise.await(Promise.new(function() end))
end)]])
  end)

  it("results that nobody looked at are told of", function()
    assert.equal("cpromise: warning: nobody looked at the results of an " ..
      "async call; made at FILE:2\n", run [[
Promise.spawn(function() Promise.await(1) return "unused" end)
Promise.spawn(function() Promise.await(1) end)
Promise.spawn(function() return 1 end):next(function() end)
Promise.drain()]])
  end)

  it("resolving once more is told of at its line", function()
    assert.equal("cpromise: warning: FILE:3: a promise is resolved once " ..
      "more, in vain; made at FILE:2\n", run [[
local p, resolve, reject = Promise.withResolvers()
resolve(1) reject(2)]])
  end)

  it("but not of one that was cancelled", function()
    assert.equal("", run [[
local p, resolve = Promise.withResolvers()
p:cancel()
resolve(1)]])
  end)

  it("handlers that are not callable are told of", function()
    local text = run [[
local p = Promise.resolve()
p:next(Promise.resolve())
p:next(nil, 5)
p:catch "text"
p:finally(1)
p:next(nil)
p:next(nil, nil)
Promise.drain()]]
    assert.matches("FILE:3: a promise was given for a handler, and is " ..
      "ignored: return it from a function\n", text)
    for _, line in ipairs {4, 5, 6} do
      assert.matches(("FILE:%d: what was given for a handler is not " ..
        "callable"):format(line), text)
    end
    assert.is_nil(text:find("FILE:7", 1, true))
    assert.is_nil(text:find("FILE:8", 1, true))
  end)

  local BUSY = [[
local function busy()
  local enough = os.clock() + 0.03
  repeat until os.clock() > enough
end
Promise.debug {slow = 0.02}
]]

  it("a handler that takes long is told of, with its place", function()
    local text = run(BUSY .. [[
Promise.resolve():next(busy)
Promise.resolve():next(print)
Promise.drain()]])
    assert.matches("^cpromise: warning: the handler of FILE:2 ran for " ..
      "[%d.]+ seconds\n", text)
    assert.equal(1, select(2, text:gsub("warning", "")))
  end)

  it("an async call that does not come to its await is told of", function()
    local text = run(BUSY .. [[
Promise.spawn(function()
  Promise.await(1)
  busy()
  Promise.await(1) -- line 10
  busy()
end)
Promise.drain()]])
    assert.matches("^cpromise: warning: an async call ran for [%d.]+ " ..
      "seconds without an await, up to FILE:10\n" ..
      "cpromise: warning: an async call ran for [%d.]+ seconds without an " ..
      "await\n", text)
  end)

  it("nothing is slow that waits", function()
    if not helper.has_luv then return pending "there is no luv" end
    assert.equal("", run(BUSY .. [[
Promise.run(function() Promise.await(Promise.delay(0.05)) end)]]))
  end)

  describe("a method 'next' that never calls back", function()
    local never = "a promise waits for ever for an object whose method " ..
      "'next' took its two functions and has called neither"

    it("is told of when its functions are garbage", function()
      assert.equal("cpromise: warning: FILE:3: " .. never ..
        "; made at FILE:4\nthe end\n", run [[
local nodes = {}
function nodes.next(node) return node end
Promise.resolve(nodes):next(print)
Promise.drain()
collectgarbage()
io.stderr:write "the end\n"
os.exit(0)]])
    end)

    it("is told of where an async call awaits it", function()
      assert.matches("^cpromise: warning: FILE:3: " .. never .. "\n", run [[
Promise.spawn(function()
  Promise.await {next = function() end}
end)
Promise.drain()
collectgarbage()
os.exit(0)]])
    end)

    it("has no place if it is one of Promise.from", function()
      assert.equal("cpromise: warning: " .. never .. "; made at FILE:2\n",
        run [[
Promise.from({call = function() end}, "call"):next(print)
Promise.drain()
collectgarbage()
os.exit(0)]])
    end)

    it("has no place if it is one of C", function()
      assert.equal("cpromise: warning: " .. never .. "; made at FILE:2\n",
        run [[
Promise.resolve {next = type}:next(print)
Promise.drain()
collectgarbage()
os.exit(0)]])
    end)

    it("is no such one while it can, or when it has", function()
      assert.equal("1\nno\ncancelled\n", run [[
collectgarbage "stop" -- before it is cancelled it can't, indeed
local kept = {}
Promise.resolve {next = function(_, resolve) resolve(1) end}:next(print)
Promise.resolve {next = function(_, _, no) kept = no end}:catch(print)
local p = Promise.resolve {next = function() end}
p:catch(function() print "cancelled" end)
Promise.drain()
kept "no"
p:cancel()
Promise.drain()
collectgarbage()
os.exit(0)]])
    end)
  end)

  it("is switched on by the environment", function()
    local text = child.run [[
local pipe = io.popen("CPROMISE_DEBUG=1 " .. arg[-1] ..
  " -e 'print(require\"cpromise\".debug())'")
io.write(pipe:read "a")]]
    assert.equal("true\n", text)
  end)
end)
