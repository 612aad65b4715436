/*
** async.c
** See async.h.
*/

#include "async.h"

#include "args.h"
#include "cancel.h"
#include "debug.h"
#include "host.h"
#include "resolve.h"
#include "trace.h"
#include "wait.h"
#include "watch.h"

/* So many async calls may start inside one another at once. Each takes two C
   levels of the 200 that Lua allows, and leaves four to what its body calls
   in between, pcall or a metamethod. The next one starts from the queue:
   recursion is limited by memory alone. */
#define MAX_DEPTH 30


int cp_async_reset (lua_State *co, lua_State *L) {
  return CP_HAS_CLOSETHREAD ? lua_closethread(co, L) : lua_resetthread(co);
}


static void close_coroutine (lua_State *co, lua_State *L) {
  cp_async_reset(co, L);
  lua_settop(co, 0); /* dead, not waiting to be started */
}


/*
** {================================================================
** Driving an async call
** =================================================================
*/

/* What a slice of an async call has come to. */
typedef enum Slice {
  SLICE_SETTLED, /* its promise has settled */
  SLICE_WAITS, /* its promise is a reaction of what it awaits */
  SLICE_OUTSIDE, /* it has yielded to the loop, which lets it go on */
  SLICE_PAUSED, /* a hook has made it yield: it goes on in a later job */
  SLICE_READY /* it awaits a value, or a promise that has settled */
} Slice;


/* Reject the call p, at 'idx', with a value of the context. [-0, +0, -] */
static Slice refuse (lua_State *L, Promise *p, int idx, int ctxslot) {
  cp_promise_refuse(L, p, idx, ctxslot);
  return SLICE_SETTLED;
}


/* The call p, at 'idx', was asked to end before it came to this 'await',
   where it waits now for the pending promise at 'source', as the object on
   the top: the request goes up from there. Where there is no room for that it
   raises in its turn. [-1, +0, -] */
static void
ask_now (lua_State *L, Promise *p, int idx, lua_State *co, int source) {
  int place = lua_gettop(L);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_setiuservalue(L, idx, SLOT_VALUE); /* not there yet, if it starts */
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  if (cp_cancel_has_room(L))
    cp_cancel_from(L, p, idx, place + 1);
  else {
    cp_wait_leave(L, cp_node_at(L, source), source, place);
    cp_wait_set_awaited(L, co);
    cp_queue_push(L, cp_context(L), p, idx);
  }
  lua_settop(L, place - 1);
}


/* The call p, at 'idx', awaits the promise on the top, which was pending; so
   it is the source of the call from now on. In a crowd, making a seat may
   have run finalizers. */
static Slice wait_for (lua_State *L, Promise *p, int idx, lua_State *co) {
  Context *ctx = cp_context(L);
  int awaited = lua_gettop(L);
  Promise *source = cp_node_at(L, awaited);
  if (source->waiters >= CROWD)
    cp_wait_sweep(L, source, awaited); /* of calls that were closed */
  if (source->waiters >= CROWD && cp_wait_push_seat(L, idx)) {
    if (cp_wait_is_over(co)) { /* closed by a finalizer */
      ctx->suspended--;
      return refuse(L, p, idx, CTX_CLOSED);
    }
    cp_node_set(L, awaited + 1, SLOT_SOURCE, awaited);
    lua_pushvalue(L, awaited + 1);
    cp_wait_set_awaited(L, co);
    cp_promise_react(L, ctx, source, awaited, awaited + 1);
  }
  else
    cp_promise_react(L, ctx, source, awaited, idx);
  if (p->flags & FLAG_CANCELLED && source->state == STATE_PENDING) {
    if (lua_gettop(L) == awaited)
      lua_pushvalue(L, idx);
    ask_now(L, p, idx, co, awaited);
  }
  return SLICE_WAITS;
}


/* Whether a function of Lua is on the top of the coroutine. */
static int is_in_lua (lua_State *co) {
  lua_Debug ar;
  return lua_getstack(co, 0, &ar) && lua_getinfo(co, "S", &ar) &&
         *ar.what != 'C';
}


int cp_async_is_paused (const Context *ctx, lua_State *co, int n) {
  return n == 0 && (ctx->hand.paused == co || is_in_lua(co));
}


#define OWNER lua_upvalueindex(2)
#define THREAD lua_upvalueindex(3)

/* resume(...): the call goes on in a job, and gets the values for what it has
   yielded to the loop; or ends there, if it was closed meanwhile. Once. */
