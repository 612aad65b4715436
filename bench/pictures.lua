--- Pictures of results: how the rivals stand to cpromise, and how time grows
--- with the number of operations.

local results = require "bench.results"
local svg = require "bench.svg"

local pictures = {}

-- Where a number stands between two others, on a logarithmic scale from
-- `first` to `last`.
local function scale(low, high, first, last)
  return function(number)
    return first + (last - first) *
      math.log(number / low) / math.log(high / low)
  end
end

-- The powers of ten around what there is.
local function decades(numbers)
  local low, high = math.huge, -math.huge
  for _, number in ipairs(numbers) do
    low, high = math.min(low, number), math.max(high, number)
  end
  return 10.0 ^ (math.log(low, 10) // 1), 10.0 ^ -(-math.log(high, 10) // 1)
end

-- Those of the names that `drawn` has.
local function in_order(names, drawn)
  local list = {}
  for _, name in ipairs(names) do
    if drawn[name] then list[#list + 1] = name end
  end
  return list
end

-- Ratios

local LEFT <const>, RIGHT <const> = 250, svg.WIDTH - 24
local ROW <const>, APART <const> = 38, 11

-- The rivals' ratios in a workload, from left to right.
local function ratios_of(rows, names, workload, n)
  local list = {}
  for _, name in ipairs(names) do
    local row = results.find(rows, workload.name, n, name)
    local ratio = row and results.ratio(rows, row)
    if ratio and name ~= "cpromise" then
      list[#list + 1] = {name = name, ratio = ratio}
    end
  end
  table.sort(list, function(a, b) return a.ratio < b.ratio end)
  return list
end

-- Marks that would hide one another stand above and below the middle.
local LEVELS <const> = {0, -APART, APART}

-- The first level with room at x, or else the one with the most; `taken` has
-- where the last mark stands on each.
local function level_at(x, taken)
  local best, most = nil, -1
  for _, level in ipairs(LEVELS) do
    local room = x - (taken[level] or -math.huge)
    if room >= APART then return level end
    if room > most then best, most = level, room end
  end
  return best
end

local function marks(list, x, y)
  local parts, taken = {}, {}
  for i, rival in ipairs(list) do
    local at = x(rival.ratio)
    local level = level_at(at, taken)
    taken[level] = at
    parts[i] = svg.mark(at, y + level, rival.name,
      ("%s: %.2g times as long"):format(rival.name, rival.ratio))
  end
  return table.concat(parts)
end

local function ratio_text(ratio)
  if ratio == 1 then return "same time" end
  if ratio < 1 then return ("1/%.0f"):format(1 / ratio) end
  return ("%.0f×"):format(ratio)
end

--- Of each workload, how many times as long as cpromise the others take, as
--- marks on a line: a picture, as text.
function pictures.rivals(rows, names, workloads, n)
  local lists, all, drawn = {}, {1}, {}
  for i, workload in ipairs(workloads) do
    lists[i] = ratios_of(rows, names, workload, n)
    for _, rival in ipairs(lists[i]) do
      all[#all + 1], drawn[rival.name] = rival.ratio, true
    end
  end
  local low, high = decades(all)
  local x = scale(low, high, LEFT, RIGHT)
  local title = "How long others take, compared with cpromise"
  local legend, y = svg.legend(12, 72, in_order(names, drawn))
  local parts = {
    svg.text(12, 26, title, "title"),
    svg.text(12, 47, "Further left is faster. The blue line is cpromise, " ..
      "whose own time stands beside each name.", "small"),
    legend,
  }
  local function add(part) parts[#parts + 1] = part end

  local top = y + 52
  add(svg.text(x(1) - 10, y + 28, "← faster than cpromise", "small", "end"))
  add(svg.text(x(1) + 10, y + 28, "slower than cpromise →", "small"))
  local bottom = top + ROW * #workloads
  for i = 1, #workloads, 2 do add(svg.band(top + ROW * (i - 1), ROW)) end
  local ratio = low
  while ratio <= high * 1.01 do
    add(svg.line(x(ratio), top, x(ratio), bottom, "grid"))
    add(svg.text(x(ratio), top - 6, ratio_text(ratio), "tiny", "middle"))
    ratio = ratio * 10
  end
  add(svg.line(x(1), top, x(1), bottom, "one"))
  for i, workload in ipairs(workloads) do
    local middle = top + ROW * (i - 0.5)
    local ours = results.find(rows, workload.name, n, "cpromise")
    add(svg.text(12, middle - 3, ("%s, %.0f ns"):format(
      workload.name, ours.min)))
    add(svg.text(12, middle + 12, workload.about, "tiny"))
    add(marks(lists[i], x, middle))
  end
  return svg.picture(bottom + 14, title, parts)
end

-- Growth

local MARGIN <const>, AXIS <const>, TALL <const> = 14, 56, 260

local function time_text(ns)
  if ns < 1000 then return ("%.0f ns"):format(ns) end
  if ns < 1000000 then return ("%.0f µs"):format(ns / 1000) end
  return ("%.0f ms"):format(ns / 1000000)
end

local function count_text(n)
  if n < 1000 then return ("%d"):format(n) end
  if n < 1000000 then return ("%d,000"):format(n // 1000) end
  return n == 1000000 and "a million" or ("%d million"):format(n // 1000000)
end

-- The points of a workload in an implementation, in the order of sizes.
local function points_of(rows, name, workload, sizes)
  local points = {}
  for _, n in ipairs(sizes) do
    local row = results.find(rows, workload, n, name)
    if row and row.min then points[#points + 1] = {n, row.min} end
  end
  return points
end

-- A diagram of one workload: axes, and the curves.
local function diagram(panel, curves, sizes, low, high)
  local parts = {}
  local function add(part) parts[#parts + 1] = part end
  local x = scale(sizes[1], sizes[#sizes], panel.left, panel.right - 8)
  local y = scale(low, high, panel.bottom, panel.top)
  add(svg.text(panel.left, panel.top - 12, panel.title))
  local ns = low
  while ns <= high * 1.01 do
    add(svg.line(panel.left, y(ns), panel.right, y(ns), "grid"))
    add(svg.text(panel.left - 6, y(ns) + 4, time_text(ns), "tiny", "end"))
    ns = ns * 10
  end
  for i, n in ipairs(sizes) do
    add(svg.text(x(n), panel.bottom + 18, count_text(n), "tiny",
      i == 1 and "start" or i == #sizes and "end" or "middle"))
  end
  for _, curve in ipairs(curves) do
    local places = {}
    for i, point in ipairs(curve.points) do
      places[i] = {x(point[1]), y(point[2])}
    end
    add(svg.curve(places, curve.name))
    for i, point in ipairs(curve.points) do
      add(svg.mark(places[i][1], places[i][2], curve.name,
        ("%s: %.0f ns"):format(curve.name, point[2])))
    end
  end
  return table.concat(parts)
end

--- For each workload a diagram: what one operation takes, from size to size.
--- A picture, as text.
function pictures.growth(rows, names, workloads, sizes)
  local panels, all, drawn = {}, {}, {}
  for i, workload in ipairs(workloads) do
    panels[i] = {}
    for _, name in ipairs(names) do
      local points = points_of(rows, name, workload.name, sizes)
      for _, point in ipairs(points) do all[#all + 1] = point[2] end
      if #points > 0 then
        table.insert(panels[i], {name = name, points = points})
        drawn[name] = true
      end
    end
  end
  local low, high = decades(all)
  local title = "Time for one operation, when there are more of them"
  local legend, y = svg.legend(12, 72, in_order(names, drawn))
  local parts = {
    svg.text(12, 26, title, "title"),
    svg.text(12, 47, "Lower is faster. A level line means that each of " ..
      "many operations takes as long as each of few.", "small"),
    legend,
  }
  local top = y + 48
  local wide = (svg.WIDTH - 12) // #workloads
  for i, workload in ipairs(workloads) do
    parts[#parts + 1] = diagram({
      title = workload.name .. ": " .. workload.about,
      left = AXIS + wide * (i - 1), right = wide * i - MARGIN,
      top = top, bottom = top + TALL,
    }, panels[i], sizes, low, high)
  end
  parts[#parts + 1] = svg.text(svg.WIDTH / 2, top + TALL + 40,
    "number of operations", "small", "middle")
  return svg.picture(top + TALL + 52, title, parts)
end

return pictures
