/*
** job.c
** See job.h.
**
** An entry of the queue that has settled is a batch: all its reactions run,
** in order. One that is pending is a job by itself, by its kind. Nothing here
** raises, and whatever a job's code does, the rest of the queue is where it
** was: an object is taken out of its list before its code runs.
*/

#include "job.h"

#include "args.h"
#include "await.h"
#include "debug.h"
#include "host.h"
#include "line.h"
#include "resolve.h"
#include "trace.h"
#include "wait.h"
#include "watch.h"


/* Make s, at AT_SOURCE, the batch. */
static void start_batch (lua_State *L, Context *ctx, Promise *s) {
  lua_settop(L, AT_SOURCE);
  ctx->source = s;
  ctx->batch = ctx->batch_size = cp_ring_take(L, s, AT_SOURCE);
}


/* Keep what is left of the batch for the next drain. */
static void suspend_batch (lua_State *L) {
  lua_settop(L, AT_NODE); /* the next reaction */
  lua_setiuservalue(L, CONTEXT, CTX_REST);
  lua_setiuservalue(L, CONTEXT, CTX_REST_SOURCE);
}


/* The same, in case that the reaction before the one on the top doesn't
   return: see 'guard'. */
static void keep_batch (lua_State *L) {
  cp_node_set(L, CONTEXT, CTX_REST, AT_NEXT);
  cp_node_set(L, CONTEXT, CTX_REST_SOURCE, AT_SOURCE);
}


static void resume_batch (lua_State *L) {
  lua_getiuservalue(L, CONTEXT, CTX_REST_SOURCE);
  lua_getiuservalue(L, CONTEXT, CTX_REST);
  cp_node_clear(L, CONTEXT, CTX_REST);
  cp_node_clear(L, CONTEXT, CTX_REST_SOURCE);
}


/* Run the job of the node, at AT_NODE, which is in no list. Returns whether
   its promise has become the batch. */
static int run (lua_State *L, Context *ctx, Promise *node) {
  cp_assert(node->state == STATE_PENDING);
  if (ctx->guarded)
    cp_node_set(L, CONTEXT, CTX_RUNNING, AT_NODE);
  if (node->kind < KIND_START) /* a call keeps something else there */
    cp_node_clear(L, AT_NODE, SLOT_SOURCE);
  cp_trace_clear(L, ctx);
  ctx->left--;
  if (ctx->debug)
    cp_debug_enter(L, AT_NODE);
  if (cp_watch_run(L, ctx, node, ctx->source) == LEFT)
    return 0;
  if (node->waiters > 0 && cp_queue_is_next(ctx)) {
    lua_copy(L, AT_NODE, AT_SOURCE);
    start_batch(L, ctx, node);
    return 1;
  }
  cp_promise_announce(L, node, AT_NODE);
  return 0;
}


/* Run a reaction of the batch that takes the promise that it has been given
   for its SOURCE in place of the batch's. */
static int run_diverted (lua_State *L, Context *ctx, Promise *node) {
  const Promise *source = ctx->source;
  int is_batch;
  cp_node_set(L, CONTEXT, CTX_BATCH, AT_SOURCE);
  lua_getiuservalue(L, AT_NODE, SLOT_SOURCE);
  lua_replace(L, AT_SOURCE);
  ctx->source = cp_node_at(L, AT_SOURCE);
  is_batch = run(L, ctx, node);
  if (!is_batch) {
    lua_getiuservalue(L, CONTEXT, CTX_BATCH);
    lua_replace(L, AT_SOURCE);
    ctx->source = source;
  }
  cp_node_clear(L, CONTEXT, CTX_BATCH);
  return is_batch;
}


/* Run the first reaction of the batch. */
static void run_reaction (lua_State *L, Context *ctx) {
  Promise *node = cp_node_at(L, AT_NODE);
  int is_batch = 0;
  if (--ctx->batch > 0) {
    lua_getiuservalue(L, AT_NODE, SLOT_LINK);
    cp_node_clear(L, AT_NODE, SLOT_LINK);
    if (ctx->guarded)
      keep_batch(L);
  }
  else
    lua_pushnil(L);
  if (node->state != STATE_PENDING) {
    ctx->batch_size--; /* it has left: whoever waits for it knows */
  }
  else if (node->flags & FLAG_DIVERTED)
    is_batch = run_diverted(L, ctx, node);
  else
    is_batch = run(L, ctx, node);
  if (!is_batch && ctx->batch > 0) {
    if (lua_gettop(L) > AT_NEXT) /* handlers leave nothing */
      lua_settop(L, AT_NEXT);
    lua_replace(L, AT_NODE);
  }
}


/* Take the first entry of the queue, and run it if it is a job. */
static void run_entry (lua_State *L, Context *ctx) {
  Promise *p;
  lua_settop(L, AT_HANDLER);
  p = cp_queue_pop(L, &ctx->jobs);
  if (p->state != STATE_PENDING) {
    if (p->waiters > 0) /* if not, it is a job that has left */
      start_batch(L, ctx, p);
    return;
  }
  lua_getiuservalue(L, AT_SOURCE, SLOT_SOURCE);
  lua_insert(L, AT_SOURCE);
  ctx->source = lua_touserdata(L, AT_SOURCE);
  ctx->batch_size = 1;
  lua_pushnil(L);
  run(L, ctx, p);
}