static int resume_later (lua_State *L) {
  lua_State *co = lua_tothread(L, THREAD);
  int n = lua_gettop(L);
  if (co == NULL)
    return 0;
  if (!lua_checkstack(co, n))
    return luaL_error(L, "too many values");
  lua_pushnil(L);
  lua_replace(L, THREAD);
  if (lua_status(co) == LUA_YIELD)
    lua_xmove(L, co, n);
  cp_queue_push(L, cp_context(L), cp_node_at(L, OWNER), OWNER);
  cp_host_wake(L, cp_context(L));
  return 0;
}


/* (promise, thread, context, take, values...) ->
   whether the loop takes them */
static int call_take (lua_State *L) {
  enum { PROMISE = 1, THE_THREAD, THE_CONTEXT, TAKE };
  lua_pushvalue(L, THE_CONTEXT);
  lua_pushvalue(L, PROMISE);
  lua_pushvalue(L, THE_THREAD);
  lua_pushcclosure(L, resume_later, 3);
  lua_insert(L, TAKE + 1);
  lua_call(L, lua_gettop(L) - TAKE, 1);
  return 1;
}


/* Offer the n values on the top of the coroutine to the loop. Returns whether
   it takes them; pushes an error that it has raised. [-0, +(0|1), -] */
static int is_taken (lua_State *L, int idx, lua_State *co, int n) {
  int top = lua_gettop(L);
  if (!lua_checkstack(L, n + LUA_MINSTACK))
    return 0;
  lua_pushcfunction(L, call_take);
  lua_pushvalue(L, idx);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_pushvalue(L, CONTEXT);
  if (lua_getiuservalue(L, CONTEXT, CTX_TAKE) != LUA_TNIL) {
    lua_xmove(co, L, n);
    if (lua_pcall(L, n + 4, 1, 0) != LUA_OK)
      return 0;
    n = lua_toboolean(L, -1);
  }
  else
    n = 0;
  lua_settop(L, top);
  return n;
}


/* The coroutine of the call p, at 'idx', has yielded n values, which is not
   for the library. */
static Slice
has_paused (lua_State *L, Promise *p, int idx, lua_State *co, int n) {
  int top = lua_gettop(L);
  if (cp_async_is_paused(cp_context(L), co, n)) {
    p->kind = KIND_START;
    return SLICE_PAUSED;
  }
  p->kind = KIND_START; /* 'take' may resume it */
  if (is_taken(L, idx, co, n))
    return SLICE_OUTSIDE;
  close_coroutine(co, L);
  if (lua_gettop(L) > top) {
    cp_promise_settle(L, p, idx, STATE_REJECTED);
    return SLICE_SETTLED;
  }
  return refuse(L, p, idx, CTX_YIELDED);
}


/* The coroutine of the call p, at 'idx', waits. */
static Slice has_yielded (lua_State *L, Promise *p, int idx, lua_State *co) {
  Context *ctx = cp_context(L);
  Promise *source = ctx->hand.awaited;
  ctx->hand.waiting = NULL;
  p->kind = KIND_AWAIT;
  ctx->suspended++;
  ctx->unattended = 1;
  if (source == NULL)
    return SLICE_READY;
  if (source->flags & FLAG_REPORTED) {
    cp_wait_push_awaited(L, co);
    cp_promise_handled_late(L, source, lua_gettop(L));
    lua_pop(L, 1);
  }
  source->flags |= FLAG_HANDLED;
  if (source->state != STATE_PENDING) {
    source->flags |= FLAG_KNOWN;
    return SLICE_READY;
  }
  cp_wait_push_awaited(L, co);
  return wait_for(L, p, idx, co);
}


/* The call p, at 'idx', has been asked to end, at some time, and its body has
   returned n values, which are on the top. Values stand; a promise is asked
   in place of the body if that was not told. Otherwise the carrier stays with
   the call. */
static Outcome resolve_asked_call (lua_State *L, Promise *p, int idx, int n) {
  int first = lua_gettop(L) - n + 1;
  int is_object =
    n > 0 && (lua_istable(L, first) || lua_isuserdata(L, first));
  if (is_object && p->flags & FLAG_CANCELLED)
    return cp_resolve_asked(L, p, idx, n);
  p->flags &= (unsigned short)~FLAG_CANCELLED;
  return cp_resolve(L, p, idx, n);
}


