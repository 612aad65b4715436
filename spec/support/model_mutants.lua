--- Breaks the model, one line at a time, and counts the random programs after
--- which the comparison with the core notices. Run it from the top folder;
--- `--all` prints each mistake; with `--model` the model as it is stands in
--- for the core, so that a core with mistakes of its own hides none.

local compare = require "spec.support.compare_model"
local random_orders = require "spec.support.random_orders"

local mutants = {}

--- Programs after which a mistake counts as not found.
mutants.LIMIT = 5000

-- Rejects also what is resolved and waits.
local REJECT_IF_PENDING = [[
    local promise = %s
    if promise.PromiseState == "pending" then
      RejectPromise(promise, reason)
    end]]

-- {place, text, replacement}: the first such text after the place.
mutants.list = {
  {"HostEnqueuePromiseJob", "(jobs, job)", "(jobs, 1, job)"},
  {"HostPromiseRejectionTracker", "(rejected, promise)",
    "(rejected, 1, promise)"},
  {"notify_about_rejected_promises", "not promise.PromiseIsHandled and", ""},
  {"notify_about_rejected_promises", "rejected = {}", ""},
  {"IsObject", 'type(v) == "table"', "false"},
  {"IsObject", 'type(v) == "table"', "getmetatable(v) == metatable"},

  {"NewPromiseReactionJob", 'result = reaction.Type == "Fulfill"',
    "result = true"},
  {"NewPromiseReactionJob", "handler, argument", "handler"},
  {"NewPromiseReactionJob", "elseif normal", "elseif true"},
  {"NewPromiseReactionJob", "Resolve(result)", "Resolve(argument)"},
  {"NewPromiseReactionJob", "Reject(result)", "Reject(argument)"},
  {"TriggerPromiseReactions", "for _, reaction in ipairs(reactions) do",
    "for i = #reactions, 1, -1 do local reaction = reactions[i]"},
  {"TriggerPromiseReactions",
    "HostEnqueuePromiseJob(NewPromiseReactionJob(reaction, argument))",
    "NewPromiseReactionJob(reaction, argument)()"},

  {"FulfillPromise", "promise.PromiseFulfillReactions",
    "promise.PromiseRejectReactions"},
  {"FulfillPromise", "promise.PromiseResult = value", ""},
  {"FulfillPromise", '"fulfilled"', '"rejected"'},
  {"FulfillPromise", "(reactions, value)", "(reactions)"},
  {"RejectPromise", "promise.PromiseRejectReactions",
    "promise.PromiseFulfillReactions"},
  {"RejectPromise", "promise.PromiseResult = reason", ""},
  {"RejectPromise", 'HostPromiseRejectionTracker(promise, "reject")', ""},
  {"RejectPromise", "(reactions, reason)", "(reactions)"},

  {"27.2.1.3.2", "if alreadyResolved",
    'if promise.PromiseState ~= "pending"'},
  {"27.2.1.3.2", "alreadyResolved = true",
    "alreadyResolved = not IsObject(resolution)"},
  {"27.2.1.3.2", "rawequal(resolution, promise)", "false"},
  {"27.2.1.3.2", 'pcall(Get, resolution, "next")', "true, resolution.next"},
  {"27.2.1.3.2", "return RejectPromise(promise, thenAction)",
    "return FulfillPromise(promise, thenAction)"},
  {"27.2.1.3.2", "if not IsCallable", "if IsPromise(resolution) or not"},
  {"27.2.1.3.2", "HostEnqueuePromiseJob(", "(function(job) job() end)("},
  {"27.2.1.3.2", "local normal, thenAction", [[
    if IsPromise(resolution) then
      local functions = CreateResolvingFunctions(promise)
      return resolution:next(functions.Resolve, functions.Reject)
    end
    local normal, thenAction]]},
  {"27.2.1.3.1", "if alreadyResolved",
    'if promise.PromiseState ~= "pending"'},

  {"27.2.2.2", "pcall(action,", "pcall(thenable.next,"},
  {"27.2.2.2", "resolvingFunctions.Resolve, resolvingFunctions.Reject",
    "resolvingFunctions.Reject, resolvingFunctions.Resolve"},
  {"27.2.2.2", "if not normal", "if false"},
  {"27.2.2.2", "resolvingFunctions.Reject(reason)",
    REJECT_IF_PENDING:format "promiseToResolve"},

  {"Promise.new", "PromiseIsHandled = false", "PromiseIsHandled = true"},
  {"Promise.new", "if not normal", "if false"},
  {"Promise.new", "resolvingFunctions.Reject(reason)",
    "resolvingFunctions.Resolve(reason)"},
  {"Promise.new", "resolvingFunctions.Reject(reason)",
    REJECT_IF_PENDING:format "promise"},
  {"function PromiseResolve(x", "IsPromise(x)", "false"},

  {"IfAbruptRejectPromise", "promiseCapability.Reject(result)",
    "promiseCapability.Resolve(result)"},
  {"IfAbruptRejectPromise", "promiseCapability.Reject(result)", ""},
  {"PerformPromiseAll(", "remainingElementsCount = 1",
    "remainingElementsCount = 0"},
  {"PerformPromiseAll(", "PromiseResolve(next, true)",
    "PromiseResolve(next):next()"},
  {"PerformPromiseAll(", "values[thisIndex]", "values[index]"},
  {"PerformPromiseAll(", "remainingElementsCount == 0",
    "remainingElementsCount <= 1"},
  {"PerformPromiseAll(", ", resultCapability.Reject", ""},
  {"nextPromise:next(onFulfilled, resultCapability.Reject)",
    "remainingElementsCount == 0", "false"},
  {"PerformPromiseAllSettled(", "remainingElementsCount = 1",
    "remainingElementsCount = 0"},
  {"PerformPromiseAllSettled(", "values[thisIndex]", "values[index]"},
  {"PerformPromiseAllSettled(", '"rejected", reason', '"fulfilled", value'},
  {"PerformPromiseAllSettled(", ", onRejected)",
    ", resultCapability.Reject)"},
  {"nextPromise:next(onFulfilled, onRejected)",
    "remainingElementsCount == 0", "false"},
  {"PerformPromiseAny(", "remainingElementsCount = 1",
    "remainingElementsCount = 0"},
  {"PerformPromiseAny(", "errors[thisIndex]", "errors[index]"},
  {"PerformPromiseAny(", "Reject(AggregateError(errors))", "Reject(x)"},
  {"PerformPromiseAny(", "(resultCapability.Resolve,", "(nil,"},
  {"PerformPromiseAny(", "ThrowCompletion(AggregateError(errors))", ""},
  {"PerformPromiseRace(", ", resultCapability.Reject", ""},
  {"PerformPromiseRace(", "resultCapability.Reject))",
    "resultCapability.Reject)) break"},

  {"Promise.reject", "promiseCapability.Reject(r)",
    "promiseCapability.Resolve(r)"},
  {"Promise.withResolvers", "capability.Resolve, capability.Reject",
    "capability.Reject, capability.Resolve"},

  {"PerformPromiseThen(", "FulfillReactions, fulfill",
    "FulfillReactions, 1, fulfill"},
  {"PerformPromiseThen(", "RejectReactions, reject",
    "RejectReactions, 1, reject"},
  {"PerformPromiseThen(",
    "HostEnqueuePromiseJob(NewPromiseReactionJob(fulfillReaction, value))",
    "NewPromiseReactionJob(fulfillReaction, value)()"},
  {"PerformPromiseThen(",
    "HostEnqueuePromiseJob(NewPromiseReactionJob(rejectReaction, reason))",
    "NewPromiseReactionJob(rejectReaction, reason)()"},
  {"PerformPromiseThen(", "promise.PromiseIsHandled = true", ""},
  {"PerformPromiseThen(", "resultCapability and resultCapability.Promise",
    "promise"},
  {"prototype.catch", "(nil, onRejected)", "(onRejected, onRejected)"},


  {"function wait", "onFinally()", "onFinally(value)"},
  {"function wait", "PromiseResolve(result, true)", "PromiseResolve()"},
  {"function wait", "return value", "return result"},
  {"function wait", "return waited", "return value"},
  {"function wait", "return waited", "return waited:next()"},
  {"function takeOriginal", "ThrowCompletion(derived.PromiseOriginal.Value)",
    "return derived.PromiseOriginal.Value"},
  {"function wait", "p:next(takeOriginal, hasFailed)",
    "p:next(takeOriginal, takeOriginal)"},
  {"function catchFinally", "thenFinally, catchFinally", "thenFinally, nil"},

  {"function ResolveCall", "promiseCapability.Resolve(result)",
    "promiseCapability.Resolve()"},
  {"function ResolveCall", "promiseCapability.Resolve(result)",
    "PromiseResolve(result):next(promiseCapability.Resolve)"},
  {"AsyncFunctionStart", "Reject(result)", "Resolve(result)"},
  {"function AsyncFunctionStart", "  Resume(asyncContext)\n",
    "HostEnqueuePromiseJob(function() Resume(asyncContext) end)\n"},
  {"function Await", "PromiseResolve(value, true)",
    "PromiseResolve(value):next()"},
  {"function Await", "PromiseResolve(value, true)",
    "Promise.new(function(resolve) resolve(value) end)"},
  {"function Await", "local function onFulfilled", [[
    if promise.PromiseState == "fulfilled" then
      return true, promise.PromiseResult
    end
    local function onFulfilled]]},
  {"function Await", "true, v", "true"},
  {"function Await", "false, reason", "true, reason"},
  {"Promise.await", "ThrowCompletion(result)", ""},

  {"Promise.drain", "table.remove(jobs, 1)", "table.remove(jobs)"},
  {"Promise.drain", "notify_about_rejected_promises()", ""},
}

