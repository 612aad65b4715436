--- What the specs of luv's layer share: they use real files, sockets and
--- processes, and count what is left of them.

local Promise = require "cpromise"
local helper = require "spec.helper"
local luv = require "luv"

require "cpromise.uv" -- has handles of its own, which last

local await, pawait = Promise.await, Promise.pawait

local uv = {}

-- A spec that hangs fails.
local PATIENCE <const> = 60

--- A body for `it` that may await. Its folder is removed afterwards.
---@param body async fun(folder: string)
---@return fun()
function uv.test(body)
  return function()
    local folder = assert(luv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") ..
      "/uv-spec-XXXXXX"))
    local ok, reason = pcall(Promise.run, function()
      return await(Promise.spawn(body, folder):timeout(PATIENCE))
    end)
    os.execute("rm -rf " .. folder)
    if not ok then error(reason, 0) end
  end
end

--- How many descriptors are open.
function uv.descriptors()
  local n = 0
  local scan = assert(luv.fs_scandir "/proc/self/fd")
  for _ in luv.fs_scandir_next, scan do n = n + 1 end
  return n
end

-- Those of the loop's own come and go.
local uncounted = {idle = true, timer = true, check = true}

--- How many handles are open, besides those of the loop.
function uv.handles()
  local n = 0
  luv.walk(function(handle)
    if not luv.is_closing(handle) and
        not uncounted[luv.handle_get_type(handle)] then
      n = n + 1
    end
  end)
  return n
end

-- What is given back late needs a few turns of the loop.
local function comes_back_to(descriptors, handles)
  for _ = 1, 2000 do
    if uv.descriptors() == descriptors and uv.handles() == handles then
      return true
    end
    await(Promise.delay(0.001))
  end
  return false
end

local function check_nothing_left(descriptors, handles)
  if comes_back_to(descriptors, handles) then return end
  error(("%d descriptors and %d handles are left"):format(
    uv.descriptors() - descriptors, uv.handles() - handles), 0)
end

-- Opens nothing, in each of luv's threads.
local function nothing() end

--- Let luv make what it makes once, and what was begun come to its end.
---@async
function uv.settle()
  local stats = {}
  for i = 1, 8 do
    stats[i] = Promise.promisify(luv.fs_stat)(".")
  end
  await(Promise.all(stats))
  luv.new_pipe(false):close()
  local signal, event = luv.new_signal(), luv.new_fs_event()
  signal:start("sigusr2", nothing)
  event:start(".", {}, nothing)
  signal:close()
  event:close()
  for _ = 1, 3 do await(Promise.delay(0.001)) end
end

--- Run a body, and see that no descriptor and no handle is left of it.
---@async
function uv.leaves_nothing(body, ...)
  local descriptors, handles = uv.descriptors(), uv.handles()
  local results = table.pack(pcall(body, ...))
  if not results[1] then error(results[2], 0) end
  check_nothing_left(descriptors, handles)
  return table.unpack(results, 2, results.n)
end

-- Call `fn` when the loop has turned `turns` times, `jobs` jobs later.
local function at_moment(turns, jobs, fn)
  local check = luv.new_check()
  luv.unref(check)
  local function act()
    if not luv.is_closing(check) then check:close() end
    helper.after_jobs(jobs, fn)
  end
  if turns == 0 then
    act()
  else
    check:start(function()
      turns = turns - 1
      if turns == 0 then act() end
    end)
  end
  return check
end

-- Cancel a script at one moment. Returns whether it still ran.
local function cancel_at(turns, jobs, script)
  local told = false
  local call = Promise.spawn(script)
  local check = at_moment(turns, jobs, function()
    told = call:cancel "by the spec"
  end)
  local ok, reason = pawait(call)
  if not luv.is_closing(check) then check:close() end
  if not ok and not Promise.isCancelled(reason) then error(reason, 0) end
  return told
end

--- Run a script as often as it has moments, and cancel it at each; nothing
--- may be left. `afterwards`, if given, looks at what it has done.
---@async
---@return integer  how many moments that was
function uv.cancel_everywhere(script, afterwards)
  await(Promise.spawn(script))
  uv.settle()
  local descriptors, handles = uv.descriptors(), uv.handles()
  local moments = 0
  for jobs = 0, 2 do
    local turns = 0
    while cancel_at(turns, jobs, script) do
      check_nothing_left(descriptors, handles)
      if afterwards then afterwards(turns, jobs) end
      moments, turns = moments + 1, turns + 1
    end
  end
  uv.settle()
  check_nothing_left(descriptors, handles)
  return moments
end

--- A test whose body leaves no descriptor and no handle.
function uv.clean_test(body)
  return uv.test(function(folder)
    uv.settle()
    uv.leaves_nothing(body, folder)
  end)
end

--- The failure that a promise rejects with: asserts its fields.
---@async
function uv.fails(code, call, promise)
  local ok, failure = pawait(promise)
  if ok then error("nothing failed", 2) end
  if type(failure) ~= "table" then error(failure, 0) end
  if failure.code ~= code or failure.call ~= call then
    error(("%s in %s expected, got: %s"):format(code, call,
      tostring(failure)), 2)
  end
  return failure
end

--- Write a file without the library.
function uv.put(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

--- Read one without the library.
function uv.get(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

return uv
