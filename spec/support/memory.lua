--- Every allocation failing: run by memory_spec.lua as a program of its own,
--- because a report that itself lacks memory goes to standard error.
---
---     memory.lua              the scenario by itself, nothing fails
---     memory.lua MODE [STRIDE]   once for each STRIDE-th allocation
---     memory.lua all             in every mode
---
--- runs a scenario that touches every public function, in a new Lua state
--- each time, and checks what is left. MODE is how many allocations fail
--- after the one whose turn it is: 0, 1, 7, or `on` for all of them. If only
--- one fails, Lua collects garbage and tries again. Prints how many
--- allocations there are, how many rejections came of their failing; by
--- itself, how many jobs ran, and which functions the scenario forgot.

local alloc = require "support.alloc"

--- Runs in the new state, before memory runs short: whatever the scenario
--- needs to keep books is made here, so that its books are always right.
local function prepare()
  local Promise = require "cpromise"
  local core = package.loaded["cpromise.core"]

  -- A second instance of the core: its promises are userdata that are
  -- foreign to the first one.
  package.loaded["cpromise.core"] = nil
  local other = require "cpromise.core"
  package.loaded["cpromise.core"] = core
  local listeners = require "cpromise.watch"

  local trial = {Promise = Promise, core = core, other = other}
  package.loaded.trial = trial

  -- Notes which public functions and methods are used. The notes are there
  -- already, so that taking one asks for no memory.
  local used = {}
  trial.used = used
  local function watch_names(t, prefix)
    for name in pairs(t) do used[prefix .. name] = false end
    local noted = {}
    for name in pairs(t) do noted[name] = prefix .. name end
    return function(_, name)
      if noted[name] then used[noted[name]] = true end
      return t[name]
    end
  end
  local mt = debug.getmetatable(Promise.resolve())
  mt.__index = watch_names(mt.__index, "p:")
  local real = Promise
  Promise = setmetatable({}, {
    __index = watch_names(real, "Promise."),
    __call = function(_, executor) return real(executor) end,
  })

  -- Promises that were made, functions that settle those that wait for the
  -- program, how often each job ran, and functions that say that it does.
  local room = 700
  local made, settlers, runs, jobs = {}, {}, {}, {}
  for i = 1, room do
    made[i], settlers[i], runs[i] = false, false, 0
    jobs[i] = function(...)
      runs[i] = runs[i] + 1
      return ...
    end
  end
  local n_made, n_settlers, n_jobs = 0, 0, 0
  trial.records = {false, false, false} -- promises of allSettled
  trial.made, trial.settlers, trial.runs = made, settlers, runs
  trial.errors = {} -- of the steps

  --- Whether an error is for want of memory; the second is what
  --- table.unpack calls it.
  function trial.is_short(reason)
    return reason == "not enough memory" or type(reason) == "string" and
      reason:find "too many results to unpack$" ~= nil
  end

  function trial.keep(p)
    n_made = n_made + 1
    made[n_made] = p
    return p
  end

  --- Settle it after the scenario.
  function trial.later(settle)
    n_settlers = n_settlers + 1
    settlers[n_settlers] = settle
  end

  --- A function for one job.
  function trial.once()
    n_jobs = n_jobs + 1
    return jobs[n_jobs]
  end

  --- React to a promise in every way.
  function trial.watch(p)
    trial.keep(p)
    trial.keep(p:next(trial.once()))
    trial.keep(p:next(trial.once(), trial.once()))
    trial.keep(p:catch(trial.once()))
    trial.keep(p:finally(trial.once()))
    return p
  end

  --- A thenable that settles later, by an inherited method or a plain one.
  function trial.thenable(inherited)
    local methods = {}
    function methods.next(_, resolve) trial.later(resolve) end
    return inherited and setmetatable({}, {__index = function(_, name)
      return ({methods[name]})[1]
    end}) or methods
  end

  --- A thenable userdata whose getter allocates.
  function trial.foreign()
    local p, resolve = other.withResolvers()
    trial.later(resolve)
    return debug.setmetatable(other.withResolvers(), {
      __index = function(_, name)
        return ({
          next = function(_, ...) return p:next(...) end, catch = p.catch,
        })[name]
      end,
    })
  end

  --- Elements of all kinds for a combinator.
  function trial.elements(first)
    local p, resolve = Promise.withResolvers()
    trial.later(resolve)
    local q = trial.keep(Promise.reject "element")
    return {first, p, trial.keep(Promise.resolve(1, 2)), 3,
      trial.thenable(true), trial.foreign(), q, n = 8}
  end

  -- 'main' ends the process of a program that fails, and says why.
  -- luacheck: push ignore 122
  os.exit = function() error("not enough memory", 0) end
  io.stderr = {write = function() end, flush = function() end}
  -- luacheck: pop

  -- A loop that needs memory when it is woken. The hook needs none, or the
  -- report of its failure would go to standard error.
  trial.woken, trial.reported = 0, 0
  local loop = require "cpromise.loop.virtual".new()
  local wake = loop.wake
  function loop.wake(drain)
    trial.woken = trial.woken + #{1}
    wake(drain)
  end
  real.setLoop(loop)
  trial.loop = loop
  local function hook() trial.reported = trial.reported + 1 end
  real.onUnhandledRejection(hook)

  -- Lua makes what its large buffers need when the first one is made; where
  -- memory lacks then, it never makes the rest.
  assert(#("x"):rep(1e5) == 1e5)

  -- The interpreter makes its stack as deep as the scenario needs, and keeps
  -- it: so whatever memory the scenario asks for is for promises.
  local function descend(n)
    return n > 0 and 1 + descend(n - 1) or 0
  end
  assert(descend(100) == 100)
  collectgarbage "stop"

  -- The scenario: each step runs by itself, so one that fails does not
  -- keep the others from running.
  local keep, later, once, watch = trial.keep, trial.later, trial.once,
    trial.watch
  local await, pawait = Promise.await, Promise.pawait
  local many = {} -- more values than the stack has room for
  for i = 1, 2000 do many[i] = i end
  trial.steps = {
    function()
      watch(Promise.new(function(resolve) later(resolve) end))
      watch(Promise.new(function(_, reject) reject "new" end))
      watch(Promise.new(function(...) select(1, ...)(1, 2) end))
      watch(Promise(error))
    end,
    function()
      watch(Promise.resolve())
      watch(Promise.resolve(1))
      watch(Promise.resolve(1, nil, 3))
      watch(Promise.fulfill())
      watch(Promise.fulfill {next = error})
      watch(Promise.fulfill(1, nil))
      watch(Promise.reject "reject")
    end,
    function()
      watch(Promise.try(once(), 1, 2))
      watch(Promise.try(error, "try"))
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      watch(p)
      local q, _, reject = Promise.withResolvers()
      later(reject)
      watch(q)
      resolve(q)
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      watch(p)
      resolve(1, 2, 3)
      p, resolve = Promise.withResolvers()
      later(resolve)
      watch(p)
      resolve(p)
    end,
    function()
      local results = {
        function() return Promise.resolve(2, 3) end,
        function() return Promise.reject "returned" end,
        function() return trial.thenable(false) end,
        function() return trial.thenable(true) end,
        function() return trial.foreign() end,
        function() return 1, nil, 3 end,
        function() error "raised" end,
      }
      local fulfilled = keep(Promise.resolve(1, 2))
      local rejected = keep(Promise.reject "catch")
      local rejecting = keep(Promise.reject "finally")
      for _, result in ipairs(results) do
        keep(fulfilled:next(result))
        keep(rejected:catch(result))
        keep(fulfilled:finally(result))
        keep(rejecting:finally(result))
      end
    end,
    function()
      keep(Promise.resolve(trial.thenable(false)))
      keep(Promise.resolve(trial.thenable(true)))
      keep(Promise.resolve {next = error})
      keep(Promise.resolve(setmetatable({}, {__index = error})))
      trial.adopted = keep(Promise.resolve(trial.foreign()))
      keep(Promise.from({call = function(_, f) f(1) end}, "call"))
      keep(Promise.resolve(Promise.resolve(1):totable()))
    end,
    function()
      for _, name in ipairs {"all", "allSettled", "any", "race"} do
        watch(Promise[name](trial.elements(name)))
        watch(Promise[name] {keep(Promise.reject "only"), n = 1})
        if name == "allSettled" then
          trial.records[1] = Promise[name] {1, keep(Promise.reject(2))}
          trial.records[2] = Promise[name](trial.elements(3))
        end
      end
    end,
    function()
      for _, name in ipairs {"all", "allSettled", "any"} do
        local closing = setmetatable({}, {__close = once()})
        local f, s = ipairs(trial.elements(name))
        watch(Promise[name](f, s, 0, closing))
        watch(Promise[name](string.gmatch("a b c", "%w")))
        watch(Promise[name](coroutine.wrap(function()
          for i = 1, 3 do coroutine.yield(i, Promise.resolve(i)) end
        end)))
      end
      watch(Promise.any {})
      watch(Promise.race(error))
    end,
    function()
      local function one()
        local p, resolve = Promise.withResolvers()
        later(resolve)
        return p
      end
      watch(Promise.select(trial.elements "select"))
      watch(Promise.select {a = one(), b = trial.thenable(true)})
      watch(Promise.select {a = one(), b = keep(Promise.resolve(1, 2))})
      watch(Promise.select {a = one(), b = keep(Promise.reject "select")})
      watch(Promise.select(ipairs {one(), one(), 3}))
      local loser = watch(Promise.spawn(function()
        pcall(await, one())
        error "loser"
      end))
      watch(Promise.select {a = loser, b = 1})
    end,
    function()
      -- A crowd: who leaves it stands on a seat.
      local p, resolve = Promise.withResolvers()
      later(resolve)
      for _ = 1, 9 do keep(p:next(once())) end
      local crowd = {}
      for i = 1, 4 do
        crowd[i] = keep(Promise.spawn(function() return await(p) end))
        crowd[i + 4] = keep(p:finally(once()))
        crowd[i + 8] = keep(p:timeout(5))
        crowd[i + 12] = keep(Promise.spawn(function()
          pcall(await, p)
          return await(p)
        end))
      end
      for i = 1, 16, 2 do crowd[i]:cancel(i) end
      Promise.drain()
      for i = 1, 16, 3 do crowd[i]:cancel(-i) end
      coroutine.wrap(function() pawait(p) end)()
    end,
    function()
      watch(Promise.allKeyed {a = 1, b = trial.foreign(), [3] = Promise})
      watch(Promise.allSettledKeyed {a = keep(Promise.reject "keyed"),
        b = trial.thenable(true)})
      trial.records[3] = Promise.allSettledKeyed {a = 1, b = Promise}
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      local closing = {__close = function() pawait(p) end}
      local function body(finish, ...)
        local _ <close> = setmetatable({}, closing)
        await(p)
        await(1)
        await(trial.thenable(true))
        pcall(await, keep(Promise.reject "awaited"))
        pawait(trial.foreign())
        return finish(...)
      end
      watch(Promise.spawn(body, once(), 1, nil, 3))
      watch(Promise.async(body)(error, "body"))
      watch(Promise.spawn(coroutine.yield, 1))
      watch(Promise.spawn(error, "at once"))
    end,
    function()
      local function descend_async(n)
        if n == 0 then return once()() end
        return await(keep(Promise.spawn(descend_async, n - 1)))
      end
      watch(Promise.spawn(descend_async, 35))
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      local function own(finish)
        await(p)
        await(1)
        return finish()
      end
      coroutine.wrap(own)(once())
      coroutine.wrap(own)(error)
      local function generate()
        for i = 1, 3 do coroutine.yield(await(p), await(i)) end
        error "generator"
      end
      watch(Promise.spawn(function()
        for _ in Promise.wrap(generate) do await(2) end
      end))
    end,
    function()
      local p = watch(Promise.try(function() error {} end))
      local _, reason = p:status()
      assert(trial.is_short(reason) or p:traceback())
      pcall(Promise.run, function() await(p) end)
    end,
    function()
      Promise.setLoop(loop)
      assert(Promise.loop() == loop)
      assert(Promise.onUnhandledRejection(hook) == hook)
      assert(Promise._VERSION and tostring(Promise.resolve()))
    end,
    function()
      local reported = keep(Promise.reject {code = 1})
      Promise.drain()
      Promise.onRejectionHandled(once())
      reported:catch(once())
      Promise.drain()
      Promise.onRejectionHandled(nil)
      assert(keep(Promise.reject(2)):ignore())
      local show = require "cpromise.show"
      local report = show.report({code = {404}, text = "a\27"}, "trace")
      assert(report:find "404" or report:find "can't be shown")
    end,
    function()
      watch(Promise.delay(1))
      watch(Promise.delay(1, 1, nil, 3))
      watch(Promise.delay(2, table.unpack(many)))
      watch(Promise.delay(3, trial.thenable(true)))
      loop.cancel(loop.timer(1, error))
      keep(Promise.spawn(function()
        for i in Promise.interval(1) do
          if i == 2 then break end
        end
      end))
      loop.advance(1)
    end,
    function()
      local function call(_, _, callback)
        later(callback)
        return true
      end
      local function fail(callback) callback("promisify") end
      watch(Promise.promisify(call)(1, 2))
      watch(Promise.promisify(function(callback)
        callback(nil, 1, nil, 3)
      end)())
      watch(Promise.promisify(fail)())
      watch(Promise.promisify(error)())
    end,
    function()
      local function open_promise()
        local p, resolve, _, on_cancel = Promise.withResolvers()
        later(resolve)
        on_cancel(once())
        on_cancel(once())
        return keep(p)
      end
      local chain = watch(open_promise():next(once())):finally(once())
      watch(chain):cancel "chain"
      watch(Promise.new(function(resolve, _, on_cancel)
        later(resolve)
        on_cancel(error)
      end)):cancel()
      local call
      call = watch(Promise.spawn(function()
        local _, reason = pcall(await, open_promise())
        assert(Promise.isCancelled(reason) or reason == "settled" or
          trial.is_short(reason))
        if Promise.cancelled() then
          local _ <close> = setmetatable({}, {__close = function()
            pcall(pawait, open_promise())
          end})
          return await(open_promise())
        end
        return await(open_promise())
      end))
      call:cancel "call"
      call:cancel "too soon"
      Promise.queueMicrotask(function() if call then call:cancel() end end)
      keep(call:next(once())):cancel "by way of what waits"
      local early
      early = watch(Promise.spawn(function()
        await(1)
        if early then early:cancel() end
        return await(open_promise())
      end))
      for _, name in ipairs {"all", "allSettled", "any", "race"} do
        keep(Promise[name](trial.elements(name))):cancel(name)
      end
      keep(Promise.select(trial.elements "select")):cancel "select"
      keep(keep(Promise.shield(open_promise())):next(once())):cancel()
      local failing = watch(Promise.spawn(function()
        pcall(await, open_promise())
        error "cleanup"
      end))
      watch(Promise.all {failing, open_promise(), n = 2}):cancel "all"
      local returning
      returning = watch(Promise.spawn(function()
        await(1)
        if returning then returning:cancel() end
        return open_promise()
      end))
      local q
      q = watch(Promise.resolve(1):next(function()
        if q then q:cancel() end
        return open_promise()
      end))
      local r
      r = watch(Promise.resolve(1):finally(function()
        if r then r:cancel() end
        return open_promise()
      end))
      keep(Promise.resolve(trial.thenable(true))):cancel()
      do
        local _ <close> = open_promise()
      end
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      local q = keep(keep(p):timeout(1, "late"))
      keep(q:next(once(), once()))
      watch(Promise.delay(1):timeout(2))
      watch(Promise.delay(9)):cancel()
      loop.advance(1)
      local state, reason = q:status()
      assert(state == "pending" or Promise.isTimeout(reason) or
        trial.is_short(reason))
      assert(state == "pending" or tostring(reason))
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      local scope = keep(Promise.scope(function(scope)
        keep(scope:spawn(function() await(p) end))
        keep(scope:spawn(once(), 1, nil, 3))
        return await(p)
      end))
      keep(scope:next(once(), once()))
      scope = keep(Promise.scope(function(own)
        keep(own:spawn(function() await(p) end))
        keep(own:spawn(function() await(1) error "child" end))
        await(p)
      end))
      keep(scope:catch(once()))
      scope = keep(Promise.scope(function(own)
        keep(own:spawn(function() await(p) end))
        await(1)
        own:cancel "scope"
        keep(own:spawn(function() await(p) end))
      end))
      keep(scope:catch(once()))
      keep(Promise.spawn(function()
        local own <close> = Promise.scope()
        keep(own:spawn(function() await(p) end))
        await(1)
        error "block"
      end):catch(once()))
    end,
    function()
      local function body(...) return await(Promise.delay(1, ...)) end
      Promise.run(body, 1, nil, 3)
      await(Promise.delay(1))
      pawait(Promise.delay(1))
      Promise.delay(1):await()
      pcall(Promise.run, error, "run")
    end,
    function()
      local p = watch(Promise.resolve(1))
      keep(p:andThen(once()))
      keep(p["then"](p, once()))
      keep(Promise.spawn(function() return p:await() end))
    end,
    function()
      Promise.queueMicrotask(once())
      Promise.queueMicrotask(once(), 1, nil, 3)
      Promise.queueMicrotask(error, "microtask")
    end,
    function()
      local aggregate = Promise.any {}
      assert(Promise.is(keep(aggregate)))
      local _, reason = aggregate:status()
      assert(tostring(aggregate) and tostring(reason))
      assert(Promise.isAggregate(reason) or trial.is_short(reason))
    end,
    function()
      local p, resolve = Promise.withResolvers()
      later(resolve)
      local function progress(...) return {...} end
      local mapped = {}
      later(function() -- those whose failure there was no memory to handle
        for i = 1, 3 do
          if mapped[i] then mapped[i]:cancel() end
        end
      end)
      later(resolve)
      mapped[1] = Promise.map({1, p, keep(Promise.resolve(2, 3))},
        function(v) return await(v) end,
        {concurrency = 2, progress = progress})
      keep(mapped[1]):catch(once())
      mapped[2] = Promise.map(("a b"):gmatch "%a", function(v)
        if v == "b" then error "map" end
        await(p)
      end)
      keep(mapped[2]):catch(once())
      mapped[3] = keep(Promise.map({p}, await))
      mapped[3]:cancel()
    end,
    function()
      local function attempt(n)
        if n < 3 then error "attempt" end
        return 1, nil, 3
      end
      keep(Promise.retry(attempt, {delay = 1, jitter = 0.5}))
        :next(once(), once())
      keep(Promise.retry(attempt, {attempts = 2})):catch(once())
      keep(Promise.retry(attempt)):cancel()
    end,
    function()
      local task
      later(function() -- if there was no memory to hear of the last one
        if task then task:cancel() end
      end)
      task = keep(Promise.spawn(function(elements)
        for _, p in Promise.asCompleted(elements) do pawait(p) end
      end, trial.elements(1)))
    end,
    function()
      local semaphore = Promise.semaphore(1)
      local function use(give_back)
        later(give_back)
        give_back()
      end
      for i = 1, 4 do
        local p
        later(function()
          semaphore:acquire():cancel() -- go on if there was no memory to
          local state, give_back
          if p then state, give_back = p:status() end
          if state == "fulfilled" then give_back() end -- nobody could use it
        end)
        p = keep(semaphore:acquire())
        if i == 2 then p:cancel() end
        keep(i == 3 and Promise.spawn(function() use(await(p)) end) or
          p:next(use))
      end
    end,
    function()
      local channel = Promise.channel(1)
      later(function()
        channel:close()
        for _ = 1, 5 do channel:receive() end
      end)
      keep(Promise.spawn(function()
        for i = 1, 3 do pcall(await, channel:send(i, nil, i)) end
      end))
      keep(Promise.spawn(function()
        for _ in channel do await(1) end
      end))
      keep(channel:receive())
      keep(channel:receive()):cancel()
      keep(channel:send(4)):cancel()
    end,
    function()
      local event = Promise.event()
      later(function() event:set() end)
      keep(event:wait())
      keep(event:wait()):cancel()
      event:set()
      keep(event:wait())
      event:clear()
      keep(event:wait())
    end,
    function()
      Promise.drain(7)
    end,
    function()
      Promise.run()
    end,
    function()
      -- Half of what was left for later happens now.
      for i = 1, n_settlers, 2 do settlers[i](i, i) end
    end,
    function()
      local event = Promise.event()
      later(function() event:set() end)
      local waiting = keep(Promise.spawn(function()
        await(Promise.all {event:wait()})
      end))
      assert(Promise.inspect(waiting))
      Promise.debug(true)
      local first = keep(Promise.try(error, "in the debug mode"))
      keep(first:catch(1)):ignore()
      assert(tostring(first) and (first:traceback() or true))
      Promise.debug(false)
      assert(#Promise.pending() > 0)
      assert(Promise.traceback {code = 1}:find "code")
      Promise.dump() -- to a table that forgets it
      local channel = Promise.channel()
      later(function() channel:close() end)
      local receiving = keep(channel:receive())
      local ok, reason = pcall(await, receiving)
      assert(not ok and reason:find "promise still pending" or
        trial.is_short(reason), reason)
    end,
    function()
      local thenable = {next = function(_, resolve) resolve() end}
      for i = 1, 8 do
        keep(Promise.resolve(i):finally(function() return thenable end))
      end
      Promise.drain()
    end,
    function()
      local results = {pcall(Promise.main, function() end)}
      assert(results[1] or trial.is_short(results[2]), results[2])
    end,
    function()
      -- A listener asks for memory in the midst of things.
      local function listener(...) return {...} end
      listeners.subscribe(listener)
      local p, resolve = Promise.withResolvers()
      later(resolve)
      keep(p:next(tostring)):cancel()
      keep(Promise.all {p, p:timeout(1)})
      keep(Promise.resolve {next = function(_, fulfil) fulfil(1) end})
      keep(Promise.spawn(function()
        await(1)
        await(Promise.delay(1))
      end))
      Promise.drain()
      listeners.unsubscribe(listener) -- else it goes on to listen
    end,
  }
  for i = 1, #trial.steps do trial.errors[i] = false end
end

--- Runs while memory is short.
local function scenario()
  local trial = package.loaded.trial
  for i = 1, #trial.steps do
    local ok, err = pcall(trial.steps[i])
    if not ok then trial.errors[i] = err end
  end
  -- Draining raises nothing, whatever happens in the jobs.
  trial.other.drain()
  trial.Promise.drain()
end

--- Runs when there is memory again. Returns what is wrong, or else how many
--- jobs ran and how many rejections came for want of memory.
local function verify()
  local trial = package.loaded.trial
  local Promise, made, runs = trial.Promise, trial.made, trial.runs
  local function drain()
    return Promise.drain() + trial.other.drain()
  end

  for i, err in ipairs(trial.errors) do
    if err and not trial.is_short(err) then
      return ("step %d raised %s"):format(i, err)
    end
  end
  local woken = trial.woken
  local alive = 0
  Promise.queueMicrotask(function() alive = alive + 1 end)
  if trial.woken ~= woken + 1 then return "the loop was not told" end
  repeat until drain() == 0
  if alive ~= 1 then return "the queue is dead" end

  -- What goes on then may wait for more.
  for _ = 1, 5 do
    for i = 1, #trial.settlers do
      -- callbacks of promisify take it for an error
      if trial.settlers[i] then trial.settlers[i]("settled") end
    end
    repeat until not trial.loop.step() and drain() == 0
  end
  if trial.core.left() ~= 0 then return "jobs were left" end
  local late = Promise.run(function()
    return Promise.await(Promise.delay(1, "late"))
  end)
  if late ~= "late" then return "the loop is dead" end

  local ran, short, reasons = 0, 0, {}
  for i = 1, #made do
    local state, reason
    if made[i] then state, reason = made[i]:status() end
    if state == "pending" then
      return ("promise %d is pending"):format(i)
    elseif state == "rejected" and trial.is_short(reason) then
      short = short + 1
    elseif state == "rejected" and type(reason) == "string" then
      reasons[#reasons + 1] = reason
    end
  end
  for i = 1, #runs do
    if runs[i] > 1 then return ("job %d ran twice"):format(i) end
    ran = ran + runs[i]
  end
  for i = 1, #trial.records do
    local state, results
    if trial.records[i] then state, results = trial.records[i]:status() end
    for key, entry in pairs(state == "fulfilled" and results or {}) do
      if key ~= "n" and not (type(entry) == "table" and entry.status) then
        return "a result of allSettled is no record"
      end
    end
  end
  if trial.adopted then
    local state, value = trial.adopted:status()
    if state == "fulfilled" and value ~= "settled" and
        math.type(value) ~= "integer" then
      return "a thenable was taken for a value"
    end
  end
  local forgotten = {}
  for name, was_used in pairs(trial.used) do
    if not was_used then forgotten[#forgotten + 1] = name end
  end
  table.sort(forgotten)
  return ran, short, table.concat(reasons, "\0"),
    table.concat(forgotten, " ")
end

prepare = string.dump(prepare)
scenario = string.dump(scenario)
verify = string.dump(verify)

-- The reasons of rejections in the scenario when nothing fails.
local expected

-- Every rejection is one of those, or for want of memory.
local function check_reasons(reasons)
  local found = {}
  for reason in reasons:gmatch "%Z+" do found[reason] = true end
  found.settled = true -- what was left for later comes in any order
  -- The luaL_error of Lua 5.5.0 raises without memory whatever lies below its
  -- message: the name of the function.
  if _VERSION == "Lua 5.5" then found.error = nil end
  expected = expected or found
  for reason in pairs(found) do
    if not expected[reason] then error("strange rejection: " .. reason, 0) end
  end
end

--- Run it with the allocations from `first` to `last` failing. Returns how
--- many it made, how many jobs ran, the rejections for want of memory, and
--- what the scenario forgot.
local function trial(first, last)
  local state <close> = alloc.open()
  local function fail(what)
    error(("allocations %s to %s: %s"):format(first, last, what))
  end
  local function run(...)
    local results = table.pack(state:run(...))
    if not results[1] or type(results[2]) == "string" then
      fail(results[2])
    end
    return table.unpack(results, 2, results.n)
  end
  run(prepare)
  run(scenario, first, last)
  local made = state:count()
  local ran, short, reasons, forgotten = run(verify)
  local ok, why = pcall(check_reasons, reasons)
  if not ok then fail(why) end
  local held = state:close()
  if held ~= 0 then fail(held .. " bytes held") end
  return made, ran, short, forgotten
end

--- The points at which memory runs short, and how many rejections came of
--- it.
local function sweep(more, stride)
  local rejected = 0
  trial() -- learns what reasons to expect
  for n = 1, math.huge, stride do
    local last = more < math.maxinteger - n and n + more or math.maxinteger
    local made, _, short = trial(n, last)
    if made < n then return n - 1, rejected end
    rejected = rejected + short
  end
end

local modes = {["0"] = 0, ["1"] = 1, ["7"] = 7, on = math.maxinteger}

if not arg[1] then
  print(trial())
elseif arg[1] == "all" then
  local points
  local runs, n = 0, 0
  for _, more in pairs(modes) do
    points = sweep(more, 1)
    runs, n = runs + points, n + 1
  end
  print(("%d points, %d modes, %d runs"):format(points, n, runs))
else
  print(sweep(modes[arg[1]], math.tointeger(arg[2]) or 1))
end
