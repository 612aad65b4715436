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
   levels of the 200 that Lua allows, and leaves four to what its body calls in
   between, pcall or a metamethod. The next one starts from the queue: recursion
   is limited by memory alone. */
#define MAX_DEPTH 30


/* Close a coroutine: its pending variables. Returns a status of Lua; if that is
   no LUA_OK, the error is on the top of 'co'. [-0, +0, -] */
static int reset_coroutine (lua_State *co, lua_State *L) {
  return CP_HAS_CLOSETHREAD ? lua_closethread(co, L) : lua_resetthread(co);
}


static void close_coroutine (lua_State *co, lua_State *L) {
  reset_coroutine(co, L);
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


/* The call p, at 'idx', was asked to end before it came to this 'await', where
   it waits now for the pending promise at 'source', as the object on the top:
   the request goes up from there. Where there is no room for that it raises in
   its turn. [-1, +0, -] */
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
   it is the source of the call from now on. In a crowd, making a seat may have
   run finalizers. */
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


/* Whether a hook has made the coroutine yield, as the host divides time, and not
   its own code: then no function of C is on its top, and it yields nothing; or
   a generator that it runs was paused so. */
static int is_paused (const Context *ctx, lua_State *co, int n) {
  return n == 0 && (ctx->paused == co || is_in_lua(co));
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


/* (promise, thread, context, take, values...) -> whether the loop takes them */
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


/* Offer the n values on the top of the coroutine to the loop. Returns whether it
   takes them; pushes an error that it has raised. [-0, +(0|1), -] */
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
  if (is_paused(cp_context(L), co, n)) {
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
  Promise *source = ctx->awaited;
  ctx->waiting = NULL;
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
   returned n values, which are on the top. Values stand; a promise is asked in
   place of the body if that was not told. Otherwise the carrier stays with the
   call. */
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


/* Resume the coroutine of a call with n values. The context knows that it runs;
   not any more when code of the user's runs that looks at what has come of it:
   that may close the coroutine L, and never return. */
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
  status = lua_resume(co, L, n, &nresults);
  ctx->driven = outer;
  ctx->drive = running->outer;
  ctx->resumed = NULL;
  ctx->cancelled = 0;
  if (status == LUA_YIELD)
    slice = ctx->waiting == co ? has_yielded(L, p, idx, co)
                               : has_paused(L, p, idx, co, nresults);
  else if (status == LUA_OK)
    slice = has_returned(L, p, idx, co, nresults);
  else
    slice = has_failed(L, p, idx, co);
  return ctx->watched ? tell_end(L, p, idx, co, slice) : slice;
}


/* Whether what has been awaited, at 'idx', is to reach a call that was asked to
   end: a failure, or what 'select' had chosen, which would be lost. */
static int is_kept (lua_State *L, int idx) {
  const Promise *s = cp_promise_test(L, cp_context(L), idx);
  if (s == NULL)
    return 0;
  if (s->kind == KIND_SELECT && s->state == STATE_FULFILLED)
    return s->flags & FLAG_DIVERTED;
  return cp_cancel_is_failure(L, idx);
}


/* The call goes on. If it was asked to end, its 'await' mostly finds the carrier
   in place of what it awaited, and raises: so the request is delivered. If not,
   the next one will. */
static void deliver (lua_State *L, Promise *node, lua_State *co) {
  cp_wait_push_awaited(L, co);
  if (!is_kept(L, lua_gettop(L))) {
    node->flags &= (unsigned short)~(FLAG_CANCELLED | FLAG_INTERRUPTED);
    lua_getiuservalue(L, AT_NODE, SLOT_SOURCE);
    cp_wait_set_awaited(L, co);
    cp_context(L)->cancelled = 1;
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
    ctx->resumed = co;
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


/* The job of a call whose nesting was too deep to start it at once, or that was
   paused, or is given values for those that it has yielded to the loop. */
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
  cp_context(L)->resumed = co;
  return run_slices(L, node, co, 0);
}

/* }================================================================ */


/*
** {================================================================
** Starting an async call
** =================================================================
*/

static int body_end (lua_State *L, int status, lua_KContext k) {
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
  return body_end(L, lua_pcallk(L, n, LUA_MULTRET, 1, 0, body_end), 0);
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

/* }================================================================ */


/*
** {================================================================
** Waiting
** =================================================================
*/

/* What a continuation needs to know: flags in its context. */
enum {
  WAIT_PROMISE = 1, /* what is at 1 is a promise, not a plain value */
  WAIT_PROTECTED = 2, /* 'pawait': true and the values, or false, reason */
  WAIT_TRACED = 4, /* errors in flight wait at 2 */
  WAIT_BLOCK = 8 /* a scope in the coroutine may interrupt this */
};


/* Why the running code can't wait; NULL if it can. */
static const char *refusal (lua_State *L, const Context *ctx, int is_main) {
  if (is_main ? ctx->draining || ctx->busy > 0
              : ctx->driven == NULL && !lua_isyieldable(L) && ctx->draining)
    return "can't await in a handler, executor, hook or getter: make the "
           "function with Promise.async, or return the promise";
  if (is_main)
    return NULL;
  if (!lua_isyieldable(L))
    return "can't await across a C function (table.sort, string.gsub, "
           "require, an executor, a getter), or while a coroutine is closed "
           "before its end: await before or after it, or in a "
           "Promise.async of its own";
  if (ctx->driven != NULL && ctx->driven != L)
    return "can't await in a coroutine that an async function resumes, since "
           "its consumer would get the yield: make it with Promise.wrap";
  return NULL;
}


/* The promise that is at 1, or that replaces an object there; NULL if a plain
   value is there. */
static Promise *as_source (lua_State *L, Context *ctx) {
  int type = lua_type(L, 1);
  Promise *p;
  if (type != LUA_TTABLE && type != LUA_TUSERDATA)
    return NULL;
  p = cp_promise_peek(L, ctx, 1);
  if (p != NULL)
    return p;
  cp_args_refuse_module(L);
  lua_settop(L, 1);
  p = cp_promise_new(L, KIND_PLAIN);
  lua_insert(L, 1);
  cp_resolve(L, p, 1, 1); /* linked at once: no announcement */
  return p;
}


/* Whether what is at 1 was rejected by the scope that the coroutine is in. */
static int is_interrupted (lua_State *L) {
  int is;
  lua_getiuservalue(L, CONTEXT, CTX_BLOCKS);
  lua_pushthread(L);
  lua_rawget(L, -2);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "interrupt");
    lua_replace(L, -2);
  }
  lua_getiuservalue(L, 1, SLOT_VALUE);
  is = !lua_isnil(L, -1) && lua_rawequal(L, -1, -2);
  lua_settop(L, 1);
  return is;
}


/* Return or raise the outcome of what is at 1. */
static int outcome (lua_State *L, int k) {
  const Promise *s = k & WAIT_PROMISE ? cp_node_at(L, 1) : NULL;
  lua_settop(L, 1);
  if (k & WAIT_BLOCK && is_interrupted(L))
    k &= ~WAIT_PROTECTED;
  if (k & WAIT_PROTECTED)
    lua_pushboolean(L, s == NULL || s->state == STATE_FULFILLED);
  if (s == NULL)
    lua_pushvalue(L, 1);
  else if (cp_promise_values(L, s, 1) < 0)
    return lua_error(L);
  else if (s->state == STATE_REJECTED && !(k & WAIT_PROTECTED)) {
    cp_trace_hand_on(L, 1);
    return lua_error(L);
  }
  return lua_gettop(L) - 1;
}


/* Somebody else has resumed the coroutine: forget the values it was given, and
   wait on, yielding nothing. */
static int
wait_on (lua_State *L, lua_KContext k, lua_KFunction continuation) {
  lua_settop(L, k & WAIT_TRACED ? 2 : 1);
  return lua_yieldk(L, 0, k, continuation);
}


/* In a coroutine: go on if it is our turn. */
static int go_on (lua_State *L, int status, lua_KContext k) {
  Context *ctx = cp_context(L);
  (void)status;
  if (ctx->resumed != L)
    return wait_on(L, k, go_on);
  ctx->resumed = NULL;
  if (k & WAIT_TRACED)
    cp_trace_restore(L, ctx, 2);
  if (ctx->cancelled) { /* the call itself was: 'pawait' raises that too */
    ctx->cancelled = 0;
    k = (k | WAIT_PROMISE) & ~WAIT_PROTECTED;
  }
  if (ctx->refused) {
    ctx->refused = 0;
    return cp_args_raise(L, lua_tostring(L, -1));
  }
  return outcome(L, (int)k);
}


/* One more, or one less, waits on the main thread: then timeouts keep the loop
   alive, too. [-0, +0, -] */
static void count_wait (lua_State *L, int n) {
  Context *ctx = cp_context(L);
  ctx->main_waits += (unsigned int)n;
  if (ctx->timers > ctx->delays)
    cp_host_sync(L);
}


/* Nobody waits for s, or for nothing, by running the loop any more. */
static void end_pump (lua_State *L, Promise *s) {
  count_wait(L, -1);
  cp_context(L)->unattended = 0;
  if (s != NULL)
    s->held--;
}


int cp_close_pump (lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  lua_getiuservalue(L, 1, 1);
  end_pump(L, cp_promise_test(L, cp_context(L), lua_gettop(L)));
  return 0;
}


/* Let what ends the wait for what is at 1 be closed with the coroutine.
   [-0, +1, m] */
static void guard_pump (lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, CONTEXT, CTX_PUMP_MT);
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
}


/* Run the loop until s, at 1, has settled. Returns NULL, or pushes and returns
   why it has not. [-0, +(0|1), e] */
static const char *pump (lua_State *L, Promise *s) {
  int guard = L != cp_context(L)->main ? lua_gettop(L) + 1 : 0;
  int status;
  if (guard != 0)
    guard_pump(L);
  if (s != NULL) {
    if (s->state == STATE_PENDING)
      s->flags |= FLAG_HANDLED;
    else
      cp_promise_handle(L, s, 1);
    s->held++;
  }
  count_wait(L, 1);
  lua_getiuservalue(L, CONTEXT, CTX_PUMP);
  lua_pushvalue(L, 1);
  status = lua_pcall(L, 1, 1, 0);
  if (guard != 0)
    lua_closeslot(L, guard);
  else
    end_pump(L, s);
  if (status != LUA_OK)
    lua_error(L);
  if (lua_isstring(L, -1))
    return lua_tostring(L, -1);
  lua_pop(L, 1);
  if (s == NULL || s->state != STATE_PENDING)
    return NULL;
  return lua_pushliteral(L, "promise still pending, nothing left to do");
}


/* Wait for what is at 1 by running the loop. */
static int await_by_loop (lua_State *L, Context *ctx, int k) {
  Promise *s = as_source(L, ctx);
  const char *why;
  lua_settop(L, 1);
  why = pump(L, s);
  if (why != NULL)
    return cp_args_raise(L, why);
  return outcome(L, s != NULL ? k | WAIT_PROMISE : k);
}


/* In a coroutine of the user's own: a node resumes it. [-0, +0, m] */
static void link_node (lua_State *L, Context *ctx, Promise *s) {
  int idx = lua_gettop(L) + 1;
  Promise *node = cp_node_new(L, KIND_RESUME, NODE_SLOTS);
  lua_pushthread(L);
  lua_setiuservalue(L, idx, SLOT_VALUE);
  if (s != NULL) {
    cp_wait_sweep(L, s, 1); /* of coroutines that were closed */
    cp_promise_link(L, ctx, s, 1, idx);
  }
  else {
    cp_node_set(L, idx, SLOT_SOURCE, 1);
    cp_queue_push(L, ctx, node, idx);
  }
  cp_host_wake(L, ctx);
  lua_settop(L, idx - 1);
}


/* In a coroutine: wait for what is at 1 (the promise s, if it is one), then
   call the continuation, as lua_yieldk does. */
static int wait (
  lua_State *L, Context *ctx, Promise *s, int k, lua_KFunction continuation) {
  if (ctx->driven == L) {
    ctx->waiting = L;
    ctx->awaited = s;
  }
  else
    link_node(L, ctx, s);
  lua_settop(L, 1);
  if (cp_trace_save(L, ctx))
    k |= WAIT_TRACED;
  return lua_yieldk(L, 0, s != NULL ? k | WAIT_PROMISE : k, continuation);
}


/* Outside of async calls: if the coroutine, or the main thread, is in a scope,
   let what is awaited, at 1, go through that, which may interrupt it: see
   scope.lua. Returns WAIT_BLOCK, or 0. [-0, +0, e] */
static int enter_block (lua_State *L) {
  if (cp_context(L)->drive != NULL)
    return 0;
  lua_getiuservalue(L, CONTEXT, CTX_BLOCKS);
  lua_pushthread(L);
  if (lua_isnil(L, 2) || lua_rawget(L, 2) == LUA_TNIL) {
    lua_settop(L, 1);
    return 0;
  }
  lua_getfield(L, 3, "follow");
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 1);
  lua_replace(L, 1);
  lua_settop(L, 1);
  return WAIT_BLOCK;
}


