--- Processes and signals, real ones.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await, pawait = Promise.await, Promise.pawait

local test = spec.clean_test

local function sh(script, options)
  return uv.run_process("sh", {"-c", script}, options)
end

-- Whether a process with that number runs, or waits to be reaped.
local function exists(pid)
  return luv.kill(pid, 0) ~= nil
end

-- Wait for what is to come.
local function eventually(holds)
  for _ = 1, 5000 do
    if holds() then return true end
    await(Promise.delay(0.001))
  end
  return false
end

describe("run_process", function()
  for script, result in pairs {
    ["echo out; echo err >&2; exit 3"] =
      {code = 3, signal = 0, stdout = "out\n", stderr = "err\n"},
    ["kill -KILL $$"] = {code = 0, signal = 9, stdout = "", stderr = ""},
    ["printf x; kill -TERM $$"] =
      {code = 0, signal = 15, stdout = "x", stderr = ""},
    ["read line || echo end"] =
      {code = 0, signal = 0, stdout = "end\n", stderr = ""},
    ["exec >&-; echo on >&2"] =
      {code = 0, signal = 0, stdout = "", stderr = "on\n"},
    ["exec >&- 2>&-; exit 255"] =
      {code = 255, signal = 0, stdout = "", stderr = ""},
  } do
    it("tells what became of " .. script, test(function()
      assert.same(result, await(sh(script)))
    end))
  end

  it("gives the program its input", test(function()
    local result = await(sh("tr a-z A-Z", {stdin = "hello"}))
    assert.equal("HELLO", result.stdout)
    local much = ("x"):rep(3000000)
    result = await(sh("wc -c", {stdin = much}))
    assert.equal("3000000", result.stdout:match "%d+")
    result = await(sh("exit 0", {stdin = much})) -- reads none of it
    assert.equal(0, result.code)
    result = await(sh("cat", {stdin = ""}))
    assert.equal("", result.stdout)
  end))

  it("collects more than a pipe holds from both streams", test(function()
    local fill = "head -c 1000000 /dev/zero | tr '\\0' "
    local result = await(sh(fill .. "o; " .. fill .. "e >&2"))
    assert.equal(("o"):rep(1000000), result.stdout)
    assert.equal(("e"):rep(1000000), result.stderr)
  end))

  it("sets folder and environment", test(function(folder)
    luv.os_setenv("UV_SPEC_KEPT", "kept")
    luv.os_setenv("UV_SPEC_GONE", "gone")
    local result = await(sh(
      "pwd; echo $UV_SPEC_KEPT-$UV_SPEC_GONE-$UV_SPEC_NEW", {
        cwd = folder, env = {UV_SPEC_NEW = "new", UV_SPEC_GONE = false},
      }))
    luv.os_unsetenv "UV_SPEC_KEPT"
    luv.os_unsetenv "UV_SPEC_GONE"
    assert.equal(folder .. "\nkept--new\n", result.stdout)
  end))

  it("takes files and streams for the standard ones", test(function(folder)
    spec.put(folder .. "/in", "from a file")
    local input <close> = await(uv.open(folder .. "/in"))
    local output <close> = await(uv.open(folder .. "/out", "w"))
    local result = await(sh("cat; echo err >&2",
      {stdin = input, stdout = output, stderr = false}))
    assert.same({code = 0, signal = 0}, result)
    assert.equal("from a file", spec.get(folder .. "/out"))
  end))

  it("fails for what can't be started", test(function(folder)
    local failure =
      spec.fails("ENOENT", "spawn", uv.run_process "no-such-program")
    assert.equal("no-such-program", failure.path)
    spec.fails("EACCES", "spawn",
      uv.run_process(spec.put(folder .. "/file", "x")))
    spec.fails("ENOENT", "spawn", sh("exit", {cwd = folder .. "/no"}))
  end))

  it("ends a program that takes too long", test(function()
    local ok, reason = pawait(sh("echo begun; exec sleep 60",
      {timeout = 0.3}))
    assert.is_false(ok)
    assert.is_true(Promise.isTimeout(reason))
    assert.same({code = 0, signal = 15, stdout = "begun\n", stderr = ""},
      reason.reason)
    assert.equal("timed out after 0.3 seconds: code 0, signal 15",
      tostring(reason))
  end))

  it("kills one that is deaf, after a grace time", test(function()
    local ok, reason = pawait(sh("trap '' TERM; echo deaf; sleep 60 & wait",
      {timeout = 0.3, kill = {grace = 0.05, group = true}}))
    assert.is_false(ok)
    assert.equal(9, reason.reason.signal)
    assert.equal("deaf\n", reason.reason.stdout)
  end))

  it("lets one clean up", test(function(folder)
    local ok, reason = pawait(sh(
      "trap 'echo cleaned >" .. folder .. "/file; exit 4' TERM;" ..
      "echo ready; while :; do sleep 0.01; done", {timeout = 0.3}))
    assert.is_false(ok)
    assert.equal(4, reason.reason.code)
    assert.equal("cleaned\n", spec.get(folder .. "/file"))
  end))

  it("ends all of a group", test(function(folder)
    local running = sh("sleep 60 & echo $! >" .. folder .. "/pid; wait",
      {kill = {group = true}})
    local path = folder .. "/pid"
    assert.is_true(eventually(function()
      local stat = luv.fs_stat(path)
      return stat and stat.size > 0
    end))
    local pid = math.tointeger(tonumber(spec.get(path)))
    assert.is_true(exists(pid))
    running:cancel()
    assert.is_true(Promise.isCancelled(select(2, pawait(running))))
    assert.is_true(eventually(function()
      local ok, text = pcall(spec.get, ("/proc/%d/stat"):format(pid))
      return not ok or text:find "%) Z" ~= nil
    end))
  end))

  it("that is cancelled has ended when it settles", test(function(folder)
    local pid
    local moments = 0
    for turns = 0, 8 do
      local running = sh("echo $$ >" .. folder .. "/pid; exec sleep 60")
      for _ = 1, turns do await(Promise.delay(0.001)) end
      running:cancel()
      pawait(running)
      local ok, text = pcall(spec.get, folder .. "/pid")
      pid = ok and math.tointeger(tonumber(text))
      if pid then
        moments = moments + 1
        assert.is_false(exists(pid))
      end
    end
    assert.is_true(moments > 0)
  end))

  it("sends the signal that it is told", test(function()
    local ok, reason = pawait(sh("exec sleep 60",
      {timeout = 0.2, kill = {signal = "SIGINT"}}))
    assert.is_false(ok)
    assert.equal(2, reason.reason.signal)
  end))
end)