-- The same, to be noticed by programs that cancel.
mutants.cancelling = {
  {"function Source", 'waiter.Promise.PromiseState == "pending"', "true"},
  {"function GoesUp", "waiter.Promise ~= walk.Start and", ""},
  {"function Mark", "promise.PromiseCancellation = walk.Cancellation",
    "promise.PromiseCancellation = Cancellation()"},
  {"function CancellationOf", "source and source.PromiseWasAskedWith or",
    ""},
  {"function CancellationOf",
    "source and source.PromiseWasAskedWith or promise.PromiseCancellation",
    "promise.PromiseCancellation or source.PromiseWasAskedWith"},
  {"function NewPromiseReactionJob",
    "elseif promise and promise.PromiseIsAsked and",
    'elseif promise and promise.PromiseIsAsked and\n'
      .. 'reaction.Type == "Fulfill" and'},
  {"function NewPromiseReactionJob",
    "promise.PromiseIsAsked and\n        "
      .. "not promise.PromiseIsFinally then\n      if reaction.Type",
    "promise.PromiseIsAsked then\n      if reaction.Type"},
  {"function AskOwn", "if promise.PromiseIsResolved then", "if false then"},
  {"function AskOwn",
    "return RejectNow(promise, walk.Cancellation)",
    "return table.insert(walk.Hooked, promise)"},
  {"function AskOwn", "promise.PromiseIsResolved = true", ""},
  {"function AskReaction", "if not source then", "if false then"},
  {"function Leave(", "if not HasOthers(waiter) then", "if true then"},
  {"function Leave(", "if not HasOthers(waiter) then", "if false then"},
  {"function LeaveAndReject", "table.insert(walk.Left, promise)",
    "table.insert(walk.Left, 1, promise)"},
  {"function LeaveAndReject", "table.insert(walk.Left, promise)",
    "RejectPromise(promise, walk.Cancellation)"},
  {"function EndAggregate", "RejectNow(promise, promise.PromiseCancellation)",
    "RejectNow(promise, Cancellation())"},
  {"function TakeElement", "if not Source(waiter) then return false end", ""},
  {"function TakeElement", "walk.HasTold = true", ""},
  {"function AskAggregate", "table.insert(staying, waiter.Promise)",
    "table.insert(staying, 1, waiter.Promise)"},
  {"function AskAggregate", "table.insert(staying, waiter.Promise)",
    "Ask(waiter.Promise, walk)"},
  {"function Walk", "Start = promise", "Start = nil"},
  {"function Walk", "RejectPromise(hooked, cancellation)", ""},
  {"function Walk", "ipairs(walk.Hooked)",
    "ipairs(table.move(walk.Hooked, 1, 1, 1, {}))"},
  {"function Walk", "return walk.HasTold", "return true"},
  {"function ResolveAsked", "if not IsPromise(result) then",
    "if not IsObject(result) then"},
  {"function ResolveAsked", 'if promise.PromiseState == "pending" then',
    "if false then"},
  {"27.2.1.3.2", "promise.PromiseAsk = AskOwn", ""},
  {"27.2.1.3.2", "promise.PromiseAsk = AskReaction", ""},
  {"27.2.2.2", "promiseToResolve.PromiseWaiter.HasLeft = true", ""},
  {"27.2.2.2", "CancellationOf(promiseToResolve, thenable)",
    "promiseToResolve.PromiseCancellation"},
  {"function Replace", 'original.Type == "Fulfill" or', ""},
  {"function AskFinallyDone", "if not promise.PromiseIsAsked then",
    "if true then"},
  {"function AskFinallyDone", "Mark(promise, walk)\n    Replace", "Replace"},
  {"function AskFinallyDone", "if source and GoesUp(waiter, walk) then",
    "if source then"},
  {"function AskFinallyDone", "elseif source then", "elseif true then"},
  {"function AskFinallyDone", "Leave(waiter, walk)", ""},
  {"function AskFinallyDone", "walk.HasTold = true", ""},
  {"function AskFinally(", "Mark(promise, walk)", ""},
  {"function AskFinally(", "if GoesUp(waiter, walk) then", "if true then"},
  {"function AskFinally(", "if GoesUp(waiter, walk) then", "if false then"},
  {"function AskFinally(", "Leave(waiter, walk)", ""},
  {"function AskFinally(", "walk.HasTold = true", ""},
  {"function AskFinally(", "}, walk.Cancellation))",
    "}, promise.PromiseCancellation))"},
  {"function AskFinally(", "HostEnqueuePromiseJob(NewPromiseReactionJob(",
    "HostEnqueuePromiseJob(NewPromiseReactionJob("
      .. "not promise.PromiseIsAsked and "},
  {"function wait", "not derived.PromiseTakesItsOwn and promise or nil",
    "promise"},
  {"function wait", "not derived.PromiseTakesItsOwn and promise or nil",
    "nil"},
  {"function wait", 'derived.PromiseIsAsked and type == "Fulfill"',
    "derived.PromiseIsAsked"},
  {"function wait", "derived.PromiseResultWaiter = waited.PromiseWaiter", ""},
  {"function wait", "local result = onFinally()",
    "local result = onFinally()\n    if derived.PromiseIsAsked and "
      .. "IsPromise(result) then result:cancel() end"},
  {"derived.PromiseEnd", 'elseif original.Type == "Reject" then',
    "elseif false then"},
  {"function Promise.shield", "promise:next()",
    "Promise.new(function(resolve) resolve(promise) end)"},
  {"function Continue", "(normal or IsCancellation(result))", "normal"},
  {"function Continue", "false, promise.PromiseWasAskedWith",
    "false, Cancellation()"},
  {"function Continue", "normal, result, isRequest", "normal, result, false"},
  {"function AskCall", "promise.PromiseWasAskedWith = walk.Cancellation",
    "promise.PromiseWasAskedWith =\n"
      .. "promise.PromiseWasAskedWith or walk.Cancellation"},
  {"function AskCall", "walk.HasTold = true", ""},
  {"function AskCall", "if source and GoesUp(waiter, walk) then",
    "if source then"},
  {"function AskCall",
    "HostEnqueuePromiseJob(function() Continue(asyncContext, true) end)",
    "table.insert(jobs, 1, function() Continue(asyncContext, true) end)"},
  {"function ResolveCall", "IsObject(result) then", "true then"},
  {"function ResolveCall", "IsObject(result)", "IsPromise(result)"},
  {"function ResolveCall",
    "promise.PromiseCancellation = promise.PromiseWasAskedWith",
    "promise.PromiseCancellation = Cancellation()"},
  {"function leavesBody", "promise.PromiseIsUndelivered = false", ""},
  {"function AsyncFunctionStart", "xpcall(body, leavesBody)",
    "pcall(body)"},
  {"function Await", "call.PromiseAwaits = waiter", ""},
  {"function Await",
    "if call.PromiseIsUndelivered and", "if call.PromiseWasAskedWith and"},
  {"function Promise.pawait", "if isRequest then",
    "if not normal and IsCancellation(result) then"},
  {"function Promise.cancelled", "call and call.PromiseWasAskedWith",
    "call and call.PromiseIsUndelivered and call.PromiseWasAskedWith"},
  {"prototype.cancel", 'promise.PromiseState ~= "pending"', "false"},
  {"notify_about_rejected_promises", "not IsCancellation(reason)", "true"},
  {"function IsLive", "not waiter.HasLeft", "true"},
  {"function IsLive", "waiter.Aggregate.PromiseIsResolved", "false"},
  {"function Source", "or waiter.HasLeft", ""},
  {"function HasOthers", "other ~= waiter and ", ""},
  {"function HasOthers", "other ~= waiter and IsLive(other)",
    "other ~= waiter"},
  {"function GoesUp", "not HasOthers(waiter)", "true"},
  {"function Mark", "if promise.PromiseIsAsked then return end", ""},
  {"function Mark", "promise.PromiseIsAsked = true", ""},
  {"function Mark", "walk.HasTold = true", ""},
  {"function NewPromiseReactionJob",
    "if reaction.Waiter.HasLeft then return end", ""},
  {"function NewPromiseReactionJob", 'if reaction.Type == "Fulfill" then',
    "if true then"},
  {"function NewPromiseReactionJob",
    "return ResolveAsked(promiseCapability, result)", ""},
  {"function LeaveAndReject", "Leave(promise.PromiseWaiter, walk)", ""},
  {"function LeaveAndReject", "promise.PromiseIsClosed = true", ""},
  {"function LeaveAndReject", "walk.HasTold = true", ""},
  {"function AskOwn", "if promise.PromiseIsClosed then return end", ""},
  {"function AskOwn", "walk.HasTold = true", ""},
  {"function AskOwn", "return RejectNow(promise, walk.Cancellation)",
    "return"},
  {"function AskOwn", "promise.PromiseIsClosed = true", ""},
  {"function AskReaction", "not promise.PromiseIsShield and", ""},
  {"function AskReaction", "Mark(promise, walk)\n    Ask(source, walk)",
    "Ask(source, walk)"},
  {"function AskReaction", "Ask(source, walk)", ""},
  {"function AskReaction", "LeaveAndReject(promise, walk)",
    "Mark(promise, walk)"},
  {"function AskReaction", "source.PromiseIsHandled = false", ""},
  {"function EndAggregate", "promise.PromiseMissing == 0 and", ""},
  {"function EndAggregate", "if failure then", "if false then"},
  {"function TakeElement", "if GoesUp(waiter, walk) then return true end",
    "if true then return true end"},
  {"function TakeElement", "Leave(waiter, walk)", ""},
  {"function TakeElement",
    "promise.PromiseMissing = promise.PromiseMissing - 1", ""},
  {"function AskAggregate", "Mark(promise, walk)", ""},
  {"function AskAggregate", "EndAggregate(promise)", ""},
  {"function AskAggregate",
    "for _, element in ipairs(staying) do Ask(element, walk) end", ""},
  {"function EndElement",
    "aggregate.PromiseMissing = aggregate.PromiseMissing - 1", ""},
  {"function EndElement", "not IsCancellation(argument)", "true"},
  {"function EndElement", "source.PromiseIsHandled = false", ""},
  {"function EndElement", 'HostPromiseRejectionTracker(source, "reject")',
    ""},
  {"function EndElement", "waiter.HasLeft = true", ""},
  {"function EndElement", "if not IsHandledByOthers(source) then",
    "if true then"},
  {"function EndElement", "if not first then", "if true then"},
  {"function EndElement", "IsObject(argument) and rawequal",
    "rawequal"},
  {"function EndElement", "not aggregate.PromiseIsAsked or", ""},
  {"function EndElement", "EndAggregate(aggregate)\n  return true",
    "EndAggregate(aggregate)\n  return false"},
  {"function IsHandledByOthers", "not waiter.HasLeft", "IsLive(waiter)"},
  {"function Walk", 'HasTold = false', "HasTold = true"},
  {"function Walk", "RejectPromise(left, cancellation)", ""},
  {"function Walk",
    "for _, cancelHook in ipairs(hooked.PromiseCancelHooks) do",
    "for i = #hooked.PromiseCancelHooks, 1, -1 do "
      .. "local cancelHook = hooked.PromiseCancelHooks[i]"},
  {"function Walk", "(cancelHook, cancellation)", "(cancelHook)"},
  {"function Walk", "HostReportError(reason)", ""},
  {"27.2.1.3.2", "if promise.PromiseIsClosed then return end --", "--"},
  {"27.2.1.3.2", "promise.PromiseWaiter = NewWaiter(resolution)", ""},
  {"27.2.2.2", "if promiseToResolve.PromiseIsClosed then return end", ""},
  {"27.2.2.2", "elseif promiseToResolve.PromiseIsAsked then",
    "elseif false then"},
  {"27.2.2.2", "promiseToResolve.PromiseWaiter = reason.PromiseWaiter", ""},
  {"function ResolveAsked", "Walk(promise, promise.PromiseCancellation)",
    ""},
  {"function ResolveAsked",
    "return capability.Reject(promise.PromiseCancellation)",
    "return capability.Resolve(result)"},
  {"Promise.new", "if promise.PromiseIsResolved then return end", ""},
  {"function AddElement", "waiter.Aggregate = aggregate", ""},
  {"function AddElement", "table.insert(aggregate.PromiseElements, waiter)",
    ""},
  {"function Replace", "or IsCancellation(original.Value)", "or true"},
  {"function AskFinallyDone", "Replace(promise, walk.Cancellation)", ""},
  {"function AskFinallyDone", "Ask(source, walk)", ""},
  {"function AskFinallyDone",
    "RejectNow(promise, promise.PromiseOriginal.Value)", ""},
  {"function AskFinally(", "Ask(source, walk)", ""},
  {"function AskFinally(", "Handler = catchFinally", "Handler = nil"},
  {"function wait", "if derived.PromiseIsAsked and", "if false and"},
  {"function hasFailed",
    "not (derived.PromiseIsAsked and IsCancellation(reason))", "true"},
  {"prototype.cancel", "IsCancellation(reason) and reason or", ""},
  {"metatable.__close", "promise:cancel()", ""},
  {"function Promise.shield", "derived.PromiseIsShield = true", ""},
  {"function Continue", "normal or IsCancellation(result)", "true"},
  {"function Continue", "promise.PromiseIsUndelivered = false", ""},
  {"function AskCall", "promise.PromiseIsUndelivered = true", ""},
  {"function AskCall", "if not promise.PromiseIsUndelivered then",
    "if true then"},
  {"function AskCall", "Ask(source, walk)", ""},
  {"function AskCall", "Leave(waiter, walk)", ""},
  {"function AskCall",
    "HostEnqueuePromiseJob(function() Continue(asyncContext, true) end)",
    "Continue(asyncContext, true)"},
  {"function ResolveCall", "if isUndelivered and IsObject(result) then",
    "if false then"},
  {"function Await", "Walk(call, call.PromiseWasAskedWith)", ""},
  {"function Promise.pawait", "if isRequest then", "if false then"},
  {"function Promise.cancelled", "call.PromiseWasAskedWith", "nil"},
}

