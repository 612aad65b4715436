/*
** async.h
** Async calls (ECMA-262 27.7.5): starting them, and driving them on.
**
** An async call is one object, its promise, which is
** also the node that waits:
**
**   started --yields in 'await'--> KIND_AWAIT, reacts to what it awaits
**      ^  |                            |
**      |  `--returns, raises--> settled|  in its turn: lua_resume
**      `-------------------------------'
**
** A call that a hook has made yield, or that has yielded to the loop, is
** KIND_START again: a job, with its coroutine.
*/

#ifndef CP_ASYNC_H
#define CP_ASYNC_H

#include "promise.h"

/* async(fn) -> a function that starts fn in a coroutine */
int cp_async (lua_State *L);

/* spawn(fn, ...) */
int cp_spawn (lua_State *L);

/* Start the function at 'fn', with all values above it, as an async call, and
   push its promise in place of them. [-n, +1, m] */
int cp_async_start (lua_State *L, int fn);

/* cancelled() -> the latest cancellation that the running async call was
   asked to end with, or nil */
int cp_cancelled (lua_State *L);

/* running() -> the promise of the running async call, or nil */
int cp_running (lua_State *L);

/* The body of an async call: below it nothing belongs to the call. */
int cp_async_body (lua_State *L);

/* The end of a body's protected call: raise its error, where it can still
   await, or return its values, but not the message handler at 1. */
int cp_async_body_end (lua_State *L, int status, lua_KContext k);

/* Close a coroutine: its pending variables. Returns a status of Lua; if that
   is no LUA_OK, the error is on the top of 'co'. [-0, +0, -] */
int cp_async_reset (lua_State *co, lua_State *L);

/* Whether a hook has made the coroutine yield, as the host divides time, and
   not its own code: then no function of C is on its top, and it yields
   nothing; or a generator that it runs was paused so. */
int cp_async_is_paused (const Context *ctx, lua_State *co, int n);

Outcome cp_run_start (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_await (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_resume (lua_State *L, Promise *node, const Promise *source);

#endif
