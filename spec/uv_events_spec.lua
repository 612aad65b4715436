--- What calls back again and again, or has a way of its own with callbacks;
--- and functions in threads.

local Promise = require "cpromise"
local functions = require "cpromise.uv.functions"
local helper = require "spec.helper"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait

local test = spec.clean_test

-- Handles for a block.
local function closing(...)
  local handles = {...}
  return setmetatable({}, {__close = function()
    for _, handle in ipairs(handles) do
      if not luv.is_closing(handle) then await(uv.close(handle)) end
    end
  end})
end

local function pair()
  local fds = assert(luv.socketpair("stream", nil, {nonblock = true},
    {nonblock = true}))
  local a, b = luv.new_tcp(), luv.new_tcp()
  assert(a:open(fds[1]))
  assert(b:open(fds[2]))
  return a, b
end

-- For each function: begins to listen, and makes something happen; returns
-- the events and the value that the next one has first.
local cases = {}

function cases.read_start(body)
  local a, b = pair()
  local _ <close> = closing(a, b)
  body(uv.read_start(a), function() luv.try_write(b, "x") end, "x")
end

function cases.udp_recv_start(body)
  local a, b = luv.new_udp(), luv.new_udp()
  local _ <close> = closing(a, b)
  assert(a:bind("127.0.0.1", 0))
  local port = a:getsockname().port
  body(uv.udp_recv_start(a), function()
    luv.udp_try_send(b, "x", "127.0.0.1", port)
  end, "x")
end

function cases.poll_start(body)
  local fds = assert(luv.socketpair("stream", nil, {nonblock = true},
    {nonblock = true}))
  local poll = luv.new_socket_poll(fds[1])
  local other = luv.new_tcp()
  assert(other:open(fds[2]))
  do
    local _ <close> = closing(poll, other)
    body(uv.poll_start(poll, "r"), function()
      luv.try_write(other, "x")
    end, "r")
  end
  assert(luv.fs_close(fds[1]))
end

function cases.fs_event_start(body, folder)
  local handle = luv.new_fs_event()
  local _ <close> = closing(handle)
  local n = 0
  body(uv.fs_event_start(handle, folder, {}), function()
    n = n + 1
    spec.put(folder .. "/file", tostring(n))
  end, "file")
end

function cases.fs_poll_start(body, folder)
  local handle = luv.new_fs_poll()
  local _ <close> = closing(handle)
  local path = spec.put(folder .. "/file", "")
  local n = 0
  body(uv.fs_poll_start(handle, path, 5), function()
    n = n + 1
    await(Promise.delay(0.02)) -- it looks at the file once before
    spec.put(path, ("x"):rep(n))
  end)
end

for _, name in ipairs {"signal_start", "signal_start_oneshot"} do
  cases[name] = function(body)
    local handle = luv.new_signal()
    local _ <close> = closing(handle)
    body(uv[name](handle, "sigusr1"), function()
      luv.kill(luv.getpid(), "sigusr1")
    end, "sigusr1")
  end
end

function cases.timer_start(body)
  local handle = luv.new_timer()
  local _ <close> = closing(handle)
  body(uv.timer_start(handle, 1, 1), function() end)
end

for _, kind in ipairs {"idle", "check", "prepare"} do
  cases[kind .. "_start"] = function(body)
    local handle = luv["new_" .. kind]()
    local _ <close> = closing(handle)
    body(uv[kind .. "_start"](handle), function()
      Promise.delay(0.001):next(function() end)
    end)
  end
end

for name in pairs(functions.events) do
  if luv[name] then
    describe(name, function()
      it("is tried here", function() assert.is_function(cases[name]) end)

      it("gives what happens", test(function(folder)
        cases[name](function(events, happen, value)
          happen()
          local got = await(events:receive())
          if value then assert.equal(value, got) end
          events:stop()
          for _ in events do end -- what nobody has taken yet
          assert.is_nil((await(events:receive())))
        end, folder)
      end))

      it("can be iterated, and stops at the end of its block",
        test(function(folder)
          cases[name](function(events, happen, value)
            local _ <close> = events
            happen()
            local turns = 0
            for got in events do
              turns = turns + 1
              if value then assert.equal(value, got) end
              if turns == 1 then break end
            end
            assert.equal(1, turns)
          end, folder)
        end))

      it("loses nothing when it is cancelled", test(function(folder)
        cases[name](function(events, happen, value)
          local waiting = events:receive()
          waiting:cancel()
          happen()
          local got = await(events:receive())
          if value then assert.equal(value, got) end
          events:stop()
        end, folder)
      end))

      it("refuses what luv refuses, at the caller's line", function()
        assert.matches("^bad argument #1 to '" .. name .. "'",
          helper.raised(function() uv[name](nil, "r", 1) end))
      end)
    end)
  end
