--- Functions that take a callback, made into functions that return promises.

local check = require "cpromise.check"
local core = require "cpromise.core"

-- Settle by the arguments of a callback: an error first.
local function callback_for(resolve, reject)
  return function(err, ...)
    if err then
      reject(err)
    else
      resolve(...)
    end
  end
end

--- For a function whose last argument is a callback: `callback(err, ...)`.
return function(fn)
  if not check.callable(fn) then
    check.fail(1, "promisify", check.expected("callable", fn))
  end
  return function(...)
    local args = table.pack(...)
    return core.new(function(resolve, reject)
      args[args.n + 1] = callback_for(resolve, reject)
      local started, err = fn(table.unpack(args, 1, args.n + 1))
      -- luv's way to say that nothing was started: nil and the error
      if not started and err ~= nil then reject(err) end
    end)
  end
end
