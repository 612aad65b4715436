--- All that is in a file, by luv's callbacks: promises for each step would
--- double what it takes.

local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local luv = require "cpromise.uv.luv"

local CHUNK <const> = 64 * 1024

---@class cpromise.uv.Slurp
---@field path string
---@field fd integer
---@field size integer  that the file says it has
---@field parts string[]
---@field resolve fun(text: string)
---@field reject fun(failure: cpromise.uv.Error)
---@field finish fun()?  set when it is cancelled: called at the end

local function fail(self, err)
  self.reject(errors.from("read_file", err, {path = self.path}))
end

local function close(self, err)
  luv.fs_close(self.fd, function()
    if self.finish then
      self.finish()
    elseif err then
      fail(self, err)
    else
      self.resolve(#self.parts == 1 and self.parts[1] or
        table.concat(self.parts))
    end
  end)
end

local read

-- One read gets a file as large as it says. Those of the kernel say that they
-- are empty, others grow: so it reads until nothing comes.
local function on_read(self, err, chunk)
  if err or self.finish then return close(self, err) end
  if chunk ~= "" then self.parts[#self.parts + 1] = chunk end
  if chunk == "" or #self.parts == 1 and #chunk == self.size then
    return close(self)
  end
  read(self, CHUNK)
end

function read(self, n)
  luv.fs_read(self.fd, n, -1, function(...) on_read(self, ...) end)
end

local function on_stat(self, err, stat)
  if err or self.finish then return close(self, err) end
  self.size = stat.size
  read(self, self.size > 0 and self.size + 1 or CHUNK)
end

local function on_open(self, err, fd)
  if err then return fail(self, err) end
  self.fd = fd
  if self.finish then return close(self) end
  luv.fs_fstat(fd, function(...) on_stat(self, ...) end)
end

local function ignore() end

--- A promise of what is in the file. Cancelled, it ends when that is closed;
--- or at once while it is being opened, which may take for ever.
---@param path string
---@return Promise
return function(path)
  local promise, resolve, reject, on_cancel = core.withResolvers()
  local self = {path = path, resolve = resolve, reject = reject, parts = {}}
  local opening = luv.fs_open(path, "r", 0, function(...)
    on_open(self, ...)
  end)
  local ended
  on_cancel(function()
    if self.fd then
      ended, self.finish = core.withResolvers()
    else
      self.finish = ignore
      luv.cancel(opening)
    end
  end)
  return promise:finally(function() return ended end)
end
