-- For pandoc: links to documents become links to pages, what is wider than the
-- page gets a box that scrolls. PANDOC_WRITER_OPTIONS has no place for the
-- page's folder, so that comes in the metadata.

local folder, pages, sources

-- "docs" and "../lua/x.lua" are "lua/x.lua".
local function join(base, path)
  local parts = {}
  for part in (base .. "/" .. path):gmatch "[^/]+" do
    if part == ".." then
      table.remove(parts)
    elseif part ~= "." then
      table.insert(parts, part)
    end
  end
  return table.concat(parts, "/")
end

local function target_of(target)
  if target:find "^%a+:" or target:find "^#" then return target end
  local path, fragment = target:match "^([^#]*)(.*)$"
  local file = join(folder, path)
  local root = folder == "" and "" or "../"
  if pages[file] then return root .. pages[file] .. fragment end
  table.insert(sources, file)
  return root .. "source/" .. file
end

local function read_metadata(meta)
  folder = pandoc.utils.stringify(meta.folder)
  pages, sources = {}, {}
  for name, page in pairs(meta.pages) do
    pages[name] = pandoc.utils.stringify(page)
  end
end

-- The files that the page shows or links to, one a line.
local function write_sources(doc)
  local file = assert(io.open(pandoc.utils.stringify(doc.meta.sources), "a"))
  for _, name in ipairs(sources) do file:write(name, "\n") end
  file:close()
end

return {
  {Meta = read_metadata},
  {
    Link = function(link)
      link.target = target_of(link.target)
      return link
    end,
    Image = function(image)
      image.src = target_of(image.src)
      return image
    end,
    Table = function(tab)
      return pandoc.Div({tab}, pandoc.Attr("", {"table"}, {tabindex = "0"}))
    end,
    CodeBlock = function(block)
      block.attributes.tabindex = "0"
      return block
    end,
  },
  {Pandoc = write_sources},
}
