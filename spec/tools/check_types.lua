--- Whether definitions for the Lua language server are well formed: what it
--- would only ignore in silence, or report to the user of the library.

local annotations = require "spec.tools.annotations"

local builtin = {}
for name in ([[
  any nil true false boolean number integer string table function thread
  userdata file* unknown
]]):gmatch "%S+" do
  builtin[name] = 0
end
builtin.table = {[0] = true, [2] = true}

-- How many arguments a type may have: a number, or a set of them.
local function allows(count, n)
  if type(count) == "table" then return count[n] end
  return count == n
end

local Check = {}
Check.__index = Check

function Check:report(block, why, ...)
  table.insert(self.problems,
    ("%s:%d: " .. why):format(self.source, block.line, ...))
end

-- All declared classes and aliases, of all files: name -> generics.
function Check:declare(file)
  self.source = file.source
  for _, block in ipairs(file) do
    if block.kind == "class" or block.kind == "alias" then
      if self.classes[block.name] then
        self:report(block, "'%s' is declared twice", block.name)
      end
      if not block.name:find "^cpromise%f[%A]" then
        self:report(block, "'%s' should begin with 'cpromise.'", block.name)
      end
      self.classes[block.name] = #(block.generics or {})
    end
  end
end

-- The types in a type: declared, with as many arguments as they take.
function Check:type(block, tree, generics)
  annotations.walk(tree, function(part)
    if part.kind ~= "name" then return end
    local count = builtin[part.name] or self.classes[part.name]
    if generics[part.name] ~= nil then
      generics[part.name] = true -- used
    elseif not count then
      self:report(block, "there is no type '%s'", part.name)
    elseif not allows(count, #part.arguments) then
      self:report(block, "'%s' has not %d arguments", part.name,
        #part.arguments)
    end
  end)
end

-- All types of a block.
local function types_of(block)
  local list = {table.unpack(block.overloads)}
  for _, items in ipairs {block.fields, block.params, block.returns} do
    for _, entry in ipairs(items) do table.insert(list, entry.type) end
  end
  for _, parent in ipairs(block.parents or {}) do
    table.insert(list, parent)
  end
  if block.type then table.insert(list, block.type) end
  return list
end

-- Generics are of the block itself, and all of them are used; or of the class
-- that a method belongs to, which only a `self` parameter can name.
function Check:types(block)
  local generics = {}
  for _, name in ipairs(block.generics) do generics[name] = false end
  for _, tree in ipairs(types_of(block)) do
    self:type(block, tree, generics)
  end
  for name, is_used in pairs(generics) do
    if not is_used and block.kind ~= "class" then
      self:report(block, "'%s' is not used", name)
    end
  end
end

-- The names of a block's items, each once.
function Check:names(block, items, what)
  local names, seen = {}, {}
  for _, entry in ipairs(items) do
    if seen[entry.name] then
      self:report(block, "%s '%s' twice", what, entry.name)
    end
    seen[entry.name] = true
    table.insert(names, entry.name)
  end
  return names
end

-- Parameters of the text and of the code below are the same.
function Check:parameters(block)
  local names = self:names(block, block.params, "parameter")
  if names[1] == "self" and block.separator == ":" then
    table.remove(names, 1)
  end
  local text, code = table.concat(names, ", "),
    table.concat(block.parameters, ", ")
  if text ~= code then
    self:report(block, "%s: @param (%s), but the function has (%s)",
      block.name, text, code)
  end
  local is_optional = false
  for _, param in ipairs(block.params) do
    if is_optional and not param.is_optional and param.name ~= "..." then
      self:report(block, "%s: '%s' stands after an optional one",
        block.name, param.name)
    end
    is_optional = is_optional or param.is_optional
  end
end

function Check:a_function(block)
  self:parameters(block)
  if not self.objects[block.object] then
    self:report(block, "%s: no class is declared for '%s'", block.name,
      block.object)
  end
  if self.functions[block.name] then
    self:report(block, "%s is defined twice", block.name)
  end
  self.functions[block.name] = true
  if block.is_nodiscard and #block.returns == 0 then
    self:report(block, "%s: @nodiscard, but it returns nothing", block.name)
  end
end

function Check:a_class(block)
  self:names(block, block.fields, "field")
  if block.object then self.objects[block.object] = block end
end

function Check:another_name(block)
  if not self.functions[block.object .. ":" .. block.of] then
    self:report(block, "there is no '%s'", block.of)
  end
end

-- A module has a class of its name, whose object the file returns.
function Check:module(file)
  local meta = file[1]
  if not meta or meta.kind ~= "meta" then
    return self:report({line = 1}, "'---@meta name' expected")
  end
  local path = meta.name:gsub("%.", "/")
  if not file.source:find("library/" .. path .. ".lua", 1, true) then
    self:report(meta, "the module '%s' is another file's", meta.name)
  end
end

local checks = {
  ["function"] = Check.a_function,
  class = Check.a_class,
  alias_of = Check.another_name,
}

function Check:file(file)
  self.source, self.objects, self.functions = file.source, {}, {}
  self:module(file)
  for _, block in ipairs(file) do
    local check = checks[block.kind]
    if block.overloads then self:types(block) end
    if check then check(self, block) end
  end
end

--- What is wrong with files, as `annotations.read` reads them, with their
--- name in `source`: a list of texts with file and line.
---@param files table
---@return string[]
return function(files)
  local self = setmetatable({problems = {}, classes = {}}, Check)
  for _, file in ipairs(files) do self:declare(file) end
  for _, file in ipairs(files) do self:file(file) end
  return self.problems
end
