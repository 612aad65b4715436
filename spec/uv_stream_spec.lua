--- Streams: what is read, written and closed. Both ends are in this process.

local Promise = require "cpromise"
local buffer = require "cpromise.uv.buffer"
local helper = require "spec.helper"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait
local test = spec.test

-- A body that gets two streams that are connected, and leaves nothing.
local function connected(body)
  return test(function()
    spec.settle()
    spec.leaves_nothing(function()
      local fds = assert(luv.socketpair("stream", nil, {nonblock = true},
        {nonblock = true}))
      local handles = {luv.new_pipe(false), luv.new_pipe(false)}
      for i = 1, 2 do assert(handles[i]:open(fds[i])) end
      local a <close> = uv.stream(handles[1])
      local b <close> = uv.stream(handles[2])
      body(a, b)
    end)
  end)
end

-- Write the parts one after the other, so that each arrives alone, and end.
local function send(stream, ...)
  for _, part in ipairs {...} do
    await(stream:write(part))
    await(Promise.delay(0.001))
  end
  await(stream:shutdown())
end

describe("the buffer", function()
  -- The same with one string.
  local function naive()
    return {text = ""}
  end

  it("gives what one string would, in any portions", function()
    math.randomseed(7)
    for _ = 1, 300 do
      local tried, plain = buffer.new(), naive()
      local search, delimiter = {}, ("abc"):sub(1, math.random(3))
      for _ = 1, 30 do
        local what = math.random(6)
        if what <= 3 then
          local chunk = {}
          for i = 1, math.random(0, 6) do
            chunk[i] = ("abc"):sub(math.random(3)):sub(1, 1)
          end
          chunk = table.concat(chunk)
          tried:push(chunk)
          plain.text = plain.text .. chunk
        elseif what == 4 then
          local n = math.random(0, 5)
          assert.equal(plain.text:sub(1, n), tried:take(n))
          plain.text = plain.text:sub(n + 1)
          search = {}
        elseif what == 5 then
          local at = plain.text:find(delimiter, 1, true)
          local found = tried:find(delimiter, search)
          assert.equal(at and at - 1, found)
          if found then search = {} end
        else
          local line = tried:take_before(delimiter)
          if line then
            local at, last = plain.text:find(delimiter, 1, true)
            assert.equal(plain.text:sub(1, at - 1), line)
            plain.text = plain.text:sub(last + 1)
          end
          search = {}
        end
        assert.equal(#plain.text, tried.size)
      end
      assert.equal(plain.text, tried:take(math.huge))
    end
  end)
end)

describe("read", function()
  it("gives what comes, and nil at the end", connected(function(a, b)
    local sending = Promise.spawn(send, b, "one", "two")
    local parts = {}
    for chunk in function() return await(a:read()) end do
      parts[#parts + 1] = chunk
    end
    assert.equal("onetwo", table.concat(parts))
    assert.is_nil(await(a:read()))
    await(sending)
  end))

  it("gives n bytes, however they come, fewer at the end",
    connected(function(a, b)
      local sending = Promise.spawn(send, b, "ab", "cdefg", "h")
      assert.equal("abc", await(a:read(3)))
      assert.equal("def", await(a:read(3)))
      assert.equal("gh", await(a:read(3)))
      assert.is_nil(await(a:read(3)))
      await(sending)
    end))

  it("takes one reader at a time", connected(function(a, b)
    local first = a:read()
    local failure = spec.fails("EBUSY", "read", a:read())
    assert.equal("another read is under way", failure.message)
    spec.fails("EBUSY", "read_until", a:read_until "x")
    assert.matches("EBUSY", tostring(select(2, pcall(a:chunks()))))
    await(b:write "x")
    assert.equal("x", await(first))
  end))

  it("loses no byte when it is cancelled", connected(function(a, b)
    local text = {}
    for i = 1, 400 do text[i] = ("%d,"):format(i) end
    text = table.concat(text)
    local sending = Promise.spawn(function()
      for i = 1, #text, 7 do
        await(b:write(text:sub(i, i + 6)))
        if i % 2 == 0 then await(Promise.delay(0.001)) end
      end
      await(b:shutdown())
    end)
    local got, cancelled = {}, 0
    math.randomseed(1)
    repeat
      -- In some turn, before or after it has come, perhaps with it.
      local reader = Promise.spawn(function()
        local chunk = await(a:read(math.random(3) == 1 and 5 or nil))
        got[#got + 1] = chunk
        return chunk == nil
      end)
      if math.random(2) == 1 then await(Promise.delay(0.001)) end
      helper.after_jobs(math.random(0, 4), function() reader:cancel() end)
      local ok, ended = pawait(reader)
      if not ok then cancelled = cancelled + 1 end
    until ok and ended
    assert.equal(text, table.concat(got))
    assert.is_true(cancelled > 10)
    await(sending)
  end))

  it("stops while nobody reads", connected(function(a, b)
    local chunk, sent = ("x"):rep(65536), 0
    local writing = Promise.spawn(function()
      while true do
        await(b:write(chunk))
        sent = sent + #chunk
      end
    end)
    await(a:read())
    local before
    repeat -- until no more is taken
      before = sent
      await(Promise.delay(0.02))
    until sent == before
    assert.is_true(sent < 4000000)
    assert.is_true(a.buffer.size <= 65536 * 2)
    writing:cancel()
    pawait(writing)
  end))

  it("keeps memory flat for one who reads slowly", connected(function(a, b)
    local size <const> = 20000000
    local writing = Promise.spawn(function()
      for _ = 1, size // 100000 do await(b:write(("y"):rep(100000))) end
      await(b:shutdown())
    end)
    local total, most = 0, 0
    for chunk in a:chunks() do
      total = total + #chunk
      most = math.max(most, a.buffer.size)
      if total % 3 == 0 then await(Promise.delay(0.001)) end
    end
    assert.equal(size, total)
    assert.is_true(most <= 2 * 65536)
    await(writing)
  end))

  it("fails for the reader when the stream is closed",
    connected(function(a)
      local read = a:read()
      local closed = a:close()
      spec.fails("EBADF", "read", read)
      await(closed)
      spec.fails("EBADF", "read", a:read())
      spec.fails("EBADF", "write", a:write "x")
      spec.fails("EBADF", "shutdown", a:shutdown())
      assert.is_true(a:is_closed())
      await(a:close())
    end))

  it("fails on what is not connected", test(function()
    spec.leaves_nothing(function()
      local a <close> = uv.stream(luv.new_tcp())
      spec.fails("ENOTCONN", "read", a:read())
      spec.fails("EBADF", "write", a:write "x")
    end)
  end))
end)

describe("read_some", function()
  it("gives what has come, but no more than n", connected(function(a, b)
    local sending = Promise.spawn(send, b, "abcdef", "gh")
    assert.equal("abcd", await(a:read_some(4)))
    assert.equal("ef", await(a:read_some(4)))
    assert.equal("gh", await(a:read_some(4)))
    assert.is_nil(await(a:read_some(4)))
    await(sending)
  end))
end)

describe("ended", function()
  it("is fulfilled at the end, and takes nothing", connected(function(a, b)
    local ended = a:ended()
    await(b:write "text")
    await(Promise.delay(0.002))
    assert.equal("pending", ended:status())
    await(b:shutdown())
    await(ended)
    assert.equal("text", await(a:read()))
    assert.is_nil(await(a:read()))
    await(a:ended())
  end))

  it("is fulfilled when the stream is closed", connected(function(a)
    local ended = a:ended()
    await(a:close())
    await(ended)
  end))
end)

describe("read_until", function()
  it("gives what stands before the delimiter", connected(function(a, b)
    local sending =
      Promise.spawn(send, b, "one\r", "\ntw", "o\r\n\r\nrest\r")
    local function both(...) return {...} end
    assert.same({"one", true}, both(await(a:read_until "\r\n")))
    assert.same({"two", true}, both(await(a:read_until "\r\n")))
    assert.same({"", true}, both(await(a:read_until "\r\n")))
    assert.same({"rest\r", false}, both(await(a:read_until "\r\n")))
    assert.is_nil(await(a:read_until "\r\n"))
    await(sending)
  end))

  it("fails beyond its limit, and takes nothing", connected(function(a, b)
    local sending = Promise.spawn(send, b, "12345", "6789\n")
    spec.fails("EMSGSIZE", "read_until", a:read_until("\n", 5))
    assert.equal("123456789", await(a:read_until("\n", 9)))
    await(sending)
  end))

  it("may be cancelled", connected(function(a, b)
    local read = a:read_until "\n"
    await(b:write "one")
    read:cancel()
    assert.is_false((pawait(read)))
    await(b:write " line\n")
    assert.equal("one line", await(a:read_until "\n"))
  end))
end)

describe("read_all", function()
  it("gives all", connected(function(a, b)
    local sending = Promise.spawn(send, b, "one ", "two ", "three")
    assert.equal("one two three", await(a:read_all()))
    assert.equal("", await(a:read_all()))
    await(sending)
  end))

  it("fails beyond its limit", connected(function(a, b)
    local sending = Promise.spawn(send, b, "one ", "two ", "three")
    spec.fails("EMSGSIZE", "read_all", a:read_all(5))
    await(sending)
  end))
end)

describe("lines", function()
  it("gives each line, the last one without its end too",
    connected(function(a, b)
      local sending =
        Promise.spawn(send, b, "one\ntwo", "\n\nfour\r\n", "five")
      local lines = {}
      for line in a:lines() do lines[#lines + 1] = line end
      assert.same({"one", "two", "", "four\r", "five"}, lines)
      await(sending)
    end))

  it("gives many, and long ones", connected(function(a, b)
    local lines, text = {}, {}
    for i = 1, 5000 do
      lines[i] = ("%d"):format(i):rep(i % 500 == 0 and 20000 or 3)
      text[i] = lines[i] .. "\n"
    end
    local sending = Promise.spawn(send, b, table.concat(text))
    local i = 0
    for line in a:lines() do
      i = i + 1
      assert.equal(lines[i], line)
    end
    assert.equal(5000, i)
    await(sending)
  end))

  it("fails for a line beyond its limit", connected(function(a, b)
    local sending = Promise.spawn(send, b, "short\n", "much too long")
    local ok, failure = pcall(function()
      for line in a:lines(8) do assert.equal("short", line) end
    end)
    assert.is_false(ok)
    assert.equal("EMSGSIZE", failure.code)
    await(sending)
  end))
end)

describe("chunks", function()
  it("gives n bytes at a time", connected(function(a, b)
    local sending = Promise.spawn(send, b, "abcde", "fgh")
    local chunks = {}
    for chunk in a:chunks(3) do chunks[#chunks + 1] = chunk end
    assert.same({"abc", "def", "gh"}, chunks)
    await(sending)
  end))
end)

describe("write", function()
  it("takes strings and lists of them", connected(function(a, b)
    for _, data in ipairs {"one", {" ", "two"}, {}, ""} do
      await(b:write(data))
    end
    await(b:shutdown())
    assert.equal("one two", await(a:read_all()))
  end))

  it("waits while the other side doesn't read", connected(function(a, b)
    local write = b:write(("x"):rep(3000000))
    await(Promise.delay(0.01))
    assert.equal("pending", write:status())
    spec.fails("EBUSY", "write", b:write "y")
    local read = 0
    while read < 3000000 do read = read + #await(a:read()) end
    await(write)
  end))

  it("fails when the other side is gone", connected(function(a, b)
    await(a:close())
    local code
    for _ = 1, 10 do
      local ok, failure = pawait(b:write "x")
      if not ok then code = failure.code end
    end
    assert.equal("EPIPE", code)
  end))

  it("fails when the stream is closed meanwhile", connected(function(_, b)
    local write = b:write(("x"):rep(3000000))
    b:close()
    spec.fails("ECANCELED", "write", write)
  end))
end)

describe("pipe_through", function()
  it("copies till the end", connected(function(a, b)
    spec.leaves_nothing(function()
      local sending = Promise.spawn(send, b, "one ", "two")
      local parts = {}
      local to = {write = function(_, chunk)
        parts[#parts + 1] = chunk
        return Promise.resolve()
      end}
      assert.equal(7, await(uv.pipe_through(a, to)))
      assert.equal("one two", table.concat(parts))
      await(sending)
    end)
  end))

  it("fails as the one or the other fails", connected(function(a, b)
    await(b:write "x")
    local to = {write = function() return Promise.reject "full" end}
    local ok, reason = pawait(uv.pipe_through(a, to))
    assert.is_false(ok)
    assert.equal("full", reason)
    local copying = uv.pipe_through(a, to)
    a:close()
    spec.fails("EBADF", "read", copying)
  end))
end)

describe("stream", function()
  it("opens a descriptor of a pipe", test(function()
    spec.leaves_nothing(function()
      local fds = assert(luv.pipe({nonblock = true}, {nonblock = true}))
      local reader <close> = uv.stream(fds.read)
      local writer <close> = uv.stream(fds.write)
      await(writer:write "hello")
      assert.equal("hello", await(reader:read()))
    end)
  end))

  it("opens a descriptor of a socket", test(function()
    spec.leaves_nothing(function()
      local server = luv.new_tcp()
      assert(server:bind("127.0.0.1", 0))
      assert(server:listen(1, function() end))
      local client = luv.new_tcp()
      await(uv.tcp_connect(client, "127.0.0.1", server:getsockname().port))
      local stream <close> = uv.stream(client)
      assert.equal("127.0.0.1", stream:getpeername().ip)
      assert.equal(client:getsockname().port, stream:getsockname().port)
      server:close()
    end)
  end))

  -- Sanitizers find leaks in `script`.
  if os.execute "command -v script >/dev/null" and
      not os.getenv "LD_PRELOAD" then
    it("opens a terminal", test(function(folder)
      local program = spec.put(folder .. "/program.lua", [[
        local Promise = require "cpromise"
        local uv = require "cpromise.uv"
        Promise.run(function()
          local input, output <close> = uv.stream(0), uv.stream(1)
          local _ <close> = input
          for line in input:lines() do
            Promise.await(output:write("got " .. line .. "\n"))
            if line == "two" then break end
          end
        end)
      ]])
      local result = await(uv.run_process("script", {"-qec",
        ("%s %s"):format(arg[-1] or "lua5.4", program), "/dev/null"},
        {stdin = "one\ntwo\n"}))
      assert.matches("got one\r?\ngot two\r?\n", result.stdout)
      assert.equal(0, result.code)
    end))
  end

  it("refuses a file", test(function(folder)
    local file = assert(io.open(folder .. "/file", "w"))
    local fd = assert(luv.fs_open(folder .. "/file", "r", 0))
    local ok, failure = pcall(uv.stream, fd)
    assert.is_false(ok)
    assert.equal("EINVAL", failure.code)
    assert.matches("is no stream: file", failure.message)
    luv.fs_close(fd)
    file:close()
  end))

  for _, case in ipairs {
    {"bad argument #1 to 'stream' (handle of a stream, or integer " ..
      "expected, got string)", function() uv.stream "x" end},
    {"bad argument #1 to 'stream' (handle of a stream, or integer " ..
      "expected, got uv_timer)", function()
        local timer = luv.new_timer()
        timer:close()
        uv.stream(timer)
      end},
    {"bad argument #1 to 'pipe_through' (stream or file expected, got nil)",
      function() uv.pipe_through() end},
    {"bad argument #2 to 'pipe_through' (stream or file expected, got " ..
      "number)", function() uv.pipe_through(io.stdout and {chunks = print},
        1) end},
  } do
    it("refuses: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end

  for _, case in ipairs {
    {"bad argument #1 to 'read' (number expected, got string)",
      function(s) s:read "a" end},
    {"bad argument #1 to 'read' (must be at least 1)",
      function(s) s:read(0) end},
    {"bad argument #1 to 'read_until' (string expected, got nil)",
      function(s) s:read_until() end},
    {"bad argument #1 to 'read_until' (must not be empty)",
      function(s) s:read_until "" end},
    {"bad argument #2 to 'read_until' (must be at least 1)",
      function(s) s:read_until("x", 0) end},
    {"bad argument #1 to 'lines' (number expected, got table)",
      function(s) s:lines {} end},
    {"bad argument #1 to 'write' (string or table expected, got nil)",
      function(s) s:write() end},
    {"bad argument #1 to 'write' (element 2: string expected, got number)",
      function(s) s:write {"x", 1} end},
    {"bad argument #1 to 'read' (stream expected, got table: " ..
      "use ':', not '.')",
      function(s) s.read({}) end},
  } do
    it("refuses: " .. case[1], connected(function(a)
      local ok, message = pcall(case[2], a)
      assert.is_false(ok)
      assert.equal(case[1],
        message:match "^spec/uv_stream_spec.lua:%d+: (.*)$")
    end))
  end
end)
