---@meta cpromise

--- What `require "cpromise"` returns: promises with the semantics of
--- ECMAScript. Clauses are those of ECMA-262.
---
--- A promise is *pending*, *fulfilled* (with any number of values) or
--- *rejected* (with one reason); fulfilled or rejected is *settled*;
--- *resolved* is settled, or locked in to follow another promise. Values and
--- reasons may be any Lua value, nil included, and are never altered.
---
--- *Callable* is a function or a value with `__call`. A *thenable* is a table
--- with a callable field `next` (not Lua's own function of that name), or a
--- userdata with callable `next` and `catch`.
---
--- A wrong argument raises Lua's `bad argument` error at the line of the
--- calling Lua code, before anything has changed. So does a method that is
--- called on something else, and a `:` where a `.` belongs, as in
--- `Promise:new(f)`. Where memory runs out a call raises `not enough memory`, or
--- its promise rejects with that. "Never raises" means: but for these.
---
--- All times are seconds, fractions allowed.
---@class cpromise
---@overload fun(executor: cpromise.Executor): cpromise.Promise<any>
---@field _VERSION string  name and version of the library
local Promise = {}


-- Types ----------------------------------------------------------------------
-- `T` is the type of the first value of a promise, and `R` that of the first
-- result of a function; `any` where it can't be told.

--- A promise. `local p <close> = ...` cancels it at the end of the block if it
--- is still pending. Reading a field that promises don't have raises.
---@class cpromise.Promise<T>
local promise = {}

--- What `Promise.new` calls.
---@alias cpromise.Executor fun(resolve: fun(...: any), reject: fun(reason: any), onCancel: fun(hook: cpromise.Hook))

--- What `cancel` calls.
---@alias cpromise.Hook fun(cancellation: cpromise.Cancellation)

--- The reason of a cancelled promise, the same table in all that were cancelled
--- with it. `tostring` gives message and reason.
---@class cpromise.Cancellation
---@field message string  "the promise was cancelled"
---@field reason any  what was given to `cancel`

--- The reason of a promise that timed out. `tostring` gives message and reason.
---@class cpromise.Timeout
---@field message string  "timed out after 1.5 seconds"
---@field seconds number
---@field reason any  what was given to `timeout`

--- A table of results in input order.
---@class cpromise.Results<T>: {[integer]: T}
---@field n integer  how many; results may be nil

--- An outcome, in the table of an `allSettled`.
---@class cpromise.Settled<T>
---@field status "fulfilled"|"rejected"
---@field value? T  the first value, if fulfilled
---@field reason? any  the reason, if rejected

--- Several reasons in one. `tostring` gives the message and all of them.
---@class cpromise.AggregateError
---@field errors table  of `any` in input order, of a scope in order of time; with `n`
---@field message string  "All promises were rejected"

--- A loop, as modules like `cpromise.loop.luv` are. The functions take no
--- `self`. What each must do stands in lua/cpromise/loop.lua,
--- and docs/hosts.md has programs.
---@class cpromise.Loop
---@field wake fun(drain: fun())  see that `drain()` is called soon, not at once
---@field step fun(): boolean|"stopped"  run the loop once, waiting if need be; false when nothing is alive; "stopped" if the program has stopped the loop, which ends `Promise.run()`
---@field now fun(): number  seconds, never going back; read from the table once, when the loop is set
---@field timer fun(seconds: number, fn: fun(), background?: boolean): any  call `fn` once, so much later; a handle. One in the background doesn't keep the loop alive. All delays and timeouts share one such timer
---@field cancel fun(handle: any)  the timer won't fire; no effect if it has
---@field inside fun(): boolean  whether one of the loop's callbacks is running
---@field poll? fun()  run the loop once, without waiting
---@field interrupt? fun(fn: fun()): fun()  call `fn` on each Ctrl-C; returns a function that ends that
---@field own? fun(): boolean  whether the running coroutine is one that the loop resumes; with it go `suspend` and `take`
---@field suspend? fun(start: fun(wake: fun()))  wait in such a one: call `start(wake)`, and return when `wake()` has been called
---@field take? fun(resume: fun(...: any), ...: any): boolean  an async function has yielded these values; if they are for the loop, call `resume(...)` later with what it gets for them, and return true


-- Construction ---------------------------------------------------------------
-- ECMA-262, 27.2.3 and 27.2.4; docs/semantics.md tells what differs in Lua.

--- Make a promise (27.2.3.1). `executor(resolve, reject, onCancel)` is called
--- at once. An error thrown in it rejects, unless the promise has been
--- resolved.
---
--- `resolve(...)` takes any number of values. If the first is a promise or a
--- thenable, the promise follows it, and the others are ignored. If it is the
--- promise itself, that rejects with a reason that starts with `TypeError`.
--- `reject(reason)` takes one. Only the first call of either does anything.
---
--- `onCancel(hook)` adds a hook that `cancel` calls with the cancellation,
--- before the promise rejects. A hook can't await; an error in it is reported
--- as unhandled. `onCancel` raises if the hook is not callable, and does
--- nothing once the promise is resolved or cancelled.
---
--- Raises if `executor` is not callable. `Promise(executor)` is the same.
---@param executor cpromise.Executor
---@return cpromise.Promise<any>
function Promise.new(executor) end

--- The first argument if it is a promise, else a promise that is resolved with
--- the values (27.2.4.7). Never raises: an error in reading a thenable rejects.
---@generic T
---@param value? T|cpromise.Promise<T>
---@param ... any
---@return cpromise.Promise<T>
---@nodiscard
function Promise.resolve(value, ...) end

--- A promise fulfilled with the values as they are: no value is taken for a
--- promise or thenable to follow. (Handlers that pass such a value on resolve
--- with it, and that does look.) Never raises.
---@generic T
---@param value? T
---@param ... any
---@return cpromise.Promise<T>
---@nodiscard
function Promise.fulfill(value, ...) end

--- A promise rejected with the reason (27.2.4.6). Never raises.
---@param reason any
---@return cpromise.Promise<any>
---@nodiscard
function Promise.reject(reason) end

--- A promise that follows one of another library, whose method has that name:
---
---     Promise.from(request, "andThen"):next(print)
---
--- The method is called in a job, with a function for its values and one for
--- the reason; only the first call of either counts. An error that it raises
--- rejects, unless it has called one before. A callable in place of the name
--- is called with the object and those two.
---
--- Without `method`: a promise of this library as it is, else by `next`.
--- Raises if the object has no such method.
---@generic T
---@param object cpromise.Promise<T>|any
---@param method? string|fun(object: any, resolve: fun(...: any), reject: fun(reason: any))
---@return cpromise.Promise<T>
---@nodiscard
function Promise.from(object, method) end

--- A promise and the functions that settle it (27.2.4.8), and the one that adds
--- hooks for `cancel`, as four results. Never raises, and neither do the
--- functions, but `onCancel` for a hook that is not callable.
---@return cpromise.Promise<any> promise
---@return fun(...: any) resolve
---@return fun(reason: any) reject
---@return fun(hook: cpromise.Hook) onCancel
---@nodiscard
function Promise.withResolvers() end

--- Call `fn(...)` at once; its results resolve the promise, its error rejects
--- it (27.2.4.9). Raises if `fn` is not callable.
---@generic T
---@param fn fun(...: any): T|cpromise.Promise<T>|nil, ...: any
---@param ... any
---@return cpromise.Promise<T>
function Promise.try(fn, ...) end

--- Whether `v` is a promise of this library. Never raises.
---@param v any
---@return boolean
---@nodiscard
function Promise.is(v) end


-- Chaining -------------------------------------------------------------------
-- ECMA-262, 27.2.5; docs/semantics.md tells when what runs.

--- React to the outcome (27.2.5.4): `onFulfilled` gets all values,
--- `onRejected` the reason. The result is a promise for all that the handler
--- returns; an error in it rejects that. A handler that is not callable is
--- ignored: the outcome passes through.
---
--- A handler never runs before this call has returned. Handlers run one by one
--- from the microtask queue. Never raises.
---@generic T, R
---@param self cpromise.Promise<T>
---@param onFulfilled? fun(value: T, ...: any): R|cpromise.Promise<R>|nil, ...: any
---@param onRejected? fun(reason: any): ...: any
---@return cpromise.Promise<R>
---@overload fun(self: cpromise.Promise<T>, onFulfilled: nil, onRejected: fun(reason: any): R|cpromise.Promise<R>|nil, ...: any): cpromise.Promise<T|R>
function promise:next(onFulfilled, onRejected) end

--- Another name of `next`. Never raises.
---@generic T, R
---@param self cpromise.Promise<T>
---@param onFulfilled? fun(value: T, ...: any): R|cpromise.Promise<R>|nil, ...: any
---@param onRejected? fun(reason: any): ...: any
---@return cpromise.Promise<R>
---@overload fun(self: cpromise.Promise<T>, onFulfilled: nil, onRejected: fun(reason: any): R|cpromise.Promise<R>|nil, ...: any): cpromise.Promise<T|R>
function promise:andThen(onFulfilled, onRejected) end

promise["then"] = promise.next

--- React to a rejection only (27.2.5.1): `p:next(nil, onRejected)`. Never
--- raises.
---@generic T, R
---@param self cpromise.Promise<T>
---@param onRejected? fun(reason: any): R|cpromise.Promise<R>|nil, ...: any
---@return cpromise.Promise<T|R>
function promise:catch(onRejected) end

--- A table with `next`, `andThen`, `catch` and `finally`, which stands for the
--- promise in libraries that take only tables for promises. These methods
--- return such tables, too. Never raises.
---@return table
---@nodiscard
function promise:totable() end

--- Call `onFinally()` on either outcome (27.2.5.3), which then passes through,
--- after what the handler returned, if that is a promise or thenable. An error
--- in the handler, or a rejection of its result, replaces the outcome. Never
--- raises.
---@generic T
---@param self cpromise.Promise<T>
---@param onFinally? fun(): ...: any
---@return cpromise.Promise<T>
function promise:finally(onFinally) end

--- `"pending"`, `"fulfilled"` and the values, or `"rejected"` and the reason. A
--- promise that follows another is pending until that one has settled. Never
--- raises.
---@return "pending"|"fulfilled"|"rejected" state
---@return any ... # the values, or the reason
---@nodiscard
function promise:status() end


--- The traceback of the error that rejected the promise, or the promise that it
--- follows; nil if it is not rejected, or was rejected by a call of `reject`
--- and awaited by nobody. It spans awaits: below the frames of the code that
--- threw the error stands `[await]`, and then those of each async function that
--- awaited it and did not catch it, the outermost last. Of a long way the first
--- ten hops and the last one are shown. The reason itself is never changed.
--- Never raises.
---@return string?
---@nodiscard
function promise:traceback() end

--- Report it to nobody if it is rejected and has no handler: for a task whose
--- failure makes no difference. Returns the promise itself. Promises that are
--- derived from it are reported as ever. Never raises.
---@generic T
---@param self cpromise.Promise<T>
---@return cpromise.Promise<T>
function promise:ignore() end


-- Cancellation ---------------------------------------------------------------
-- ECMA-262 has none; docs/cancellation.md tells the model.

--- Ask the promise to end early, and all that it alone waits for, up to those
--- that wait for nothing. Returns true if that told somebody something; false
--- if the promise has settled, or is under a request already that has not been
--- delivered.
---
--- What ends rejects with a `cpromise.Cancellation` (`reason` itself, if it is
--- one), which is never reported as unhandled. If something fails as it cleans
--- up, that failure takes the place of the cancellation.
---
--- * One of `new` or `withResolvers` calls the hooks given to `onCancel`, in
---   order, and rejects, all that in the call.
--- * An async call is told by its `await`, the present or the next one, which
---   raises. Then the request is delivered, and `cancel` works again.
--- * What lies between stays pending until what it waits for has ended. The
---   handler of a `next` or `catch` never runs, that of a `finally` does.
--- * What somebody else waits for too is not asked: one that waits for it
---   leaves it, and ends at once.
---
--- Waiters are `next`, `catch`, `finally`, `await`, a promise that follows, an
--- element of a combinator that has not settled. Variables are none.
---
--- `local p <close> = ...` cancels at the end of the block. Never raises but
--- for want of memory, and then nobody has been told.
---@param reason? any  kept in the cancellation
---@return boolean told
function promise:cancel(reason) end

--- A promise that follows `p`, and whose cancellation `p` doesn't notice: it
--- leaves `p` and rejects at once. For a promise that others will want, as in
--- a cache, and to give up without waiting: `Promise.shield(p):timeout(s)`.
--- Raises if `p` is no promise.
---@generic T
---@param p cpromise.Promise<T>
---@return cpromise.Promise<T>
---@nodiscard
function Promise.shield(p) end

--- Whether `v` is the reason of a cancelled promise. Never raises.
---@param v any
---@return boolean
---@nodiscard
function Promise.isCancelled(v) end

--- The latest cancellation that the running async call was asked to end with,
--- whether an `await` has raised it or not; nil if there is none, or no async
--- call runs. Never raises.
---@return cpromise.Cancellation?
---@nodiscard
function Promise.cancelled() end


-- Structured concurrency -----------------------------------------------------
-- docs/cancellation.md tells the model.

--- Async calls, its *children*, that end before the scope does. See
--- `Promise.scope`.
---@class cpromise.Scope
local scope = {}

--- Call `fn(scope)`, the *body*, as an async function. The promise settles
--- when the body and all children have ended: with the results of the body,
--- unless something failed. The first failure cancels the rest, body included,
--- in the order in which they were started, and is the reason, unaltered. If
--- several fail, the reason is a `cpromise.AggregateError`. A child that is
--- cancelled by hand is no failure. Cancelling the promise cancels all that
--- runs in the scope; it rejects when that has ended, with the failure if
--- there was one, else with the cancellation.
---
--- Without arguments, a scope for `local scope <close> = Promise.scope()`, in
--- an async function, a coroutine or on the main thread. The end of the block
--- waits for the children, and raises what has failed. A failing child cancels
--- the other children and the body, whose present or next `await` raises. An
--- error that leaves the block cancels the children. If the function that the
--- block is in is cancelled, they are too, and that is raised when they have
--- ended; or, if a failure is raised, at the next `await` after it. Where the
--- block can't wait (an error leaves its coroutine, which is not that of an async
--- call, or that is closed from outside), the children are cancelled and left;
--- their failures are reported. A block without `<close>` is reported when it is
--- collected.
---
--- Raises if `fn` is not callable.
---@generic R
---@overload fun(): cpromise.Scope
---@param fn async fun(scope: cpromise.Scope): R|cpromise.Promise<R>|nil, ...: any
---@return cpromise.Promise<R>
---@nodiscard
function Promise.scope(fn) end

