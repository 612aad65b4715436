--- Promises as ECMA-262 has them, sections 27.2 and 27.7: step by step and
--- under its names, slow, and with nothing of the core in it.
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

local function notify_about_rejected_promises()
  local list = rejected
  rejected = {}
  for _, promise in ipairs(list) do
    if hook then hook(promise.PromiseResult, promise) end
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

-- 27.2.2: jobs

-- 27.2.2.1
local function NewPromiseReactionJob(reaction, argument)
  return function()
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

local NewPromiseResolveThenableJob

-- 27.2.1.3
local function CreateResolvingFunctions(promise)
  local alreadyResolved = false

  -- 27.2.1.3.2
  local function resolve(resolution)
    if alreadyResolved then return end
    alreadyResolved = true
    if rawequal(resolution, promise) then
      return RejectPromise(promise, "TypeError: resolved with itself")
    end
    if not IsObject(resolution) then
      return FulfillPromise(promise, resolution)
    end
    local normal, thenAction = pcall(Get, resolution, "next")
    if not normal then
      return RejectPromise(promise, thenAction)
    end
    if not IsCallable(thenAction) then
      return FulfillPromise(promise, resolution)
    end
    HostEnqueuePromiseJob(
      NewPromiseResolveThenableJob(promise, resolution, thenAction))
  end

  -- 27.2.1.3.1
  local function reject(reason)
    if alreadyResolved then return end
    alreadyResolved = true
    return RejectPromise(promise, reason)
  end

  return {Resolve = resolve, Reject = reject}
end

-- 27.2.2.2
function NewPromiseResolveThenableJob(promiseToResolve, thenable, action)
  return function()
    local resolvingFunctions = CreateResolvingFunctions(promiseToResolve)
    local normal, reason = pcall(action, thenable,
      resolvingFunctions.Resolve, resolvingFunctions.Reject)
    if not normal then
      resolvingFunctions.Reject(reason)
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
  local resolvingFunctions = CreateResolvingFunctions(promise)
  local normal, reason = pcall(executor,
    resolvingFunctions.Resolve, resolvingFunctions.Reject)
  if not normal then
    resolvingFunctions.Reject(reason)
  end
  return promise
end

-- 27.2.1.5
local function NewPromiseCapability()
  local promiseCapability = {}
  promiseCapability.Promise = Promise.new(function(resolve, reject)
    promiseCapability.Resolve = resolve
    promiseCapability.Reject = reject
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
    local iteratorStep = GetIterator(iterable)
    return IfAbruptRejectPromise(promiseCapability,
      pcall(Perform, iteratorStep, promiseCapability))
  end
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
    nextPromise:next(onFulfilled, resultCapability.Reject)
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
    nextPromise:next(onFulfilled, onRejected)
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
    nextPromise:next(resultCapability.Resolve, onRejected)
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
    nextPromise:next(resultCapability.Resolve, resultCapability.Reject)
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
  return capability.Promise, capability.Resolve, capability.Reject
end

-- 27.2.5: properties of the prototype

-- 27.2.5.4.1
local function PerformPromiseThen(
    promise, onFulfilled, onRejected, resultCapability)
  local fulfillReaction = {Capability = resultCapability, Type = "Fulfill",
    Handler = IsCallable(onFulfilled) and onFulfilled or nil}
  local rejectReaction = {Capability = resultCapability, Type = "Reject",
    Handler = IsCallable(onRejected) and onRejected or nil}
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
  return resultCapability and resultCapability.Promise
end

-- 27.2.5.4
function prototype.next(promise, onFulfilled, onRejected)
  local resultCapability = NewPromiseCapability()
  return PerformPromiseThen(
    promise, onFulfilled, onRejected, resultCapability)
end

-- 27.2.5.1
function prototype.catch(promise, onRejected)
  return promise:next(nil, onRejected)
end

-- 27.2.5.3
function prototype.finally(promise, onFinally)
  local thenFinally, catchFinally = onFinally, onFinally
  if IsCallable(onFinally) then
    function thenFinally(value)
      local result = onFinally()
      local p = PromiseResolve(result)
      local function returnValue()
        return value
      end
      return p:next(returnValue)
    end
    function catchFinally(reason)
      local result = onFinally()
      local p = PromiseResolve(result)
      local function throwReason()
        ThrowCompletion(reason)
      end
      return p:next(throwReason)
    end
  end
  return promise:next(thenFinally, catchFinally)
end

-- 27.7.5: async functions; an execution context is a coroutine

local function Resume(asyncContext, ...)
  assert(coroutine.resume(asyncContext, ...))
end

-- 27.7.5.1 and 2
local function AsyncFunctionStart(promiseCapability, body)
  local asyncContext = coroutine.create(function()
    local normal, result = pcall(body)
    if normal then
      promiseCapability.Resolve(result)
    else
      promiseCapability.Reject(result)
    end
  end)
  Resume(asyncContext)
end

-- 27.7.5.3
function Promise.await(value)
  local asyncContext = coroutine.running()
  local promise = PromiseResolve(value)
  local function onFulfilled(v)
    Resume(asyncContext, true, v)
  end
  local function onRejected(reason)
    Resume(asyncContext, false, reason)
  end
  PerformPromiseThen(promise, onFulfilled, onRejected)
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
