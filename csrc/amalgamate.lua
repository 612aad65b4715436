--- Prints the core as one file of C, for a program that brings Lua and the
--- core along (make amalgamation):
---
---   lua5.4 csrc/amalgamate.lua FILE.c ... >cpromise.c
---
--- Each header of the core is put where it is first included. Functions
--- become static, so that none of them meets one of the program's. Where two
--- files have a function or data of their own by the same name, the name of
--- the file is put before it; macros end with their file.

local function read(path)
  local file <close> = assert(io.open(path))
  return (file:read "a")
end

local included = {}

-- The text with the core's own headers in it, each once.
local function with_headers(text, folder)
  return (text:gsub('#include "([^"]+)"\n', function(name)
    if included[name] then return "" end
    included[name] = true
    return with_headers(read(folder .. name), folder)
  end))
end

-- The functions that other files use: their prototypes and definitions, which
-- begin a line.
local function with_static(text)
  local pattern = "\n(%a[%w_ %*]-\n?cp_[%w_]+ %()"
  return (("\n" .. text):gsub(pattern, function(head)
    local word = head:match "^%a+"
    return word ~= "static" and word ~= "extern" and word ~= "typedef"
      and "\nstatic " .. head or nil
  end):sub(2))
end

-- The names of a file's own functions and data.
local function own_names(text)
  local names = {}
  local pattern = "\nstatic [%w_ %*\n]-([%w_]+) ?[%(%[=;]"
  for name in text:gmatch(pattern) do names[name] = true end
  return names
end

-- What C is made of, as far as it matters here: the patterns of what is
-- copied as it is, then that of a word with what stands before it.
local SKIPPED <const> = {
  "^/%*.-%*/", '^"[^"\\\n]*"', '^"[^"\n]-[^\\]"', "^'\\?[^\n]'",
}

-- The text with `new[word]` for each word that is no field.
local function renamed(text, new)
  local parts, at = {}, 1
  local function skip()
    for _, pattern in ipairs(SKIPPED) do
      local skipped = text:match(pattern, at)
      if skipped then return skipped end
    end
  end
  while at <= #text do
    local part = skip() or text:match("^[%a_][%w_]*", at)
    if part and new[part] and not text:find("^[.>]", at - 1) then
      parts[#parts + 1] = new[part]
    else
      part = part or text:sub(at, at)
      parts[#parts + 1] = part
    end
    at = at + #part
  end
  return table.concat(parts)
end

local function undefine(text)
  local lines = {}
  for name in text:gmatch "\n#define ([%w_]+)" do
    lines[#lines + 1] = "#undef " .. name .. "\n"
  end
  return table.concat(lines)
end

local files, owners = {}, {}
for i, path in ipairs(arg) do
  files[i] = {path = path, text = read(path)}
  for name in pairs(own_names(files[i].text)) do
    owners[name] = (owners[name] or 0) + 1
  end
end

io.write [[
/*
** The core of cpromise as one file. Register it in each Lua state, and put
** cpromise's Lua files where package.path finds them:
**
**   int luaopen_cpromise_core (lua_State *L);
**
**   luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
**   lua_pushcfunction(L, luaopen_cpromise_core);
**   lua_setfield(L, -2, "cpromise.core");
**   lua_pop(L, 1);
**
]]
local licence = read "LICENSE":gsub("\n+$", "")
for line in (licence .. "\n"):gmatch "([^\n]*)\n" do
  io.write(("** " .. line):match "^(.-) *$", "\n")
end
io.write "*/\n\n"
for _, file in ipairs(files) do
  local folder, stem = file.path:match "^(.-)([^/]+)%.c$"
  local new = {}
  for name in pairs(own_names(file.text)) do
    if owners[name] > 1 then new[name] = stem .. "_" .. name end
  end
  local own = renamed(file.text, new)
  io.write(with_static(with_headers(own, folder)), undefine(own))
end
