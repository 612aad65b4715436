/*
** watch.h
** Telling the program's Lua side what the core does, while it does it: for
** timelines, and to find what takes too long.
**
** While nobody wants to know, each place where something happens tests a flag
** of the context. Else it calls one function, which may run anything: so may
** finalizers while that allocates. What is told is told where that is
** harmless, in pairs around the program's own code, or after the last change.
**
** (event, promise, ...)
**   "job"       a handler is about to run for the promise (nil: a microtask,
**               or a coroutine of the program's own); the handler; the
**               promise that it reacts to, or nil
**   "job_end"   it has run; its promise has settled, or follows another
**   "call"      an async call is about to run; its coroutine
**   "call_end"  it has settled, waits, or follows another promise
**   "settled"   a promise has settled, or an aggregate may have, by other
**               means; the promise whose outcome it took or waited for,
**               or nil
**   "cancel"    the promise was asked to end, and somebody was told of that
**   "timer"     the time of a delay or timeout was up
*/

#ifndef CP_WATCH_H
#define CP_WATCH_H

#include "promise.h"

typedef enum WatchEvent {
  WATCH_JOB,
  WATCH_JOB_END,
  WATCH_CALL,
  WATCH_CALL_END,
  WATCH_SETTLED,
  WATCH_CANCEL,
  WATCH_TIMER
} WatchEvent;

/* Tell of the promise at 'promise' (0, or no promise there: nil) and the n
   values on the top. The running job is not disturbed; an error is ignored,
   and so is what happens meanwhile. Only if 'watched' is set. [-n, +0, -] */
void cp_watch_tell (lua_State *L, WatchEvent event, int promise, int n);

/* Only through cp_watch_run. */
Outcome
cp_watch_told_run (lua_State *L, Promise *node, const Promise *source);

/* Run the job of the node, at AT_NODE, and tell of it. [-0, +any, -] */
static inline Outcome cp_watch_run (
  lua_State *L, const Context *ctx, Promise *node, const Promise *source) {
  if (ctx->watched)
    return cp_watch_told_run(L, node, source);
  return cp_kinds[node->kind].run(L, node, source);
}

/* setWatch(hook): the function that is told, or nil. */
int cp_setWatch (lua_State *L);

/* monotonic() -> nanoseconds of a clock that never goes back */
int cp_monotonic (lua_State *L);

#endif
