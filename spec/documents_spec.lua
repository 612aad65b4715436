--- Every program in the documents runs and prints what stands below it. One
--- that starts with `-- name.lua` has that name in what it prints; with
--- `-- name_spec.lua` it is run by busted.

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

-- What busted prints of a file with tests. It has to have such a name.
local function tested_by_busted(name, program)
  local reserved = os.tmpname()
  local path = reserved .. "_spec.lua"
  local file = assert(io.open(path, "w"))
  file:write(program)
  file:close()
  local pipe = assert(io.popen(("%s %s -o TAP %s 2>&1"):format(
    child.quote(arg[-1]), child.quote(arg[0]), child.quote(path))))
  local text = pipe:read "a"
  pipe:close()
  os.remove(path)
  os.remove(reserved)
  return (text:gsub(path:gsub("%p", "%%%0"), name))
end

local function output_of(program)
  local name = program:match "^%-%- ([%w_]+%.lua)\n"
  if name and name:find "_spec%.lua$" then
    return tested_by_busted(name, program)
  end
  return (name and child.run_as(name, program) or child.run(program))
end

-- What a program of C prints. (A sanitizer is not for the compiler.)
local function output_of_c(program)
  local name = os.tmpname()
  local file <close> = assert(io.open(name .. ".c", "w"))
  file:write(program)
  file:close()
  local pipe = assert(io.popen((
    "LD_PRELOAD= cc -std=c99 -Wall -Wextra -Werror -o %s %s.c " ..
    "$(pkg-config --cflags --libs lua5.4) -lpthread 2>&1 && %s 2>&1"
  ):format(name, name, name)))
  local text = pipe:read "a"
  pipe:close()
  os.remove(name)
  os.remove(name .. ".c")
  return text
end

local function has_headers()
  return (os.execute "pkg-config --exists lua5.4 2>/dev/null")
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
      local below = list[i + 1]
      local expected = below and below.language == "text" and below.text or ""
      if block.language == "c" then
        it("prints what it says, line " .. block.line, function()
          if not has_headers() then return pending "no pkg-config" end
          assert.equal(expected, output_of_c(block.text))
        end)
      elseif block.language == "lua" then
        it("prints what it says, line " .. block.line, function()
          local name = lacking(block.text)
          if name then return pending("there is no " .. name) end
          if block.text:find "^%-%- [%w_]+_spec%.lua\n" and
              not arg[0]:find "busted$" then
            return pending "these specs are not run by busted"
          end
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
