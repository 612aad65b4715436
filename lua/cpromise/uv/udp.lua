--- Datagrams.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local connect = require "cpromise.uv.connect"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local handles = require "cpromise.uv.handles"
local handover = require "cpromise.uv.handover"
local inbox = require "cpromise.uv.inbox"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"
local stream = require "cpromise.uv.stream"

local udp = {}

---@class cpromise.uv.UdpState: cpromise.uv.Udp, cpromise.uv.Inbox
---@field handle userdata
---@field datagram table?  one that nobody has taken yet
---@field failure cpromise.uv.Error?
---@field receiving boolean?
---@field closing Promise?
local methods = {}

local Udp = {__name = "udp socket", __index = methods}

local function stop(self)
  if self.receiving then luv.udp_recv_stop(self.handle) end
  self.receiving = nil
end

local function has_something(self)
  return self.datagram ~= nil or self.failure ~= nil
end

-- The system keeps the next ones, as many as it has room for.
local function on_datagram(self)
  return function(err, data, address, flags)
    if self.closing then return end
    if err then
      self.failure = errors.from("receive", err, self.about)
    elseif address then
      self.datagram = {data, address, flags and flags.partial or false}
    else
      return -- nothing is left to be read for now
    end
    stop(self)
    inbox.notify(self)
  end
end

local function take(self)
  local datagram, failure = self.datagram, self.failure
  self.datagram = nil
  if datagram then return table.unpack(datagram, 1, 3) end
  if not self.closing then self.failure = nil end
  error(failure, 0)
end

local function start(self)
  if has_something(self) or self.receiving then return end
  local ok, text = luv.udp_recv_start(self.handle, self.on_datagram)
  if ok then
    self.receiving = true
  else
    self.failure = errors.from("receive", text, self.about)
    inbox.notify(self)
  end
end

--- A promise of the next datagram, where it came from, and whether it was
--- too long.
function methods:receive()
  check.self(self, Udp, "receive")
  if inbox.is_busy(self) then
    return errors.reject("receive", "EBUSY", "somebody receives already",
      self.about)
  end
  local promise = inbox.wait(self, has_something)
  start(self)
  return promise:next(function() return take(self) end)
end

local function closed(self, call)
  return errors.reject(call, "EBADF", "it is closed", self.about)
end

local function send_to_name(self, data, host, port)
  local address = connect.resolve(host, "dgram")[1]
  core.await(request.all.udp_send(self.handle, data, address, port))
end

-- luv takes addresses only.
local send_by_name = core.async(send_to_name)

--- A promise that is fulfilled when the system has taken the datagram. With
--- no address it goes to the one given to `connect`.
function methods:send(data, host, port)
  check.self(self, Udp, "send")
  local why = stream.not_data(data)
  if why then check.fail(2, "send", why) end
  if host ~= nil then
    if type(host) ~= "string" then
      check.fail(3, "send", check.expected("string", host))
    end
    port = connect.check_port(4, "send", port, 1)
  end
  if self.closing then return closed(self, "send") end
  if host == nil then
    return request.all.udp_send(self.handle, data)
  end
  return send_by_name(self, data, host, port)
end

local function connect_to(self, host, port)
  local about = {host = host, port = port}
  local address = connect.resolve(host, "dgram")[1]
  if self.closing then core.await(closed(self, "connect")) end
  errors.check("connect", about, luv.udp_connect(self.handle, address, port))
end

--- Exchange datagrams with that address only.
function methods:connect(host, port)
  check.self(self, Udp, "connect")
  if type(host) ~= "string" then
    check.fail(2, "connect", check.expected("string", host))
  end
  port = connect.check_port(3, "connect", port, 1)
  if self.closing then return closed(self, "connect") end
  return core.spawn(connect_to, self, host, port)
end

--- The address of this side.
function methods:getsockname()
  check.self(self, Udp, "getsockname")
  return errors.check("getsockname", self.about,
    luv.udp_getsockname(self.handle))
end

--- A promise that is fulfilled when it is closed; who receives gets an error.
function methods:close()
  check.self(self, Udp, "close")
  if not self.closing then
    stop(self)
    self.closing = handles.close_anyhow(self.handle)
    self.datagram = nil
    self.failure = errors.new("receive", "EBADF", "it is closed", self.about)
    inbox.notify(self)
  end
  return core.shield(self.closing)
end

function Udp:__close()
  closing.wait(self:close())
end

local function open(host, port)
  local about = host and {host = host, port = port} or nil
  local address = host and connect.resolve(host, "dgram")[1]
  local handle = luv.new_udp()
  local self = setmetatable({handle = handle, about = about}, Udp)
  self.on_datagram = on_datagram(self)
  if address then
    local ok, text = luv.udp_bind(handle, address, port)
    if not ok then
      luv.close(handle)
      error(errors.from("udp", text, about), 0)
    end
  end
  return handover.give(self, function() self:close() end)
end

--- A promise of a socket, bound to a host's port if one is given.
function udp.udp(host, port)
  if host ~= nil then
    if type(host) ~= "string" then
      check.fail(1, "udp", check.expected("string", host))
    end
    port = connect.check_port(2, "udp", port, 0)
  end
  return core.spawn(open, host, port)
end

return udp
