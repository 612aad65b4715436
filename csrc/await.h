/*
** await.h
** Waiting: in async calls, in coroutines of the user's own, and on the main
** thread.
**
** In a coroutine 'await' links nothing. It says in the context that it waits
** (Handover, core.h) and yields: to whoever drives the coroutine, if that is
** an async call's or a generator's; else a node resumes it (link_node). On
** the main thread it runs the loop until what it awaits has settled
** (cp_await_pump). In a coroutine that belongs to the loop, the loop's own
** way to wait is used (setScheduler).
*/

#ifndef CP_AWAIT_H
#define CP_AWAIT_H

#include "promise.h"

/* await(v), p:await() */
int cp_await (lua_State *L);

/* pawait(v) */
int cp_pawait (lua_State *L);

/* canAwait(): whether 'await' could wait here. */
int cp_canAwait (lua_State *L);

/* unwrap(p[, err]): what 'await' would return or raise, for p that has
   settled; that is raised in the place of the error 'err', which unwinds. */
int cp_unwrap (lua_State *L);

/* awaitLoop(v): as await, but by running the loop, in a coroutine too */
int cp_awaitLoop (lua_State *L);

/* setPump(hook): hook(promise) runs the loop until the promise has settled,
   or nothing is left to do; it returns nil, or a string: why it can't. */
int cp_setPump (lua_State *L);

/* setScheduler(suspend, take): hooks of a loop that resumes coroutines
   itself. suspend(promise) waits in a coroutine of the loop's own and returns
   true, or returns false in others. take(resume, ...) is called with what an
   async body has yielded; it returns whether it calls resume(...) later.
   Either may be nil. */
int cp_setScheduler (lua_State *L);

/* setBlocks(table): by coroutine, the tables of those that are in a scope, or
   on the main thread. Whatever is awaited there goes through 'follow(table,
   v)', which returns a promise; the value of 'interrupt' is raised by
   'pawait' too. */
int cp_setBlocks (lua_State *L);

/* __close of what stands for one who runs the loop on a coroutine */
int cp_close_pump (lua_State *L);

/* Raise, with the position of the Lua code that called, if 'await' can't wait
   here. [-0, +0, v] */
void cp_await_check (lua_State *L);


/*
** What generators share with 'await'
*/

/* What a continuation needs to know: flags in its context. */
enum {
  WAIT_PROMISE = 1, /* what is at 1 is a promise, not a plain value */
  WAIT_PROTECTED = 2, /* 'pawait': true and the values, or false, reason */
  WAIT_TRACED = 4, /* errors in flight wait at 2 */
  WAIT_BLOCK = 8 /* a scope in the coroutine may interrupt this */
};

/* Why the running code can't wait; NULL if it can. */
const char *cp_await_refusal (lua_State *L, const Context *ctx, int is_main);

/* Outside of async calls: if the coroutine, or the main thread, is in a
   scope, let what is awaited, at 1, go through that, which may interrupt it:
   see scope.lua. Returns WAIT_BLOCK, or 0. [-0, +0, e] */
int cp_await_enter_block (lua_State *L);

/* Whether what is at 1 was rejected by the scope that the coroutine is in. */
int cp_await_is_interrupted (lua_State *L);

/* In a coroutine: wait for what is at 1 (the promise s, if it is one), then
   call the continuation, as lua_yieldk does. */
int cp_await_wait (
  lua_State *L, Context *ctx, Promise *s, int k, lua_KFunction continuation);

/* Somebody else has resumed the coroutine: forget the values it was given,
   and wait on, yielding nothing. */
int cp_await_wait_on (
  lua_State *L, lua_KContext k, lua_KFunction continuation);

/* Pump: run the loop until s, at 1, has settled, or (NULL) nothing is left to
   do. Returns NULL, or pushes and returns why it has not settled.
   [-0, +(0|1), e] */
const char *cp_await_pump (lua_State *L, Promise *s);

/* Whether the loop has a way to wait in coroutines of its own. [-0, +0, -] */
int cp_await_has_scheduler (lua_State *L);

#endif
