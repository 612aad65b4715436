--- What figures depend on: the versions of the tools and of the machine.

local child = require "bench.child"

local compiler = os.getenv "CC" or "cc"

-- `after` is what stands before the version in the command's first line.
local function version(command, after)
  local line = child.line(command)
  return line and line:match(after .. "%s*([%w._+~-]+)")
end

local versions = {}

--- That of valgrind, nil if there is none.
function versions.valgrind()
  return version("valgrind --version", "valgrind%-")
end

--- The versions that instructions depend on: name and version, in order.
function versions.tools()
  return {
    {"gcc", version(compiler .. " -dumpfullversion", "")},
    {"Lua", version(child.lua "-v", "Lua")},
    {"valgrind", versions.valgrind()},
    {"glibc", version("getconf GNU_LIBC_VERSION", "glibc")},
    {"machine", version("uname -m", "")},
  }
end

--- Those of the rivals that are not libraries.
function versions.rivals()
  return {
    {"Node", version("node --version", "v")},
    {"V8", version("node -p process.versions.v8", "")},
    {"Python", version("python3 --version", "Python")},
    {"luv", version(child.lua("-e", "print(require 'luv'.version_string())"),
      "")},
  }
end

--- The processor, as the system names it, with the number of its cores.
function versions.processor()
  local name = child.line "sed -n 's/^model name.*: //p' /proc/cpuinfo"
  return ("%s, %s cores"):format(name or "unknown", child.line "nproc" or "?")
end

return versions
