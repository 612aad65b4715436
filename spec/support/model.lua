--- Promises as ECMA-262 has them, sections 27.2 and 27.7: step by step and
--- under its names, slow, and with nothing of the core in it. The standard
--- has no cancellation: what is said of it in types/cpromise.lua is added to
--- its steps in the same manner.
---
--- `then` is called `next`, objects are tables, and what a function throws is
--- an error of Lua's. There are no subclasses, so a constructor is no
--- argument. A promise takes one value.

local Promise, prototype = {}, {}
local metatable = {__index = prototype, __name = "promise"}

-- What a host provides

local jobs, rejected, hook = {}, {}, nil

local function HostEnqueuePromiseJob(job)
  table.insert(jobs, job)
end

-- As the event loop of HTML has it, 8.1.6.4.
local function HostPromiseRejectionTracker(promise, operation)
  if operation == "reject" then
    table.insert(rejected, promise)
  else
    for i, other in ipairs(rejected) do
      if other == promise then table.remove(rejected, i) break end
    end
  end
end

local function HostReportError(reason)
  if hook then hook(reason) end
end

local IsCancellation

local function notify_about_rejected_promises()
  local list = rejected
  rejected = {}
  for _, promise in ipairs(list) do
    local reason = promise.PromiseResult
    if hook and not IsCancellation(reason) then hook(reason, promise) end
  end
end

-- Values

local function IsCallable(v)
  local meta = getmetatable(v)
  return type(v) == "function" or meta ~= nil and IsCallable(meta.__call)
end

local function IsObject(v)
  return type(v) == "table"
end

local function Get(object, key)
  return object[key]
end

local function ThrowCompletion(reason)
  error(reason, 0)
end

-- 27.2.1.6
local function IsPromise(x)
  return IsObject(x) and getmetatable(x) == metatable
end

-- Cancellation: who waits for whom
--
-- A waiter is a record of the promise that is waited for. It stands in that
-- one's list PromiseWaiters, and is the PromiseWaiter of the one that waits;
-- those of an aggregate's elements are its PromiseElements. What a pending
-- promise does when it is cancelled is its PromiseCancel.

local cancellation_metatable = {__name = "Cancellation"}

function IsCancellation(v)
  return getmetatable(v) == cancellation_metatable
end

local function Cancellation(reason)
  return setmetatable(
    {message = "the promise was cancelled", reason = reason},
    cancellation_metatable)
end

local function NewWaiter(promise)
  local waiter = {Promise = promise, HasLeft = false}
  table.insert(promise.PromiseWaiters, waiter)
  return waiter
end

-- Whether it still wants to know. An aggregate lets go of its elements when
-- it is resolved.
local function IsLive(waiter)
  return not waiter.HasLeft and
    not (waiter.Aggregate and waiter.Aggregate.PromiseIsResolved)
end

-- The waiter waits no longer. Returns the promise if that is still pending.
local function Leave(waiter)
  if waiter == nil then return nil end
  waiter.HasLeft = true
  local isPending = waiter.Promise.PromiseState == "pending"
  return isPending and waiter.Promise or nil
end

local function IsCancellable(promise)
  return promise.PromiseState == "pending" and not promise.PromiseIsCancelled
end

-- Whether to cancel a promise, or nil, that a waiter has left. If nobody
-- waits for it, what it rejects with by itself is not handled.
local function IsLeft(promise)
  if promise == nil or promise.PromiseState ~= "pending" then return false end
  for _, waiter in ipairs(promise.PromiseWaiters) do
    if IsLive(waiter) then return false end
  end
  promise.PromiseIsHandled = false
  return IsCancellable(promise)
end

-- Cancel a promise; then what it waited for, if nobody else waits for that;
-- then, in the same way, the elements that aggregates have let go.
local function CancelPromise(promise, cancellation)
  local elements = {}
  while promise do
    promise.PromiseIsCancelled = true
    local source = promise.PromiseCancel(promise, cancellation, elements)
    promise = IsLeft(source) and source or nil
    while not promise and elements[1] do
      local element = table.remove(elements, 1)
      promise = IsLeft(element) and element or nil
    end
  end
