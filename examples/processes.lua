-- Run several programs at once, each for a limited time, and collect what
-- they write.
--
--   lua5.4 examples/processes.lua [SECONDS COMMAND...]
--
--   SECONDS  how long each may take
--   COMMAND  a command for the shell
--
-- Without arguments it runs four programs of its own, and prints:
--
--   > streams: code 3, signal 0, output "to out\n", errors "to err\n"
--   > lines: code 0, signal 0, output "1\n2\n3\n", errors ""
--   > slow: code 0, signal 9, output "", errors ""
--   > missing: ENOENT: no such file or directory: no-such-program

local Promise = require "cpromise"
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

-- A promise of a line about a program, whatever becomes of it. If it takes
-- too long, it is killed, with all that it has started.
local describe = Promise.async(function(name, seconds, command, ...)
  local ok, result = pawait(uv.run_process(command, {...}, {
    timeout = seconds, kill = {signal = "sigkill", group = true},
  }))
  if Promise.isTimeout(result) then
    result = result.reason -- what came until then
  elseif not ok then
    return ("%s: %s: %s: %s"):format(
      name, result.code, result.message, result.path)
  end
  local line = ("%s: code %d, signal %d, output %q, errors %q"):format(
    name, result.code, result.signal, result.stdout, result.stderr)
  return (line:gsub("\\\n", "\\n"))
end)

local programs = {
  {"streams", 60, "sh", "-c", "echo to out; echo to err >&2; exit 3"},
  {"lines", 60, "sh", "-c", "echo 1; echo 2; echo 3"},
  {"slow", 0.1, "sleep", "60"},
  {"missing", 60, "no-such-program"},
}
if arg[1] then programs = {} end
for i = 2, #arg do
  programs[i - 1] = {arg[i], tonumber(arg[1]), "sh", "-c", arg[i]}
end

-- Ends with the last program: the limits of the others need not pass.
Promise.main(function()
  local lines = {}
  for i, words in ipairs(programs) do
    lines[i] = describe(table.unpack(words))
  end
  for _, line in ipairs(await(Promise.all(lines))) do print(line) end
end)
