--- Each function of luv that takes a callback is known, and returns promises.

local Promise = require "cpromise"
local functions = require "cpromise.uv.functions"
local helper = require "spec.helper"
local luv = require "luv"
local messages = require "cpromise.uv.messages"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await = Promise.await
local test = spec.test

describe("the list of functions", function()
  local function lists(name)
    local found = {}
    for list, names in pairs(functions) do
      if names[name] then found[#found + 1] = list end
    end
    return found
  end

  it("has each function of luv, once", function()
    for name, value in pairs(luv) do
      if type(value) == "function" then
        assert.equal(1, #lists(name), name)
      end
    end
  end)

  it("has none twice that a newer luv may have", function()
    for _, names in pairs(functions) do
      for name in pairs(names) do assert.equal(1, #lists(name), name) end
    end
  end)

  it("leaves plain functions as they are", function()
    for name in pairs(functions.plain) do
      assert.equal(luv[name], uv[name], name)
    end
  end)

  it("leaves constants as they are", function()
    assert.equal(luv.constants, uv.constants)
  end)

  it("replaces all others that luv has", function()
    for list, names in pairs(functions) do
      for name in pairs(list == "plain" and {} or names) do
        if luv[name] then assert.not_equal(luv[name], uv[name], name) end
      end
    end
  end)

  it("doesn't change luv", function()
    assert.matches("^uv_fs_t", tostring(luv.fs_stat(".", function() end)))
    assert.is_nil(luv.read_file)
  end)
end)

describe("the messages of errors", function()
  -- In a process of its own: libuv never frees what it says of numbers that
  -- are no error.
  local PROGRAM <const> = [[
    local uv = require "luv"
    for number = 1, 4100 do
      local text, name = uv.translate_sys_error(-number)
      if name and not name:find "^Unknown" then
        print(name, (text:gsub("^[^:]*: ", "")))
      end
    end
  ]]

  it("are libuv's", test(function()
    local result = await(uv.run_process(arg[-1] or "lua5.4",
      {"-e", PROGRAM}, {env = {LD_PRELOAD = false}}))
    local n = 0
    for name, message in result.stdout:gmatch "(%S+)\t([^\n]*)" do
      assert.equal(message, messages[name])
      n = n + 1
    end
    assert.is_true(n > 70)
  end))
end)

-- For each request: how it succeeds (`ok` returns a promise, and may look at
-- its values), and how it fails.
local requests = {}

-- A descriptor for a block.
local function open(folder, flags)
  local fd = assert(luv.fs_open(folder .. "/file", flags or "r+", 384))
  return setmetatable({fd = fd}, {
    __close = function() luv.fs_close(fd) end,
  })
end

-- One that works on a descriptor: it is given -1 to fail.
local function of_descriptor(call, look)
  return {
    ok = function(folder)
      local file <close> = open(folder)
      local values = table.pack(await(call(file.fd)))
      if look then look(folder, table.unpack(values, 1, values.n)) end
    end,
    fails = function() return "EBADF", nil, call(-1) end,
  }
end

-- One that works on a path: what is not there makes it fail.
local function of_path(call, look)
  return {
    ok = function(folder)
      local values = table.pack(await(call(folder .. "/file", folder)))
      if look then look(folder, table.unpack(values, 1, values.n)) end
    end,
    fails = function(folder)
      local path = folder .. "/nothing"
      return "ENOENT", {path = path}, call(path, folder)
    end,
  }
end

-- One that makes a path from another.
local function of_paths(call, look)
  return {
    ok = function(folder)
      os.remove(folder .. "/new") -- of one that was cancelled
      await(call(folder .. "/file", folder .. "/new"))
      look(folder)
      os.remove(folder .. "/new")
      spec.put(folder .. "/file", "content")
    end,
    fails = function(folder)
      local from, to = folder .. "/nothing", folder .. "/no/where"
      return "ENOENT", {path = from, new_path = to}, call(from, to)
    end,
  }
end

requests.fs_access = {
  ok = function(folder)
    assert.is_true(await(uv.fs_access(folder, "r")))
    assert.is_false(await(uv.fs_access(folder .. "/nothing", "r")))
  end,
}
requests.fs_stat = of_path(uv.fs_stat, function(_, stat)
  assert.equal("file", stat.type)
  assert.equal(7, stat.size)
end)
requests.fs_lstat = of_path(uv.fs_lstat, function(_, stat)
  assert.equal("file", stat.type)
end)
requests.fs_statfs = of_path(uv.fs_statfs, function(_, stat)
  assert.is_true(stat.bsize > 0)
end)
requests.fs_realpath = of_path(uv.fs_realpath, function(folder, path)
  assert.equal(folder .. "/file", path)
end)
requests.fs_readlink = {
  ok = function(folder)
    os.remove(folder .. "/link") -- of one that was cancelled
    assert(luv.fs_symlink("target", folder .. "/link"))
    assert.equal("target", await(uv.fs_readlink(folder .. "/link")))
    os.remove(folder .. "/link")
  end,
  fails = function(folder)
    local path = folder .. "/file"
    return "EINVAL", {path = path}, uv.fs_readlink(path)
  end,
}
requests.fs_scandir = {
  ok = function(folder)
    local entries = await(uv.fs_scandir(folder))
    assert.equal("file", (uv.fs_scandir_next(entries)))
    assert.is_nil((uv.fs_scandir_next(entries)))
  end,
  fails = function(folder)
    local path = folder .. "/nothing"
    return "ENOENT", {path = path}, uv.fs_scandir(path)
  end,
}
requests.fs_open = {
  ok = function(folder)
    local fd = await(uv.fs_open(folder .. "/file", "r", 0))
    luv.fs_close(fd)
  end,
  fails = function(folder)
    local path = folder .. "/nothing"
    return "ENOENT", {path = path}, uv.fs_open(path, "r", 0)
  end,
}
requests.fs_mkstemp = {
  ok = function(folder)
    local fd, path = await(uv.fs_mkstemp(folder .. "/XXXXXX"))
    luv.fs_close(fd)
    assert.equal("", spec.get(path))
    os.remove(path)
  end,
  fails = function(folder)
    local path = folder .. "/no/XXXXXX"
    return "ENOENT", {path = path}, uv.fs_mkstemp(path)
  end,
}
requests.fs_mkdtemp = {
  ok = function(folder)
    local path = await(uv.fs_mkdtemp(folder .. "/XXXXXX"))
    assert.equal("directory", luv.fs_stat(path).type)
    assert(luv.fs_rmdir(path))
  end,
  fails = function(folder)
    local path = folder .. "/no/XXXXXX"
    return "ENOENT", {path = path}, uv.fs_mkdtemp(path)
  end,
}
requests.fs_opendir = {
  ok = function(folder)
    local dir = await(uv.fs_opendir(folder, 10))
    luv.fs_closedir(dir)
  end,
  fails = function(folder)
    local path = folder .. "/nothing"
    return "ENOENT", {path = path}, uv.fs_opendir(path)
  end,
}
requests.fs_readdir = {
  ok = function(folder)
    local dir = assert(luv.fs_opendir(folder, nil, 10))
    local _ <close> = setmetatable({}, {
      __close = function() luv.fs_closedir(dir) end,
    })
    assert.equal("file", await(uv.fs_readdir(dir))[1].name)
    assert.is_nil(await(uv.fs_readdir(dir)))
  end,
}
requests.fs_closedir = {
  ok = function(folder)
    await(uv.fs_closedir((assert(luv.fs_opendir(folder, nil, 10)))))
  end,
}
requests.fs_close = {
  ok = function(folder)
    await(uv.fs_close((assert(luv.fs_open(folder .. "/file", "r", 0)))))
  end,
  fails = function() return "EBADF", nil, uv.fs_close(-1) end,
}
requests.fs_read = of_descriptor(function(fd)
  return uv.fs_read(fd, 100, 0)
end, function(_, text) assert.equal("content", text) end)
requests.fs_write = of_descriptor(function(fd)
  return uv.fs_write(fd, {"con", "tent"}, 0)
end, function(folder, n)
  assert.equal(7, n)
  assert.equal("content", spec.get(folder .. "/file"))
end)
requests.fs_fstat = of_descriptor(uv.fs_fstat, function(_, stat)
  assert.equal(7, stat.size)
end)
requests.fs_fsync = of_descriptor(uv.fs_fsync)
requests.fs_fdatasync = of_descriptor(uv.fs_fdatasync)
requests.fs_ftruncate = of_descriptor(function(fd)
  return uv.fs_ftruncate(fd, 7)
end, function(folder)
  assert.equal(7, luv.fs_stat(folder .. "/file").size)
end)
requests.fs_fchmod = of_descriptor(function(fd)
  return uv.fs_fchmod(fd, 416)
end, function(folder)
  assert.equal(416, luv.fs_stat(folder .. "/file").mode & 511)
end)
requests.fs_fchown = of_descriptor(function(fd)
  return uv.fs_fchown(fd, luv.getuid(), luv.getgid())
end)
requests.fs_futime = of_descriptor(function(fd)
  return uv.fs_futime(fd, 1000, 2000)
end, function(folder)
  assert.equal(2000, luv.fs_stat(folder .. "/file").mtime.sec)
end)
requests.fs_sendfile = {
  ok = function(folder)
    local from <close> = open(folder)
    local to = assert(luv.fs_open(folder .. "/copy", "w", 384))
    local _ <close> = setmetatable({}, {
      __close = function() luv.fs_close(to) end,
    })
    assert.equal(3, await(uv.fs_sendfile(to, from.fd, 2, 3)))
    assert.equal("nte", spec.get(folder .. "/copy"))
    os.remove(folder .. "/copy")
  end,
  fails = function() return "EBADF", nil, uv.fs_sendfile(-1, -1, 0, 1) end,
}
requests.fs_chmod = of_path(function(path)
  return uv.fs_chmod(path, 384)
end, function(folder)
  assert.equal(384, luv.fs_stat(folder .. "/file").mode & 511)
end)
requests.fs_chown = of_path(function(path)
  return uv.fs_chown(path, luv.getuid(), luv.getgid())
end)
requests.fs_lchown = of_path(function(path)
  return uv.fs_lchown(path, luv.getuid(), luv.getgid())
end)
requests.fs_utime = of_path(function(path)
  return uv.fs_utime(path, 1000, 3000)
end, function(folder)
  assert.equal(3000, luv.fs_stat(folder .. "/file").mtime.sec)
end)
requests.fs_lutime = of_path(function(path)
  return uv.fs_lutime(path, 1000, 4000)
end, function(folder)
  assert.equal(4000, luv.fs_stat(folder .. "/file").mtime.sec)
end)
requests.fs_unlink = {
  ok = function(folder)
    local path = spec.put(folder .. "/gone", "")
    await(uv.fs_unlink(path))
    assert.is_nil(luv.fs_stat(path))
  end,
  fails = function(folder)
    local path = folder .. "/nothing"
    return "ENOENT", {path = path}, uv.fs_unlink(path)
  end,
}
requests.fs_mkdir = {
  ok = function(folder)
    luv.fs_rmdir(folder .. "/dir") -- of one that was cancelled
    await(uv.fs_mkdir(folder .. "/dir", 511))
    assert(luv.fs_rmdir(folder .. "/dir"))
  end,
  fails = function(folder)
    return "EEXIST", {path = folder}, uv.fs_mkdir(folder, 511)
  end,
}
requests.fs_rmdir = {
  ok = function(folder)
    luv.fs_mkdir(folder .. "/dir", 511)
    await(uv.fs_rmdir(folder .. "/dir"))
  end,
  fails = function(folder)
    local path = folder .. "/nothing"
    return "ENOENT", {path = path}, uv.fs_rmdir(path)
  end,
}
requests.fs_rename = of_paths(uv.fs_rename, function(folder)
  assert.equal("content", spec.get(folder .. "/new"))
  assert.is_nil(luv.fs_stat(folder .. "/file"))
end)
requests.fs_link = of_paths(uv.fs_link, function(folder)
  assert.equal(2, luv.fs_stat(folder .. "/new").nlink)
end)
requests.fs_symlink = of_paths(uv.fs_symlink, function(folder)
  assert.equal(folder .. "/file", luv.fs_readlink(folder .. "/new"))
end)
requests.fs_copyfile = of_paths(uv.fs_copyfile, function(folder)
  assert.equal("content", spec.get(folder .. "/new"))
end)
requests.getaddrinfo = {
  ok = function()
    local found = await(uv.getaddrinfo("127.0.0.1", nil,
      {socktype = "stream"}))
    assert.equal("127.0.0.1", found[1].addr)
  end,
  fails = function()
    return "EAI_NONAME", {host = "not a name"},
      uv.getaddrinfo("not a name", nil, {numerichost = true})
  end,
}
requests.getnameinfo = {
  ok = function()
    local _, service =
      await(uv.getnameinfo {ip = "127.0.0.1", port = 80})
    assert.equal("string", type(service))
  end,
}
requests.random = {
  ok = function() assert.equal(8, #await(uv.random(8))) end,
}

-- Two ends of a connection, for a block.
local function pair()
  local fds = assert(luv.socketpair("stream", nil, {nonblock = true},
    {nonblock = true}))
  local ends = {luv.new_tcp(), luv.new_tcp()}
  for i = 1, 2 do assert(ends[i]:open(fds[i])) end
  return setmetatable(ends, {__close = function()
    for i = 1, 2 do
      if not ends[i]:is_closing() then ends[i]:close() end
    end
  end})
end

local function closing(...)
  local handles = {...}
  return setmetatable(handles, {__close = function()
    for _, handle in ipairs(handles) do
      if not handle:is_closing() then handle:close() end
    end
  end})
end

requests.tcp_connect = {
  ok = function()
    local server, client = luv.new_tcp(), luv.new_tcp()
    local _ <close> = closing(server, client)
    assert(server:bind("127.0.0.1", 0))
    assert(server:listen(1, function() end))
    await(uv.tcp_connect(client, "127.0.0.1", server:getsockname().port))
  end,
  fails = function()
    local client = luv.new_tcp()
    local promise = uv.tcp_connect(client, "127.0.0.1", 1)
    promise:next(nil, function() client:close() end)
    return "ECONNREFUSED", {host = "127.0.0.1", port = 1}, promise
  end,
}
requests.pipe_connect = {
  ok = function(folder)
    local server, client = luv.new_pipe(false), luv.new_pipe(false)
    local _ <close> = closing(server, client)
    assert(server:bind(folder .. "/pipe"))
    assert(server:listen(1, function() end))
    await(uv.pipe_connect(client, folder .. "/pipe"))
  end,
  fails = function(folder)
    local client = luv.new_pipe(false)
    local path = folder .. "/nothing"
    local promise = uv.pipe_connect(client, path)
    promise:next(nil, function() client:close() end)
    return "ENOENT", {path = path}, promise
  end,
}
-- (In luv 1.46 and newer.)
requests.pipe_connect2 = {
  ok = function(folder)
    local server, client = luv.new_pipe(false), luv.new_pipe(false)
    local _ <close> = closing(server, client)
    assert(server:bind(folder .. "/pipe"))
    assert(server:listen(1, function() end))
    await(uv.pipe_connect2(client, folder .. "/pipe", 0))
  end,
}
requests.write = {
  ok = function()
    local ends <close> = pair()
    await(uv.write(ends[1], {"a", "b"}))
    assert.equal("ab", await(uv.once(ends[2], "read_start")))
  end,
  fails = function()
    local unconnected = luv.new_tcp()
    local promise = uv.write(unconnected, "x")
    unconnected:close()
    return "EBADF", nil, promise
  end,
}
requests.write2 = {
  ok = function()
    local fds = assert(luv.socketpair("stream", nil, {nonblock = true},
      {nonblock = true}))
    local a, b = luv.new_pipe(true), luv.new_pipe(true)
    local sent = luv.new_tcp()
    local _ <close> = closing(a, b, sent)
    assert(a:open(fds[1]))
    assert(b:open(fds[2]))
    assert(sent:bind("127.0.0.1", 0))
    await(uv.write2(a, "x", sent))
    assert.equal("x", await(uv.once(b, "read_start")))
    local received = luv.new_tcp()
    local _ <close> = closing(received)
    assert(b:accept(received))
    assert.equal(sent:getsockname().port, received:getsockname().port)
  end,
}
requests.shutdown = {
  ok = function()
    local ends <close> = pair()
    await(uv.shutdown(ends[1]))
    assert.is_nil(await(uv.once(ends[2], "read_start")))
  end,
  fails = function()
    local unconnected = luv.new_tcp()
    local promise = uv.shutdown(unconnected)
    unconnected:close()
    return "ENOTCONN", nil, promise
  end,
}
requests.udp_send = {
  ok = function()
    local a, b = luv.new_udp(), luv.new_udp()
    local _ <close> = closing(a, b)
    assert(b:bind("127.0.0.1", 0))
    local port = b:getsockname().port
    await(uv.udp_send(a, "hello", "127.0.0.1", port))
    local data, from = await(uv.once(b, "recv_start"))
    assert.equal("hello", data)
    assert.equal("127.0.0.1", from.ip)
  end,
  fails = function()
    local socket = luv.new_udp()
    local promise = uv.udp_send(socket, ("x"):rep(70000), "127.0.0.1", 9)
    promise:next(nil, function() socket:close() end)
    return "EMSGSIZE", {host = "127.0.0.1", port = 9}, promise
  end,
}

local function with_file(folder)
  spec.put(folder .. "/file", "content")
end

for name in pairs(functions.requests) do
  if luv[name] then
    describe(name, function()
      local cases = requests[name] or {}

      it("is tried here", function()
        assert.is_function(cases.ok)
      end)

      it("returns a promise of its results", test(function(folder)
        with_file(folder)
        cases.ok(folder)
        spec.settle()
        with_file(folder)
        spec.leaves_nothing(cases.ok, folder)
      end))

      it("leaves nothing when it is cancelled", test(function(folder)
        with_file(folder)
        local moments = spec.cancel_everywhere(function()
          with_file(folder)
          cases.ok(folder)
        end)
        assert.is_true(moments > 0)
      end))

      if cases.fails then
        it("rejects with code, call and what it was about",
          test(function(folder)
            with_file(folder)
            spec.leaves_nothing(function()
              local code, about, promise = cases.fails(folder)
              local failure = spec.fails(code, name, promise)
              for field, value in pairs(about or {}) do
                assert.equal(value, failure[field])
              end
              assert.matches("^" .. code .. ": .+ %(" .. name .. "%)$",
                tostring(failure))
            end)
          end))
      end
    end)
  end
end

describe("a request", function()
  for _, case in ipairs {
    {"bad argument #1 to 'fs_stat' (string expected, got nil)",
      function() uv.fs_stat() end},
    {"bad argument #1 to 'fs_read' (number expected, got string)",
      function() uv.fs_read("x", 1) end},
    {"bad argument #3 to 'fs_open' (number expected, got nil)",
      function() uv.fs_open("x", "r") end},
    {"Unknown file open flag 'q'",
      function() uv.fs_open("x", "q", 0) end},
    {"bad argument #1 to 'fs_stat' (string expected, got nil)",
      function() uv.fs_stat(nil, print) end},
  } do
    it("refuses at the caller's line: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end

  -- luv 1.44 takes it for a pointer, and crashes.
  local promise <const> = Promise.resolve()
  for name, call in pairs {
    write = function() uv.write(promise, "x") end,
    ["write, with a callback"] = function() uv.write(promise, "x", print) end,
    shutdown = function() uv.shutdown(promise) end,
    tcp_connect = function() uv.tcp_connect(promise, "127.0.0.1", 1) end,
    udp_send = function() uv.udp_send(promise, "x", "127.0.0.1", 1) end,
    close = function() uv.close(promise) end,
    listen = function() uv.listen(promise, 1) end,
    stream = function() uv.stream(promise) end,
    read_start = function() uv.read_start(promise) end,
    timer_start = function() uv.timer_start(promise, 1, 1) end,
    once = function() uv.once(promise, "read_start") end,
  } do
    it("refuses a promise that nobody has awaited: " .. name, function()
      assert.equal(("bad argument #1 to '%s' (handle of luv expected, " ..
        "got promise: await it first)"):format(name:match "^[%w_]+"),
        helper.raised(call))
    end)
  end

  it("refuses one as the handle to be sent", test(function()
    local handle = luv.new_pipe(true)
    local _ <close> = closing(handle)
    assert.equal("bad argument #3 to 'write2' (handle of luv expected, " ..
      "got promise: await it first)",
      helper.raised(function() uv.write2(handle, "x", promise) end))
  end))

  -- libuv ends the process for no data at all.
  it("sends an empty list", test(function()
    local ends <close> = pair()
    await(uv.write(ends[1], {}))
    local socket = luv.new_udp()
    local _ <close> = closing(socket)
    await(uv.udp_send(socket, {}, "127.0.0.1", 9))
  end))

  it("with a callback is luv's", test(function()
    local called, resolve = Promise.withResolvers()
    local request = uv.fs_stat(".", function(...) resolve(...) end)
    assert.matches("^uv_fs_t", tostring(request))
    local err, stat = await(called)
    assert.is_nil(err)
    assert.equal("directory", stat.type)
  end))

  it("takes a callback wherever luv does", test(function(folder)
    with_file(folder)
    local fd = assert(luv.fs_open(folder .. "/file", "r", 0))
    local read, resolve = Promise.withResolvers()
    uv.fs_read(fd, 3, function(...) resolve(...) end)
    assert.equal("con", select(2, await(read)))
    assert(luv.fs_close(fd))
    local copied, done = Promise.withResolvers()
    uv.fs_copyfile(folder .. "/file", folder .. "/copy",
      function(...) done(...) end)
    assert.is_true(select(2, await(copied)))
  end))

  it("is given back what nobody gets any more", test(function(folder)
    with_file(folder)
    spec.leaves_nothing(function()
      -- It opens, is cancelled in the turn of a job that comes before who
      -- awaits it, and the descriptor is nobody's.
      for jobs = 0, 12 do
        local call = Promise.spawn(function()
          local fd = await(uv.fs_open(folder .. "/file", "r", 0))
          luv.fs_close(fd)
        end)
        local opened = uv.fs_open(folder .. "/file", "r", 0)
        luv.fs_close((await(opened)))
        helper.after_jobs(jobs, function() call:cancel() end)
        Promise.pawait(call)
      end
    end)
  end))

  it("that is cancelled ends after what it does", test(function(folder)
    local fd = assert(luv.fs_open(folder .. "/file", "w", 384))
    local data = ("x"):rep(1000000)
    local write = uv.fs_write(fd, data, 0)
    write:cancel()
    assert.is_false((Promise.pawait(write)))
    assert(luv.fs_close(fd))
    local size = luv.fs_stat(folder .. "/file").size
    assert.is_true(size == 0 or size == #data)
  end))

  it("closes nothing twice", test(function(folder)
    with_file(folder)
    local fd = assert(luv.fs_open(folder .. "/file", "r", 0))
    local close = uv.fs_close(fd)
    close:cancel()
    Promise.pawait(close)
    assert.is_nil(luv.fs_fstat(fd))
  end))
end)
