--- Makes a page of definitions for the Lua language server:
---
---     lua5.4 spec/tools/document.lua TITLE FILE... >PAGE
---
--- A function is shown with its text, its parameters and its results; one
--- without text is a row of a table. A class is shown with its fields. A file
--- of Markdown is taken as it is. The page begins with what the first file
--- says of its module, and with its contents.

local annotations = require "spec.tools.annotations"
local markdown = require "spec.tools.markdown"

local show = annotations.show

local Page = {}
Page.__index = Page

function Page:add(text)
  table.insert(self.out, text)
end

-- A heading, with its place in the contents.
function Page:heading(level, text)
  local entry = {level = level, text = text, anchor = self.anchor_of(text)}
  table.insert(self.contents, entry)
  self:add(("%s %s\n"):format(("#"):rep(level), text))
end

-- In prose: documents are links, and so is a class that this page describes.
function Page:link(line)
  line = line:gsub("%f[%w]docs/([%w-]+%.md)", "[docs/%1](%1)")
  return (line:gsub("`(cpromise%.[%w.]+)`", function(name)
    local anchor = self.classes[name]
    return anchor and ("[`%s`](#%s)"):format(name, anchor)
  end))
end

-- Lines of a paragraph are joined; code and lists stay as they are.
function Page:text(lines)
  local out, paragraph, in_code = {}, {}, false
  local function flush()
    if #paragraph > 0 then
      table.insert(out, self:link(table.concat(paragraph, " ")))
    end
    paragraph = {}
  end
  for _, line in ipairs(lines) do
    local is_fence = line:find "^```" ~= nil
    if is_fence or in_code or line:find "^    " or line == "" then
      flush()
      table.insert(out, line)
      if is_fence then in_code = not in_code end
    else
      if line:find "^%* " then flush() end
      table.insert(paragraph, (line:gsub("^ +", "")))
    end
  end
  flush()
  if #out > 0 then self:add(table.concat(out, "\n") .. "\n") end
end

-- "- `name?`: `type`, text"
function Page:item(entry)
  local line = ("- `%s%s`: `%s`"):format(entry.name,
    entry.is_optional and "?" or "", show(entry.type))
  self:add(entry.text and line .. ", " .. self:link(entry.text) or line)
end

function Page:items(list)
  for _, entry in ipairs(list) do
    if entry.name ~= "self" then self:item(entry) end
  end
end

-- `uv.open(path, mode?)`
local function call(block)
  local names = {}
  for _, param in ipairs(block.params) do
    if param.name ~= "self" then
      table.insert(names, param.name .. (param.is_optional and "?" or ""))
    end
  end
  return ("`%s(%s)`"):format(block.name, table.concat(names, ", "))
end

-- "`type` name, text; ..."
function Page:results(block)
  local list = {}
  for i, result in ipairs(block.returns) do
    local text = "`" .. show(result.type) .. "`"
    if result.name and result.name ~= "..." then
      text = text .. " " .. result.name
    elseif result.name then
      text = text .. " and more"
    end
    if result.text then text = text .. ", " .. self:link(result.text) end
    list[i] = text
  end
  return table.concat(list, "; ")
end

-- Other ways to call it; not what only tells the server more of the first.
function Page:overloads(block)
  for _, tree in ipairs(block.overloads) do
    local first = tree.params[1]
    if not first or first.name ~= "self" and first.name ~= "iterator" then
      self:add("- or `" .. show(tree) .. "`")
    end
  end
end

