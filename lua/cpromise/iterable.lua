--- The elements of an iterable, one by one, as the combinators take them.

local iterable = {}

local function sequence(t)
  local n = rawget(t, "n")
  if math.type(n) ~= "integer" or n < 0 then n = #t end
  local i = 0
  return function()
    if i >= n then return false end
    i = i + 1
    return true, t[i]
  end, n
end

local function iterator(f, state, control)
  local function element(...)
    control = ...
    if control == nil then return false end
    if select("#", ...) > 1 then return true, (select(2, ...)) end
    return true, control
  end
  return function()
    return element(f(state, control))
  end
end

--- A function that returns true and the next element, or false at the end;
--- and how many there are, if that is known.
---@param v cpromise.Iterable
---@return fun(): boolean, any
---@return integer?
function iterable.steps(v, state, control)
  if type(v) == "table" then return sequence(v) end
  return iterator(v, state, control)
end

return iterable
