/*
** clock.c
** See clock.h.
*/

#include "clock.h"

#include "args.h"
#include "cancel.h"
#include "debug.h"
#include "host.h"
#include "job.h"
#include "resolve.h"
#include "timers.h"
#include "wait.h"
#include "watch.h"

/* A loop that has lost its timer, because all its handles were closed, say,
   is that many seconds late before it gets another. */
#define LOST 1.0


/*
** {================================================================
** The timer of the loop
** =================================================================
*/

/* The later of two times. (A host need not have the library for 'fmax'.) */
static double latest (double a, double b) {
  return a > b ? a : b;
}


static int has_clock (lua_State *L) {
  int has = lua_getiuservalue(L, CONTEXT, CTX_CLOCK) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}


/* Push a function of the loop. [-0, +1, e] */
static void push_of_loop (lua_State *L, const char *name) {
  lua_getiuservalue(L, CONTEXT, CTX_CLOCK);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}


/* The time on the loop's clock, which never goes back. [-0, +0, e] */
static double now (lua_State *L, Context *ctx) {
  double time;
  int is_number;
  lua_getiuservalue(L, CONTEXT, CTX_NOW);
  lua_call(L, 0, 1);
  time = lua_tonumberx(L, -1, &is_number) + ctx->offset;
  lua_pop(L, 1);
  if (!is_number)
    luaL_error(L, "the loop's function 'now' returned no number");
  if (time > ctx->latest)
    ctx->latest = time;
  return ctx->latest;
}


/* Give back the timer of the loop. If that fails, it fires in vain.
   [-0, +0, e] */
static void disarm (lua_State *L, Context *ctx) {
  if (ctx->armed == UNARMED)
    return;
  ctx->armed = UNARMED;
  push_of_loop(L, "cancel");
  lua_getiuservalue(L, CONTEXT, CTX_ARMED);
  cp_node_clear(L, CONTEXT, CTX_ARMED);
  lua_call(L, 1, 0);
}


/* Push a number; whole ones as integers, as a program
   would have given them. */
static void push_seconds (lua_State *L, double seconds) {
  lua_Integer whole;
  int is_whole;
  lua_pushnumber(L, seconds);
  whole = lua_tointegerx(L, -1, &is_whole);
  if (is_whole) {
    lua_pop(L, 1);
    lua_pushinteger(L, whole);
  }
}


/* Arm the timer of the loop for that time, the old
   one in vain. [-0, +0, e] */
static void
arm (lua_State *L, Context *ctx, double due, double time, int armed) {
  int handle = lua_gettop(L) + 1;
  push_of_loop(L, "timer");
  push_seconds(L, due > time ? due - time : 0);
  lua_getiuservalue(L, CONTEXT, CTX_FIRE);
  lua_pushboolean(L, armed == ARMED_BACKGROUND);
  lua_call(L, 3, 1);
  disarm(L, ctx);
  ctx->armed = (unsigned char)armed;
  ctx->armed_for = due;
  cp_node_set(L, CONTEXT, CTX_ARMED, handle);
  lua_settop(L, handle - 1);
}


/* How it must be armed for one more (a delay or not),
   or for those that wait. */
static int wanted (const Context *ctx, int is_delay) {
  return is_delay || ctx->delays > 0 || ctx->main_waits > 0
           ? ARMED
           : ARMED_BACKGROUND;
}


static int is_armed (const Context *ctx, double due, int is_delay) {
  return ctx->armed >= wanted(ctx, is_delay) && ctx->armed_for <= due;
}


/* Arm the timer of the loop for the first that is due, which is not later
   than 'due'. The loop's code, or a finalizer, may start an earlier one
   meanwhile. [-0, +0, e] */
static void arm_first (
  lua_State *L, Context *ctx, double due, double time, int is_delay) {
  double first;
  do {
    if (cp_timers_first(L, ctx, &first) && first < due)
      due = first;
    arm(L, ctx, due, time, wanted(ctx, is_delay));
  } while (
    cp_timers_first(L, ctx, &first) && !is_armed(ctx, first, is_delay));
}


/* See that the timer of the loop fires when the first is due, which is not
   later than 'due', and keeps the loop alive if need be. [-0, +0, e] */
static void
arm_for (lua_State *L, Context *ctx, double due, double time, int is_delay) {
  if (!is_armed(ctx, due, is_delay) || time >= ctx->armed_for + LOST)
    arm_first(L, ctx, due, time, is_delay);
}