/* The loop's hook has returned: true if it has waited. */
static int suspended (lua_State *L, int status, lua_KContext k) {
  int has_waited = lua_toboolean(L, -1);
  (void)status;
  lua_settop(L, 1);
  if (has_waited)
    return outcome(L, (int)k);
  return wait(L,
    cp_context(L),
    k & WAIT_PROMISE ? cp_node_at(L, 1) : NULL,
    (int)k,
    go_on);
}


/* In a coroutine that is no async call's: it may be one of the loop's own, which
   nobody else may resume. */
static int suspend (lua_State *L, Context *ctx, int k) {
  Promise *s = as_source(L, ctx);
  lua_settop(L, 1);
  if (s != NULL)
    k |= WAIT_PROMISE;
  lua_getiuservalue(L, CONTEXT, CTX_SUSPEND);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, k, suspended);
  return suspended(L, LUA_OK, k);
}


/* Whether there is a hook for that. */
static int has_scheduler (lua_State *L) {
  int has = lua_getiuservalue(L, CONTEXT, CTX_SUSPEND) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}


static int await (lua_State *L, int k) {
  Context *ctx = cp_context(L);
  lua_settop(L, 1);
  if (ctx->drive == NULL || ctx->driven != L || !lua_isyieldable(L)) {
    int is_main = lua_pushthread(L);
    const char *why = refusal(L, ctx, is_main);
    if (why != NULL)
      return cp_args_raise(L, why);
    lua_settop(L, 1);
    cp_args_refuse_module(L);
    k |= enter_block(L);
    if (is_main)
      return await_by_loop(L, ctx, k);
    if (has_scheduler(L))
      return suspend(L, ctx, k);
  }
  return wait(L, ctx, as_source(L, ctx), k, go_on);
}