/* The body of the call p, at 'idx', has returned n values. */
static Slice
has_returned (lua_State *L, Promise *p, int idx, lua_State *co, int n) {
  Outcome outcome;
  if (!lua_checkstack(L, n + LUA_MINSTACK))
    return refuse(L, p, idx, cp_promise_no_room(n));
  lua_xmove(co, L, n);
  if (p->flags & FLAG_CARRIER)
    outcome = resolve_asked_call(L, p, idx, n);
  else
    outcome = cp_resolve(L, p, idx, n);
  return outcome == SETTLED ? SLICE_SETTLED : SLICE_WAITS;
}


/* The body has raised, or could not be resumed. */
static Slice has_failed (lua_State *L, Promise *p, int idx, lua_State *co) {
  lua_xmove(co, L, 1);
  if (lua_status(co) == LUA_YIELD)
    close_coroutine(co, L); /* too deep in C to be resumed */
  cp_trace_reject(L, p, idx);
  return SLICE_SETTLED;
}


/* Push the coroutine of a call, if there is room there. */
static int push_coroutine (lua_State *L, lua_State *co) {
  if (!lua_checkstack(co, 1))
    return 0;
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  return 1;
}


/* Tell that the call at 'idx' is about to run. */
static void tell_start (lua_State *L, int idx, lua_State *co) {
  cp_watch_tell(L, WATCH_CALL, idx, push_coroutine(L, co));
}


/* Tell that the call p, at 'idx', has run. If it waits it has to know its
   coroutine before: finalizers may ask it to end. */
static Slice
tell_end (lua_State *L, Promise *p, int idx, lua_State *co, Slice slice) {
  if (p->state == STATE_PENDING && p->kind == KIND_AWAIT &&
      push_coroutine(L, co))
    lua_setiuservalue(L, idx, SLOT_VALUE);
  cp_watch_tell(L, WATCH_CALL_END, idx, 0);
  return slice == SLICE_READY && p->state != STATE_PENDING ? SLICE_WAITS
                                                           : slice;
}


/* Resume the coroutine of a call with n values. The context knows that it
   runs; not any more when code of the user's runs that looks at what has come
   of it: that may close the coroutine L, and never return. */
static Slice drive (lua_State *L, Drive *running, int n) {
  Context *ctx = cp_context(L);
  Promise *p = running->call;
  lua_State *co = running->co;
  lua_State *outer = ctx->driven;
  int idx = running->idx;
  Slice slice;
  int status, nresults;
  if (ctx->watched)
    tell_start(L, idx, co);
  if (p->kind == KIND_AWAIT)
    ctx->suspended--;
  ctx->drive = running;
  ctx->driven = co;
  ctx->hand.paused = NULL;
  status = lua_resume(co, L, n, &nresults);
  ctx->driven = outer;
  ctx->drive = running->outer;
  ctx->hand.resumed = NULL;
  ctx->hand.cancelled = 0;
  if (status == LUA_YIELD)
    slice = ctx->hand.waiting == co ? has_yielded(L, p, idx, co)
                                    : has_paused(L, p, idx, co, nresults);
  else if (status == LUA_OK)
    slice = has_returned(L, p, idx, co, nresults);
  else
    slice = has_failed(L, p, idx, co);
  return ctx->watched ? tell_end(L, p, idx, co, slice) : slice;
}


/* Whether what has been awaited, at 'idx', is to reach a call that was asked
   to end: a failure, or what 'select' had chosen, which would be lost. */
static int is_kept (lua_State *L, int idx) {
  const Promise *s = cp_promise_test(L, cp_context(L), idx);
  if (s == NULL)
    return 0;
  if (s->kind == KIND_SELECT && s->state == STATE_FULFILLED)
    return s->flags & FLAG_DIVERTED;
  return cp_cancel_is_failure(L, idx);
}


/* The call goes on. If it was asked to end, its 'await' mostly finds the
   carrier in place of what it awaited, and raises: so the request is
   delivered. If not, the next one will. */
static void deliver (lua_State *L, Promise *node, lua_State *co) {
  cp_wait_push_awaited(L, co);
  if (!is_kept(L, lua_gettop(L))) {
    node->flags &= (unsigned short)~(FLAG_CANCELLED | FLAG_INTERRUPTED);
    lua_getiuservalue(L, AT_NODE, SLOT_SOURCE);
    cp_wait_set_awaited(L, co);
    cp_context(L)->hand.cancelled = 1;
  }
  lua_pop(L, 1);
}


