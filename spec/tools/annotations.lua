--- Reads definitions for the Lua language server (types/library): a list of
--- blocks, with their types as trees. What it can't read is an error with
--- file and line.
---
--- The files keep a form that is a little stricter than the server's:
---
---     --- Text, in Markdown.
---     ---@param name? type  text after two blanks
---     ---@return type name # text after a sign
---     function object.name(name) end
---
---     -- A section -------------------------------------------------------
---     -- A note below it.

local annotations = {}

-- Types ---------------------------------------------------------------------
-- A tree has a `kind`:
--   name      name, arguments (types, of a generic class)
--   literal   text
--   union     types
--   optional  type
--   array     type
--   table     fields: {key (a name or a type), type}
--   fun       is_async, params: {name, is_optional, type}, returns: the same

local Scanner = {}
Scanner.__index = Scanner

function Scanner:fail(why)
  error(("%s: %s: '%s'"):format(self.place, why, self.text:sub(self.at)), 0)
end

-- The pattern's capture, if the text goes on with that; blanks before it are
-- skipped.
function Scanner:take(pattern)
  local captured, after =
    self.text:match("^%s*(" .. pattern .. ")()", self.at)
  if after then self.at = after end
  return captured
end

function Scanner:need(pattern, what)
  return self:take(pattern) or self:fail(what .. " expected")
end

local NAME <const> = "[%a_][%w_.*]*"

-- `name: type`, `name?: type`, `...`, or, of results, a type alone.
function Scanner:parameter(is_result)
  local start = self.at
  local name = self:take "%.%.%." or self:take "[%a_][%w_]*"
  local is_optional = name and self:take "%?" ~= nil
  if name and self:take ":" then
    return {name = name, is_optional = is_optional, type = self:type()}
  elseif name and not is_result then
    return {name = name, is_optional = is_optional}
  end
  self.at = start
  return {type = self:type()}
end

function Scanner:fun(is_async)
  local tree = {kind = "fun", is_async = is_async, params = {}, returns = {}}
  self:need("%(", "'('")
  if not self:take "%)" then
    repeat
      table.insert(tree.params, self:parameter(false))
    until not self:take ","
    self:need("%)", "')'")
  end
  if self:take ":" then
    repeat
      table.insert(tree.returns, self:parameter(true))
    until not self:take ","
  end
  return tree
end

function Scanner:table()
  local tree = {kind = "table", fields = {}}
  if self:take "}" then return tree end
  repeat
    local field = {}
    if self:take "%[" then
      field.key = self:type()
      self:need("%]", "']'")
    else
      field.key = self:need("[%a_][%w_]*", "a field")
    end
    self:need(":", "':'")
    field.type = self:type()
    table.insert(tree.fields, field)
  until not self:take ","
  self:need("}", "'}'")
  return tree
end

function Scanner:name(name)
  local tree = {kind = "name", name = name, arguments = {}}
  if self:take "<" then
    repeat
      table.insert(tree.arguments, self:type())
    until not self:take ","
    self:need(">", "'>'")
  end
  return tree
end

function Scanner:unit()
  local literal = self:take '"[^"]*"'
  if literal then return {kind = "literal", text = literal} end
  if self:take "%(" then
    local tree = self:type()
    self:need("%)", "')'")
    return tree
  elseif self:take "{" then
    return self:table()
  end
  local name = self:need(NAME, "a type")
  if name == "async" then
    self:need("fun%f[^%w_]", "'fun'")
    return self:fun(true)
  elseif name == "fun" then
    return self:fun(false)
  end
  return self:name(name)
end

function Scanner:type()
  local types = {}
  repeat
    local tree = self:unit()
    while self:take "%[%]" do tree = {kind = "array", type = tree} end
    if self:take "%?" then tree = {kind = "optional", type = tree} end
    table.insert(types, tree)
  until not self:take "|"
  if #types == 1 then return types[1] end
  return {kind = "union", types = types}
end

local function scan(text, place)
  return setmetatable({text = text, at = 1, place = place}, Scanner)
end

