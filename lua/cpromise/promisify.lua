--- Functions that take a callback, made into functions that return promises.

local check = require "cpromise.check"
local core = require "cpromise.core"

local known = {
  cancel = check.not_callable,
  dispose = check.not_callable,
}

-- A call of such a function, as it waits for its callback.
---@class cpromise.Request
---@field resolve function
---@field reject function
---@field started any  what the function returned
---@field over boolean  it was called back, or cancelled
---@field turn cpromise.Channel?  what is handed over waits for
---@field results table?  those that nobody has got yet

-- It was called back in time: settle by the arguments, an error first.
local function settle(request, err, ...)
  if err then
    request.reject(err)
  else
    request.resolve(...)
  end
end

-- What somebody would have to give back is handed over when no other job is
-- left, as a permit is: so nobody gets it who was cancelled just now.
local function hand_over(request, ...)
  request.results = table.pack(...)
  request.turn:send(true)
end

local function await_turn(request)
  request.turn = core.channel(1)
  request.turn:receive():next(function()
    local results = request.results
    if not results then return end -- cancelled meanwhile
    request.results = nil
    request.resolve(table.unpack(results, 1, results.n))
  end)
end

-- It was called back after all: nobody gets the results. An error is no news:
-- that it was cancelled, mostly.
local function give_back(options, err, ...)
  if not err and options.dispose then options.dispose(...) end
end

-- Tell whoever does the work that nobody waits for it.
local function cancel_work(options, request)
  local results = request.results
  if results then
    request.results = nil
    options.dispose(table.unpack(results, 1, results.n))
  end
  if request.over then return end
  request.over = true
  if options.cancel and request.started ~= nil then
    options.cancel(request.started)
  end
end

local function callback_for(options, request)
  return function(...)
    if request.over then return give_back(options, ...) end
    if request.turn and not (...) then
      hand_over(request, select(2, ...))
    else
      settle(request, ...) -- it may lack memory: change last
    end
    request.over = true
  end
end

local function call(fn, options, ...)
  local request = {over = false}
  local args = table.pack(...)
  args[args.n + 1] = callback_for(options, request)
  local promise = core.new(function(resolve, reject, on_cancel)
    request.resolve, request.reject = resolve, reject
    on_cancel(function() cancel_work(options, request) end)
    if options.dispose then await_turn(request) end
    local started, err = fn(table.unpack(args, 1, args.n + 1))
    request.started = started
    -- luv's way to say that nothing was started: nil and the error
    if not started and err ~= nil then reject(err) end
  end)
  -- called back already, or not started, or it has raised
  if promise:status() ~= "pending" then request.over = true end
  return promise
end

--- For a function whose last argument is a callback: `callback(err, ...)`.
return function(fn, options)
  local why = check.not_callable(fn)
  if why then check.fail(1, "promisify", why) end
  why = check.not_options(options, known)
  if why then check.fail(2, "promisify", why) end
  local kept = { -- as they are now
    cancel = options and options.cancel,
    dispose = options and options.dispose,
  }
  return function(...) return call(fn, kept, ...) end
end
