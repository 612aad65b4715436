-- A client for Redis: commands are sent without waiting for the answers of
-- others, messages come through a channel, and a connection that is lost is
-- made again.
--
--   lua5.4 examples/redis.lua
--
-- starts a redis-server of its own, at a socket in a temporary folder, and
-- ends with status 77 where that is not installed. It prints:
--
--   > PING: PONG
--   > 1000 commands at once: counter is 1000
--   > INCR counter: ERR value is not an integer or out of range
--   > news: hello, world
--   > the server was killed: ECONNRESET
--   > after it has come back: PONG
--
-- `dofile "examples/redis.lua"` gives the client to another program.

local Promise = require "cpromise"
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

local redis = {}

--- What Redis calls nil, in a list.
redis.null = setmetatable({}, {__tostring = function() return "null" end})

-- An answer that is an error.
local Failure = {__tostring = function(self) return self.message end}

-- The protocol -------------------------------------------------------------

local len = string.len -- takes numbers, too, and nothing else

-- What comes before a word of so many bytes; that of short ones is made once.
local before = setmetatable({}, {__index = function(known, n)
  local text = ("\r\n$%d\r\n"):format(n)
  if n < 1000 then known[n] = text end
  return text
end})

-- Most commands have few words. To put those together in one step takes a
-- third of the time that a list of them does.
local short = {
  function(a) return "*1" .. before[len(a)] .. a .. "\r\n" end,
  function(a, b)
    return "*2" .. before[len(a)] .. a .. before[len(b)] .. b .. "\r\n"
  end,
  function(a, b, c)
    return "*3" .. before[len(a)] .. a .. before[len(b)] .. b ..
      before[len(c)] .. c .. "\r\n"
  end,
}

