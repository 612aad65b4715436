--- The list of mutants fits the core: the text that each one replaces stands
--- in its file exactly once. (`make mutants` runs them.)

local mutants = require "spec.mutants.list"

local function read(name)
  local file <close> = assert(io.open("csrc/" .. name))
  return file:read "a"
end

describe("the mutant", function()
  for _, mutant in ipairs(mutants) do
    local name, file, from = table.unpack(mutant)
    it(("%s (%s) finds its text once"):format(name, file), function()
      local text = read(file)
      local first = text:find(from, 1, true)
      assert.is_not_nil(first)
      assert.is_nil(text:find(from, first + 1, true))
    end)
  end
end)
