--- Servers: each connection is a call of its own.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local connect = require "cpromise.uv.connect"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local handles = require "cpromise.uv.handles"
local handover = require "cpromise.uv.handover"
local luv = require "cpromise.uv.luv"
local scope = require "cpromise.scope"
local stream = require "cpromise.uv.stream"

local server = {}

---@class cpromise.uv.ServerState: cpromise.uv.Server
---@field handle userdata
---@field handler fun(stream: cpromise.uv.Stream, scope: cpromise.Scope)
---@field connections table<Promise, true>  that are open
---@field count integer  of them
---@field limit number
---@field held boolean?  one waits to be accepted: they are too many
---@field ended cpromise.Event  none is open, and none will be
---@field closing Promise?
local methods = {}

local Server = {__name = "server", __index = methods}

local function report(self, reason, connection)
  if not self.on_error then return core.report(reason) end
  local ok, err = pcall(self.on_error, reason, connection)
  if not ok then core.report(err) end
end

local function check_ended(self)
  if self.closing and self.count == 0 then self.ended:set() end
end

-- The life of one connection.
local function serve(self, connection)
  local _ <close> = connection
  core.await(scope(function(tasks)
    return self.handler(connection, tasks)
  end))
end

local accept

-- It has ended: there is room for one more.
local function release(self, call)
  self.connections[call] = nil
  self.count = self.count - 1
  if self.held and not self.closing then
    self.held = nil
    accept(self)
  end
  check_ended(self)
end

-- A failure that nobody handles is reported with its traceback.
local function begin(self, connection)
  self.count = self.count + 1
  local call = core.spawn(serve, self, connection)
  self.connections[call] = true
  local ended = call:finally(function() release(self, call) end)
  if not self.on_error then return end
  ended:catch(function(reason)
    if not core.isCancelled(reason) then report(self, reason, connection) end
  end)
end

function accept(self)
  local handle = self.is_pipe and luv.new_pipe(false) or luv.new_tcp()
  local ok, text = luv.accept(self.handle, handle)
  if ok then
    begin(self, stream.new(handle, self.about))
  else
    luv.close(handle)
    report(self, errors.from("accept", text, self.about))
  end
end

-- libuv holds a connection that is not accepted, and takes no other.
local function on_connection(self)
  return function(err)
    if self.closing then return end
    if err then
      report(self, errors.from("listen", err, self.about))
    elseif self.count >= self.limit then
      self.held = true
    else
      accept(self)
    end
  end
end

local function stop_accepting(self)
  if self.closing then return end
  self.closing = handles.close(self.handle)
  check_ended(self)
end

local function wait_for_end(self)
  core.await(self.ended:wait())
  core.await(core.shield(self.closing))
end

--- A promise that is fulfilled when the server has been closed or cancelled,
--- and all connections have ended.
function methods:wait()
  check.self(self, Server, "wait")
  return core.spawn(wait_for_end, self)
end

--- Accept no more: a promise that is fulfilled when all connections have
--- ended.
function methods:close()
  check.self(self, Server, "close")
  stop_accepting(self)
  return self:wait()
end

--- The same, and cancel the connections.
function methods:cancel(reason)
  check.self(self, Server, "cancel")
  stop_accepting(self)
  local cancellation = core.cancellation(reason)
  local open = {}
  for promise in pairs(self.connections) do open[#open + 1] = promise end
  for _, promise in ipairs(open) do promise:cancel(cancellation) end
  return self:wait()
end

--- How many connections are open.
function methods:connected()
  check.self(self, Server, "connected")
  return self.count
end

--- Where it listens: a table of a port, a path of a pipe.
function methods:getsockname()
  check.self(self, Server, "getsockname")
  local name = self.is_pipe and "pipe_getsockname" or "tcp_getsockname"
  return errors.check(name, self.about, luv[name](self.handle))
end

function Server:__close(reason)
  local ended = reason == nil and self:close() or self:cancel(reason)
  closing.wait(ended)
end

local function check_ok(about, ok, text)
  if not ok then error(errors.from("listen", text, about), 0) end
end

-- Bind a new handle and listen. Whoever connects first is served later.
local function open(self, address, port, backlog)
  local handle = self.is_pipe and luv.new_pipe(false) or luv.new_tcp()
  self.handle = handle
  local ok, reason = pcall(function()
    if self.is_pipe then
      check_ok(self.about, luv.pipe_bind(handle, address))
    else
      check_ok(self.about, luv.tcp_bind(handle, address, port))
    end
    check_ok(self.about, luv.listen(handle, backlog, on_connection(self)))
  end)
  if not ok then
    luv.close(handle)
    error(reason, 0)
  end
  if not self.is_pipe then
    self.port = errors.check("listen", self.about,
      luv.tcp_getsockname(handle)).port
  end
end

local function start(self, host, port, backlog)
  local address = host
  if self.is_pipe then
    connect.check_pipe("listen", host)
  else
    local ok, found = pcall(connect.resolve, host, "stream")
    if not ok then error(errors.as(found, "listen", self.about), 0) end
    address = found[1]
  end
  open(self, address, port, backlog)
  return handover.give(self, function() stop_accepting(self) end)
end

local known = {
  backlog = function(v) return check.not_count(v, 1) end,
  limit = function(v) return check.not_count(v, 1) end,
  on_error = check.not_callable,
}

-- `listen(host, port, handler, options)`, or a path without a port.
local function check_arguments(host, port, handler, options)
  if type(host) ~= "string" then
    check.fail(1, "listen", check.expected("string", host))
  end
  local is_pipe = check.callable(port)
  local shift = is_pipe and 1 or 0
  if is_pipe then
    port, handler, options = nil, port, handler
  else
    port = connect.check_port(2, "listen", port, 0)
  end
  local why = check.not_callable(handler)
  if why then check.fail(3 - shift, "listen", why) end
  why = check.not_options(options, known)
  if why then check.fail(4 - shift, "listen", why) end
  return is_pipe, port, handler, options or {}
end

--- A promise of a server.
function server.listen(host, port, handler, options)
  local is_pipe
  is_pipe, port, handler, options =
    check_arguments(host, port, handler, options)
  local self = setmetatable({
    handler = handler,
    is_pipe = is_pipe,
    about = is_pipe and {path = host} or {host = host, port = port},
    limit = options.limit or math.huge,
    on_error = options.on_error,
    connections = {}, count = 0,
    ended = core.event(),
  }, Server)
  return core.spawn(start, self, host, port, options.backlog or 511)
end

return server
