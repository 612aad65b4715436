--- The figures of the example are those of find and wc.

local child = require "spec.child"

local q = child.quote

local root, tree -- a folder of this spec's own, and the one to be counted

local function shell(command)
  assert(os.execute(command), command)
end

local function write(name, text)
  local file = assert(io.open(tree .. "/" .. name, "wb"))
  file:write(text)
  file:close()
end

-- What a shell command prints.
local function ask(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return text
end

-- {files, lines, bytes} of the regular files that match a test of find.
local function expected(test)
  local find = ("find %s -type f %s"):format(q(tree), test)
  local lines, bytes = ask(find .. " -exec cat {} + | wc -lc")
    :match "(%d+)%s+(%d+)"
  local files = ask(find .. " | wc -l")
  return {tonumber(files), tonumber(lines), tonumber(bytes)}
end

-- A program that opens a FIFO hangs, and can't end itself in another way.
local WATCHDOG <const> = [[
  local uv = require "luv"
  local watchdog = uv.new_timer()
  watchdog:start(20000, 0, function()
    print "hangs"
    io.stdout:flush()
    uv.kill(uv.os_getpid(), "sigkill")
  end)
  watchdog:unref()
]]

-- Run the example, with code before it: {kind = {files, lines, bytes}}, the
-- list of what could not be read, all that it printed, and its status.
local function linecount(prelude, ...)
  local text, status = child.run(WATCHDOG .. prelude ..
    [[ arg[0] = "examples/linecount.lua"; dofile(arg[0]) ]], ...)
  local rows, unreadable = {}, {}
  for line in text:gmatch "[^\n]+" do
    local kind, files, lines, bytes =
      line:match "^(%S+) +(%d+) +(%d+) +(%d+)$"
    if kind then
      rows[kind] = {tonumber(files), tonumber(lines), tonumber(bytes)}
    end
    unreadable[#unreadable + 1] = line:match "^  (.*)$"
  end
  return rows, unreadable, text, status
end

-- Make a tree with one of everything.
local function make_tree()
  root = os.tmpname()
  os.remove(root)
  tree = root .. "/the tree"
  shell(("mkdir -p %s/deep/er/and/.hidden %s/empty"):format(
    q(tree), q(tree)))
  write("empty.txt", "")
  write("one.txt", "one line\n")
  write("no newline at the end.txt", "a\nb")
  write("newlines.txt", ("\n"):rep(1000))
  write("windows.txt", "a\r\nb\r\n")
  write("zeros.bin", "a\0b\n\0\n\255\254\n\0")
  write("chunk.dat", ("x"):rep(64 * 1024 - 1) .. "\n")
  write("chunk and more.dat", ("y"):rep(64 * 1024) .. "\n")
  write("large.dat", ("some line of text\n"):rep(50000) .. "end")
  write("deep/one.txt", "1\n2\n")
  write("deep/er/two.lua", "return 1\n")
  write("deep/er/and/.hidden/file.lua", "return 2\nreturn")
  write("Makefile", "all:\n")
  write(".profile", "# a hidden file\n")
  write("deep/.d.lua", "\n")
  write("a.tar.gz", "\31\139\n")
  write("what's $this.txt", "quotes\n")
  for i = 1, 100 do write(("deep/er/%d.many"):format(i), ("\n"):rep(i)) end
  shell(("cd %s && ln -s one.txt link.txt && ln -s deep folder " ..
    "&& ln -s .. deep/loop && ln -s nowhere dangling.txt " ..
    "&& ln -s /etc outside && mkfifo fifo.txt deep/fifo"):format(q(tree)))
  assert.equal("", (child.run([[
    local uv = require "luv"
    assert(uv.chdir(arg[1])) -- the names of sockets are short
    local socket = uv.new_pipe(false)
    assert(socket:bind "socket.txt")
    os.exit(0, false) -- a regular end would remove it
  ]], tree)))
end

local kinds = {
  total = "",
  [".txt"] = "-name '*.txt'",
  [".bin"] = "-name '*.bin'",
  [".dat"] = "-name '*.dat'",
  [".lua"] = "-name '*.lua'",
  [".gz"] = "-name '*.gz'",
  [".many"] = "-name '*.many'",
  ["(none)"] = [[\( -name Makefile -o -name .profile \)]],
}

describe("linecount", function()
  setup(make_tree)
  teardown(function() shell("rm -rf " .. q(root)) end)

  it("is tested with a file of each type", function()
    for flag, names in pairs {
      ["-h"] = {"link.txt", "folder", "deep/loop", "dangling.txt"},
      ["-p"] = {"fifo.txt", "deep/fifo"},
      ["-S"] = {"socket.txt"},
    } do
      for _, name in ipairs(names) do
        shell(("test %s %s"):format(flag, q(tree .. "/" .. name)))
      end
    end
  end)

  -- luv's way to list, but with no types.
  local typeless <const> = [[
    local next_entry = uv.fs_scandir_next
    function uv.fs_scandir_next(entries)
      return (next_entry(entries)), %s
    end
  ]]

  for name, run in pairs {
    ["as find and wc do"] = {""},
    ["one file after the other"] = {"", "-n", "1"},
    ["with all files open at once"] = {"", "-n", "500"},
    ["where the file system knows no types"] =
      {typeless:format '"unknown"'},
    ["where the file system gives no types"] = {typeless:format "nil"},
  } do
    it("counts " .. name, function()
      local prelude = run[1]
      local args = table.pack(table.unpack(run, 2))
      args[#args + 1] = tree
      local rows, unreadable, text, status =
        linecount(prelude, table.unpack(args))
      assert.same({}, unreadable, text)
      local wanted = {}
      for kind, test in pairs(kinds) do wanted[kind] = expected(test) end
      assert.same(wanted, rows)
      assert.equal(0, status)
    end)
  end

  it("prints nothing else, no progress either", function()
    local _, _, text = linecount("", tree)
    local _, lines = text:gsub("\n", "")
    assert.equal(1 + 8, lines) -- the head of the table, its rows
    assert.is_nil(text:find "[\r\27]")
  end)

  it("aligns the columns", function()
    local _, _, text = linecount("", tree)
    for line in text:gmatch "[^\n]+" do
      assert.equal(#text:match "^[^\n]+", #line)
    end
  end)

  it("puts the kinds with most bytes first", function()
    local _, _, text = linecount("", tree)
    local last = math.huge
    for kind, bytes in text:gmatch "(%S+) [ %d]+ (%d+)\n" do
      if kind ~= "total" then
        assert.is_true(tonumber(bytes) <= last)
        last = tonumber(bytes)
      end
    end
    assert.is_true(last < math.huge)
  end)

  it("counts an empty folder", function()
    local rows, unreadable = linecount("", tree .. "/empty")
    assert.same({total = {0, 0, 0}}, rows)
    assert.same({}, unreadable)
  end)

  it("opens no more files at once than it may", function()
    for _, limit in ipairs {1, 3, 32} do
      local _, _, text = linecount([[
        local open, close = uv.fs_open, uv.fs_close
        local now, most = 0, 0
        function uv.fs_open(...)
          now = now + 1
          most = math.max(most, now)
          return open(...)
        end
        function uv.fs_close(fd, done)
          return close(fd, function(...)
            now = now - 1
            done(...)
          end)
        end
        local exit = os.exit
        function os.exit(...)
          print("\nmost: " .. most .. ", left: " .. now)
          exit(...)
        end
      ]], "-n", tostring(limit), tree)
      assert.equal(("most: %d, left: 0"):format(limit),
        text:match "most: [^\n]+")
    end
  end)

  -- Wrap a function of luv so that something happens before each call.
  local function before(name, code)
    return ([[
      local call = uv.%s
      function uv.%s(target, ...) %s; return call(target, ...) end
    ]]):format(name, name, code)
  end

  local function with_file(name, test)
    write(name, "1\n2\n")
    local ok, err = pcall(test)
    os.remove(tree .. "/" .. name)
    if not ok then error(err, 0) end
  end

  it("opens nothing that is no regular file", function()
    local _, _, text = linecount(
      before("fs_open", [[print("open " .. target)]]), "-n", "1", tree)
    local opened = {}
    for path in text:gmatch "open ([^\n]+)" do
      opened[#opened + 1] = path
    end
    local wanted = {}
    for path in ask(("find %s -type f"):format(q(tree)))
        :gmatch "[^\n]+" do
      wanted[#wanted + 1] = path
    end
    table.sort(opened)
    table.sort(wanted)
    assert.same(wanted, opened)
  end)

  it("lists a file that vanishes, counts the others", function()
    local wanted = expected ""
    with_file("vanishes.txt", function()
      local rows, unreadable, _, status = linecount(before("fs_open",
        [[if target:find "vanishes" then os.remove(target) end]]), tree)
      assert.same({tree ..
        "/vanishes.txt: ENOENT: no such file or directory"}, unreadable)
      assert.same(wanted, rows.total)
      assert.equal(0, status)
    end)
  end)

  it("lists a folder that vanishes, counts the others", function()
    local wanted = expected ""
    local gone = tree .. "/deep/vanishes"
    shell("mkdir " .. q(gone))
    local rows, unreadable = linecount(before("fs_scandir",
      [[if target:find "vanishes" then os.remove(target) end]]), tree)
    assert.same({gone .. ": ENOENT: no such file or directory"}, unreadable)
    assert.same(wanted, rows.total)
  end)

  it("lists a file whose reading fails, counts the others", function()
    local wanted = expected ""
    with_file("fails.txt", function()
      local rows, unreadable, text = linecount([[
        local open, read, bad = uv.fs_open, uv.fs_read, nil
        local close, closed = uv.fs_close, false
        function uv.fs_open(path, flags, mode, done)
          return open(path, flags, mode, function(err, fd)
            if path:find "fails" then bad = fd end
            done(err, fd)
          end)
        end
        function uv.fs_read(fd, ...)
          return read(fd == bad and -1 or fd, ...)
        end
        function uv.fs_close(fd, ...)
          if fd == bad then bad = nil print "closed" end
          return close(fd, ...)
        end
      ]], tree)
      assert.same({tree .. "/fails.txt: EBADF: bad file descriptor"},
        unreadable)
      assert.same(wanted, rows.total)
      assert.matches("closed\n", text)
    end)
  end)

  it("keeps control characters off the terminal", function()
    with_file("a\nb\27c", function()
      local _, unreadable = linecount(before("fs_open",
        [[if target:find "\27" then os.remove(target) end]]), tree)
      assert.same({tree .. "/a?b?c: ENOENT: no such file or directory"},
        unreadable)
    end)
  end)

  it("fails for a folder that is not there", function()
    local _, _, text, status = linecount("", tree .. "/nowhere")
    assert.equal("linecount: ENOENT: no such file or directory: " ..
      tree .. "/nowhere\n", text)
    assert.equal(1, status)
  end)

  for _, args in ipairs {{"-n"}, {"-n", "0"}, {"-n", "x"}, {"-n", "1.5"}} do
    it("shows its usage for " .. table.concat(args, " "), function()
      local _, _, text, status = linecount("", table.unpack(args))
      assert.matches("^usage: ", text)
      assert.equal(2, status)
    end)
  end
end)
