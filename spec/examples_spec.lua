--- Every example prints what its header says; some of them at their edges.

local child = require "spec.child"

-- A hanging program fails; the timer keeps no loop alive.
local WATCHDOG <const> = [[
local uv = require "luv"
local watchdog = uv.new_timer()
watchdog:start(30000, 0, function()
  print "hangs"
  os.exit(9)
end)
watchdog:unref()
]]

-- Prints the types of the handles that are open; of promises' own, and the
-- watchdog, there are timers, an idle handle, and what keeps no loop alive.
local OPEN <const> = [[
uv.walk(function(handle)
  local kind = uv.handle_get_type(handle)
  local ours = kind == "timer" or kind == "idle" or not uv.has_ref(handle)
  if not ours and not uv.is_closing(handle) then print("open: " .. kind) end
end)
]]

-- Run an example with arguments, between two pieces of code: what it prints
-- and its status.
local function run(example, arguments, before, after)
  local program = ("%s%s\narg[0] = %q\ndofile(arg[0])\n%s"):format(
    WATCHDOG, before or "", example, after or "")
  return child.run(program, table.unpack(arguments))
end

local function check(expected, ...)
  local text, status = run(...)
  assert.equal(expected, text)
  assert.equal(0, status)
end

-- The output that the header of an example promises; "" if none.
local function promised(example)
  local lines = {}
  for line in io.lines(example) do
    local text = line:match "^%-%-   > ?(.*)"
    if text then lines[#lines + 1] = text .. "\n" end
  end
  return table.concat(lines)
end

-- Debian has lua-http where the example looks for it, too.
local function has_http()
  local path = package.path .. ";/usr/share/lua/5.3/?.lua"
  return package.searchpath("http.server", path) and
    pcall(require, "cqueues") and os.execute "command -v curl >/dev/null"
end

for example in io.popen("find examples -name '*.lua' | sort"):lines() do
  local expected = promised(example)
  if expected ~= "" then
    describe(example, function()
      it("prints what its header says", function()
        if example:find "http" and not has_http() then
          return pending "there is no lua-http, or no curl"
        end
        local text, status = run(example, {})
        if status == 77 then return pending(text) end -- what it needs lacks
        assert.equal(expected, text)
        assert.equal(0, status)
      end)
    end)
  end
end

describe("examples/processes.lua", function()
  local example <const> = "examples/processes.lua"

  -- command = what is printed after "COMMAND: "
  for command, line in pairs {
    ["exit 255"] = [[code 255, signal 0, output "", errors ""]],
    ["kill -TERM $$"] = [[code 0, signal 15, output "", errors ""]],
    ["kill -KILL $$"] = [[code 0, signal 9, output "", errors ""]],
    ["printf no-newline"] =
      [[code 0, signal 0, output "no-newline", errors ""]],
    ["read line || echo end"] =
      [[code 0, signal 0, output "end\n", errors ""]],
    ["exec >&-; echo on >&2"] =
      [[code 0, signal 0, output "", errors "on\n"]],
  } do
    it("reports what became of " .. command, function()
      check(("%s: %s\n"):format(command, line), example, {"60", command})
    end)
  end

  it("kills what a late command has started, too", function()
    local command = "sleep 60 & wait" -- sleep holds the pipes
    check(command .. [[: code 0, signal 9, output "", errors ""]] .. "\n",
      example, {"0.1", command})
  end)

  it("kills a late command that is deaf to signals", function()
    local command = "trap '' TERM INT HUP; sleep 60"
    check(command .. [[: code 0, signal 9, output "", errors ""]] .. "\n",
      example, {"0.2", command})
  end)

  it("collects more than a pipe holds from both streams", function()
    local size <const> = 1000000
    local fill = ("head -c %d /dev/zero | tr '\\0' %%s"):format(size)
    local command = ("%s; %s >&2"):format(fill:format "o", fill:format "e")
    local text = run(example, {"60", command})
    local output, errors =
      text:match [[code 0, signal 0, output "(o*)", errors "(e*)"]]
    assert.equal(size, #output)
    assert.equal(size, #errors)
  end)

  describe("with several commands", function()
    local fifo

    before_each(function()
      fifo = os.tmpname()
      os.remove(fifo)
      assert(os.execute("mkfifo " .. fifo))
    end)

    after_each(function()
      os.remove(fifo)
    end)

    it("runs them at once, reports them in order", function()
      local reader, writer = "cat " .. fifo, "echo met > " .. fifo
      check(([[
%s: code 0, signal 0, output "met\n", errors ""
%s: code 0, signal 0, output "", errors ""
]]):format(reader, writer), example, {"10", reader, writer})
    end)
  end)

  it("reports programs that are not there, and nothing else", function()
    check(("%s: ENOENT: no such file or directory: sh\n"):rep(2)
      :format("one", "two"),
      example, {"60", "one", "two"}, [[uv.os_setenv("PATH", "/nowhere")]])
  end)

  it("closes its processes and pipes", function()
    check(promised(example), example, {}, "", OPEN)
  end)

  if io.open "/proc/self/stat" then
    it("leaves no child, not even a zombie", function()
      check(promised(example) .. "0\n1\n", example, {}, [[
        local function children()
          local n = 0
          for pid in uv.fs_scandir_next, uv.fs_scandir "/proc" do
            local file = io.open("/proc/" .. pid .. "/stat")
            local stat = pid:find "%d" and file and file:read "a" or ""
            if file then file:close() end
            local parent = tonumber(stat:match "%) %a (%d+)")
            if parent == uv.os_getpid() then n = n + 1 end
          end
          return n
        end
      ]], [[
        print(children())
        uv.spawn("true", {args = {}}, function() end)
        print(children()) -- or the first figure means nothing
        uv.run "once"
      ]])
    end)
  end
end)

describe("examples/echo.lua", function()
  local example <const> = "examples/echo.lua"

  local function expected(clients, size)
    return ("server: %d connections, %d bytes\n"):format(
        clients, 10 * clients * size) ..
      ("clients: %d messages came back as they were sent\n"):format(
        10 * clients)
  end

  for _, case in ipairs {
    {0, 1, "no client"},
    {1, 0, "empty messages"},
    {3, 1, "messages of one byte"},
    {7, 65537, "messages of more than one chunk"},
    {1, 10000000, "messages of more than a connection holds"},
  } do
    local clients, size, what = table.unpack(case)
    it("ends by itself with " .. what, function()
      check(expected(clients, size), example,
        {tostring(clients), tostring(size)})
    end)
  end

  it("leaves nothing open", function()
    check(expected(5, 100) .. "false\n", example, {"5", "100"}, "",
      OPEN .. "print(uv.loop_alive())")
  end)

  local function fails(message, before)
    local text, status = run(example, {"5", "100"}, before)
    assert.matches(message, text, 1, true)
    assert.equal(1, status)
  end

  it("fails if a message comes back changed", function()
    fails("the message came back changed", [[
      local write = uv.try_write
      function uv.try_write(socket, data)
        return write(socket, (data:gsub("1", "2")))
      end
    ]])
  end)

  it("fails if a client can't connect", function()
    fails("ECONNREFUSED", [[
      local connect = uv.tcp_connect
      function uv.tcp_connect(socket, host, _, done)
        return connect(socket, host, 1, done)
      end
    ]])
  end)
end)

describe("examples/crawl.lua", function()
  local example <const> = "examples/crawl.lua"

  for _, case in ipairs {
    {1, 1, "one page"},
    {3, 8, "fewer pages than workers"},
    {20, 1, "a single worker"},
  } do
    local pages, workers, what = table.unpack(case)
    it("gets all with " .. what, function()
      local text, status =
        run(example, {tostring(pages), tostring(workers)})
      assert.equal(0, status)
      assert.matches(("\n%d of %d pages, with %d connections\n$"):format(
        pages, pages, math.min(workers, (pages + 1) // 2)), text)
    end)
  end

  it("leaves nothing open", function()
    check(promised(example) .. "false\n", example, {}, "",
      OPEN .. "print(uv.loop_alive())")
  end)

  it("ends by itself when it is interrupted, with nothing open", function()
    local text, status = run(example, {"1000", "3"}, ([[
      local timer = uv.new_timer()
      timer:start(100, 0, function()
        timer:close()
        uv.kill(uv.os_getpid(), "sigint")
      end)
      local exit = os.exit
      function os.exit(...)
        %s
        print(uv.loop_alive())
        exit(...)
      end
    ]]):format(OPEN))
    assert.matches("^interrupted after %d+ pages\nfalse\n$", text)
    assert.equal(130, status)
  end)

  it("shows how far it is on a terminal", function()
    local text = run(example, {"3", "1"}, [[
      function uv.guess_handle() return "tty" end
    ]])
    assert.matches("\r0 of 1 pages ", text)
    assert.matches("\n3 of 3 pages", text)
  end)
end)

describe("examples/dump.lua", function()
  local example <const> = "examples/dump.lua"

  it("says so each time, and goes on", function()
    local dump = promised(example):gsub("page 1\n.*", "")
    check(dump:rep(2) .. "page 1\npage 2\npage 3\n", example, {"0.3"}, [[
      local timer, n = uv.new_timer(), 0
      timer:start(50, 50, function()
        n = n + 1
        uv.kill(uv.os_getpid(), "sigquit")
        if n == 2 then timer:close() end
      end)
    ]])
  end)
end)
