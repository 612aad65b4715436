--- Runs spec files without busted, for interpreters in which every allocation
--- collects all garbage: there, time grows with what is loaded.
---
---     plain.lua FILE...
---
--- knows what the specs of the core use of busted and luassert. Prints each
--- failure and a closing count; exits with 1 if anything failed. VERBOSE=1
--- prints the name of each spec before it runs, and the time of each file.

local spec = {} -- what a spec file sees besides the globals

-- The part of luassert that is used. ---------------------------------------

local function show(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  local fields = {}
  for k, v in next, value do
    fields[#fields + 1] = tostring(k) .. "=" .. tostring(v)
  end
  return "{" .. table.concat(fields, ", ") .. "}"
end

local function same(a, b, seen)
  if a == b then return true end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  if seen[a] == b then return true end
  seen[a] = b
  for k, v in next, a do
    if not same(v, b[k], seen) then return false end
  end
  for k in next, b do
    if a[k] == nil then return false end
  end
  return true
end

-- Each returns whether it holds.
local holds = {
  same = function(a, b) return same(a, b, {}) end,
  equal = function(a, b) return a == b end,
  is_true = function(v) return v == true end,
  is_truthy = function(v) return v end,
  is_false = function(v) return v == false end,
  is_nil = function(v) return v == nil end,
  is_function = function(v) return type(v) == "function" end,
  matches = function(pattern, v, init, plain)
    return type(v) == "string" and v:find(pattern, init, plain) ~= nil
  end,
  has_error = function(fn, expected)
    local ok, err = pcall(fn)
    return not ok and (expected == nil or same(expected, err, {}))
  end,
  error_matches = function(fn, pattern)
    local ok, err = pcall(fn)
    return not ok and type(err) == "string" and err:find(pattern) ~= nil
  end,
}

local function negated(fn)
  return function(...) return not fn(...) end
end

holds.not_equal = negated(holds.equal)
holds.not_matches = negated(holds.matches)
holds.not_nil = negated(holds.is_nil)
holds.is_not_nil = holds.not_nil

spec.assert = setmetatable({}, {
  __call = function(_, ...) return assert(...) end,
})
for name, fn in pairs(holds) do
  spec.assert[name] = function(a, b, ...)
    if fn(a, b, ...) then return a, b, ... end
    error(("assert.%s(%s, %s)"):format(name, show(a), show(b)), 2)
  end
end

-- The part of busted that is used. -----------------------------------------

local PENDING = {} -- raised by 'pending' in a spec
local passed, pended, failures = 0, 0, 0
local verbose = os.getenv "VERBOSE"
local block -- the one that is being described
local cleanup -- what the running spec gave to 'finally', or false; else nil

function spec.describe(name, body)
  local outer = block
  block = {name = name, outer = outer, before_each = {}, after_each = {},
    setup = {}, teardown = {}}
  if outer then outer[#outer + 1] = block end
  body()
  local described = block
  block = outer
  return described
end

for _, kind in ipairs {"before_each", "after_each", "setup", "teardown"} do
  spec[kind] = function(fn) table.insert(block[kind], fn) end
end

function spec.it(name, body)
  block[#block + 1] = {name = name, outer = block, body = body}
end

function spec.pending(name)
  if cleanup ~= nil then error(PENDING, 0) end
  spec.it(name, function() error(PENDING, 0) end)
end

function spec.finally(fn) cleanup = fn end

local function full_name(entry)
  if not entry.outer then return entry.name end
  return full_name(entry.outer) .. " " .. entry.name
end

local function run_hooks(list)
  for _, hook in ipairs(list) do hook() end
end

local function before(outer)
  if not outer then return end
  before(outer.outer)
  run_hooks(outer.before_each)
end

local function after(outer)
  if not outer then return end
  run_hooks(outer.after_each)
  after(outer.outer)
end

local function traced(err)
  if err == PENDING then return err end
  return debug.traceback(tostring(err), 2)
end

--- Run a part of a spec: whether all is well; else it has been counted.
local function step(entry, fn, ...)
  local ok, err = xpcall(fn, traced, ...)
  if ok then return true end
  if err == PENDING then
    pended = pended + 1
  else
    failures = failures + 1
    io.stderr:write("FAIL  ", full_name(entry), "\n", err, "\n")
  end
  return false
end

local function run_spec(entry)
  if verbose then print(full_name(entry)) end -- what a crash was in
  cleanup = false
  local ok = step(entry, function()
    before(entry.outer)
    entry.body()
  end)
  if cleanup then ok = step(entry, cleanup) and ok end
  cleanup = nil
  ok = step(entry, after, entry.outer) and ok
  if ok then passed = passed + 1 end
end

local function run_block(described)
  if step(described, run_hooks, described.setup) then
    for i, entry in ipairs(described) do
      if entry.body then run_spec(entry) else run_block(entry) end
      described[i] = false -- its garbage would be marked again and again
    end
  end
  step(described, run_hooks, described.teardown)
end

--- Each file gets modules of its own, and a core, as under busted.
local function run_file(name)
  local loaded = {}
  debug.getregistry()["cpromise.core"] = nil
  for module in pairs(package.loaded) do loaded[module] = true end
  package.loaded.busted, package.loaded.luassert = spec, spec.assert
  local described
  local ok = step({name = name}, function()
    local env = setmetatable({}, {
      __index = function(_, key)
        local value = spec[key]
        if value == nil then value = _G[key] end
        return value
      end,
    })
    local main = assert(loadfile(name, "t", env))
    described = spec.describe(name, main)
  end)
  block = nil
  if ok then run_block(described) end
  for module in pairs(package.loaded) do
    if not loaded[module] then package.loaded[module] = nil end
  end
end

for _, name in ipairs(arg) do
  local ran, start = passed, os.clock()
  run_file(name)
  collectgarbage()
  if verbose then
    print(("%6.1f s %4d  %s"):format(os.clock() - start, passed - ran, name))
  end
end
print(("%d passed, %d failed, %d pending"):format(passed, failures, pended))
os.exit(failures == 0 and passed > 0, true)
