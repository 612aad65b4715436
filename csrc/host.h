/*
** host.h
** What the core tells the program around it: that jobs are queued, and
** that an error was handled by nobody.
*/

#ifndef CP_HOST_H
#define CP_HOST_H

#include "watch.h"

/* Call the loop's hook. Only through cp_host_wake. [-0, +0, -] */
void cp_host_call_loop (lua_State *L);

/* __close of what guards a call of the hook on a coroutine */
int cp_host_close_wake (lua_State *L);

/* Tell the loop that something was queued, if something was. Every function
   that may queue ends with it, after its last change. [-0, +0, -] */
static inline void cp_host_wake (lua_State *L, const Context *ctx) {
  if (ctx->edge)
    cp_host_call_loop(L);
}

/* Let the loop's timer be armed as is needed now: clock.h. [-0, +0, -] */
void cp_host_sync (lua_State *L);

/* The same, if it keeps the loop alive for nothing, and no job runs. */
static inline void cp_host_settle_timer (lua_State *L, const Context *ctx) {
  if (ctx->unsynced && !ctx->draining)
    cp_host_sync(L);
}

/* End a function that has resolved p, at 'idx', with that outcome: announce
   it, and tell the loop if something was queued. [-0, +0, -] */
static inline void
cp_host_finish (lua_State *L, Outcome outcome, Promise *p, int idx) {
  const Context *ctx;
  if (outcome == SETTLED) {
    if (p->waiters == 0 && p->state == STATE_FULFILLED)
      return; /* mostly nobody waits yet */
    cp_promise_announce_slow(L, p, idx);
  }
  ctx = cp_context(L);
  if (ctx->watched && outcome == SETTLED)
    cp_watch_tell(L, WATCH_SETTLED, idx, 0);
  cp_host_wake(L, ctx);
}

/* Report the reason and the traceback (or nil) on the top, of the promise at
   'promise' (0: of none), to the user's hook, or else on standard error.
   [-2, +0, -] */
void cp_host_report (lua_State *L, int promise);

/* Report all rejections that are still unhandled. [-0, +0, -] */
void cp_host_report_rejections (lua_State *L);

/* report(reason): report an error of no promise. */
int cp_report (lua_State *L);

/* setWake(hook): the function to call when jobs are queued; it returns
   whether a drain will follow. */
int cp_setWake (lua_State *L);

/* setLibraries(loaded, names): where a library of such a name appears, the
   hook is asked again, after it has found no loop. */
int cp_setLibraries (lua_State *L);

/* onUnhandledRejection(hook): returns the previous one. */
int cp_onUnhandledRejection (lua_State *L);

/* onRejectionHandled(hook): the same for what was reported, and
   is handled after all. */
int cp_onRejectionHandled (lua_State *L);

/* p:ignore() -> p, whose rejection is reported to nobody */
int cp_ignore (lua_State *L);

/* setShow(function): makes the text of a report of a reason
   and a traceback, or nil. */
int cp_setShow (lua_State *L);

/* hasText(v): whether v has a '__tostring'. */
int cp_hasText (lua_State *L);

#endif