--- A mistake in a few words.
function mutants.name(mutant)
  local text = ("%s: %s -> %s"):format(table.unpack(mutant))
  return (text:gsub("%s+", " "))
end

--- The source of the model with a mistake. Raises if there is no such text.
function mutants.apply(mutant, source)
  local place, text, replacement = table.unpack(mutant)
  local _, after = source:find(place, 1, true)
  local first, last = source:find(text, after or #source, true)
  assert(first, "not in the model: " .. mutants.name(mutant))
  return source:sub(1, first - 1) .. replacement .. source:sub(last + 1)
end

-- What tells the log that is right.
local right = compare.core

-- Those that cancel, and those that don't: each grows as programs are asked
-- for, {text, log that is right}.
local programs = {[true] = {}, [false] = {}}

local function program(i, cancels)
  local made = programs[cancels]
  if not made[i] then
    local text = random_orders.programs(i, i, nil, cancels)[1]
    made[i] = {text, right(text)}
  end
  return table.unpack(made[i])
end

--- How many programs it takes to notice; nil if more than LIMIT.
function mutants.programs_until_noticed(mutant, cancels)
  local model = compare.model(mutants.apply(mutant, compare.source()))
  for i = 1, mutants.LIMIT do
    local text, log = program(i, cancels)
    if model(text) ~= log then return i end
  end
end

-- Whether all are found.
local function try(what, list, cancels, all)
  local found, most = 0, 0
  for _, mutant in ipairs(list) do
    local n = mutants.programs_until_noticed(mutant, cancels)
    if n then found, most = found + 1, math.max(most, n) end
    if all or not n then
      print(n or "NOT FOUND", mutants.name(mutant))
    end
  end
  print(("%d of %d mistakes in the model%s found, each within %d programs")
    :format(found, #list, what, most))
  return found == #list
end

local function main(options)
  local all = options["--all"]
  if options["--model"] then right = compare.model(compare.source()) end
  local ok = try("", mutants.list, false, all)
  os.exit(try(" of cancelling", mutants.cancelling, true, all) and ok)
end

if arg and arg[0]:find "model_mutants%.lua$" then
  local options = {}
  for _, option in ipairs(arg) do options[option] = true end
  main(options)
end

return mutants
