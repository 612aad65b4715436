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
#include "host.h"


/* A drain in progress. */
typedef struct Drain {
  Context *ctx;
  lua_Integer left; /* jobs that may still run */
  const Promise *source; /* what is at AT_SOURCE, if that is a promise */
  unsigned int batch; /* reactions of AT_SOURCE left, the first at AT_NODE */
} Drain;


/* Make s, at AT_SOURCE, the batch. */
static void start_batch (lua_State *L, Drain *d, Promise *s) {
  lua_settop(L, AT_SOURCE);
  d->source = s;
  d->batch = s->waiters > 0 ? cp_ring_take(L, s, AT_SOURCE) : 0;
}


/* Keep for the next drain what is left of the batch. */
static void suspend_batch (lua_State *L, Drain *d) {
  lua_settop(L, AT_NODE);
  lua_setiuservalue(L, CONTEXT, CTX_REST);
  lua_setiuservalue(L, CONTEXT, CTX_REST_SOURCE);
  d->ctx->rest = d->batch;
}


static void resume_batch (lua_State *L, Drain *d) {
  d->batch = d->ctx->rest;
  if (d->batch == 0)
    return;
  lua_getiuservalue(L, CONTEXT, CTX_REST_SOURCE);
  lua_getiuservalue(L, CONTEXT, CTX_REST);
  d->source = cp_node_at(L, AT_SOURCE);
  cp_node_clear(L, CONTEXT, CTX_REST);
  cp_node_clear(L, CONTEXT, CTX_REST_SOURCE);
  d->ctx->rest = 0;
}


/* Run the job of the object at AT_NODE, which is in no list. */
static void run (lua_State *L, Drain *d) {
  Promise *node = cp_node_at(L, AT_NODE);
  Context *ctx = d->ctx;
  cp_assert(node->state == STATE_PENDING);
  d->left--;
  cp_node_clear(L, AT_NODE, SLOT_SOURCE);
  if (cp_kinds[node->kind].run(L, node, d->source) == LEFT)
    return;
  if (d->batch == 0 && ctx->jobs.n == 0 && node->waiters > 0 && d->left > 0) {
    lua_copy(L, AT_NODE, AT_SOURCE); /* queued and taken out again at once */
    start_batch(L, d, node);
  }
  else
    cp_promise_announce(L, node, AT_NODE);
}


/* Run the first reaction of the batch. */
static void run_reaction (lua_State *L, Drain *d) {
  if (--d->batch > 0) {
    lua_getiuservalue(L, AT_NODE, SLOT_LINK);
    cp_node_clear(L, AT_NODE, SLOT_LINK);
  }
  else
    lua_pushnil(L);
  run(L, d);
  if (d->batch > 0 && lua_gettop(L) >= AT_NEXT) {
    lua_settop(L, AT_NEXT);
    lua_replace(L, AT_NODE);
  }
}


/* Take the first entry of the queue, and run it if it is a job. */
static void run_entry (lua_State *L, Drain *d) {
  Promise *p;
  lua_settop(L, 0);
  p = cp_queue_pop(L, &d->ctx->jobs);
  if (p->state != STATE_PENDING) {
    start_batch(L, d, p);
    return;
  }
  lua_getiuservalue(L, 1, SLOT_SOURCE);
  lua_insert(L, AT_SOURCE);
  d->source = lua_touserdata(L, AT_SOURCE);
  lua_pushnil(L);
  run(L, d);
}


/* Run at most 'max' jobs (negative: all); return how many ran. */
static lua_Integer run_jobs (lua_State *L, lua_Integer max) {
  Drain d;
  d.ctx = cp_context(L);
  d.left = max < 0 ? LUA_MAXINTEGER : max;
  max = d.left;
  resume_batch(L, &d);
  while (d.left > 0) {
    if (d.batch > 0)
      run_reaction(L, &d);
    else if (d.ctx->jobs.n > 0)
      run_entry(L, &d);
    else
      break;
  }
  if (d.batch > 0)
    suspend_batch(L, &d);
  lua_settop(L, 0);
  return max - d.left;
}


static int has_jobs (const Context *ctx) {
  return ctx->jobs.n > 0 || ctx->rest > 0;
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


int cp_drain (lua_State *L) {
  Context *ctx = cp_context(L);
  lua_Integer max = check_max(L);
  lua_Integer n = 0;
  lua_settop(L, 0);
  if (!ctx->draining) {
    ctx->draining = 1;
    ctx->woken = 1;
    do {
      n += run_jobs(L, max - n);
      if (!has_jobs(ctx))
        cp_host_report_rejections(L);
    } while (has_jobs(ctx) && n < max);
    ctx->draining = 0;
    ctx->woken = 0;
    ctx->edge = (unsigned char)has_jobs(ctx);
    cp_host_wake(L, ctx);
  }
  lua_pushinteger(L, n);
  return 1;
}


int cp_queueMicrotask (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *node;
  int n = lua_gettop(L);
  int i;
  cp_args_check_callable(L, 1);
  if (n > 1) {
    lua_createtable(L, n, 1);
    lua_insert(L, 1);
    lua_pushinteger(L, n);
    lua_rawseti(L, 1, 0);
    for (i = n; i >= 1; i--)
      lua_rawseti(L, 1, i);
  }
  node = cp_node_new(L, KIND_MICROTASK, NODE_SLOTS);
  if (n > 1)
    node->flags |= FLAG_PACKED;
  cp_node_set(L, 2, SLOT_VALUE, 1);
  cp_queue_push(L, &ctx->jobs, node, 2);
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
    if (lua_pcall(L, n - 1, 0, 0) == LUA_OK)
      return LEFT;
  }
  cp_promise_settle(L, node, AT_NODE, STATE_REJECTED);
  return SETTLED;
}


/* Push the object that follows the one on the top, in its place. */
static void to_next (lua_State *L) {
  lua_getiuservalue(L, -1, SLOT_LINK);
  lua_remove(L, -2);
}


int cp_left (lua_State *L) {
  const Context *ctx = cp_context(L);
  lua_Integer jobs = ctx->rest;
  lua_Integer rejections = 0;
  const Promise *p;
  lua_settop(L, 0);
  lua_getiuservalue(L, CONTEXT, CTX_JOBS);
  for (; (p = lua_touserdata(L, -1)) != NULL; to_next(L))
    jobs += p->state == STATE_PENDING ? 1 : p->waiters;
  lua_getiuservalue(L, CONTEXT, CTX_REJECTIONS);
  for (; (p = lua_touserdata(L, -1)) != NULL; to_next(L))
    rejections += !(p->flags & FLAG_HANDLED);
  lua_pushinteger(L, jobs);
  lua_pushinteger(L, rejections);
  return 2;
}


int cp_inJob (lua_State *L) {
  lua_pushboolean(L, cp_context(L)->draining);
  return 1;
}
