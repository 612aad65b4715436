--- Walk a folder and read its files, so many at once: what bench/uv/walk.js
--- does. Prints files, bytes, microseconds and those of processor time.
---
---     walk.lua FOLDER FILES-AT-ONCE

local Promise = require "cpromise"
local luv = require "luv"
local uv = require "cpromise.uv"
local await = Promise.await

local function cpu()
  local used = luv.getrusage()
  return (used.utime.sec + used.stime.sec) * 1e6 +
    used.utime.usec + used.stime.usec
end

local function once(folder, limit)
  local used, start = cpu(), luv.hrtime()
  local files, bytes = 0, 0
  local step, walk = uv.walk(folder)
  await(Promise.map(function()
    for path, kind in step, walk do
      if kind == "file" then return path end
    end
  end, function(path)
    local content = await(uv.read_file(path))
    files, bytes = files + 1, bytes + #content
  end, {concurrency = limit}))
  print(files, bytes, (luv.hrtime() - start) / 1e3, cpu() - used)
end

Promise.run(function()
  for _ = 1, 3 do once(arg[1], tonumber(arg[2])) end
end)
