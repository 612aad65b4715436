--- Scripted conversations, cancelled in each turn of the loop: no descriptor,
--- no handle, no file and no process is left.

local Promise = require "cpromise"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await = Promise.await

local HOST <const> = "127.0.0.1"

-- Clients that go away in the midst are what these specs are about.
local UNREPORTED <const> = {on_error = function() end}

-- A body that is cancelled everywhere; it has so many moments at least.
local function test(least, script)
  return spec.test(function(folder)
    local moments = spec.cancel_everywhere(function() script(folder) end)
    assert.is_true(moments >= least, moments .. " moments")
  end)
end

local function echo(stream)
  for line in stream:lines() do await(stream:write(line .. "\n")) end
end

-- Some lines there and back.
local function converse(stream)
  for i = 1, 3 do
    await(stream:write {"line ", tostring(i), "\n"})
    assert.equal("line " .. i, await(stream:read_until "\n"))
  end
  await(stream:shutdown())
  assert.is_nil(await(stream:read()))
end

describe("cancelled at any moment", function()
  it("a conversation over tcp leaves nothing", test(10, function()
    local server <close> = await(uv.listen(HOST, 0, echo, UNREPORTED))
    local stream <close> = await(uv.connect("localhost", server.port))
    converse(stream)
  end))

  it("a conversation over a pipe leaves nothing", test(6, function(folder)
    local _ <close> = await(uv.listen(folder .. "/pipe", echo,
      UNREPORTED))
    local stream <close> = await(uv.connect(folder .. "/pipe"))
    converse(stream)
  end))

  it("several at once leave nothing", test(10, function()
    local server <close> = await(uv.listen(HOST, 0, echo,
      {limit = 2, on_error = UNREPORTED.on_error}))
    local calls = {}
    for i = 1, 4 do
      calls[i] = Promise.spawn(function()
        local stream <close> = await(uv.connect(HOST, server.port))
        converse(stream)
      end)
    end
    await(Promise.all(calls))
  end))

  it("a large transfer leaves nothing", test(6, function()
    local size <const> = 2000000
    local server <close> = await(uv.listen(HOST, 0, function(stream)
      await(stream:write(("x"):rep(size)))
    end, UNREPORTED))
    local stream <close> = await(uv.connect(HOST, server.port))
    assert.equal(size, #await(stream:read_all()))
  end))

  it("a stream through another leaves nothing", test(6, function()
    local upstream <close> = await(uv.listen(HOST, 0, echo, UNREPORTED))
    local proxy <close> = await(uv.listen(HOST, 0, function(client)
      local up <close> = await(uv.connect(HOST, upstream.port))
      local scope <close> = Promise.scope()
      scope:spawn(uv.pipe_through, up, client)
      await(uv.pipe_through(client, up))
      await(up:shutdown())
    end, UNREPORTED))
    local stream <close> = await(uv.connect(HOST, proxy.port))
    converse(stream)
  end))

  it("work on files leaves nothing", test(10, function(folder)
    local root = folder .. "/root"
    await(uv.mkdir_p(root .. "/a/b"))
    do
      local file <close> = await(uv.open(root .. "/a/file", "w+"))
      await(file:write "one\ntwo\n")
      assert.equal("o", await(file:read_at(1, 0)))
    end
    await(uv.append_file(root .. "/a/file", "three\n"))
    local file <close> = await(uv.open(root .. "/a/file"))
    local n = 0
    for _ in file:lines() do n = n + 1 end
    assert.is_true(n >= 3) -- more, if one was cancelled before
    for path in uv.walk(root) do assert.equal("string", type(path)) end
    await(uv.remove_tree(root))
  end))

  it("all that a file can do leaves nothing", test(10, function(folder)
    local path = folder .. "/file"
    await(uv.write_file(path, {"one\n", "two\n"}, {sync = true}))
    await(uv.append_file(path, "three\n"))
    local file <close> = await(uv.open(path, "r+"))
    assert.equal("on", await(file:read(2)))
    assert.equal("e", await(file:read_some(1)))
    assert.equal("", await(file:read_until "\n"))
    local next_chunk = file:chunks(3)
    assert.equal("two", next_chunk())
    await(file:write_at("2", 4))
    await(file:sync())
    await(file:truncate(8))
    assert.equal(8, await(file:stat()).size)
    assert.equal("2wo\n", await(file:read_at(10, 4)))
    await(file:read_all())
    await(file:close())
    for name in uv.scandir(folder) do assert.equal("file", name) end
  end))

  it("all that a stream can do leaves nothing", test(10, function()
    local server <close> = await(uv.listen(HOST, 0, function(stream, scope)
      local ended = scope:spawn(function() await(stream:ended()) end)
      assert.equal("abc", await(stream:read(3)))
      assert.equal("d", await(stream:read_some(1)))
      await(stream:write {"x", "y"})
      await(ended)
    end, UNREPORTED))
    local stream <close> = await(uv.connect("localhost", server.port))
    await(stream:write "abcd")
    local next_chunk = stream:chunks(2)
    assert.equal("xy", next_chunk())
    await(stream:shutdown())
    assert.equal("", await(stream:read_all()))
    await(stream:close())
    await(server:cancel())
    await(server:wait())
  end))

  it("connected datagrams leave nothing", test(4, function()
    local a <close> = await(uv.udp(HOST, 0))
    local b <close> = await(uv.udp())
    await(b:connect("localhost", a:getsockname().port))
    await(b:send "hello")
    assert.equal("hello", (await(a:receive())))
    await(b:close())
  end))

  local threads_used = false

  -- The state of a thread, which lasts, has descriptors of its own.
  local function use_all_threads()
    local calls = {}
    for i = 1, 8 do
      calls[i] = uv.work(function() os.execute "sleep 0.02" end)
    end
    await(Promise.all(calls))
  end

  it("work in other threads leaves nothing", test(2, function()
    if not threads_used then
      use_all_threads()
      threads_used = true
    end
    assert.equal(3, await(uv.work(function(a, b) return a + b end, 1, 2)))
    local work = uv.new_work(function(a) return a end)
    assert.equal("x", await(work:queue "x"))
  end))

  it("what happens once leaves nothing", test(2, function()
    local timer = uv.new_timer()
    local _ <close> = setmetatable({}, {__close = function()
      if not timer:is_closing() then await(uv.close(timer)) end
    end})
    await(uv.once(timer, "start", 1, 0))
    await(uv.sleep(1))
    local ticks <close> = uv.timer_start(timer, 1, 1)
    await(ticks:receive())
  end))

  it("a group that is deaf leaves nothing", test(2, function()
    local process <close> = await(uv.start_process("sh",
      {"-c", "trap '' TERM; echo ready; sleep 60 & wait"},
      {stdout = true, kill = {group = true, grace = 0.01}}))
    assert.equal("ready", await(process.stdout:read_until "\n"))
    await(process:stop())
    await(process:wait())
  end))

  it("raw functions leave nothing", test(3, function(folder)
    local fd = await(uv.fs_open(folder .. "/file", "w+", 384))
    local _ <close> = setmetatable({}, {__close = function()
      await(uv.fs_close(fd))
    end})
    await(uv.fs_write(fd, "content", 0))
    assert.equal("content", await(uv.fs_read(fd, 10, 0)))
    await(uv.fs_rename(folder .. "/file", folder .. "/new"))
    await(uv.fs_unlink(folder .. "/new"))
  end))

  it("a program leaves nothing", test(2, function()
    local result = await(uv.run_process("cat", {}, {stdin = "hello"}))
    assert.equal("hello", result.stdout)
  end))

  it("a program with streams leaves nothing", test(2, function()
    local process <close> = await(uv.start_process("cat", {},
      {stdin = true, stdout = true}))
    await(process.stdin:write "hello\n")
    assert.equal("hello", await(process.stdout:read_until "\n"))
    await(process.stdin:close())
    assert.equal(0, (await(process:wait())))
  end))

  it("events leave nothing", test(2, function(folder)
    local changes <close> = uv.watch(folder)
    local signals <close> = uv.signal "usr1"
    spec.put(folder .. "/file", "x")
    await(changes:receive())
    luv.kill(luv.getpid(), "sigusr1")
    await(signals:receive())
  end))

  it("a timeout leaves nothing", test(2, function()
    local server <close> = await(uv.listen(HOST, 0, function(stream)
      await(stream:read())
    end, UNREPORTED))
    local ok, reason = Promise.pawait(Promise.spawn(function()
      local stream <close> = await(uv.connect(HOST, server.port))
      await(stream:read())
    end):timeout(0.005))
    assert.is_false(ok)
    assert.is_true(Promise.isTimeout(reason))
  end))
end)
