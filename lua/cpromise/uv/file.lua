--- Files: opened, read and written in portions.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local inbox = require "cpromise.uv.inbox"
local luv = require "cpromise.uv.luv"
local reader = require "cpromise.uv.reader"
local request = require "cpromise.uv.request"
local stream = require "cpromise.uv.stream"

local fs = request.all

local file = {}

local CHUNK <const> = 64 * 1024
local MODE <const> = 438 -- rw-rw-rw-, less what the umask takes

---@class cpromise.uv.FileState: cpromise.uv.File, cpromise.uv.ReaderState
---@field fd integer?  until it is closed
---@field reading boolean?  a read is under way
---@field on_idle fun()?  called when it is over
---@field writing Promise?  the latest
---@field closing Promise?
local methods = {}

local File = {__name = "file", __index = methods}
reader.extend(File, methods)

local function on_read(self)
  return function(err, chunk)
    self.reading = nil
    if self.on_idle then
      self.on_idle()
    elseif err then
      reader.finish(self, errors.from("read", err, self.about))
    elseif chunk == "" then
      reader.finish(self)
    else
      reader.arrive(self, chunk)
      if inbox.lacks(self) then self:pull() end
    end
  end
end

-- It is not cancelled with who reads: what comes is for the next one.
function methods:pull()
  if self.reading or self.finished then return end
  local started, text = luv.fs_read(self.fd, CHUNK, -1, self.on_read)
  if started then
    self.reading = true
  else
    reader.finish(self, errors.from("read", text, self.about))
  end
end

-- An operation on the descriptor, whose errors name the path.
local function operate(self, call, fn, ...)
  if self.closing then
    return errors.reject(call, "EBADF", "it is closed", self.about)
  end
  return fn(self.fd, ...):catch(function(reason)
    error(errors.as(reason, call, self.about), 0)
  end)
end

--- Write all, also where the system takes it in parts.
---@async
---@param fd integer
---@param data string|string[]
---@param offset integer  -1: where the file is
function file.write_all(fd, data, offset)
  if type(data) == "table" then data = table.concat(data) end
  local from = 1
  repeat
    local rest = from == 1 and data or data:sub(from)
    local at = offset < 0 and -1 or offset + from - 1
    local written = core.await(fs.fs_write(fd, rest, at))
    from = from + written
  until from > #data
end

local write_call = core.async(file.write_all)

local function check_data(name, data)
  local why = stream.not_data(data)
  if why then check.fail(2, name, why) end
end

local function check_offset(name, arg, offset)
  local why = check.not_integer(offset)
  if not why and offset < 0 then why = "must not be negative" end
  if why then check.fail(arg, name, why) end
end

-- One writer at a time.
local function write(self, call, data, offset)
  if self.writing and self.writing:status() == "pending" then
    return errors.reject(call, "EBUSY", "another write is under way",
      self.about)
  end
  self.writing = operate(self, call, write_call, data, offset)
  return self.writing
end

--- A promise that is fulfilled when the system has taken the data.
function methods:write(data)
  check.self(self, File, "write")
  check_data("write", data)
  return write(self, "write", data, -1)
end

--- The same, at an offset.
function methods:write_at(data, offset)
  check.self(self, File, "write_at")
  check_data("write_at", data)
  check_offset("write_at", 3, offset)
  return write(self, "write_at", data, offset)
end

--- A promise of up to `n` bytes at an offset; nil at the end.
function methods:read_at(n, offset)
  check.self(self, File, "read_at")
  local why = check.not_count(n, 1)
  if why then check.fail(2, "read_at", why) end
  check_offset("read_at", 3, offset)
  return operate(self, "read_at", fs.fs_read, n, offset)
    :next(function(text) return text ~= "" and text or nil end)
end

--- A promise of what luv's `fs_fstat` gives.
function methods:stat()
  check.self(self, File, "stat")
  return operate(self, "stat", fs.fs_fstat)
end

--- A promise that is fulfilled when what was written is on the disk.
function methods:sync()
  check.self(self, File, "sync")
  return operate(self, "sync", fs.fs_fsync):next(function() end)
end

--- Make it that long.
function methods:truncate(size)
  check.self(self, File, "truncate")
  check_offset("truncate", 2, size)
  return operate(self, "truncate", fs.fs_ftruncate, size)
    :next(function() end)
end

--- The descriptor; nil when it is closed.
function methods:fileno()
  check.self(self, File, "fileno")
  return self.fd
end

-- What is under way uses the descriptor: another file may get its number.
local function close_when_idle(self)
  if self.reading then
    local idle, resolve = core.withResolvers()
    self.on_idle = resolve
    core.await(idle)
  end
  if self.writing then core.pawait(core.shield(self.writing)) end
  local fd = self.fd
  self.fd = nil
  core.await(fs.fs_close(fd))
end

local function close(self)
  if self.reading or self.writing then
    return core.spawn(close_when_idle, self)
  end
  local fd = self.fd
  self.fd = nil
  return fs.fs_close(fd)
end

--- A promise that is fulfilled when it is closed.
function methods:close()
  check.self(self, File, "close")
  if not self.closing then
    self.closing = close(self)
    reader.close(self)
  end
  return core.shield(self.closing)
end

function File:__close()
  closing.wait(self:close())
end

local function new(fd, path)
  local self = reader.init({fd = fd, about = {path = path}}, math.huge)
  self.on_read = on_read(self)
  return setmetatable(self, File)
end

local open = request.opening("fs_open", "open", new)

--- Raise for what is no path.
---@param arg integer
---@param name string
---@param path any
function file.check_path(arg, name, path)
  if type(path) ~= "string" then
    check.fail(arg, name, check.expected("string", path))
  elseif path:find "\0" then
    check.fail(arg, name, "a path has no zero in it")
  end
end

--- Raise for what are no permissions.
function file.check_mode(arg, name, mode)
  local why = mode ~= nil and check.not_integer(mode)
  if why then check.fail(arg, name, why) end
end

local modes = {}
for mode in ("r r+ w w+ wx wx+ a a+ ax ax+"):gmatch "%S+" do
  modes[mode] = true
end

--- A promise of a file. The mode is as that of `io.open`, "b" has no effect;
--- "x" says that it must not exist.
function file.open(path, mode, permissions)
  file.check_path(1, "open", path)
  if mode ~= nil and type(mode) ~= "string" then
    check.fail(2, "open", check.expected("string", mode))
  end
  mode = (mode or "r"):gsub("b", "")
  if not modes[mode] then
    check.fail(2, "open", ("invalid mode '%s'"):format(mode))
  end
  file.check_mode(3, "open", permissions)
  return open(path, mode, permissions or MODE)
end

-- For `local _ <close> =`: the descriptor is closed at the end of the block.
local Descriptor = {}

function Descriptor:__close()
  closing.wait(fs.fs_close(self.fd))
end

--- In an async call: open a file for a block.
---@async
---@return table  with `fd`
function file.descriptor(path, flags, mode)
  return setmetatable({fd = core.await(fs.fs_open(path, flags, mode))},
    Descriptor)
end

return file
