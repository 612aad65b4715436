--- Promises with the semantics of ECMAScript. The functions are described in
--- types/library/cpromise.lua, and the semantics in docs/semantics.md.

local core = require "cpromise.core"

local VERSION <const> = "cpromise 0.1.0"
if core._VERSION ~= VERSION then
  error(("the Lua files of %s don't fit the core of %s: one of them is " ..
    "left from another installation"):format(VERSION, core._VERSION), 0)
end

-- A Lua state has one core, and one of each of these modules, even if it
-- forgets them and requires them again, as reloaders do: what waits in one
-- must not be lost on the other.
if core.modules.cpromise then return core.modules.cpromise end

local asCompleted = require "cpromise.as_completed"
local check = require "cpromise.check"
local debug_mode = require "cpromise.debug"
local foreign = require "cpromise.foreign"
local left = require "cpromise.left"
local loop = require "cpromise.loop"
local main = require "cpromise.main"
local map = require "cpromise.map"
local promisify = require "cpromise.promisify"
local retry = require "cpromise.retry"
local scope = require "cpromise.scope"
local see = require "cpromise.see"
local semaphore = require "cpromise.semaphore"
local time = require "cpromise.time"

require "cpromise.show" -- how reasons are reported

-- Tracebacks leave this library's files out.
core.setOwn "init.lua"

local public = core.public

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
  scope = public(scope),

  async = core.async,
  spawn = core.spawn,
  await = core.await,
  pawait = core.pawait,
  wrap = core.wrap,

  drain = core.drain,
  queueMicrotask = core.queueMicrotask,
  run = public(loop.run),
  main = public(main),
  setLoop = public(loop.set),
  loop = loop.get,

  delay = core.delay,
  interval = public(time.interval),
  isTimeout = core.isTimeout,
  promisify = public(promisify),
  map = public(map),
  retry = public(retry),
  asCompleted = public(asCompleted),
  semaphore = semaphore,
  channel = core.channel,
  event = core.event,

  onUnhandledRejection = core.onUnhandledRejection,
  onRejectionHandled = core.onRejectionHandled,

  traceback = core.addTraceback,
  debug = public(debug_mode.switch),
  pending = see.pending,
  dump = public(see.dump),
  inspect = public(see.inspect),
}

-- So that it is known where it is an argument: `Promise:new(f)`.
core.setModule(Promise)
check.module = Promise

core.modules.cpromise = setmetatable(Promise, {
  __name = "cpromise",
  __call = core.construct,
  sentinel = setmetatable({}, {__gc = left.report}),
})

return Promise
