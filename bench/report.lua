--- Writes docs/benchmarks.md and its pictures from the last measurement
--- (bench/run.lua report), and from the counts that are kept.
---
---   lua5.4 bench/report.lua [NOTE]
---
--- NOTE is a sentence about this measurement, for the page.

local instructions = require "bench.instructions"
local pictures = require "bench.pictures"
local results = require "bench.results"
local versions = require "bench.versions"
local workloads = require "bench.workloads"

local COUNTS <const> = "bench/instructions.txt"
local N <const>, MANY <const> = 10000, 1000000
local SIZES <const> = {1000, 10000, 100000, 1000000}

-- The workloads of the pictures.
local CHOSEN <const> = {
  "new", "chain", "fan-out", "step", "all", "await", "async", "throw",
  "delay", "timeout", "select", "map",
}
local GROWTH <const> = {"chain", "all"}

local rows = results.load()
local note = arg[1] ~= "" and arg[1] or nil

-- Names of the measured implementations, in order.
local function names_of_implementations()
  local names, seen = {}, {}
  for _, row in ipairs(rows) do
    if not seen[row.implementation] then
      seen[row.implementation] = true
      names[#names + 1] = row.implementation
    end
  end
  return names
end

local names = names_of_implementations()

-- Tables

local function line(cells)
  return "| " .. table.concat(cells, " | ") .. " |\n"
end

local function head(titles)
  return line {"", table.unpack(titles)} ..
    "|---|" .. ("---:|"):rep(#titles) .. "\n"
end

local function title_of(workload)
  return "`" .. workload.name .. "` " .. workload.about
end

-- The implementations that were measured in one of the workloads.
local function names_of(list, n)
  local found = {}
  for _, name in ipairs(names) do
    for _, workload in ipairs(list) do
      if results.find(rows, workload.name, n, name) then
        found[#found + 1] = name
        break
      end
    end
  end
  return found
end

-- A table with a column for each of them; fill(row) gives the text.
local function table_of(list, n, fill)
  local columns = names_of(list, n)
  local text = head(columns)
  for _, workload in ipairs(list) do
    local cells = {title_of(workload)}
    for i, name in ipairs(columns) do
      local row = results.find(rows, workload.name, n, name)
      cells[i + 1] = row and fill(row) or ""
    end
    text = text .. line(cells)
  end
  return text
end

local function times(ratio)
  return ((ratio < 9.95 and "%.2g×" or "%.0f×"):format(ratio))
end

local function time_cell(row)
  if row.failure then return "fails" end
  local ratio = results.ratio(rows, row)
  local text = ("%.0f"):format(row.min)
  if row.implementation == "cpromise" or not ratio then return text end
  return ("%s (%s)"):format(text, times(ratio))
end

local function bytes_cell(row)
  if row.failure then return "fails" end
  return row.bytes and ("%.0f"):format(row.bytes) or ""
end

-- The flows; or of the other workloads those that hold what they make, or
-- those that don't.
local function that_are(flow, holds)
  local list = {}
  for _, workload in ipairs(workloads) do
    if (workload.flow or false) == flow and
      (workload.holds or false) == holds then
      list[#list + 1] = workload
    end
  end
  return list
end

local function failures()
  local text, seen = "", {}
  for _, row in ipairs(rows) do
    local key = row.workload .. row.implementation
    if row.failure and not seen[key] then
      seen[key] = true
      text = ("%s- %s, `%s`, %d: `%s`\n"):format(
        text, row.implementation, row.workload, row.n, row.failure)
    end
  end
  return text == "" and "Nothing failed.\n" or text
end

-- What cpromise takes for few and for many, and V8 for many.
local function growth()
  local text = head {
    ("cpromise, %d"):format(N), ("cpromise, %d"):format(MANY), "growth",
    ("V8, %d"):format(MANY),
  }
  for _, workload in ipairs(workloads) do
    local few = results.find(rows, workload.name, N, "cpromise")
    local many = results.find(rows, workload.name, MANY, "cpromise")
    local v8 = results.find(rows, workload.name, MANY, "V8")
    if few and many then
      text = text .. line {
        title_of(workload), time_cell(few), time_cell(many),
        times(many.min / few.min), v8 and time_cell(v8) or "",
      }
    end
  end
  return text
end

-- The slope of a straight line through points, each a pair.
local function slope(points)
  local n, x, y, xx, xy = #points, 0, 0, 0, 0
  for _, point in ipairs(points) do
    x, y = x + point[1], y + point[2]
    xx, xy = xx + point[1] ^ 2, xy + point[1] * point[2]
  end
  return (n * xy - x * y) / (n * xx - x ^ 2)
end

-- What cpromise takes for a flow in each size, and the exponent of it all.
local function exponents()
  local titles = {}
  for i, n in ipairs(SIZES) do titles[i] = n end
  titles[#titles + 1] = "exponent"
  local text = head(titles)
  for _, workload in ipairs(that_are(true, false)) do
    local cells, points = {title_of(workload)}, {}
    for i, n in ipairs(SIZES) do
      local row = results.find(rows, workload.name, n, "cpromise")
      cells[i + 1] = row and time_cell(row) or ""
      if row and row.min then
        points[#points + 1] = {math.log(n), math.log(row.min * n)}
      end
    end
    cells[#SIZES + 2] = #points > 1 and ("%.2f"):format(slope(points)) or ""
    text = text .. line(cells)
  end
  return text
end

-- What a job adds to a turn of the loop.
local function latency()
  local promises = results.find(rows, "loop-turn", N, "cpromise")
  local callbacks = results.find(rows, "loop-turn", N, "luv callbacks")
  if not promises or not callbacks then return "" end
  return ([[
A turn of luv's loop takes %.0f ns more with a promise than with a bare
callback. That is the latency of a job, with making its promise and timer; it
runs in the turn in which the promise is resolved.
]]):format(promises.min - callbacks.min)
end

local function counts()
  local kept = instructions.read(COUNTS)
  local text = head {"instructions"}
  for _, workload in ipairs(workloads) do
    local count = kept[workload.name]
    if count then text = text .. line {title_of(workload), count} end
  end
  return text
end

local function listed(tools)
  local words = {}
  for _, tool in ipairs(tools) do
    if tool[2] then words[#words + 1] = table.concat(tool, " ") end
  end
  return table.concat(words, ", ")
end

-- The page

local PAGE <const> = [[
# Benchmarks

Written by `make bench-report` on %s. %s. %s.%s

![How many times as long as cpromise others take, by workload](benchmarks.svg)

## Time

Nanoseconds for one operation, the minimum of %s, each a process, and in
brackets how many times as long as cpromise it took, in the same run. It is
CPU time, of all threads, and collecting all the garbage is in it: V8's
collector has threads of its own, and a best moment would show none of what
they do. A process does %d operations at a time, once to warm up, and then
as often as fits into 0.1 s; `bench/workloads.lua` has the loops.

%s
Where there is nothing, the rival lacks the function. asyncio's futures derive
no promise from a callback, so two of its workloads do that by hand; its
`await` of a future that is done doesn't wait for a turn, nor does that of
Promise.lua (Ezhik).

%s
100,000 timers at once:

%s
%s
## Flows

What programs are made of: time, what is shared, many at once, a whole
request. The figures mean the same; `bench/flows.lua` has the loops.

%s
None of the rivals does the same, and each is measured as it is.
"coroutines" is `bench/rivals/coroutines.lua`, plain coroutines by hand: no
promises, no errors, no cancelling, no checks, and what is free comes without
waiting for a turn. luv's callbacks are its bare timers. Node has a delay as a
promise; the rest, in `bench/rivals/flows.js`, is by hand in the usual few
lines, and none of it can be cancelled: what loses a `select` or comes too
late goes on. Of asyncio it is what comes with it: `sleep`, `wait_for`,
`Semaphore`, `Queue`, `Event`, `gather`, `TaskGroup`, `as_completed`, `wait`.
There each `wait_for`, and each element of `map`, is a task, and a permit or
place that is free comes without a turn, too. Node has no scopes, and asyncio
no channel without room.

## Growth

Nanoseconds for one operation where there are more of them, as often as fits
into 0.5 s, the minimum of %s; in brackets how many times as long
as cpromise it took. A million objects that live at once fit into no
processor's cache, and V8's collector has to copy them. On a machine that does
other work as well a difference of a third means little, one of instructions
does.

%s
![Time for one operation, by the number of them](benchmarks-growth.svg)

Of each flow, nanoseconds for one operation by the number of them, and the
exponent of the time for all: the slope of a straight line through the
logarithms of both. 1 is twice the time for twice the operations, 2 would be
four times. What is above 1.05 is memory outside of the caches: from 10,000 to
100,000 operations the instructions for one grew by 7 %% at most.

%s
## Memory

What one operation asks for, in bytes, with nothing collected meanwhile:

%s
%s
What is held of %d, in bytes for each:

%s
## Instructions

Of cpromise, for one operation, as callgrind counts them: what 10,000 to
20,000 operations take more than 1,000 do, without preparing them. What takes
time is counted on the virtual clock. Two counts of one build differ by less
than one percent, so this is what compares versions: the counts are those in
`bench/instructions.txt`, and CI fails where one grows by more than 3 %%.

%s
## How to measure

```sh
make bench                       # everything, in under ten minutes
make bench BENCH='^chain$'       # some of it
make bench-full                  # from 1,000 to 1,000,000 operations
make bench-count                 # instructions of all workloads
make bench-growth                # instructions for few and for many
make bench-report                # this page
RIVALS=folder make bench         # with other libraries for Lua
```

All of them install what they need and the machine lacks, through apt;
`DEPS=no` leaves that out. Node and Python are measured if they are there. So
are, in the folder that `RIVALS` names, clones of
[promise-async](https://github.com/kevinhwang91/promise-async),
[promise.lua](https://github.com/Billiam/promise.lua),
[lua-promises](https://github.com/zserge/lua-promises) and
[Promise.lua](https://github.com/SilverEzhik/Promise.lua). "pure Lua" is
`bench/rivals/pure.lua`, a promise as thrifty as ECMAScript's order allows,
which does less than cpromise.

A proxy, a Redis client and a folder of files, with luv's layer and with node:
[benchmarks-uv.md](benchmarks-uv.md).
]]

-- How many rounds there were with so many operations.
local function rounds_of(n)
  local rounds = results.find(rows, "chain", n, "cpromise").rounds
  return rounds == 1 and "one round" or rounds .. " rounds"
end

local function page()
  local loops, flows = that_are(false, false), that_are(true, false)
  return PAGE:format(os.date "%Y-%m-%d", versions.processor(),
    listed(versions.tools()) .. ", " .. listed(versions.rivals()),
    note and "\n\n" .. note or "", rounds_of(N), N,
    table_of(loops, N, time_cell), failures(),
    table_of({workloads.timers}, 100000, time_cell), latency(),
    table_of(flows, N, time_cell),
    rounds_of(MANY), growth(), exponents(),
    table_of(loops, N, bytes_cell), table_of(flows, N, bytes_cell),
    MANY, table_of(that_are(false, true), MANY, bytes_cell),
    counts())
end

local function named(list)
  local found = {}
  for i, name in ipairs(list) do
    for _, workload in ipairs(workloads) do
      if workload.name == name then found[i] = workload end
    end
  end
  return found
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

write("docs/benchmarks.svg",
  pictures.rivals(rows, names, named(CHOSEN), N))
write("docs/benchmarks-growth.svg",
  pictures.growth(rows, names, named(GROWTH), SIZES))
write("docs/benchmarks.md", page())
