--- Drawing: text, lines and the marks of implementations, as SVG that is
--- readable on a light page and on a dark one.

local svg = {}

--- How wide pictures are. Nothing in them is smaller than 11.
svg.WIDTH = 700

-- Of each implementation: its mark, and its colour in the light and in the
-- dark. No two have the same mark, for those who see no colours.
local LOOKS <const> = {
  ["cpromise"] = {"circle", "#0b5cad", "#6cb6ff"},
  ["pure Lua"] = {"square", "#b35900", "#f0a04b"},
  ["promise-async"] = {"diamond", "#1a7f4b", "#56d364"},
  ["promise.lua"] = {"up", "#8a3ffc", "#c297ff"},
  ["Promise.lua (Ezhik)"] = {"down", "#a6761d", "#d9b44a"},
  ["lua-promises"] = {"plus", "#c2255c", "#ff8cb4"},
  ["V8"] = {"star", "#d1242f", "#ff7b72"},
  ["asyncio"] = {"cross", "#57606a", "#b1bac4"},
  ["luv callbacks"] = {"ring", "#007a87", "#4fd1d9"},
  ["coroutines"] = {"bar", "#5a3e2b", "#d8b79c"},
}

-- The outlines of marks, around 0,0.
local OUTLINES <const> = {
  circle = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
  square = "M-4.5-4.5h9v9h-9z",
  diamond = "M0-6.2L6.2 0L0 6.2L-6.2 0z",
  up = "M0-5.8L5.6 4.4h-11.2z",
  down = "M0 5.8L5.6-4.4h-11.2z",
  plus = "M-1.6-5.5h3.2v3.9h3.9v3.2h-3.9v3.9h-3.2v-3.9h-3.9v-3.2h3.9z",
  star = "M0-6.6L1.6-2L6.4-2L2.5 .9L4 5.6L0 2.8L-4 5.6L-2.5 .9L-6.4-2" ..
    "L-1.6-2z",
  cross = "M0-2.3L3.2-5.5L5.5-3.2L2.3 0L5.5 3.2L3.2 5.5L0 2.3L-3.2 5.5" ..
    "L-5.5 3.2L-2.3 0L-5.5-3.2L-3.2-5.5z",
  ring = "M-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0zM-2.5 0" ..
    "a2.5 2.5 0 1 1 5 0a2.5 2.5 0 1 1-5 0z",
  bar = "M-2-6h4v12h-4z",
}

local STYLE <const> = [[
text { font: 13px sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: bold; }
.small { font-size: 12px; fill: #59636e; }
.tiny { font-size: 11px; fill: #59636e; }
.page { fill: #ffffff; }
.band { fill: #f3f5f8; }
.grid { stroke: #d8dee4; }
.one { stroke: #0b5cad; stroke-width: 2; }
.curve { fill: none; stroke-width: 2; }
]]

local DARK <const> = [[
text { fill: #e6edf3; }
.small, .tiny { fill: #a0aab4; }
.page { fill: #0d1117; }
.band { fill: #161c24; }
.grid { stroke: #30363d; }
.one { stroke: #6cb6ff; }
]]

local ESCAPES <const> = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;"}

local function escape(text)
  return (tostring(text):gsub("[&<>]", ESCAPES))
end

-- A name as a class: letters and hyphens.
local function class_of(name)
  return "of-" .. name:lower():gsub("[^%w]+", "-")
end

-- The colours of all, `which` of the two.
local function colours(which)
  local lines = {}
  for name, look in pairs(LOOKS) do
    lines[#lines + 1] = (".%s { fill: %s; stroke: %s; }\n"):format(
      class_of(name), look[which], look[which])
  end
  table.sort(lines)
  return table.concat(lines)
end

--- A whole picture of parts; `title` is what it shows, in words.
function svg.picture(height, title, parts)
  return ([[
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">
<title>%s</title>
<style>
%s%s@media (prefers-color-scheme: dark) {
%s%s}
</style>
<rect class="page" width="%d" height="%d"/>
%s</svg>
]]):format(svg.WIDTH, height, escape(title), STYLE, colours(2), DARK,
    colours(3), svg.WIDTH, height, table.concat(parts))
end

--- `class` is one of the style's, `anchor` "start", "middle" or "end".
function svg.text(x, y, text, class, anchor)
  return ('<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>\n')
    :format(x, y, class or "", anchor or "start", escape(text))
end

function svg.line(x1, y1, x2, y2, class)
  return ('<path d="M%.1f %.1fL%.1f %.1f" class="%s"/>\n'):format(
    x1, y1, x2, y2, class)
end

function svg.band(y, height)
  return ('<rect class="band" y="%.1f" width="%d" height="%.1f"/>\n'):format(
    y, svg.WIDTH, height)
end

--- The mark of an implementation; `tip` is shown where the mouse points.
function svg.mark(x, y, name, tip)
  return ('<path d="%s" transform="translate(%.1f %.1f)" class="%s" ' ..
    'stroke="none" style="stroke: none"><title>%s</title></path>\n'):format(
    OUTLINES[LOOKS[name][1]], x, y, class_of(name), escape(tip))
end

--- Straight lines from point to point, each a pair.
function svg.curve(points, name)
  local places = {}
  for i, point in ipairs(points) do
    places[i] = ("%.1f %.1f"):format(point[1], point[2])
  end
  return ('<path d="M%s" class="%s curve" style="fill: none"/>\n'):format(
    table.concat(places, "L"), class_of(name))
end

--- What the marks mean, from (x, y) on in as many lines as it needs; returns
--- how far down it goes, too.
function svg.legend(x, y, names)
  local parts, at = {}, x
  for _, name in ipairs(names) do
    local width = 28 + 7 * #name
    if at + width > svg.WIDTH then at, y = x, y + 20 end
    parts[#parts + 1] = svg.mark(at + 6, y - 4, name, name) ..
      svg.text(at + 16, y, name)
    at = at + width
  end
  return table.concat(parts), y
end

return svg
