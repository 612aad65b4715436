--- Streams: TCP connections, pipes and terminals.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local handles = require "cpromise.uv.handles"
local inbox = require "cpromise.uv.inbox"
local luv = require "cpromise.uv.luv"
local reader = require "cpromise.uv.reader"
local request = require "cpromise.uv.request"
local sigpipe = require "cpromise.uv.sigpipe"

local stream = {}

-- What is read ahead, before somebody asks for it.
local HIGH_WATER <const> = 64 * 1024

-- How long a line may be, if nobody says.
local LINE_LIMIT <const> = 1024 * 1024

-- So many writes in a row may end at once.
local EAGER <const> = 16

local DONE <const> = core.resolve()

---@class cpromise.uv.StreamState: cpromise.uv.Stream, cpromise.uv.ReaderState
---@field handle userdata
---@field ahead integer  how much is read ahead
---@field reading boolean?  luv is
---@field writing Promise?  the latest
---@field eager integer  how many writes there were
---@field closing Promise?
local methods = {}

local Stream = {__name = "stream", __index = methods}
reader.extend(Stream, methods)

local function stop_reading(self)
  if self.reading then luv.read_stop(self.handle) end
  self.reading = nil
end

-- Whether nobody waits for more than there is.
local function has_enough(self)
  return not inbox.lacks(self) and self.buffer.size >= self.ahead
end

local function on_read(self)
  return function(err, chunk)
    if self.closing then return end
    if chunk then
      reader.arrive(self, chunk)
      if has_enough(self) then stop_reading(self) end
    else
      stop_reading(self)
      reader.finish(self, err and errors.from("read", err, self.about))
    end
  end
end

function methods:pull()
  if self.reading or self.finished then return end
  local ok, text = luv.read_start(self.handle, self.on_read)
  if ok then
    self.reading = true
  else
    reader.finish(self, errors.from("read", text, self.about))
  end
end

--- A promise that is fulfilled when the other side has ended or failed, or
--- this one is closed. Nothing is taken, and no more is read ahead than else.
function methods:ended()
  check.self(self, Stream, "ended")
  if self.buffer.size < self.ahead then self:pull() end
  return reader.ended(self)
end

local function not_data(v)
  if type(v) == "string" then return end
  if type(v) ~= "table" then return check.expected("string or table", v) end
  for i = 1, #v do
    if type(v[i]) ~= "string" then
      return ("element %d: %s"):format(i, check.expected("string", v[i]))
    end
  end
end

stream.not_data = not_data

-- Why nothing can be written, if so.
local function refusal(self, call)
  if self.closing then
    return errors.new(call, "EBADF", "it is closed", self.about)
  elseif self.writing and self.writing:status() == "pending" then
    return errors.new(call, "EBUSY", "another write is under way", self.about)
  end
end

-- Mostly the system takes all at once, and to be called back costs a turn of
-- the loop. But a writer that is never kept waiting would let nothing else
-- happen; so every so often it has to.
local function write_now(self, data)
  self.eager = self.eager + 1
  if self.eager % EAGER == 0 or data == "" then return data end
  local n, text, code = luv.try_write(self.handle, data)
  if not n then
    if code == "EAGAIN" then return data end
    return nil, errors.from("write", text, self.about)
  end
  if type(data) == "table" then
    local size = 0
    for i = 1, #data do size = size + #data[i] end
    if n == size then return nil end
    data = table.concat(data)
  end
  if n < #data then return data:sub(n + 1) end
end

--- A promise that is fulfilled when the system has taken the data.
function methods:write(data)
  check.self(self, Stream, "write")
  local why = not_data(data)
  if why then check.fail(2, "write", why) end
  local refused = refusal(self, "write")
  if refused then return core.reject(refused) end
  if type(data) == "table" and #data == 0 then data = "" end
  local rest, failure = write_now(self, data)
  if failure then return core.reject(failure) end
  if not rest then return DONE end
  self.writing = request.all.write(self.handle, rest)
  return self.writing
end

