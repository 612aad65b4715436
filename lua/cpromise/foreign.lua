--- Promises of other libraries: theirs as ours, and ours as theirs.

local check = require "cpromise.check"
local core = require "cpromise.core"

local foreign = {}

-- The method of that name, or why there is none.
local function find_method(object, name)
  local ok, method = true, nil
  if type(object) == "table" or type(object) == "userdata" then
    ok, method = pcall(function() return object[name] end)
  end
  if not ok then return nil, method end
  if check.callable(method) then return method end
  return nil, ("%s without a method '%s'"):format(type(object), name)
end

--- A promise that follows a foreign one, by its method of that name (or by a
--- function that is called in its place): with a function to call when it is
--- fulfilled, and one for when it is rejected. The method is called in a job,
--- as that of a thenable: only the first call of either function counts, and
--- an error that it raises rejects, unless one of them was called before.
function foreign.from(object, method)
  if method == nil then
    if core.is(object) then return object end
    method = "next"
  end
  local fn = method
  if type(method) == "string" then
    local why
    fn, why = find_method(object, method)
    if not fn then
      check.fail(1, "from", check.expected("promise", object) ..
        ": " .. tostring(why))
    end
  elseif not check.callable(method) then
    check.fail(2, "from",
      check.expected("name of a method or callable", method))
  end
  return core.resolve {
    next = function(_, resolve, reject) fn(object, resolve, reject) end,
  }
end

--- A table that stands for the promise, for libraries that take only tables
--- for promises. What its methods return are such tables, too.
function foreign.totable(self)
  if not core.is(self) then
    check.fail(1, "totable", check.expected("promise", self))
  end
  local function next_(_, on_fulfilled, on_rejected)
    return foreign.totable(self:next(on_fulfilled, on_rejected))
  end
  return {
    next = next_,
    andThen = next_,
    catch = function(_, on_rejected)
      return foreign.totable(self:catch(on_rejected))
    end,
    finally = function(_, on_finally)
      return foreign.totable(self:finally(on_finally))
    end,
  }
end

core.methods.totable = foreign.totable

return foreign
