-- A parallel make: runs the commands of a Makefile, so many at once.
--
--   lua5.4 examples/make.lua [-j N] [-C FOLDER] [-f FILE] [TARGET...]
--
--   -j N       how many targets are made at once (as there are processors)
--   -C FOLDER  where (here)
--   -f FILE    the Makefile in it (Makefile)
--   TARGET     what to make (the first target of the file)
--
-- It knows rules ("target: what it needs", and below that lines of commands
-- that begin with a tab), comments, and that a target is made again if it is
-- older than what it needs. The first command that fails ends all others, and
-- so does Ctrl-C; a target whose commands have not come to their end is
-- removed. Without arguments it makes something of its own, and prints:
--
--   > echo 1 >one
--   > echo 2 >two
--   > cat one two >both
--   > made 3 of 3 targets
--   > made 0 of 3 targets
--   > echo begun >slow; sleep 60
--   > sleep 0.2; exit 3
--   > make: bad: 'sleep 0.2; exit 3' failed with code 3
--   > left: Makefile both one two

local Promise = require "cpromise"
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

-- What the user is told, and no traceback.
local Complaint = {__tostring = function(self) return "make: " .. self[1] end}

local function complain(form, ...)
  error(setmetatable({form:format(...)}, Complaint), 0)
end

-- The rules of a Makefile, by target: {needs = {...}, commands = {...}}; and
-- the first target.
local function parse(text, file)
  local rules, first, rule = {}, nil, nil
  local number = 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local target, rest = line:match "^([^%s:#]+)%s*:([^#]*)"
    if rule and line:find "^\t" then
      table.insert(rule.commands, line:sub(2))
    elseif target then
      rule = {needs = {}, commands = {}}
      for need in rest:gmatch "%S+" do table.insert(rule.needs, need) end
      rules[target], first = rule, first or target
    elseif line:find "^%s*[^%s#]" then
      complain("%s:%d: neither a rule nor a command", file, number)
    end
  end
  return rules, first
end

---@class Build
---@field folder string
---@field rules table<string, {needs: string[], commands: string[]}>
---@field order string[]  all that is needed, each after what it needs itself
---@field done table<string, cpromise.Event>
---@field slots cpromise.Semaphore
---@field made integer  targets whose commands have run
---@field total integer  targets that have commands

