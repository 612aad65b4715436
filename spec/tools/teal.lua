--- Makes declarations for Teal of definitions for the Lua language server:
---
---     lua5.4 spec/tools/teal.lua FILE >FILE.d.tl
---
--- Where Teal knows no such type, it is `any`. A function that takes one of
--- several types becomes several functions of one name, which Teal tries in
--- turn: so a handler may return a value or a promise of it.

local annotations = require "spec.tools.annotations"

-- Classes whose objects a block can close, which the server doesn't ask for.
local closable = {}
for name in ([[
  cpromise.Promise cpromise.Scope cpromise.Permit cpromise.uv.File
  cpromise.uv.TemporaryDirectory cpromise.uv.Stream cpromise.uv.Server
  cpromise.uv.Udp cpromise.uv.Process cpromise.uv.Events
]]):gmatch "%S+" do
  closable[name] = true
end

local basic = {
  table = "{any: any}", userdata = "any", unknown = "any",
  ["file*"] = "FILE", ["true"] = "boolean", ["false"] = "boolean",
}

local Teal = {}
Teal.__index = Teal

-- The name of a class here: a record in the module that it belongs to.
function Teal:class(name)
  local own = name == self.module and self.record
  local inner = name:match("^" .. self.prefix .. "%.([%w]+)$")
  return own or inner or name
end

-- Types ---------------------------------------------------------------------

function Teal:name(tree)
  if tree.name == "table" and #tree.arguments == 2 then
    return ("{%s: %s}"):format(self:type(tree.arguments[1]),
      self:type(tree.arguments[2]))
  end
  local name = basic[tree.name] or tree.name
  if name:find "^cpromise" then name = self:class(name) end
  if #tree.arguments == 0 then return name end
  local list = {}
  for i, argument in ipairs(tree.arguments) do
    list[i] = self:type(argument)
  end
  return name .. "<" .. table.concat(list, ", ") .. ">"
end

local function has_variable(texts)
  for _, text in ipairs(texts) do
    if text == "any" or text:find "^%u$" then return true end
  end
  return false
end

-- A union may have only one table among its types, and no type variable. A
-- function stands in no brackets there, so it has no results but in an alias.
function Teal:union(tree)
  local list, seen, tables = {}, {}, 0
  for _, part in ipairs(tree.types) do
    local text = self:type(part):gsub("^%((function.*)%)$", "%1")
    if text:find "^{" or text:find "%u" then tables = tables + 1 end
    if not seen[text] and text ~= "nil" then table.insert(list, text) end
    seen[text] = true
  end
  if #list > 1 and (tables > 1 or has_variable(list)) then return "any" end
  return table.concat(list, " | ")
end

function Teal:parameters(params)
  local list = {}
  for i, param in ipairs(params) do
    list[i] = param.name .. (param.is_optional and "?" or "") .. ": " ..
      (param.type and self:type(param.type) or "any")
  end
  return table.concat(list, ", ")
end

function Teal:results(returns)
  local list = {}
  for i, result in ipairs(returns) do
    list[i] = self:type(result.type)
    if result.name == "..." then list[i] = list[i] .. "..." end
  end
  local text = table.concat(list, ", ")
  if #list > 1 and text:find "^%(" then text = "(" .. text .. ")" end
  return #list == 0 and "" or ": " .. text
end

function Teal:fun(tree)
  return "(function(" .. self:parameters(tree.params) .. ")" ..
    self:results(tree.returns) .. ")"
end

local kinds = {
  name = Teal.name,
  literal = function() return "string" end,
  union = Teal.union,
  optional = function(self, tree) return self:type(tree.type) end,
  array = function(self, tree) return "{" .. self:type(tree.type) .. "}" end,
  table = function(self, tree)
    local field = tree.fields[1]
    if type(field.key) == "string" then return "{string: any}" end
    return "{" .. self:type(field.type) .. "}"
  end,
  fun = Teal.fun,
}

function Teal:type(tree)
  return kinds[tree.kind](self, tree)
end

-- Several functions of one name ---------------------------------------------

