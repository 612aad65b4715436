-- A TCP server that sends back what it gets, and its clients, all in this
-- process: each connection is straight-line code.
--
--   lua5.4 examples/echo.lua [CLIENTS [BYTES]]
--
--   CLIENTS  how many are connected at once (100)
--   BYTES    the size of a message; each client sends ten (1000)
--
-- Without arguments it prints:
--
--   > server: 100 connections, 1000000 bytes
--   > clients: 1000 messages came back as they were sent

local Promise = require "cpromise"
local uv = require "luv"
local await = Promise.await

local tcp_connect = Promise.promisify(uv.tcp_connect)
local write = Promise.promisify(uv.write)
local shutdown = Promise.promisify(uv.shutdown)

-- For `local _ <close> =`: closes the handle at the end of the block.
local function closing(handle)
  return setmetatable({}, {__close = function() handle:close() end})
end

-- A promise of the next chunk from a socket, nil at the end.
local function read(socket)
  return Promise.new(function(resolve, reject)
    assert(socket:read_start(function(err, chunk)
      socket:read_stop()
      if err then reject(err) else resolve(chunk) end
    end))
  end)
end

-- A promise of the next n bytes, or of fewer if the other side ends.
local receive = Promise.async(function(socket, n)
  local chunks = {}
  while n > 0 do
    local chunk = await(read(socket))
    if not chunk then break end
    chunks[#chunks + 1], n = chunk, n - #chunk
  end
  return table.concat(chunks)
end)

-- Call `serve` with each connection, in an async call of its own. Returns
-- the server and its port.
local function listen(host, backlog, serve)
  local server = uv.new_tcp()
  assert(server:bind(host, 0)) -- 0: any port that is free
  assert(server:listen(backlog, function(err)
    assert(not err, err)
    local socket = uv.new_tcp()
    assert(server:accept(socket))
    Promise.spawn(serve, socket)
  end))
  return server, server:getsockname().port
end

local count = {connections = 0, bytes = 0, messages = 0}

local function echo(socket)
  local _ <close> = closing(socket)
  count.connections = count.connections + 1
  for chunk in function() return await(read(socket)) end do
    await(write(socket, chunk))
    count.bytes = count.bytes + #chunk
  end
end

local talk = Promise.async(function(host, port, name, size)
  local socket = uv.new_tcp()
  local _ <close> = closing(socket)
  await(tcp_connect(socket, host, port))
  for i = 1, 10 do
    local message = ("%d %d,"):format(name, i):rep(size // 4 + 1):sub(1, size)
    -- A large one begins to come back before the last of it has been sent.
    local got = await(Promise.all {
      receive(socket, size), write(socket, message),
    })
    assert(got[1] == message, "the message came back changed")
    count.messages = count.messages + 1
  end
  await(shutdown(socket))
  assert(not await(read(socket)), "more came back than was sent")
end)

local clients, size = tonumber(arg[1] or 100), tonumber(arg[2] or 1000)

local ok, err = pcall(Promise.run, function()
  local host = "127.0.0.1"
  local server, port = listen(host, clients, echo)
  local _ <close> = closing(server)
  local talks = {}
  for i = 1, clients do talks[i] = talk(host, port, i, size) end
  await(Promise.all(talks))
end)
Promise.run() -- ends, since all is closed, also after an error
assert(ok, err)
print(("server: %d connections, %d bytes"):format(
  count.connections, count.bytes))
print(("clients: %d messages came back as they were sent"):format(
  count.messages))
