--- Promises as ECMA-262 has them, sections 27.2 and 27.7: step by step and
--- under its names, slow, and with nothing of the core in it. The standard
--- has no cancellation: what is said of it in types/library/cpromise.lua is
--- added to its steps in the same manner.
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

-- As the event loop of HTML has it, 8.1.6.4; but one that is handled stays in
-- the list, and is skipped: it may not be so in the end.
local function HostPromiseRejectionTracker(promise, operation)
  if operation == "handle" then return end
  for _, other in ipairs(rejected) do
    if other == promise then return end
  end
  table.insert(rejected, promise)
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
    if hook and not promise.PromiseIsHandled and
        not IsCancellation(reason) then
      hook(reason, promise)
    end
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
-- promise does when it is asked to end is its PromiseAsk.

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

-- The promise that is waited for, if that is pending.
local function Source(waiter)
  if waiter == nil or waiter.HasLeft then return nil end
  local isPending = waiter.Promise.PromiseState == "pending"
  return isPending and waiter.Promise or nil
end

-- Whether somebody else waits for the same promise.
local function HasOthers(waiter)
  for _, other in ipairs(waiter.Promise.PromiseWaiters) do
    if other ~= waiter and IsLive(other) then return true end
  end
  return false
end

-- Whether the request goes up to what is waited for. A walk that comes back
-- to where it began goes no further.
local function GoesUp(waiter, walk)
  return waiter.Promise ~= walk.Start and not HasOthers(waiter)
end

-- It waits no longer. Where it was the last one (of a circle, or it shielded)
-- nobody looks at what it waited for.
local function Leave(waiter, walk)
  waiter.HasLeft = true
  if not HasOthers(waiter) then waiter.Promise.PromiseIsHandled = false end
  walk.HasTold = true
end

-- Note the first request to a promise.
local function Mark(promise, walk)
  if promise.PromiseIsAsked then return end
  promise.PromiseIsAsked = true
  promise.PromiseCancellation = walk.Cancellation
  walk.HasTold = true
end

local function Ask(promise, walk)
  promise.PromiseAsk(promise, walk)
end

-- With what a promise that was asked rejects, once what it waited for has
-- fulfilled: that may be a call which was asked, too.
local function CancellationOf(promise, source)
  return source and source.PromiseWasAskedWith or promise.PromiseCancellation
end

-- 27.2.2: jobs

-- 27.2.2.1
local EndElement, ResolveAsked

local function NewPromiseReactionJob(reaction, argument)
  return function()
    if reaction.Waiter.HasLeft then return end
    local promiseCapability = reaction.Capability
    local promise = promiseCapability and promiseCapability.Promise
    local handler = reaction.Handler
    local normal, result
    if reaction.Waiter.Aggregate and
        EndElement(reaction.Waiter, reaction.Type, argument) then
      return
    elseif promise and promise.PromiseIsAsked and
        not promise.PromiseIsFinally then
      if reaction.Type == "Fulfill" then
        argument = CancellationOf(promise, reaction.Waiter.Promise)
      end
      return promiseCapability.Reject(argument)
    end
    if handler == nil then
      normal, result = reaction.Type == "Fulfill", argument
    else
      if promise then promise.PromiseIsRunning = true end
      normal, result = pcall(handler, argument)
      if promise then promise.PromiseIsRunning = false end
    end
    if normal and promise and promise.PromiseIsAsked and
        not promise.PromiseIsFinally then -- while its handler ran
      return ResolveAsked(promiseCapability, result)
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

-- It rejects now: no function settles it any more.
local function RejectNow(promise, reason)
  promise.PromiseIsClosed = true
  RejectPromise(promise, reason)
end

-- It waits no longer, and rejects when the walk is over.
local function LeaveAndReject(promise, walk)
  if Source(promise.PromiseWaiter) then Leave(promise.PromiseWaiter, walk) end
  promise.PromiseIsClosed = true
  table.insert(walk.Left, promise)
  walk.HasTold = true
end

