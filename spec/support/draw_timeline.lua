--- Draws a timeline of cpromise.trace as a picture for the documents: each
--- track as a row, calls light, what they await dark, cancellations as lines.
---
---     draw_timeline.lua TIMELINE >PICTURE.svg

local format = dofile "spec/support/trace_format.lua"

local LEFT, WIDTH, ROW, HEIGHT <const> = 10, 780, 40, 30

local file <close> = assert(io.open((...)))
local events = format.decode(file:read "a")

local last, rows, numbers = 0, {}, {}
for _, event in ipairs(events) do
  last = math.max(last, event.ts)
  if event.ph == "B" and event.tid ~= 1 and not rows[event.tid] then
    numbers[#numbers + 1] = event.tid
    rows[event.tid] = {}
  end
end
table.sort(numbers)

local function x(ts)
  return LEFT + ts / last * WIDTH
end

local escapes = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;"}

local function escape(text)
  return (text:gsub("[&<>]", escapes))
end

-- A span of a row, at its depth, with as much of its name as fits.
local function draw(span, finish, y)
  local left, right = x(span.ts), x(finish)
  local inset = span.cat == "await" and 14 or 0
  local fill = span.cat == "await" and "#b8c9dd" or "#e8eef5"
  local room = math.floor((right - left) / 5.6) - 1
  local name = #span.name <= room and span.name or
    room > 4 and span.name:sub(1, room - 2) .. ".." or ""
  print(('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" ' ..
    'fill="%s" stroke="#5b7795"/>'):format(left, y + inset,
    math.max(right - left, 1), HEIGHT - inset, fill))
  print(('<text x="%.1f" y="%.1f">%s</text>'):format(
    left + 4, y + inset + 11, escape(name)))
end

local tall = #numbers * ROW + 30
print(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 %d" ' ..
  'font-family="sans-serif" font-size="10">'):format(tall))
print(('<rect width="800" height="%d" fill="#ffffff"/>'):format(tall))
local spans = {}
for _, event in ipairs(events) do
  local open = rows[event.tid]
  if open and event.ph == "B" then
    open[#open + 1] = event
  elseif open and event.ph == "E" then
    local span = table.remove(open)
    spans[#spans + 1] = {span, event.ts, #open}
  end
end
table.sort(spans, function(a, b)
  if a[3] ~= b[3] then return a[3] < b[3] end
  return a[1].ts < b[1].ts
end)
for _, span in ipairs(spans) do
  for row, tid in ipairs(numbers) do
    if tid == span[1].tid then draw(span[1], span[2], row * ROW - 35) end
  end
end
for _, event in ipairs(events) do
  if event.ph == "i" then
    print(('<path d="M%.1f 0V%d" stroke="#b03030"/>' ..
      '<text x="%.1f" y="%d" text-anchor="end">%s</text>'):format(
      x(event.ts), tall - 14, x(event.ts), tall - 4, escape(event.name)))
  end
end
print(('<text x="%d" y="%d">0</text>'):format(LEFT, tall - 4))
print(('<text x="%d" y="%d" text-anchor="end">%.0f ms</text>'):format(
  LEFT + WIDTH // 2, tall - 4, last / 2000))
print "</svg>"