int cp_await (lua_State *L) {
  return await(L, 0);
}


int cp_pawait (lua_State *L) {
  return await(L, WAIT_PROTECTED);
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


int cp_canAwait (lua_State *L) {
  int is_main = lua_pushthread(L);
  lua_pushboolean(L, refusal(L, cp_context(L), is_main) == NULL);
  return 1;
}


void cp_async_check (lua_State *L) {
  const Context *ctx = cp_context(L);
  const char *why;
  int is_main;
  if (ctx->driven == L && lua_isyieldable(L))
    return;
  is_main = lua_pushthread(L);
  why = refusal(L, ctx, is_main);
  lua_pop(L, 1);
  if (why != NULL)
    cp_args_raise(L, why);
}


int cp_unwrap (lua_State *L) {
  const Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  if (p->state == STATE_PENDING)
    cp_args_error(L, 1, "pending");
  if (p->state == STATE_REJECTED && !lua_isnoneornil(L, 2)) {
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, SLOT_VALUE);
    cp_trace_hand_on_after(L, 1, 2);
    return lua_error(L);
  }
  return outcome(L, WAIT_PROMISE);
}


int cp_awaitLoop (lua_State *L) {
  lua_settop(L, 1);
  return await_by_loop(L, cp_context(L), 0);
}


