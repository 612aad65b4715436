--- Promises with the semantics of ECMAScript. The functions are described in
--- types/cpromise.lua, and the semantics in docs/semantics.md.

local asCompleted = require "cpromise.as_completed"
local check = require "cpromise.check"
local core = require "cpromise.core"
local debug_mode = require "cpromise.debug"
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

return setmetatable(Promise, {
  __name = "cpromise",
  __call = core.construct,
  sentinel = setmetatable({}, {__gc = left.report}),
})
