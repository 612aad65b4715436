--- Functions of luv that call back once, as functions that return promises.

local check = require "cpromise.check"
local core = require "cpromise.core"
local errors = require "cpromise.uv.errors"
local functions = require "cpromise.uv.functions"
local handover = require "cpromise.uv.handover"
local luv = require "cpromise.uv.luv"

local request = {}

-- Call a function, protected, with its callback in its place.
local place = {
  [2] = function(fn, callback, a, b)
    return pcall(fn, a, callback, b)
  end,
  [3] = function(fn, callback, a, b)
    return pcall(fn, a, b, callback)
  end,
  [4] = function(fn, callback, a, b, c)
    return pcall(fn, a, b, c, callback)
  end,
  [5] = function(fn, callback, a, b, c, d)
    return pcall(fn, a, b, c, d, callback)
  end,
}

-- What an error tells besides: the arguments that have a name.
local function about(spec, a, b, c, d)
  local fields = {}
  local args = {a, b, c, d}
  for i = 1, 4 do
    local name = spec.tells[i]
    if name then fields[name] = args[i] end
  end
  return fields
end

--- Raise what luv says of wrong arguments where the program called. Lua names
--- a function by the module in which it finds it.
function request.refuse(message)
  message = tostring(message):gsub("'[%w_.]+%.([%w_]+)'", "'%1'", 1)
  check.blame(message)
end

local function passed(ok, ...)
  if not ok then request.refuse((...)) end
  return ...
end

--- Call luv's function as it is.
function request.pass(fn, ...)
  return passed(pcall(fn, ...))
end

--- Whether there is a callback among the arguments. luv takes some earlier
--- than in their place.
function request.has_callback(at, a, b, c, d, e)
  if type(a) == "function" or type(b) == "function" or
      type(c) == "function" or type(d) == "function" or
      type(e) == "function" then
    return true
  end
  local last = select(at, a, b, c, d, e)
  return last ~= nil and check.callable(last)
end

-- Why luv must not get it, or nil: it takes the first bytes of any userdata
-- for a pointer, before it looks what that is. Who forgets an await has one.
local function not_of_luv(v)
  if type(v) ~= "userdata" then return end
  local class = getmetatable(v)
  local kind = type(class) == "table" and rawget(class, "__name")
  if type(kind) == "string" and kind:find "^uv_" then return end
  local why = check.expected("handle of luv", v)
  return core.is(v) and why .. ": await it first" or why
end

--- Raise for an argument that luv must not get.
---@param name string  luv's function
---@param ... any
function request.check_handles(name, ...)
  for i = 1, select("#", ...) do
    local why = not_of_luv((select(i, ...)))
    if why then check.fail(i, name, why) end
  end
end

--- Whether it is a handle that is closed: libuv would end the process.
function request.is_closed(handle)
  if type(handle) ~= "userdata" or not_of_luv(handle) then return false end
  local ok, closing = pcall(luv.is_closing, handle)
  return ok and closing
end

-- Start it. Returns luv's request, or nil and a failure.
local function start(spec, callback, a, b, c, d)
  if spec.handle and request.is_closed(a) then
    return nil, errors.new(spec.name, "EBADF", nil, about(spec, a, b, c, d))
  end
  if spec.data and type(b) == "table" and #b == 0 then b = "" end
  local ok, started, text = spec.place(spec.fn, callback, a, b, c, d)
  if not ok then request.refuse(started) end
  if started == nil then
    return nil, errors.from(spec.name, text, about(spec, a, b, c, d))
  end
  return started
end

-- Ask libuv not to begin it. What runs in a thread already can't be stopped,
-- and some functions return no request.
local function stop(spec, started)
  if type(started) == "userdata" and not spec.lasting then
    pcall(luv.cancel, started)
  end
end

-- Cancelled, it ends at once.
local function leave(spec, a, b, c, d)
  local promise, resolve, reject, on_cancel = core.withResolvers()
  local started, failure = start(spec, function(err, ...)
    if err then
      reject(errors.from(spec.name, err, about(spec, a, b, c, d)))
    else
      resolve(...)
    end
  end, a, b, c, d)
  if failure then
    reject(failure)
  else
    on_cancel(function() stop(spec, started) end)
  end
  return promise
end

-- Cancelled, it ends when luv has called back.
local function wait(spec, a, b, c, d)
  local promise, resolve, reject, on_cancel = core.withResolvers()
  local ended, finish -- once it is cancelled
  local started, failure = start(spec, function(err, ...)
    if finish then
      finish()
    elseif err then
      reject(errors.from(spec.name, err, about(spec, a, b, c, d)))
    else
      resolve(...)
    end
  end, a, b, c, d)
  if failure then
    reject(failure)
    return promise
  end
  on_cancel(function()
    ended, finish = core.withResolvers()
    stop(spec, started)
  end)
  return promise:finally(function() return ended end)
end

local function ignore() end

-- Cancelled, it ends at once; what luv gives later is closed. Returns what
-- `spec.wrap`, if there is one, makes of the results.
local function hand_over(spec, a, b, c, d)
  local promise, resolve, reject = core.withResolvers()
  local results, is_unwanted
  local function give_back(result)
    luv[spec.dispose](result, ignore)
  end
  local started, failure = start(spec, function(err, ...)
    if is_unwanted then
      if not err then give_back((...)) end
    elseif err then
      reject(errors.from(spec.name, err, about(spec, a, b, c, d)))
    else
      results = table.pack(...)
      resolve()
    end
  end, a, b, c, d)
  if failure then return core.reject(failure) end
  return core.spawn(function()
    local ok, reason = pcall(core.await, promise)
    if ok then ok, reason = pcall(handover.wait) end
    if ok and spec.wrap then return spec.wrap(results[1], a) end
    if ok then return table.unpack(results, 1, results.n) end
    is_unwanted = true
    if results then give_back(results[1]) else stop(spec, started) end
    error(reason, 0)
  end)
end

-- The function of that name, which returns promises. With a callback it is
-- luv's.
local function make(name, spec)
  local fn, at = luv[name], spec.at
  local call = spec.dispose and hand_over or spec.waits and wait or leave
  spec = {
    name = name, fn = fn, place = place[at], tells = spec.tells,
    dispose = spec.dispose, lasting = spec.lasting, handle = spec.handle,
    data = spec.data,
  }
  return function(...)
    if spec.handle then request.check_handles(name, ...) end
    if request.has_callback(at, ...) then return request.pass(fn, ...) end
    return call(spec, ...)
  end
end

--- A function that opens something, as one that makes an object of it. Its
--- errors name another call.
---@param name string  luv's
---@param call string
---@param wrap fun(opened: any, first: any): any  gets the first argument, too
---@return fun(...): Promise
function request.opening(name, call, wrap)
  local spec = functions.requests[name]
  spec = {
    name = call, fn = luv[name], place = place[spec.at], tells = spec.tells,
    dispose = spec.dispose, wrap = wrap,
  }
  return function(...) return hand_over(spec, ...) end
end

--- All of them, by name.
---@type table<string, fun(...): Promise>
request.all = {}
for name, spec in pairs(functions.requests) do
  if luv[name] then request.all[name] = make(name, spec) end
end

return request