describe("start_process", function()
  it("gives its streams", test(function()
    local process <close> = await(uv.start_process("cat", {},
      {stdin = true, stdout = true}))
    assert.is_true(process.pid > 0)
    assert.is_nil(process.stderr)
    for i = 1, 3 do
      await(process.stdin:write(i .. "\n"))
      assert.equal(tostring(i), await(process.stdout:read_until "\n"))
    end
    await(process.stdin:close())
    assert.is_nil(await(process.stdout:read()))
    local code, signal = await(process:wait())
    assert.equal(0, code)
    assert.equal(0, signal)
    assert.is_false(process:kill())
  end))

  it("sends signals", test(function()
    local process <close> = await(uv.start_process("sleep", {"60"}))
    assert.is_true(process:kill "usr1")
    local code, signal = await(process:wait())
    assert.equal(0, code)
    assert.equal(luv.constants.SIGUSR1, signal)
    assert.equal(signal, select(2, await(process:stop())))
  end))

  it("is stopped at the end of its block", test(function()
    local pid
    do
      local process <close> = await(uv.start_process("sleep", {"60"}))
      pid = process.pid
      assert.is_true(exists(pid))
    end
    assert.is_false(exists(pid))
  end))

  it("is stopped when nobody gets it", test(function()
    for jobs = 0, 8 do
      local starting = uv.start_process("sleep", {"60"})
      helper.after_jobs(jobs, function() starting:cancel() end)
      local ok, process = pawait(starting)
      if ok then await(process:stop()) end
    end
  end))
end)