-- One that its functions resolve: its hooks run after the walk. One that has
-- been resolved, with a thenable or an object that is being looked at, waits
-- for nothing that could be asked.
local function AskOwn(promise, walk)
  if promise.PromiseIsClosed then return end -- on the list already
  walk.HasTold = true
  if promise.PromiseIsResolved then
    return RejectNow(promise, walk.Cancellation)
  end
  promise.PromiseIsResolved = true
  promise.PromiseIsClosed = true
  table.insert(walk.Hooked, promise)
end

-- One that follows a thenable whose method has not been called leaves that.
local function AskThenable(promise, walk)
  LeaveAndReject(promise, walk)
end

-- A derived one, and one that follows.
local function AskReaction(promise, walk)
  local waiter = promise.PromiseWaiter
  local source = Source(waiter)
  if not source then -- its turn is near, or its handler runs
    Mark(promise, walk)
  elseif not promise.PromiseIsShield and GoesUp(waiter, walk) then
    Mark(promise, walk)
    Ask(source, walk)
  else
    LeaveAndReject(promise, walk)
  end
end

-- Aggregates

-- No element of an aggregate that was asked to end is missing any more.
local function EndAggregate(promise)
  if promise.PromiseMissing == 0 and promise.PromiseState == "pending" then
    local failure = promise.PromiseFailure
    if failure then
      RejectNow(promise, failure.Reason)
    else
      RejectNow(promise, promise.PromiseCancellation)
    end
  end
end

-- Whether the element stays: then it is asked.
local function TakeElement(promise, waiter, walk)
  if not Source(waiter) then return false end
  if GoesUp(waiter, walk) then return true end
  Leave(waiter, walk)
  promise.PromiseMissing = promise.PromiseMissing - 1
  return false
end

local function AskAggregate(promise, walk)
  Mark(promise, walk)
  local staying = {}
  for _, waiter in ipairs(promise.PromiseElements) do
    if TakeElement(promise, waiter, walk) then
      table.insert(staying, waiter.Promise)
    end
  end
  EndAggregate(promise)
  for _, element in ipairs(staying) do Ask(element, walk) end
end

-- Whether somebody has learnt, or will learn, how a promise settled: one who
-- has waited for it and has not left.
local function IsHandledByOthers(promise)
  for _, waiter in ipairs(promise.PromiseWaiters) do
    if not waiter.HasLeft then return true end
  end
  return false
end

-- An element has had its turn. Whether that was all, since its aggregate is
-- to end: then the first failure is its reason, and others are reported,
-- unless somebody else learns of them.
function EndElement(waiter, type, argument)
  local aggregate, source = waiter.Aggregate, waiter.Promise
  aggregate.PromiseMissing = aggregate.PromiseMissing - 1
  if not aggregate.PromiseIsAsked or aggregate.PromiseIsResolved or
      aggregate.PromiseState ~= "pending" then
    return false
  end
  local first = aggregate.PromiseFailure
  if type == "Reject" and not IsCancellation(argument) then
    if not first then
      aggregate.PromiseFailure = {Reason = argument}
    elseif not (IsObject(argument) and rawequal(first.Reason, argument)) then
      waiter.HasLeft = true
      if not IsHandledByOthers(source) then
        source.PromiseIsHandled = false
        HostPromiseRejectionTracker(source, "reject")
      end
    end
  end
  EndAggregate(aggregate)
  return true
end