/* Run at most 'max' jobs; return how many ran. */
static lua_Integer run_jobs (lua_State *L, Context *ctx, lua_Integer max) {
  ctx->left = max;
  if (ctx->batch > 0)
    resume_batch(L);
  while (ctx->left > 0) {
    if (ctx->batch > 0)
      run_reaction(L, ctx);
    else if (ctx->jobs.n > 0)
      run_entry(L, ctx);
    else if (ctx->offers > 0) {
      lua_settop(L, AT_HANDLER);
      cp_line_serve(L, ctx);
    }
    else
      break;
  }
  if (ctx->batch > 0)
    suspend_batch(L);
  lua_settop(L, AT_HANDLER);
  return max - ctx->left;
}


static int has_jobs (const Context *ctx) {
  return ctx->jobs.n > 0 || ctx->batch > 0 || ctx->offers > 0;
}


static lua_Integer check_max (lua_State *L) {
  int is_integer;
  lua_Integer max;
  if (lua_isnoneornil(L, 1))
    return LUA_MAXINTEGER;
  max = lua_tointegerx(L, 1, &is_integer);
  if (!is_integer || lua_type(L, 1) != LUA_TNUMBER)
    cp_args_type_error(L, 1, "integer");
  if (max < 0)
    cp_args_error(L, 1, "must not be negative");
  return max;
}


/*
** A job may close the coroutine that the drain runs on: then nothing here
** goes on.  So there a value is to be closed, CTX_GUARD, and what it needs is
** kept in the context: the job that runs, and the rest of the batch.  The
** main thread can't be closed, and pays nothing.
*/
static void guard (lua_State *L, Context *ctx) {
  if (L == ctx->main) {
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, CONTEXT, CTX_GUARD);
  lua_toclose(L, AT_GUARD);
  ctx->guarded = 1;
}


/* Forget what was kept for that. [-0, +0, -] */
static void forget (lua_State *L, Context *ctx) {
  ctx->guarded = 0;
  cp_node_clear(L, CONTEXT, CTX_RUNNING);
  if (ctx->batch == 0) {
    cp_node_clear(L, CONTEXT, CTX_REST);
    cp_node_clear(L, CONTEXT, CTX_REST_SOURCE);
  }
}


/* Run at most 'max' jobs, and report what is left over; return how many ran.
   What belongs to the code around this call is put aside meanwhile. */
static lua_Integer drain (lua_State *L, Context *ctx, lua_Integer max) {
  lua_Integer n = 0;
  lua_settop(L, 0);
  guard(L, ctx);
  if (!cp_trace_save(L, ctx))
    lua_pushnil(L);
  lua_pushvalue(L, HANDLER);
  if (ctx->driven == NULL)
    ctx->depth = 0; /* one that started may have been closed */
  ctx->outer_driven = ctx->driven;
  ctx->outer_drive = ctx->drive;
  ctx->driven = NULL;
  ctx->drive = NULL;
  do {
    n += run_jobs(L, ctx, max - n);
    if (!has_jobs(ctx))
      cp_host_report_rejections(L);
  } while (has_jobs(ctx) && n < max);
  ctx->driven = ctx->outer_driven;
  ctx->drive = ctx->outer_drive;
  if (ctx->debug)
    cp_debug_enter(L, 0);
  cp_trace_restore(L, ctx, AT_SAVED);
  return n;
}


/* No job runs any more: tell the loop what is left. */
static void end_drain (lua_State *L, Context *ctx) {
  ctx->draining = 0;
  ctx->woken = 0;
  ctx->edge = (unsigned char)has_jobs(ctx);
  cp_host_settle_timer(L, ctx);
  cp_host_wake(L, ctx);
}


/* The job of p, at 1, has closed the coroutine that it ran on, as if by an
   error. One that waits again, or is no promise's, needs nothing.
   [-0, +0, -] */
static void end_closed_job (lua_State *L, Promise *p) {
  int is_job =
    p->kind == KIND_MICROTASK || cp_promise_test(L, cp_context(L), 1) != NULL;
  if (!is_job || p->state != STATE_PENDING || p->flags & FLAG_LISTED ||
      cp_wait_source(L, p, 1) != NULL)
    return;
  p->flags &= (unsigned short)~FLAGS_SHAPE;
  cp_node_clear(L, 1, SLOT_SOURCE);
  cp_promise_refuse(L, p, 1, CTX_CLOSED);
  cp_promise_announce(L, p, 1);
}


