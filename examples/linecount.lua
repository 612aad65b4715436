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
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

local SHOWN <const> = 15 -- kinds in the table

local on_terminal = uv.guess_handle(2) == "tty"

local function progress(...)
  if on_terminal then io.stderr:write("\r\27[K", string.format(...)) end
end

-- An iterator over the regular files below a folder. A failure for each
-- folder that can't be looked into is added to a list.
local function files_below(folder, failures)
  local step, walk = uv.walk(folder, {on_error = function(failure)
    if failure.path == folder then error(failure, 0) end
    failures[#failures + 1] = failure
  end})
  return function()
    for path, kind in step, walk do
      if kind == "file" then return path end
    end
  end
end

local function newlines(chunk)
  local n, at = 0, chunk:find("\n", 1, true)
  while at do n, at = n + 1, chunk:find("\n", at + 1, true) end
  return n
end

-- {files, lines, bytes} of one file. One chunk is in memory at a time.
local count = Promise.async(function(path)
  local file <close> = await(uv.open(path))
  local lines, bytes = 0, 0
  for chunk in file:chunks() do
    lines, bytes = lines + newlines(chunk), bytes + #chunk
  end
  return {1, lines, bytes}
end)

local function print_row(kind, sums)
  print(("%-20s %8s %11s %14s"):format(kind, table.unpack(sums)))
end

-- Print what was counted: a list of {path, sums}.
local function report(counted, failures)
  local sums, kinds = {total = {0, 0, 0}}, {}
  local function add(kind, counts)
    if not sums[kind] then
      sums[kind], kinds[#kinds + 1] = {0, 0, 0}, kind
    end
    for i, n in ipairs(counts) do sums[kind][i] = sums[kind][i] + n end
  end
  for _, entry in ipairs(counted) do
    local kind = entry[1]:match "[^/](%.[%w_+-]+)$"
    add(kind and #kind <= 20 and kind or "(none)", entry[2])
    add("total", entry[2])
  end
  table.sort(kinds, function(a, b) return sums[a][3] > sums[b][3] end)
  print_row("kind", {"files", "lines", "bytes"})
  for i = 1, math.min(#kinds, SHOWN) do
    print_row(kinds[i], sums[kinds[i]])
  end
  if #kinds > SHOWN then print(("(%d more)"):format(#kinds - SHOWN)) end
  print_row("total", sums.total)
  table.sort(failures, function(a, b) return a.path < b.path end)
  if #failures > 0 then print "\ncould not be read:" end
  for _, failure in ipairs(failures) do
    print(("  %s: %s: %s"):format((failure.path:gsub("%c", "?")),
      failure.code, failure.message))
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
  local counted, failures = {}, {}
  await(Promise.map(files_below(folder, failures), function(path)
    local read, result = pawait(count(path))
    if read then
      counted[#counted + 1] = {path, result}
    else
      failures[#failures + 1] = result
    end
  end, {concurrency = n, progress = function(done)
    if done % 100 == 0 then progress("%d files", done) end
  end}))
  progress ""
  report(counted, failures)
end)
if not ok then
  io.stderr:write(("linecount: %s: %s: %s\n"):format(
    reason.code, reason.message, reason.path))
end
os.exit(ok, true)
