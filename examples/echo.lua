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
local uv = require "cpromise.uv"
local await = Promise.await

local HOST <const> = "127.0.0.1"

local count = {connections = 0, bytes = 0, messages = 0}

local function echo(stream)
  count.connections = count.connections + 1
  for chunk in stream:chunks() do
    await(stream:write(chunk))
    count.bytes = count.bytes + #chunk
  end
end

local talk = Promise.async(function(port, name, size)
  local stream <close> = await(uv.connect(HOST, port))
  for i = 1, 10 do
    local message = ("%d %d,"):format(name, i):rep(size // 4 + 1):sub(1, size)
    -- A large one begins to come back before the last of it has been sent.
    local got = await(Promise.all {
      size > 0 and stream:read(size) or "", stream:write(message),
    })
    assert(got[1] == message, "the message came back changed")
    count.messages = count.messages + 1
  end
  await(stream:shutdown())
  assert(not await(stream:read()), "more came back than was sent")
end)

local clients, size = tonumber(arg[1] or 100), tonumber(arg[2] or 1000)

Promise.main(function()
  -- Port 0: any that is free. The end of the block waits for the last one.
  local server <close> = await(uv.listen(HOST, 0, echo))
  local talks = {}
  for i = 1, clients do talks[i] = talk(server.port, i, size) end
  await(Promise.all(talks))
end)
print(("server: %d connections, %d bytes"):format(
  count.connections, count.bytes))
print(("clients: %d messages came back as they were sent"):format(
  count.messages))