-- The walk: the request goes up from a promise, and nothing of the program's
-- runs. Then those that have left reject, and hooks run.
local function Walk(promise, cancellation)
  local walk = {Start = promise, Cancellation = cancellation,
    HasTold = false, Left = {}, Hooked = {}}
  Ask(promise, walk)
  for _, left in ipairs(walk.Left) do
    RejectPromise(left, cancellation)
  end
  for _, hooked in ipairs(walk.Hooked) do
    for _, cancelHook in ipairs(hooked.PromiseCancelHooks) do
      local normal, reason = pcall(cancelHook, cancellation)
      if not normal then HostReportError(reason) end
    end
    RejectPromise(hooked, cancellation)
  end
  return walk.HasTold
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
    promise.PromiseIsShield = false
    if rawequal(resolution, promise) then
      return RejectPromise(promise, "TypeError: resolved with itself")
    end
    if not IsObject(resolution) then
      return FulfillPromise(promise, resolution)
    end
    if not promise.PromiseIsFinally then
      promise.PromiseAsk = AskOwn -- while a getter runs
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
      if not promise.PromiseIsFinally then
        promise.PromiseAsk = AskReaction
      end
    elseif not promise.PromiseIsFinally then
      promise.PromiseAsk = AskThenable
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
    local resolve = resolvingFunctions.Resolve
    if not promiseToResolve.PromiseIsFinally and not IsPromise(thenable) then
      promiseToResolve.PromiseAsk = AskOwn
    end
    if IsPromise(thenable) then
      function resolve(v)
        if promiseToResolve.PromiseIsFinally then
          return promiseToResolve.PromiseEnd(
            resolvingFunctions, "Fulfill", v)
        elseif promiseToResolve.PromiseIsAsked then
          return resolvingFunctions.Reject(
            CancellationOf(promiseToResolve, thenable))
        end
        resolvingFunctions.Resolve(v)
      end
    end
    local reject = resolvingFunctions.Reject
    if promiseToResolve.PromiseIsFinally then
      function reject(r)
        return promiseToResolve.PromiseEnd(resolvingFunctions, "Reject", r)
      end
    end
    local normal, reason = pcall(action, thenable, resolve, reject)
    if not normal then
      resolvingFunctions.Reject(reason)
    elseif IsPromise(thenable) then
      -- 'next' has made a promise that nobody sees: its waiter is ours
      if promiseToResolve.PromiseWaiter then
        promiseToResolve.PromiseWaiter.HasLeft = true
      end
      promiseToResolve.PromiseWaiter = reason.PromiseWaiter
    end
  end
end

-- What code of its own gave for a promise that was asked to end meanwhile: a
-- promise is followed, and asked; anything else is void.
function ResolveAsked(capability, result)
  local promise = capability.Promise
  if not IsPromise(result) then
    return capability.Reject(promise.PromiseCancellation)
  end
  capability.Resolve(result)
  if promise.PromiseState == "pending" then
    Walk(promise, promise.PromiseCancellation)
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
  promise.PromiseAsk = AskOwn
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

-- 27.2.4.7.1; its caller may be about to wait for it.
local function PromiseResolve(x, isWaitedFor)
  if IsPromise(x) then
    return x
  end
  local promiseCapability = NewPromiseCapability()
  promiseCapability.Promise.PromiseIsHandled = isWaitedFor or false
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
    local aggregate = promiseCapability.Promise
    aggregate.PromiseAsk = AskAggregate
    aggregate.PromiseElements = {}
    aggregate.PromiseMissing = 1 -- until all have been taken
    local iteratorStep = GetIterator(iterable)
    local normal, result = pcall(Perform, iteratorStep, promiseCapability)
    aggregate.PromiseMissing = aggregate.PromiseMissing - 1
    if aggregate.PromiseIsAsked and normal then EndAggregate(aggregate) end
    return IfAbruptRejectPromise(promiseCapability, normal, result)
  end
end

-- The aggregate waits for an element through what 'next' has made of it.
local function AddElement(resultCapability, derived)
  local aggregate, waiter = resultCapability.Promise, derived.PromiseWaiter
  waiter.Aggregate = aggregate
  table.insert(aggregate.PromiseElements, waiter)
  aggregate.PromiseMissing = aggregate.PromiseMissing + 1
end

-- 27.2.4.1.2 and 3
local function PerformPromiseAll(iteratorStep, resultCapability)
  local values = {n = 0}
  local remainingElementsCount = 1
  local index = 0
  for next in iteratorStep do
    index = index + 1
    values.n = index
    local nextPromise = PromiseResolve(next, true)
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
    local nextPromise = PromiseResolve(next, true)
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
    local nextPromise = PromiseResolve(next, true)
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
    local nextPromise = PromiseResolve(next, true)
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
    resultCapability.Promise.PromiseAsk = AskReaction
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

