--- Files read and written as a whole.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local file = require "cpromise.uv.file"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"
local slurp = require "cpromise.uv.slurp"
local stream = require "cpromise.uv.stream"

local fs = request.all

local whole = {}

local MODE <const> = 438 -- rw-rw-rw-, less what the umask takes

-- An error of a descriptor names the path.
local function naming(call, path, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  error(errors.as(results[2], call, {path = path}), 0)
end

--- A promise of what is in the file.
function whole.read_file(path)
  file.check_path(1, "read_file", path)
  return slurp(path)
end

local function write_plainly(path, data, options, flags)
  local opened <close> =
    file.descriptor(path, flags, options.mode or MODE)
  file.write_all(opened.fd, data, -1)
  if options.sync then core.await(fs.fs_fsync(opened.fd)) end
end

-- Permissions of the file that is to be replaced, if there is one. A device
-- would become a file that the disk is filled with.
local function mode_of(path)
  local ok, stat = core.pawait(fs.fs_stat(path))
  if not ok then return nil end
  if stat.type == "directory" then error(errors.new("stat", "EISDIR"), 0) end
  if stat.type ~= "file" then
    error(errors.new("stat", "EINVAL",
      ("can't be replaced: it is no file (%s)"):format(stat.type)), 0)
  end
  return stat.mode & 4095
end

-- What a link points to is replaced, and not the link, even if nothing is
-- there yet.
local function target_of(path)
  local ok, target = core.pawait(fs.fs_realpath(path))
  if ok then return target end
  if not errors.is(target, "ENOENT") then error(target, 0) end
  ok, target = core.pawait(fs.fs_readlink(path))
  if not ok then return path end
  if target:sub(1, 1) ~= "/" then
    target = (path:match "^.*/" or "") .. target
  end
  return target_of(target)
end

-- A file beside another one, which is gone at the end of the block unless it
-- was renamed.
local Temporary = {}

local function open_temporary(path, mode)
  local name = ("%s.%x%x.tmp"):format(path, luv.hrtime(), math.random(0))
  local opening = fs.fs_open(name, "wx", mode)
  local self = setmetatable({path = name, opening = opening}, Temporary)
  return self
end

-- Until it is known whether the file was made, it can't be removed.
local function remove(self)
  local opened, fd = core.pawait(core.shield(self.opening))
  if not opened then return end
  core.await(fs.fs_close(fd))
  if not self.renamed then core.pawait(fs.fs_unlink(self.path)) end
end

function Temporary:__close()
  closing.wait(core.spawn(remove, self))
end

local function write_atomically(path, data, options)
  path = target_of(path)
  local old = mode_of(path)
  local mode = options.mode or old
  local temporary <close> = open_temporary(path, mode or MODE)
  local fd = core.await(core.shield(temporary.opening))
  if mode then core.await(fs.fs_fchmod(fd, mode)) end
  file.write_all(fd, data, -1)
  core.await(fs.fs_fsync(fd)) -- or a crash could leave an empty file
  core.await(fs.fs_rename(temporary.path, path))
  temporary.renamed = true
end

local function not_boolean(v)
  if type(v) ~= "boolean" then return check.expected("boolean", v) end
end

local known = {
  atomic = not_boolean, sync = not_boolean, mode = check.not_integer,
}
local known_to_append = {sync = not_boolean, mode = check.not_integer}

local function check_arguments(name, path, data, options, options_known)
  file.check_path(1, name, path)
  local why = stream.not_data(data)
  if why then check.fail(2, name, why) end
  why = check.not_options(options, options_known)
  if why then check.fail(3, name, why) end
end

--- A promise that is fulfilled when the file has this content.
function whole.write_file(path, data, options)
  check_arguments("write_file", path, data, options, known)
  options = options or {}
  local write = options.atomic and write_atomically or write_plainly
  return core.spawn(naming, "write_file", path, write, path, data, options,
    "w")
end

--- A promise that is fulfilled when the data stands at the end of the file.
function whole.append_file(path, data, options)
  check_arguments("append_file", path, data, options, known_to_append)
  return core.spawn(naming, "append_file", path, write_plainly, path, data,
    options or {}, "a")
end

return whole
