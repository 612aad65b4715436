--- Argument errors of the functions written in Lua, in the form of Lua's own.

local core = require "cpromise.core"

---@class cpromise.check
---@field module table  the module itself: no value for any of its functions
local check = {}

-- A host may leave out the debug library.
local getmetatable = debug and debug.getmetatable or getmetatable
local getinfo = debug and debug.getinfo or function() end

-- Where the files of this library are: "@lua/cpromise/".
local own = getinfo(1, "S")
own = own and own.source:match "^(.*)check%.lua$"

-- The level, for the caller of this, of the innermost Lua function that is
-- not the library's; and what is known of how it called the library.
local function calling_level()
  local level, call = 3, nil
  local info = getinfo(level, "nSl")
  while info do
    local is_own = own and info.source:sub(1, #own) == own
    if not is_own and info.currentline >= 0 then return level - 1, call end
    if is_own or call and not call.name and info.what == "C" then
      call = info -- the library's, or core.public, which called that
    end
    level = level + 1
    info = getinfo(level, "nSl")
  end
  return 3, call
end

--- Raise at the line of the program that called the library.
---@param message string
function check.blame(message)
  error(message, (calling_level()))
end

-- Raise for the public function that was called. As Lua does, it doesn't
-- count the object of a method. `remedy` is added for one that was not called
-- as a method.
local function raise(arg, name, message, remedy)
  local level, call = calling_level()
  if call and call.namewhat == "method" then
    arg = arg - 1
  elseif remedy then
    message = message .. remedy
  end
  local form = arg == 0 and "calling '%s' on bad self (%s)" or
    ("bad argument #%d to '%%s' (%%s)"):format(arg)
  error(form:format(name, message), level)
end

--- Raise `bad argument` at the line that called the caller of this.
---@param arg integer  which argument, counting the object of a method
---@param name string  the function's name
---@param message string
function check.fail(arg, name, message)
  raise(arg, name, message)
end

--- Why `v` can't be an argument of the type `expected`: for `fail`.
---@param expected string
---@param v any
---@return string
function check.expected(expected, v)
  if v == check.module then
    return "it is the module itself: use '.', not ':'"
  end
  local mt = getmetatable(v)
  local name = type(mt) == "table" and rawget(mt, "__name")
  return ("%s expected, got %s"):format(
    expected, type(name) == "string" and name or type(v))
end

--- Whether `v` is a function or has `__call`.
---@param v any
---@return boolean
function check.callable(v)
  if type(v) == "function" then return true end
  if v == check.module then return false end -- called with ':'
  local mt = getmetatable(v)
  return type(mt) == "table" and rawget(mt, "__call") ~= nil
end

--- Why `v` can't have elements, or nil if it is a table or callable.
---@param v any
---@return string?
function check.not_iterable(v)
  if type(v) == "table" and v ~= check.module or check.callable(v) then
    return
  end
  local why = check.expected("iterable", v)
  return core.is(v) and why .. ": give promises in a table" or why
end

-- What to do if `self` of a method is a wrong value.
local function remedy_for(self)
  return self ~= check.module and ": use ':', not '.'" or nil
end

--- Raise unless argument 1 is an object with that metatable.
---@param self any
---@param class table  with a `__name`
---@param name string  the method's name
---@param other table?  another metatable that does
function check.self(self, class, name, other)
  local mt = getmetatable(self)
  if mt ~= class and (mt == nil or mt ~= other) then
    raise(1, name, check.expected(class.__name, self), remedy_for(self))
  end
end

--- Raise unless argument 1 is an object of the core of that name.
---@param self any
---@param class string
---@param name string  the method's name
function check.object(self, class, name)
  local mt = type(self) == "userdata" and getmetatable(self)
  if type(mt) ~= "table" or mt.__name ~= class then
    raise(1, name, check.expected(class, self), remedy_for(self))
  end
end

--- Why `v` is no time in seconds, or nil if it is one.
---@param v any
---@return string?
function check.not_seconds(v)
  if type(v) ~= "number" then return check.expected("number", v) end
  if v ~= v then return "not a number (NaN)" end
  if v < 0 then return "must not be negative" end
end

--- Why `v` is no number of things, or nil if it is: an integer from `least`
--- on, or math.huge.
---@param v any
---@param least 0|1
---@return string?
function check.not_count(v, least)
  if type(v) ~= "number" then return check.expected("number", v) end
  if v ~= v then return "not a number (NaN)" end
  if v < least then
    return least == 0 and "must not be negative" or "must be at least 1"
  end
  if v ~= math.huge and not math.tointeger(v) then
    return "number has no integer representation"
  end
end

--- Why `v` is no integer, or nil if it is one; 1.0 is.
---@param v any
---@return string?
function check.not_integer(v)
  if type(v) ~= "number" then return check.expected("integer", v) end
  if not math.tointeger(v) then
    return "number has no integer representation"
  end
end

--- Why `v` is not callable, or nil if it is.
---@param v any
---@return string?
function check.not_callable(v)
  if check.callable(v) then return end
  local why = check.expected("callable", v)
  return core.is(v) and why .. ": give the function, not its call" or why
end

--- Why `v` is no table of options, or nil if it is one, or nil itself.
---@param v any
---@param known table<string, fun(v: any): string?>  why a value is wrong
---@return string?
function check.not_options(v, known)
  if v == nil then return end
  if type(v) ~= "table" then return check.expected("table", v) end
  for name in next, v do
    if not known[name] then return ("unknown option '%s'"):format(name) end
  end
  for name, why_wrong in pairs(known) do
    local value = v[name] -- may be inherited
    local why = value ~= nil and why_wrong(value)
    if why then return ("option '%s': %s"):format(name, why) end
  end
end

--- Raise, at the program's line, why one can't await here; if one can, do
--- nothing.
function check.can_await()
  if not core.canAwait() then core.await() end
end

return check