-- A 'finally' promise. Before its handler has run it waits as any derived
-- one, but runs the handler all the same. Then it waits for what that
-- returned, and at the end takes its PromiseOriginal: what it reacted to has
-- come to, or the cancellation, which replaces all but a failure.
local function Replace(promise, cancellation)
  local original = promise.PromiseOriginal
  if original.Type == "Fulfill" or IsCancellation(original.Value) then
    promise.PromiseOriginal = {Type = "Reject", Value = cancellation}
  end
end

local function AskFinallyDone(promise, walk)
  local waiter = promise.PromiseResultWaiter
  local source = Source(waiter)
  local waited = promise.PromiseWaited
  if not source and waited and waited.PromiseIsResolved and
      waited.PromiseState ~= "fulfilled" and
      promise.PromiseOriginal.Type == "Fulfill" then -- it is a thenable
    promise.PromiseFollows = true
    Mark(promise, walk)
    if waited.PromiseState == "pending" then Ask(waited, walk) end
    return
  end
  if not promise.PromiseIsAsked then
    Mark(promise, walk)
    Replace(promise, walk.Cancellation)
  end
  if source and GoesUp(waiter, walk) then
    Ask(source, walk)
  elseif source then
    Leave(waiter, walk)
    RejectNow(promise, promise.PromiseOriginal.Value)
  end
end

local function AskFinally(catchFinally)
  return function(promise, walk)
    if promise.PromiseOriginal then return AskFinallyDone(promise, walk) end
    local waiter = promise.PromiseWaiter
    local source = Source(waiter)
    if not source and not promise.PromiseIsAsked and
        not promise.PromiseIsRunning then
      promise.PromiseTakesItsOwn = true
    end
    Mark(promise, walk)
    if not source then return end -- its turn is near, or its handler runs
    if GoesUp(waiter, walk) then return Ask(source, walk) end
    Leave(waiter, walk)
    HostEnqueuePromiseJob(NewPromiseReactionJob({
      Capability = promise.PromiseFinallyCapability, Type = "Reject",
      Handler = catchFinally, Waiter = {HasLeft = false},
    }, walk.Cancellation))
  end
end

-- 27.2.5.3
function prototype.finally(promise, onFinally)
  if not IsCallable(onFinally) then
    return promise:next(onFinally, onFinally)
  end
  local resultCapability = NewPromiseCapability()
  local derived = resultCapability.Promise
  local function wait(type, value)
    local result = onFinally()
    derived.PromiseOriginal = {Type = type, Value = value}
    if derived.PromiseIsAsked and type == "Fulfill" then
      local source = not derived.PromiseTakesItsOwn and promise or nil
      Replace(derived, CancellationOf(derived, source))
    end
    local p = PromiseResolve(result, true)
    local function hasFailed(reason)
      if not (derived.PromiseIsAsked and IsCancellation(reason)) then
        derived.PromiseOriginal = {Type = "Reject", Value = reason}
      end
      ThrowCompletion(reason)
    end
    local function takeOriginal()
      if derived.PromiseOriginal.Type == "Reject" then
        ThrowCompletion(derived.PromiseOriginal.Value)
      end
      return value
    end
    local waited = p:next(takeOriginal, hasFailed)
    derived.PromiseResultWaiter = waited.PromiseWaiter
    derived.PromiseWaited = waited
    return waited
  end
  local function thenFinally(value)
    return wait("Fulfill", value)
  end
  local function catchFinally(reason)
    return wait("Reject", reason)
  end
  function derived.PromiseEnd(resolvingFunctions, type, value)
    local original = derived.PromiseOriginal
    derived.PromiseIsFinally = false
    if derived.PromiseFollows and type == "Fulfill" then
      resolvingFunctions.Reject(derived.PromiseCancellation)
    elseif derived.PromiseFollows then
      resolvingFunctions.Reject(value)
    elseif original.Type == "Reject" then
      resolvingFunctions.Reject(original.Value)
    elseif type == "Reject" then
      resolvingFunctions.Reject(value)
    else
      resolvingFunctions.Resolve(value)
    end
  end
  PerformPromiseThen(promise, thenFinally, catchFinally, resultCapability)
  derived.PromiseIsFinally = true
  derived.PromiseFinallyCapability = resultCapability
  derived.PromiseAsk = AskFinally(catchFinally)
  return derived
end