end

-- 27.2.2: jobs

-- 27.2.2.1
local function NewPromiseReactionJob(reaction, argument)
  return function()
    if reaction.Waiter.HasLeft then return end
    local promiseCapability = reaction.Capability
    local handler = reaction.Handler
    local normal, result
    if handler == nil then
      normal, result = reaction.Type == "Fulfill", argument
    else
      normal, result = pcall(handler, argument)
    end
    if promiseCapability == nil then
      assert(normal)
    elseif normal then
      promiseCapability.Resolve(result)
    else
      promiseCapability.Reject(result)
    end
  end
end

-- 27.2.1.8
local function TriggerPromiseReactions(reactions, argument)
  for _, reaction in ipairs(reactions) do
    HostEnqueuePromiseJob(NewPromiseReactionJob(reaction, argument))
  end
end

-- 27.2.1.4
local function FulfillPromise(promise, value)
  assert(promise.PromiseState == "pending")
  local reactions = promise.PromiseFulfillReactions
  promise.PromiseResult = value
  promise.PromiseFulfillReactions = nil
  promise.PromiseRejectReactions = nil
  promise.PromiseState = "fulfilled"
  TriggerPromiseReactions(reactions, value)
end

-- 27.2.1.7
local function RejectPromise(promise, reason)
  assert(promise.PromiseState == "pending")
  local reactions = promise.PromiseRejectReactions
  promise.PromiseResult = reason
  promise.PromiseFulfillReactions = nil
  promise.PromiseRejectReactions = nil
  promise.PromiseState = "rejected"
  if not promise.PromiseIsHandled then
    HostPromiseRejectionTracker(promise, "reject")
  end
  TriggerPromiseReactions(reactions, reason)
end

-- Cancelled, it rejects at once: no function settles it any more.
local function RejectCancelled(promise, cancellation)
  promise.PromiseIsClosed = true
  RejectPromise(promise, cancellation)
end

-- One that its functions resolve: its hooks run first.
local function CancelOwn(promise, cancellation)
  promise.PromiseIsResolved = true
  promise.PromiseIsClosed = true
  for _, cancelHook in ipairs(promise.PromiseCancelHooks) do
    local normal, reason = pcall(cancelHook, cancellation)
    if not normal then HostReportError(reason) end
  end
  RejectPromise(promise, cancellation)
end

-- A derived one, and one that follows.
local function CancelReaction(promise, cancellation)
  local source = Leave(promise.PromiseWaiter)
  RejectCancelled(promise, cancellation)
  return source
end

local function CancelShield(promise, cancellation)
  IsLeft(CancelReaction(promise, cancellation))
end

local function CancelAggregate(promise, cancellation, elements)
  for _, waiter in ipairs(promise.PromiseElements) do
    table.insert(elements, Leave(waiter))
  end
  RejectCancelled(promise, cancellation)
end

local NewPromiseResolveThenableJob

-- 27.2.1.3
local function CreateResolvingFunctions(promise)
  local alreadyResolved = false

  -- 27.2.1.3.2
  local function resolve(resolution)
    if alreadyResolved or promise.PromiseIsClosed then return end
    alreadyResolved = true
    promise.PromiseIsResolved = true
    if rawequal(resolution, promise) then
      return RejectPromise(promise, "TypeError: resolved with itself")
    end
    if not IsObject(resolution) then
      return FulfillPromise(promise, resolution)
    end
    if not promise.PromiseIsFinally then
      promise.PromiseCancel = CancelReaction
    end
    local normal, thenAction = pcall(Get, resolution, "next")
    if promise.PromiseIsClosed then return end -- cancelled meanwhile
    if not normal then
      return RejectPromise(promise, thenAction)
    end
    if not IsCallable(thenAction) then
      return FulfillPromise(promise, resolution)
    end
    if IsPromise(resolution) then
      promise.PromiseWaiter = NewWaiter(resolution)
    end
    HostEnqueuePromiseJob(
      NewPromiseResolveThenableJob(promise, resolution, thenAction))
  end

  -- 27.2.1.3.1
  local function reject(reason)
    if alreadyResolved or promise.PromiseIsClosed then return end
    alreadyResolved = true
    promise.PromiseIsResolved = true
    return RejectPromise(promise, reason)
  end

  return {Resolve = resolve, Reject = reject}
