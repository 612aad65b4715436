--- Breaks the model, one line at a time, and counts the random programs after
--- which the comparison with the core notices. Run it from the top folder;
--- `--all` prints each mistake.

local compare = require "spec.support.compare_model"
local random_orders = require "spec.support.random_orders"

local mutants = {}

--- Programs after which a mistake counts as not found.
mutants.LIMIT = 3000

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
  {"HostPromiseRejectionTracker", "table.remove(rejected, i)", ""},
  {"notify_about_rejected_promises", "rejected = {}", ""},
  {"IsObject", 'type(v) == "table"', "false"},
  {"IsObject", 'type(v) == "table"', "getmetatable(v) == metatable"},

  {"NewPromiseReactionJob", 'reaction.Type == "Fulfill"', "true"},
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
  {"RejectPromise", "if not promise.PromiseIsHandled", "if true"},
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
  {"PromiseResolve(x)", "IsPromise(x)", "false"},

  {"IfAbruptRejectPromise", "promiseCapability.Reject(result)",
    "promiseCapability.Resolve(result)"},
  {"IfAbruptRejectPromise", "promiseCapability.Reject(result)", ""},
  {"PerformPromiseAll(", "remainingElementsCount = 1",
    "remainingElementsCount = 0"},
  {"PerformPromiseAll(", "PromiseResolve(next)",
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
  {"PerformPromiseRace(", "resultCapability.Reject)",
    "resultCapability.Reject) break"},

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
  {"PerformPromiseThen(", 'HostPromiseRejectionTracker(promise, "handle")',
    ""},
  {"PerformPromiseThen(", "promise.PromiseIsHandled = true", ""},
  {"PerformPromiseThen(", "resultCapability.Promise", "promise"},
  {"prototype.catch", "(nil, onRejected)", "(onRejected, onRejected)"},

  {"function thenFinally", "onFinally()", "onFinally(value)"},
  {"function thenFinally", "PromiseResolve(result)", "PromiseResolve()"},
  {"function thenFinally", "return value", "return result"},
  {"function thenFinally", "return p:next(returnValue)", "return value"},
  {"function thenFinally", "return p:next(returnValue)",
    "return p:next(returnValue):next()"},
  {"function catchFinally", "onFinally()", "onFinally(reason)"},
  {"function catchFinally", "PromiseResolve(result)", "PromiseResolve()"},
  {"function catchFinally", "ThrowCompletion(reason)", "return reason"},
  {"function catchFinally", "p:next(throwReason)",
    "p:next(throwReason, throwReason)"},
  {"function catchFinally", "(thenFinally, catchFinally)", "(thenFinally)"},

  {"AsyncFunctionStart", "Resolve(result)", "Resolve()"},
  {"AsyncFunctionStart", "promiseCapability.Resolve(result)",
    "PromiseResolve(result):next(promiseCapability.Resolve)"},
  {"AsyncFunctionStart", "Reject(result)", "Resolve(result)"},
  {"function AsyncFunctionStart", "  Resume(asyncContext)\n",
    "HostEnqueuePromiseJob(function() Resume(asyncContext) end)\n"},
  {"Promise.await", "PromiseResolve(value)", "PromiseResolve(value):next()"},
  {"Promise.await", "PromiseResolve(value)",
    "Promise.new(function(resolve) resolve(value) end)"},
  {"Promise.await", "local function onFulfilled", [[
    if promise.PromiseState == "fulfilled" then
      return promise.PromiseResult
    end
    local function onFulfilled]]},
  {"Promise.await", "true, v", "true"},
  {"Promise.await", "false, reason", "true, reason"},
  {"Promise.await", "ThrowCompletion(result)", ""},

  {"Promise.drain", "table.remove(jobs, 1)", "table.remove(jobs)"},
  {"Promise.drain", "notify_about_rejected_promises()", ""},
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

-- Grows as programs are asked for: {text, log in the core}.
local programs = {}

local function program(i)
  if not programs[i] then
    local text = random_orders.programs(i, i)[1]
    programs[i] = {text, compare.core(text)}
  end
  return table.unpack(programs[i])
end

--- How many programs it takes to notice; nil if more than LIMIT.
function mutants.programs_until_noticed(mutant)
  local model = compare.model(mutants.apply(mutant, compare.source()))
  for i = 1, mutants.LIMIT do
    local text, log = program(i)
    if model(text) ~= log then return i end
  end
end

local function main(all)
  local found, most = 0, 0
  for _, mutant in ipairs(mutants.list) do
    local n = mutants.programs_until_noticed(mutant)
    if n then found, most = found + 1, math.max(most, n) end
    if all or not n then
      print(n or "NOT FOUND", mutants.name(mutant))
    end
  end
  print(("%d of %d mistakes in the model found, each within %d programs")
    :format(found, #mutants.list, most))
  os.exit(found == #mutants.list)
end

if arg and arg[0]:find "model_mutants%.lua$" then main(arg[1] == "--all") end

return mutants