--- Start `fn(...)` as an async call that the scope waits for. Its failure is
--- the scope's. If the scope has been cancelled, or a child has failed, it is
--- cancelled at once, which its first `await` raises. Raises if `fn` is not
--- callable, and if the scope has ended.
---@generic R
---@param fn async fun(...: any): R|cpromise.Promise<R>|nil, ...: any
---@param ... any
---@return cpromise.Promise<R>
function scope:spawn(fn, ...) end

--- End the scope early, which is no error: cancel the children and the body,
--- in the order in which they were started, and what will be spawned. Returns
--- whether that did anything; false if the scope has ended.
---
--- `Promise.scope(fn)` fulfils then with the results of the body, or with
--- nothing if the body was interrupted. A block just ends; but if its body
--- still awaits after this call, the cancellation that this raises leaves the
--- block, since a block can't swallow an error.
---@param reason? any  kept in the cancellation
---@return boolean told
function scope:cancel(reason) end


-- Combinators ----------------------------------------------------------------
-- ECMA-262, 27.2.4.1 to 27.2.4.5. They take a sequence (a table `t` of `t.n`
-- elements if that, read raw, is an integer from 0, else of `#t`; holes count
-- as nil), or an iterator, as a generic `for` takes it: `f, state, control,
-- closing`. The element is the second value of a step if there are two or
-- more, else the first. Elements are promises, thenables and plain values. An
-- error while taking them rejects. Of an element with several values the
-- first counts, but `any` and `race` pass all on. They raise for what is no
-- iterable.