--- Call `visit(tree)` for a type and all in it.
---@param tree table
---@param visit fun(tree: table)
function annotations.walk(tree, visit)
  visit(tree)
  for _, list in ipairs {tree.types or {}, tree.arguments or {}} do
    for _, part in ipairs(list) do annotations.walk(part, visit) end
  end
  for _, list in ipairs {
    tree.fields or {}, tree.params or {}, tree.returns or {},
  } do
    for _, part in ipairs(list) do
      if type(part.key) == "table" then annotations.walk(part.key, visit) end
      if part.type then annotations.walk(part.type, visit) end
    end
  end
  if tree.type then annotations.walk(tree.type, visit) end
end

-- Tags ----------------------------------------------------------------------

-- What stands after two blanks.
function Scanner:rest()
  if self.text:match("^%s*$", self.at) then return nil end
  return self.text:match("^  (%S.*)$", self.at) or
    self:fail "two blanks and text expected"
end

function Scanner:nothing()
  if not self.text:match("^%s*$", self.at) then
    self:fail "nothing more expected"
  end
end

-- `name? type  text`
local function item(scanner)
  local name = scanner:take "%.%.%." or scanner:need("[%a_][%w_]*", "a name")
  local is_optional = scanner:take "%?" ~= nil
  return {
    name = name, is_optional = is_optional,
    type = scanner:type(), text = scanner:rest(),
  }
end

local tags = {}

function tags.meta(block, scanner)
  block.kind, block.name = "meta", scanner:need("[%w_.]+", "a module")
end

function tags.class(block, scanner)
  block.kind = "class"
  block.name = scanner:need("[%w_.]+", "a class")
  block.generics, block.parents = {}, {}
  if scanner:take "<" then
    repeat
      table.insert(block.generics, scanner:need("%u", "a capital letter"))
    until not scanner:take ","
    scanner:need(">", "'>'")
  end
  if scanner:take ":" then
    repeat
      table.insert(block.parents, scanner:type())
    until not scanner:take ","
  end
  scanner:nothing()
end

function tags.alias(block, scanner)
  block.kind = "alias"
  block.name = scanner:need("[%w_.]+", "a name")
  block.type = scanner:type()
  scanner:nothing()
end

function tags.generic(block, scanner)
  repeat
    table.insert(block.generics, scanner:need("%u", "a capital letter"))
  until not scanner:take ","
  scanner:nothing()
end

function tags.field(block, scanner)
  table.insert(block.fields, item(scanner))
end

function tags.param(block, scanner)
  table.insert(block.params, item(scanner))
end

-- `type name # text`
tags["return"] = function(block, scanner)
  local result = {type = scanner:type()}
  result.name = scanner:take "%.%.%." or scanner:take "[%a_][%w_]*"
  if scanner:take "#" then
    result.text = scanner:need("%S.*", "text")
  else
    scanner:nothing()
  end
  table.insert(block.returns, result)
end

function tags.overload(block, scanner)
  local tree = scanner:type()
  if tree.kind ~= "fun" then scanner:fail "'fun' expected before" end
  scanner:nothing()
  table.insert(block.overloads, tree)
end

function tags.async(block, scanner)
  scanner:nothing()
  block.is_async = true
end

function tags.nodiscard(block, scanner)
  scanner:nothing()
  block.is_nodiscard = true
end

-- Blocks --------------------------------------------------------------------

local function new_block(line)
  return {
    line = line, text = {}, fields = {}, params = {}, returns = {},
    overloads = {}, generics = {},
  }
end

local function read_tag(block, line, place)
  local tag, rest = line:match "^@(%a+) ?(.*)$"
  if not tags[tag] then
    error(("%s: no such tag: '%s'"):format(place, line), 0)
  end
  tags[tag](block, scan(rest, place))
end

-- What the line below the comments defines.
local function read_code(block, code)
  local path, parameters = code:match "^function ([%w_.:]+)%((.-)%) end$"
  if path then
    block.kind, block.name = "function", path
    block.object, block.separator, block.field =
      path:match "^([%w_]+)([.:])([%w_]+)$"
    block.parameters = {}
    for name in parameters:gmatch "[^%s,]+" do
      table.insert(block.parameters, name)
    end
  elseif block.kind == "class" then
    block.object = code:match "^local ([%w_]+) = {}$"
  end
