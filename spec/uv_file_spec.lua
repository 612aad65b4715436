--- Files and folders, real ones.

local Promise = require "cpromise"
local helper = require "spec.helper"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait

local test = spec.clean_test

-- The names in a folder, sorted.
local function names(folder)
  local list = {}
  for name in luv.fs_scandir_next, assert(luv.fs_scandir(folder)) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

describe("a file", function()
  it("is read in portions", test(function(folder)
    local path = spec.put(folder .. "/file", "one\ntwo\n\nlast")
    do
      local file <close> = await(uv.open(path))
      assert.equal("on", await(file:read(2)))
      assert.equal("e", await(file:read_until "\n"))
      local lines = {}
      for line in file:lines() do lines[#lines + 1] = line end
      assert.same({"two", "", "last"}, lines)
      assert.is_nil(await(file:read()))
    end
    local file <close> = await(uv.open(path, "rb"))
    assert.equal("one\ntwo\n\nlast", await(file:read_all()))
    assert.equal("two", await(file:read_at(3, 4)))
    assert.is_nil(await(file:read_at(3, 100)))
  end))

  it("is read by chunks, whatever its size", test(function(folder)
    local text = ("0123456789"):rep(20000)
    local path = spec.put(folder .. "/file", text)
    local file <close> = await(uv.open(path))
    local parts, most = {}, 0
    for chunk in file:chunks() do
      parts[#parts + 1] = chunk
      most = math.max(most, #chunk)
    end
    assert.equal(text, table.concat(parts))
    assert.is_true(most <= 65536)
  end))

  it("loses no byte when a read is cancelled", test(function(folder)
    local text = {}
    for i = 1, 40000 do text[i] = ("%d,"):format(i) end
    text = table.concat(text)
    local file <close> = await(uv.open(spec.put(folder .. "/file", text)))
    local got, cancelled, tries = {}, 0, 0
    repeat
      local reader = Promise.spawn(function()
        local chunk = await(file:read(777))
        got[#got + 1] = chunk
      end)
      tries = tries + 1
      if tries % 3 == 0 then await(Promise.delay(0.001)) end
      helper.after_jobs(tries % 7, function() reader:cancel() end)
      cancelled = cancelled + (pawait(reader) and 0 or 1)
      local chunk = await(file:read(3000))
      got[#got + 1] = chunk
    until not chunk
    assert.equal(text, table.concat(got))
    assert.is_true(cancelled > 5)
  end))

  it("is written", test(function(folder)
    local path = folder .. "/file"
    do
      local file <close> = await(uv.open(path, "w+"))
      await(file:write "one ")
      await(file:write {"two", " ", "three"})
      await(file:write "")
      await(file:write_at("TWO", 4))
      await(file:sync())
      assert.equal("one TWO three", spec.get(path))
      await(file:truncate(7))
      assert.equal(7, await(file:stat()).size)
    end
    assert.equal("one TWO", spec.get(path))
    local file <close> = await(uv.open(path, "a"))
    await(file:write "!")
    assert.equal("one TWO!", spec.get(path))
  end))

  it("is made with the permissions that are asked for",
    test(function(folder)
      await(await(uv.open(folder .. "/file", "wx", 384)):close())
      assert.equal(384, luv.fs_stat(folder .. "/file").mode & 511)
      spec.fails("EEXIST", "open", uv.open(folder .. "/file", "wx"))
    end))

  it("takes one writer at a time", test(function(folder)
    local file <close> = await(uv.open(folder .. "/file", "w"))
    local first = file:write(("x"):rep(1000000))
    spec.fails("EBUSY", "write", file:write "y")
    await(first)
    await(file:write "z")
    assert.equal(1000001, luv.fs_stat(folder .. "/file").size)
  end))

  it("is closed after what is under way", test(function(folder)
    local file = await(uv.open(folder .. "/file", "w"))
    local write = file:write(("x"):rep(1000000))
    await(file:close())
    assert.equal("fulfilled", write:status())
    assert.equal(1000000, luv.fs_stat(folder .. "/file").size)
    assert.is_nil(file:fileno())
    await(file:close())
  end))

  it("that is closed fails with its path", test(function(folder)
    local path = spec.put(folder .. "/file", "x")
    local file = await(uv.open(path))
    local read = file:read()
    local closed = file:close()
    spec.fails("EBADF", "read", read)
    await(closed)
    for _, method in ipairs {"read", "stat", "sync", "read_all"} do
      local failure = spec.fails("EBADF", method == "read_all" and "read" or
        method, file[method](file))
      assert.equal(path, failure.path)
    end
    spec.fails("EBADF", "write", file:write "x")
    spec.fails("EBADF", "truncate", file:truncate(0))
  end))

  it("fails as the system does, with its path", test(function(folder)
    local path = folder .. "/nothing"
    local failure = spec.fails("ENOENT", "open", uv.open(path))
    assert.equal(path, failure.path)
    local reader <close> = await(uv.open(spec.put(path, "x"), "r"))
    spec.fails("EBADF", "write", reader:write "x")
    local writer <close> = await(uv.open(path, "a"))
    spec.fails("EBADF", "read", writer:read())
    spec.fails("EINVAL", "truncate", reader:truncate(0))
    local dir <close> = await(uv.open(folder))
    spec.fails("EISDIR", "read", dir:read())
  end))

  if luv.fs_stat "/dev/full" then
    it("fails where the disk is full", test(function(folder)
      local file <close> = await(uv.open("/dev/full", "w"))
      local failure = spec.fails("ENOSPC", "write", file:write "x")
      assert.equal("/dev/full", failure.path)
      failure = spec.fails("ENOSPC", "append_file",
        uv.append_file("/dev/full", "x"))
      assert.equal("/dev/full", failure.path)
      assert.same({}, names(folder))
    end))
  end

  it("closes what nobody gets", test(function(folder)
    local path = spec.put(folder .. "/file", "x")
    for jobs = 0, 12 do
      local opening = uv.open(path)
      helper.after_jobs(jobs, function() opening:cancel() end)
      local ok, file = pawait(opening)
      if ok then await(file:close()) end
    end
  end))
end)

describe("read_file", function()
  it("gives all that is in a file", test(function(folder)
    for _, size in ipairs {0, 1, 65535, 65536, 65537, 300000} do
      local text = ("x"):rep(size - 1) .. (size > 0 and "y" or "")
      local path = spec.put(folder .. "/file", text)
      assert.equal(text, await(uv.read_file(path)))
    end
  end))

  it("reads what tells no size", test(function()
    local text = await(uv.read_file "/proc/self/status")
    assert.matches("^Name:", text)
  end))

  it("fails with the path", test(function(folder)
    local path = folder .. "/nothing"
    local failure = spec.fails("ENOENT", "read_file", uv.read_file(path))
    assert.equal(path, failure.path)
    spec.fails("EISDIR", "read_file", uv.read_file(folder))
  end))
end)

describe("write_file, atomic", function()
  it("follows a link to what is not there yet", test(function(folder)
    assert(luv.fs_mkdir(folder .. "/dir", 448))
    assert(luv.fs_symlink("dir/new", folder .. "/link"))
    await(uv.write_file(folder .. "/link", "text", {atomic = true}))
    assert.equal("link", luv.fs_lstat(folder .. "/link").type)
    assert.equal("text", spec.get(folder .. "/dir/new"))
  end))

  it("fails for a link to itself", test(function(folder)
    assert(luv.fs_symlink("link", folder .. "/link"))
    spec.fails("ELOOP", "write_file",
      uv.write_file(folder .. "/link", "x", {atomic = true}))
  end))

  it("replaces nothing but files", test(function(folder)
    local path = folder .. "/fifo"
    assert(os.execute("mkfifo " .. path))
    local failure = spec.fails("EINVAL", "write_file",
      uv.write_file(path, "x", {atomic = true}))
    assert.matches("it is no file %(fifo%): " .. path:gsub("%p", "%%%0"),
      tostring(failure))
    spec.fails("EISDIR", "write_file",
      uv.write_file(folder, "x", {atomic = true}))
    assert.equal("fifo", luv.fs_stat(path).type)
  end))
end)

describe("a full disk", function()
  for call, write in pairs {
    write_file = function() return uv.write_file("/dev/full", "x") end,
    append_file = function() return uv.append_file("/dev/full", "x") end,
  } do
    it("fails: " .. call, test(function()
      spec.fails("ENOSPC", call, write())
    end))
  end

  it("fails: write", test(function()
    local file <close> = await(uv.open("/dev/full", "w"))
    local failure = spec.fails("ENOSPC", "write", file:write "x")
    assert.equal("/dev/full", failure.path)
  end))
end)

describe("read_file, cancelled", function()
  it("leaves nothing", spec.test(function(folder)
    local path = spec.put(folder .. "/file", ("x"):rep(300000))
    local moments = spec.cancel_everywhere(function()
      assert.equal(300000, #await(uv.read_file(path)))
    end)
    assert.is_true(moments > 3)
  end))

  it("doesn't wait for a pipe that nobody writes to", test(function(folder)
    local path = folder .. "/fifo"
    assert(os.execute("mkfifo " .. path))
    local reading = uv.read_file(path)
    await(Promise.delay(0.01))
    reading:cancel()
    assert.is_false((pawait(reading)))
    await(uv.write_file(path, "")) -- or the thread would wait for ever
  end))
end)

describe("write_file", function()
  for _, atomic in ipairs {false, true} do
    local how = atomic and ", atomically" or ""

    it("replaces what is there" .. how, test(function(folder)
      local path = folder .. "/file"
      for _, data in ipairs {"first and long", "second", {"a", "b"}, ""} do
        await(uv.write_file(path, data, {atomic = atomic}))
        assert.equal(type(data) == "table" and "ab" or data, spec.get(path))
      end
      assert.same({"file"}, names(folder))
    end))

    it("keeps permissions, or takes those that are given" .. how,
      test(function(folder)
        local path = spec.put(folder .. "/file", "x")
        assert(luv.fs_chmod(path, 416))
        await(uv.write_file(path, "y", {atomic = atomic}))
        assert.equal(416, luv.fs_stat(path).mode & 511)
        local new = folder .. "/new"
        await(uv.write_file(new, "y", {atomic = atomic, mode = 384}))
        assert.equal(384, luv.fs_stat(new).mode & 511)
      end))

    it("follows a link" .. how, test(function(folder)
      local path, link = spec.put(folder .. "/file", "x"), folder .. "/link"
      assert(luv.fs_symlink("file", link))
      await(uv.write_file(link, "y", {atomic = atomic, sync = true}))
      assert.equal("y", spec.get(path))
      assert.equal("link", luv.fs_lstat(link).type)
    end))

    it("fails with the path, and leaves nothing" .. how,
      test(function(folder)
        local path = folder .. "/no/file"
        local failure = spec.fails("ENOENT", "write_file",
          uv.write_file(path, "x", {atomic = atomic}))
        assert.equal(path, failure.path)
        spec.fails("EISDIR", "write_file",
          uv.write_file(folder, "x", {atomic = atomic}))
        assert.same({}, names(folder))
      end))
  end

  it("leaves the old content or has the new one when it is cancelled",
    spec.test(function(folder)
      local path = folder .. "/file"
      local old, new = ("old"):rep(100000), ("new"):rep(100000)
      local seen = {}
      local moments = spec.cancel_everywhere(function()
        spec.put(path, old)
        await(uv.write_file(path, new, {atomic = true}))
      end, function()
        local text = spec.get(path)
        assert.is_true(text == old or text == new)
        seen[text] = true
        assert.same({"file"}, names(folder))
      end)
      assert.is_true(moments > 3)
      assert.is_true(seen[old])
    end))
end)

describe("append_file", function()
  it("adds at the end", test(function(folder)
    local path = folder .. "/file"
    await(uv.append_file(path, "one"))
    await(uv.append_file(path, {" ", "two"}, {sync = true}))
    assert.equal("one two", spec.get(path))
  end))
end)

-- A tree with one of everything.
local function make_tree(folder)
  assert(os.execute(([[cd %s && mkdir -p a/b/c empty outside &&
    touch a/one a/b/two a/b/c/three top outside/kept &&
    ln -s nowhere dangling && ln -s ../outside a/folder && ln -s . a/loop &&
    ln -s ../top a/link && mkfifo a/fifo]]):format(folder)))
end

local EVERYTHING <const> = {
  ["a"] = "directory 1", ["a/b"] = "directory 2",
  ["a/b/c"] = "directory 3", ["a/b/c/three"] = "file 4",
  ["a/b/two"] = "file 3", ["a/fifo"] = "fifo 2", ["a/folder"] = "link 2",
  ["a/link"] = "link 2", ["a/loop"] = "link 2", ["a/one"] = "file 2",
  ["dangling"] = "link 1", ["empty"] = "directory 1",
  ["outside"] = "directory 1", ["outside/kept"] = "file 2",
  ["top"] = "file 1",
}

describe("scandir", function()
  it("gives names and kinds", test(function(folder)
    make_tree(folder)
    local found = {}
    for name, kind in uv.scandir(folder .. "/a") do found[name] = kind end
    assert.same({b = "directory", fifo = "fifo", folder = "link",
      link = "link", loop = "link", one = "file"}, found)
    for _ in uv.scandir(folder .. "/empty") do error "not empty" end
  end))

  it("fails for what is no folder", test(function(folder)
    local path = spec.put(folder .. "/file", "")
    local ok, failure = pcall(function()
      for _ in uv.scandir(path) do error "not there" end
    end)
    assert.is_false(ok)
    assert.equal("ENOTDIR", failure.code)
    assert.equal(path, failure.path)
  end))
end)

describe("walk", function()
  local function found(folder, options)
    local all, order = {}, {}
    for path, kind, depth in uv.walk(folder, options) do
      path = path:sub(#folder + 2)
      all[path] = kind .. " " .. depth
      order[#order + 1] = path
    end
    return all, order
  end

  it("gives all that is below, and follows no link", test(function(folder)
    make_tree(folder)
    local all, order = found(folder)
    assert.same(EVERYTHING, all)
    local at = {}
    for i, path in ipairs(order) do at[path] = i end
    for i, path in ipairs(order) do -- folders before what is in them
      local parent = path:match "^(.*)/"
      assert.is_true(parent == nil or at[parent] < i)
    end
  end))

  it("goes so deep", test(function(folder)
    make_tree(folder)
    assert.same({a = "directory 1", dangling = "link 1",
      empty = "directory 1", outside = "directory 1", top = "file 1"},
      found(folder, {depth = 1}))
    assert.is_nil(found(folder, {depth = 2})["a/b/two"])
  end))

  it("asks where the file system doesn't tell", test(function(folder)
    make_tree(folder)
    local next_entry = luv.fs_scandir_next
    luv.fs_scandir_next = function(entries)
      return (next_entry(entries)), "unknown"
    end
    local ok, all = pcall(found, folder)
    luv.fs_scandir_next = next_entry
    assert.is_true(ok)
    assert.same(EVERYTHING, all)
  end))

  it("may be left early", test(function(folder)
    make_tree(folder)
    assert.equal("string", type((uv.walk(folder))(select(2,
      uv.walk(folder)))))
  end))

  it("fails for what can't be read, or goes on", test(function(folder)
    make_tree(folder)
    local ok, failure = pcall(found, folder .. "/nothing")
    assert.is_false(ok)
    assert.equal("ENOENT", failure.code)
    local failures = {}
    for path in uv.walk(folder, {on_error = function(reason)
      failures[#failures + 1] = reason.code
    end}) do
      if path:find "/b$" then os.execute("rm -r " .. path) end
    end
    assert.same({"ENOENT"}, failures)
  end))
end)

describe("mkdir_p", function()
  it("makes a folder with those above it", test(function(folder)
    await(uv.mkdir_p(folder .. "/a/b/c"))
    await(uv.mkdir_p(folder .. "/a/b/c/"))
    await(uv.mkdir_p(folder .. "/a//d/"))
    assert.equal("directory", luv.fs_stat(folder .. "/a/b/c").type)
    assert.equal("directory", luv.fs_stat(folder .. "/a/d").type)
    await(uv.mkdir_p(folder .. "/e/f", 448))
    assert.equal(448, luv.fs_stat(folder .. "/e/f").mode & 511)
  end))

  it("makes it once for many who ask", test(function(folder)
    local calls = {}
    for i = 1, 10 do calls[i] = uv.mkdir_p(folder .. "/a/b/c") end
    await(Promise.all(calls))
  end))

  it("fails where a file is in the way", test(function(folder)
    spec.put(folder .. "/file", "")
    spec.fails("EEXIST", "fs_mkdir", uv.mkdir_p(folder .. "/file"))
    spec.fails("ENOTDIR", "fs_mkdir", uv.mkdir_p(folder .. "/file/x"))
  end))
end)

describe("remove_tree", function()
  it("removes all, and follows no link", test(function(folder)
    make_tree(folder)
    await(uv.remove_tree(folder .. "/a"))
    assert.same({"dangling", "empty", "outside", "top"}, names(folder))
    assert.same({"kept"}, names(folder .. "/outside"))
    await(uv.remove_tree(folder .. "/top"))
    await(uv.remove_tree(folder .. "/dangling"))
    assert.same({"empty", "outside"}, names(folder))
    assert(luv.fs_symlink("outside", folder .. "/way"))
    await(uv.remove_tree(folder .. "/way"))
    assert.same({"kept"}, names(folder .. "/outside"))
  end))

  it("fails for what is not there", test(function(folder)
    spec.fails("ENOENT", "fs_lstat", uv.remove_tree(folder .. "/nothing"))
  end))
end)

describe("temporary_directory", function()
  it("is gone after its block", test(function(folder)
    local path
    do
      local temporary <close> =
        await(uv.temporary_directory(folder .. "/x-"))
      path = temporary.path
      assert.matches("/x%-%w+$", path)
      make_tree(path)
    end
    assert.same({}, names(folder))
    local temporary <close> = await(uv.temporary_directory())
    assert.equal("directory", luv.fs_stat(temporary.path).type)
    await(temporary:close())
    assert.is_nil(luv.fs_stat(temporary.path))
  end))

  it("is gone when it is cancelled", spec.test(function(folder)
    local moments = spec.cancel_everywhere(function()
      local temporary <close> =
        await(uv.temporary_directory(folder .. "/x-"))
      spec.put(temporary.path .. "/file", "")
      await(uv.mkdir_p(temporary.path .. "/a/b"))
    end, function() assert.same({}, names(folder)) end)
    assert.is_true(moments > 3)
  end))
end)

describe("watch", function()
  it("gives what changes", test(function(folder)
    local changes <close> = uv.watch(folder)
    spec.put(folder .. "/file", "x")
    assert.equal("file", (await(changes:receive())))
    local path = spec.put(folder .. "/other", "x")
    for name, change in changes do
      assert.is_true(change == "rename" or change == "change")
      if name == "other" then break end
    end
    local file_changes <close> = uv.watch(path)
    spec.put(path, "y")
    local name, change = await(file_changes:receive())
    assert.equal("other", name)
    assert.equal("change", change)
  end))

  it("keeps what nobody has taken, each once", test(function(folder)
    local changes = uv.watch(folder)
    for i = 1, 50 do spec.put(folder .. "/file", tostring(i)) end
    await(Promise.delay(0.02))
    changes:stop()
    local n = 0
    for name in changes do
      assert.equal("file", name)
      n = n + 1
    end
    assert.is_true(n >= 1 and n <= 2)
    assert.is_nil(await(changes:receive()))
  end))

  it("loses none when it is cancelled", test(function(folder)
    local changes <close> = uv.watch(folder)
    for jobs = 0, 6 do
      local waiting = Promise.spawn(function()
        return (await(changes:receive()))
      end)
      local path = spec.put(("%s/%d"):format(folder, jobs), "x")
      await(Promise.delay(jobs % 2 == 0 and 0.005 or 0.001))
      helper.after_jobs(jobs, function() waiting:cancel() end)
      local ok, name = pawait(waiting)
      local seen = ok and {[name] = true} or {}
      while not seen[tostring(jobs)] do
        seen[(await(changes:receive()))] = true
      end
      os.remove(path)
    end
  end))

  it("takes one who waits at a time", test(function(folder)
    local changes <close> = uv.watch(folder)
    local first = changes:receive()
    spec.fails("EBUSY", "receive", changes:receive())
    first:cancel()
    local second = changes:receive()
    spec.put(folder .. "/file", "x")
    assert.equal("file", (await(second)))
  end))

  it("fails for what is not there", test(function(folder)
    local path = folder .. "/nothing"
    local ok, failure = pcall(uv.watch, path)
    assert.is_false(ok)
    assert.equal("ENOENT", failure.code)
    assert.equal(path, failure.path)
    uv.watch(folder):stop() -- has the handle that was made
  end))
end)

describe("a wrong argument", function()
  for _, case in ipairs {
    {"bad argument #1 to 'open' (string expected, got nil)",
      function() uv.open() end},
    {"bad argument #1 to 'open' (a path has no zero in it)",
      function() uv.open "a\0b" end},
    {"bad argument #2 to 'open' (invalid mode 'q')",
      function() uv.open("x", "q") end},
    {"bad argument #3 to 'open' (integer expected, got string)",
      function() uv.open("x", "w", "rw") end},
    {"bad argument #1 to 'read_file' (string expected, got table)",
      function() uv.read_file {} end},
    {"bad argument #2 to 'write_file' (string or table expected, got nil)",
      function() uv.write_file "x" end},
    {"bad argument #3 to 'write_file' (option 'atomic': boolean expected, " ..
      "got number)", function() uv.write_file("x", "y", {atomic = 1}) end},
    {"bad argument #3 to 'append_file' (unknown option 'atomic')",
      function() uv.append_file("x", "y", {atomic = true}) end},
    {"bad argument #2 to 'walk' (option 'depth': must be at least 1)",
      function() uv.walk("x", {depth = 0}) end},
    {"bad argument #2 to 'mkdir_p' (integer expected, got string)",
      function() uv.mkdir_p("x", "y") end},
    {"bad argument #1 to 'remove_tree' (string expected, got nil)",
      function() uv.remove_tree() end},
    {"bad argument #1 to 'temporary_directory' (string expected, got table)",
      function() uv.temporary_directory {} end},
    {"bad argument #1 to 'watch' (string expected, got nil)",
      function() uv.watch() end},
  } do
    it("is refused: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end

  it("of a method is refused", test(function(folder)
    local file <close> = await(uv.open(folder .. "/file", "w"))
    for message, fn in pairs {
      ["bad argument #1 to 'write' (string or table expected, got number)"] =
        function() file:write(1) end,
      ["bad argument #2 to 'write_at' (must not be negative)"] =
        function() file:write_at("x", -1) end,
      ["bad argument #1 to 'read_at' (number expected, got nil)"] =
        function() file:read_at() end,
      ["bad argument #1 to 'truncate' (integer expected, got nil)"] =
        function() file:truncate() end,
      ["bad argument #1 to 'lines' (must be at least 1)"] =
        function() file:lines(0) end,
    } do
      assert.equal(message, helper.raised(fn))
    end
  end))
end)