-- p:cancel([reason])
function prototype.cancel(promise, reason)
  if promise.PromiseState ~= "pending" then
    return false
  end
  return Walk(promise,
    IsCancellation(reason) and reason or Cancellation(reason))
end

function metatable.__close(promise)
  promise:cancel()
end

-- Promise.shield(p)
function Promise.shield(promise)
  local derived = promise:next()
  derived.PromiseIsShield = true
  return derived
end

-- 27.7.5: async functions; an execution context is a coroutine

local function Resume(asyncContext, ...)
  assert(coroutine.resume(asyncContext, ...))
end

-- The promises of the calls, by their execution contexts.
local calls = setmetatable({}, {__mode = "k"})

-- Resume a call that awaits. If it was asked to end, that is raised in place
-- of what was awaited, unless that has failed: then the request waits on.
local function Continue(asyncContext, normal, result)
  local promise = calls[asyncContext]
  local isRequest = promise.PromiseIsUndelivered and
    (normal or IsCancellation(result))
  promise.PromiseAwaits = nil
  if isRequest then
    promise.PromiseIsUndelivered = false
    normal, result = false, promise.PromiseWasAskedWith
  end
  Resume(asyncContext, normal, result, isRequest)
end

-- A call: its 'await' raises the cancellation in its turn, the next one if
-- its body runs.
local function AskCall(asyncContext)
  return function(promise, walk)
    if not promise.PromiseIsUndelivered then
      promise.PromiseIsUndelivered = true
      promise.PromiseWasAskedWith = walk.Cancellation
      walk.HasTold = true
    end
    local waiter = promise.PromiseAwaits
    local source = Source(waiter)
    if source and GoesUp(waiter, walk) then
      Ask(source, walk)
    elseif source then
      Leave(waiter, walk)
      HostEnqueuePromiseJob(function() Continue(asyncContext, true) end)
    end
  end
end

-- The body has returned. What it was asked meanwhile reaches a promise that
-- it returns in its place.
local function ResolveCall(promiseCapability, result)
  local promise = promiseCapability.Promise
  local isUndelivered = promise.PromiseIsUndelivered
  promise.PromiseIsUndelivered = false
  if isUndelivered and IsObject(result) then
    promise.PromiseIsAsked = true
    promise.PromiseCancellation = promise.PromiseWasAskedWith
    return ResolveAsked(promiseCapability, result)
  end
  promiseCapability.Resolve(result)
end

-- 27.7.5.1 and 2
local function AsyncFunctionStart(promiseCapability, body)
  local promise = promiseCapability.Promise
  local function leavesBody(reason) -- nothing in the body catches it
    promise.PromiseIsUndelivered = false
    return reason
  end
  local asyncContext = coroutine.create(function()
    local normal, result = xpcall(body, leavesBody)
    if normal then
      ResolveCall(promiseCapability, result)
    else
      promise.PromiseIsUndelivered = false
      promiseCapability.Reject(result)
    end
  end)
  calls[asyncContext] = promise
  promise.PromiseAsk = AskCall(asyncContext)
  Resume(asyncContext)
end

-- 27.7.5.3, and whether the outcome is what the call was asked to end with.
local function Await(value)
  local asyncContext = coroutine.running()
  local call = calls[asyncContext]
  local promise = PromiseResolve(value, true)
  local function onFulfilled(v)
    Continue(asyncContext, true, v)
  end
  local function onRejected(reason)
    Continue(asyncContext, false, reason)
  end
  local _, waiter = PerformPromiseThen(promise, onFulfilled, onRejected)
  call.PromiseAwaits = waiter
  if call.PromiseIsUndelivered and promise.PromiseState == "pending" then
    Walk(call, call.PromiseWasAskedWith)
  end
  return coroutine.yield()
end

function Promise.await(value)
  local normal, result = Await(value)
  if not normal then
    ThrowCompletion(result)
  end
  return result
end

function Promise.pawait(value)
  local normal, result, isRequest = Await(value)
  if isRequest then
    ThrowCompletion(result)
  end
  return normal, result
end

-- Promise.cancelled()
function Promise.cancelled()
  local call = calls[(coroutine.running())]
  return call and call.PromiseWasAskedWith
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
