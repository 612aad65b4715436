--- Reasons as text, for people: strings as they are, tables by their fields.
--- Nothing here runs code of the program but `__tostring`, protected.

local core = require "cpromise.core"

local show = {}

-- So much is shown of a reason.
local LEVELS = 4 -- of tables in one another
local FIELDS = 20 -- of one table
local LENGTH = 1000 -- of all fields together, about
local STRING = 200 -- of a string in a table
-- Of larger tables so many keys are looked at.
local KEYS = 1000

local UNSHOWN = "(a reason that can't be shown)"

-- A host may leave out the debug library.
local getmetatable = debug and debug.getmetatable or getmetatable

local function escape(char)
  return ("\\x%02X"):format(char:byte())
end

--- The text with what could command a terminal made visible.
---@param text string
---@return string
function show.harmless(text)
  text = text:gsub("[\0-\8\11-\31\127]", escape)
  if utf8.len(text) then
    return (text:gsub("\xC2([\x80-\x9F])", escape))
  end
  return (text:gsub("[\x80-\xFF]", escape))
end

local function quoted(s)
  if #s > STRING then s = s:sub(1, STRING) .. "..." end
  s = s:gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("\t", "\\t")
  return '"' .. show.harmless(s) .. '"'
end

-- By `__tostring`, or as Lua shows what has no fields.
local function by_name(v)
  local ok, text = pcall(tostring, v)
  return ok and show.harmless(text) or UNSHOWN
end

local ranks = {number = 1, string = 2}

local function before(a, b)
  local rank_a, rank_b = ranks[type(a)] or 3, ranks[type(b)] or 3
  if rank_a ~= rank_b then return rank_a < rank_b end
  return rank_a < 3 and a < b
end

-- The keys that do not follow 1, 2, ..., sorted; of a large table some.
local function keys_of(t, length)
  local keys, n = {}, 0
  for key in next, t do
    n = n + 1
    if n > KEYS then break end
    if math.type(key) ~= "integer" or key < 1 or key > length then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, before)
  return keys
end

-- What is being written: its parts, their length, and the tables around.
local Writer = {}
Writer.__index = Writer

function Writer:add(text)
  self.parts[#self.parts + 1] = text
  self.length = self.length + #text
end

function Writer:value(v)
  if type(v) == "string" then
    self:add(quoted(v))
  elseif type(v) == "table" and not core.hasText(v) then
    self:table(v)
  else
    self:add(by_name(v))
  end
end

function Writer:key(key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then
    self:add(key .. " = ")
  else
    self:add "["
    self:value(key)
    self:add "] = "
  end
end

-- Fields until enough is shown; whether all were.
function Writer:fields(t)
  local n = 0
  local function is_enough()
    n = n + 1
    if n > 1 then self:add ", " end
    return n > FIELDS or self.length > LENGTH
  end
  local length = rawlen(t)
  for i = 1, length do
    if is_enough() then return self:add "..." end
    self:value(rawget(t, i))
  end
  for _, key in ipairs(keys_of(t, length)) do
    if is_enough() then return self:add "..." end
    self:key(key)
    self:value(rawget(t, key))
  end
end

function Writer:table(t)
  local mt = getmetatable(t)
  local name = type(mt) == "table" and rawget(mt, "__name")
  if type(name) == "string" then self:add(show.harmless(name) .. " ") end
  if self.around[t] then return self:add "{cycle}" end
  if self.level == LEVELS then return self:add "{...}" end
  self.around[t], self.level = true, self.level + 1
  self:add "{"
  self:fields(t)
  self:add "}"
  self.around[t], self.level = nil, self.level - 1
end

local function as_table(t)
  local writer =
    setmetatable({parts = {}, length = 0, level = 0, around = {}}, Writer)
  writer:table(t)
  return table.concat(writer.parts)
end

-- Errors of aggregates that may still be shown, and how deep they may be in
-- one another: else the text could double at each level.
local ERRORS, DEPTH = 100, 4

local text_of

local function as_aggregate(v, left, depth)
  if depth > DEPTH then return "AggregateError: ..." end
  local lines = {"AggregateError: " .. show.harmless(rawget(v, "message"))}
  local errors = rawget(v, "errors")
  for i = 1, rawget(errors, "n") do
    left.n = left.n - 1
    if left.n < 0 then
      lines[#lines + 1] = "  ..."
      break
    end
    local text = text_of(rawget(errors, i), left, depth + 1)
    lines[#lines + 1] = ("  %d: %s"):format(i, (text:gsub("\n", "\n  ")))
  end
  return table.concat(lines, "\n")
end

function text_of(reason, left, depth)
  if core.isAggregate(reason) then
    local ok, text = pcall(as_aggregate, reason, left, depth)
    return ok and text or UNSHOWN -- the program has changed its fields
  elseif type(reason) ~= "table" or core.hasText(reason) then
    return by_name(reason)
  end
  return as_table(reason)
end

--- A reason as text.
---@param reason any
---@return string
function show.reason(reason)
  return text_of(reason, {n = ERRORS}, 1)
end

--- A reason as text, with its traceback: how the core reports it.
---@param reason any
---@param traceback string?
---@return string
function show.report(reason, traceback)
  local text = show.reason(reason)
  if traceback then text = text .. "\n" .. show.harmless(traceback) end
  return text
end

core.setShow(show.report)

return show