end

-- 27.2.2.2
function NewPromiseResolveThenableJob(promiseToResolve, thenable, action)
  return function()
    if promiseToResolve.PromiseIsClosed then return end
    local resolvingFunctions = CreateResolvingFunctions(promiseToResolve)
    local normal, reason = pcall(action, thenable,
      resolvingFunctions.Resolve, resolvingFunctions.Reject)
    if not normal then
      resolvingFunctions.Reject(reason)
    elseif IsPromise(thenable) then
      -- 'next' has made a promise that nobody sees: its waiter is ours
      Leave(promiseToResolve.PromiseWaiter)
      promiseToResolve.PromiseWaiter = reason.PromiseWaiter
    end
  end
end

-- 27.2.3.1: Promise(executor)
function Promise.new(executor)
  local promise = setmetatable({}, metatable)
  promise.PromiseState = "pending"
  promise.PromiseFulfillReactions = {}
  promise.PromiseRejectReactions = {}
  promise.PromiseIsHandled = false
  promise.PromiseWaiters = {}
  promise.PromiseCancelHooks = {}
  promise.PromiseCancel = CancelOwn
  local resolvingFunctions = CreateResolvingFunctions(promise)
  local function onCancel(cancelHook)
    if promise.PromiseIsResolved then return end
    table.insert(promise.PromiseCancelHooks, cancelHook)
  end
  local normal, reason = pcall(executor,
    resolvingFunctions.Resolve, resolvingFunctions.Reject, onCancel)
  if not normal then
    resolvingFunctions.Reject(reason)
  end
  return promise
end

-- 27.2.1.5
local function NewPromiseCapability()
  local promiseCapability = {}
  promiseCapability.Promise = Promise.new(function(resolve, reject, onCancel)
    promiseCapability.Resolve = resolve
    promiseCapability.Reject = reject
    promiseCapability.OnCancel = onCancel
  end)
  return promiseCapability
end

-- 27.2.4.7.1
local function PromiseResolve(x)
  if IsPromise(x) then
    return x
  end
  local promiseCapability = NewPromiseCapability()
  promiseCapability.Resolve(x)
  return promiseCapability.Promise
end

-- 27.2.4: properties of the constructor

local function GetIterator(iterable)
  if type(iterable) == "function" then return iterable end
  local i = 0
  return function()
    i = i + 1
    return iterable[i]
  end
end

-- The error if the body threw one.
local function IfAbruptRejectPromise(promiseCapability, normal, result)
  if normal then
    return result
  end
  promiseCapability.Reject(result)
  return promiseCapability.Promise
end

-- The part that is the same in 27.2.4.1, 2, 3 and 5.
local function combinator(Perform)
  return function(iterable)
    local promiseCapability = NewPromiseCapability()
    promiseCapability.Promise.PromiseCancel = CancelAggregate
    promiseCapability.Promise.PromiseElements = {}
    local iteratorStep = GetIterator(iterable)
    return IfAbruptRejectPromise(promiseCapability,
      pcall(Perform, iteratorStep, promiseCapability))
  end
end

-- The aggregate waits for an element through what 'next' has made of it.
local function AddElement(resultCapability, derived)
  local aggregate, waiter = resultCapability.Promise, derived.PromiseWaiter
  waiter.Aggregate = aggregate
  table.insert(aggregate.PromiseElements, waiter)
end

