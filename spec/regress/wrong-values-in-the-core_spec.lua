--- The functions of the core that only the library's own Lua files call can
--- be had by anybody. One of them took what was no table for the list of
--- scopes, and the next `await` read memory that was not its own.

local child = require "spec.child"

-- Any functions, methods and metamethods, with any values.
local PROGRAM <const> = [[
  local Promise = require "cpromise"
  local core = require "cpromise.core"
  math.randomseed(tonumber(arg[1]))

  local functions = {}
  local function add(name, list)
    for key, value in pairs(list) do
      if type(value) == "function" then
        functions[#functions + 1] = {name .. key, value}
      elseif type(value) == "table" then
        add(name .. key .. ".", value)
      end
    end
  end
  local objects = {
    Promise.semaphore(1), Promise.channel(1), Promise.event(),
  }
  core.modules = nil -- the Lua files, whose 'run' may wait for ever
  add("core.", core)
  for i, object in ipairs(objects) do
    local metatable = getmetatable(object)
    metatable.__index = nil -- the methods are in the core's list
    add(i .. ".", metatable)
  end
  table.sort(functions, function(a, b) return a[1] < b[1] end)

  local function any_value()
    local values = {
      false, true, 1, -1, 0 / 0, 2 ^ 70, "x", {}, print, function() end,
      coroutine.create(function() end), Promise.resolve(1),
      (Promise.withResolvers()), objects[math.random(3)], io.stdout,
    }
    return values[math.random(#values)] or nil
  end

  io.stdout:setvbuf "no"
  for i = 1, 2000 do
    local chosen = functions[math.random(#functions)]
    local arguments, n = {}, math.random(0, 4)
    for k = 1, n do arguments[k] = any_value() end
    local co = coroutine.create(chosen[2])
    pcall(coroutine.resume, co, table.unpack(arguments, 1, n))
    if i % 10 == 0 then pcall(core.drain, 100) end
  end
  os.exit(0, true)
]]

describe("a function of the core", function()
  for seed = 1, 4 do
    it("harms nothing, whatever it is given: seed " .. seed, function()
      local text, status = child.run(PROGRAM, seed .. "")
      assert.equal(0, status, text:sub(-300))
    end)
  end
end)
