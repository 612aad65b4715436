--- Every program in the documents runs and prints what stands below it. One
--- that starts with `-- name.lua` has that name in what it prints.

local child = require "spec.child"

local function read(name)
  local file = assert(io.open(name))
  local text = file:read "a"
  file:close()
  return text
end

-- The fenced blocks of a document: {language=, text=, line=}.
local function blocks(document)
  local list, current = {}, nil
  local number = 0
  for line in read(document):gmatch "([^\n]*)\n" do
    number = number + 1
    local fence = line:match "^```(%w*)"
    if fence and current then
      list[#list + 1], current = current, nil
    elseif fence then
      current = {language = fence, text = "", line = number}
    elseif current then
      current.text = current.text .. line .. "\n"
    end
  end
  return list
end

local function output_of(program)
  local name = program:match "^%-%- ([%w_]+%.lua)\n"
  return (name and child.run_as(name, program) or child.run(program))
end

-- A module that the program requires and the machine lacks, or nil.
local function lacking(text)
  for name in text:gmatch 'require "([%w_]+)' do
    if not pcall(require, name) then return name end
  end
end

local function check(document)
  describe(document, function()
    local list = blocks(document)
    for i, block in ipairs(list) do
      if block.language == "lua" then
        it("prints what it says, line " .. block.line, function()
          local name = lacking(block.text)
          if name then return pending("there is no " .. name) end
          local below = list[i + 1]
          local expected =
            below and below.language == "text" and below.text or ""
          assert.equal(expected, output_of(block.text))
        end)
      end
    end
  end)
end

check "README.md"
for name in io.popen("find docs -name '*.md' | sort"):lines() do
  check(name)
end