-- The targets and all that they need; complains about a circle.
local function in_order(rules, targets)
  local order, state = {}, {}
  local function visit(name)
    if state[name] == "visited" then return end
    if state[name] then complain("%s needs itself", name) end
    state[name] = "visiting"
    for _, need in ipairs(rules[name] and rules[name].needs or {}) do
      visit(need)
    end
    state[name] = "visited"
    order[#order + 1] = name
  end
  for _, name in ipairs(targets) do visit(name) end
  return order
end

-- When a file was changed; nil if it is not there.
local function time_of(build, name)
  local ok, stat = pawait(uv.fs_stat(build.folder .. "/" .. name))
  return ok and stat.mtime.sec + stat.mtime.nsec / 1e9 or nil
end

local function is_stale(build, name, rule)
  local made = time_of(build, name)
  if not made then return true end
  for _, need in ipairs(rule.needs) do
    local changed = time_of(build, need)
    if not changed or changed > made then return true end
  end
  return false
end

-- Run a command. What it prints is printed when it has ended.
local function run(build, name, command)
  print(command)
  local result = await(uv.run_process("sh", {"-c", command},
    {cwd = build.folder, kill = {group = true}}))
  io.write(result.stdout)
  io.stderr:write(result.stderr)
  if result.signal ~= 0 then
    complain("%s: '%s' ended by signal %d", name, command, result.signal)
  elseif result.code ~= 0 then
    complain("%s: '%s' failed with code %d", name, command, result.code)
  end
end

-- For `local _ <close> =`: removes a target that an error has left half made.
local function unless_made(build, name)
  local before = time_of(build, name)
  return setmetatable({}, {__close = function(_, err)
    if err ~= nil and time_of(build, name) ~= before then
      await(uv.fs_unlink(build.folder .. "/" .. name))
    end
  end})
end

local function show_progress(build, name)
  if uv.guess_handle(2) ~= "tty" then return end
  io.stderr:write(("\r\27[K[%d/%d] %s "):format(
    build.made, build.total, name))
end

local function run_commands(build, name, rule)
  local _ <close> = unless_made(build, name)
  show_progress(build, name)
  for _, command in ipairs(rule.commands) do run(build, name, command) end
  build.made = build.made + 1
end

-- Make one target when all that it needs is there.
local function make(build, name)
  local rule = build.rules[name]
  for _, need in ipairs(rule and rule.needs or {}) do
    await(build.done[need]:wait())
  end
  if not rule then
    if not time_of(build, name) then complain("no rule to make %s", name) end
  elseif #rule.commands > 0 and is_stale(build, name, rule) then
    await(build.slots:with(run_commands, build, name, rule))
  end
  build.done[name]:set()
end

-- A promise that is fulfilled when all has been made.
local function make_all(build)
  return Promise.scope(function(scope)
    for _, name in ipairs(build.order) do scope:spawn(make, build, name) end
  end)
end

local function new_build(folder, file, targets, jobs)
  local rules, first = parse(await(uv.read_file(folder .. "/" .. file)), file)
  if not targets[1] then targets = {first} end
  local build = {
    folder = folder, rules = rules, order = in_order(rules, targets),
    done = {}, slots = Promise.semaphore(jobs), made = 0, total = 0,
  }
  for _, name in ipairs(build.order) do
    build.done[name] = Promise.event()
    if rules[name] and #rules[name].commands > 0 then
      build.total = build.total + 1
    end
  end
  return build
end

-- Make targets, unless Ctrl-C comes first. Returns the status of the program.
local function program(folder, file, targets, jobs)
  local interrupt <close> = uv.signal "int"
  local ok, reason = pawait(Promise.spawn(function()
    local build = new_build(folder, file, targets, jobs)
    local what = await(Promise.select {
      made = make_all(build), interrupt = interrupt:receive(),
    })
    if what == "interrupt" then complain "interrupted" end
    print(("made %d of %d targets"):format(build.made, build.total))
  end))
  if ok then return 0 end
  -- Several may fail at once.
  local reasons = Promise.isAggregate(reason) and reason.errors or {reason}
  for _, each in ipairs(reasons) do
    local words = tostring(each)
    if getmetatable(each) ~= Complaint then words = "make: " .. words end
    print(words)
  end
  return reason[1] == "interrupted" and 130 or 2
end

local DEMO <const> = [[
both: one two  # the first target
	cat one two >both
one:
	echo 1 >one
two: one
	echo 2 >two
all: slow bad
slow:
	echo begun >slow; sleep 60
bad: both
	sleep 0.2; exit 3
]]

local function demonstrate()
  local temporary <close> = await(uv.temporary_directory())
  local folder = temporary.path
  await(uv.write_file(folder .. "/Makefile", DEMO))
  program(folder, "Makefile", {}, 2)
  program(folder, "Makefile", {}, 2)
  program(folder, "Makefile", {"all"}, 2)
  local names = {}
  for name in uv.scandir(folder) do names[#names + 1] = name end
  print("left: " .. table.concat(names, " "))
  return 0
end

local options = {j = tostring(uv.available_parallelism()), C = ".",
  f = "Makefile"}
local i = 1
while arg[i] and arg[i]:find "^%-[jCf]$" do
  options[arg[i]:sub(2)] = arg[i + 1]
  i = i + 2
end
local jobs = math.tointeger(tonumber(options.j))
if not jobs or jobs < 1 or not options.C or not options.f then
  io.stderr:write("usage: make.lua [-j N] [-C FOLDER] [-f FILE] ",
    "[TARGET...]\n")
  os.exit(2)
end
local run_it = arg[1] and program or demonstrate
os.exit(Promise.run(run_it, options.C, options.f,
  {table.unpack(arg, i)}, jobs), true)
