--- examples/proxy.lua as a process, between clients and servers that break
--- things.

local Promise = require "cpromise"
local helper = require "spec.helper"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait

local HOST <const> = "127.0.0.1"
local LUA <const> = arg and arg[-1] or "lua5.4"

-- KiB that a proxy may grow by. Sanitizers keep what was freed.
local LITTLE <const> = os.getenv "LD_PRELOAD" and math.huge or 16000

-- A body with a server behind a proxy: `body(port, proxy, other)`.
local function test(handler, body, options)
  return spec.test(function()
    spec.settle()
    spec.leaves_nothing(function()
      local other = await(uv.listen(HOST, 0, handler,
        {on_error = function() end}))
      local words = {"examples/proxy.lua", table.unpack(options or {})}
      for _, word in ipairs {"0", HOST, tostring(other.port)} do
        words[#words + 1] = word
      end
      local proxy <close> = await(uv.start_process(LUA, words,
        {stdout = true}))
      local line = await(proxy.stdout:read_until "\n")
      local port = math.tointeger(tonumber(line:match "%d+$"))
      body(port, proxy, other)
      if proxy:kill "term" then
        assert.equal(0, (await(proxy:wait())))
      end
      await(other:cancel())
    end)
  end)
end

-- The head of a request, and the stream behind it.
local function read_request(stream)
  return await(stream:read_until("\r\n\r\n"))
end

local function respond(stream, body, more)
  await(stream:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s")
    :format(#body, more or "", body)))
end

-- Answers each request of a connection with its path.
local function paths(stream)
  for head in function() return (read_request(stream)) end do
    respond(stream, head:match "^%u+ (%S+)")
  end
end

local function request(method, path, more)
  return ("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n"):format(
    method, path, more or "")
end

-- Status, body and head of the next answer.
local function read_answer(stream)
  local head, whole = await(stream:read_until "\r\n\r\n")
  if not whole then return nil end
  local length = tonumber(head:match "Content%-Length: (%d+)")
  local body = length and length > 0 and await(stream:read(length)) or ""
  return head:match "^HTTP/1%.1 (%d+)", body, head
end

local function ask(port, text)
  local stream <close> = await(uv.connect(HOST, port))
  await(stream:write(text))
  return read_answer(stream)
end

local function memory_of(process)
  local status = spec.get(("/proc/%d/status"):format(process.pid))
  return tonumber(status:match "VmRSS:%s*(%d+)") -- KiB
end

local function descriptors_of(process)
  local n = 0
  local path = ("/proc/%d/fd"):format(process.pid)
  for _ in luv.fs_scandir_next, assert(luv.fs_scandir(path)) do n = n + 1 end
  return n
end

describe("the proxy", function()
  it("passes requests and answers on, many on a connection",
    test(paths, function(port)
      local stream <close> = await(uv.connect(HOST, port))
      for i = 1, 20 do
        await(stream:write(request("GET", "/" .. i)))
        local status, body = read_answer(stream)
        assert.equal("200", status)
        assert.equal("/" .. i, body)
      end
      -- Two at once.
      await(stream:write(request("GET", "/a") .. request("GET", "/b")))
      assert.equal("/a", select(2, read_answer(stream)))
      assert.equal("/b", select(2, read_answer(stream)))
    end))

  it("passes fields on, but for those of the connection", test(
    function(stream)
      local head = read_request(stream)
      respond(stream, head:lower(), "X-Kept: yes\r\nKeep-Alive: x\r\n")
    end, function(port)
      local _, seen, head = ask(port, request("GET", "/",
        "X-One: 1\r\nConnection: keep-alive, X-Two\r\nX-Two: 2\r\n"))
      assert.matches("x%-one: 1", seen)
      assert.matches("x%-forwarded%-for: 127%.0%.0%.1", seen)
      assert.is_nil(seen:find "x%-two")
      assert.is_nil(seen:find "connection")
      assert.matches("X%-Kept: yes", head)
      assert.is_nil(head:find "Keep%-Alive")
    end))

  it("streams large bodies both ways", test(function(stream)
    local head = read_request(stream)
    local n = tonumber(head:match "Content%-Length: (%d+)")
    await(stream:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n")
      :format(n)))
    while n > 0 do
      local piece = await(stream:read_some(n))
      await(stream:write(piece))
      n = n - #piece
    end
  end, function(port, proxy)
    local size <const> = 30000000
    local stream <close> = await(uv.connect(HOST, port))
    local before = memory_of(proxy)
    local sending = Promise.spawn(function()
      await(stream:write(request("PUT", "/",
        ("Content-Length: %d\r\n"):format(size))))
      for _ = 1, 300 do await(stream:write(("x"):rep(100000))) end
    end)
    local _, whole = await(stream:read_until "\r\n\r\n")
    assert.is_true(whole)
    assert.equal(size, #await(stream:read(size)))
    await(sending)
    assert.is_true(memory_of(proxy) - before < LITTLE)
  end))

  it("passes chunks and trailers on", test(function(stream)
    read_request(stream)
    local text = await(stream:read_until "\r\n\r\n")
    await(stream:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" ..
      "\r\n" .. text .. "\r\n\r\n"))
  end, function(port)
    local stream <close> = await(uv.connect(HOST, port))
    local chunks <const> = "5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n"
    await(stream:write(request("POST", "/",
      "Transfer-Encoding: chunked\r\n")))
    for i = 1, #chunks do -- byte by byte
      await(stream:write(chunks:sub(i, i)))
    end
    await(stream:read_until "\r\n\r\n")
    assert.equal(chunks, await(stream:read(#chunks)))
  end))

  it("passes an answer on that ends with the connection", test(
    function(stream)
      read_request(stream)
      await(stream:write "HTTP/1.1 200 OK\r\n\r\none ")
      await(Promise.delay(0.005))
      await(stream:write "two")
      await(stream:shutdown()) -- half closed
      await(stream:read_all())
    end, function(port)
      local stream <close> = await(uv.connect(HOST, port))
      await(stream:write(request("GET", "/")))
      local head = await(stream:read_until "\r\n\r\n")
      assert.matches("Connection: close", head)
      assert.equal("one two", await(stream:read_all()))
    end))

  it("passes 100 Continue on", test(function(stream)
    read_request(stream)
    await(stream:write "HTTP/1.1 100 Continue\r\n\r\n")
    respond(stream, await(stream:read(5)))
  end, function(port)
    local stream <close> = await(uv.connect(HOST, port))
    await(stream:write(request("POST", "/",
      "Content-Length: 5\r\nExpect: 100-continue\r\n")))
    assert.matches("^HTTP/1.1 100",
      (await(stream:read_until "\r\n\r\n")))
    await(stream:write "hello")
    assert.equal("hello", select(2, read_answer(stream)))
  end))

  for what, text in pairs {
    ["no HTTP"] = "nonsense\r\n\r\n",
    ["no host"] = "GET / HTTP/1.1\r\n\r\n",
    ["a bad field"] = "GET / HTTP/1.1\r\nHost: x\r\n bad\r\n\r\n",
    ["a bad length"] = request("POST", "/", "Content-Length: x\r\n"),
    ["two lengths"] =
      request("POST", "/", "Content-Length: 1\r\nContent-Length: 2\r\n"),
    ["a length and chunks"] = request("POST", "/",
      "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
    ["an unknown coding"] =
      request("POST", "/", "Transfer-Encoding: gzip\r\n"),
    ["a head without end"] = ("x"):rep(70000),
  } do
    it("refuses " .. what, test(paths, function(port)
      assert.equal("400", (ask(port, text)))
      assert.equal("/good", select(2, ask(port, request("GET", "/good"))))
    end))
  end

  it("answers 502 where the server is not there", test(paths,
    function(port, _, other)
      await(other:cancel())
      assert.equal("502", (ask(port, request("GET", "/"))))
      assert.equal("502", (ask(port, request("POST", "/"))))
    end))

  it("answers 502 for nonsense", test(function(stream)
    read_request(stream)
    await(stream:write "nonsense\r\n\r\n")
  end, function(port)
    assert.equal("502", (ask(port, request("GET", "/"))))
  end))

  it("answers 504 where the server is slow", test(function(stream)
    read_request(stream)
    await(stream:read_all())
  end, function(port)
    assert.equal("504", (ask(port, request("GET", "/"))))
  end, {"-t", "0.1"}))

  do
    local seen = {}

    it("tries again what does no harm, and nothing else", test(
      function(stream)
        local head = read_request(stream)
        local method = head:match "^%u+"
        seen[method] = (seen[method] or 0) + 1
        if seen[method] == 3 then respond(stream, "third") end
      end, function(port)
        assert.equal("third", select(2, ask(port, request("GET", "/"))))
        assert.equal("502", (ask(port, request("POST", "/"))))
        assert.equal(3, seen.GET)
        assert.equal(1, seen.POST)
      end))
  end

  it("breaks the connection where the server dies midway", test(
    function(stream)
      read_request(stream)
      await(stream:write(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"))
      await(Promise.delay(0.01))
      await(uv.tcp_close_reset(stream.handle))
    end, function(port, proxy)
      for _ = 1, 5 do
        local stream <close> = await(uv.connect(HOST, port))
        await(stream:write(request("GET", "/")))
        local _, whole = await(stream:read_until "\r\n\r\n")
        assert.is_true(whole)
        local _, rest = pawait(stream:read_all())
        assert.is_true(rest == "half" or rest == "" or
          rest.code == "ECONNRESET")
      end
      assert.is_true(proxy:kill "usr2" == true)
      await(proxy:wait())
    end))

  do
    local ended

    it("ends what it does for a client that hangs up", test(
      function(stream)
        read_request(stream)
        await(stream:read_all())
        ended = true
      end, function(port)
        do
          local stream <close> = await(uv.connect(HOST, port))
          await(stream:write(request("GET", "/")))
          await(Promise.delay(0.02))
        end
        for _ = 1, 2000 do
          if ended then break end
          await(Promise.delay(0.001))
        end
        assert.is_true(ended)
      end))
  end

  do
    local now, most = 0, 0

    it("opens no more connections than it may", test(function(stream)
      now = now + 1
      most = math.max(most, now)
      local _ <close> = setmetatable({}, {__close = function()
        now = now - 1
      end})
      for head in function() return (read_request(stream)) end do
        await(Promise.delay(0.005))
        respond(stream, head:match "^%u+ (%S+)")
      end
    end, function(port)
      local asked, all_answered = {}, Promise.event()
      for i = 1, 20 do
        asked[i] = Promise.spawn(function()
          local stream <close> = await(uv.connect(HOST, port))
          await(stream:write(request("GET", "/" .. i)))
          local status = read_answer(stream)
          if i == 20 then all_answered:set() end
          await(all_answered:wait())
          return status
        end)
      end
      for _, status in ipairs(await(Promise.all(asked))) do
        assert.equal("200", status)
      end
      assert.equal(3, most)
    end, {"-n", "3"}))
  end

  it("holds back a server whose client is slow", test(function(stream)
    read_request(stream)
    await(stream:write "HTTP/1.1 200 OK\r\n\r\n")
    for _ = 1, 500 do await(stream:write(("x"):rep(100000))) end
  end, function(port, proxy)
    local stream <close> = await(uv.connect(HOST, port))
    await(stream:write(request("GET", "/")))
    await(stream:read(1000))
    local before = memory_of(proxy)
    await(Promise.delay(0.1))
    assert.is_true(memory_of(proxy) - before < LITTLE)
    assert.is_true(#await(stream:read_all()) > 49000000)
  end))

  it("lets requests end when it is told to", test(function(stream)
    read_request(stream)
    await(Promise.delay(0.05))
    respond(stream, "in time")
  end, function(port, proxy)
    local idle <close> = await(uv.connect(HOST, port))
    local asking = Promise.spawn(ask, port, request("GET", "/"))
    await(Promise.delay(0.02))
    proxy:kill "term"
    local status, body, head = await(asking)
    assert.equal("200", status)
    assert.equal("in time", body)
    assert.matches("Connection: close", head)
    assert.is_nil(await(idle:read()))
    assert.equal(0, (await(proxy:wait())))
  end))

  it("keeps nothing of thousands of connections", test(paths,
    function(port, proxy)
      local n = helper.scaled(1000)
      local function many(times)
        for _ = 1, times do
          assert.equal("200", (ask(port, request("GET", "/"))))
        end
      end
      many(n // 5 + 1)
      local memory, open = memory_of(proxy), descriptors_of(proxy)
      many(n)
      assert.is_true(memory_of(proxy) - memory < LITTLE)
      assert.is_true(descriptors_of(proxy) <= open + 2)
    end))

  it("says how it is used", spec.test(function()
    local result = await(uv.run_process(LUA, {"examples/proxy.lua", "x"}))
    assert.equal(2, result.code)
    assert.matches("^usage: ", result.stderr)
  end))
end)
