--- What is read in portions: the methods that streams and files share.
---
--- Their owner has a buffer, and a function that gets more into it, which is
--- called only while somebody reads. What has arrived is taken in the turn of
--- who reads; so a read that is cancelled loses no byte.

local buffer = require "cpromise.uv.buffer"
local check = require "cpromise.check"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local inbox = require "cpromise.uv.inbox"

local reader = {}

---@class cpromise.uv.ReaderState: cpromise.uv.Inbox
---@field buffer cpromise.uv.Buffer
---@field pull fun(self)  get more, unless that is under way
---@field finished boolean?  no more will come
---@field failure cpromise.uv.Error?  why no more will come
---@field end_event cpromise.Event?  if somebody asked for it
---@field about table?  what an error tells
---@field limit number  how long a line may be
local methods = {}

--- Make a table one that can be read.
---@generic T: table
---@param self T
---@param limit number
---@return T
function reader.init(self, limit)
  self.buffer, self.limit = buffer.new(), limit
  return self
end

--- A promise that is fulfilled when no more will come.
---@return Promise
function reader.ended(self)
  self.end_event = self.end_event or core.event()
  if self.finished then self.end_event:set() end
  return self.end_event:wait()
end

--- Bytes have arrived.
function reader.arrive(self, chunk)
  self.buffer:push(chunk)
  inbox.notify(self)
end

--- No more will come: for a reason, if it is a failure.
---@param failure cpromise.uv.Error?
function reader.finish(self, failure)
  self.finished = true
  self.failure = self.failure or failure
  if self.end_event then self.end_event:set() end
  inbox.notify(self)
end

--- It is closed: what has been read ahead is gone.
function reader.close(self)
  self.buffer = buffer.new()
  self.failure = errors.new("read", "EBADF", "it is closed", self.about)
  self.finished = true
  if self.end_event then self.end_event:set() end
  inbox.notify(self)
end

local function busy(self, call)
  return errors.new(call, "EBUSY", "another read is under way", self.about)
end

-- A promise that is fulfilled when `ready(self)` holds.
local function want(self, ready)
  local promise = inbox.wait(self, ready)
  if not ready(self) then self:pull() end
  return promise
end

-- A promise of what is taken then.
local function receive(self, call, ready, take)
  if inbox.is_busy(self) then return core.reject(busy(self, call)) end
  return want(self, ready):next(function() return take(self) end)
end

-- The same, at once if possible, in an iterator.
local function receive_now(self, ready, take)
  if inbox.is_busy(self) then error(busy(self, "read"), 0) end
  if not ready(self) then
    check.can_await()
    inbox.await(self, ready, self.pull)
  end
  return take(self)
end

-- Nothing is left.
local function at_end(self)
  if self.failure then error(self.failure, 0) end
end

local function has_some(self)
  return self.buffer.size > 0 or self.finished
end

local function take_some(self)
  if self.buffer.size > 0 then return self.buffer:take_chunk() end
  return at_end(self)
end

-- The same, no more than `n` bytes.
local function at_most(n)
  return function(self)
    if self.buffer.size > 0 then return self.buffer:take_some(n) end
    return at_end(self)
  end
end

local function take_all(self)
  if self.failure then error(self.failure, 0) end
  return self.buffer:take(self.buffer.size)
end

-- Whether `n` bytes are there, and how to take them.
local function portion(n)
  return function(self)
    return self.buffer.size >= n or self.finished
  end, function(self)
    if self.buffer.size > 0 then return self.buffer:take(n) end
    return at_end(self)
  end
end

-- The same for what stands before a delimiter.
local function before(delimiter, limit)
  local search, found = {}, nil
  local function ready(self)
    found = found or self.buffer:find(delimiter, search)
    return found or self.finished or self.buffer.size > limit
  end
  local function take(self)
    if (found or self.buffer.size) > limit then
      error(errors.new("read_until", "EMSGSIZE",
        ("no delimiter within %d bytes"):format(limit), self.about), 0)
    elseif found then
      local text = self.buffer:take(found)
      self.buffer:take(#delimiter)
      return text, true
    elseif self.buffer.size > 0 and not self.failure then
      return self.buffer:take(self.buffer.size), false
    end
    return at_end(self)
  end
  return ready, take
end

local function check_count(v, arg, name)
  local why = check.not_count(v, 1)
  if why then check.fail(arg, name, why) end
end

-- Raise for what is no limit; the default for none.
local function check_limit(self, v, arg, name)
  if v == nil then return self.limit end
  check_count(v, arg, name)
  return v
end

--- A promise of the next bytes: `n`, or as many as come; nil at the end.
function methods:read(n)
  if n == nil then return receive(self, "read", has_some, take_some) end
  check_count(n, 2, "read")
  return receive(self, "read", portion(n))
end

--- A promise of the next bytes, as many as have come, but no more than `n`.
function methods:read_some(n)
  check_count(n, 2, "read_some")
  return receive(self, "read_some", has_some, at_most(n))
end

--- A promise of what stands before the delimiter, and whether it was there.
function methods:read_until(delimiter, limit)
  if type(delimiter) ~= "string" then
    check.fail(2, "read_until", check.expected("string", delimiter))
  elseif delimiter == "" then
    check.fail(2, "read_until", "must not be empty")
  end
  limit = check_limit(self, limit, 3, "read_until")
  return receive(self, "read_until", before(delimiter, limit))
end

--- A promise of all that comes.
function methods:read_all(limit)
  if limit ~= nil then check_count(limit, 2, "read_all") end
  limit = limit or math.huge
  return receive(self, "read_all", function()
    return self.finished or self.buffer.size > limit
  end, function()
    if self.buffer.size > limit then
      error(errors.new("read_all", "EMSGSIZE",
        ("more than %d bytes"):format(limit), self.about), 0)
    end
    return take_all(self)
  end)
end

--- An iterator over lines, without their ends.
function methods:lines(limit)
  limit = check_limit(self, limit, 2, "lines")
  return function()
    if not inbox.is_busy(self) then
      local line = self.buffer:take_before "\n"
      if line then return line end
    end
    return (receive_now(self, before("\n", limit)))
  end
end

--- An iterator over the bytes as they come, or `n` at a time.
function methods:chunks(n)
  local ready, take = has_some, take_some
  if n ~= nil then
    check_count(n, 2, "chunks")
    ready, take = portion(n)
  end
  return function() return receive_now(self, ready, take) end
end

--- Give these methods to a class.
---@param class table  the metatable of its objects, with `__name`
---@param class_methods table  what they have
function reader.extend(class, class_methods)
  for name, method in pairs(methods) do
    class_methods[name] = function(self, ...)
      check.self(self, class, name)
      return (method(self, ...)) -- no tail call: an error tells the name
    end
  end
end

return reader
