--- The files that are made from types/library: `make docs` writes them all.

local annotations = require "spec.tools.annotations"
local document = require "spec.tools.document"
local teal = require "spec.tools.teal"

local LIBRARY <const> = "types/library/"

-- The modules, in the order of the reference. That of luv has its own page.
local modules = {
  "cpromise", "cpromise/loop", "cpromise/loop/luv", "cpromise/loop/cqueues",
  "cpromise/loop/frame", "cpromise/loop/virtual", "cpromise/trace",
}

local UV <const> = "cpromise/uv"

local generated = {}

local files = {}
for i, name in ipairs(modules) do files[i] = LIBRARY .. name .. ".lua" end
table.insert(files, "types/README.md")

generated["docs/reference.md"] = function()
  return document.make("Reference", table.unpack(files))
end

generated["docs/uv.md"] = function()
  return document.make("cpromise.uv", LIBRARY .. UV .. ".lua")
end

for _, name in ipairs {UV, table.unpack(modules)} do
  generated["types/teal/" .. name .. ".d.tl"] = function()
    return teal(annotations.read_file(LIBRARY .. name .. ".lua"))
  end
end

if arg and arg[0] and arg[0]:find "generated%.lua$" then
  for name, make in pairs(generated) do
    local file = assert(io.open(name, "w"))
    file:write(make())
    file:close()
  end
end

return generated
