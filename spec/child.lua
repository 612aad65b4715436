--- Programs run in a process of their own, where its end is what matters.

local interpreter = arg and arg[-1] or "lua5.4"

local child = {}

function child.quote(word)
  return "'" .. word:gsub("'", [['\'']]) .. "'"
end

--- Run a program with arguments: what it prints on standard output and
--- standard error, and its exit status.
function child.run(program, ...)
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
  return text, status
end

--- What was printed, without the lines of tracebacks.
function child.without_tracebacks(text)
  text = text:gsub("stack traceback:\n", "")
  return (text:gsub("\t[^\n]*: in [^\n]*\n", ""))
end

return child