-- 27.2.4.1.2 and 3
local function PerformPromiseAll(iteratorStep, resultCapability)
  local values = {n = 0}
  local remainingElementsCount = 1
  local index = 0
  for next in iteratorStep do
    index = index + 1
    values.n = index
    local nextPromise = PromiseResolve(next)
    local alreadyCalled, thisIndex = false, index
    local function onFulfilled(x)
      if alreadyCalled then return end
      alreadyCalled = true
      values[thisIndex] = x
      remainingElementsCount = remainingElementsCount - 1
      if remainingElementsCount == 0 then
        resultCapability.Resolve(values)
      end
    end
    remainingElementsCount = remainingElementsCount + 1
    AddElement(resultCapability,
      nextPromise:next(onFulfilled, resultCapability.Reject))
  end
  remainingElementsCount = remainingElementsCount - 1
  if remainingElementsCount == 0 then
    resultCapability.Resolve(values)
  end
  return resultCapability.Promise
end

-- 27.2.4.2.1 to 3
local function PerformPromiseAllSettled(iteratorStep, resultCapability)
  local values = {n = 0}
  local remainingElementsCount = 1
  local index = 0
  for next in iteratorStep do
    index = index + 1
    values.n = index
    local nextPromise = PromiseResolve(next)
    local alreadyCalled, thisIndex = false, index
    local function element(record)
      if alreadyCalled then return end
      alreadyCalled = true
      values[thisIndex] = record
      remainingElementsCount = remainingElementsCount - 1
      if remainingElementsCount == 0 then
        resultCapability.Resolve(values)
      end
    end
    local function onFulfilled(x)
      return element {status = "fulfilled", value = x}
    end
    local function onRejected(x)
      return element {status = "rejected", reason = x}
    end
    remainingElementsCount = remainingElementsCount + 1
    AddElement(resultCapability, nextPromise:next(onFulfilled, onRejected))
  end
  remainingElementsCount = remainingElementsCount - 1
  if remainingElementsCount == 0 then
    resultCapability.Resolve(values)
  end
  return resultCapability.Promise
end

-- 20.5.7
local function AggregateError(errors)
  return {errors = errors, message = "All promises were rejected"}
end

-- 27.2.4.3.1 and 2
local function PerformPromiseAny(iteratorStep, resultCapability)
  local errors = {n = 0}
  local remainingElementsCount = 1
  local index = 0
  for next in iteratorStep do
    index = index + 1
    errors.n = index
    local nextPromise = PromiseResolve(next)
    local alreadyCalled, thisIndex = false, index
    local function onRejected(x)
      if alreadyCalled then return end
      alreadyCalled = true
      errors[thisIndex] = x
      remainingElementsCount = remainingElementsCount - 1
      if remainingElementsCount == 0 then
        resultCapability.Reject(AggregateError(errors))
      end
    end
    remainingElementsCount = remainingElementsCount + 1
    AddElement(resultCapability,
      nextPromise:next(resultCapability.Resolve, onRejected))
  end
  remainingElementsCount = remainingElementsCount - 1
  if remainingElementsCount == 0 then
    ThrowCompletion(AggregateError(errors))
  end
  return resultCapability.Promise
end

-- 27.2.4.5.1
local function PerformPromiseRace(iteratorStep, resultCapability)
  for next in iteratorStep do
    local nextPromise = PromiseResolve(next)
    AddElement(resultCapability,
      nextPromise:next(resultCapability.Resolve, resultCapability.Reject))
  end
  return resultCapability.Promise
end

Promise.all = combinator(PerformPromiseAll)
Promise.allSettled = combinator(PerformPromiseAllSettled)
Promise.any = combinator(PerformPromiseAny)
Promise.race = combinator(PerformPromiseRace)

-- 27.2.4.6
function Promise.reject(r)
  local promiseCapability = NewPromiseCapability()
  promiseCapability.Reject(r)
  return promiseCapability.Promise
end

