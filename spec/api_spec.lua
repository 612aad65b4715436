--- types/library/cpromise.lua is the one text of the API: what the library exports
--- stands there, and nothing else does.

local Promise = require "cpromise"

local function read(name)
  local file = assert(io.open(name))
  local text = file:read "a"
  file:close()
  return text
end

-- The names that the definitions give to the fields of a local.
local function defined(text, object)
  local names = {}
  for name in text:gmatch("\nfunction " .. object .. "[.:]([%w_]+)") do
    names[name] = true
  end
  for name in text:gmatch("\n" .. object .. '%["([%w_]+)"%] =') do
    names[name] = true
  end
  return names
end

local text = read "types/library/cpromise.lua"

local function agrees(object, exported)
  local names = defined(text, object)
  for name in text:gmatch("%-%-%-@field ([%w_]+) string  name and version") do
    if object == "Promise" then names[name] = true end
  end
  for name in pairs(exported) do
    it("defines " .. object .. "." .. name, function()
      assert.is_true(names[name])
    end)
  end
  for name in pairs(names) do
    it("defines only what exists: " .. object .. "." .. name, function()
      assert.is_not_nil(exported[name])
    end)
  end
end

describe("types/library/cpromise.lua", function()
  agrees("Promise", Promise)
  agrees("promise", require "cpromise.core".methods)
  for name, object in pairs {
    semaphore = Promise.semaphore(1),
    channel = Promise.channel(),
    event = Promise.event(),
  } do
    local methods = {}
    for method in pairs(getmetatable(object).__index) do
      methods[method] = true
    end
    agrees(name, methods)
  end
end)

describe("the rockspec", function()
  local spec = {}
  assert(loadfile("rockspec/cpromise-scm-1.rockspec", "t", spec))()

  local function files(command)
    local list = {}
    for name in io.popen(command):lines() do list[name] = true end
    return list
  end

  it("lists every Lua module under its name", function()
    local listed = {}
    for name, file in pairs(spec.build.modules) do
      if type(file) == "string" then
        listed[file] = true
        local path = "lua/" .. name:gsub("%.", "/")
        assert.is_true(file == path .. ".lua" or file == path .. "/init.lua")
      end
    end
    assert.same(files "find lua -name '*.lua'", listed)
  end)

  it("lists every C file of the core", function()
    local listed = {}
    for _, file in ipairs(spec.build.modules["cpromise.core"].sources) do
      listed[file] = true
    end
    assert.same(files "find csrc -name '*.c'", listed)
  end)
end)
