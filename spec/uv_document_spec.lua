--- types/library/cpromise/uv.lua is the one text of luv's layer: what that
--- exports stands there.

local Promise = require "cpromise"
local functions = require "cpromise.uv.functions"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await = Promise.await

local TYPES <const> = "types/library/cpromise/uv.lua"

local text = spec.get(TYPES)

-- The names that the definitions give to the fields of a local.
local function defined(object)
  local names = {}
  for name in text:gmatch("\nfunction " .. object .. "[.:]([%w_]+)") do
    names[name] = true
  end
  return names
end

-- What an object of a class has, without what is for the library itself.
local internal = {pull = true}

local function methods(object)
  local names = {}
  for name in pairs(getmetatable(object).__index) do
    if not internal[name] then names[name] = true end
  end
  return names
end

describe(TYPES, function()
  it("defines all that is not luv's own", function()
    local names = defined "uv"
    for name, value in pairs(uv) do
      if value ~= luv[name] then assert.is_true(names[name], name) end
    end
  end)

  it("defines only what exists, here or in a newer luv", function()
    for name in pairs(defined "uv") do
      if uv[name] == nil then
        assert.is_true(functions.requests[name] ~= nil, name)
      else
        assert.not_equal(luv[name], uv[name], name)
      end
    end
  end)

  it("defines the methods of all objects", spec.test(function(folder)
    local file <close> = await(uv.open(folder .. "/file", "w"))
    local stream <close> = uv.stream(luv.new_pipe(false))
    local server <close> = await(uv.listen(folder .. "/pipe", print))
    local udp <close> = await(uv.udp())
    local process <close> = await(uv.start_process("true"))
    local temporary <close> = await(uv.temporary_directory())
    local events <close> = uv.watch(folder)
    local work = uv.new_work(function() end)
    for name, object in pairs {
      file = file, stream = stream, server = server, udp = udp,
      process = process, temporary = temporary, events = events, work = work,
    } do
      assert.same(defined(name), methods(object))
    end
  end))
end)
