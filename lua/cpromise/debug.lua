--- The debug mode: see csrc/debug.h. What takes too long is found here.

local check = require "cpromise.check"
local core = require "cpromise.core"
local show = require "cpromise.show"
local watch = require "cpromise.watch"

local debug_mode = {}

local SLOW <const> = 0.1 -- seconds without coming back to the queue

local slow = SLOW

-- A host may leave out the debug library.
local getinfo = debug and debug.getinfo

-- What runs, in one another: since when, and the handler or coroutine.
local depth, since, what = 0, {}, {}

local function place_of(handler)
  if type(handler) ~= "function" or not getinfo then return "" end
  local info = getinfo(handler, "S")
  return (" of %s:%d"):format(info.short_src, info.linedefined)
end

local function warn(form, ...)
  local text = show.harmless(form:format(...))
  io.stderr:write("cpromise: warning: ", text, "\n")
end

local function report(event, seconds, of)
  if event == "call_end" then
    local where = core.where(of)
    warn("an async call ran for %.3g seconds without an await%s", seconds,
      where and ", up to " .. where or "")
  else
    warn("the handler%s ran for %.3g seconds", place_of(of), seconds)
  end
end

local function listen(event, _, of)
  if event == "job" or event == "call" then
    depth = depth + 1
    since[depth], what[depth] = core.monotonic(), of
  elseif event == "job_end" or event == "call_end" then
    if depth == 0 then return end -- it was switched on meanwhile
    local seconds = (core.monotonic() - since[depth]) / 1e9
    if seconds >= slow then report(event, seconds, what[depth]) end
    what[depth] = nil
    depth = depth - 1
  end
end

local function switch(on)
  local was_on = core.debug(on)
  if on and not was_on then
    depth = 0
    watch.subscribe(listen)
  elseif was_on and not on then
    watch.unsubscribe(listen)
  end
  return was_on
end

local known = {slow = check.not_seconds}

--- Switch the debug mode on or off, if told so. Returns whether it was on.
function debug_mode.switch(...)
  local on = ...
  if select("#", ...) == 0 then return core.debug() end
  if type(on) ~= "boolean" and type(on) ~= "table" then
    check.fail(1, "debug", check.expected("boolean or table", on))
  end
  local options = type(on) == "table" and on or {}
  local why = check.not_options(options, known)
  if why then check.fail(1, "debug", why) end
  slow = options.slow or SLOW
  return switch(on ~= false)
end

-- A host may leave out the library.
if os and os.getenv and os.getenv "CPROMISE_DEBUG" == "1" then
  switch(true)
end

return debug_mode
