-- Count the files, lines and bytes below a folder, by kind of file.
--
--   lua5.4 examples/linecount.lua [-n FILES] [FOLDER]
--
--   -n FILES  how many files are open at once (32)
--   FOLDER    by default /usr/include, or else the folder of this project
--
-- Only regular files are opened, and links are not followed. What can't be
-- read is listed at the end. Needs luv, which reads in other threads.

local Promise = require "cpromise"
local uv = require "luv"
local await = Promise.await

local CHUNK <const> = 64 * 1024
local SHOWN <const> = 15 -- kinds in the table

local scandir = Promise.promisify(uv.fs_scandir)
local lstat = Promise.promisify(uv.fs_lstat)
local open = Promise.promisify(uv.fs_open)
local read = Promise.promisify(uv.fs_read)
local close = Promise.promisify(uv.fs_close)

local on_terminal = uv.guess_handle(2) == "tty"

local function progress(...)
  if on_terminal then io.stderr:write("\r\27[K", string.format(...)) end
end

local visit

-- Append the paths of the regular files below a folder to `files`, and
-- {path, reason} to `failures` for what can't be looked into.
local function walk(folder, files, failures)
  local parts = {}
  for name, kind in uv.fs_scandir_next, await(scandir(folder)) do
    local path = folder .. "/" .. name
    if kind == "file" then
      files[#files + 1] = path
    else
      parts[#parts + 1] = visit(path, kind, files, failures)
    end
  end
  progress("%d files found", #files)
  await(Promise.all(parts))
end

-- The same for one path; sub-folders are walked side by side.
visit = Promise.async(function(path, kind, files, failures)
  local ok, reason = pcall(function()
    if not kind or kind == "unknown" then -- the file system doesn't tell
      kind = await(lstat(path)).type
    end
    if kind == "file" then
      files[#files + 1] = path
    elseif kind == "directory" then
      walk(path, files, failures)
    end
  end)
  if not ok then table.insert(failures, {path, reason}) end
end)

-- Call `fn` with each item, `n` calls in progress at a time: what `pcall`
-- returned for each, in order.
local function pool(items, n, fn)
  local outcomes, workers, at = {}, {}, 0
  local work = Promise.async(function()
    while at < #items do
      at = at + 1
      local i = at
      if i % 100 == 0 then progress("%d of %d files", i, #items) end
      outcomes[i] = {pcall(fn, items[i])}
    end
  end)
  for i = 1, math.min(n, #items) do workers[i] = work() end
  await(Promise.all(workers))
  return outcomes
end

local function newlines(chunk)
  local n, at = 0, chunk:find("\n", 1, true)
  while at do n, at = n + 1, chunk:find("\n", at + 1, true) end
  return n
end

-- {files, lines, bytes} of one file. One chunk is in memory at a time.
local function count(path)
  local fd = await(open(path, "r", 0))
  local _ <close> = setmetatable({}, {
    __close = function() await(close(fd)) end,
  })
  local lines, bytes = 0, 0
  repeat
    local chunk = await(read(fd, CHUNK, -1))
    lines, bytes = lines + newlines(chunk), bytes + #chunk
  until chunk == ""
  return {1, lines, bytes}
end

local function print_row(kind, sums)
  print(("%-20s %8s %11s %14s"):format(kind, table.unpack(sums)))
end

local function report(files, outcomes, failures)
  local sums, kinds = {total = {0, 0, 0}}, {}
  local function add(kind, counted)
    if not sums[kind] then
      sums[kind], kinds[#kinds + 1] = {0, 0, 0}, kind
    end
    for i, n in ipairs(counted) do sums[kind][i] = sums[kind][i] + n end
  end
  for i, outcome in ipairs(outcomes) do
    local ok, result = table.unpack(outcome)
    if ok then
      local kind = files[i]:match "[^/](%.[%w_+-]+)$"
      add(kind and #kind <= 20 and kind or "(none)", result)
      add("total", result)
    else
      table.insert(failures, {files[i], result})
    end
  end
  table.sort(kinds, function(a, b) return sums[a][3] > sums[b][3] end)
  print_row("kind", {"files", "lines", "bytes"})
  for i = 1, math.min(#kinds, SHOWN) do
    print_row(kinds[i], sums[kinds[i]])
  end
  if #kinds > SHOWN then print(("(%d more)"):format(#kinds - SHOWN)) end
  print_row("total", sums.total)
  table.sort(failures, function(a, b) return a[1] < b[1] end)
  if #failures > 0 then print "\ncould not be read:" end
  for _, failure in ipairs(failures) do
    local path, reason = failure[1]:gsub("%c", "?"), tostring(failure[2])
    print(("  %s: %s"):format(path, reason:match "^%u+: [^:]+" or reason))
  end
end

local n, folder = 32, arg[1]
if folder == "-n" then
  n, folder = math.tointeger(tonumber(arg[2] or "")), arg[3]
end
if not n or n < 1 then
  io.stderr:write "usage: linecount.lua [-n FILES] [FOLDER]\n"
  os.exit(2)
end
if not folder then
  folder = uv.fs_stat "/usr/include" and "/usr/include"
    or (arg[0]:match "^.*/" or "./") .. ".."
end

local ok, reason = pcall(Promise.run, function()
  local files, failures = {}, {}
  walk(folder, files, failures)
  local outcomes = pool(files, n, count)
  progress ""
  report(files, outcomes, failures)
end)
if not ok then io.stderr:write("linecount: ", tostring(reason), "\n") end
os.exit(ok, true)