-- 27.2.4.7
function Promise.resolve(x)
  return PromiseResolve(x)
end

-- 27.2.4.9
function Promise.withResolvers()
  local capability = NewPromiseCapability()
  return capability.Promise, capability.Resolve, capability.Reject,
    capability.OnCancel
end

-- 27.2.5: properties of the prototype

-- 27.2.5.4.1
local function PerformPromiseThen(
    promise, onFulfilled, onRejected, resultCapability)
  local waiter = NewWaiter(promise)
  local fulfillReaction = {Capability = resultCapability, Type = "Fulfill",
    Handler = IsCallable(onFulfilled) and onFulfilled or nil,
    Waiter = waiter}
  local rejectReaction = {Capability = resultCapability, Type = "Reject",
    Handler = IsCallable(onRejected) and onRejected or nil,
    Waiter = waiter}
  if promise.PromiseState == "pending" then
    table.insert(promise.PromiseFulfillReactions, fulfillReaction)
    table.insert(promise.PromiseRejectReactions, rejectReaction)
  elseif promise.PromiseState == "fulfilled" then
    local value = promise.PromiseResult
    HostEnqueuePromiseJob(NewPromiseReactionJob(fulfillReaction, value))
  else
    local reason = promise.PromiseResult
    if not promise.PromiseIsHandled then
      HostPromiseRejectionTracker(promise, "handle")
    end
    HostEnqueuePromiseJob(NewPromiseReactionJob(rejectReaction, reason))
  end
  promise.PromiseIsHandled = true
  if resultCapability then
    resultCapability.Promise.PromiseWaiter = waiter
    resultCapability.Promise.PromiseCancel = CancelReaction
  end
  return resultCapability and resultCapability.Promise, waiter
end

-- 27.2.5.4
function prototype.next(promise, onFulfilled, onRejected)
  local resultCapability = NewPromiseCapability()
  return (PerformPromiseThen(
    promise, onFulfilled, onRejected, resultCapability))
end

-- 27.2.5.1
function prototype.catch(promise, onRejected)
  return promise:next(nil, onRejected)
end

-- What a 'finally' promise does: its handler runs, as it does after a
-- rejection. It stays pending until that is done, and is then rejected.
local function CancelFinally(catchFinally)
  return function(promise, cancellation)
    if promise.PromiseFinallyIsDone then
      return CancelReaction(promise, cancellation)
    end
    promise.PromiseCancellation = cancellation
    local waiter = promise.PromiseWaiter
    if promise.PromiseIsResolved or
        waiter.Promise.PromiseState ~= "pending" then
      return nil
    end
    HostEnqueuePromiseJob(NewPromiseReactionJob({
      Capability = promise.PromiseFinallyCapability, Type = "Reject",
      Handler = catchFinally, Waiter = {HasLeft = false},
    }, cancellation))
    return Leave(waiter)
  end
end

-- 27.2.5.3
function prototype.finally(promise, onFinally)
  if not IsCallable(onFinally) then
    return promise:next(onFinally, onFinally)
  end
  local resultCapability = NewPromiseCapability()
  local derived = resultCapability.Promise
  local function isDone()
    derived.PromiseFinallyIsDone = true
    if derived.PromiseCancellation then
      ThrowCompletion(derived.PromiseCancellation)
    end
  end
  local function hasFailed(reason)
    derived.PromiseFinallyIsDone = true
    ThrowCompletion(reason)
  end
  local function thenFinally(value)
    local result = onFinally()
    local p = PromiseResolve(result)
    local function returnValue()
      isDone()
      return value
    end
    return p:next(returnValue, hasFailed)
  end
  local function catchFinally(reason)
    local result = onFinally()
    local p = PromiseResolve(result)
    local function throwReason()
      isDone()
      ThrowCompletion(reason)
    end
    return p:next(throwReason, hasFailed)
  end
  PerformPromiseThen(promise, thenFinally, catchFinally, resultCapability)
  derived.PromiseIsFinally = true
  derived.PromiseFinallyCapability = resultCapability
  derived.PromiseCancel = CancelFinally(catchFinally)
  return derived
