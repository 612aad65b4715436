--- Breaks the core in one place after another (list.lua) and looks whether
--- the specs notice. `make mutants` runs it:
---
---     run.lua [pattern]    all of them, or those whose names match, two at a
---                          time (JOBS); prints what noticed each one
---     run.lua -- number    one of them, in build/mutants/number
---
--- A mutant that no spec notices is a gap in the specs. A failed spec, a
--- crash and a run out of time all notice. The core is built without its
--- assertions first, since users have it so; where only a build with them
--- notices, the result says so. Mutant 0 breaks nothing.

local mutants = require "spec.mutants.list"
mutants[0] = {"none", "module.c", "CP_EXPORT int", "CP_EXPORT int"}

local compiler = os.getenv "CC" or "cc"
local include = os.getenv "LUA_INCDIR" or "/usr/include/lua5.4"
local busted = os.getenv "BUSTED" or "/usr/bin/busted"
local interpreter = arg[-1]
local limit = 20 -- seconds of processor time for a spec

local builds = {
  {name = "release", flags = "-O1 -DNDEBUG"},
  {name = "assertions", flags = "-O1"},
}

local function sh(command, ...)
  return os.execute(command:format(...))
end

local function must(command, ...)
  command = command:format(...)
  assert(os.execute(command), command)
end

local function read(name)
  local file = assert(io.open(name))
  return file:read "a", file:close()
end

local function write(name, text)
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
end

