--- Folders: listed, walked, made and removed.

local check = require "cpromise.check"
local closing = require "cpromise.uv.closing"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local file = require "cpromise.uv.file"
local handover = require "cpromise.uv.handover"
local luv = require "cpromise.uv.luv"
local request = require "cpromise.uv.request"

local fs = request.all

local tree = {}

-- So many folders are being read while another one is walked.
local AHEAD <const> = 8

local function join(folder, name)
  return folder:sub(-1) == "/" and folder .. name or folder .. "/" .. name
end

-- Some file systems don't tell what an entry is.
local function kind_of(path, kind)
  if kind ~= "unknown" then return kind end
  local ok, stat = core.pawait(fs.fs_lstat(path))
  return ok and stat.type or "unknown"
end

-- What luv found, all at once: if one stops at the last entry, libuv never
-- frees that.
local function list(found)
  local entries = {next = 1}
  for name, kind in luv.fs_scandir_next, found do
    entries[#entries + 1] = {name = name, kind = kind or "unknown"}
  end
  return entries
end

-- A promise of the entries of a folder, for `next_entry`.
local function scan(path)
  return fs.fs_scandir(path):next(list)
end

local function next_entry(entries)
  local entry = entries[entries.next]
  entries.next = entries.next + 1
  if entry then return entry.name, entry.kind end
end

--- An iterator over the names in a folder, and what they are. It awaits.
function tree.scandir(path)
  file.check_path(1, "scandir", path)
  local scanning = scan(path)
  local entries
  return function()
    if not entries then
      check.can_await()
      entries = core.await(scanning)
    end
    local name, kind = next_entry(entries)
    if not name then return nil end
    return name, kind_of(join(path, name), kind)
  end
end

---@class cpromise.uv.Walk
---@field stack {path: string, depth: integer, scan: Promise?}[]  folders that
---  are still to be listed, the next one last
---@field folder table?  the one that is being listed
---@field entries table?  of it
---@field options cpromise.uv.WalkOptions
local Walk = {}
Walk.__index = Walk

-- Begin to list the next few folders.
local function look_ahead(walk)
  local stack = walk.stack
  for i = #stack, math.max(1, #stack - AHEAD + 1), -1 do
    stack[i].scan = stack[i].scan or scan(stack[i].path)
  end
end

-- Go on to the next folder. Returns false if there is none.
local function enter(walk)
  look_ahead(walk)
  local folder = table.remove(walk.stack)
  if not folder then return false end
  check.can_await()
  local ok, entries = core.pawait(folder.scan)
  if ok then
    walk.folder, walk.entries = folder, entries
  elseif walk.options.on_error then
    walk.options.on_error(entries)
  else
    error(entries, 0)
  end
  return true
end

-- The folders in one are listed in their order: so the last is pushed first.
local function leave(walk)
  local found = walk.folder
  walk.folder, walk.entries = nil, nil
  for i = #found, 1, -1 do
    walk.stack[#walk.stack + 1] = found[i]
  end
end

-- The next entry, or nil at the end.
local function step(walk)
  while true do
    while not walk.entries do
      if not enter(walk) then return nil end
    end
    local name, kind = next_entry(walk.entries)
    if name then
      local folder = walk.folder
      local path, depth = join(folder.path, name), folder.depth + 1
      kind = kind_of(path, kind)
      if kind == "directory" and depth < walk.depth then
        folder[#folder + 1] = {path = path, depth = depth}
      end
      return path, kind, depth
    end
    leave(walk)
  end
end

local known = {
  depth = function(v) return check.not_count(v, 1) end,
  on_error = check.not_callable,
}

--- An iterator over all that is below a folder: path, kind and depth. It
--- awaits, and doesn't follow links.
function tree.walk(path, options)
  file.check_path(1, "walk", path)
  local why = check.not_options(options, known)
  if why then check.fail(2, "walk", why) end
  options = options or {}
  local walk = setmetatable({
    stack = {{path = path, depth = 0}},
    depth = options.depth or math.huge,
    options = options,
  }, Walk)
  return step, walk
end

local function is_directory(path)
  local ok, stat = core.pawait(fs.fs_stat(path))
  return ok and stat.type == "directory"
end

local function make(path, mode)
  local ok, failure = core.pawait(fs.fs_mkdir(path, mode))
  if ok then return end
  local parent = path:match "^(.*[^/])/+[^/]+/*$"
  if errors.is(failure, "ENOENT") and parent then
    make(parent, mode)
    ok, failure = core.pawait(fs.fs_mkdir(path, mode))
    if ok then return end
  end
  if not errors.is(failure, "EEXIST") or not is_directory(path) then
    error(failure, 0)
  end
end

--- A promise that is fulfilled when the folder is there, with those above it.
function tree.mkdir_p(path, mode)
  file.check_path(1, "mkdir_p", path)
  file.check_mode(2, "mkdir_p", mode)
  return core.spawn(make, path, mode or 511) -- less what the umask takes
end

-- Somebody else may have removed it.
local function unless_gone(promise)
  local ok, failure = core.pawait(promise)
  if not ok and not errors.is(failure, "ENOENT") then error(failure, 0) end
end

local function remove_folder(path)
  local ok, entries = core.pawait(scan(path))
  if not ok then
    if errors.is(entries, "ENOENT") then return end
    error(entries, 0)
  end
  for name, kind in next_entry, entries do
    local inner = join(path, name)
    if kind_of(inner, kind) == "directory" then
      remove_folder(inner)
    else
      unless_gone(fs.fs_unlink(inner))
    end
  end
  unless_gone(fs.fs_rmdir(path))
end

-- A link is removed, and not what it points to.
local function remove(path)
  if core.await(fs.fs_lstat(path)).type == "directory" then
    remove_folder(path)
  else
    core.await(fs.fs_unlink(path))
  end
end

--- A promise that is fulfilled when the path is gone, with all below it.
function tree.remove_tree(path)
  file.check_path(1, "remove_tree", path)
  return core.spawn(remove, path)
end

local folder_methods = {}

local Folder = {__name = "temporary directory", __index = folder_methods}

--- A promise that is fulfilled when it has been removed.
function folder_methods:close()
  check.self(self, Folder, "close")
  if not self.closing then
    self.closing = core.spawn(unless_gone, tree.remove_tree(self.path))
  end
  return core.shield(self.closing)
end

function Folder:__close()
  closing.wait(self:close())
end

local function make_temporary(prefix)
  local making = fs.fs_mkdtemp(prefix .. "XXXXXX")
  local ok, path = pcall(core.await, core.shield(making))
  if not ok then -- cancelled, but it will be there
    local made, late = core.pawait(making)
    if made then core.await(fs.fs_rmdir(late)) end
    error(path, 0)
  end
  return handover.give(setmetatable({path = path}, Folder), Folder.__close)
end

--- A promise of a new folder, which is removed when it is closed.
function tree.temporary_directory(prefix)
  if prefix ~= nil then
    file.check_path(1, "temporary_directory", prefix)
  end
  return core.spawn(make_temporary,
    prefix or join(luv.os_tmpdir() or "/tmp", "lua-"))
end

return tree
