-- An HTTP/1.1 reverse proxy: passes requests to another server and streams
-- its answers back.
--
--   lua5.4 examples/proxy.lua [OPTION...] PORT HOST PORT
--
--   PORT       where it listens (0: any port that is free)
--   HOST PORT  of the other server
--   -n N       how many connections to that may be open at once (64)
--   -c SECONDS how long connecting may take (2)
--   -t SECONDS how long a request may take in all (30)
--
-- Bodies stream both ways, no faster than they are read. Requests that do no
-- harm twice are tried three times. A client that hangs up ends what is done
-- for it. SIGTERM or SIGINT lets the requests that run end, and then the
-- program. Without arguments it tries itself with a server of its own, and
-- prints:
--
--   > GET /hello: 200 OK, hello
--   > GET /drops: 200 OK, at last
--   > POST /echo: 200 OK, 100000 bytes came back
--   > GET /slow: 504 Gateway Timeout

local Promise = require "cpromise"
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

local HEAD_LIMIT <const> = 64 * 1024
local PIECE <const> = 64 * 1024

-- Heads --------------------------------------------------------------------

---@class Head
---@field first string  the first line
---@field lines string[]  the other lines, in their order
---@field values table<string, string>  of each field, by its name in small
---  letters; several are joined
---@field names string[]  of each line, in small letters
local Head = {}
Head.__index = Head

-- What a field says, in small letters; nil if there is none.
function Head:get(name)
  local value = self.values[name]
  return value and value:lower()
end

function Head:add(name, value)
  local key = name:lower()
  local i = #self.lines + 1
  self.lines[i], self.names[i] = name .. ": " .. value, key
  local known = self.values[key]
  self.values[key] = known and known .. ", " .. value or value
end

-- The head as it is sent, without the fields of a set.
function Head:text(without)
  local lines = {self.first}
  for i, line in ipairs(self.lines) do
    if not without[self.names[i]] then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- Something in a message is wrong, or a server fails: what is answered.
local function refuse(status)
  error({status = status}, 0)
end

-- The next head of a stream, nil at its end.
local function read_head(stream, status)
  local ok, text, whole = pawait(stream:read_until("\r\n\r\n", HEAD_LIMIT))
  if ok and not text then return nil end
  if not ok and text.code ~= "EMSGSIZE" then error(text, 0) end
  if not ok or not whole then refuse(status) end
  local head = setmetatable({lines = {}, names = {}, values = {}}, Head)
  for line in text:gmatch "[^\r\n]+" do
    if not head.first then
      head.first = line
    else
      local name, value = line:match "^([^%s:]+):%s*(.-)%s*$"
      if not name then refuse(status) end
      head:add(name, value)
    end
  end
  return head
end

-- Bodies -------------------------------------------------------------------

-- How a body ends: after so many bytes, with its last chunk ("chunked"), or
-- with the connection, if that is given.
local function body_of(head, status, otherwise)
  local coding, length =
    head:get "transfer-encoding", head:get "content-length"
  if coding then -- a length beside it is how requests are smuggled
    if coding ~= "chunked" or length then refuse(status) end
    return "chunked"
  elseif length then
    if not length:find "^%d+$" or #length > 15 then refuse(status) end
    return math.tointeger(tonumber(length))
  end
  return otherwise
end

local function copy_bytes(from, to, n, status)
  while n > 0 do
    local piece = await(from:read_some(math.min(n, PIECE)))
    if not piece then refuse(status) end -- it ended before
    await(to:write(piece))
    n = n - #piece
  end
end

-- A line of the chunked coding is passed on.
local function copy_line(from, to, status)
  local line, whole = await(from:read_until("\r\n", 4096))
  if not whole then refuse(status) end
  await(to:write(line .. "\r\n"))
  return line
end

local function copy_chunks(from, to, status)
  repeat
    local size = tonumber(copy_line(from, to, status):match "^%x+", 16)
    if not size then refuse(status) end
    if size > 0 then copy_bytes(from, to, size + 2, status) end
  until size == 0
  repeat until copy_line(from, to, status) == "" -- trailers
end

local function copy_body(from, to, body, status)
  if body == "chunked" then
    copy_chunks(from, to, status)
  elseif body == "to the end" then
    await(uv.pipe_through(from, to))
  else
    copy_bytes(from, to, body, status)
  end
end

-- Connections to the other server ------------------------------------------

-- They are kept open, and used again.
---@class Pool
local Pool = {}
Pool.__index = Pool

local function new_pool(host, port, limit, patience)
  return setmetatable({
    host = host, port = port, patience = patience, idle = {},
    permits = Promise.semaphore(limit),
  }, Pool)
end

-- A connection for a block, which ends it, unless `keep` is set.
local Lease = {}

function Lease:__close()
  if self.keep then
    table.insert(self.pool.idle,
      {stream = self.stream, ended = self.stream:ended()})
  else
    await(self.stream:close())
  end
  self.permit()
end

