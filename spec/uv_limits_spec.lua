--- Where the process may open no more descriptors: each function that needs
--- one fails with a code, and nothing ends the program.

local Promise = require "cpromise"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await = Promise.await

-- What comes of a call in a program that has none left: `code call`, or what
-- it prints.
local PROGRAM <const> = [[
  local Promise = require "cpromise"
  local luv = require "luv"
  local uv = require "cpromise.uv"
  local await, pawait = Promise.await, Promise.pawait
  local folder = ...

  local calls = {
    open = function() return uv.open(folder .. "/file") end,
    read_file = function() return uv.read_file(folder .. "/file") end,
    write_file = function() return uv.write_file(folder .. "/new", "x") end,
    write_atomically = function()
      return uv.write_file(folder .. "/new", "x", {atomic = true})
    end,
    append_file = function() return uv.append_file(folder .. "/new", "x") end,
    scandir = function()
      return Promise.spawn(function() return (uv.scandir(folder)()) end)
    end,
    walk = function()
      return Promise.spawn(function()
        for path in uv.walk(folder) do return path end
      end)
    end,
    remove_tree = function() return uv.remove_tree(folder) end,
    watch = function() return Promise.try(uv.watch, folder) end,
    connect = function() return uv.connect("127.0.0.1", 9) end,
    connect_pipe = function() return uv.connect(folder .. "/pipe") end,
    listen = function() return uv.listen("127.0.0.1", 0, print) end,
    listen_pipe = function() return uv.listen(folder .. "/pipe", print) end,
    udp = function() return uv.udp("127.0.0.1", 0) end,
    run_process = function() return uv.run_process "true" end,
    start_process = function()
      return uv.start_process("true", {}, {stdin = true, stdout = true})
    end,
    work = function() return uv.work(function() end) end,
    temporary_directory = function()
      return Promise.spawn(function()
        -- It can be made, and not removed.
        local _ <close> = await(uv.temporary_directory(folder .. "/x-"))
      end)
    end,
  }

  -- What the system libraries load first is loaded before.
  Promise.run(function() await(uv.run_process "true") end)
  local held = {}
  while true do
    local fd = luv.fs_open("/dev/null", "r", 0)
    if not fd then break end
    held[#held + 1] = fd
  end
  local names = {}
  for name in pairs(calls) do names[#names + 1] = name end
  table.sort(names)
  Promise.run(function()
    for _, name in ipairs(names) do
      local ok, failure = pawait(calls[name]())
      print(name, ok or failure.code, not ok and failure.call or "")
    end
    for _, fd in ipairs(held) do luv.fs_close(fd) end
    for _, name in ipairs {"open", "connect", "work", "run_process"} do
      local ok, failure = pawait(calls[name]())
      print("again " .. name, ok or failure.code)
      if ok and type(failure) == "table" and failure.close then
        await(failure:close())
      end
    end
  end)
]]

describe("without descriptors", function()
  it("everything fails, and works again later", spec.test(function(folder)
    spec.put(folder .. "/file", "content")
    spec.put(folder .. "/program.lua", PROGRAM)
    local result = await(uv.run_process("sh", {"-c",
      'ulimit -n 64; exec "$0" "$@"', arg[-1] or "lua5.4",
      folder .. "/program.lua", folder}, {timeout = 30}))
    assert.equal("", result.stderr)
    assert.equal(table.concat({
      "append_file\tEMFILE\tappend_file",
      "connect\tEMFILE\tconnect",
      "connect_pipe\tEMFILE\tconnect",
      "listen\tEMFILE\tlisten",
      "listen_pipe\tEMFILE\tlisten",
      "open\tEMFILE\topen",
      "read_file\tEMFILE\tread_file",
      "remove_tree\tEMFILE\tfs_scandir",
      "run_process\tEMFILE\tspawn",
      "scandir\tEMFILE\tfs_scandir",
      "start_process\tEMFILE\tspawn",
      "temporary_directory\tEMFILE\tfs_scandir",
      "udp\tEMFILE\tudp",
      "walk\tEMFILE\tfs_scandir",
      "watch\tEMFILE\twatch",
      "work\tEMFILE\twork",
      "write_atomically\tEMFILE\twrite_file",
      "write_file\tEMFILE\twrite_file",
      "again open\ttrue",
      "again connect\tECONNREFUSED",
      "again work\ttrue",
      "again run_process\ttrue\n",
    }, "\n"), result.stdout)
  end))
end)
