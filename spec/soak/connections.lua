--- Ten thousand connections one after the other, every tenth of which is
--- cancelled midway, through a server of luv's layer: memory stays flat, and
--- no descriptor is left.
---
---     connections.lua [SCALE]

local Promise = require "cpromise"
local luv = require "luv"
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

local n = math.max(20, math.floor(10000 * (tonumber(arg[1]) or 1)))

local function descriptors()
  local open = 0
  for _ in luv.fs_scandir_next, assert(luv.fs_scandir "/proc/self/fd") do
    open = open + 1
  end
  return open
end

local function echo(stream)
  for chunk in stream:chunks() do await(stream:write(chunk)) end
end

local function ask(port, text)
  local stream <close> = await(uv.connect("127.0.0.1", port))
  await(stream:write(text))
  await(stream:shutdown())
  return await(stream:read_all())
end

-- Returns how many came to their end.
local function connect_all(port, times)
  local answered = 0
  for i = 1, times do
    local asking = Promise.spawn(ask, port, "connection " .. i)
    if i % 10 == 0 then
      Promise.delay(0):next(function() asking:cancel() end)
    end
    local ok, text = pawait(asking)
    if ok then
      assert(text == "connection " .. i, "another answer came")
      answered = answered + 1
    end
  end
  return answered
end

Promise.run(function()
  local server <close> = await(uv.listen("127.0.0.1", 0, echo,
    {on_error = function() end}))
  connect_all(server.port, n // 10)
  await(Promise.delay(0.05))
  local before = descriptors()
  collectgarbage()
  collectgarbage()
  local held = collectgarbage "count"

  local answered = connect_all(server.port, n)
  print(("%d connections, %d answered, the others cancelled"):format(
    n, answered))
  assert(answered >= n * 0.9, "connections were lost")

  await(Promise.delay(0.05))
  local left = descriptors() - before
  collectgarbage()
  collectgarbage()
  local bytes = (collectgarbage "count" - held) * 1024
  print(("%d descriptors and %.0f bytes held afterwards"):format(left, bytes))
  assert(left <= 0, "descriptors are left")
  assert(bytes < 65536, "memory is held")
end)