local function encode_list(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = before[len(parts[i])] .. parts[i] end
  return "*" .. parts.n .. table.concat(parts) .. "\r\n"
end

local function encode(...)
  return (short[select("#", ...)] or encode_list)(...)
end

local parse

-- A list: its elements one after the other.
local function parse_list(text, at, n)
  if n < 0 then return redis.null, at end
  local list = {n = n}
  for i = 1, n do
    local element, next_at = parse(text, at)
    if element == nil then return nil, next_at end
    list[i], at = element, next_at
  end
  return list, at
end

local function parse_string(text, at, n)
  if n < 0 then return redis.null, at end
  local missing = at + n + 1 - #text
  if missing > 0 then return nil, missing end
  return text:sub(at, at + n - 1), at + n + 2
end

local kinds = {
  ["+"] = function(_, at, line) return line, at end,
  ["-"] = function(_, at, line)
    return setmetatable({message = line}, Failure), at
  end,
  [":"] = function(_, at, line) return math.tointeger(line), at end,
  ["$"] = function(text, at, line)
    return parse_string(text, at, math.tointeger(line))
  end,
  ["*"] = function(text, at, line)
    return parse_list(text, at, math.tointeger(line))
  end,
}

-- The answer that begins at a position, and where the next one does; or nil,
-- and how many bytes are missing at least.
function parse(text, at)
  local line_end = text:find("\r\n", at, true)
  if not line_end then return nil, 1 end
  local kind = kinds[text:sub(at, at)]
  local line = text:sub(at + 1, line_end - 1)
  if not kind then error("no answer of Redis: " .. line, 0) end
  return kind(text, line_end + 2, line)
end

-- Call a function with each answer, till the connection ends.
local function each_answer(stream, fn)
  local text, at, missing = "", 1, 0
  local next_chunk = stream:chunks()
  while true do
    -- Of a long string all is read at once.
    local chunk = missing > 65536 and await(stream:read(missing))
      or next_chunk()
    if not chunk then error({code = "ECONNRESET"}, 0) end
    text, at = text:sub(at) .. chunk, 1
    local answer, next_at = parse(text, at)
    while answer ~= nil do
      at = next_at
      fn(answer)
      answer, next_at = parse(text, at)
    end
    missing = next_at
  end
end

-- Connections --------------------------------------------------------------

-- Connect, as often as it takes, and call a function with the stream; when
-- that is lost, do so again. Ends only if it is cancelled.
local function stay_connected(address, use, lost)
  while true do
    local stream <close> = await(Promise.retry(function()
      return uv.connect(table.unpack(address))
    end, {attempts = math.huge, delay = 0.01, maxDelay = 1, jitter = 0.5}))
    local _, reason = pawait(Promise.spawn(use, stream))
    if lost then lost(reason) end
  end
end

---@class Client
---@field texts string[]  commands that are still to be sent
---@field answers function[]  by number: what to call with the answer
---@field first integer  of the one that is answered next
---@field last integer  of the latest
---@field wake cpromise.Event  there is something to be sent
---@field running Promise
local Client = {}
Client.__index = Client

-- What was called meanwhile goes out in one write.
local function send_calls(client, stream)
  while true do
    await(client.wake:wait())
    client.wake:clear()
    local text = table.concat(client.texts)
    client.texts = {}
    await(stream:write(text))
  end
end

local function take_answer(client, answer)
  local number = client.first
  local resolve = client.answers[number]
  if not resolve then error("an answer that nobody asked for", 0) end
  client.answers[number] = nil
  client.first = number + 1
  if getmetatable(answer) == Failure then
    resolve(Promise.reject(answer))
  elseif answer == redis.null then
    resolve(nil)
  else
    resolve(answer)
  end
end

local function serve(client, stream)
  local scope <close> = Promise.scope()
  scope:spawn(send_calls, client, stream)
  each_answer(stream, function(answer) take_answer(client, answer) end)
end

-- Fail so many calls, the oldest first.
local function fail(client, n, reason)
  for _ = 1, n do
    local number = client.first
    local resolve = client.answers[number]
    client.answers[number], client.first = nil, number + 1
    resolve(Promise.reject(reason))
  end
end

-- Nobody knows whether what was sent has been done. What was not is sent when
-- there is a connection again.
local function fail_sent(client, reason)
  fail(client, client.last - client.first + 1 - #client.texts, reason)
  if client.texts[1] then client.wake:set() end
end

--- A client of a server at a port of a host, or at a path. It connects by
--- itself, and what is called before that waits.
function redis.connect(...)
  local client = setmetatable({
    texts = {}, answers = {}, first = 1, last = 0, wake = Promise.event(),
  }, Client)
  client.running = Promise.spawn(stay_connected, {...}, function(stream)
    serve(client, stream)
  end, function(reason) fail_sent(client, reason) end)
  return client
end

--- A promise of the answer to a command: words, which are strings or numbers.
function Client:call(...)
  if self.closed then return Promise.reject {code = "EBADF"} end
  local texts, text = self.texts, encode(...)
  local promise, resolve = Promise.withResolvers()
  texts[#texts + 1] = text
  self.last = self.last + 1
  self.answers[self.last] = resolve
  if #texts == 1 then self.wake:set() end
  return promise
end

--- Calls that have no answer yet fail.
function Client:close()
  if self.closed then return self.running end
  self.closed = true
  self.running:cancel "closed"
  pawait(self.running)
  fail(self, self.last - self.first + 1, {code = "EBADF"})
  self.texts = {}
end

Client.__close = Client.close

-- Messages -----------------------------------------------------------------

---@class Subscription
---@field messages cpromise.Channel  of name and message
---@field ready cpromise.Event  the server knows of it
local Subscription = {}
Subscription.__index = Subscription

local function receive(self, stream, names)
  await(stream:write(encode("SUBSCRIBE", table.unpack(names))))
  each_answer(stream, function(answer)
    if answer[1] == "subscribe" then
      self.ready:set()
    elseif answer[1] == "message" then
      await(self.messages:send(answer[2], answer[3]))
    end
  end)
end

--- The messages of channels with those names, at a server's address (as a
--- list). If nobody takes them, no more are read.
function redis.subscribe(address, names)
  local self = setmetatable({
    messages = Promise.channel(64), ready = Promise.event(),
  }, Subscription)
  self.running = Promise.spawn(stay_connected, address, function(stream)
    receive(self, stream, names)
  end, function() self.ready:clear() end)
  return self
end

function Subscription:close()
  self.running:cancel "closed"
  pawait(self.running)
  self.messages:close()
end

Subscription.__close = Subscription.close

-- The program --------------------------------------------------------------

--- A promise of a server of our own, a process.
redis.start_server = Promise.async(function(path)
  return await(uv.start_process("redis-server", {
    "--port", "0", "--unixsocket", path, "--save", "",
    "--dir", path:match "^(.*)/",
  }, {stdout = false, kill = {signal = "sigkill"}}))
end)

local function demonstrate()
  local temporary <close> = await(uv.temporary_directory())
  local path = temporary.path .. "/socket"
  local server = await(redis.start_server(path))
  local client <close> = redis.connect(path)
  print("PING: " .. await(client:call "PING"))

  local calls = {}
  for i = 1, 1000 do calls[i] = client:call("INCR", "counter") end
  local counts = await(Promise.all(calls))
  print("1000 commands at once: counter is " .. counts[1000])
  await(client:call("SET", "counter", "many"))
  print("INCR counter: " .. select(2, pawait(client:call("INCR", "counter")))
    .message)

  do
    local news <close> = redis.subscribe({path}, {"news"})
    await(news.ready:wait())
    await(client:call("PUBLISH", "news", "hello, world"))
    print(("%s: %s"):format(await(news.messages:receive())))
  end

  local waiting = client:call("BLPOP", "nothing", 0)
  Promise.delay(0.05):next(function() server:kill "kill" end)
  local _, reason = pawait(waiting)
  print("the server was killed: " .. reason.code)
  await(server:wait())
  local ping = client:call "PING" -- waits
  local _ <close> = await(redis.start_server(path))
  print("after it has come back: " .. await(ping))
end

if arg and "@" .. arg[0] == debug.getinfo(1, "S").source then
  local ok, reason = pcall(Promise.run, demonstrate)
  if not ok and type(reason) == "table" and reason.call == "spawn" then
    print "redis-server is not installed"
    os.exit(77, true)
  end
  assert(ok, tostring(reason))
end

return redis
