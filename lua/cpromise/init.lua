--- Promises with the semantics of ECMAScript. The functions are described in
--- types/cpromise.lua, and the semantics in docs/semantics.md.

local core = require "cpromise.core"

local VERSION <const> = "cpromise scm"
if core._VERSION ~= VERSION then
  error(("the Lua files of %s don't fit the core of %s: one of them is " ..
    "left from another installation"):format(VERSION, core._VERSION), 0)
end

-- A Lua state has one core, and one of each of these modules, even if it
-- forgets them and requires them again, as reloaders do: what waits in one
-- must not be lost on the other.
if core.modules.cpromise then return core.modules.cpromise end

local asCompleted = require "cpromise.as_completed"
local foreign = require "cpromise.foreign"
local loop = require "cpromise.loop"
local map = require "cpromise.map"
local promisify = require "cpromise.promisify"
local retry = require "cpromise.retry"
local scope = require "cpromise.scope"
local semaphore = require "cpromise.semaphore"
local time = require "cpromise.time"

-- Tracebacks leave this library's files out.
core.setOwn "init.lua"

local Promise = {
  _VERSION = core._VERSION,

  new = core.new,
  resolve = core.resolve,
  fulfill = core.fulfill,
  reject = core.reject,
  from = foreign.from,
  withResolvers = core.withResolvers,
  try = core.try,
  is = core.is,

  all = core.all,
  allSettled = core.allSettled,
  any = core.any,
  race = core.race,
  select = core.select,
  allKeyed = core.allKeyed,
  allSettledKeyed = core.allSettledKeyed,
  isAggregate = core.isAggregate,

  shield = core.shield,
  isCancelled = core.isCancelled,
  cancelled = core.cancelled,
  scope = scope,

  async = core.async,
  spawn = core.spawn,
  await = core.await,
  pawait = core.pawait,
  wrap = core.wrap,

  drain = core.drain,
  queueMicrotask = core.queueMicrotask,
  run = loop.run,
  setLoop = loop.set,
  loop = loop.get,

  delay = core.delay,
  interval = time.interval,
  isTimeout = core.isTimeout,
  promisify = promisify,
  map = map,
  retry = retry,
  asCompleted = asCompleted,
  semaphore = semaphore,
  channel = core.channel,
  event = core.event,

  onUnhandledRejection = core.onUnhandledRejection,
}

local function count(n, singular, plural)
  return ("%d %s"):format(n, n == 1 and singular or plural)
end

-- Runs when the Lua state closes: a program that forgot to run its jobs is
-- told so. (A finalizer on the promises themselves could not tell this from
-- ordinary garbage, and would cost every one of them.)
local function report_what_is_left()
  local jobs, rejections = core.left()
  local parts = {}
  if jobs > 0 then
    parts[#parts + 1] = count(jobs, "job", "jobs") .. " never ran"
  end
  if rejections > 0 then
    parts[#parts + 1] =
      count(rejections, "rejection was", "rejections were") ..
      " never reported"
  end
  if #parts > 0 then
    io.stderr:write("cpromise: ", table.concat(parts, " and "),
      "; end the program with Promise.run()\n")
  end
end

core.modules.cpromise = setmetatable(Promise, {
  __name = "cpromise",
  __call = core.construct,
  sentinel = setmetatable({}, {__gc = report_what_is_left}),
})

return Promise