end

-- p:cancel([reason])
function prototype.cancel(promise, reason)
  if not IsCancellable(promise) then
    return false
  end
  CancelPromise(promise,
    IsCancellation(reason) and reason or Cancellation(reason))
  return true
end

function metatable.__close(promise)
  promise:cancel()
end

-- Promise.shield(p)
function Promise.shield(promise)
  local derived = promise:next()
  derived.PromiseCancel = CancelShield
  return derived
end

-- 27.7.5: async functions; an execution context is a coroutine

local function Resume(asyncContext, ...)
  assert(coroutine.resume(asyncContext, ...))
end

-- The promises of the calls, by their execution contexts.
local calls = setmetatable({}, {__mode = "k"})

-- Resume a call that awaits: with its cancellation, if there is one.
local function Continue(asyncContext, normal, result)
  local promise = calls[asyncContext]
  local cancellation = promise.PromiseCancellation
  promise.PromiseAwaits = nil
  promise.PromiseCancellation = nil
  if cancellation then
    normal, result = false, cancellation
  end
  Resume(asyncContext, normal, result)
end

-- A call: its 'await' raises the cancellation in its turn, the next one if
-- its body runs.
local function CancelCall(asyncContext)
  return function(promise, cancellation)
    promise.PromiseCancellation = cancellation
    local source = Leave(promise.PromiseAwaits)
    if source then
      HostEnqueuePromiseJob(function() Continue(asyncContext) end)
    elseif promise.PromiseAwaits then
      promise.PromiseAwaits.HasLeft = false -- its job is in the queue
    end
    return source
  end
end

-- 27.7.5.1 and 2
local function AsyncFunctionStart(promiseCapability, body)
  local promise = promiseCapability.Promise
  local asyncContext = coroutine.create(function()
    local normal, result = pcall(body)
    promise.PromiseIsCancelled = false
    promise.PromiseCancellation = nil
    if normal then
      promiseCapability.Resolve(result)
    else
      promiseCapability.Reject(result)
    end
  end)
  calls[asyncContext] = promise
  promise.PromiseCancel = CancelCall(asyncContext)
  Resume(asyncContext)
end

-- 27.7.5.3
function Promise.await(value)
  local asyncContext = coroutine.running()
  local call = calls[asyncContext]
  local promise = PromiseResolve(value)
  local function onFulfilled(v)
    Continue(asyncContext, true, v)
  end
  local function onRejected(reason)
    Continue(asyncContext, false, reason)
  end
  local _, waiter = PerformPromiseThen(promise, onFulfilled, onRejected)
  call.PromiseAwaits = waiter
  if call.PromiseCancellation then -- since before it awaited
    local source = Leave(waiter)
    HostEnqueuePromiseJob(function() Continue(asyncContext) end)
    if IsLeft(source) then
      CancelPromise(source, call.PromiseCancellation)
    end
  end
  local normal, result = coroutine.yield()
  if not normal then
    ThrowCompletion(result)
  end
  return result
end

-- The call of an async function.
function Promise.spawn(body)
  local promiseCapability = NewPromiseCapability()
  AsyncFunctionStart(promiseCapability, body)
  return promiseCapability.Promise
end

-- What programs ask of the host

Promise.isCancelled = IsCancellation
Promise.queueMicrotask = HostEnqueuePromiseJob

--- Run all jobs, and report the rejections that nobody has handled. Raises
--- if there are more than `max` jobs.
function Promise.drain(max)
  local left = max or math.huge
  while jobs[1] do
    left = left - 1
    assert(left >= 0, "too many jobs")
    table.remove(jobs, 1)()
  end
  notify_about_rejected_promises()
end

--- Who is told of rejections: fn(reason, promise).
function Promise.onUnhandledRejection(fn)
  hook = fn
end

return Promise