--- A promise that is fulfilled when the other side can see the end.
function methods:shutdown()
  check.self(self, Stream, "shutdown")
  local refused = refusal(self, "shutdown")
  if refused then return core.reject(refused) end
  self.writing = request.all.shutdown(self.handle)
  return self.writing
end

--- A promise that is fulfilled when it is closed; who reads gets an error.
function methods:close()
  check.self(self, Stream, "close")
  if not self.closing then
    self.reading = nil
    self.closing = handles.close_anyhow(self.handle)
    reader.close(self)
  end
  return core.shield(self.closing)
end

function Stream:__close()
  closing.wait(self:close())
end

local function name_of(self, call)
  local kind = luv.handle_get_type(self.handle)
  local fn = luv[("%s_%s"):format(kind, call)]
  if not fn then return nil end
  return errors.check(call, self.about, fn(self.handle))
end

--- The address of the other side: a table of a connection, a path of a pipe.
function methods:getpeername()
  check.self(self, Stream, "getpeername")
  return name_of(self, "getpeername")
end

--- The address of this side.
function methods:getsockname()
  check.self(self, Stream, "getsockname")
  return name_of(self, "getsockname")
end

--- Whether it has been closed on this side.
function methods:is_closed()
  check.self(self, Stream, "is_closed")
  return self.closing ~= nil
end

--- A stream on a handle of luv.
---@param handle userdata
---@param about? table  what its errors tell: host and port, or path
---@return cpromise.uv.Stream
function stream.new(handle, about)
  local kind = luv.handle_get_type(handle)
  sigpipe.catch()
  local self = reader.init({
    handle = handle, about = about, eager = 0,
    -- What is typed ahead may be for another program.
    ahead = kind == "tty" and 1 or HIGH_WATER,
  }, LINE_LIMIT)
  self.on_read = on_read(self)
  if kind == "tcp" then luv.tcp_nodelay(handle, true) end
  return setmetatable(self, Stream)
end

-- A handle for a descriptor, by what it is.
local openers = {
  tty = function(fd) return luv.new_tty(fd, fd == 0) end,
  pipe = function(fd)
    local handle = luv.new_pipe(false)
    return handle, luv.pipe_open(handle, fd)
  end,
  tcp = function(fd)
    local handle = luv.new_tcp()
    return handle, luv.tcp_open(handle, fd)
  end,
}

local function of_descriptor(fd)
  local kind = luv.guess_handle(fd)
  local open = openers[kind]
  if not open then
    error(errors.new("stream", "EINVAL",
      ("descriptor %d is no stream: %s"):format(fd, kind)), 0)
  end
  local handle, ok, text = open(fd)
  if not handle or text then
    if handle then luv.close(handle) end
    error(errors.from("stream", handle and text or ok), 0)
  end
  return stream.new(handle)
end

local stream_kinds = {tcp = true, pipe = true, tty = true}

--- A stream on a handle of luv, or on a descriptor: 0 is standard input.
function stream.of(v)
  if math.type(v) == "integer" then return of_descriptor(v) end
  request.check_handles("stream", v)
  local ok, kind = pcall(luv.handle_get_type, v)
  if not ok or not stream_kinds[kind] then
    check.fail(1, "stream",
      check.expected("handle of a stream, or integer", v))
  end
  return stream.new(v)
end

--- Whether it is one.
function stream.is(v)
  return getmetatable(v) == Stream
end

-- Copy till the end.
local function copy(from, to)
  local total = 0
  for chunk in from:chunks() do
    core.await(to:write(chunk))
    total = total + #chunk
  end
  return total
end

local function has_method(v, name)
  local ok, method = pcall(function() return v[name] end)
  return ok and check.callable(method)
end

--- A promise of how many bytes were read from one and written to the other,
--- when the first has come to its end.
function stream.pipe_through(from, to)
  if not has_method(from, "chunks") then
    check.fail(1, "pipe_through", check.expected("stream or file", from))
  elseif not has_method(to, "write") then
    check.fail(2, "pipe_through", check.expected("stream or file", to))
  end
  return core.spawn(copy, from, to)
end

return stream
