--- Makes the documents into pages of HTML, with pandoc; to read them takes no
--- network and no scripts:
---
---     lua5.4 spec/tools/site.lua FOLDER
---
--- All of docs/*.md and of *.md is taken. docs/site/order.txt has the order
--- and the short names of pages; one that is not there comes last, by its
--- title.

local SITE <const> = "docs/site/"

local function read(name)
  local file = assert(io.open(name))
  local text = file:read "a"
  file:close()
  return text
end

local function write(name, text)
  local file = assert(io.open(name, "w"))
  file:write(text)
  assert(file:close())
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function run(...)
  local words = {...}
  for i, word in ipairs(words) do words[i] = quoted(word) end
  local command = table.concat(words, " ")
  if not os.execute(command) then error("failed: " .. command, 0) end
end

local function lines_of(command)
  local list = {}
  for line in io.popen(command):lines() do table.insert(list, line) end
  return list
end

-- The pages -----------------------------------------------------------------

-- "README.md" is index.html; "docs/uv.md" is docs/uv.html.
local function page_of(name)
  if name == "README.md" then return "index.html" end
  return (name:gsub("%.md$", ".html"))
end

local function title_of(name)
  return (read(name):match "^#+ ([^\n]*)" or name):gsub("`", "")
end

-- All documents, in the order of the navigation: {name=, page=, title=}.
local function find_pages()
  local exists, pages = {}, {}
  for _, name in ipairs(lines_of "ls *.md docs/*.md") do
    exists[name] = true
  end
  local function add(name, title)
    if not exists[name] then return end
    exists[name] = nil
    table.insert(pages, {name = name, page = page_of(name), title = title})
  end
  for name, title in read(SITE .. "order.txt"):gmatch "(%S+) +([^\n]+)" do
    add(name, title)
  end
  local others = {}
  for name in pairs(exists) do table.insert(others, name) end
  table.sort(others)
  for _, name in ipairs(others) do add(name, title_of(name)) end
  return pages
end

local function escape(text)
  return (text:gsub("[&<>\"]",
    {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;"}))
end

-- The list of all pages, as `current` shows it.
local function navigation(pages, current, root)
  local out = {"<ul>"}
  for _, entry in ipairs(pages) do
    table.insert(out, ('<li><a href="%s%s"%s>%s</a></li>'):format(root,
      entry.page, entry == current and ' aria-current="page"' or "",
      escape(entry.title)))
  end
  table.insert(out, "</ul>")
  return table.concat(out, "\n") .. "\n"
end

-- What the filter must know of all pages, as JSON.
local function metadata(pages, folder, sources)
  local map = {}
  for _, entry in ipairs(pages) do
    table.insert(map, ('%q: %q'):format(entry.name, entry.page))
  end
  return ('{"folder": %q, "sources": %q, "pages": {%s}}\n'):format(folder,
    sources, table.concat(map, ", "))
end

local function make_page(pages, entry, out)
  local folder = entry.name:match "^(.*)/" or ""
  local root = folder == "" and "" or "../"
  write(out .. "/nav", navigation(pages, entry, root))
  write(out .. "/meta", metadata(pages, folder, out .. "/sources"))
  local title = entry.name == "README.md" and "cpromise" or
    entry.title .. " · cpromise"
  run("pandoc", "--from=gfm", "--to=html5", "--wrap=none",
    "--template=" .. SITE .. "template.html",
    "--lua-filter=" .. SITE .. "filter.lua",
    "--metadata-file=" .. out .. "/meta",
    "--metadata=pagetitle:" .. title, "--variable=root:" .. root,
    "--include-before-body=" .. out .. "/nav",
    "--output=" .. out .. "/" .. entry.page, entry.name)
end

-- Pictures and sources that pages show or link to. A folder is left out, and
-- what doesn't exist: the check of links finds it.
local function copy_sources(out)
  local seen = {}
  for _, name in ipairs(lines_of("sort -u " .. quoted(out .. "/sources"))) do
    local file = io.open(name)
    if file and file:read(0) and not seen[name] then
      seen[name] = true
      run("install", "-D", "-m", "644", name, out .. "/source/" .. name)
    end
    if file then file:close() end
  end
end

local out = assert(arg[1], "a folder")
local pages = find_pages()
run("mkdir", "-p", out .. "/docs")
write(out .. "/sources", "")
for _, entry in ipairs(pages) do make_page(pages, entry, out) end
copy_sources(out)
for _, name in ipairs {"nav", "meta", "sources"} do
  os.remove(out .. "/" .. name)
end
run("cp", SITE .. "style.css", out)
print(#pages .. " pages in " .. out)
