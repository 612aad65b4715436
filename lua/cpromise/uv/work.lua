--- Lua functions that run in luv's threads, while the loop goes on.
---
--- Each thread has a Lua state of its own. An error in it would be printed,
--- and the callback would get nothing; so it is caught there.

local check = require "cpromise.check"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local luv = require "cpromise.uv.luv"
local pack = require "cpromise.uv.pack"
local request = require "cpromise.uv.request"

local work = {}

-- What runs in the thread. It can have no upvalues. Returns whether the
-- function has succeeded; its results, packed, or the error and its
-- traceback; and whether it is the first in that thread.
local function run(path, cpath, code, name, arguments)
  package.path, package.cpath = path, cpath
  local traceback
  local is_first = not package.loaded["cpromise.uv.pack"]
  local ok, result = xpcall(function()
    local codec = require "cpromise.uv.pack"
    local values = codec.decode(arguments)
    local fn = assert(load(code, name, "b"))
    return codec.encode(table.pack(fn(table.unpack(values, 1, values.n))))
  end, function(err)
    local message = tostring(err)
    traceback = debug.traceback(message, 2)
    return message
  end)
  return ok, result, traceback, is_first
end

-- Where luv has no descriptors for the state of a thread, which is made when
-- that is first used, it ends the process.
local THREADS <const> = tonumber(os.getenv "UV_THREADPOOL_SIZE") or 4
local PIPES <const> = 3 -- those of one state, counted as pipes

local states_made = 0
local under_way = 0

-- Whether there are descriptors for the states that may have to be made: nil
-- and a failure if not.
local function has_room()
  local states = math.min(under_way + 1, THREADS - states_made)
  local fds = {}
  local ok, text = true, nil
  for _ = 1, states * PIPES do
    local pipe
    pipe, text = luv.pipe()
    if not pipe then
      ok = nil
      break
    end
    fds[#fds + 1], fds[#fds + 2] = pipe.read, pipe.write
  end
  for _, fd in ipairs(fds) do luv.fs_close(fd) end
  return ok, text
end

-- Why a function can't run in another state, or nil.
local function not_portable(fn)
  if type(fn) ~= "function" then return check.expected("function", fn) end
  if debug.getinfo(fn, "S").what == "C" then
    return "a function written in C can't be passed to another thread"
  end
  local i = 1
  local name = debug.getupvalue(fn, i)
  while name do
    if name ~= "_ENV" then
      return ("upvalue '%s' can't be passed to another thread"):format(name)
    end
    i = i + 1
    name = debug.getupvalue(fn, i)
  end
end

-- Its results, as they come back from the thread.
local function settle(resolve, reject, ok, result, traceback)
  if ok then
    local values = pack.decode(result)
    resolve(table.unpack(values, 1, values.n))
  elseif result then
    reject(errors.new("work", "ERROR", result, {traceback = traceback}))
  else
    reject(errors.new("work", "ERROR", "the thread gave no result"))
  end
end

---@class cpromise.uv.WorkState: cpromise.uv.Work
---@field code string
---@field name string
local methods = {}

local Work = {__name = "work", __index = methods}

local function queue(self, name, shift, ...)
  local values = table.pack(...)
  for i = 1, values.n do
    local why = pack.not_passable(values[i])
    if why then check.fail(i + shift, name, why) end
  end
  local promise, resolve, reject = core.withResolvers()
  local ok, text = has_room()
  if not ok then return core.reject(errors.from("work", text)) end
  local context = luv.new_work(run, function(succeeded, result, traceback,
      is_first)
    under_way = under_way - 1
    if is_first then states_made = states_made + 1 end
    settle(resolve, reject, succeeded, result, traceback)
  end)
  ok, text = luv.queue_work(context, package.path, package.cpath, self.code,
    self.name, pack.encode(values))
  if ok then
    under_way = under_way + 1
  else
    reject(errors.from("work", text))
  end
  return promise
end

--- A promise of the results of the function with these arguments.
function methods:queue(...)
  check.self(self, Work, "queue")
  return queue(self, "queue", 1, ...)
end

--- luv's `new_work`, without the callback: what `queue_work` takes.
function work.new_work(fn, after)
  if after ~= nil then return request.pass(luv.new_work, fn, after) end
  local why = not_portable(fn)
  if why then check.fail(1, "new_work", why) end
  return setmetatable({
    code = string.dump(fn), name = "=work",
  }, Work)
end

--- luv's `queue_work`.
function work.queue_work(context, ...)
  if getmetatable(context) ~= Work then
    return request.pass(luv.queue_work, context, ...)
  end
  return queue(context, "queue_work", 1, ...)
end

--- A promise of `fn(...)`, called in another thread.
function work.work(fn, ...)
  local why = not_portable(fn)
  if why then check.fail(1, "work", why) end
  return queue(work.new_work(fn), "work", 1, ...)
end

return work