/* If it raises, the next drain tries again. */
int cp_clock_sync (lua_State *L) {
  Context *ctx = cp_context(L);
  double due;
  ctx->unsynced = 1;
  if (has_clock(L)) {
    if (!cp_timers_first(L, ctx, &due))
      disarm(L, ctx);
    else if (ctx->armed != wanted(ctx, 0))
      arm_first(L, ctx, due, now(L, ctx), 0);
    else
      cp_assert(ctx->armed_for <= due);
  }
  ctx->unsynced = 0;
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** What falls due
** =================================================================
*/

/* The delay at 'idx' is over. [-0, +0, -] */
static void end_delay (lua_State *L, Promise *p, int idx) {
  int n = cp_promise_values(L, p, idx);
  Outcome outcome = SETTLED;
  p->flags &= (unsigned short)~FLAGS_SHAPE;
  p->kind = KIND_PLAIN;
  p->flags |= FLAG_RESOLVED;
  cp_node_clear(L, idx, SLOT_SOURCE);
  if (n >= 0)
    outcome = cp_resolve(L, p, idx, n);
  else
    cp_promise_settle(L, p, idx, STATE_REJECTED);
  if (outcome == SETTLED)
    cp_promise_announce(L, p, idx);
}


/* (seconds, reason) -> what a timeout rejects with. [-2, +1, m] */
static void push_timeout (lua_State *L) {
  int seconds = lua_gettop(L) - 1;
  char text[64];
  double length = lua_tonumber(L, seconds);
  lua_createtable(L, 0, 3);
  lua_insert(L, seconds);
  /* stack: the timeout; seconds; reason */
  lua_setfield(L, seconds, "reason");
  if (length == 1)
    strcpy(text, "timed out after 1 second");
  else
    snprintf(text, sizeof(text), "timed out after %.14g seconds", length);
  lua_setfield(L, seconds, "seconds");
  lua_pushstring(L, text);
  lua_setfield(L, seconds, "message");
  lua_getiuservalue(L, CONTEXT, CTX_TIMEOUT_MT);
  lua_setmetatable(L, seconds);
}


/* (limit, seconds, reason): let it time out. */
int cp_clock_expire (lua_State *L) {
  push_timeout(L);
  return cp_expire(L);
}


/* Where memory lacks for that: it leaves what it waits for, and says so. */
static void expire_without_memory (lua_State *L, Promise *p, int idx) {
  Promise *source;
  int top = lua_gettop(L);
  if (p->state != STATE_PENDING ||
      (source = cp_wait_source(L, p, idx)) == NULL)
    return;
  cp_wait_leave(L, source, top + 2, top + 1);
  cp_promise_refuse(L, p, idx, CTX_NO_MEMORY);
  cp_promise_announce(L, p, idx);
  lua_settop(L, top);
}


/* The time of the timeout is up whose node is on the top. One whose source
   has settled takes its turn. [-0, +0, -] */
static void end_timeout (lua_State *L, double seconds) {
  int node = lua_gettop(L);
  int limit = node + 1;
  Promise *p;
  lua_getiuservalue(L, node, SLOT_VALUE);
  p = cp_node_at(L, limit);
  cp_node_clear(L, limit, SLOT_VALUE); /* the node */
  if (cp_wait_source(L, p, limit) == NULL)
    return;
  cp_assert(!(p->flags & FLAG_CANCELLED)); /* it has given up its timer */
  lua_settop(L, limit);
  lua_getiuservalue(L, CONTEXT, CTX_EXPIRE);
  lua_pushvalue(L, limit);
  push_seconds(L, seconds);
  lua_getiuservalue(L, node, SLOT_KEY);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
    expire_without_memory(L, p, limit);
}


/* The loop's timer has fired; it may be early. Those that fall due meanwhile
   have to wait till the loop has turned. */
/* So much less than due may be, since the clock, or ours, knows no finer
   steps: a loop that came a step too early would come so again. */
static double step_of (const Context *ctx, double time) {
  return (fabs(time) + fabs(time - ctx->offset)) * DBL_EPSILON;
}


/* The loop may be late, and others' timers were due before our timeouts: what
   these settle wins. So a timeout that is due after what the timer was armed
   for waits for the next turn of the loop; but for one only. */
int cp_clock_fire (lua_State *L) {
  Context *ctx = cp_context(L);
  double time, limit, seconds;
  Promise *p;
  ctx->armed = UNARMED;
  ctx->unsynced = 1;
  lua_settop(L, 0);
  cp_node_clear(L, CONTEXT, CTX_ARMED);
  if (!has_clock(L))
    return 0;
  time = now(L, ctx);
  time += step_of(ctx, time);
  limit = latest(ctx->armed_for, ctx->fired);
  if (limit > time)
    limit = time;
  ctx->fired = time;
  cp_job_drain(L, ctx); /* what waits came before */
  while ((p = cp_timers_take(L, ctx, time, limit, &seconds)) != NULL) {
    if (p->kind == KIND_TIMER)
      end_timeout(L, seconds);
    else
      end_delay(L, p, 1);
    if (ctx->watched) /* under the node of a timeout is that itself */
      cp_watch_tell(L, WATCH_TIMER, p->kind == KIND_TIMER ? 2 : 1, 0);
    lua_settop(L, 0);
    cp_job_drain(L, ctx);
  }
  cp_host_sync(L);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** The functions
** =================================================================
*/

static double check_seconds (lua_State *L, int arg) {
  double seconds;
  if (lua_type(L, arg) != LUA_TNUMBER)
    cp_args_type_error(L, arg, "number");
  seconds = lua_tonumber(L, arg);
  if (seconds != seconds)
    cp_args_error(L, arg, "not a number (NaN)");
  if (seconds < 0)
    cp_args_error(L, arg, "must not be negative");
  return seconds;
}


/* Have a clock, or raise that the function of that name needs one. */
static void need_clock (lua_State *L, const char *name) {
  if (has_clock(L))
    return;
  if (lua_getiuservalue(L, CONTEXT, CTX_LOAD) != LUA_TNIL) {
    lua_call(L, 0, 0);
    if (has_clock(L))
      return;
  }
  cp_args_raise(L,
    lua_pushfstring(L,
      "%s needs an event loop: install luv, or set one with Promise.setLoop",
      name));
}


/* Let the delay or node on the top fall due so much later. Making a list may
   run finalizers, and so cancel what the timer was armed for. [-1, +0, e]
   before any change */
static void wait_for (lua_State *L, Context *ctx, double seconds) {
  int is_delay = cp_node_at(L, -1)->kind != KIND_TIMER;
  double time = now(L, ctx);
  double due = time + seconds;
  unsigned int list;
  do {
    arm_for(L, ctx, due, time, is_delay);
    list = cp_timers_list(L, ctx, seconds);
  } while (!is_armed(ctx, due, is_delay));
  cp_timers_append(L, ctx, list, due);
}


int cp_delay (lua_State *L) {
  Context *ctx = cp_context(L);
  double seconds = check_seconds(L, 1);
  int n = lua_gettop(L) - 1;
  int idx;
  Promise *p;
  need_clock(L, "Promise.delay");
  lua_remove(L, 1);
  if (n > 1)
    cp_resolve_pack(L);
  idx = lua_gettop(L) + 1;
  p = cp_promise_new(L, KIND_DELAY);
  cp_debug_made(L, ctx, lua_gettop(L));
  if (n == 0)
    p->flags |= FLAG_EMPTY;
  else
    cp_node_set(L, idx, SLOT_VALUE, idx - 1);
  if (n > 1)
    p->flags |= FLAG_PACKED;
  lua_pushvalue(L, idx);
  wait_for(L, ctx, seconds);
  return 1;
}


int cp_timeout (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *p = cp_args_check_promise(L, ctx, 1);
  double seconds = check_seconds(L, 2);
  enum { REASON = 3, LIMIT, NODE };
  need_clock(L, "timeout");
  lua_settop(L, REASON);
  cp_promise_new(L, KIND_LIMIT);
  cp_debug_made(L, ctx, lua_gettop(L));
  if (p->state == STATE_PENDING) {
    cp_node_new(L, KIND_TIMER, SLOT_KEY);
    cp_node_set(L, NODE, SLOT_VALUE, LIMIT);
    cp_node_set(L, NODE, SLOT_KEY, REASON);
    cp_node_set(L, LIMIT, SLOT_VALUE, NODE);
    lua_pushvalue(L, NODE);
    wait_for(L, ctx, seconds);
  }
  cp_wait_link(L, ctx, p, 1, LIMIT);
  cp_host_wake(L, ctx);
  lua_settop(L, LIMIT);
  return 1;
}


int cp_isTimeout (lua_State *L) {
  lua_pushboolean(L, cp_args_is_tagged(L, 1, CTX_TIMEOUT_MT));
  return 1;
}


int cp_timeout_tostring (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  return cp_args_message(L);
}


/* The time on the clock that is given up, which may
   have failed. [-0, +0, -] */
static double last_time (lua_State *L, const Context *ctx) {
  double time = ctx->latest;
  if (ctx->timers == 0 || !has_clock(L))
    return time;
  lua_getiuservalue(L, CONTEXT, CTX_NOW);
  if (lua_pcall(L, 0, 1, 0) == LUA_OK && lua_isnumber(L, -1))
    time = latest(time, lua_tonumber(L, -1) + ctx->offset);
  lua_pop(L, 1);
  return time;
}


/* What waits keeps its distance in time, whatever the new clock shows. */
int cp_setClock (lua_State *L) {
  Context *ctx = cp_context(L);
  double time;
  lua_settop(L, 1);
  time = last_time(L, ctx);
  disarm(L, ctx);
  if (lua_istable(L, 1)) {
    lua_getfield(L, 1, "now");
    lua_setiuservalue(L, CONTEXT, CTX_NOW);
  }
  lua_setiuservalue(L, CONTEXT, CTX_CLOCK);
  ctx->offset = 0;
  if (has_clock(L)) {
    ctx->latest = -HUGE_VAL;
    if (ctx->timers > 0)
      ctx->offset = time - now(L, ctx);
    ctx->latest = -HUGE_VAL;
  }
  cp_host_sync(L);
  return 0;
}


int cp_now (lua_State *L) {
  need_clock(L, "Promise.interval");
  lua_pushnumber(L, now(L, cp_context(L)));
  return 1;
}


int cp_setLoader (lua_State *L) {
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_LOAD);
  return 0;
}


int cp_waiting (lua_State *L) {
  const Context *ctx = cp_context(L);
  lua_pushinteger(L, (lua_Integer)ctx->delays);
  lua_pushinteger(L, (lua_Integer)(ctx->timers - ctx->delays));
  return 2;
}

/* }================================================================ */