/* Resume the call of the running job with n values, and again as long as its
   next job is the next one of all. */
static Outcome
run_slices (lua_State *L, Promise *node, lua_State *co, int n) {
  Context *ctx = cp_context(L);
  Drive running = {node, co, L, AT_NODE, ctx->drive};
  Slice slice = drive(L, &running, n);
  while (slice == SLICE_READY && cp_queue_is_next(ctx)) {
    ctx->left--;
    cp_trace_clear(L, ctx);
    if (node->flags & FLAG_CANCELLED)
      deliver(L, node, co);
    ctx->hand.resumed = co;
    slice = drive(L, &running, 0);
  }
  if (slice == SLICE_READY || slice == SLICE_PAUSED)
    cp_queue_push(L, ctx, node, AT_NODE);
  return slice == SLICE_SETTLED ? SETTLED : LEFT;
}


/* Somebody has closed the coroutine of the call. */
static Outcome end_closed (lua_State *L, Promise *node) {
  Context *ctx = cp_context(L);
  if (node->kind == KIND_AWAIT)
    ctx->suspended--;
  if (node->flags & FLAG_CANCELLED) {
    lua_getiuservalue(L, AT_NODE, SLOT_SOURCE);
    cp_promise_copy(L, node, AT_NODE, lua_gettop(L));
  }
  else
    refuse(L, node, AT_NODE, CTX_CLOSED);
  if (ctx->watched)
    cp_watch_tell(L, WATCH_SETTLED, AT_NODE, 0);
  return SETTLED;
}


/* The job of a call whose nesting was too deep to start it at once, or that
   was paused, or is given values for those that it has yielded to the
   loop. */
Outcome cp_run_start (lua_State *L, Promise *node, const Promise *source) {
  lua_State *co;
  (void)source;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  co = lua_tothread(L, AT_WORK);
  if (lua_status(co) == LUA_YIELD)
    return run_slices(L, node, co, is_in_lua(co) ? 0 : lua_gettop(co));
  if (lua_gettop(co) == 0)
    return end_closed(L, node);
  return run_slices(L, node, co, lua_gettop(co) - 1);
}


/* The job of a call whose awaited promise has settled. 'await' looks at that
   by itself. */
Outcome cp_run_await (lua_State *L, Promise *node, const Promise *source) {
  lua_State *co;
  (void)source;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  co = lua_tothread(L, AT_WORK);
  if (lua_status(co) != LUA_YIELD)
    return end_closed(L, node);
  if (node->flags & FLAG_CANCELLED)
    deliver(L, node, co);
  cp_context(L)->hand.resumed = co;
  return run_slices(L, node, co, 0);
}

/* }================================================================ */


/*
** {================================================================
** Starting an async call
** =================================================================
*/

int cp_async_body_end (lua_State *L, int status, lua_KContext k) {
  (void)k;
  if (status != LUA_OK && status != LUA_YIELD)
    return lua_error(L);
  return lua_gettop(L) - 1;
}


/* Arguments: message handler; the user's function; its arguments. Errors
   unwind here, while the coroutine lives: so a to-be-closed variable may
   await, and the handler sees the stack. */
int cp_async_body (lua_State *L) {
  int n = lua_gettop(L) - 2;
  return cp_async_body_end(
    L, lua_pcallk(L, n, LUA_MULTRET, 1, 0, cp_async_body_end), 0);
}


/* Push a coroutine ready to call the function at 'fn' with the n values from
   'first' on. [-0, +1, m] */
static lua_State *prepare (lua_State *L, int fn, int first, int n) {
  lua_State *co = lua_newthread(L);
  int i;
  if (n > LUA_MINSTACK / 2 && /* there is room for a few */
      (!lua_checkstack(co, n + 3) || !lua_checkstack(L, n + 3))) {
    lua_getiuservalue(L, CONTEXT, cp_promise_no_room(n));
    lua_error(L);
  }
  lua_pushcfunction(co, cp_async_body);
  lua_getiuservalue(L, CONTEXT, CTX_BODY_HANDLER);
  lua_pushvalue(L, fn);
  for (i = 0; i < n; i++)
    lua_pushvalue(L, first + i);
  lua_xmove(L, co, n + 2);
  return co;
}


/* Start the coroutine on the top, and replace it by the promise of its call.
   'n' is the number of arguments. */
