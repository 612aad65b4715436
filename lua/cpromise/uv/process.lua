--- Programs that run beside this one.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local handover = require "cpromise.uv.handover"
local luv = require "cpromise.uv.luv"
local signals = require "cpromise.uv.signals"
local stream = require "cpromise.uv.stream"

local process = {}

-- How long a program may take to end when it is asked to, in seconds.
local GRACE <const> = 2

---@class cpromise.uv.ProcessState: cpromise.uv.Process
---@field pid integer
---@field exited Promise  of exit code and signal
---@field running boolean
---@field manner cpromise.uv.KillOptions
---@field streams cpromise.uv.Stream[]  its standard streams that are pipes
local methods = {}

local Process = {__name = "process", __index = methods}

-- Send a signal, to the group if the process leads one. It may have ended.
local function send(self, name)
  if self.manner.group then return luv.kill(-self.pid, name) end
  if self.running then return luv.process_kill(self.handle, name) end
end

--- Send a signal. Returns whether the process could get it.
function methods:kill(name)
  check.self(self, Process, "kill")
  name = signals.check(2, "kill", name or "sigterm")
  return send(self, name) ~= nil
end

--- A promise of exit code and signal.
function methods:wait()
  check.self(self, Process, "wait")
  return core.shield(self.exited)
end

-- Ask it to end, and make it after a while.
local function stop(self)
  send(self, self.manner.signal)
  if self.running then
    core.pawait(core.shield(self.exited):timeout(self.manner.grace))
  end
  if self.running or self.manner.group then send(self, "sigkill") end
  return core.await(core.shield(self.exited))
end

--- Ask it to end, and kill it if it doesn't: a promise of exit code and
--- signal. Of a group, those are asked that have outlived it, too.
function methods:stop()
  check.self(self, Process, "stop")
  if not self.running and not self.manner.group then return self:wait() end
  self.stopping = self.stopping or core.spawn(stop, self)
  return core.shield(self.stopping)
end

-- Close the pipes; what is to be awaited.
local function close_streams(self)
  local closed = {}
  for i, pipe in ipairs(self.streams) do closed[i] = pipe:close() end
  return core.allSettled(closed)
end

function Process:__close(reason)
  local has_ended = reason == nil and not self.running
  local stopped = has_ended and self:wait() or self:stop()
  local closed = close_streams(self)
  closing.wait(core.allSettled {stopped, closed})
end

-- What the child gets for a descriptor: luv's way to say it, and our end of
-- the pipe if it is one.
local function end_of(v)
  if v == true then
    local handle = luv.new_pipe(false)
    return handle, stream.new(handle)
  elseif v == false then
    return nil
  elseif math.type(v) == "integer" then
    return v
  end
  return v.fileno and v:fileno() or v.handle
end

