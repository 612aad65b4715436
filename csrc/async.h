/*
** async.h
** Coroutines: async calls (ECMA-262 27.7.5), and waiting in them, in
** coroutines of the user's own, and on the main thread.
**
** An async call is one object, its promise, which is also the node that waits:
**
**   started --yields in 'await'--> KIND_AWAIT, reacts to what it awaits
**      ^  |                            |
**      |  `--returns, raises--> settled|  in its turn: lua_resume
**      `-------------------------------'
**
** 'await' itself links nothing. It says in the context that it waits
** ('waiting', 'awaited') and yields to whoever drives the coroutine, who finds
** what it awaits at 1 in its frame (a seat for that, where there is a crowd:
** wait.h). It goes on when the context says that it
** may ('resumed'), whoever else resumes it.
*/

#ifndef CP_ASYNC_H
#define CP_ASYNC_H

#include "promise.h"

/* async(fn) -> a function that starts fn in a coroutine */
int cp_async (lua_State *L);

/* spawn(fn, ...) */
int cp_spawn (lua_State *L);

/* Start the function at 'fn', with all values above it, as an async call, and push
   its promise in place of them. [-n, +1, m] */
int cp_async_start (lua_State *L, int fn);

/* await(v), p:await() */
int cp_await (lua_State *L);

/* pawait(v) */
int cp_pawait (lua_State *L);

/* cancelled() -> the latest cancellation that the running async call was asked
   to end with, or nil */
int cp_cancelled (lua_State *L);

/* running() -> the promise of the running async call, or nil */
int cp_running (lua_State *L);

/* canAwait(): whether 'await' could wait here. */
int cp_canAwait (lua_State *L);

/* Raise, with the position of the Lua code that called, if 'await' can't wait
   here. [-0, +0, v] */
void cp_async_check (lua_State *L);

/* unwrap(p[, err]): what 'await' would return or raise, for p that has settled;
   that is raised in the place of the error 'err', which unwinds. */
int cp_unwrap (lua_State *L);

/* wrap(fn): coroutine.wrap for generators that await -> the function, and for a
   generic 'for': nil, nil, what closes the generator */
int cp_wrap (lua_State *L);

/* That function. */
int cp_call_generator (lua_State *L);

/* What closes the generator: its __close. */
int cp_close_generator (lua_State *L);

/* __close of what stands for one who runs the loop on a coroutine */
int cp_close_pump (lua_State *L);

/* awaitLoop(v): as await, but by running the loop, in a coroutine too */
int cp_awaitLoop (lua_State *L);

/* setPump(hook): hook(promise) runs the loop until the promise has settled, or
   nothing is left to do; it returns nil, or a string: why it can't. */
int cp_setPump (lua_State *L);

/* setScheduler(suspend, take): hooks of a loop that resumes coroutines itself.
   suspend(promise) waits in a coroutine of the loop's own and returns true, or
   returns false in others. take(resume, ...) is called with what an async body
   has yielded; it returns whether it calls resume(...) later. Either may be
   nil. */
int cp_setScheduler (lua_State *L);

/* setBlocks(table): by coroutine, the tables of those that are in a scope, or on
   the main thread. Whatever is awaited there goes through 'follow(table, v)',
   which returns a promise; the value of 'interrupt' is raised by 'pawait' too. */
int cp_setBlocks (lua_State *L);

/* The body of an async call: below it nothing belongs to the call. */
int cp_async_body (lua_State *L);

Outcome cp_run_start (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_await (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_resume (lua_State *L, Promise *node, const Promise *source);

#endif
