--- Functions that take a callback, made into functions that return promises.

local check = require "cpromise.check"
local core = require "cpromise.core"

local known = {
  cancel = check.not_callable,
  dispose = check.not_callable,
}

-- A call of such a function, as it waits for its callback.
---@class cpromise.Request
---@field promise Promise
---@field resolve function
---@field reject function
---@field started any  what the function returned
---@field over boolean  it was called back, or cancelled

-- It was called back in time: settle by the arguments, an error first.
local function settle(request, err, ...)
  if err then
    request.reject(err)
  else
    request.resolve(...)
  end
end

-- It was called back after all: nobody gets the results. An error is no news:
-- that it was cancelled, mostly.
local function give_back(options, err, ...)
  if not err and options.dispose then options.dispose(...) end
end

-- Tell whoever does the work that nobody waits for it.
local function cancel_work(options, request)
  if request.over then return end
  request.over = true
  if options.cancel and request.started ~= nil then
    options.cancel(request.started)
  end
end

local function callback_for(options, request)
  return function(...)
    if request.over then return give_back(options, ...) end
    request.over = true
    settle(request, ...)
  end
end

local function call(fn, options, ...)
  local request = {over = false}
  local on_cancel
  request.promise, request.resolve, request.reject, on_cancel =
    core.withResolvers()
  on_cancel(function() cancel_work(options, request) end)
  local args = table.pack(...)
  args[args.n + 1] = callback_for(options, request)
  local ok, started, err = pcall(fn, table.unpack(args, 1, args.n + 1))
  request.started = started
  -- nil and an error: luv's way to say that nothing was started
  if not ok then err = started end
  if not request.over and (not ok or not started and err ~= nil) then
    request.over = true
    request.reject(err)
  end
  return request.promise
end

--- For a function whose last argument is a callback: `callback(err, ...)`.
return function(fn, options)
  if not check.callable(fn) then
    check.fail(1, "promisify", check.expected("callable", fn))
  end
  local why = check.not_options(options, known)
  if why then check.fail(2, "promisify", why) end
  options = {
    cancel = options and options.cancel,
    dispose = options and options.dispose,
  }
  return function(...) return call(fn, options, ...) end
end
