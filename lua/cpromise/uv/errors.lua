--- Failures of luv as tables: luv gives strings, some of them bare names.

local core = require "cpromise.core"
local messages = require "cpromise.uv.messages"

local errors = {}

local Failure = {__name = "uv error"}

-- What the failure is about: "path", "path -> new path" or "host:port".
local function subject(failure)
  local parts = {}
  if failure.path then parts[1] = failure.path end
  if failure.host then parts[1] = failure.host end
  if not parts[1] then return "" end
  if failure.new_path then parts[2] = " -> " .. failure.new_path end
  if failure.port then parts[2] = ":" .. failure.port end
  return ": " .. table.concat(parts)
end

function Failure:__tostring()
  return ("%s: %s%s (%s)"):format(
    self.code, self.message, subject(self), self.call)
end

--- A failure of a call.
---@param call string  the function's name
---@param code string  as "ENOENT"
---@param message? string  what luv says of the code, by default
---@param about? table  further fields: `path`, `host`, ...
---@return cpromise.uv.Error
function errors.new(call, code, message, about)
  local failure = {code = code, call = call}
  failure.message = message or messages[code] or "unknown error"
  for name, value in pairs(about or {}) do failure[name] = value end
  return setmetatable(failure, Failure)
end

--- The same, from what luv gives: "ENOENT: no such file or directory: name",
--- or the code alone, or words without one.
---@param call string
---@param text any
---@param about? table
---@return cpromise.uv.Error
function errors.from(call, text, about)
  text = tostring(text)
  local code = text:match "^(%u[%u%d_]+)$" or text:match "^(%u[%u%d_]+):"
  if code then return errors.new(call, code, nil, about) end
  return errors.new(call, "UNKNOWN", text, about)
end

--- The same failure as one of another call; any other reason as it is.
---@param reason any
---@param call string
---@param about? table
---@return any
function errors.as(reason, call, about)
  if not errors.is(reason) then return reason end
  return errors.new(call, reason.code, reason.message, about)
end

--- A promise rejected with a failure.
---@return Promise
function errors.reject(...)
  return core.reject(errors.new(...))
end

--- The results of a call of luv that takes no callback: raise a failure
--- where luv returns nil and the error.
function errors.check(call, about, ...)
  local result, text = ...
  if not result and text then error(errors.from(call, text, about), 0) end
  return ...
end

--- Whether it is a failure with that code, or with any.
---@param v any
---@param code? string
---@return boolean
function errors.is(v, code)
  return getmetatable(v) == Failure and (code == nil or v.code == code)
end

return errors
