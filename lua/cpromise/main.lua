--- The end of a script: a function that runs as the program's main one.

local check = require "cpromise.check"
local core = require "cpromise.core"
local left = require "cpromise.left"
local loop = require "cpromise.loop"

local FAILED = 1
local INTERRUPTED = 130 -- what shells say of a program that Ctrl-C has ended

-- The first Ctrl-C asks the call to end. A second one, or one that has nobody
-- to ask, ends the process at once, in the middle of the loop.
local function on_interrupt(self)
  if self.is_interrupted or self.call:status() ~= "pending" then
    os.exit(INTERRUPTED)
  end
  self.is_interrupted = true
  self.call:cancel "interrupted"
end

-- End a program whose main function has failed. Handles that are being closed
-- get closed before the state is: see cpromise.loop.luv.
local function fail(self, reason)
  left.silence()
  local current = loop.get()
  if current and current.poll then pcall(current.poll) end
  if self.is_interrupted and core.isCancelled(reason) then
    os.exit(INTERRUPTED, true)
  end
  io.stderr:write("cpromise: the program failed: ", self.report, "\n")
  os.exit(self.is_interrupted and INTERRUPTED or FAILED, true)
end

--- Run `fn(...)` as an async function, and the loop until nothing is left to
--- do. If it fails, print why and end the process.
return function(fn, ...)
  local why = check.not_callable(fn)
  if why then check.fail(1, "main", why) end
  local current = loop.load()
  why = loop.refusal("Promise.main", current)
  if why then check.blame(why) end
  local self = {call = core.spawn(fn, ...)}
  local stop = current and current.interrupt and
    current.interrupt(function() on_interrupt(self) end)
  local ok, reason = xpcall(core.awaitLoop, function(err)
    self.report = core.addTraceback(err, 2)
    return err
  end, self.call)
  if not ok then fail(self, reason) end
  loop.run_out()
  if stop then stop() end
end
