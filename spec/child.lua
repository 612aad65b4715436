--- Programs run in a process of their own, where its end is what matters.

local interpreter = arg and arg[-1] or "lua5.4"

local child = {}

function child.quote(word)
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

-- What a program prints, its exit status, and the name of its file.
local function run(program, ...)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(program)
  file:close()
  local words = {interpreter, name, ...}
  for i, word in ipairs(words) do words[i] = child.quote(word) end
  local command = "timeout 60 " .. table.concat(words, " ") .. " 2>&1"
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  local _, _, status = pipe:close()
  os.remove(name)
  return text, status, name
end

--- Run a program with arguments: what it prints on standard output and
--- standard error, and its exit status.
function child.run(program, ...)
  local text, status = run(program, ...)
  return text, status
end

--- The same; where it prints the name of its file, that is `alias`.
function child.run_as(alias, program, ...)
  local text, status, name = run(program, ...)
  return (text:gsub(name:gsub("%p", "%%%0"), alias)), status
end

--- What was printed, without the lines of tracebacks.
function child.without_tracebacks(text)
  text = text:gsub("stack traceback:\n", "")
  return (text:gsub("\t[^\n]*: in [^\n]*\n", ""))
end

return child