int cp_setScheduler (lua_State *L) {
  lua_settop(L, 2);
  lua_setiuservalue(L, CONTEXT, CTX_TAKE);
  lua_setiuservalue(L, CONTEXT, CTX_SUSPEND);
  return 0;
}


int cp_setBlocks (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_BLOCKS);
  return 0;
}


int cp_setPump (lua_State *L) {
  cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_PUMP);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** Coroutines of the user's own
** =================================================================
*/

/* Report the error on the top of a coroutine that we resumed, and close it. */
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


/* The job of a coroutine of the user's own whose promise has settled, or that was
   paused after that. */
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
    ctx->resumed = co;
  status = lua_resume(co, L, 0, &n);
  ctx->resumed = NULL;
  if (status == LUA_YIELD && is_paused(ctx, co, n)) {
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


/*
** {================================================================
** Promise.wrap: a generator's 'await' yields to its consumer's call, which
** waits in its place
** =================================================================
*/

#define GENERATOR lua_upvalueindex(3)
#define IS_WAITING lua_upvalueindex(4) /* whether it awaits something */

static int wrap_go_on (lua_State *L, int status, lua_KContext k);
static int wrap_suspended (lua_State *L, int status, lua_KContext k);
static int wrap_unpause (lua_State *L, int status, lua_KContext k);
static int resume_generator (lua_State *L, lua_State *co, int n);


static void set_waiting (lua_State *L, int waiting) {
  lua_pushboolean(L, waiting);
  lua_replace(L, IS_WAITING);
}


/* The request to end that is at 1, a rejected promise, is for whoever waits for
   the generator: the 'await' in that raises it, 'pawait' too. */
static void interrupt_generator (lua_State *L, lua_State *co) {
  lua_pushvalue(L, 1);
  cp_wait_set_awaited(L, co);
  cp_context(L)->cancelled = 1;
}


/* The loop's hook for what the generator awaits, at 1, has come to an end.
   Returns how many values the generator is resumed with, 1 for why it must
   raise; -1 if the hook has not waited. */
static int take_suspended (lua_State *L, int status, int k) {
  lua_State *co = lua_tothread(L, GENERATOR);
  int has_waited = lua_toboolean(L, -1);
  if (status != LUA_OK && status != LUA_YIELD) {
    set_waiting(L, 0);
    if (!lua_isstring(L, -1))
      return lua_error(L);
    lua_xmove(L, co, 1);
    cp_context(L)->refused = 1;
    return 1;
  }
  lua_settop(L, 1);
  if (!has_waited)
    return -1;
  set_waiting(L, 0);
  if (k & WAIT_BLOCK && is_interrupted(L))
    interrupt_generator(L, co);
  return 0;
}


/* In a coroutine that may be the loop's own: let its hook wait for what the
   generator awaits, at 1. If that yields, wrap_suspended goes on. */
static int suspend_generator (lua_State *L, int k) {
  int status;
  lua_getiuservalue(L, CONTEXT, CTX_SUSPEND);
  lua_pushvalue(L, 1);
  status = lua_pcallk(L, 1, 1, 0, k, wrap_suspended);
  return take_suspended(L, status, k);
}


/* The generator awaits something: wait for that here, where it was called, in
   the scope that this is in. In a coroutine that yields, and goes on in
   wrap_go_on. Returns how many values the generator is resumed with: 1 for why
   it must raise, where it awaits. */
static int wait_for_generator (lua_State *L, Context *ctx, lua_State *co) {
  int is_main = lua_pushthread(L);
  const char *why = refusal(L, ctx, is_main);
  int k = 0;
  Promise *s;
  lua_settop(L, 0);
  cp_wait_push_awaited(L, co);
  if (why == NULL)
    k = enter_block(L);
  s = cp_promise_test(L, ctx, 1);
  if (why == NULL && is_main)
    why = pump(L, s);
  else if (why == NULL) {
    int n = -1;
    set_waiting(L, 1);
    if (ctx->driven != L && has_scheduler(L))
      n = suspend_generator(L, k);
    if (n < 0)
      wait(L, ctx, s, k, wrap_go_on);
    return n;
  }
  if (why == NULL) {
    if (k & WAIT_BLOCK && is_interrupted(L))
      interrupt_generator(L, co);
    return 0;
  }
  lua_pushstring(L, why);
  lua_xmove(L, co, 1);
  ctx->refused = 1;
  return 1;
}


/* A hook has made the generator yield: then its consumer yields, too, who goes on
   in wrap_unpause; or, where that can't yield, it goes on at once. */
static void pause_generator (lua_State *L, Context *ctx) {
  lua_settop(L, 0);
  if (!lua_isyieldable(L))
    return;
  set_waiting(L, 1);
  ctx->paused = L;
  lua_yieldk(L, 0, 0, wrap_unpause);
}


/* The generator has raised the error on its top, or could not be resumed. An
   error of a variable that it closes replaces that. */
static int generator_failed (lua_State *L, lua_State *co) {
  lua_xmove(co, L, 1);
  cp_trace_keep(L, co);
  if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) {
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* back, where closing looks for it */
    reset_coroutine(co, L);
    lua_xmove(co, L, 1);
    lua_settop(co, 0);
  }
  return lua_error(L);
}