function Page:a_function(block)
  self:heading(3, block.name)
  self:add(call(block) .. "\n")
  self:text(block.text)
  self:items(block.params)
  if #block.returns > 0 then self:add("- returns " .. self:results(block)) end
  self:overloads(block)
  if block.is_async then
    self:add "- awaits, so it can be called only where `Promise.await` can"
  end
  if block.is_nodiscard then
    self:add "- the result is not to be dropped"
  end
  if self.out[#self.out]:find "^%- " then self:add "" end
end

-- Functions without text follow one another.
function Page:row(block)
  if not self.in_table then
    self:add "| function | parameters | returns |\n|---|---|---|"
  end
  local params = {}
  for i, param in ipairs(block.params) do
    params[i] = "`" .. show(param.type) .. "`" ..
      (param.text and " " .. param.text or "")
  end
  local cells = {call(block), table.concat(params, ", "), self:results(block)}
  for i, cell in ipairs(cells) do cells[i] = cell:gsub("|", "\\|") end
  self:add("| " .. table.concat(cells, " | ") .. " |")
end

function Page:a_class(block)
  self:heading(3, block.name)
  self:text(block.text)
  self:items(block.fields)
  self:overloads(block)
  if #block.fields + #block.overloads > 0 then self:add "" end
end

function Page:an_alias(block)
  self:heading(3, block.name)
  self:text(block.text)
  self:add("- `" .. show(block.type) .. "`\n")
end

-- The first class of a file is the module. That of the page's first file
-- stands above the contents.
function Page:module(block)
  if self.head then
    self:heading(2, self.module_name)
  end
  self:text(block.text)
  self:items(block.fields)
  self:overloads(block)
  if #block.fields + #block.overloads > 0 then self:add "" end
  if not self.head then self.head, self.out = self.out, {} end
end

local writers = {
  section = function(self, block)
    self:heading(2, (block.text:gsub("^%l", string.upper)))
  end,
  note = function(self, block) self.note = block.text end,
  class = Page.a_class,
  alias = Page.an_alias,
  ["function"] = Page.a_function,
  alias_of = function(self, block)
    self:add(("`%s[\"%s\"]` is another name of `%s`.\n"):format(block.object,
      block.field, block.of))
  end,
}

-- Notes follow one another, too: they are one paragraph.
local function join_notes(file)
  local list = {source = file.source}
  for _, block in ipairs(file) do
    local last = list[#list]
    if block.kind == "note" and last and last.kind == "note" then
      table.insert(last.lines, block.text)
    else
      if block.kind == "note" then
        block = {kind = "note", lines = {block.text}}
      end
      table.insert(list, block)
    end
  end
  return list
end

function Page:block(block)
  local is_row = block.kind == "function" and #block.text == 0
  if self.in_table and not is_row then self:add "" end
  if is_row then
    self:row(block)
  elseif block.kind == "note" then
    self:text(block.lines)
  elseif block.kind == "class" and self.module_name then
    self:module(block)
    self.module_name = nil
  elseif writers[block.kind] then
    writers[block.kind](self, block)
  end
  self.in_table = is_row
end

function Page:definitions(file)
  self.module_name = file[1].name
  for _, block in ipairs(join_notes(file)) do self:block(block) end
  if self.in_table then self:add "" end
  self.in_table = false
end

-- Where each class is described: the page is written twice, since a text may
-- name a class below it.
function Page:note_classes()
  for _, entry in ipairs(self.contents) do
    self.classes[entry.text:match "^cpromise%.[%w.]+" or ""] = entry.anchor
  end
end

-- "- [Section](#section): [function](#function), ..."
local function contents(list)
  local out = {}
  for _, entry in ipairs(list) do
    local link = ("[%s](#%s)"):format(entry.text, entry.anchor)
    if entry.level == 2 then
      out[#out + 1] = "- " .. link
    elseif #out > 0 then
      local glue = out[#out]:find ": %[" and ", " or ": "
      out[#out] = out[#out] .. glue .. link
    end
  end
  return table.concat(out, "\n") .. "\n"
end

local function write(title, files, classes)
  local self = setmetatable({
    out = {}, contents = {}, classes = classes,
    anchor_of = markdown.new_anchors(),
  }, Page)
  self.anchor_of(title)
  self.anchor_of "Contents"
  local names = {}
  for _, file in ipairs(files) do
    if type(file) == "string" then
      for _, heading in ipairs(markdown.read(file).headings) do
        table.insert(self.contents, heading)
        self.anchor_of(heading.text)
      end
      self:add(file)
    else
      table.insert(names, ("[%s](../%s)"):format(file.source, file.source))
      self:definitions(file)
    end
  end
  self:note_classes()
  names = table.concat(names, ", ")
  self:add(("(Made from %s by `make docs`.)"):format(names))
  return self
end

local document = {}

--- The page.
---@param title string
---@param files table  as `annotations.read` reads them, or text in Markdown
---@return string
function document.of(title, files)
  local classes = {}
  write(title, files, classes)
  local page = write(title, files, classes)
  return table.concat({
    "# " .. title .. "\n", table.concat(page.head, "\n"),
    "## Contents\n", contents(page.contents),
    table.concat(page.out, "\n"), "",
  }, "\n")
end

--- The page of files by name.
---@param title string
---@param ... string
---@return string
function document.make(title, ...)
  local files = {}
  for i, name in ipairs {...} do
    if name:find "%.md$" then
      local file = assert(io.open(name))
      files[i] = file:read "a"
      file:close()
    else
      files[i] = annotations.read_file(name)
    end
  end
  return document.of(title, files)
end

if arg and arg[0] and arg[0]:find "document%.lua$" then
  io.write(document.make(table.unpack(arg)))
end

return document
