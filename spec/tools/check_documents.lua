--- Whether the links of documents lead somewhere, and more of the kind:
---
---     lua5.4 spec/tools/check_documents.lua FILE...
---     lua5.4 spec/tools/check_documents.lua --site FOLDER
---     lua5.4 spec/tools/check_documents.lua --prose FILE...
---
--- The second form checks pages of HTML instead: each link, each anchor, each
--- picture. The third prints the words of documents that should be spelled as
--- a dictionary has them: "file:line word". What is wrong is printed, and the
--- status is 1. Links to other hosts are not followed.

local markdown = require "spec.tools.markdown"

local languages = {}
for name in ("lua text sh c json html"):gmatch "%S+" do
  languages[name] = true
end

local check = {}

local function exists(name)
  local file = io.open(name)
  if file then file:close() end
  return file ~= nil
end

local function read(name)
  local file <close> = assert(io.open(name))
  return file:read "a"
end

-- "docs" and "../lua/x.lua" are "lua/x.lua".
local function join(base, path)
  local parts = {}
  for part in (base .. "/" .. path):gmatch "[^/]+" do
    if part == ".." and #parts > 0 then
      table.remove(parts)
    elseif part ~= "." then
      table.insert(parts, part)
    end
  end
  return (base:find "^/" and "/" or "") .. table.concat(parts, "/")
end

local function folder_of(name)
  return name:match "^(.*)/" or ""
end

-- What a link leads to: a file, or none for another host; and an anchor.
local function resolve(name, target)
  if target:find "^%a[%w+.-]*:" then return nil end
  local path, anchor = target:match "^([^#]*)#?(.*)$"
  local file = path == "" and name or join(folder_of(name), path)
  return file, anchor ~= "" and anchor or nil
end

-- Links of one file, against what `anchors(file)` says that a file has.
local function check_links(name, links, anchors, report)
  for _, link in ipairs(links) do
    local file, anchor = resolve(name, link.target)
    if file and not exists(file) then
      report(link.line, "there is no '" .. link.target .. "'")
    elseif anchor and not anchors(file)[anchor] then
      report(link.line, "there is no place '" .. link.target .. "'")
    end
  end
end

-- A function with one argument that remembers what it has returned.
local function remembered(fn)
  local results = {}
  return function(name)
    results[name] = results[name] or fn(name)
    return results[name]
  end
end

-- Documents -----------------------------------------------------------------

local page_of = remembered(function(name)
  return markdown.read(read(name))
end)

local function anchors_of_document(name)
  local set = {}
  for _, heading in ipairs(page_of(name).headings) do
    set[heading.anchor] = true
  end
  return set
end

local function check_blocks(page, report)
  for _, block in ipairs(page.blocks) do
    if not languages[block.language] then
      report(block.line, block.language == "" and
        "a block of code that doesn't say its language" or
        "no such language: '" .. block.language .. "'")
    end
  end
  if page.is_open then report(1, "a block of code has no end") end
end

-- One title, and no level left out below it.
local function check_headings(page, report)
  local level = 0
  for i, heading in ipairs(page.headings) do
    if heading.level > level + 1 or i > 1 and heading.level == 1 then
      report(heading.line, "a heading of the wrong level")
    end
    level = heading.level
  end
end

--- What is wrong with a document, as a list of texts.
---@param name string
---@return string[]
function check.document(name)
  local problems = {}
  local function report(line, why)
    table.insert(problems, ("%s:%d: %s"):format(name, line, why))
  end
  local page = page_of(name)
  check_links(name, page.links, anchors_of_document, report)
  check_blocks(page, report)
  check_headings(page, report)
  return problems
end

-- Pages ---------------------------------------------------------------------

local html_of = remembered(function(name)
  local page = {links = {}, ids = {}, twice = {}}
  local number = 0
  for line in (read(name) .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    for _, attribute in ipairs {"href", "src"} do
      for target in line:gmatch("[%s]" .. attribute .. '="([^"]*)"') do
        table.insert(page.links, {target = target, line = number})
      end
    end
    for id in line:gmatch '%sid="([^"]*)"' do
      if page.ids[id] then page.twice[id] = number end
      page.ids[id] = true
    end
  end
  return page
end)

--- What is wrong with a page of HTML.
---@param name string
---@return string[]
function check.page(name)
  local problems = {}
  local function report(line, why)
    table.insert(problems, ("%s:%d: %s"):format(name, line, why))
  end
  local page = html_of(name)
  check_links(name, page.links, function(file) return html_of(file).ids end,
    report)
  for id, line in pairs(page.twice) do
    report(line, "'" .. id .. "' twice")
  end
  return problems
end

-- Words ---------------------------------------------------------------------

-- The words of a line; none of addresses, paths, or names with dots.
local function words_of(line)
  local text = line:gsub("<[^>]*>", " "):gsub("%]%([^)]*%)", " ")
    :gsub("https?://%S+", " "):gsub("%S*[/_]%S*", " ")
    :gsub("[%w.]+[.:]%w+[%w.:]*", " "):gsub("\u{2019}", "'")
  return text:gmatch "%f[%a]%a[%a']*%a"
end

--- Call `visit(line, word)` for the words of a document's prose.
---@param name string
---@param visit fun(line: integer, word: string)
function check.words(name, visit)
  for _, line in ipairs(page_of(name).prose) do
    for word in words_of(line.text) do
      visit(line.line, (word:gsub("'s$", "")))
    end
  end
end

-- ---------------------------------------------------------------------------

local function files_below(folder)
  local list = {}
  local pipe = io.popen("find '" .. folder .. "' -name '*.html'")
  for name in pipe:lines() do table.insert(list, name) end
  pipe:close()
  return list
end

local function main(mode, ...)
  if mode == "--prose" then
    for _, name in ipairs {...} do
      check.words(name, function(line, word)
        print(("%s:%d %s"):format(name, line, word))
      end)
    end
    return true
  end
  local is_site = mode == "--site"
  local names = is_site and files_below(...) or {mode, ...}
  local count = 0
  for _, name in ipairs(names) do
    local problems = is_site and check.page(name) or check.document(name)
    for _, problem in ipairs(problems) do print(problem) end
    count = count + #problems
  end
  print(("%d files, %d problems"):format(#names, count))
  return count == 0 and #names > 0
end

if arg and arg[0] and arg[0]:find "check_documents%.lua$" then
  os.exit(main(table.unpack(arg)))
end

return check
