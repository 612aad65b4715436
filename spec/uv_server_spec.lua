--- Servers and connections, on loopback and on pipes.

local Promise = require "cpromise"
local helper = require "spec.helper"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait
local test = spec.test

local HOST <const> = "127.0.0.1"

-- A body that leaves nothing.
local function clean(body)
  return test(function(folder)
    spec.settle()
    spec.leaves_nothing(body, folder)
  end)
end

local function echo(stream)
  for chunk in stream:chunks() do await(stream:write(chunk)) end
end

-- Send a text to a port and get all that comes back.
local function ask(port, text)
  local stream <close> = await(uv.connect(HOST, port))
  await(stream:write(text))
  await(stream:shutdown())
  return await(stream:read_all())
end

-- A port that nobody listens at.
local function free_port()
  local handle = luv.new_tcp()
  assert(handle:bind(HOST, 0))
  local port = handle:getsockname().port
  handle:close()
  return port
end

describe("connect", function()
  it("finds a host by its name", clean(function()
    local server <close> = await(uv.listen(HOST, 0, echo))
    local stream <close> = await(uv.connect("localhost", server.port))
    assert.equal(server.port, stream:getpeername().port)
    await(stream:write "hello")
    assert.equal("hello", await(stream:read()))
    await(stream:shutdown())
  end))

  it("connects to the path of a pipe", clean(function(folder)
    local path = folder .. "/pipe"
    local server <close> = await(uv.listen(path, echo))
    assert.equal(path, server:getsockname())
    local stream <close> = await(uv.connect(path))
    assert.equal(path, stream:getpeername())
    await(stream:write "hello")
    assert.equal("hello", await(stream:read()))
    await(stream:shutdown())
  end))

  it("fails with code and address", clean(function(folder)
    local port = free_port()
    local failure = spec.fails("ECONNREFUSED", "connect",
      uv.connect(HOST, port))
    assert.equal(HOST, failure.host)
    assert.equal(port, failure.port)
    assert.equal(("ECONNREFUSED: connection refused: 127.0.0.1:%d (connect)")
      :format(port), tostring(failure))
    local path = folder .. "/nothing"
    failure = spec.fails("ENOENT", "connect", uv.connect(path))
    assert.equal(path, failure.path)
  end))

  local requests = require "cpromise.uv.request".all
  local tcp_connect = requests.tcp_connect

  -- In the place of luv's, for a block.
  local function with(name, fn)
    local original = requests[name]
    requests[name] = fn
    return setmetatable({}, {__close = function()
      requests[name] = original
    end})
  end

  it("fails for a name that doesn't resolve", clean(function()
    local _ <close> = with("getaddrinfo", function(host)
      return Promise.reject(
        require "cpromise.uv.errors".new("getaddrinfo", "EAI_NONAME", nil,
          {host = host}))
    end)
    local failure =
      spec.fails("EAI_NONAME", "connect", uv.connect("nowhere", 1))
    assert.equal("nowhere", failure.host)
    assert.equal(1, failure.port)
  end))

  local function found(...)
    local list = {}
    for i, address in ipairs {...} do
      list[i] = {addr = address,
        family = address:find ":" and "inet6" or "inet"}
    end
    return function() return Promise.resolve(list) end
  end

  it("tries the next address where one refuses", clean(function()
    local server <close> = await(uv.listen(HOST, 0, echo))
    local _ <close> = with("getaddrinfo", found("127.0.0.9", HOST))
    local stream <close> = await(uv.connect("name", server.port))
    assert.equal(HOST, stream:getpeername().ip)
  end))

  it("doesn't wait for one that doesn't answer", clean(function()
    local server <close> = await(uv.listen(HOST, 0, echo))
    local tried = {}
    local _ <close> = with("tcp_connect", function(handle, address, port)
      tried[#tried + 1] = address
      if address == "127.0.0.8" then return Promise.new(function() end) end
      return tcp_connect(handle, address, port)
    end)
    local _ <close> =
      with("getaddrinfo", found("127.0.0.8", "127.0.0.9", HOST))
    local stream <close> = await(uv.connect("name", server.port))
    assert.equal(HOST, stream:getpeername().ip)
    assert.same({"127.0.0.8", "127.0.0.9", HOST}, tried)
  end))

  it("tries both families in turn", clean(function()
    local tried = {}
    local _ <close> = with("tcp_connect", function(_, address)
      tried[#tried + 1] = address
      return Promise.reject "no"
    end)
    local _ <close> =
      with("getaddrinfo", found("::1", "::2", "::3", "1.1.1.1", "2.2.2.2"))
    local ok, reason = pawait(uv.connect("name", 1))
    assert.is_false(ok)
    assert.equal("no", reason)
    assert.same({"::1", "1.1.1.1", "::2", "2.2.2.2", "::3"}, tried)
  end))

  it("closes the second of two that connect", clean(function()
    local server <close> = await(uv.listen(HOST, 0, echo))
    local held, release = {}, nil
    local _ <close> = with("tcp_connect", function(handle, _, port)
      local promise, resolve = Promise.withResolvers()
      tcp_connect(handle, HOST, port):next(function()
        held[#held + 1] = resolve
        if #held == 2 then release() end
      end)
      return promise
    end)
    function release() for _, resolve in ipairs(held) do resolve() end end
    local _ <close> = with("getaddrinfo", found("127.0.0.8", "127.0.0.9"))
    local stream <close> = await(uv.connect("name", server.port))
    assert.equal(2, #held)
    assert.is_true(stream:getpeername().port == server.port)
  end))

  for _, case in ipairs {
    {"bad argument #1 to 'connect' (string expected, got nil)",
      function() uv.connect() end},
    {"bad argument #2 to 'connect' (integer expected, got string)",
      function() uv.connect("x", "80") end},
    {"bad argument #2 to 'connect' (a port is from 1 to 65535)",
      function() uv.connect("x", 0) end},
  } do
    it("refuses: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end
end)

describe("an address", function()
  it("that is none fails", clean(function()
    for _, host in ipairs {"999.1.1.1", "1.2.3.4.5", "[::1]"} do
      spec.fails("EAI_NONAME", "connect", uv.connect(host, 1))
      local failure =
        spec.fails("EAI_NONAME", "listen", uv.listen(host, 1, echo))
      assert.equal(host, failure.host)
    end
  end))

  it("may have a port that is a float", clean(function()
    local server <close> = await(uv.listen(HOST, 0.0, echo))
    assert.equal("x", ask(server.port + 0.0, "x"))
  end))

  it("of a pipe may not be longer than the system has room for",
    clean(function(folder)
      local path = folder .. "/" .. ("x"):rep(108)
      spec.fails("ENAMETOOLONG", "listen", uv.listen(path, echo))
      spec.fails("ENAMETOOLONG", "connect", uv.connect(path))
    end))
end)

describe("a server", function()
  it("serves many at once", clean(function()
    local most = 0
    local server
    server = await(uv.listen(HOST, 0, function(stream)
      most = math.max(most, server:connected())
      local text = await(stream:read_all())
      await(Promise.delay(0.01))
      await(stream:write(text:upper()))
    end))
    local asked = {}
    for i = 1, 50 do
      asked[i] = Promise.spawn(ask, server.port, "text " .. i)
    end
    for i, text in ipairs(await(Promise.all(asked))) do
      assert.equal("TEXT " .. i, text)
    end
    assert.is_true(most > 10)
    await(server:close())
    assert.equal(0, server:connected())
  end))

  it("serves so many at once, and no more", clean(function()
    local now, most = 0, 0
    local server = await(uv.listen(HOST, 0, function(stream)
      now = now + 1
      most = math.max(most, now)
      await(stream:read_all())
      await(Promise.delay(0.002))
      await(stream:write "served")
      now = now - 1
    end, {limit = 3}))
    local asked = {}
    for i = 1, 20 do asked[i] = Promise.spawn(ask, server.port, "x") end
    for _, text in ipairs(await(Promise.all(asked))) do
      assert.equal("served", text)
    end
    assert.equal(3, most)
    await(server:close())
  end))

  it("reports the error of one connection, and goes on", clean(function()
    local errors = {}
    local server = await(uv.listen(HOST, 0, function(stream)
      local text = await(stream:read_all())
      if text == "bad" then error("a bad one", 0) end
      await(stream:write "good")
    end, {on_error = function(reason, stream)
      errors[#errors + 1] = reason
      assert.is_function(stream.close)
    end}))
    assert.equal("", ask(server.port, "bad"))
    assert.equal("good", ask(server.port, "x"))
    await(server:close())
    assert.same({"a bad one"}, errors)
  end))

  it("reports it as one that nobody handles", clean(function()
    local seen
    local previous = Promise.onUnhandledRejection(function(reason, _, trace)
      seen = {reason, trace}
    end)
    local server = await(uv.listen(HOST, 0, function(stream)
      await(stream:read_all())
      error "nobody handles this"
    end))
    ask(server.port, "x")
    await(server:close())
    Promise.onUnhandledRejection(previous)
    assert.matches("nobody handles this", seen[1])
    assert.matches("uv_server_spec", seen[2])
  end))

  it("gives each connection a scope", clean(function()
    local ended = 0
    local server = await(uv.listen(HOST, 0, function(stream, scope)
      for _ = 1, 3 do
        scope:spawn(function()
          await(Promise.delay(0.005))
          ended = ended + 1
        end)
      end
      await(stream:read_all())
    end))
    ask(server.port, "x")
    await(server:close())
    assert.equal(3, ended)
  end))

  it("that is closed waits for what is in flight", clean(function()
    local server = await(uv.listen(HOST, 0, function(stream)
      local text = await(stream:read_all())
      await(Promise.delay(0.01))
      await(stream:write(text))
    end))
    local asked = Promise.spawn(ask, server.port, "in flight")
    while server:connected() == 0 do await(Promise.delay(0.001)) end
    local closed = server:close()
    spec.fails("ECONNREFUSED", "connect", uv.connect(HOST, server.port))
    assert.equal("pending", closed:status())
    assert.equal("in flight", await(asked))
    await(closed)
    await(server:wait())
  end))

  it("that is cancelled waits for clean-ups only", clean(function()
    local reason, cleaned
    local server = await(uv.listen(HOST, 0, function(stream)
      local _ <close> = setmetatable({}, {__close = function(_, err)
        reason = err
        await(Promise.delay(0.01))
        cleaned = true
      end})
      await(stream:read_all())
    end))
    local stream <close> = await(uv.connect(HOST, server.port))
    while server:connected() == 0 do await(Promise.delay(0.001)) end
    await(server:cancel "enough")
    assert.is_true(cleaned)
    assert.equal("enough", reason.reason)
    assert.is_nil(await(stream:read()))
  end))

  it("is cancelled where an error leaves its block", clean(function()
    local stream
    local ok, reason = pcall(function()
      local server <close> = await(uv.listen(HOST, 0, echo))
      stream = await(uv.connect(HOST, server.port))
      await(stream:write "x")
      await(stream:read())
      error("leave", 0)
    end)
    assert.is_false(ok)
    assert.equal("leave", reason)
    assert.is_nil(await(stream:read()))
    await(stream:close())
  end))

  it("fails for a port in use", clean(function()
    local first <close> = await(uv.listen(HOST, 0, echo))
    local failure = spec.fails("EADDRINUSE", "listen",
      uv.listen(HOST, first.port, echo))
    assert.equal(first.port, failure.port)
    assert.equal(HOST, failure.host)
  end))

  it("fails for an address that is not here", clean(function()
    spec.fails("EADDRNOTAVAIL", "listen", uv.listen("192.0.2.1", 0, echo))
  end))

  it("fails for a path that can't be", clean(function(folder)
    spec.fails("EACCES", "listen", uv.listen(folder .. "/no/pipe", echo))
  end))

  it("lives on where descriptors run out", clean(function()
    local server = await(uv.listen(HOST, 0, echo))
    local open = {}
    local fd, failure = luv.fs_open("/dev/null", "r", 0)
    while fd and #open < 100000 do -- take all that are left
      open[#open + 1] = fd
      fd, failure = luv.fs_open("/dev/null", "r", 0)
    end
    if fd then luv.fs_close(fd) end
    local ok, reason = pawait(uv.connect(HOST, server.port))
    for _, each in ipairs(open) do luv.fs_close(each) end
    if failure then -- or there are too many to take
      assert.matches("^EMFILE", failure)
      assert.is_false(ok)
      assert.equal("EMFILE", reason.code)
    elseif ok then
      await(reason:close())
    end
    assert.equal("again", ask(server.port, "again"))
    await(server:close())
  end))

  it("takes thousands one after the other, and keeps nothing",
    clean(function()
      local server <close> = await(uv.listen(HOST, 0, echo))
      local n = helper.scaled(1000)
      for _ = 1, n // 10 + 1 do assert.equal("x", ask(server.port, "x")) end
      helper.collect()
      local before = collectgarbage "count"
      local descriptors = spec.descriptors()
      for _ = 1, n do assert.equal("x", ask(server.port, "x")) end
      helper.collect()
      assert.is_true(collectgarbage "count" - before < 100)
      assert.is_true(spec.descriptors() <= descriptors + 1)
    end))

  it("sees a peer that resets", clean(function()
    local failed, resolve = Promise.withResolvers()
    local server = await(uv.listen(HOST, 0, echo,
      {on_error = function(reason) resolve(reason) end}))
    local handle = luv.new_tcp()
    await(uv.tcp_connect(handle, HOST, server.port))
    await(uv.write(handle, "x"))
    assert.equal("x", await(uv.once(handle, "read_start")))
    await(uv.tcp_close_reset(handle))
    local reason = await(failed)
    assert.equal("ECONNRESET", reason.code)
    assert.equal("read", reason.call)
    await(server:close())
  end))

  local function handler() end

  for _, case in ipairs {
    {"bad argument #1 to 'listen' (string expected, got nil)",
      function() uv.listen() end},
    {"bad argument #2 to 'listen' (integer expected, got nil)",
      function() uv.listen("x") end},
    {"bad argument #2 to 'listen' (a port is from 0 to 65535)",
      function() uv.listen("x", -1, handler) end},
    {"bad argument #3 to 'listen' (callable expected, got nil)",
      function() uv.listen("x", 0) end},
    {"bad argument #4 to 'listen' (option 'limit': must be at least 1)",
      function() uv.listen("x", 0, handler, {limit = 0}) end},
    {"bad argument #3 to 'listen' (unknown option 'x')",
      function() uv.listen("x", handler, {x = 1}) end},
  } do
    it("refuses: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end
end)
