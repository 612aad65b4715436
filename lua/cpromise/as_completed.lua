--- Promises in the order in which they settle, for a loop.

local check = require "cpromise.check"
local core = require "cpromise.core"
local iterable = require "cpromise.iterable"
local see = require "cpromise.see"

-- The state of a generic `for`, and its closing value.
local Completion = {}

-- Each element is observed through a shield: to let go of it is not to cancel
-- it.
local function observe(completion, promise)
  local i = completion.n + 1
  local function note()
    if not completion.reactions[i] then return end -- let go meanwhile
    completion.settled = completion.settled + 1
    completion.order[completion.settled] = i
    completion.reactions[i] = nil
    if completion.notify then completion.notify() end
  end
  completion.n = i
  completion.order[i] = false -- room for one more: `note` needs no memory
  completion.promises[i] = promise
  completion.reactions[i] = core.shield(promise):next(note, note)
end

-- Let go of an element. Returns a promise that waits for it in the place of
-- the shield, where the loop is cancelled.
local function let_go(completion, i, cancellation)
  local promise, reaction = completion.promises[i], completion.reactions[i]
  completion.reactions[i] = nil
  if not cancellation then
    reaction:cancel()
    return
  end
  local waiter = promise:next()
  if promise:status() == "pending" then -- or the shield has its outcome
    reaction:cancel()
    waiter:cancel(cancellation)
  end
  return waiter
end

-- The running call was asked to end, but a failure is raised first: it gets
-- that at its next `await`.
local function remind(cancellation)
  local call = core.running()
  if call and rawequal(core.cancelled(), cancellation) then
    call:cancel(cancellation)
  end
end

-- Wait till what was cancelled with the loop has ended. Of several failures
-- the first is raised, the others are reported. The call may be cancelled
-- again.
local function wait_for(waiters, cancellation)
  local failed = {} -- in order of time
  for i, waiter in ipairs(waiters) do
    waiters[i] = waiter:catch(function(reason)
      if not core.isCancelled(reason) then failed[#failed + 1] = waiter end
    end)
  end
  local all = core.all(waiters)
  local ok, reason = pcall(core.await, all)
  if not ok and not core.isCancelled(reason) then
    failed[#failed + 1] = all -- was cancelled: that handler did not run
  elseif not ok then
    cancellation = reason
  end
  for i = 2, #failed do core.report(select(2, failed[i]:status())) end
  if #failed > 0 then remind(cancellation) end
  if failed[1] and failed[1]:status() ~= "pending" then
    core.unwrap(failed[1])
  elseif not ok then
    error(reason, 0)
  end
end

-- The loop is left: by an error, or with none. If it is by a cancellation,
-- elements for which nobody else waits are cancelled too, and what has failed
-- without being given is not lost.
function Completion:__close(reason)
  local cancellation = core.isCancelled(reason) and reason or nil
  local waiters = {}
  for given = self.given + 1, cancellation and self.settled or 0 do
    waiters[#waiters + 1] = self.promises[self.order[given]]:next()
  end
  for i = 1, self.n do
    if self.reactions[i] then
      waiters[#waiters + 1] = let_go(self, i, cancellation)
    end
  end
  self.n = self.settled
  if #waiters > 0 and core.canAwait() then
    wait_for(waiters, cancellation)
  end
end

-- Taking the elements ends by an error.
local Taking = {}

function Taking:__close()
  if self.completion then Completion.__close(self.completion) end
end

local function observe_all(completion, v, state, control, closing)
  local _ <close> = closing
  local taking <close> = setmetatable({completion = completion}, Taking)
  local step = iterable.steps(v, state, control)
  local more, element = step()
  while more do
    observe(completion, core.resolve(element))
    more, element = step()
  end
  taking.completion = nil
end

-- Several may run the same loop.
local function change_of(completion)
  local changed = completion.changed
  if not changed or changed:status() ~= "pending" then
    changed, completion.notify = core.withResolvers()
    completion.changed = see.stand_for(changed, completion.promises)
  end
  return changed
end

-- What has settled is taken in the turn of who gets it: so it isn't lost if
-- that is cancelled.
local function step(completion)
  while completion.given == completion.settled do
    if completion.settled == completion.n then return nil end
    check.can_await()
    core.await(change_of(completion))
  end
  local given = completion.given + 1
  local i = completion.order[given]
  local promise = completion.promises[i]
  completion.given = given
  completion.order[given], completion.promises[i] = nil, nil
  return i, promise
end

--- What a generic `for` needs to get each index and its promise.
return function(v, ...)
  local why = check.not_iterable(v)
  if why then check.fail(1, "asCompleted", why) end
  local completion = setmetatable({
    promises = {}, -- by index, those that have not been given
    reactions = {}, -- by index, those of elements that are pending
    order = {}, -- of settling: the indices
    n = 0, -- elements
    settled = 0,
    given = 0,
  }, Completion)
  observe_all(completion, v, ...)
  return step, completion, nil, completion
end
