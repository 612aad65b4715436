--- Whether a text is a declaration file of Teal, as far as
--- spec/tools/teal.lua uses that language: records, interfaces, types of
--- fields.

local Parser = {}
Parser.__index = Parser

local function tokens(text)
  local list, line = {}, 1
  local at = 1
  while true do
    local blank, after = text:match("^(%s*)()", at)
    line = line + select(2, blank:gsub("\n", ""))
    at = after
    if at > #text then return list end
    local token
    if text:find("^%-%-", at) then
      at = text:match("^[^\n]*()", at)
    else
      token, at = text:match("^([%a_][%w_]*)()", at)
      if not token then token, at = text:match('^("[^"]*")()', after) end
      if not token then token, at = text:match("^(%.%.%.)()", after) end
      if not token then token, at = text:match("^(.)()", after) end
      table.insert(list, {text = token, line = line})
    end
  end
end

function Parser:peek(offset)
  local token = self.tokens[self.at + (offset or 0)]
  return token and token.text or "the end"
end

function Parser:fail(what)
  local token = self.tokens[self.at]
  local line = token and token.line or "last"
  error(("line %s: %s expected, got %s"):format(line, what, self:peek()), 0)
end

function Parser:take(text)
  if self:peek() ~= text then return false end
  self.at = self.at + 1
  return true
end

function Parser:need(text)
  return self:take(text) or self:fail("'" .. text .. "'")
end

local keywords = {}
for word in ([[and break do else elseif end false for goto if in local nil not
  or repeat return then true until while]]):gmatch "%S+" do
  keywords[word] = true
end

function Parser:name()
  local name = self:peek()
  if not name:find "^[%a_]" or keywords[name] then self:fail "a name" end
  self.at = self.at + 1
  return name
end

function Parser:list(element, close)
  if self:take(close) then return end
  repeat element(self) until not self:take ","
  self:need(close)
end

-- `name?: type` or `...: type`
function Parser:parameter()
  if not self:take "..." then
    self:name()
    self:take "?"
  end
  self:need ":"
  self:type()
end

function Parser:result()
  self:type()
  self:take "..."
end

-- One list of results; in brackets if it has several and begins with one.
function Parser:results()
  if self:take "(" then return self:list(self.result, ")") end
  repeat self:result() until not self:take ","
end

function Parser:generics()
  if self:take "<" then self:list(self.name, ">") end
end

-- What follows `function`.
function Parser:signature()
  self:generics()
  if not self:take "(" then return end -- any function
  self:list(self.parameter, ")")
  if self:take ":" then self:results() end
end

function Parser:unit(is_in_union)
  if self:take "(" then
    if is_in_union then self:fail "no bracket in a union" end
    self:type()
    self:need ")"
  elseif self:take "{" then
    self:type()
    if self:take ":" then self:type() end
    self:need "}"
  elseif self:take "function" then
    self:signature()
  elseif not self:take "nil" then
    self:name()
    while self:take "." do self:name() end
    if self:take "<" then self:list(self.type, ">") end
  end
end

function Parser:type()
  self:unit(false)
  while self:take "|" do self:unit(true) end
end

function Parser:field(seen)
  local is_meta = self:peek() == "metamethod" and self:peek(1) ~= ":"
  if is_meta then self.at = self.at + 1 end
  local name
  if self:take "[" then
    name = self:peek():match '^"(%a+)"$' or self:fail "a name in quotes"
    self.at = self.at + 1
    self:need "]"
  else
    name = self:name()
  end
  self:need ":"
  local is_function = self:peek() == "function"
  if seen[name] and not (is_function and seen[name] == "function") then
    error(("line %d: '%s' twice"):format(self.tokens[self.at].line, name), 0)
  end
  seen[name] = is_function and "function" or "field"
  self:type()
end

-- What follows `record` or `interface`.
function Parser:record()
  self:name()
  self:generics()
  if self:take "is" then
    repeat self:type() until not self:take ","
  end
  local seen = {}
  while not self:take "end" do
    local word, following = self:peek(), self:peek(1)
    if following ~= ":" and (word == "record" or word == "interface") then
      self.at = self.at + 1
      self:record()
    elseif following ~= ":" and word == "type" then
      self.at = self.at + 1
      self:name()
      self:need "="
      self:type()
    else
      self:field(seen)
    end
  end
end

-- local name = require("module")
function Parser:import()
  self:name()
  self:need "="
  self:need "require"
  self:need "("
  self.at = self.at + 1
  self:need ")"
end

--- Raises if the text is not well formed.
---@param text string
return function(text)
  local self = setmetatable({tokens = tokens(text), at = 1}, Parser)
  while self:take "local" do
    if self:take "record" then self:record() else self:import() end
  end
  self:need "return"
  self:name()
  if self.tokens[self.at] then self:fail "the end" end
end
