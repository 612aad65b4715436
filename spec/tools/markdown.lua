--- What checks and generators must know of a document in Markdown: headings
--- and their anchors, links, code blocks, and the prose without code.

local markdown = {}

--- The anchor that GitHub gives to a heading: small letters, hyphens for
--- blanks, no punctuation.
---@param heading string
---@return string
function markdown.slug(heading)
  local text = heading:gsub("%[([^%]]*)%]%([^)]*%)", "%1"):lower()
  return (text:gsub("[^%w%s_\128-\255-]", ""):gsub("%s", "-"))
end

--- A function that gives the anchors of the headings of one page: the second
--- heading of the same text gets `-1`, the third `-2`.
---@return fun(heading: string): string
function markdown.new_anchors()
  local count = {}
  return function(heading)
    local slug = markdown.slug(heading)
    local n = count[slug]
    count[slug] = (n or 0) + 1
    return n and slug .. "-" .. n or slug
  end
end

-- Links and images in a line without code.
local function find_links(line, number, links)
  for target in line:gmatch "%]%(([^)%s]*)[^)]*%)" do
    table.insert(links, {target = target, line = number})
  end
  for target in line:gmatch '%f[%w]src="([^"]*)"' do
    table.insert(links, {target = target, line = number})
  end
  for target in line:gmatch '%f[%w]srcset="([^"]*)"' do
    table.insert(links, {target = target, line = number})
  end
end

--- Read a document: `headings` (`level`, `text`, `anchor`, `line`), `links`
--- (`target`, `line`), `blocks` of code (`language`, `line`), and `prose`
--- (`text`, `line`): the lines that are no code, without code in them.
---@param text string
---@return table
function markdown.read(text)
  local page = {headings = {}, links = {}, blocks = {}, prose = {}}
  local anchor_of = markdown.new_anchors()
  local number, fence, was_blank = 0, nil, true
  local in_indented = false
  local function add_prose(line)
    local level, heading = line:match "^(#+) +(.-)%s*$"
    if level then
      local plain = heading:gsub("`", "")
      table.insert(page.headings, {
        level = #level, text = plain, anchor = anchor_of(plain),
        line = number,
      })
    end
    local bare = line:gsub("`[^`]*`", "``")
    find_links(bare, number, page.links)
    table.insert(page.prose, {text = bare, line = number})
  end
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local mark, language = line:match "^%s*(```+)%s*(%S*)"
    local is_indented = line:find "^    " and (was_blank or in_indented)
    if fence then
      if mark and #mark >= #fence and language == "" then fence = nil end
    elseif mark then
      fence = mark
      table.insert(page.blocks, {language = language, line = number})
    elseif not is_indented then
      add_prose(line)
    end
    in_indented = is_indented and not fence
    was_blank = line:find "^%s*$" ~= nil
  end
  page.is_open = fence ~= nil
  return page
end

return markdown
