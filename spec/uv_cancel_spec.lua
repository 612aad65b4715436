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