static int start (lua_State *L, lua_State *co, int n) {
  Context *ctx = cp_context(L);
  int idx = lua_gettop(L) + 1;
  Promise *p = cp_promise_new(L, KIND_START);
  Drive running = {p, co, L, idx, ctx->drive};
  unsigned int depth = ctx->depth;
  Slice slice;
  if (ctx->debug) {
    cp_debug_note(L, idx);
    p->is_call = 1;
  }
  if (depth >= MAX_DEPTH) {
    cp_node_set(L, idx, SLOT_VALUE, idx - 1);
    cp_queue_push(L, ctx, p, idx);
    return 1;
  }
  ctx->depth = depth + 1;
  slice = drive(L, &running, n + 2);
  ctx->depth = depth;
  if (slice == SLICE_SETTLED)
    cp_promise_announce(L, p, idx);
  else if (p->kind == KIND_AWAIT || slice >= SLICE_OUTSIDE)
    cp_node_set(L, idx, SLOT_VALUE, idx - 1);
  if (slice == SLICE_READY || slice == SLICE_PAUSED)
    cp_queue_push(L, ctx, p, idx);
  cp_host_wake(L, ctx);
  if (lua_gettop(L) > idx) /* mostly nothing is left */
    lua_settop(L, idx);
  return 1;
}


#define FUNCTION lua_upvalueindex(4)


static int call_async (lua_State *L) {
  int n = lua_gettop(L);
  lua_State *co = prepare(L, FUNCTION, 1, n);
  return start(L, co, n);
}


int cp_async (lua_State *L) {
  cp_args_check_callable(L, 1);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, PROMISE_MT);
  lua_pushvalue(L, HANDLER);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, call_async, 4);
  return 1;
}


int cp_async_start (lua_State *L, int fn) {
  int n = lua_gettop(L) - fn;
  return start(L, prepare(L, fn, fn + 1, n), n);
}


int cp_spawn (lua_State *L) {
  cp_args_check_callable(L, 1);
  return cp_async_start(L, 1);
}

/* Push the promise of the running async call, or nil. [-0, +1, -] */
static const Promise *push_call (lua_State *L) {
  const Drive *drive = cp_context(L)->drive;
  if (drive == NULL) {
    lua_pushnil(L);
    return NULL;
  }
  lua_pushvalue(drive->L, drive->idx);
  lua_xmove(drive->L, L, 1);
  return drive->call;
}


int cp_running (lua_State *L) {
  push_call(L);
  return 1;
}


int cp_cancelled (lua_State *L) {
  const Promise *call = push_call(L);
  int top = lua_gettop(L);
  if (call == NULL || !(call->flags & FLAG_CARRIER))
    lua_pushnil(L);
  else {
    lua_getiuservalue(L, top, SLOT_SOURCE);
    lua_getiuservalue(L, top + 1, SLOT_VALUE);
  }
  return 1;
}

/* }================================================================ */


/*
** {================================================================
** Coroutines of the user's own
** =================================================================
*/

/* Report the error on the top of a coroutine that we
   resumed, and close it. */
static void report_error (lua_State *L, lua_State *co) {
  int reason = lua_gettop(L) + 1;
  lua_xmove(co, L, 1);
  lua_pushcfunction(L, cp_trace_text);
  lua_pushvalue(L, AT_WORK);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, reason);
  if (lua_pcall(L, 3, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  close_coroutine(co, L);
  cp_host_report(L, 0);
}


/* The job of a coroutine of the user's own whose promise has settled, or that
   was paused after that. */
Outcome cp_run_resume (lua_State *L, Promise *node, const Promise *source) {
  Context *ctx = cp_context(L);
  lua_State *co;
  int status, n;
  (void)source;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  co = lua_tothread(L, AT_WORK);
  if (lua_status(co) != LUA_YIELD)
    return LEFT; /* closed meanwhile */
  if (!(node->flags & FLAG_PLAIN)) /* else it may wait for something new */
    ctx->hand.resumed = co;
  ctx->hand.paused = NULL;
  status = lua_resume(co, L, 0, &n);
  ctx->hand.resumed = NULL;
  if (status == LUA_YIELD && cp_async_is_paused(ctx, co, n)) {
    node->flags |= FLAG_PLAIN;
    cp_queue_push(L, ctx, node, AT_NODE);
  }
  else if (status == LUA_OK || status == LUA_YIELD)
    lua_pop(co, n);
  else
    report_error(L, co);
  return LEFT;
}

/* }================================================================ */
