--- Requests from so many clients, one after the other on each connection, by
--- luv's callbacks alone. Prints microseconds for a request, all clients
--- together, and the median and the 99th percentile of what one takes.
---
---     load.lua PORT CLIENTS REQUESTS PATH

local uv = require "luv"

local port, clients = tonumber(arg[1]), tonumber(arg[2])
local total = tonumber(arg[3])
local request = ("GET %s HTTP/1.1\r\nHost: x\r\n\r\n"):format(arg[4])
local begun, times = 0, {}

-- Whether a whole answer is there.
local function is_whole(text)
  local head_end = text:find("\r\n\r\n", 1, true)
  if not head_end then return false end
  local n = text:lower():match "content%-length: (%d+)"
  return #text >= head_end + 3 + tonumber(n)
end

local function run(client)
  local parts, start = {}, nil
  local function ask()
    if begun == total then return client:close() end
    begun, start, parts = begun + 1, uv.hrtime(), {}
    client:write(request)
  end
  client:read_start(function(err, chunk)
    assert(chunk, err or "the connection was closed")
    parts[#parts + 1] = chunk
    parts = {table.concat(parts)}
    if not is_whole(parts[1]) then return end
    times[#times + 1] = (uv.hrtime() - start) / 1e3
    ask()
  end)
  ask()
end

local start = uv.hrtime()
for _ = 1, clients do
  local client = uv.new_tcp()
  client:connect("127.0.0.1", port, function(err)
    assert(not err, err)
    run(client)
  end)
end
uv.run()
assert(#times == total, "answers are missing")
table.sort(times)
print((uv.hrtime() - start) / 1e3 / total, times[total // 2],
  times[total * 99 // 100])