int cp_job_close_drain (lua_State *L) {
  Context *ctx = cp_context(L);
  if (!ctx->guarded) /* the drain has ended */
    return 0;
  ctx->driven = ctx->outer_driven;
  ctx->drive = ctx->outer_drive;
  cp_trace_clear(L, ctx);
  lua_settop(L, 0);
  if (lua_getiuservalue(L, CONTEXT, CTX_RUNNING) != LUA_TNIL)
    end_closed_job(L, cp_node_at(L, 1));
  forget(L, ctx);
  if (ctx->batch > 0) {
    lua_getiuservalue(L, CONTEXT, CTX_REST_SOURCE);
    ctx->source = cp_node_at(L, -1);
  }
  end_drain(L, ctx);
  return 0;
}


/* The same, unless it happens already, and tell the loop what is left. */
static lua_Integer drain_once (lua_State *L, Context *ctx, lua_Integer max) {
  lua_Integer n = 0;
  if (ctx->draining)
    return 0;
  ctx->draining = 1;
  ctx->woken = 1;
  n = drain(L, ctx, max);
  if (ctx->guarded)
    forget(L, ctx);
  end_drain(L, ctx);
  if (lua_isuserdata(L, AT_GUARD))
    lua_closeslot(L, AT_GUARD); /* last: it needs memory to be called */
  return n;
}


int cp_drain (lua_State *L) {
  lua_pushinteger(L, drain_once(L, cp_context(L), check_max(L)));
  return 1;
}


void cp_job_drain (lua_State *L, Context *ctx) {
  if (has_jobs(ctx) || ctx->rejections.n > 0)
    drain_once(L, ctx, LUA_MAXINTEGER);
  lua_settop(L, 0);
}


int cp_queueMicrotask (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *node;
  int n = lua_gettop(L);
  cp_args_check_callable(L, 1);
  if (n > 1)
    cp_resolve_pack(L);
  node = cp_node_new(L, KIND_MICROTASK, NODE_SLOTS);
  if (n > 1)
    node->flags |= FLAG_PACKED;
  cp_node_set(L, 2, SLOT_VALUE, 1);
  cp_queue_push(L, ctx, node, 2);
  cp_host_wake(L, ctx);
  return 0;
}


/* An error makes the node a rejection that nobody can handle: so it will be
   reported when the drain ends. */
Outcome
cp_run_microtask (lua_State *L, Promise *node, const Promise *source) {
  int n = cp_promise_values(L, node, AT_NODE);
  (void)source;
  node->flags &= (unsigned short)~FLAGS_SHAPE;
  if (n > 0) {
    cp_node_clear(L, AT_NODE, SLOT_VALUE);
    if (lua_pcall(L, n - 1, 0, AT_HANDLER) == LUA_OK)
      return LEFT;
  }
  cp_trace_reject(L, node, AT_NODE);
  return SETTLED;
}


/* Push the object that follows the one on the top, in its place. */
static void to_next (lua_State *L) {
  lua_getiuservalue(L, -1, SLOT_LINK);
  lua_remove(L, -2);
}


/* Whether the rejected promise at 'idx' was cancelled. */
static int is_cancellation (lua_State *L, int idx) {
  int is;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  is = cp_args_is_tagged(L, lua_gettop(L), CTX_CANCELLATION_MT);
  lua_pop(L, 1);
  return is;
}


int cp_left (lua_State *L) {
  const Context *ctx = cp_context(L);
  lua_Integer jobs = (lua_Integer)(ctx->batch + ctx->offers);
  lua_Integer rejections = 0;
  const Promise *p;
  lua_settop(L, 0);
  lua_getiuservalue(L, CONTEXT, CTX_JOBS);
  for (; (p = lua_touserdata(L, 1)) != NULL; to_next(L))
    jobs += p->state == STATE_PENDING ? 1 : p->waiters;
  lua_getiuservalue(L, CONTEXT, CTX_REJECTIONS);
  for (; (p = lua_touserdata(L, 2)) != NULL; to_next(L))
    rejections += cp_queue_is_news(p) && !is_cancellation(L, 2);
  lua_pushinteger(L, jobs);
  lua_pushinteger(L, rejections);
  lua_pushinteger(L, (lua_Integer)ctx->delays);
  lua_pushinteger(L, (lua_Integer)ctx->suspended);
  lua_pushboolean(L, ctx->unattended);
  return 5;
}


int cp_idle (lua_State *L) {
  lua_pushboolean(L, !has_jobs(cp_context(L)));
  return 1;
}


/* Whether a function of the library has called what runs on this coroutine.
   (One that runs on another coroutine around this is not seen.) */
static int is_called_by_us (lua_State *L) {
  lua_Debug ar;
  int level;
  for (level = 1; lua_getstack(L, level, &ar); level++) {
    lua_CFunction f;
    lua_getinfo(L, "f", &ar);
    f = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (f != NULL && f != cp_awaitLoop && cp_args_is_own(f))
      return 1;
  }
  return 0;
}


int cp_inside (lua_State *L) {
  const Context *ctx = cp_context(L);
  lua_pushboolean(L,
    ctx->draining || ctx->driven != NULL || ctx->busy > 0 ||
      (L != ctx->main && is_called_by_us(L)));
  return 1;
}
