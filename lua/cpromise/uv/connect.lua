--- Connections to a host by name, or to the path of a pipe.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local handles = require "cpromise.uv.handles"
local handover = require "cpromise.uv.handover"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"
local stream = require "cpromise.uv.stream"

local connect = {}

-- How long an attempt is alone before the next one begins (RFC 8305).
local HEAD_START <const> = 0.25

local function close(handle)
  closing.wait(handles.close_anyhow(handle))
end

-- Addresses of the two families in turn, the preferred family first.
local function in_turn(found)
  local first, second, addresses = {}, {}, {}
  for _, entry in ipairs(found) do
    local list = entry.family == found[1].family and first or second
    list[#list + 1] = entry.addr
  end
  for i = 1, math.max(#first, #second) do
    addresses[#addresses + 1] = first[i]
    addresses[#addresses + 1] = second[i]
  end
  return addresses
end

-- Whether it is an address as four numbers, of which luv raises for others.
local function is_address(host)
  local numbers = {host:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"}
  for _, number in ipairs(numbers) do
    if #number > 3 or tonumber(number) > 255 then return false end
  end
  return #numbers == 4
end

--- The addresses of a host, in the order in which to try them: one itself
--- needs no look-up.
---@async
---@param host string
---@param socktype "stream"|"dgram"
---@return string[]
function connect.resolve(host, socktype)
  if is_address(host) then return {host} end
  return in_turn(core.await(request.all.getaddrinfo(
    host, nil, {socktype = socktype})))
end

-- One attempt: leaves the handle in the race if it is the first to connect.
local function attempt(race, address)
  local handle = luv.new_tcp()
  local ok, reason = pcall(function()
    core.await(request.all.tcp_connect(handle, address, race.port))
  end)
  if ok and not race.handle and not race.over then
    race.handle = handle
  else
    close(handle)
    if not ok then race.failures[#race.failures + 1] = reason end
  end
  race.running = race.running - 1
  race.changed:set()
end

-- End what runs; and give back the connection that nobody got.
local Race = {}

function Race:__close()
  self.over = true
  for _, call in ipairs(self.attempts) do call:cancel() end
  if self.running > 0 then closing.wait(core.allSettled(self.attempts)) end
  if self.handle and not self.given then close(self.handle) end
end

-- The next attempt begins when all have failed, or after a while.
local function try_each(race, addresses)
  for _, address in ipairs(addresses) do
    race.changed:clear()
    race.running = race.running + 1
    race.attempts[#race.attempts + 1] = core.spawn(attempt, race, address)
    local head_start = core.delay(HEAD_START)
    while not race.handle and race.running > 0 and
        head_start:status() == "pending" do
      core.await(core.race {race.changed:wait(), head_start})
      race.changed:clear()
    end
    head_start:cancel()
    if race.handle then return end
  end
  while not race.handle and race.running > 0 do
    core.await(race.changed:wait())
    race.changed:clear()
  end
end

local function dial(host, port)
  local about = {host = host, port = port}
  local ok, addresses = pcall(connect.resolve, host, "stream")
  if not ok then error(errors.as(addresses, "connect", about), 0) end
  local race <close> = setmetatable({
    port = port, attempts = {}, failures = {}, running = 0,
    changed = core.event(),
  }, Race)
  try_each(race, addresses)
  if not race.handle then
    local first = race.failures[1]
    error(errors.as(first, "connect", about), 0)
  end
  handover.wait() -- cancelled there, the race closes it
  race.given = true
  return stream.new(race.handle, about)
end

-- What the address of a pipe has room for, less the zero at its end.
local LONGEST <const> = luv.os_uname().sysname == "Linux" and 107 or 103

--- Raise a failure for the path of a pipe that libuv would cut.
---@param name string
---@param path string
function connect.check_pipe(name, path)
  if #path > LONGEST then
    error(errors.new(name, "ENAMETOOLONG",
      ("the path of a pipe has at most %d bytes"):format(LONGEST),
      {path = path}), 0)
  end
end

local function dial_pipe(path)
  connect.check_pipe("connect", path)
  local handle = luv.new_pipe(false)
  local ok, reason = pcall(function()
    core.await(request.all.pipe_connect(handle, path))
    handover.wait()
  end)
  if ok then return stream.new(handle, {path = path}) end
  close(handle)
  error(errors.as(reason, "connect", {path = path}), 0)
end

--- A port as an integer: raises for what is none.
---@param arg integer
---@param name string
---@param port any
---@param least 0|1
---@return integer
function connect.check_port(arg, name, port, least)
  local why = check.not_integer(port)
  if not why and (port < least or port > 65535) then
    why = ("a port is from %d to 65535"):format(least)
  end
  if why then check.fail(arg, name, why) end
  return math.tointeger(port)
end

--- A promise of a stream to a host's port, or to a pipe.
function connect.connect(host, port)
  if type(host) ~= "string" then
    check.fail(1, "connect", check.expected("string", host))
  elseif port == nil then
    return core.spawn(dial_pipe, host)
  end
  port = connect.check_port(2, "connect", port, 1)
  return core.spawn(dial, host, port)
end

return connect
