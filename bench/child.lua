--- Commands that run in processes of their own, with the core that was built
--- as LuaRocks builds it.

local ENVIRONMENT <const> =
  "LUA_PATH_5_4='lua/?.lua;lua/?/init.lua;./?.lua;;' " ..
  "LUA_CPATH_5_4='build/bench/?.so;;' "

local child = {}

local interpreter = arg and arg[-1] or "lua5.4"

--- A command line of words, as they are.
function child.command(...)
  local words = {...}
  for i, word in ipairs(words) do
    words[i] = "'" .. tostring(word):gsub("'", [['\'']]) .. "'"
  end
  return table.concat(words, " ")
end

--- The command line of a program in Lua.
function child.lua(...)
  return child.command(interpreter, ...)
end

--- What a command prints, standard error too, and its status.
function child.run(command)
  local pipe = assert(io.popen(ENVIRONMENT .. command .. " 2>&1"))
  local text = pipe:read "a"
  local _, _, status = pipe:close()
  return text, status
end

--- The first line that a command prints; nil if it fails.
function child.line(command)
  local text, status = child.run(command)
  return status == 0 and text:match "[^\n]+" or nil
end

return child
