--- Every program in the documents runs and prints what stands below it.

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

-- What a program prints, errors included. A state of its own runs it.
local function output(program)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(program)
  file:close()
  local pipe = assert(io.popen("lua5.4 " .. name .. " 2>&1"))
  local text = pipe:read "a"
  pipe:close()
  os.remove(name)
  return text
end

local function check(document)
  describe(document, function()
    local list = blocks(document)
    for i, block in ipairs(list) do
      if block.language == "lua" then
        it("prints what it says, line " .. block.line, function()
          local below = list[i + 1]
          local expected =
            below and below.language == "text" and below.text or ""
          assert.equal(expected, output(block.text))
        end)
      end
    end
  end)
end

check "README.md"
for name in io.popen("find docs -name '*.md' | sort"):lines() do
  check(name)
end
