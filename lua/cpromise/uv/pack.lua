--- Values as a string, for another thread: luv passes but a few values from
--- one Lua state to another, and ends the process for more. This file needs
--- nothing of the library, since it is loaded in those threads, too.

local pack = {}

local formats = {integer = "i8", float = "n", string = "s8"}
local tags = {integer = "i", float = "n", string = "s"}
local of_tag = {i = "i8", n = "n", s = "s8"}

--- Why a value can't be passed, or nil.
---@param v any
---@return string?
function pack.not_passable(v)
  local kind = math.type(v) or type(v)
  if kind == "nil" or kind == "boolean" or formats[kind] then return end
  return ("a %s can't be passed to another thread"):format(kind)
end

local function encode(v)
  if v == nil then return "-" end
  if type(v) == "boolean" then return v and "t" or "f" end
  local kind = math.type(v) or type(v)
  return tags[kind] .. string.pack(formats[kind], v)
end

--- All of them in one string. Raises for what can't be passed.
---@param values table  with `n`
---@return string
function pack.encode(values)
  local parts = {}
  for i = 1, values.n do
    local why = pack.not_passable(values[i])
    if why then error(("value %d: %s"):format(i, why), 0) end
    parts[i] = encode(values[i])
  end
  return table.concat(parts)
end

--- The values again.
---@param text string
---@return table  with `n`
function pack.decode(text)
  local values, at = {n = 0}, 1
  while at <= #text do
    local tag, v = text:sub(at, at), nil
    at = at + 1
    if of_tag[tag] then
      v, at = string.unpack(of_tag[tag], text, at)
    elseif tag ~= "-" then
      v = tag == "t"
    end
    values.n = values.n + 1
    values[values.n] = v
  end
  return values
end

return pack