end

describe("events", function()
  it("end with what is read", test(function()
    local a, b = pair()
    local _ <close> = closing(a, b)
    local chunks = {}
    luv.try_write(b, "one")
    luv.shutdown(b)
    for chunk in uv.read_start(a) do chunks[#chunks + 1] = chunk end
    assert.equal("one", table.concat(chunks))
  end))

  it("fail as luv does", test(function(folder)
    local handle = luv.new_fs_event()
    local _ <close> = closing(handle)
    local path = folder .. "/nothing"
    local ok, failure = pcall(uv.fs_event_start, handle, path, {})
    assert.is_false(ok)
    assert.equal("ENOENT", failure.code)
    assert.equal(path, failure.path)
    local unconnected = luv.new_tcp()
    local _ <close> = closing(unconnected)
    ok, failure = pcall(uv.read_start, unconnected)
    assert.is_false(ok)
    assert.equal("ENOTCONN", failure.code)
  end))
end)

describe("once", function()
  it("gives the first call of any function", test(function()
    local timer = luv.new_timer()
    local _ <close> = closing(timer)
    for _, start in ipairs {"start", timer.start, luv.timer_start,
      uv.timer_start, "timer_start"} do
      await(uv.once(timer, start, 1, 1))
      assert.is_false(luv.is_active(timer))
    end
  end))

  it("calls what luv doesn't know", test(function()
    local object = {}
    function object:begin(a, callback)
      assert.equal(object, self)
      callback(a, nil, "more")
      callback "again"
    end
    local first, second, third = await(uv.once(object, "begin", 7))
    assert.equal(7, first)
    assert.is_nil(second)
    assert.equal("more", third)
  end))

  it("rejects with errors, also those of starting", test(function()
    local a = luv.new_tcp()
    local _ <close> = closing(a)
    spec.fails("ENOTCONN", "read_start", uv.once(a, "read_start"))
  end))

  it("stops when it is cancelled", test(function()
    local timer = luv.new_timer()
    local _ <close> = closing(timer)
    local once = uv.once(timer, "start", 1000, 0)
    once:cancel()
    assert.is_false(luv.is_active(timer))
  end))

  for _, case in ipairs {
    {"bad argument #2 to 'once' (callable expected, got nil)",
      function() uv.once({}) end},
    {"bad argument #2 to 'once' (the handle has no method 'x')",
      function() uv.once({}, "x") end},
  } do
    it("refuses: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end
end)

describe("close", function()
  it("is fulfilled when the handle has been closed", test(function()
    local timer = luv.new_timer()
    await(uv.close(timer))
    assert.is_true(luv.is_closing(timer))
  end))

  it("rejects for what is closing already", test(function()
    local timer = luv.new_timer()
    local first = uv.close(timer)
    spec.fails("EBADF", "close", uv.close(timer))
    await(first)
  end))

  it("refuses what is no handle", function()
    assert.matches("^bad argument #1 to 'close'",
      helper.raised(function() uv.close "x" end))
  end)
end)

describe("a handle that is closed", function()
  local calls = {
    write = {"x"}, write2 = {"x"}, shutdown = {},
    tcp_connect = {"127.0.0.1", 1}, pipe_connect = {"x"},
    pipe_connect2 = {"x", 0},
    udp_send = {"x", "127.0.0.1", 9},
  }

  local kinds = {pipe_connect = luv.new_pipe, pipe_connect2 = luv.new_pipe,
    udp_send = luv.new_udp}

  for name in pairs(functions.requests) do
    if functions.requests[name].handle and luv[name] then
      it("rejects: " .. name, test(function()
        local handle = (kinds[name] or luv.new_tcp)()
        await(uv.close(handle))
        local args = assert(calls[name], "is not tried")
        spec.fails("EBADF", name, uv[name](handle, table.unpack(args)))
      end))
    end
  end

  local makers = {read = luv.new_tcp, udp_recv = luv.new_udp,
    signal = luv.new_signal, timer = luv.new_timer, idle = luv.new_idle,
    check = luv.new_check, prepare = luv.new_prepare,
    fs_event = luv.new_fs_event, fs_poll = luv.new_fs_poll}

  for name in pairs(functions.events) do
    local make = makers[name:match "^(.-)_start"]
    if make and luv[name] then
      it("fails: " .. name, test(function()
        local handle = make()
        await(uv.close(handle))
        local ok, failure = pcall(uv[name], handle, ".", 1)
        assert.is_false(ok)
        assert.equal("EBADF", failure.code)
        spec.fails("EBADF", name, uv.once(handle, name, ".", 1))
      end))
    end
  end

  it("can't listen", test(function()
    local handle = luv.new_tcp()
    await(uv.close(handle))
    local ok, failure = pcall(uv.listen, handle, 1)
    assert.is_false(ok)
    assert.equal("EBADF", failure.code)
  end))
end)

describe("tcp_close_reset", function()
  it("is fulfilled when the handle has been closed", test(function()
    local server, client = luv.new_tcp(), luv.new_tcp()
    local _ <close> = closing(server)
    assert(server:bind("127.0.0.1", 0))
    local connections = uv.listen(server, 1)
    await(uv.tcp_connect(client, "127.0.0.1", server:getsockname().port))
    await(connections:receive())
    await(uv.tcp_close_reset(client))
    assert.is_true(luv.is_closing(client))
    connections:stop()
  end))
end)

describe("listen, of a handle", function()
  it("gives an event for each connection", test(function()
    local server = luv.new_tcp()
    local _ <close> = closing(server)
    assert(server:bind("127.0.0.1", 0))
    local connections <close> = uv.listen(server, 8)
    local port = server:getsockname().port
    for _ = 1, 3 do
      local client, accepted = luv.new_tcp(), luv.new_tcp()
      local _ <close> = closing(client, accepted)
      local connecting = uv.tcp_connect(client, "127.0.0.1", port)
      await(connections:receive())
      assert(luv.accept(server, accepted))
      await(connecting)
    end
  end))

  it("fails for a port in use", test(function()
    local first, second = luv.new_tcp(), luv.new_tcp()
    local _ <close> = closing(first, second)
    assert(first:bind("127.0.0.1", 0))
    local _ <close> = uv.listen(first, 1)
    assert(second:bind("127.0.0.1", first:getsockname().port))
    local ok, failure = pcall(uv.listen, second, 1)
    assert.is_false(ok)
    assert.equal("EADDRINUSE", failure.code)
  end))
end)

describe("new_async", function()
  it("gives what is sent", test(function()
    local handle, sent = uv.new_async()
    local _ <close> = sent
    luv.async_send(handle, "a", 1)
    local a, b = await(sent:receive())
    assert.equal("a", a)
    assert.equal(1, b)
  end))
end)

describe("spawn", function()
  it("gives code and signal, handle and pid", test(function()
    local exited, handle, pid = uv.spawn("sh", {args = {"-c", "exit 4"}})
    assert.equal("userdata", type(handle))
    assert.is_true(pid > 0)
    local code, signal = await(exited)
    assert.equal(4, code)
    assert.equal(0, signal)
  end))

  it("ends the process when it is cancelled", test(function()
    local exited, _, pid = uv.spawn("sleep", {args = {"60"}})
    exited:cancel()
    assert.is_true(Promise.isCancelled(select(2, pawait(exited))))
    assert.is_nil(luv.kill(pid, 0))
  end))

  it("rejects for what can't be started", test(function()
    local exited, handle = uv.spawn("no-such-program", {})
    local failure = spec.fails("ENOENT", "spawn", exited)
    assert.equal("no-such-program", failure.path)
    assert.is_nil(handle)
  end))

  -- luv would crash when the state is closed.
  it("refuses a callback that is none", function()
    assert.equal("bad argument #3 to 'spawn' (callable expected, got string)",
      helper.raised(function() uv.spawn("true", {}, "x") end))
  end)
end)

describe("sleep", function()
  it("takes milliseconds, as luv does", test(function()
    local start = luv.hrtime()
    await(uv.sleep(2.0))
    assert.is_true(luv.hrtime() - start >= 2e6)
    assert.equal("bad argument #1 to 'sleep' (number has no integer " ..
      "representation; milliseconds, as luv has it)",
      helper.raised(function() uv.sleep(0.5) end))
    assert.equal("bad argument #1 to 'sleep' (must not be negative)",
      helper.raised(function() uv.sleep(-1) end))
  end))
end)

describe("work", function()
  it("gives the results of a function in a thread",
    spec.test(function()
      local results = table.pack(await(uv.work(function(...)
        return select("#", ...), ...
      end, 1, 2.5, nil, "a\0b", true, false, math.mininteger, "", nil)))
      assert.same({9, 1, 2.5, nil, "a\0b", true, false, math.mininteger, "",
        nil, n = 10}, results)
      assert.equal("float", math.type(results[3]))
      results = table.pack(await(uv.work(function() end)))
      assert.equal(0, results.n)
      results = table.pack(await(uv.work(function()
        return table.unpack({}, 1, 100) -- more than luv passes
      end)))
      assert.equal(100, results.n)
    end))

  it("runs many, while the loop goes on", spec.test(function()
    local calls = {}
    for i = 1, 40 do
      calls[i] = uv.work(function(n)
        local sum = 0
        for k = 1, 10000 do sum = sum + k % n end
        return n, sum
      end, i)
    end
    local turns = 0
    local ticking = Promise.spawn(function()
      for _ in Promise.interval(0.001) do turns = turns + 1 end
    end)
    for i, n in ipairs(await(Promise.all(calls))) do assert.equal(i, n) end
    await(Promise.delay(0.002))
    ticking:cancel()
    assert.is_true(turns > 0)
  end))

  it("finds modules where this program does", spec.test(function(folder)
    spec.put(folder .. "/of_the_spec.lua", "return {answer = 42}")
    local path = package.path
    package.path = folder .. "/?.lua;" .. path
    local ok, answer = pawait(uv.work(function()
      return require "of_the_spec".answer
    end))
    package.path = path
    assert.is_true(ok)
    assert.equal(42, answer)
  end))

  it("rejects with the error and its traceback", spec.test(function()
    local failure = spec.fails("ERROR", "work", uv.work(function(what)
      local function inner() error("no " .. what) end
      inner()
    end, "kiwi"))
    assert.matches("no kiwi$", failure.message)
    assert.matches("in upvalue 'inner'\n.*in function",
      (failure.traceback:gsub("in local", "in upvalue")))
    failure = spec.fails("ERROR", "work", uv.work(function()
      error(setmetatable({}, {__tostring = function() return "shown" end}))
    end))
    assert.equal("shown", failure.message)
    failure = spec.fails("ERROR", "work",
      uv.work(function() return 1, {} end))
    assert.matches("value 2: a table can't be passed", failure.message)
    assert.equal(3, await(uv.work(function() return 3 end))) -- it goes on
  end))

  it("may be cancelled", spec.test(function()
    local call = uv.work(function() return 1 end)
    call:cancel()
    assert.is_false((pawait(call)))
    assert.equal(2, await(uv.work(function() return 2 end)))
  end))

  it("is luv's new_work and queue_work, too", spec.test(function()
    local work = uv.new_work(function(a, b) return a + b end)
    assert.equal(3, await(uv.queue_work(work, 1, 2)))
    assert.equal(7, await(work:queue(3, 4)))
    local promise, resolve = Promise.withResolvers()
    local plain = uv.new_work(function(a) return a end,
      function(...) resolve(...) end)
    assert.is_true(uv.queue_work(plain, "x"))
    assert.equal("x", await(promise))
  end))

  local outside = {}
  for _, case in ipairs {
    {"bad argument #1 to 'work' (function expected, got string)",
      function() uv.work "x" end},
    {"bad argument #1 to 'work' (upvalue 'outside' can't be passed to " ..
      "another thread)", function()
        uv.work(function() return outside end)
      end},
    {"bad argument #1 to 'work' (a function written in C can't be passed " ..
      "to another thread)", function() uv.work(print) end},
    {"bad argument #3 to 'work' (a table can't be passed to another thread)",
      function() uv.work(function() end, 1, {}) end},
    {"bad argument #2 to 'queue_work' (a thread can't be passed to " ..
      "another thread)", function()
        uv.queue_work(uv.new_work(function() end), coroutine.create(print))
      end},
  } do
    it("refuses: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end
end)