--- What the combinators take.
---@alias cpromise.Iterable table|fun(state: any, control: any): ...: any

--- A promise for the table of all results, in input order and with `n`; or
--- rejected with the first reason (27.2.4.1). Raises for what is no iterable.
---@generic T
---@param iterable cpromise.Promise<T>[]|cpromise.Iterable
---@param ... any  the rest of what an iterator needs
---@return cpromise.Promise<cpromise.Results<T>>
---@overload fun(iterator: function, ...: any): cpromise.Promise<cpromise.Results<any>>
---@nodiscard
function Promise.all(iterable, ...) end

--- A promise for a table of `cpromise.Settled`, in input order and with `n`
--- (27.2.4.2). It rejects only if the elements can't be taken. Raises for what
--- is no iterable.
---@generic T
---@param iterable cpromise.Promise<T>[]|cpromise.Iterable
---@param ... any
---@return cpromise.Promise<cpromise.Results<cpromise.Settled<T>>>
---@overload fun(iterator: function, ...: any): cpromise.Promise<cpromise.Results<cpromise.Settled<any>>>
---@nodiscard
function Promise.allSettled(iterable, ...) end

--- A promise for the values of the first fulfilment; or, if all reject,
--- rejected with a `cpromise.AggregateError` (27.2.4.3). Raises for what is no
--- iterable.
---@generic T
---@param iterable cpromise.Promise<T>[]|cpromise.Iterable
---@param ... any
---@return cpromise.Promise<T>
---@overload fun(iterator: function, ...: any): cpromise.Promise<any>
---@nodiscard
function Promise.any(iterable, ...) end