describe("signal", function()
  it("comes, and may be awaited and iterated", test(function()
    local signals <close> = uv.signal "SIGUSR1"
    luv.kill(luv.getpid(), "sigusr1")
    assert.equal("sigusr1", await(signals:receive()))
    local n = 0
    luv.kill(luv.getpid(), "sigusr1")
    for name in signals do
      assert.equal("sigusr1", name)
      n = n + 1
      if n == 2 then break end
      luv.kill(luv.getpid(), "sigusr1")
    end
    local waiting = signals:receive()
    signals:stop()
    assert.is_nil((await(waiting)))
  end))

  it("is kept till somebody takes it, once", test(function()
    local signals <close> = uv.signal "usr1"
    for _ = 1, 5 do
      luv.kill(luv.getpid(), "sigusr1")
      await(Promise.delay(0.001))
    end
    assert.equal("sigusr1", await(signals:receive()))
    local waiting = signals:receive()
    await(Promise.delay(0.002))
    assert.equal("pending", waiting:status())
    waiting:cancel()
  end))

  it("ends a program as it wants", function()
    local text, status = child.run [[
      local Promise = require "cpromise"
      local uv = require "cpromise.uv"
      local await = Promise.await
      Promise.run(function()
        local stop <close> = uv.signal "term"
        local work = Promise.spawn(function()
          local _ <close> = setmetatable({}, {__close = function()
            await(Promise.delay(0.01))
            print "cleaned up"
          end})
          await(Promise.delay(60))
        end)
        uv.kill(uv.getpid(), "sigterm")
        print(await(Promise.select {signal = stop:receive(), work = work}))
      end)
    ]]
    assert.equal("cleaned up\nsignal\tsigterm\n", text)
    assert.equal(0, status)
  end)

  it("does instead what Promise.main does at Ctrl-C", function()
    assert.same({"sigint\nsigint\ncancelled: interrupted\n", 130},
      {child.run [[
        local Promise = require "cpromise"
        local uv = require "cpromise.uv"
        local await = Promise.await
        local function interrupt() uv.kill(uv.getpid(), "sigint") end
        Promise.main(function()
          do
            local signals <close> = uv.signal "int"
            for _ = 1, 2 do
              interrupt()
              print(await(signals:receive()))
            end
          end
          local _ <close> = setmetatable({}, {__close = function(_, reason)
            print("cancelled: " .. reason.reason)
          end})
          interrupt()
          await(Promise.delay(60))
        end)
      ]]})
  end)

  it("fails where it can't be caught", spec.clean_test(function()
    for _ = 1, 2 do
      local ok, failure = pcall(uv.signal, "kill")
      assert.is_false(ok)
      assert.equal("EINVAL", failure.code)
    end
    local signals <close> = uv.signal "usr2"
    luv.kill(luv.getpid(), "sigusr2")
    assert.equal("sigusr2", await(signals:receive()))
  end))

  -- luv crashes where the state is closed while a handle is being closed.
  for call, code in pairs {['signal "kill"'] = "EINVAL",
    ['watch "/no/where"'] = "ENOENT"} do
    it("ends a program whose top level it fails in: " .. call, function()
      local text, status = child.run('require "cpromise.uv".' .. call)
      assert.matches("^lua[%d.]*: " .. code .. ":", text)
      assert.equal(1, status)
    end)
  end
end)

describe("a wrong argument", function()
  for _, case in ipairs {
    {"bad argument #2 to 'run_process' " ..
      "(element 1: must have no zero in it)",
      function() uv.run_process("echo", {"a\0b"}) end},
    {"bad argument #3 to 'run_process' " ..
      "(option 'env': 'A=B' is no name of a variable)",
      function() uv.run_process("env", {}, {env = {["A=B"] = "x"}}) end},
    {"bad argument #1 to 'run_process' (string expected, got nil)",
      function() uv.run_process() end},
    {"bad argument #2 to 'run_process' (table expected, got string)",
      function() uv.run_process("x", "y") end},
    {"bad argument #2 to 'run_process' (element 1: string expected, " ..
      "got number)", function() uv.run_process("x", {1}) end},
    {"bad argument #3 to 'run_process' (option 'env': 'X': string or " ..
      "false expected, got number)",
      function() uv.run_process("x", {}, {env = {X = 1}}) end},
    {"bad argument #3 to 'run_process' (option 'kill': option 'signal': " ..
      "unknown signal 'nonsense')", function()
        uv.run_process("x", {}, {kill = {signal = "nonsense"}})
      end},
    {"bad argument #3 to 'run_process' (option 'stdin': string or stream " ..
      "expected, got boolean)",
      function() uv.run_process("x", {}, {stdin = true}) end},
    {"bad argument #3 to 'start_process' (option 'stdin': boolean, " ..
      "descriptor, stream or file expected, got string)",
      function() uv.start_process("x", {}, {stdin = "data"}) end},
    {"bad argument #3 to 'start_process' (unknown option 'timeout')",
      function() uv.start_process("x", {}, {timeout = 1}) end},
    {"bad argument #1 to 'signal' (unknown signal 'nonsense')",
      function() uv.signal "nonsense" end},
    {"bad argument #1 to 'signal' (string expected, got number)",
      function() uv.signal(15) end},
  } do
    it("is refused: " .. case[1], function()
      assert.equal(case[1], helper.raised(case[2]))
    end)
  end
end)