-- The environment of this program, changed.
local function environment(changes)
  if not changes then return nil end
  local all = luv.os_environ()
  for name, value in pairs(changes) do all[name] = value or nil end
  local list = {}
  for name, value in pairs(all) do list[#list + 1] = name .. "=" .. value end
  return list
end

-- What has become of a program.
local Result = {__name = "process result"}

function Result:__tostring()
  return ("code %s, signal %s"):format(self.code, self.signal)
end

local names = {"stdin", "stdout", "stderr"}

-- What luv takes for the standard streams; our ends are the process's.
local function make_stdio(self, options, defaults)
  local stdio = {}
  for i, name in ipairs(names) do
    local v = options[name]
    if v == nil then v = defaults[i] end
    local pipe
    stdio[i], pipe = end_of(v)
    self[name] = pipe
    self.streams[#self.streams + 1] = pipe
  end
  return stdio
end

-- Start it at once. Raises a failure when no pipe is left of it.
local function start(command, args, options, defaults)
  local self = setmetatable(
    {manner = options.kill, streams = {}, running = true}, Process)
  local stdio = make_stdio(self, options, defaults)
  local exited, resolve = core.withResolvers()
  self.exited = exited
  local handle, pid = luv.spawn(command, {
    args = args, stdio = stdio, env = environment(options.env),
    cwd = options.cwd, detached = options.kill.group,
  }, function(code, signal)
    self.running = false
    luv.close(self.handle)
    resolve(code, signal)
  end)
  if not handle then
    closing.wait(close_streams(self))
    error(errors.from("spawn", pid, {path = command}), 0)
  end
  self.handle, self.pid = handle, pid
  return self
end

-- What options may be

-- A zero would end what the program gets.
local function not_string(v)
  if type(v) ~= "string" then return check.expected("string", v) end
  if v:find "\0" then return "must have no zero in it" end
end

local function not_strings(v)
  if type(v) ~= "table" then return check.expected("table", v) end
  for i = 1, #v do
    local why = not_string(v[i])
    if why then return ("element %d: %s"):format(i, why) end
  end
end

local function not_environment(v)
  if type(v) ~= "table" then return check.expected("table", v) end
  for name, value in pairs(v) do
    if type(name) ~= "string" then return "names are strings" end
    if name == "" or name:find "[=\0]" then
      return ("'%s' is no name of a variable"):format(name)
    end
    local why = type(value) == "string" and not_string(value)
    if value ~= false and type(value) ~= "string" then
      why = check.expected("string or false", value)
    end
    if why then return ("'%s': %s"):format(name, why) end
  end
end

local function not_end(v)
  local kind = math.type(v) or type(v)
  local ok = kind == "boolean" or kind == "integer" and v >= 0 or
    stream.is(v) or kind == "table" and check.callable(v.fileno)
  if not ok then
    return check.expected("boolean, descriptor, stream or file", v)
  end
end

local function not_boolean(v)
  if type(v) ~= "boolean" then return check.expected("boolean", v) end
end

local known_kill = {
  signal = signals.not_name,
  grace = check.not_seconds,
  group = not_boolean,
}

local known = {
  stdin = not_end, stdout = not_end, stderr = not_end,
  env = not_environment, cwd = not_string,
  kill = function(v) return check.not_options(v, known_kill) end,
}

local known_to_run = {
  stdin = function(v)
    if type(v) == "string" then return end
    return v == true and check.expected("string or stream", v) or not_end(v)
  end,
  timeout = check.not_seconds,
}
for name, why_wrong in pairs(known) do
  known_to_run[name] = known_to_run[name] or why_wrong
end

-- `run_process(command, args, options)`: checked and complete.
local function prepare(name, command, args, options, options_known)
  local why = not_string(command)
  if why then check.fail(1, name, why) end
  why = args ~= nil and not_strings(args)
  if why then check.fail(2, name, why) end
  why = check.not_options(options, options_known)
  if why then check.fail(3, name, why) end
  local complete = {}
  for key, value in pairs(options or {}) do complete[key] = value end
  local kill = complete.kill or {}
  complete.kill = {
    signal = signals.name(kill.signal or "sigterm"),
    grace = kill.grace or GRACE,
    group = kill.group or false,
  }
  return args or {}, complete
end

--- A promise of a process.
function process.start_process(command, args, options)
  args, options = prepare("start_process", command, args, options, known)
  return core.spawn(function()
    local self = start(command, args, options, {0, 1, 2})
    return handover.give(self, function()
      self:stop()
      close_streams(self)
    end)
  end)
end

-- Collect what comes from a pipe as it comes: if the program is stopped, what
-- came before is there.
local function collect(pipe, result, name)
  local parts = {}
  local _ <close> = setmetatable({}, {__close = function()
    result[name] = table.concat(parts)
  end})
  for chunk in pipe:chunks() do parts[#parts + 1] = chunk end
end

-- A program need not read all that it is given.
local function feed(pipe, data)
  local ok, failure = core.pawait(pipe:write(data))
  if not ok and not errors.is(failure, "EPIPE") then error(failure, 0) end
  core.await(pipe:close())
end

local function note_exit(self, result)
  result.code, result.signal = core.await(self:wait())
end

local function run(command, args, options, data, result)
  local self <close> = start(command, args, options, {false, true, true})
  local calls = {}
  -- also when it is cancelled
  self.exited:next(function(code, signal)
    result.code, result.signal = code, signal
  end)
  if data then calls[#calls + 1] = core.spawn(feed, self.stdin, data) end
  for _, name in ipairs {"stdout", "stderr"} do
    if self[name] then
      calls[#calls + 1] = core.spawn(collect, self[name], result, name)
    end
  end
  calls[#calls + 1] = core.spawn(note_exit, self, result)
  core.await(core.all(calls))
  return result
end

--- A promise of a table: `code`, `signal`, `stdout` and `stderr`.
function process.run_process(command, args, options)
  args, options =
    prepare("run_process", command, args, options, known_to_run)
  local data
  if type(options.stdin) == "string" then
    data, options.stdin = options.stdin, true
  end
  local result = setmetatable({}, Result)
  local running = core.spawn(run, command, args, options, data, result)
  if not options.timeout then return running end
  return running:timeout(options.timeout, result)
end

return process