--- A promise that settles as the first element to settle (27.2.4.5). Of no
--- elements it stays pending. Raises for what is no iterable.
---@generic T
---@param iterable cpromise.Promise<T>[]|cpromise.Iterable
---@param ... any
---@return cpromise.Promise<T>
---@overload fun(iterator: function, ...: any): cpromise.Promise<any>
---@nodiscard
function Promise.race(iterable, ...) end

--- Choose: a promise that is fulfilled with the key and the values of the
--- first to settle, or rejected with its reason. It settles when the others
--- have ended: those that nobody else waits for are cancelled. Of the promises
--- of `receive`, `acquire` and `wait` among them exactly one takes something.
--- If one of the others fails as it ends, that is reported as unhandled.
---
--- A table gives its keys, any keys, taken first and by raw `next` (a field
--- `n` is an element); an iterator gives 1, 2, and so on. Of no elements it
--- stays pending. Raises for what is no iterable.
---
---     local what, a = await(Promise.select {
---       job = jobs:receive(), stop = stop:wait(),
---     })
---@param promises cpromise.Iterable
---@param ... any  the rest of what an iterator needs
---@return cpromise.Promise<any> # of `key, ...`
---@nodiscard
function Promise.select(promises, ...) end

--- `all` for a table with any keys, taken first and by raw `next`: a promise
--- for a table with the same keys (TC39's "await dictionary"). Raises for what
--- is no table.
---@param promises table
---@return cpromise.Promise<table>
---@nodiscard
function Promise.allKeyed(promises) end

--- `allSettled` for a table with any keys. Raises for what is no table.
---@generic K
---@param promises table<K, any>
---@return cpromise.Promise<table<K, cpromise.Settled<any>>>
---@nodiscard
function Promise.allSettledKeyed(promises) end

--- Whether `v` is the reason of an `any` in which all failed, or of a scope in
--- which several did. Never raises.
---@param v any
---@return boolean
---@nodiscard
function Promise.isAggregate(v) end


-- Coroutines -----------------------------------------------------------------
-- ECMA-262, 27.7; docs/semantics.md lists the places that can't wait.

--- An async function (27.7): each call starts `fn` in a coroutine at once and
--- returns a promise of its results; an error in it rejects. The call never
--- raises but for want of memory. Beyond 30 calls that start inside one another
--- a body starts from the queue instead, so that recursion has no limit.
--- Raises if `fn` is not callable.
---@generic R
---@param fn async fun(...: any): R|cpromise.Promise<R>|nil, ...: any
---@return fun(...: any): cpromise.Promise<R>
---@nodiscard
function Promise.async(fn) end

--- Start `fn(...)` as an async call: `Promise.async(fn)(...)`. Raises if `fn`
--- is not callable.
---@generic R
---@param fn async fun(...: any): R|cpromise.Promise<R>|nil, ...: any
---@param ... any
---@return cpromise.Promise<R>
function Promise.spawn(fn, ...) end

--- Suspend until `v` has settled; return all its values, or raise its reason
--- as it is (27.7.5.3). A promise that has settled, or a plain value, takes
--- one turn of the queue. If the running async call is cancelled, what it
--- awaits is too, unless somebody else waits for that; then this raises the
--- cancellation.
---
--- In an async call, and in a coroutine of the program's own: that waits, and
--- yields nothing to whoever resumes it meanwhile. On the main thread: runs the
--- loop. It works across `pcall`, metamethods, iterators and to-be-closed
--- variables.
---
--- Raises in a handler, executor, hook or getter; across a C function such as
--- `table.sort`, `string.gsub` or `require`; in a coroutine resumed inside an
--- async call (see `Promise.wrap`); on the main thread in a callback of the
--- running loop; and there, "promise still pending, nothing left to do".
---@generic T
---@async
---@param v cpromise.Promise<T>|any  a promise, a thenable, or a value
---@return T value
---@return any ...
function Promise.await(v) end

--- As `await`, but returns true and the values, or false and the reason of
--- `v`, which may be a cancellation of `v`. The cancellation of the running
--- async call itself is raised, as `await` raises it: so nobody catches it by
--- accident. Raises where `await` can't wait, too.
---@async
---@param v any
---@return boolean fulfilled
---@return any ... # the values, or the reason
function Promise.pawait(v) end

--- The same as `Promise.await(p)`. Raises the reason, and where that does.
---@generic T
---@async
---@param self cpromise.Promise<T>
---@return T value
---@return any ...
function promise:await() end

--- As `coroutine.wrap`, for generators that await: the wait suspends the
--- caller of the generator. Errors pass as they are. The further results are
--- for a generic `for`, `for v in Promise.wrap(fn) do`: when the loop is left
--- early, the last one closes the generator, and with it its to-be-closed
--- variables (which can't await then). Raises if `fn` is not callable.
---@generic R
---@param fn async fun(...: any): R|nil, ...: any
---@return async fun(...: any): R|nil, ...: any generator
---@return nil
---@return nil
---@return userdata closing
---@nodiscard
function Promise.wrap(fn) end


-- The queue and the loop -----------------------------------------------------
-- docs/semantics.md tells when what runs.

--- Run jobs until none is left, or `max` have run; then report rejections
--- that nobody handles. Returns how many jobs ran. Inside a job it returns 0
--- at once. Never raises but for a wrong argument.
---@param max? integer  at least 0
---@return integer jobs
function Promise.drain(max) end

--- Call `fn(...)` in a job. An error in it is reported as unhandled. Raises if
--- `fn` is not callable.
---@param fn fun(...: any): ...: any
---@param ... any
function Promise.queueMicrotask(fn, ...) end

--- Run `fn(...)` as an async call, and jobs and the loop until it has settled;
--- return its values, or raise its reason as it is. Without arguments, run
--- until nothing is left to do, or until the loop is stopped (`uv.stop()`).
--- With no loop only jobs run.
---
--- Raises in a handler, async function or executor, and in a callback of the
--- loop; and if nothing is left to do that could settle the call.
---@generic R
---@param fn? async fun(...: any): R|cpromise.Promise<R>|nil, ...: any
---@param ... any
---@return R value
---@return any ...
function Promise.run(fn, ...) end

--- For the end of a script: run `fn(...)` as an async call, and the loop until
--- nothing is left to do.
---
--- If the call fails, its reason is printed on standard error with the whole
--- traceback, and the process ends with status 1. On a loop that can tell
--- (luv), Ctrl-C cancels the call; when it has cleaned up, the process ends
--- with status 130. A second Ctrl-C ends it at once, without cleaning up. Code
--- that never comes back to the loop isn't interrupted. A program that listens
--- to Ctrl-C itself, with `uv.signal "int"`, says what it does.
---
--- Raises where `Promise.run` does. For a program that goes on after a
--- failure, use that.
---@param fn async fun(...: any): ...: any
---@param ... any
function Promise.main(fn, ...) end

--- A message handler like `debug.traceback`, which knows where the reason was
--- first thrown: `xpcall(Promise.run, Promise.traceback, main)` returns false
--- and the reason as text with a traceback that spans awaits. Tables are shown
--- by `__tostring`, or else by their fields. Never raises.
---@param reason any
---@param level? integer  where the last part of the traceback starts (1: who raised)
---@return string
---@nodiscard
function Promise.traceback(reason, level) end

--- Use this loop from now on; nil: find one. Delays and timeouts that wait move
--- to it, and keep the time that is left to them. Raises, naming the function
--- that is missing, for what is no loop.
---@param loop? cpromise.Loop
function Promise.setLoop(loop) end

--- The loop in use: the one that was set, or that of a library which the
--- program has loaded (luv, or else cqueues); nil if there is none. Never raises.
---@return cpromise.Loop?
---@nodiscard
function Promise.loop() end


-- Time and callbacks ---------------------------------------------------------
-- docs/cancellation.md tells what a timeout cancels.

--- A promise that is resolved with the values after that many seconds (a
--- number from 0, fractions allowed; math.huge: never), on the loop's clock and
--- not before. Never in the call, even after 0 seconds. Delays and timeouts
--- that are due fire in order of time, and the jobs that one has queued run
--- before the next one fires.
---
--- A delay keeps the loop alive until it has fired or is cancelled. Raises for
--- what is no time, and if there is no loop.
---@generic T
---@param seconds number
---@param value? T|cpromise.Promise<T>
---@param ... any
---@return cpromise.Promise<T>
---@nodiscard
function Promise.delay(seconds, value, ...) end

--- For a loop in an async function (or a coroutine, or on the main thread): an
--- iterator that counts 1, 2, and so on, the first turn so many seconds (more
--- than 0, fractions allowed) after this call, each further one so many after
--- the last one was due:
---
---     for i in Promise.interval(0.5) do print(i) end
---
--- However long the body takes, the turns don't drift. A turn whose time has
--- passed before the body came back for it is left out, and is not counted.
--- Nothing runs between two turns: an iterator that is dropped needs no end.
---
--- Raises for what is no time, for 0 and math.huge, and if there is no loop; a
--- step raises where `await` does.
---@param seconds number
---@return async fun(): integer step
---@nodiscard
function Promise.interval(seconds) end

--- A promise that follows this one. If this one has not settled after so many
--- seconds (a number from 0, fractions allowed), it is cancelled, as by
--- `cancel`; and when it has ended, the promise rejects with a
--- `cpromise.Timeout` in place of the cancellation, or with the error of a
--- clean-up that failed. If somebody else waits for this one, it is not
--- cancelled, and the promise rejects at once. To give up without waiting:
--- `Promise.shield(p):timeout(seconds)`.
---
--- If this one has settled before the time is up, it wins, however late the
--- loop comes to see that. A timeout keeps the loop alive only while somebody
--- waits on the main thread (in `run(fn)` or `await`). Raises for what is no
--- time, and if there is no loop.
---@generic T
---@param self cpromise.Promise<T>
---@param seconds number
---@param reason? any  kept in the timeout
---@return cpromise.Promise<T>
---@nodiscard
function promise:timeout(seconds, reason) end

--- Whether `v` is the reason of a promise that timed out. Never raises.
---@param v any
---@return boolean
---@nodiscard
function Promise.isTimeout(v) end

--- Options of `Promise.promisify`.
---@class cpromise.PromisifyOptions
---@field cancel? fun(request: any)  called with what `fn` returned (unless nil) when the promise is cancelled: `uv.cancel`, say. It is a hook, as those of `onCancel`
---@field dispose? fun(...)  called with the results (not with an error) if they come when the promise has been cancelled, or if it is cancelled before anybody has got them: to close what was opened for nobody

--- For a function whose last argument is a callback that takes an error first
--- and results after it (as luv's): a function that takes the other arguments
--- and returns a promise. That rejects with the error if it is neither nil nor
--- false; if the function raises; or if it returns nil and an error, which is
--- how luv says that nothing was started. Raises if `fn` is not callable, and
--- for an option that is wrong or unknown.
---@param fn function
---@param options? cpromise.PromisifyOptions
---@return fun(...: any): cpromise.Promise<any>
---@nodiscard
function Promise.promisify(fn, options) end


-- Many at once ---------------------------------------------------------------
-- Functions given to these run as async calls: they may await, and return
-- promises. Cancelling a promise that these return cancels what runs for it,
-- with the same cancellation; it rejects when that has ended, as
-- docs/cancellation.md tells.

--- Options of `Promise.map`.
---@class cpromise.MapOptions
---@field concurrency? integer  how many calls run at once, at least 1; else all
---@field progress? fun(done: integer, total: integer?)  after each result; no total before an iterator has ended

--- Call `fn(element, index)` for each element, and get a promise for the table
--- of the results in input order, with `n` (of several results the first).
---
--- The source is a table, taken as a sequence, or one function that is called
--- as an iterator until it returns nil (what `pairs` returns is more than one
--- function, and raises: give the table). Its element is the second value of a
--- step if there are two or more, else the first. One that is a promise or
--- thenable is awaited first, and of several values the first counts. `fn` is
--- not called before `map` has returned.
---
--- The next element is pulled only when fewer than `concurrency` calls run, so
--- an iterator may have no end; it may await. Whatever fails first, an
--- element, a call, `progress` or the iterator, stops the pulling, cancels
--- what runs, and rejects the promise when that has ended. Its reason is the
--- first failure; further ones are reported as unhandled. Elements that were
--- not pulled are not looked at.
---
--- Raises for what is no table and not callable, for `fn` if it is not
--- callable, and for an option that is wrong or unknown.
---@generic T, R
---@param source T[]|fun(): T?, ...: any
---@param fn async fun(element: T, index: integer): R|cpromise.Promise<R>|nil, ...: any
---@param options? cpromise.MapOptions
---@return cpromise.Promise<cpromise.Results<R>>
function Promise.map(source, fn, options) end

--- Options of `Promise.retry`.
---@class cpromise.RetryOptions
---@field attempts? integer  at most so many, at least 1 (3); math.huge: no limit
---@field delay? number  seconds before the second attempt (0.1)
---@field factor? number  what each further delay is multiplied by (2)
---@field maxDelay? number  seconds that no delay exceeds
---@field jitter? number  from 0 to 1 (0): the share of a delay that is left out at most, by math.random
---@field when? fun(reason: any, attempt: integer): boolean  asked after a failure whether to try again

--- Call `fn(attempt)` until an attempt succeeds: a promise that settles as the
--- last attempt did. The first is made at once; each further one after the last
--- has ended and the delay has passed. A cancellation is not retried.
---
--- Raises if `fn` is not callable, for an option that is wrong or unknown, and,
--- unless `attempts` is 1, if there is no loop.
---@generic R
---@param fn async fun(attempt: integer): R|cpromise.Promise<R>|nil, ...: any
---@param options? cpromise.RetryOptions
---@return cpromise.Promise<R>
function Promise.retry(fn, options) end

--- For a loop in an async function (or a coroutine, or on the main thread): the
--- index of each element and its promise, in the order in which they settle.
---
---     for i, p in Promise.asCompleted(promises) do print(i, p:await()) end
---
--- Elements are those of the combinators, and are taken at once. A promise is
--- given as it is, a promise is made for anything else. Leaving the loop lets
--- go of the others. If the async call is cancelled in the loop, those are
--- cancelled that nobody else waits for, and the loop is left when they have
--- ended. Raises for what is no iterable, and any error in taking elements.
---@generic T
---@param iterable cpromise.Promise<T>[]|cpromise.Iterable
---@param ... any  the rest of what an iterator needs
---@return async fun(state: table): integer?, cpromise.Promise<T>? step
---@return table state
---@return nil
---@return table closing
---@nodiscard
function Promise.asCompleted(iterable, ...) end

--- Permits, of which each is held by one at a time. See `Promise.semaphore`.
---@class cpromise.Semaphore
local semaphore = {}

--- A semaphore with `n` permits. Raises if `n` is no integer of at least 1, nor
--- math.huge.
---@param n integer
---@return cpromise.Semaphore
---@nodiscard
function Promise.semaphore(n) end

--- What a semaphore gives: `permit()` gives it back, and so does the end of
--- the block with `local permit <close> = await(semaphore:acquire())`. Only
--- the first time does anything.
---@class cpromise.Permit
---@overload fun()

--- A promise of a permit. Who comes first is served first. The promise is
--- pending at first even if a permit is free: it is fulfilled when no other
--- job is left in the queue.
---
--- If the promise, or whoever waits for it, is cancelled before he gets the
--- permit, it goes to the next. (If nobody waits for a promise when it is
--- fulfilled, the permit is that of who has the promise. One that is dropped is
--- lost.) Never raises.
---@return cpromise.Promise<cpromise.Permit>
---@nodiscard
function semaphore:acquire() end

--- Wait for a permit, call `fn(...)` as an async function while it is held,
--- and give it back when that has ended: a promise of the results. Raises if
--- `fn` is not callable.
---@generic R
---@param fn async fun(...: any): R|cpromise.Promise<R>|nil, ...: any
---@param ... any
---@return cpromise.Promise<R>
function semaphore:with(fn, ...) end

--- A line of values from some async calls to others. See `Promise.channel`.
--- `T` is the type of the first value of each that is sent; to tell the editor:
--- `---@type cpromise.Channel<string>` above `local c = Promise.channel()`.
---@class cpromise.Channel<T>
---@overload async fun(): T|nil, ...: any
local channel = {}

--- A channel, which holds up to `capacity` values that nobody has asked for
--- yet (0: each is handed over). It can be read by a generic `for`, with an
--- await in each turn, which ends when the channel does:
---
---     for a, b in channel do print(a, b) end
---
--- Raises if `capacity` is no integer from 0, nor math.huge.
---@param capacity? integer
---@return cpromise.Channel<any>
---@nodiscard
function Promise.channel(capacity) end

--- Send values: a promise that is fulfilled, with none, when they are
--- accepted: when the channel has room for them or a receiver waits for them.
--- Cancelled before that, they are not sent. It rejects if the channel is
--- closed, with the reason given to `close` if there was one. Raises if the
--- first value is nil, which is what the end looks like.
---@generic T
---@param self cpromise.Channel<T>
---@param value T|cpromise.Promise<T>  if it is a promise or thenable, who receives it follows it
---@param ... any
---@return cpromise.Promise<nil>
function channel:send(value, ...) end

--- A promise of the values that were sent first. When the channel is closed
--- and empty: of none, or, if `close` was given a reason, rejected with that.
--- Receivers are served in the order of their calls.
---
--- The promise is pending at first even if there are values: it is fulfilled
--- when no other job is left in the queue. If it, or whoever waits for it, is
--- cancelled before he gets the values, they go to the next. Never raises.
---@generic T
---@param self cpromise.Channel<T>
---@return cpromise.Promise<T>
---@nodiscard
function channel:receive() end

--- Let nothing more be sent. What was sent is still received, also that of
--- senders who still wait; after that receivers get the end. With a reason,
--- they get that as an error instead, and so does a loop over the channel. A
--- second call does nothing. Never raises.
---@param reason? any  not nil: why it ends early
function channel:close(reason) end

--- Something that has happened or not, to wait for. See `Promise.event`.
---@class cpromise.Event
local event = {}

--- An event, which is not set. Never raises.
---@return cpromise.Event
---@nodiscard
function Promise.event() end

--- Let all who wait go on, in the order in which they came, and everybody who
--- comes before the next `clear`. Never raises.
function event:set() end

--- Let those wait who come from now on. Never raises.
function event:clear() end

--- A promise that is fulfilled, with no value, when the event is set, or at
--- once if it is. Never raises.
---@return cpromise.Promise<nil>
---@nodiscard
function event:wait() end


-- Rejections nobody handles --------------------------------------------------
-- ECMA-262, 27.2.1.9, leaves this to the host; docs/debugging.md shows reports.

--- Replace the report of rejections nobody handles: after a drain,
--- `hook(reason, promise, traceback)` is called once for each rejected promise
--- without a handler. `promise` is nil for an error in a microtask, or in a
--- coroutine of the program's own that went on after `await`. nil restores the
--- default: the reason and the traceback on standard error, a table by its
--- `__tostring`, or else by its fields. An error in the hook goes there too.
--- Returns the previous hook. Raises if `hook` is given and not callable.
---@param hook? fun(reason: any, promise: cpromise.Promise<any>?, traceback: string?)
---@return function? previous
function Promise.onUnhandledRejection(hook) end

--- After a drain, call `hook(reason, promise, traceback)` for each rejected
--- promise that was reported as unhandled, and has got a handler since; for a
--- program that keeps a list of them. nil: for none. An error in the hook is
--- reported on standard error. Returns the previous hook. Raises if `hook` is
--- given and not callable.
---@param hook? fun(reason: any, promise: cpromise.Promise<any>, traceback: string?)
---@return function? previous
function Promise.onRejectionHandled(hook) end


-- Seeing ---------------------------------------------------------------------
-- docs/debugging.md goes through programs that are wrong.

--- Switch the debug mode on or off; without an argument, leave it. Returns
--- whether it was on. The environment variable `CPROMISE_DEBUG=1` switches it
--- on when the module is loaded. It sees what is made from then on.
---
--- While it is on, each promise remembers where it was made. That stands in
--- `tostring(p)`, in `Promise.inspect(p).origin`, and in tracebacks and
--- reports below `[made]`: so they show where a handler was registered and
--- where an async call was started that nobody awaits. Warnings on standard
--- error tell of async calls that never ended, and of results that nobody
--- looked at, when the garbage collector finds them or the program ends; of a
--- promise that is resolved more than once; of handlers that are not callable;
--- and of handlers and async calls that run for long without coming back to
--- the queue: 0.1 seconds, or as many as the option `slow` says. Nothing else
--- changes, but for time and memory.
---
--- Raises if `on` is given, but no boolean and no table of options.
---@param on? boolean|{slow: number?}
---@return boolean was_on
function Promise.debug(on) end

--- Somebody who waits, and below it what that waits for.
---@class cpromise.Waiting
---@field label string  what it is, for people
---@field promise? cpromise.Promise<any>
---@field where? string  of a suspended async call: `file:line` of its `await`
---@field waits cpromise.Waiting[]

--- What is known of a promise: what it waits for if it is pending, or its
--- outcome.
---@class cpromise.Inspection: cpromise.Waiting
---@field state "pending"|"fulfilled"|"rejected"
---@field origin? string  in the debug mode: a traceback of where it was made
---@field values? table  of a fulfilled one, with `n`
---@field reason? any  of a rejected one
---@field traceback? string

--- Print all suspended async calls as a tree of who waits for what, each with
--- its line, to an open file, or else to standard error. May be called
--- anywhere, also in a signal handler of the loop. It runs no code of the
--- program's. It looks at every object that the program can reach, so it
--- takes about as long as a full collection of garbage, and some memory.
--- Raises if `file` is not an open file.
---@param file? file*
function Promise.dump(file) end

--- The same as tables: the calls that nobody waits for, and below each what it
--- waits for. Never raises.
---@return cpromise.Waiting[]
---@nodiscard
function Promise.pending() end

--- What is known of a promise. Raises if it is none.
---@param p cpromise.Promise<any>
---@return cpromise.Inspection
---@nodiscard
function Promise.inspect(p) end

return Promise
