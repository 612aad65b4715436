--- Pictures: timelines keep the rules of their format and show what happened;
--- graphs show who waits for whom.

local Promise = require "cpromise"
local child = require "spec.child"
local core = require "cpromise.core"
local format = require "spec.support.trace_format"
local helper = require "spec.helper"
local trace = require "cpromise.trace"
local virtual = require "cpromise.loop.virtual"

local await, async, spawn = Promise.await, Promise.async, Promise.spawn

local function nop() end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local path

before_each(function()
  path = os.tmpname()
  Promise.setLoop(virtual.new())
end)

after_each(function()
  trace.stop()
  os.remove(path)
  Promise.setLoop(nil)
end)

-- The events of a timeline of what the block does, and the loop after it;
-- they keep the rules.
local function timeline_of(block)
  trace.start(path)
  block()
  Promise.run()
  trace.stop()
  return format.check_file(path)
end

-- Those of a phase, whose names match the pattern.
local function find(events, phase, pattern)
  local list = {}
  for _, event in ipairs(events) do
    if event.ph == phase and event.name:find(pattern) then
      list[#list + 1] = event
    end
  end
  return list
end

local function names(events)
  local list = {}
  for i, event in ipairs(events) do list[i] = event.name end
  return list
end

-- The spans of a track that one of such a name begins, as a nested text.
local function spans(events, track)
  local parts = {}
  for _, event in ipairs(events) do
    if event.tid == track and event.ph == "B" then
      parts[#parts + 1] = event.name .. "("
    elseif event.tid == track and event.ph == "E" then
      parts[#parts + 1] = ")"
    end
  end
  return table.concat(parts)
end

describe("a timeline", function()
  it("shows an async call on a track of its own, with its awaits", function()
    local events = timeline_of(function()
      spawn(function()
        await(Promise.delay(1))
        await(Promise.all {1})
        await(2)
      end)
    end)
    local call = find(events, "B", "^async call spec/trace_spec.lua:%d+$")[1]
    local text = spans(events, call.tid):gsub("spec/trace_spec.lua:%d+", "F")
    assert.not_equal(1, call.tid)
    assert.equal("async call F(await delay()await all()await())", text)
  end)

  it("tells where a call awaits", function()
    local line
    local events = timeline_of(function()
      spawn(function()
        line = debug.getinfo(1, "l").currentline + 1
        await(Promise.delay(1))
      end)
    end)
    assert.equal("spec/trace_spec.lua:" .. line,
      find(events, "B", "^await")[1].args.where)
  end)

  it("names the function in which a call awaits", function()
    local events = timeline_of(function()
      spawn(function()
        local function named() await(Promise.delay(1)) end
        named()
      end)
    end)
    assert.is_truthy(
      find(events, "B", "^await")[1].args.where:find " in function named$")
  end)

  it("names the place where a call waits in line", function()
    local events = timeline_of(function()
      local channel = Promise.channel()
      spawn(function() await(channel:receive()) end)
      Promise.drain()
      channel:close()
    end)
    assert.same({
      "await receive from a channel of capacity 0 that is empty",
    },
      names(find(events, "B", "^await")))
  end)

  it("shows that a call follows the promise that it returned", function()
    local events = timeline_of(function()
      spawn(function() return Promise.delay(1) end)
    end)
    local call = find(events, "B", "^async")[1]
    assert.is_truthy(
      spans(events, call.tid):find "^async call [^(]*%(follow%(")
  end)

  it("uses the track of a call that has ended again", function()
    local events = timeline_of(function()
      local wait = async(function() await(Promise.delay(1)) end)
      for _ = 1, 5 do
        wait()
        wait()
        Promise.run()
      end
    end)
    local highest = 0
    for _, event in ipairs(events) do
      highest = math.max(highest, event.tid)
    end
    assert.equal(3, highest)
  end)

  it("shows handlers by their lines", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local events = timeline_of(function()
      Promise.resolve(1):next(function() end)
    end)
    assert.same({"handler spec/trace_spec.lua:" .. line},
      names(find(events, "B", "^handler")))
  end)

  it("names handlers that have no line", function()
    local gate, open = Promise.withResolvers()
    local co = coroutine.wrap(function() await(gate) end)
    co()
    local events = timeline_of(function()
      Promise.resolve(1):next(math.abs)
      Promise.resolve(1):next(setmetatable({}, {__call = nop}))
      open()
    end)
    local list = names(find(events, "B", "^[hc]"))
    list[3] = list[3]:gsub("%d+$", "N")
    assert.same({"handler in C", "handler",
      "coroutine spec/trace_spec.lua:N"}, list)
  end)

  it("shows calls that start inside another inside that", function()
    local events = timeline_of(function()
      local inner = async(nop)
      spawn(function() inner() end)
    end)
    assert.is_truthy(spans(events, 1):find "^async[^(]*%(async[^(]*%(%)%)$")
  end)

  it("leads an arrow from where a promise settled to a reaction", function()
    local events = timeline_of(function()
      local p, resolve = Promise.withResolvers()
      p:next(nop)
      Promise.queueMicrotask(function() resolve() end)
    end)
    local handlers = find(events, "B", "^handler")
    local ends = find(events, "E", "^handler")
    local from, to = find(events, "s", "")[1], find(events, "f", "")[1]
    assert.is_true(handlers[1].ts < from.ts and from.ts < ends[1].ts)
    assert.is_true(handlers[2].ts < to.ts and to.ts < ends[2].ts)
    assert.equal(1, #find(events, "s", ""))
  end)

  it("leads an arrow through what only passes it on", function()
    local events = timeline_of(function()
      local p, resolve = Promise.withResolvers()
      Promise.all {p:catch(nop):catch(nop)}:next(nop)
      resolve(1)
    end)
    local resolved = find(events, "B", "^resolve$")[1]
    local from = find(events, "s", "")[1]
    assert.equal(resolved.ts + 0.001 <= from.ts, true)
    assert.is_true(from.ts < find(events, "E", "^resolve$")[1].ts)
  end)

  it("leads an arrow from a timer to the call that goes on", function()
    local events = timeline_of(function()
      spawn(function() await(Promise.delay(1)) end)
    end)
    local from = find(events, "s", "")[1]
    assert.is_true(find(events, "B", "^timer$")[1].ts < from.ts)
    assert.is_true(from.ts < find(events, "E", "^timer$")[1].ts)
    assert.is_true(
      find(events, "B", "^async")[3].ts < find(events, "f", "")[1].ts)
  end)

  it("shows cancellations, where it happened and on the call", function()
    local call
    local events = timeline_of(function()
      call = spawn(function() await(Promise.new(nop)) end)
      call:cancel()
    end)
    local marks = find(events, "i", "^cancel$")
    assert.equal(2, #marks)
    assert.equal(1, marks[1].tid)
    assert.equal(find(events, "B", "^async")[1].tid, marks[2].tid)
  end)

  it("ends calls that are collected", function()
    local events = timeline_of(function()
      spawn(function() await(Promise.new(nop)) end)
      helper.collect()
      Promise.resolve():next(nop)
    end)
    local call = find(events, "B", "^async")[1]
    local last
    for _, event in ipairs(events) do
      if event.tid == call.tid then last = event end
    end
    assert.is_true(last.ts < find(events, "B", "^handler")[1].ts)
  end)

  it("ends calls whose coroutines were closed", function()
    local events = timeline_of(function()
      local co
      local gate, open = Promise.withResolvers()
      spawn(function()
        co = coroutine.running()
        await(gate)
      end):ignore()
      coroutine.close(co)
      open()
      Promise.drain()
      Promise.resolve():next(nop)
    end)
    local ends = find(events, "E", "^async")
    assert.is_true(ends[#ends].ts < find(events, "B", "^handler")[1].ts)
  end)

  it("shows what runs when it starts from then on", function()
    local gate, open = Promise.withResolvers()
    local call = spawn(function()
      await(1)
      trace.start(path)
      await(gate)
    end)
    Promise.drain()
    open()
    Promise.drain()
    trace.stop()
    assert.equal("fulfilled", (call:status()))
    assert.equal(2, #find(format.check_file(path), "B", "^async call"))
  end)

  it("ends what runs when it is stopped", function()
    trace.start(path)
    local call = spawn(function()
      Promise.new(nop)
      trace.stop()
      await(1)
    end)
    Promise.drain()
    assert.equal("fulfilled", (call:status()))
    assert.equal(2, #find(format.check_file(path), "E", "^async call"))
  end)

  it("follows a program of many kinds", function()
    local random = math.random
    local gates = {}
    local work
    work = async(function(n)
      if n == 0 then error "end" end
      await(Promise.delay(random(3)))
      local p = work(n - 1)
      if random(4) == 1 then p:cancel() end
      gates[#gates + 1] = p
      return (random(2) == 1 and p or p:catch(nop):finally(nop))
    end)
    assert.is_true(#timeline_of(function()
      for i = 1, 50 do work(i % 7):timeout(random(9)):ignore() end
      Promise.run()
      for _, p in ipairs(gates) do p:ignore() end
    end) > 1000)
  end)

  it("makes names harmless for JSON", function()
    local chunk = 'await(delay(1)) -- "\\\n'
    local name = '="quoted"\\ \t\1\xFF'
    local env = {await = await, delay = Promise.delay}
    local events = timeline_of(function()
      spawn(assert(load(chunk, name, "t", env)))
    end)
    assert.equal('async call "quoted"\\ \t\\x01\\xFF:0',
      find(events, "B", "^async")[1].name)
  end)

  it("costs nothing when it has ended", function()
    trace.start(path)
    trace.stop()
    local size = #read(path)
    spawn(nop)
    assert.equal(size, #read(path))
  end)
end)

describe("start", function()
  it("raises what the system says, at its caller's line", function()
    local missing = path .. "/timeline"
    assert.equal(missing .. ": Not a directory", helper.raised(function()
      trace.start(missing)
    end))
  end)

  it("raises if nothing can be written", function()
    assert.equal("/dev/full: No space left on device",
      helper.raised(function() trace.start "/dev/full" end))
  end)

  it("can be tried again after that", function()
    pcall(trace.start, "/dev/full")
    trace.start(path)
    assert.is_true(trace.stop())
  end)

  it("raises if there is a timeline, which goes on", function()
    trace.start(path)
    assert.equal("a timeline is being written: end it with trace.stop()",
      helper.raised(function() trace.start(path) end))
    assert.is_true(trace.stop())
    assert.is_true(#format.check_file(path) > 0)
  end)

  it("needs a string", function()
    assert.equal("bad argument #1 to 'start' (string expected, got nil)",
      helper.raised(function() trace.start(nil) end))
  end)
end)

describe("stop", function()
  it("returns whether there was a timeline", function()
    assert.is_false(trace.stop())
    trace.start(path)
    assert.is_true(trace.stop())
    assert.is_false(trace.stop())
  end)
end)

describe("the end of the program", function()
  it("ends the timeline", function()
    local text, status = child.run([[
      local Promise = require "cpromise"
      require "cpromise.trace".start(arg[1])
      Promise.async(function() Promise.await(Promise.new(print)) end)()
    ]], path)
    assert.equal(0, status, text)
    assert.equal(1, #find(format.check_file(path), "B", "^await"))
  end)
end)

describe("a file that can't be written any more", function()
  -- What a program prints whose files must not grow beyond so many blocks.
  local function run(program)
    local pipe = assert(io.popen(("trap '' XFSZ; ulimit -f 64; %s -e %s 2>&1")
      :format(arg and arg[-1] or "lua5.4", child.quote(program))))
    local text = pipe:read "a"
    pipe:close()
    return text
  end

  local PROGRAM <const> = [[
    local Promise = require "cpromise"
    local trace = require "cpromise.trace"
    trace.start %q
    local sum = 0
    local call = Promise.async(function(i)
      local n = Promise.await(i)
      sum = sum + n
    end)
    for i = 1, 2000 do call(i) end
    Promise.run()
    print(sum, pcall(trace.stop))
  ]]

  it("ends the timeline, which is reported, and nothing else", function()
    local text = run(PROGRAM:format(path))
    assert.is_truthy(text:find("cpromise: unhandled error: cpromise.trace: "
      .. path .. ": File too large: the timeline ends\n", 1, true), text)
    assert.is_truthy(text:find("2001000\ttrue\tfalse\n", 1, true), text)
  end)
end)

describe("dot", function()
  -- The graph without its head.
  local function graph(promise)
    return (trace.dot(promise):gsub("^.-;\n.-;\n", ""))
  end

  it("colours promises by their state", function()
    local p = Promise.all {Promise.delay(1), Promise.resolve(2)}
    assert.is_truthy(graph(p):find "fillcolor = khaki, penwidth = 3")
    assert.is_truthy(graph(p):find "a promise that has been fulfilled\", "
      .. "fillcolor = palegreen")
    assert.is_truthy(
      graph(Promise.reject(1):ignore()):find "fillcolor = lightsalmon")
  end)

  it("leads from each promise to what it waits for, once", function()
    local p = Promise.new(nop)
    assert.equal([[
  n1 [label = "Promise.all, 2 to come", fillcolor = khaki, penwidth = 3];
  n1 -> n2;
  n1 -> n3;
  n2 [label = "next", fillcolor = khaki];
  n2 -> n4;
  n3 [label = "finally", fillcolor = khaki];
  n3 -> n4;
  n4 [label = "a promise that nobody has settled", fillcolor = khaki];
}
]], graph(Promise.all {p:next(nop), p:finally(nop)}))
  end)

  it("shows a deadlock as a circle", function()
    local left, right = Promise.semaphore(1), Promise.semaphore(1)
    local grab = async(function(first, second)
      local a <close> = await(first:acquire())
      await(1)
      local b <close> = await(second:acquire())
      return a, b
    end)
    local p, q = grab(left, right), grab(right, left)
    Promise.drain()
    local text = graph(p)
    local edges = {}
    for from, to in text:gmatch "n(%d+) %-> n(%d+)" do
      edges[#edges + 1] = from .. to
    end
    assert.same({"12", "23", "34", "45", "56", "61"}, edges, text)
    assert.is_truthy(text:find "gray90, style = filled")
    assert.equal("pending", (q:status()))
  end)

  it("shows a permit that no call holds", function()
    local semaphore = Promise.semaphore(1)
    local permit <close> = await(semaphore:acquire())
    local text = graph(semaphore:acquire())
    assert.is_truthy(text:find 'label = "held at spec/trace_spec.lua:%d+"')
    assert.is_truthy(permit)
  end)

  it("makes labels harmless", function()
    local chunk = "await(never)"
    local env = {await = await, never = Promise.new(nop)}
    local call = spawn(assert(load(chunk, '="q"\\\n\27', "t", env)))
    assert.is_truthy(graph(call):find(
      [[label = "an async call at \"q\"\\\n\\x1B:1"]], 1, true))
  end)

  it("draws ten thousand promises", function()
    local p = Promise.new(nop)
    for _ = 1, 10000 do p = p:next(nop) end
    assert.is_truthy(graph(p):find "n10000 %-> n10001;")
  end)

  it("does without who holds permits where it can't look", function()
    local calls = core.calls
    finally(function() core.calls = calls end)
    function core.calls() error "not enough memory" end
    assert.is_truthy(graph(Promise.new(nop)):find "nobody has settled")
  end)

  it("needs a promise", function()
    assert.equal("bad argument #1 to 'dot' (promise expected, got nil)",
      helper.raised(function() trace.dot(nil) end))
  end)

  it("is drawn by Graphviz", function()
    if os.getenv "LD_PRELOAD" then
      return pending "sanitizers find leaks in dot"
    elseif not os.execute "command -v dot >/dev/null" then
      return pending "dot is missing"
    end
    local p = Promise.all {Promise.new(nop):next(nop), Promise.delay(1)}
    local file = assert(io.open(path, "w"))
    file:write(trace.dot(p))
    file:close()
    local pipe = assert(io.popen("dot -Tplain " .. path))
    local text = pipe:read "a"
    assert.is_true((pipe:close()))
    local _, edges = text:gsub("\nedge ", "")
    assert.equal(3, edges)
  end)
end)

describe("the rules of the format", function()
  -- Texts of events, without what all of them have.
  local function check(...)
    local list = {...}
    for i, event in ipairs(list) do
      list[i] = ('{"pid":1,"tid":1,"ts":%d,%s}'):format(i, event)
    end
    return format.check("[" .. table.concat(list, ",") .. "]")
  end

  local B <const> = '"ph":"B","name":"a"'
  local E <const> = '"ph":"E","name":"a"'
  local S <const> = '"ph":"s","name":"x","cat":"c","id":1'
  local F <const> = '"ph":"f","name":"x","cat":"c","id":1,"bp":"e"'

  it("are kept by spans and arrows", function()
    assert.equal(4, #check(B, S, F, E))
  end)

  for why, events in pairs {
    ["no string 'name'"] = {'"ph":"B"'},
    ["no phase that is known"] = {'"ph":"?","name":"a"'},
    ["never ends"] = {B},
    ["not the innermost"] = {B, '"ph":"B","name":"b"', E},
    ["starts outside of a span"] = {S},
    ["ends outside of a span"] = {B, S, E, F},
    ["has no start"] = {B, F, E},
    ["has no end"] = {B, S, E},
    ["is not unique"] = {B, S, S, F, E},
    ["an instant of no track"] = {'"ph":"i","name":"a"'},
  } do
    it("are broken: " .. why, function()
      local ok, err = pcall(check, table.unpack(events))
      assert.is_false(ok)
      assert.is_truthy(err:find(why, 1, true), err)
    end)
  end

  for _, text in ipairs {
    "", "[", "[1,]", "[1 2]", "{1:2}", '{"a" 1}', '["\1"]', '["\\x"]',
    "[01e]", "[.]", "[] []", '["\xFF"]', "[nil]", '["a]',
  } do
    it("are broken by what is no JSON: " .. text:gsub("%c", "?"), function()
      assert.is_false((pcall(format.decode, text)))
    end)
  end

  it("are read from any JSON", function()
    local text = ' {"a" : [1, -2.5,1e3,true , false,"\\n\\"\\u00E9\\/",{}]}\n'
    assert.same({a = {1, -2.5, 1e3, true, false, "\n\"\u{E9}/", {}}},
      format.decode(text))
  end)
end)