end

--- The blocks of a file of definitions, in order. A block has a `kind`:
---
--- * `meta`: `name`, of the module.
--- * `section` and `note`: `text`.
--- * `class`: `name`, `generics`, `parents`, `fields`, `overloads`, and the
---   local variable `object` that its methods are defined on.
--- * `alias`: `name` and `type`.
--- * `function`: `name`, as `p:next`, which is `object`, `separator` and
---   `field`; `params`, `returns`, `generics`, `overloads`, `is_async`,
---   `is_nodiscard`, and `parameters`, the names that the code has.
--- * `alias_of`: another name of a method: `object`, `field`, `of`.
---
--- All have `line`; the last four `text`, a list of lines.
---@param text string
---@param source string  the file's name, for errors
---@return table
function annotations.read(text, source)
  local blocks, block, number = {}, nil, 0
  local function add(other) table.insert(blocks, other) end
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local place = ("%s:%d"):format(source, number)
    local comment = line:match "^%-%-%-(.*)$"
    local object, field, of =
      line:match '^([%w_]+)%["(%w+)"%] = %1%.(%w+)$'
    if comment then
      block = block or new_block(number)
      if comment:find "^@" then
        read_tag(block, comment, place)
      else
        table.insert(block.text, (comment:gsub("^ ", "")))
      end
    elseif line:find "^%-%- .* %-+$" then
      local title = line:match "^%-%- (.-) %-+$"
      add {kind = "section", text = title, line = number}
    elseif line:find "^%-%- " then
      add {kind = "note", text = line:sub(4), line = number}
    elseif block then
      read_code(block, line)
      if not block.kind then
        error(place .. ": the comment above defines nothing", 0)
      end
      add(block)
      block = nil
    elseif object then
      add {kind = "alias_of", object = object, field = field, of = of,
        line = number}
    elseif line ~= "" and not line:find "^return [%w_]+$" then
      error(("%s: not understood: '%s'"):format(place, line), 0)
    end
  end
  return blocks
end

--- The same of a file, with its name in `source`.
---@param source string
---@return table
function annotations.read_file(source)
  local file = assert(io.open(source))
  local blocks = annotations.read(file:read "a", source)
  file:close()
  blocks.source = source
  return blocks
end

-- Text of types -------------------------------------------------------------

local show

local function show_list(list)
  local out = {}
  for i, part in ipairs(list) do
    local name = part.name and
      part.name .. (part.is_optional and "?" or "")
    out[i] = not part.type and name or
      (name and name .. ": " or "") .. show(part.type)
  end
  return table.concat(out, ", ")
end

local function show_types(types)
  local out = {}
  for i, tree in ipairs(types) do
    local text = show(tree)
    out[i] = tree.kind == "fun" and i < #types and "(" .. text .. ")" or text
  end
  return out
end

local shows = {
  name = function(tree)
    if #tree.arguments == 0 then return tree.name end
    return tree.name .. "<" ..
      table.concat(show_types(tree.arguments), ", ") .. ">"
  end,
  literal = function(tree) return tree.text end,
  union = function(tree) return table.concat(show_types(tree.types), "|") end,
  optional = function(tree)
    local text = show(tree.type)
    return (tree.type.kind == "fun" and "(" .. text .. ")" or text) .. "?"
  end,
  array = function(tree)
    local text = show(tree.type)
    local is_unit = tree.type.kind == "name" or tree.type.kind == "array"
    return (is_unit and text or "(" .. text .. ")") .. "[]"
  end,
  table = function(tree)
    local out = {}
    for i, field in ipairs(tree.fields) do
      local key = type(field.key) == "string" and field.key or
        "[" .. show(field.key) .. "]"
      out[i] = key .. ": " .. show(field.type)
    end
    return "{" .. table.concat(out, ", ") .. "}"
  end,
  fun = function(tree)
    return (tree.is_async and "async " or "") .. "fun(" ..
      show_list(tree.params) .. ")" ..
      (#tree.returns > 0 and ": " .. show_list(tree.returns) or "")
  end,
}

function show(tree)
  return shows[tree.kind](tree)
end

--- A type as text, as it was written.
annotations.show = show

return annotations