/* Resume the generator with the n values on its top, and return what it
   yields or returns. */
static int resume_generator (lua_State *L, lua_State *co, int n) {
  Context *ctx = cp_context(L);
  lua_State *outer = ctx->driven;
  int status;
  for (;;) {
    ctx->driven = co;
    status = lua_resume(co, L, n, &n);
    ctx->driven = outer;
    ctx->resumed = NULL; /* also if it was closed: nobody took this */
    ctx->refused = 0;
    ctx->cancelled = 0;
    if (status == LUA_YIELD && ctx->waiting == co) {
      ctx->waiting = NULL;
      n = wait_for_generator(L, ctx, co);
      ctx->resumed = co;
    }
    else if (status == LUA_YIELD && is_paused(ctx, co, n)) {
      pause_generator(L, ctx);
      n = 0;
    }
    else
      break;
  }
  if (status != LUA_OK && status != LUA_YIELD)
    return generator_failed(L, co);
  luaL_checkstack(L, n, "too many values");
  lua_xmove(co, L, n);
  return n;
}


static int wrap_go_on (lua_State *L, int status, lua_KContext k) {
  Context *ctx = cp_context(L);
  lua_State *co = lua_tothread(L, GENERATOR);
  int n = ctx->refused;
  (void)status;
  if (ctx->resumed != L)
    return wait_on(L, k, wrap_go_on);
  if (k & WAIT_TRACED)
    cp_trace_restore(L, ctx, 2);
  set_waiting(L, 0);
  lua_xmove(L, co, n); /* why it must raise: see wait_for_generator */
  if (ctx->cancelled || (k & WAIT_BLOCK && is_interrupted(L)))
    interrupt_generator(L, co);
  ctx->resumed = co;
  return resume_generator(L, co, n);
}


