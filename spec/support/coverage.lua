--- Judges what gcov counted: run by .ci/coverage.
---
---     coverage.lua GCOV LIST
---
--- GCOV is the output of `gcov -b -c -t` for each object file; a header has
--- a part in each of them, and what one reaches is reached. LIST says which
--- lines and branches are known not to be, in paragraphs of
---
---     file.c: function: [n of] the line of code
---       why
---
--- where n is the number of its branches that are not reached (1 unless it
--- says more), or 0 if the line itself is not. So a line that only moves
--- needs no change there. What such a branch leads to is not listed: lines
--- that are not reached either, right after it. Nor is a branch at which a
--- comment names a finalizer, on its line or the next one: whether a spec
--- comes to it depends on when the collector runs.

local gcov, list = ...

-- Of lines that depend on when a finalizer runs, the keys.
local by_chance = {}

local function trim(s)
  return s:match "^%s*(.-)%s*$"
end

--- What a list keys its entries by.
local function key(file, func, text)
  return ("%s: %s: %s"):format(file, func, text)
end

--- Files in order: {name=, lines={[number]={key=, reached=, n=, branches=}}},
--- where n counts the branches and `branches` tells which are reached.
local function read_gcov(name)
  local files, order = {}, {}
  local file, func, line, last
  for text in io.lines(name) do
    local source = text:match "^%s*%-:%s+0:Source:(.*)$"
    local count, number, code = text:match "^%s*(%S+):%s*(%d+):(.*)$"
    if source then
      -- Lua's headers are not ours.
      file = source:match "csrc/(.*)$"
      if file and not files[file] then
        files[file] = {name = file, lines = {}}
        order[#order + 1] = files[file]
      end
      func, line = "", nil
    elseif not file then
      line = nil
    elseif text:find "^function " then
      func = text:match "^function (%S+)"
    elseif count and number ~= "0" then
      local lines = files[file].lines
      number = math.tointeger(number)
      if code:find("finalizer", 1, true) then
        by_chance[key(file, func, trim(code))] = true
        if last then by_chance[last] = true end
      end
      last = key(file, func, trim(code))
      line = lines[number]
      if count == "-" then
        line = nil
      elseif not line then
        line = {key = key(file, func, trim(code)), branches = {}, n = 0}
        lines[number] = line
      end
      if line then
        line.reached = line.reached or not count:find "^[#=]"
      end
    elseif line and text:find "^branch " then
      local index, taken = text:match "^branch%s+(%d+) taken (%d+)"
      index = index or text:match "^branch%s+(%d+)"
      if line.branches[index] == nil then line.n = line.n + 1 end
      line.branches[index] =
        line.branches[index] or (taken or "0") ~= "0"
    end
  end
  table.sort(order, function(a, b) return a.name < b.name end)
  return order
end

--- {key -> {missed=, why=, at=}}; 'missed' as above.
local function read_list(name)
  local entries, entry = {}, nil
  local number = 0
  for text in io.lines(name) do
    number = number + 1
    if text:find "^%s*#" or not text:find "%S" then
      entry = nil
    elseif text:find "^%s" then
      assert(entry, name .. ":" .. number .. ": a reason of nothing")
      entry.why = (entry.why and entry.why .. " " or "") .. trim(text)
    else
      local head, n, code = text:match "^(%S+: %S+: )(%d) of (.*)$"
      local id = head and head .. code or text
      entry = {missed = math.tointeger(n) or 1, at = number}
      assert(not entries[id], name .. ":" .. number .. ": listed twice")
      entries[id] = entry
    end
  end
  for _, e in pairs(entries) do
    assert(e.why, name .. ":" .. e.at .. ": no reason")
  end
  return entries
end

local total = {lines = 0, lines_hit = 0, branches = 0, branches_hit = 0}
local missed, missed_order = {}, {}

--- Note that n branches of a line (0: the line itself) are not reached.
local function miss(line, n)
  if not missed[line.key] then
    missed_order[#missed_order + 1] = line.key
  end
  missed[line.key] = (missed[line.key] or 0) + n
end

local function percent(n, of)
  return of == 0 and "-" or ("%.1f %%"):format(100 * n / of)
end

local function print_figures(name, sum)
  print(("%-14s %4d lines  %8s   %4d branches  %8s"):format(name, sum.lines,
    percent(sum.lines_hit, sum.lines), sum.branches,
    percent(sum.branches_hit, sum.branches)))
end

for _, file in ipairs(read_gcov(gcov)) do
  local sum = {lines = 0, lines_hit = 0, branches = 0, branches_hit = 0}
  local numbers, implied = {}, false
  for number in pairs(file.lines) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local line = file.lines[number]
    sum.lines = sum.lines + 1
    sum.branches = sum.branches + line.n
    local n = 0
    for _, taken in pairs(line.branches) do n = n + (taken and 0 or 1) end
    sum.branches_hit = sum.branches_hit + line.n - n
    if line.reached then
      sum.lines_hit = sum.lines_hit + 1
      if n > 0 then miss(line, n) end
    elseif not implied then
      miss(line, 0)
    end
    implied = n > 0 or not line.reached
  end
  print_figures(file.name, sum)
  for name, n in pairs(sum) do total[name] = total[name] + n end
end
print_figures("all", total)

local wrong = 0
local function complain(...)
  wrong = wrong + 1
  print((...):format(select(2, ...)))
end

local entries = read_list(list)
for _, id in ipairs(missed_order) do
  local entry = entries[id]
  local n = missed[id]
  if not entry and not by_chance[id] then
    complain("not reached, and not in %s: %s%s", list, id,
      n == 0 and " (the line)" or (" (%d of its branches)"):format(n))
  elseif entry and entry.missed ~= n then
    complain("%s:%d: %d branches are not reached, not %d: %s", list,
      entry.at, n, entry.missed, id)
  end
end
for id, entry in pairs(entries) do
  if not missed[id] then
    complain("%s:%d: is reached, or is no more: %s", list, entry.at, id)
  end
end
print(("%d places are known not to be reached, %d complaints"):format(
  #missed_order, wrong))
os.exit(wrong == 0)
