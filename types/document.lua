--- Makes a document of definitions for the Lua language server:
---
---     lua5.4 types/document.lua types/cpromise.uv.lua >docs/uv.md
---
--- Text becomes text, sections become headings. A function is shown with its
--- text, parameters and results, or, if it has no text, as a row of a table.
--- A class is shown with its fields.

local document = {}

-- The blocks of a file: comment lines and the code line below them.
local function blocks(text)
  local list, block = {}, {}
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    if line:find "^%-%-%-" then
      block[#block + 1] = line
    elseif line:find "^%-%- .* %-+$" then
      list[#list + 1] = {section = line:match "^%-%- (.-) %-+$"}
    elseif line:find "^%-%- " then
      list[#list + 1] = {note = line:sub(4)}
    elseif #block > 0 then
      block.code = line
      list[#list + 1], block = block, {}
    end
  end
  return list
end

-- "name type  text" of a tag; a type may have spaces in brackets.
local function split(rest)
  local name, tail = rest:match "^(%S+) (.*)$"
  local kind, text = tail:match "^(.-)  (.*)$"
  return name, kind or tail, text
end

-- Sort the lines of a block.
local function parse(block)
  local entry = {text = {}, fields = {}, params = {}, returns = {}}
  for _, line in ipairs(block) do
    local tag, rest = line:match "^%-%-%-@(%S+) ?(.*)$"
    if not tag then
      entry.text[#entry.text + 1] = line:match "^%-%-%- ?(.*)$"
    elseif tag == "class" then
      entry.class = rest
    elseif tag == "field" or tag == "param" then
      local list = tag == "field" and entry.fields or entry.params
      list[#list + 1] = table.pack(split(rest))
    elseif tag == "return" then
      entry.returns[#entry.returns + 1] = rest
    elseif tag == "meta" then
      entry.meta = rest
    end
  end
  entry.signature = block.code:match "^function ([^ (]+)"
  return entry
end

-- Lines of a paragraph are joined; code stays as it is.
local function flow(lines)
  local out, paragraph, in_code = {}, {}, false
  local function flush()
    if #paragraph > 0 then out[#out + 1] = table.concat(paragraph, " ") end
    paragraph = {}
  end
  for _, line in ipairs(lines) do
    local is_fence = line:find "^```" ~= nil
    if is_fence or in_code or line:find "^    " or line == "" then
      flush()
      out[#out + 1] = line
      if is_fence then in_code = not in_code end
    else
      paragraph[#paragraph + 1] = line
    end
  end
  flush()
  return table.concat(out, "\n")
end

local function item(name, kind, text)
  local line = ("- `%s`: `%s`"):format(name, kind)
  return text and line .. ", " .. text or line
end

-- `uv.open(path, mode?)`
local function call(entry)
  local names = {}
  for i, param in ipairs(entry.params) do names[i] = param[1] end
  return ("`%s(%s)`"):format(entry.signature, table.concat(names, ", "))
end

local function results(entry)
  local list = {}
  for i, rest in ipairs(entry.returns) do
    list[i] = rest:gsub("  ", " "):gsub("`", "")
  end
  return table.concat(list, "; ")
end

local function write_function(out, entry)
  out[#out + 1] = "### " .. call(entry) .. "\n"
  out[#out + 1] = flow(entry.text) .. "\n"
  for _, param in ipairs(entry.params) do
    out[#out + 1] = item(table.unpack(param, 1, 3))
  end
  if #entry.returns > 0 then
    out[#out + 1] = "- returns `" .. results(entry) .. "`"
  end
  out[#out + 1] = ""
end

local function write_class(out, entry)
  out[#out + 1] = "### " .. entry.class .. "\n"
  if #entry.text > 0 then out[#out + 1] = flow(entry.text) .. "\n" end
  for _, field in ipairs(entry.fields) do
    out[#out + 1] = item(table.unpack(field, 1, 3))
  end
  if #entry.fields > 0 then out[#out + 1] = "" end
end

-- Functions without text follow one another.
local function write_row(out, entry, is_first)
  if is_first then
    out[#out + 1] = "| function | returns |\n|---|---|"
  end
  out[#out + 1] = ("| %s | %s |"):format(call(entry), results(entry))
end

-- The first class with text is the module itself.
local function write_head(out, name, entry)
  out[#out + 1] = "# " .. name .. "\n"
  out[#out + 1] = flow(entry.text) .. "\n"
end

--- The document of a file of definitions.
---@param text string
---@param source string  its name
---@return string
function document.of(text, source)
  local out, in_table, module = {}, false, nil
  local function write(block)
    local entry = not (block.section or block.note) and parse(block)
    local is_row = entry and entry.signature and #entry.text == 0
    if in_table and not is_row then out[#out + 1] = "" end
    if block.section then
      local title = block.section:gsub("^%l", string.upper)
      out[#out + 1] = "## " .. title .. "\n"
    elseif block.note then
      out[#out + 1] = block.note .. "\n"
    elseif entry.meta then
      module = entry.meta
    elseif is_row then
      write_row(out, entry, not in_table)
    elseif entry.signature then
      write_function(out, entry)
    elseif entry.class == module then
      write_head(out, module, entry)
    elseif entry.class and (#entry.text > 0 or #entry.fields > 0) then
      write_class(out, entry)
    end
    in_table = is_row
  end
  for _, block in ipairs(blocks(text)) do write(block) end
  out[#out + 1] = in_table and "" or nil
  out[#out + 1] = ("(Made from [%s](../%s) by `make docs`.)\n"):format(
    source, source)
  return table.concat(out, "\n")
end

if arg and arg[0] and arg[0]:find "document%.lua$" then
  local file = assert(io.open(arg[1]))
  io.write(document.of(file:read "a", arg[1]))
end

return document
