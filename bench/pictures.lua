--- Pictures of results, drawn by gnuplot as SVG, with logarithmic scales.

local child = require "bench.child"
local results = require "bench.results"

local STYLE <const> = [[
set terminal svg size 960,%d font "sans-serif,13" background "white"
set output "%s"
set logscale y
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set key outside top center horizontal
set ylabel "nanoseconds for an operation, log scale"
]]

local HEIGHT <const> = 420

local COLOURS <const> = {
  "#0055aa", "#e69f00", "#56b4e9", "#009e73", "#b0a000", "#d55e00", "#cc79a7",
  "#777777", "#000000", "#aa4499",
}

-- gnuplot's data: a line for each of `list`, a column for each
-- implementation; NaN where there is no figure.
local function data_of(list, names, row_of)
  local text = ""
  for _, item in ipairs(list) do
    local cells = {('"%s"'):format(item)}
    for i, name in ipairs(names) do
      local row = row_of(item, name)
      cells[i + 1] = row and row.min or "NaN"
    end
    text = text .. table.concat(cells, " ") .. "\n"
  end
  return text
end

-- Only those with a figure in the data get a curve.
local function curves(list, names, row_of, format)
  local parts = {}
  for i, name in ipairs(names) do
    for _, item in ipairs(list) do
      local row = row_of(item, name)
      if row and row.min then
        parts[#parts + 1] = format:format(i + 1, name, COLOURS[i])
        break
      end
    end
  end
  return table.concat(parts, ", \\\n  ")
end

local function draw(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local text, status = child.run(child.command("gnuplot", path))
  os.remove(path)
  assert(status == 0, text)
end

local pictures = {}

--- Bars: for each of a list of workloads, one for each implementation.
function pictures.rivals(path, rows, names, list, n)
  local function row_of(workload, name)
    return results.find(rows, workload, n, name)
  end
  draw(STYLE:format(HEIGHT, path) ..
    "$data << END\n" .. data_of(list, names, row_of) .. "END\n" .. [[
set style data histograms
set style histogram clustered gap 1
set style fill solid
set yrange [1:*]
plot ]] .. curves(list, names, row_of,
      '$data using %d:xtic(1) title "%s" linecolor rgb "%s"'))
end

--- Curves: for each of a list of workloads a diagram, from size to size.
function pictures.growth(path, rows, names, list, sizes)
  local script = STYLE:format(HEIGHT, path) ..
    "set logscale x\nset format x '%.0s%c'\nset xlabel 'operations'\n" ..
    ("set xrange [%d:%d]\n"):format(sizes[1], sizes[#sizes]) ..
    ("set multiplot layout 1,%d\n"):format(#list)
  for _, workload in ipairs(list) do
    local function row_of(n, name)
      return results.find(rows, workload, n, name)
    end
    script = script .. ("set title '%s'\n"):format(workload) ..
      ("$%s << END\n"):format(workload) ..
      data_of(sizes, names, row_of) .. "END\n" ..
      "plot " .. curves(sizes, names, row_of, "$" .. workload ..
        " using (real(strcol(1))):%d title '%s' with linespoints " ..
        "linewidth 2 linecolor rgb '%s'") .. "\n"
  end
  draw(script)
end

return pictures