-- One that lies idle, if the server has not ended it meanwhile.
local function take_idle(pool)
  local entry = table.remove(pool.idle)
  while entry and entry.ended:status() ~= "pending" do
    await(entry.stream:close())
    entry = table.remove(pool.idle)
  end
  return entry and entry.stream
end

function Pool:lease()
  local permit = await(self.permits:acquire())
  local stream = take_idle(self)
  local ok, reason = true, nil
  if not stream then
    ok, reason = pcall(function()
      stream = await(uv.connect(self.host, self.port):timeout(self.patience))
    end)
  end
  if not ok then
    permit()
    error(reason, 0)
  end
  return setmetatable({pool = self, stream = stream, permit = permit}, Lease)
end

function Pool:close()
  for _, entry in ipairs(self.idle) do await(entry.stream:close()) end
end

-- Exchanges ----------------------------------------------------------------

-- Fields that are about one connection are not passed on.
local hop_by_hop = {connection = true, ["keep-alive"] = true,
  ["proxy-connection"] = true, te = true, upgrade = true}

-- The same, with those that a head itself says are.
local function hop_by_hop_of(head)
  local connection = head:get "connection"
  if not connection then return hop_by_hop end
  local set = setmetatable({}, {__index = hop_by_hop})
  for name in connection:gmatch "[^%s,]+" do set[name] = true end
  return set
end

local harmless_twice = {GET = true, HEAD = true, OPTIONS = true, TRACE = true}

-- A request, as it goes to the other server.
local function prepare(head, address)
  local method, version = head.first:match "^(%u+) %S+ HTTP/1%.([01])$"
  if not method or version == "1" and not head:get "host" then
    refuse "400 Bad Request"
  end
  head:add("X-Forwarded-For", address)
  local request = {
    text = head:text(hop_by_hop_of(head)), method = method,
    body = body_of(head, "400 Bad Request", 0),
    close = version == "0" or
      (head:get "connection" or ""):find "close" ~= nil,
  }
  return request
end

local BAD <const> = "502 Bad Gateway"

-- The head of the answer, after those that only say that it will come.
local function read_answer(up, client)
  while true do
    local answer = read_head(up, BAD)
    if not answer then refuse(BAD) end
    local code = answer.first:match "^HTTP/1%.[01] (%d%d%d)"
    if not code then refuse(BAD) end
    if code:sub(1, 1) ~= "1" then return answer, code end
    await(client:write(answer:text(hop_by_hop)))
  end
end

-- How the body of an answer ends.
local function answer_body(request, answer, code)
  if request.method == "HEAD" or code == "204" or code == "304" then
    return 0
  end
  return body_of(answer, BAD, "to the end")
end