static int wrap_suspended (lua_State *L, int status, lua_KContext k) {
  Context *ctx = cp_context(L);
  int n = take_suspended(L, status, (int)k);
  if (n < 0)
    return wait(L, ctx, cp_promise_test(L, ctx, 1), (int)k, wrap_go_on);
  ctx->resumed = lua_tothread(L, GENERATOR);
  return resume_generator(L, ctx->resumed, n);
}


/* Whoever resumes the consumer, or the library in a later job, resumes the
   generator. */
static int wrap_unpause (lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  cp_context(L)->paused = NULL;
  lua_settop(L, 0);
  set_waiting(L, 0);
  return resume_generator(L, lua_tothread(L, GENERATOR), 0);
}


#define GENERATOR_FUNCTION lua_upvalueindex(2)


/* The body of a generator. As in an async call, errors unwind here, while it
   can still await. */
static int generator_body (lua_State *L) {
  int n = lua_gettop(L);
  cp_trace_push_handler(L);
  lua_pushvalue(L, GENERATOR_FUNCTION);
  lua_rotate(L, 1, 2);
  return body_end(L, lua_pcallk(L, n, LUA_MULTRET, 1, 0, body_end), 0);
}


int cp_call_generator (lua_State *L) {
  lua_State *co = lua_tothread(L, GENERATOR);
  int n = lua_gettop(L);
  if (lua_toboolean(L, IS_WAITING))
    return luaL_error(L, "cannot resume a generator that awaits");
  if (!lua_checkstack(co, n))
    return luaL_error(L, "too many arguments");
  lua_xmove(L, co, n);
  return resume_generator(L, co, n);
}


int cp_wrap (lua_State *L) {
  lua_State *co;
  cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  co = lua_newthread(L);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, generator_body, 2);
  lua_xmove(L, co, 1);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, PROMISE_MT);
  lua_pushvalue(L, 2);
  lua_pushboolean(L, 0);
  lua_pushcclosure(L, cp_call_generator, 4);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, CONTEXT, CTX_CLOSER_MT);
  lua_setmetatable(L, -2);
  return 4;
}


/* The loop has been left. A generator that runs, since it leaves the loop of
   its own consumer, closes by itself. */
int cp_close_generator (lua_State *L) {
  lua_State *co;
  lua_Debug ar;
  luaL_checktype(L, 1, LUA_TUSERDATA);
  lua_getiuservalue(L, 1, 1);
  co = lua_tothread(L, -1);
  if (co == NULL || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)))
    return 0;
  if (reset_coroutine(co, L) == LUA_OK) {
    lua_settop(co, 0);
    return 0;
  }
  lua_xmove(co, L, 1);
  return lua_error(L);
}

/* }================================================================ */
