--- examples/redis.lua with a real server, and with one that breaks things.

local Promise = require "cpromise"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait

local redis = dofile "examples/redis.lua"

local function is_installed()
  local pipe = io.popen "command -v redis-server"
  local path = pipe:read "a"
  pipe:close()
  return path ~= ""
end

-- A body with a server and a client: `body(client, path, server)`.
local function test(body)
  return spec.test(function(folder)
    spec.settle()
    spec.leaves_nothing(function()
      local path = folder .. "/socket"
      local server <close> = await(redis.start_server(path))
      local client <close> = redis.connect(path)
      body(client, path, server)
    end)
  end)
end

-- The same with a server written here.
local function with_server(handler, body)
  return spec.test(function(folder)
    spec.settle()
    spec.leaves_nothing(function()
      local path = folder .. "/socket"
      local server = await(uv.listen(path, handler,
        {on_error = function() end}))
      do
        local client <close> = redis.connect(path)
        body(client, path)
      end
      await(server:cancel())
    end)
  end)
end

local function fails(pattern, promise)
  local ok, reason = pawait(promise)
  assert.is_false(ok)
  assert.matches(pattern, reason.code or tostring(reason))
end

describe("the client, with redis-server", function()
  if not is_installed() then
    pending "needs redis-server"
    return
  end

  it("gets answers of all kinds", test(function(client)
    assert.equal("PONG", await(client:call "PING"))
    assert.equal("OK", await(client:call("SET", "key", "a\0\r\nb")))
    assert.equal("a\0\r\nb", await(client:call("GET", "key")))
    assert.is_nil(await(client:call("GET", "nothing")))
    assert.equal(3, await(client:call("RPUSH", "list", 1, "two", "")))
    assert.same({"1", "two", "", n = 3},
      await(client:call("LRANGE", "list", 0, -1)))
    assert.same({"a\0\r\nb", redis.null, n = 2},
      await(client:call("MGET", "key", "nothing")))
    assert.same({n = 0}, await(client:call("KEYS", "no*")))
    assert.same({{"a", n = 1}, {1, {n = 0}, n = 2}, n = 2},
      await(client:call("EVAL", "return {{'a'}, {1, {}}}", 0)))
    fails("^WRONGTYPE", client:call("GET", "list"))
    fails("^ERR", client:call "NONSENSE")
    assert.equal("PONG", await(client:call "PING"))
  end))

  it("keeps the order of ten thousand commands at once",
    test(function(client)
      local calls = {}
      for i = 1, 10000 do calls[i] = client:call("INCR", "n") end
      for i, n in ipairs(await(Promise.all(calls))) do
        assert.equal(i, n)
      end
    end))

  it("passes large values", test(function(client)
    local value = ("0123456789"):rep(500000)
    await(client:call("SET", "large", value))
    local got = await(Promise.all {client:call("GET", "large"),
      client:call "PING", client:call("GET", "large")})
    assert.equal(value, got[1])
    assert.equal("PONG", got[2])
    assert.equal(value, got[3])
  end))

  it("takes no harm when calls are cancelled", test(function(client)
    local kept = {}
    for i = 1, 200 do
      local call = client:call("ECHO", i)
      if i % 3 == 0 then call:cancel() else kept[i] = call end
      if i % 50 == 0 then await(Promise.delay(0.001)) end
    end
    for i, call in pairs(kept) do assert.equal(tostring(i), await(call)) end
  end))

  it("gets messages", test(function(client, path)
    local news <close> = redis.subscribe({path}, {"news", "more"})
    await(news.ready:wait())
    for i = 1, 300 do -- more than the channel holds
      client:call("PUBLISH", i % 2 == 0 and "more" or "news", i)
    end
    for i = 1, 300 do
      local name, message = await(news.messages:receive())
      assert.equal(i % 2 == 0 and "more" or "news", name)
      assert.equal(tostring(i), message)
    end
  end))

  it("fails what was sent to a server that is killed, and goes on",
    test(function(client, path, server)
      local news <close> = redis.subscribe({path}, {"news"})
      await(news.ready:wait())
      assert.equal("PONG", await(client:call "PING"))
      local waiting = client:call("BLPOP", "nothing", 0)
      Promise.delay(0.01):next(function() server:kill "kill" end)
      fails("ECONNRESET", waiting)
      await(server:wait())
      local later = client:call("SET", "key", "value")
      local second <close> = await(redis.start_server(path))
      assert.equal("OK", await(later))
      await(news.ready:wait())
      client:call("PUBLISH", "news", "again")
      local _, message = await(news.messages:receive())
      assert.equal("again", message)
      assert.is_true(second.pid ~= server.pid)
    end))
end)

describe("the client, with another server", function()
  it("puts answers together from any pieces", with_server(function(stream)
    await(stream:read())
    local answers = "+OK\r\n$5\r\nhello\r\n*2\r\n:1\r\n$-1\r\n-ERR no\r\n"
    for i = 1, #answers do
      await(stream:write(answers:sub(i, i)))
      if i % 5 == 0 then await(Promise.delay(0.001)) end
    end
    await(stream:read())
  end, function(client)
    local calls = {}
    for i = 1, 4 do calls[i] = client:call("X", i) end
    assert.equal("OK", await(calls[1]))
    assert.equal("hello", await(calls[2]))
    assert.same({1, redis.null, n = 2}, await(calls[3]))
    fails("^ERR no$", calls[4])
  end))

  it("fails calls for what is no answer", with_server(function(stream)
    await(stream:read())
    await(stream:write "nonsense\r\n")
    await(stream:read())
  end, function(client)
    fails("^no answer of Redis", client:call "PING")
  end))

  do
    local connections = 0

    it("connects again and again", with_server(function(stream)
      connections = connections + 1
      if connections < 4 then return end
      while await(stream:read()) do await(stream:write "+PONG\r\n") end
    end, function(client)
      local answer
      repeat
        local ok, reason = pawait(client:call "PING")
        answer = ok and reason
      until answer
      assert.equal("PONG", answer)
      assert.equal(4, connections)
    end))
  end

  it("fails what has no answer when it is closed", with_server(
    function(stream) while await(stream:read()) do end end,
    function(client)
      local sent = client:call "PING"
      await(Promise.delay(0.01))
      local unsent = client:call "PING"
      local failed = Promise.allSettled {sent, unsent}
      client:close()
      for _, outcome in ipairs(await(failed)) do
        assert.equal("EBADF", outcome.reason.code)
      end
      fails("EBADF", client:call "PING")
      client:close()
    end))

  it("waits for a server that is not there", spec.test(function(folder)
    spec.leaves_nothing(function()
      local path = folder .. "/socket"
      local client <close> = redis.connect(path)
      local ping = client:call "PING"
      await(Promise.delay(0.03))
      assert.equal("pending", ping:status())
      local server <close> = await(uv.listen(path, function(stream)
        await(stream:read())
        await(stream:write "+PONG\r\n")
      end))
      assert.equal("PONG", await(ping))
      client:close()
      assert.is_true(server:connected() <= 1)
    end)
  end))
end)