-- Pass an answer on. Returns whether either connection may be used again.
local function pass_back(client, up, request, state)
  local answer, code = read_answer(up, client)
  local body = answer_body(request, answer, code)
  local up_closes = body == "to the end" or
    (answer:get "connection" or ""):find "close" ~= nil
  local close = request.close or body == "to the end" or
    state.proxy.draining
  if close then answer.first = answer.first .. "\r\nConnection: close" end
  local text = answer:text(hop_by_hop_of(answer))
  if math.type(body) and body > 0 then -- one write for both
    local piece = await(up:read_some(math.min(body, PIECE)))
    text, body = {text, piece}, body - (piece and #piece or 0)
  end
  state.answered = true
  await(client:write(text))
  copy_body(up, client, body, BAD)
  return not up_closes, not close
end

-- Send the body of a request, while the answer may come already. A server may
-- answer without reading all of it.
local function pass_on(client, up, request)
  local ok, reason = pawait(Promise.spawn(copy_body, client, up, request.body,
    "400 Bad Request"))
  if not ok and reason.code ~= "EPIPE" and reason.code ~= "ECONNRESET" then
    error(reason, 0)
  end
  return ok
end

local function attempt(pool, client, request, state)
  local lease <close> = pool:lease()
  await(lease.stream:write(request.text))
  if request.body == 0 then
    local keep, stay = pass_back(client, lease.stream, request, state)
    lease.keep = keep
    return stay
  end
  local sending = Promise.spawn(pass_on, client, lease.stream, request)
  local _ <close> = sending
  local keep, stay = pass_back(client, lease.stream, request, state)
  local sent = sending:status() == "fulfilled" and await(sending)
  lease.keep = keep and sent
  return stay and sent -- or the rest of the body would be the next request
end

-- As often as it does no harm, and nothing has been answered.
local function exchange(pool, client, request, state)
  local may_repeat = request.body == 0 and harmless_twice[request.method]
  return await(Promise.retry(function()
    return attempt(pool, client, request, state)
  end, {
    attempts = may_repeat and 3 or 1, delay = 0.02,
    when = function() return not state.answered end,
  }))
end

-- A failure as an answer.
local function status_of(reason)
  if type(reason) == "table" and reason.status then return reason.status end
  if Promise.isTimeout(reason) then return "504 Gateway Timeout" end
  return BAD
end

local function answer_failure(client, reason)
  local status = status_of(reason)
  await(client:write(("HTTP/1.1 %s\r\nContent-Length: 0\r\n" ..
    "Connection: close\r\n\r\n"):format(status)))
end

-- One request of a client. Returns whether there may be another.
local function serve_request(proxy, client, address, head)
  local state = {answered = false, proxy = proxy}
  local ok, stay = pcall(function()
    local request = prepare(head, address)
    local what, result = await(Promise.select {
      done = Promise.spawn(exchange, proxy.pool, client, request, state)
        :timeout(proxy.seconds),
      gone = client:ended(),
    })
    return what == "done" and result
  end)
  if ok then return stay end
  if Promise.cancelled() then error(stay, 0) end
  if not state.answered then answer_failure(client, stay) end
  return false
end

-- A connection of a client: one request after the other.
local function serve(proxy, client)
  local address = client:getpeername().ip
  repeat
    local what, head = await(Promise.select {
      head = Promise.spawn(read_head, client, "400 Bad Request"),
      stop = proxy.stop:wait(),
    })
    local stay = what == "head" and head and
      serve_request(proxy, client, address, head)
  until not stay or proxy.draining
end

-- A client that breaks its connection is no news.
local function serve_quietly(proxy, client)
  local ok, reason = pcall(serve, proxy, client)
  if ok or Promise.cancelled() then return end
  if type(reason) == "table" and reason.status then
    pcall(answer_failure, client, reason)
  elseif type(reason) ~= "table" or not reason.code then
    error(reason, 0)
  end
end

-- A promise of a proxy.
local start = Promise.async(function(port, host, upstream_port, options)
  local proxy = {
    pool = new_pool(host, upstream_port, options.n, options.c),
    seconds = options.t,
    stop = Promise.event(),
  }
  proxy.server = await(uv.listen("127.0.0.1", port, function(client)
    serve_quietly(proxy, client)
  end))
  return proxy
end)

-- Let the requests that run end.
local function drain(proxy)
  proxy.draining = true
  proxy.stop:set()
  await(proxy.server:close())
  proxy.pool:close()
end

-- The program --------------------------------------------------------------

local defaults = {n = 64, c = 2, t = 30}

local function run(port, host, upstream_port, options)
  local proxy = await(start(port, host, upstream_port, options))
  local term <close> = uv.signal "term"
  local int <close> = uv.signal "int"
  print("listening on " .. proxy.server.port)
  io.stdout:flush()
  await(Promise.select {term:receive(), int:receive()})
  drain(proxy)
end

-- A server that answers in several ways.
local function other_server()
  local drops = 2
  return function(client)
    local head = read_head(client, BAD)
    local path = head and head.first:match "^%u+ (%S+)"
    if path == "/drops" and drops > 0 then
      drops = drops - 1
      return
    end
    if path == "/slow" then await(Promise.delay(9)) end
    local body = path == "/drops" and "at last" or "hello"
    if path == "/echo" then
      body = await(client:read(tonumber(head:get "content-length")))
    end
    await(client:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s")
      :format(#body, body)))
  end
end

-- The status and the body of one answer.
local function ask(port, method, path, body)
  local stream <close> = await(uv.connect("127.0.0.1", port))
  await(stream:write(("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" ..
    "Connection: close\r\n\r\n%s"):format(method, path, #body, body)))
  local answer = await(stream:read_all())
  return answer:match "^HTTP/1%.1 ([^\r\n]*).-\r\n\r\n(.*)$"
end

local function demonstrate()
  local other = await(uv.listen("127.0.0.1", 0, other_server(),
    {on_error = function() end}))
  local proxy = await(start(0, "127.0.0.1", other.port,
    {n = 8, c = 1, t = 0.3}))
  local port = proxy.server.port
  for _, path in ipairs {"/hello", "/drops"} do
    print(("GET %s: %s, %s"):format(path, ask(port, "GET", path, "")))
  end
  local status, body = ask(port, "POST", "/echo", ("x"):rep(100000))
  print(("POST /echo: %s, %d bytes came back"):format(status, #body))
  print("GET /slow: " .. ask(port, "GET", "/slow", ""))
  drain(proxy)
  await(other:cancel())
end

if not arg[1] then return Promise.main(demonstrate) end

local options, i = {}, 1
while arg[i] and arg[i]:find "^%-[nct]$" do
  options[arg[i]:sub(2)] = tonumber(arg[i + 1])
  i = i + 2
end
local port = math.tointeger(tonumber(arg[i] or ""))
local upstream_port = math.tointeger(tonumber(arg[i + 2] or ""))
if not port or not upstream_port then
  io.stderr:write("usage: proxy.lua [-n N] [-c SECONDS] [-t SECONDS] ",
    "PORT HOST PORT\n")
  os.exit(2)
end
for name, value in pairs(defaults) do
  options[name] = options[name] or value
end
Promise.run(run, port, arg[i + 1], upstream_port, options)
