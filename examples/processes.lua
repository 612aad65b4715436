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
local uv = require "luv"
local await, pawait = Promise.await, Promise.pawait

-- A promise to be awaited: luv crashes at the end of a program that has a
-- handle half closed.
local function close(handle)
  return Promise.new(function(resolve) handle:close(resolve) end)
end

-- A promise of all that comes out of a pipe until its other end is closed.
local function collect(pipe)
  return Promise.new(function(resolve, reject)
    local chunks = {}
    pipe:read_start(function(err, chunk)
      if chunk then return table.insert(chunks, chunk) end
      pipe:close()
      if err then reject(err) else resolve(table.concat(chunks)) end
    end)
  end)
end

-- Run a program; if it takes longer, kill it and all that it has started. A
-- promise of its exit code, the signal that ended it or 0, and what it wrote
-- on standard output and standard error.
local run = Promise.async(function(command, args, seconds)
  local late = Promise.delay(seconds, "late")
  local out, err = uv.new_pipe(false), uv.new_pipe(false)
  local ended, resolve = Promise.withResolvers()
  local child, pid = uv.spawn(command, {
    args = args,
    stdio = {nil, out, err},
    detached = true, -- leads a group, which can be killed as a whole
  }, resolve)
  if not child then
    await(Promise.all {close(out), close(err)})
    error(pid .. ": " .. command, 0)
  end
  local output, errors = collect(out), collect(err)
  local done = Promise.allSettled {ended, output, errors}
  if await(Promise.race {done, late}) == "late" then
    uv.kill(-pid, "sigkill")
  end
  local code, signal = await(ended)
  await(close(child))
  return code, signal, await(output), await(errors)
end)

-- A promise of a line about a program, whatever becomes of it.
local describe = Promise.async(function(name, seconds, command, ...)
  local ok, code, signal, output, errors =
    pawait(run(command, {...}, seconds))
  if not ok then return ("%s: %s"):format(name, code) end
  local line = ("%s: code %d, signal %d, output %q, errors %q"):format(
    name, code, signal, output, errors)
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
Promise.run(function()
  local lines = {}
  for i, words in ipairs(programs) do
    lines[i] = describe(table.unpack(words))
  end
  for _, line in ipairs(await(Promise.all(lines))) do print(line) end
end)
