--- Datagrams on loopback.

local Promise = require "cpromise"
local helper = require "spec.helper"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait

local HOST <const> = "127.0.0.1"

-- A body with two sockets, that leaves nothing.
local function test(body)
  return spec.test(function()
    spec.settle()
    spec.leaves_nothing(function()
      local a <close> = await(uv.udp(HOST, 0))
      local b <close> = await(uv.udp(HOST, 0))
      body(a, b, a:getsockname().port, b:getsockname().port)
    end)
  end)
end

describe("a udp socket", function()
  it("sends and receives", test(function(a, b, a_port, b_port)
    await(a:send("one", HOST, b_port))
    await(a:send({"t", "wo"}, "localhost", b_port))
    await(a:send("", HOST, b_port))
    local data, from, partial = await(b:receive())
    assert.equal("one", data)
    assert.equal(HOST, from.ip)
    assert.equal(a_port, from.port)
    assert.is_false(partial)
    assert.equal("two", (await(b:receive())))
    assert.equal("", (await(b:receive())))
  end))

  it("waits for what comes", test(function(a, b, _, b_port)
    local waiting = b:receive()
    await(Promise.delay(0.002))
    assert.equal("pending", waiting:status())
    await(a:send("x", HOST, b_port))
    assert.equal("x", (await(waiting)))
  end))

  it("loses none when it is cancelled", test(function(a, b, _, b_port)
    local got = {}
    for i = 1, 40 do
      await(a:send(tostring(i), HOST, b_port))
      local reader = Promise.spawn(function()
        got[#got + 1] = (await(b:receive()))
      end)
      if i % 2 == 0 then await(Promise.delay(0.001)) end
      helper.after_jobs(i % 7, function() reader:cancel() end)
      pawait(reader)
    end
    while #got < 40 do got[#got + 1] = (await(b:receive())) end
    for i = 1, 40 do assert.equal(tostring(i), got[i]) end
  end))

  it("takes one receiver at a time", test(function(a, b, _, b_port)
    local first = b:receive()
    spec.fails("EBUSY", "receive", b:receive())
    await(a:send("x", HOST, b_port))
    assert.equal("x", (await(first)))
  end))

  it("may be connected", test(function(a, b, _, b_port)
    await(a:connect(HOST, b_port))
    await(a:send "hello")
    assert.equal("hello", (await(b:receive())))
  end))

  it("fails when it is closed", test(function(a)
    local waiting = a:receive()
    local closed = a:close()
    spec.fails("EBADF", "receive", waiting)
    await(closed)
    spec.fails("EBADF", "receive", a:receive())
    spec.fails("EBADF", "send", a:send("x", HOST, 9))
    spec.fails("EBADF", "connect", a:connect(HOST, 9))
  end))

  it("fails as the system does", test(function(a, _, a_port)
    local failure = spec.fails("EADDRINUSE", "udp", uv.udp(HOST, a_port))
    assert.equal(a_port, failure.port)
    failure = spec.fails("EMSGSIZE", "udp_send",
      a:send(("x"):rep(70000), HOST, 9))
    assert.equal(HOST, failure.host)
    spec.fails("EDESTADDRREQ", "udp_send", a:send "x")
  end))

  it("is closed when nobody gets it", spec.test(function()
    local moments = spec.cancel_everywhere(function()
      local socket <close> = await(uv.udp("localhost", 0))
      await(socket:send("x", HOST, socket:getsockname().port))
      assert.equal("x", (await(socket:receive())))
    end)
    assert.is_true(moments > 3)
  end))

  for _, case in ipairs {
    {"bad argument #1 to 'udp' (string expected, got number)",
      function() uv.udp(1) end},
    {"bad argument #2 to 'udp' (integer expected, got nil)",
      function() uv.udp "x" end},
  } do
    it("refuses: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end

  it("refuses wrong arguments of its methods", test(function(a)
    for message, fn in pairs {
      ["bad argument #1 to 'send' (string or table expected, got nil)"] =
        function() a:send() end,
      ["bad argument #2 to 'send' (string expected, got number)"] =
        function() a:send("x", 9) end,
      ["bad argument #3 to 'send' (integer expected, got nil)"] =
        function() a:send("x", "y") end,
      ["bad argument #2 to 'connect' (a port is from 1 to 65535)"] =
        function() a:connect("x", 0) end,
    } do
      assert.equal(message, helper.raised(fn))
    end
  end))
end)
