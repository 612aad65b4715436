--- Results of measuring, kept and shown.
---
--- A row is one workload of one size in one implementation: `workload`, `n`,
--- `implementation`, `min` and `median` in nanoseconds for an operation,
--- `bytes` if they are known; or `failure` instead, in words; `rounds` is how
--- many processes that was.

local FILE <const> = "build/bench/results.tsv"
local FIELDS <const> = {
  "workload", "n", "implementation", "min", "median", "bytes", "failure",
  "rounds",
}

local results = {}

local function median(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then return sorted[middle + 1] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

--- The rows of cells that bench/run.lua has measured.
function results.of(cells)
  local rows = {}
  for _, cell in ipairs(cells) do
    if not cell.absent then
      table.sort(cell.ns)
      rows[#rows + 1] = {
        workload = cell.workload.name,
        n = cell.n,
        implementation = cell.implementation.name,
        min = not cell.failure and cell.ns[1] or nil,
        median = not cell.failure and median(cell.ns) or nil,
        bytes = cell.bytes,
        failure = cell.failure,
        rounds = #cell.ns,
      }
    end
  end
  return rows
end

function results.save(rows)
  local file <close> = assert(io.open(FILE, "w"))
  for _, row in ipairs(rows) do
    local line = {}
    for i, field in ipairs(FIELDS) do
      line[i] = tostring(row[field] or ""):gsub("%s", " ")
    end
    file:write(table.concat(line, "\t"), "\n")
  end
end

function results.load()
  local rows = {}
  for line in io.lines(FILE) do
    local row, i = {}, 0
    for text in (line .. "\t"):gmatch "([^\t]*)\t" do
      i = i + 1
      row[FIELDS[i]] = text ~= "" and (tonumber(text) or text) or nil
    end
    rows[#rows + 1] = row
  end
  return rows
end

--- The row of a workload in an implementation, nil if there is none.
function results.find(rows, workload, n, implementation)
  for _, row in ipairs(rows) do
    if row.workload == workload and row.n == n and
      row.implementation == implementation then
      return row
    end
  end
end

--- How many times as long as cpromise a row took, in the same run.
function results.ratio(rows, row)
  local ours = results.find(rows, row.workload, row.n, "cpromise")
  return ours and ours.min and row.min and row.min / ours.min
end

local function show(format, number)
  return number and format:format(number) or ""
end

function results.print(rows)
  local title
  for _, row in ipairs(rows) do
    local new_title = ("%s, %d"):format(row.workload, row.n)
    if new_title ~= title then
      title = new_title
      print(("%-24s%12s%12s%10s%8s"):format(
        title, "minimum ns", "median ns", "bytes", "ratio"))
    end
    if row.failure then
      print(("  %-22s  %s"):format(row.implementation, row.failure))
    else
      print(("  %-22s%12.0f%12.0f%10s%8s"):format(row.implementation,
        row.min, row.median, show("%.0f", row.bytes),
        show("%.2f", results.ratio(rows, row))))
    end
  end
end

return results
