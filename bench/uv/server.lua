--- The server behind the proxies that are measured, by luv's callbacks alone:
--- answers /N with N bytes. Prints its port.

local uv = require "luv"

local answers = {} -- by path

local function answer(path)
  if not answers[path] then
    local n = math.tointeger(tonumber(path:match "%d+"))
    answers[path] = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s")
      :format(n, ("x"):rep(n))
  end
  return answers[path]
end

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
assert(server:listen(511, function(err)
  assert(not err, err)
  local client, text = uv.new_tcp(), ""
  assert(server:accept(client))
  client:read_start(function(_, chunk)
    if not chunk then return client:close() end
    text = text .. chunk
    local head_end = text:find("\r\n\r\n", 1, true)
    while head_end do
      client:write(answer(text:match "^%u+ (%S+)"))
      text = text:sub(head_end + 4)
      head_end = text:find("\r\n\r\n", 1, true)
    end
  end)
end))
print(server:getsockname().port)
io.stdout:flush()
uv.run()
