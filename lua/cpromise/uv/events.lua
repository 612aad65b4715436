--- Functions of luv that call back again and again, as something to await and
--- to iterate.
---
--- Events that nobody has taken yet are kept, each kind once: a timer that
--- has fired three times meanwhile has fired. What loses nothing while it is
--- stopped (sockets, for instance) runs only while somebody waits.

local check = require "cpromise.check"
local errors = require "cpromise.uv.errors"
local functions = require "cpromise.uv.functions"
local inbox = require "cpromise.uv.inbox"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"

local events = {}

---@class cpromise.uv.EventsState: cpromise.uv.Events, cpromise.uv.Inbox
---@field queue table[]  packed values, oldest first
---@field kinds table<string, table>  those that are in the queue
---@field first integer
---@field last integer
---@field stopped boolean?
---@field start (fun(): any, string?)?  of what runs while somebody waits
---@field running boolean?  it does
---@field halt fun()  stop it
---@field on_stop fun()?  what is to be done besides, once
---@field about table?  what an error tells
local methods = {}

local Events = {__name = "events", __index = methods}

-- Two events of the same kind can't be told apart, or the later one says all.
local function kind_of(values)
  local parts = {}
  for i = 1, values.n do
    local v = values[i]
    if type(v) == "table" then
      local names = {}
      for name, on in pairs(v) do
        if on == true then names[#names + 1] = tostring(name) end
      end
      table.sort(names)
      v = table.concat(names, "+")
    end
    parts[i] = tostring(v)
  end
  return table.concat(parts, "\0")
end

local function push(self, ...)
  local values = table.pack(...)
  local kind = kind_of(values)
  local known = self.kinds[kind]
  if known then
    for i = 1, values.n do known[i] = values[i] end
    return
  end
  values.kind = kind
  self.kinds[kind] = values
  self.last = self.last + 1
  self.queue[self.last] = values
end

local function has_something(self)
  return self.last >= self.first or self.stopped
end

-- The oldest event, or nothing when it has been stopped.
local function take(self)
  local values = self.queue[self.first]
  if not values then return end
  self.queue[self.first] = nil
  self.kinds[values.kind] = nil
  self.first = self.first + 1
  if values.failure then error(values.failure, 0) end
  return table.unpack(values, 1, values.n)
end

-- What runs while somebody waits: nobody does any more.
local function pause(self)
  if self.running then self.halt() end
  self.running = nil
end

local function arrive(self, ...)
  push(self, ...)
  pause(self)
  inbox.notify(self)
end

-- A failure is raised by who takes it.
local function fail(self, text)
  local failure = errors.from(self.call, text, self.about)
  push(self, failure.code)
  self.queue[self.last].failure = failure
  pause(self)
  inbox.notify(self)
end

-- One who waited and was cancelled has left it running.
local function resume(self)
  if not self.start or self.running or has_something(self) then return end
  local ok, text = self.start()
  if ok then self.running = true else fail(self, text) end
end

local function wait(self)
  local promise = inbox.wait(self, has_something)
  resume(self)
  return promise
end

--- A promise of the next event's values; of none when it has been stopped.
function methods:receive()
  check.self(self, Events, "receive")
  if inbox.is_busy(self) then
    return errors.reject("receive", "EBUSY", "somebody waits already")
  end
  return wait(self):next(function() return take(self) end)
end

-- A generic `for` ends at nil: an event without values is true.
function Events:__call()
  if not has_something(self) then
    if inbox.is_busy(self) then
      error(errors.new("receive", "EBUSY", "somebody waits already"), 0)
    end
    check.can_await()
    inbox.await(self, has_something, resume)
  end
  if self.last < self.first then return nil end
  local values = table.pack(take(self))
  if values[1] == nil then return true end
  return table.unpack(values, 1, values.n)
end

--- No more events; who waits gets none. Those that nobody has taken are kept.
function methods:stop()
  check.self(self, Events, "stop")
  if self.stopped then return end
  self.stopped = true
  self.halt()
  if self.on_stop then self.on_stop() end
  inbox.notify(self)
end

function Events:__close()
  self:stop()
end

--- Something to await and to iterate.
---@param call string  what an error names
---@return cpromise.uv.EventsState
function events.new(call)
  return setmetatable({
    call = call, queue = {}, kinds = {}, first = 1, last = 0,
    halt = function() end,
  }, Events)
end

--- What it calls when something happens.
---@param spec cpromise.uv.EventFunction
---@return fun(...)
function events.callback(self, spec)
  local function happen(...)
    if spec.ends and (...) == nil then
      self:stop()
    else
      arrive(self, ...)
    end
  end
  if not spec.error then
    return function(...)
      if not self.stopped then happen(...) end
    end
  end
  return function(err, ...)
    if self.stopped then return end
    if err then fail(self, err) else happen(...) end
  end
end

-- Call luv's function with the callback in its place.
local function start_luv(fn, at, callback, a, b, c)
  if at == 1 then return pcall(fn, callback) end
  if at == 2 then return pcall(fn, a, callback) end
  if at == 3 then return pcall(fn, a, b, callback) end
  return pcall(fn, a, b, c, callback)
end

-- What ends it, wherever the handle is by then.
local function halt_of(name, handle)
  local stop = luv[name]
  return function()
    if stop and not luv.is_closing(handle) then stop(handle) end
  end
end

-- Begin to listen to a handle: raises what luv raises, and its failures.
local function begin(name, spec, a, b, c)
  local self = events.new(name)
  local callback = events.callback(self, spec)
  self.about = spec.path and {path = b} or nil
  local function start()
    if request.is_closed(a) then return nil, "EBADF" end
    local ok, started, text =
      start_luv(luv[name], spec.at, callback, a, b, c)
    if not ok then request.refuse(started) end
    return started, text
  end
  errors.check(name, self.about, start())
  self.halt = halt_of(spec.stop, a)
  if spec.pull then
    self.halt()
    self.start = start
  end
  return self
end

--- All of them, by name. With a callback they are luv's.
---@type table<string, fun(...): cpromise.uv.Events>
events.all = {}
for name, spec in pairs(functions.events) do
  local fn = luv[name]
  if fn then
    events.all[name] = function(...)
      request.check_handles(name, ...)
      if request.has_callback(spec.at, ...) then
        return request.pass(fn, ...)
      end
      return begin(name, spec, ...)
    end
  end
end

return events