local function names_in(tree)
  local names = {}
  annotations.walk(tree, function(part)
    if part.kind == "name" then names[part.name] = true end
  end)
  return names
end

local function has_generic(tree, generics)
  local names = names_in(tree)
  for _, generic in ipairs(generics) do
    if names[generic] then return true end
  end
  return false
end

-- How special a type is, by which Teal should try it first: a promise of a
-- variable, a variable, what has none.
local function rank(tree, generics)
  if not has_generic(tree, generics) then return 3 end
  return tree.kind == "name" and #tree.arguments == 0 and 2 or 1
end

-- The alternatives of a union that names generics, the most special first.
local function alternatives(tree, generics)
  if tree.kind ~= "union" or not has_generic(tree, generics) then
    return {tree}
  end
  local list = {}
  for wanted = 1, 3 do
    for _, part in ipairs(tree.types) do
      if part.name ~= "nil" and rank(part, generics) == wanted then
        table.insert(list, part)
      end
    end
  end
  return list
end

local function copy(t)
  return table.move(t, 1, #t, 1, {})
end

-- A function with another first result, or none.
local function with_result(tree, result)
  local other = {
    kind = "fun", params = tree.params, returns = copy(tree.returns),
  }
  if result then
    other.returns[1] = {type = result}
  else
    other.returns = {}
  end
  return other
end

-- What a parameter may be, each as a type.
local function variants_of_param(tree, generics)
  local list = {}
  for _, part in ipairs(alternatives(tree, generics)) do
    local first = part.kind == "fun" and part.returns[1]
    if first and first.type.kind == "union" then
      for _, result in ipairs(alternatives(first.type, generics)) do
        table.insert(list, with_result(part, result))
      end
      table.insert(list, with_result(part, nil))
    else
      table.insert(list, part)
    end
  end
  return list
end

-- All combinations: lists of parameters.
local function variants(params, generics)
  local lists = {{}}
  for _, param in ipairs(params) do
    local longer = {}
    for _, list in ipairs(lists) do
      for _, tree in ipairs(variants_of_param(param.type, generics)) do
        local other = copy(list)
        table.insert(other, {
          name = param.name, is_optional = param.is_optional, type = tree,
        })
        table.insert(longer, other)
      end
    end
    lists = longer
  end
  return lists
end

-- A type in which what no parameter determines is `any`.
local function settle(tree, unbound)
  if type(tree) ~= "table" then return tree end
  if tree.kind == "name" and unbound[tree.name] then
    return {kind = "name", name = "any", arguments = {}}
  end
  local other = {}
  for key, value in pairs(tree) do other[key] = settle(value, unbound) end
  return other
end

-- `<R>`, of those that the parameters name; the others.
local function bind(params, generics)
  local bound, unbound, names = {}, {}, {}
  for _, param in ipairs(params) do
    for name in pairs(names_in(param.type)) do names[name] = true end
  end
  for _, generic in ipairs(generics) do
    if names[generic] then
      table.insert(bound, generic)
    else
      unbound[generic] = true
    end
  end
  local text = #bound > 0 and "<" .. table.concat(bound, ", ") .. ">" or ""
  return text, unbound
end

-- Records -------------------------------------------------------------------

function Teal:add(text)
  table.insert(self.out, self.indent .. text)
end

-- The generics that are the function's own, and not the class's.
local function own_generics(block, class)
  local list = {}
  for _, name in ipairs(block.generics) do
    if not class or not has_generic(class.self, {name}) then
      table.insert(list, name)
    end
  end
  return list
end

-- One of the functions of a name. (Names that Teal has itself stand in
-- brackets.)
function Teal:variant(field, generics, params, returns)
  local bound, unbound = bind(params, generics)
  if field == "any" or field == "then" then
    field = ('["%s"]'):format(field)
  end
  self:add(("%s: function%s(%s)%s"):format(field, bound,
    self:parameters(params), self:results(settle(returns, unbound))))
end

function Teal:a_function(block, field)
  local class = block.separator == ":" and self.classes[block.object]
  local generics = own_generics(block, class)
  local params = {}
  if class then params[1] = {name = "self", type = class.self} end
  for _, param in ipairs(block.params) do
    if param.name ~= "self" then table.insert(params, param) end
  end
  for _, list in ipairs(variants(params, block.generics)) do
    self:variant(field, generics, list, block.returns)
  end
  for _, tree in ipairs(block.overloads) do
    local first = tree.params[1]
    if not first or first.name ~= "self" and first.name ~= "iterator" then
      self:variant(field, {}, tree.params, tree.returns)
    end
  end
end

function Teal:calls(block, own)
  for _, tree in ipairs(block.overloads) do
    self:add("metamethod __call: function(" .. self:parameters {
      {name = "self", type = own}, table.unpack(tree.params),
    } .. ")" .. self:results(tree.returns))
  end
end

function Teal:fields(block)
  for _, field in ipairs(block.fields) do
    self:add(field.name .. ": " .. self:type(field.type))
  end
  self:calls(block, block.self)
  if closable[block.name] then
    self:add("metamethod __close: function(self: " .. self:type(block.self) ..
      ", err?: any)")
  end
end

function Teal:functions(file, object)
  for _, block in ipairs(file) do
    if block.object == object and object then
      if block.kind == "function" then
        self:a_function(block, block.field)
      elseif block.kind == "alias_of" then
        for _, other in ipairs(file) do
          if other.name == object .. ":" .. block.of then
            self:a_function(other, block.field)
          end
        end
      end
    end
  end
end

-- " is Loop", or " is {T}"
function Teal:parents(block)
  local list = {}
  for i, parent in ipairs(block.parents) do list[i] = self:type(parent) end
  return #list > 0 and " is " .. table.concat(list, ", ") or ""
end

function Teal:a_class(file, block)
  local generics = #block.generics > 0 and
    "<" .. table.concat(block.generics, ", ") .. ">" or ""
  self:add((self.is_parent[block.name] and "interface " or "record ") ..
    self:class(block.name) .. generics .. self:parents(block))
  self.indent = "      "
  self:fields(block)
  self:functions(file, block.object)
  self.indent = "   "
  self:add "end\n"
end

-- What a class is called in its own methods: `Promise<T>`.
local function self_type(block)
  local arguments = {}
  for i, name in ipairs(block.generics) do
    arguments[i] = {kind = "name", name = name, arguments = {}}
  end
  return {kind = "name", name = block.name, arguments = arguments}
end

function Teal:collect(file)
  for _, block in ipairs(file) do
    if block.kind == "class" then
      self.main = self.main or block
      block.self = self_type(block)
      if block.object then self.classes[block.object] = block end
      for _, parent in ipairs(block.parents) do
        self.is_parent[parent.name or ""] = true
      end
    end
  end
end

function Teal:file(file)
  self:collect(file)
  self.module, self.prefix = self.main.name, file[1].name:gsub("%.", "%%.")
  self.record = file[1].name:match "[%w_]+$"
  if self.record ~= "cpromise" then
    self:add 'local cpromise = require("cpromise")\n'
  end
  self:add("local record " .. self.record .. self:parents(self.main))
  self.indent = "   "
  for _, block in ipairs(file) do
    if block.kind == "class" and block ~= self.main then
      self:a_class(file, block)
    elseif block.kind == "alias" then
      self:add("type " .. self:class(block.name) .. " = " ..
        self:type(block.type):gsub("^%((function.*)%)$", "%1") .. "\n")
    end
  end
  self:fields(self.main)
  self:functions(file, self.main.object)
  self.indent = ""
  self:add("end\n\nreturn " .. self.record)
end

--- The declarations of a file, as `annotations.read` reads it.
---@param file table
---@return string
return function(file)
  local self = setmetatable({
    out = {}, indent = "", classes = {},
    is_parent = {["cpromise.Loop"] = true},
  }, Teal)
  self:add("-- Made from " .. file.source .. " by make docs.\n")
  self:file(file)
  return table.concat(self.out, "\n") .. "\n"
end