local function lines(command)
  local list = {}
  local pipe <close> = assert(io.popen(command))
  for line in pipe:lines() do list[#list + 1] = line end
  return list
end

--- The text of its file with the mutant's change.
local function mutate(mutant)
  local name, file, from, to = table.unpack(mutant, 1, 4)
  local text = read("csrc/" .. file)
  local first, last = text:find(from, 1, true)
  if not first then error(name .. ": its text is not in " .. file, 0) end
  if text:find(from, first + 1, true) then
    error(name .. ": its text is more than once in " .. file, 0)
  end
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

local function compile(flags, source, object)
  must("%s -std=c99 -fPIC -w %s -I%s -c -o %s %s", compiler, flags, include,
    object, source)
end

--- The objects of the core as it is, in build/mutants/<build>.
local function build_core(build)
  local dir = "build/mutants/" .. build.name
  must("mkdir -p %s", dir)
  for _, source in ipairs(lines "ls csrc/*.c") do
    compile(build.flags, source, dir .. "/"
      .. source:match "([^/]*)%.c$" .. ".o")
  end
end

--- The mutant's module, in dir/cpromise. A header is in all objects.
local function build_mutant(build, dir, mutant)
  must("rm -rf %s && mkdir -p %s/cpromise %s/csrc && cp csrc/*.h %s/csrc",
    dir, dir, dir, dir)
  local file = mutant[2]
  write(dir .. "/csrc/" .. file, mutate(mutant))
  local is_header = file:find "%.h$"
  if is_header then must("cp csrc/*.c %s/csrc", dir) end
  must("cp build/mutants/%s/*.o %s", build.name, dir)
  for _, source in ipairs(is_header and lines "ls csrc/*.c" or {file}) do
    local name = source:match "([^/]*)%.c$"
    compile(build.flags, ("%s/csrc/%s.c"):format(dir, name),
      ("%s/%s.o"):format(dir, name))
  end
  must("%s -shared -o %s/cpromise/core.so %s/*.o", compiler, dir, dir)
end

local function exists(name)
  local file = io.open(name)
  return file and file:close()
end

--- All specs, those of the mutant first; the slow ones and those that need
--- no core last.
local function order_specs(mutant)
  local order, seen = {}, {}
  local function add(name)
    if not seen[name] then order[#order + 1] = name end
    seen[name] = true
  end
  for topic in (mutant.specs or ""):gmatch "%S+" do
    local name = ("spec/%s_spec.lua"):format(topic)
    if not exists(name) then name = "spec/aplus/" .. topic .. "_spec.lua" end
    assert(exists(name), name)
    add(name)
  end
  local last = {
    "gc", "memory", "abuse", "model", "random_order", "scope_trees", "soak",
    "luv", "linecount", "examples", "documents", "mutants",
  }
  for _, name in ipairs(last) do
    last[("spec/%s_spec.lua"):format(name)] = true
  end
  for _, want in ipairs {false, true} do
    for _, name in ipairs(lines "find spec -name '*_spec.lua' | sort") do
      if (last[name] or false) == want then add(name) end
    end
  end
  return order
end

--- The first spec that fails, and how.
local function find_witness(dir, mutant)
  for _, spec in ipairs(order_specs(mutant)) do
    local ok, how, code = sh("ulimit -t %d; ulimit -v 4000000; "
      .. "LUA_PATH_5_4='lua/?.lua;lua/?/init.lua;./?.lua;;' "
      .. "LUA_CPATH_5_4='%s/?.so;build/?.so;;' SCALE=0.01 "
      .. "timeout -s KILL %d %s %s -o TAP %s >%s/out 2>&1 </dev/null",
      limit, dir, 2 * limit, interpreter, busted, spec, dir)
    if not ok then
      local test = read(dir .. "/out"):match "\nnot ok %d+ %- ([^\n]*)"
        or ("%s %d"):format(how, code)
      return spec, test
    end
  end
end

--- Try one mutant; leave a line in build/mutants/<number>.
local function try(number)
  local mutant = mutants[number]
  local result = ("build/mutants/%d.txt"):format(number)
  local verdict = "survived"
  for _, build in ipairs(builds) do
    local dir = ("build/mutants/%d"):format(number)
    build_mutant(build, dir, mutant)
    local spec, test = find_witness(dir, mutant)
    sh("rm -rf %s", dir)
    -- A failed assertion wouldn't tell more of what changes no behaviour.
    if not spec and mutant.equivalent then break end
    if spec then
      verdict = ("%s %s: %s"):format(build.name, spec, test)
      break
    end
  end
  write(result, verdict)
end

--- What `try` has left, or an error where it could not build.
local function read_result(number)
  local name = ("build/mutants/%d.txt"):format(number)
  if not exists(name) then error(mutants[number][1] .. ": no result", 0) end
  return (read(name))
end

local function report(numbers)
  local noticed, wrong = 0, 0
  local only_assertions = 0
  for _, number in ipairs(numbers) do
    local mutant = mutants[number]
    local verdict = read_result(number)
    local build, witness = verdict:match "^(%S+) (.*)$"
    local expected = not witness == (mutant.equivalent ~= nil or number == 0)
    if number > 0 and witness then noticed = noticed + 1 end
    if build == "assertions" then only_assertions = only_assertions + 1 end
    if not expected then wrong = wrong + 1 end
    print(("%-9s %s"):format(
      number == 0 and (witness and "BROKEN" or "base")
        or witness and (expected and "noticed" or "NOTICED")
        or expected and "alike" or "SURVIVED", mutant[1]))
    if witness then
      print(("            %s%s"):format(witness, build == "assertions"
        and " (only with assertions)" or ""))
    elseif mutant.equivalent then
      print(("            %s"):format(mutant.equivalent))
    end
  end
  local total, alike = #numbers - 1, 0
  for _, number in ipairs(numbers) do
    if mutants[number].equivalent then alike = alike + 1 end
  end
  print(("%d mutants: %d noticed (%d only by assertions), %d change no "
    .. "behaviour, %d wrong"):format(total, noticed, only_assertions, alike,
    wrong))
  return wrong == 0
end

if arg[1] == "--" then
  try(math.tointeger(arg[2]))
  os.exit(true)
end

local pattern = arg[1] or ""
local numbers = {0}
for number, mutant in ipairs(mutants) do
  mutate(mutant) -- tells at once what stands nowhere any more
  if mutant[1]:find(pattern, 1, pattern == "") then
    numbers[#numbers + 1] = number
  end
end
must "rm -rf build/mutants"
for _, build in ipairs(builds) do build_core(build) end
sh("printf '%%s\\n' %s | xargs -n 1 -P %s %s %s --",
  table.concat(numbers, " "), os.getenv "JOBS" or "2", interpreter, arg[0])
os.exit(report(numbers))
