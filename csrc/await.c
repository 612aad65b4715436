/*
** await.c
** See await.h.
*/

#include "await.h"

#include "args.h"
#include "host.h"
#include "resolve.h"
#include "trace.h"
#include "wait.h"


const char *cp_await_refusal (lua_State *L, const Context *ctx, int is_main) {
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


int cp_await_is_interrupted (lua_State *L) {
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
  if (k & WAIT_BLOCK && cp_await_is_interrupted(L))
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


int cp_await_wait_on (
  lua_State *L, lua_KContext k, lua_KFunction continuation) {
  lua_settop(L, k & WAIT_TRACED ? 2 : 1);
  return lua_yieldk(L, 0, k, continuation);
}


/* In a coroutine: go on if it is our turn. */
static int go_on (lua_State *L, int status, lua_KContext k) {
  Context *ctx = cp_context(L);
  (void)status;
  if (ctx->hand.resumed != L)
    return cp_await_wait_on(L, k, go_on);
  ctx->hand.resumed = NULL;
  if (k & WAIT_TRACED)
    cp_trace_restore(L, ctx, 2);
  if (ctx->hand
        .cancelled) { /* the call itself was: 'pawait' raises that too */
    ctx->hand.cancelled = 0;
    k = (k | WAIT_PROMISE) & ~WAIT_PROTECTED;
  }
  if (ctx->hand.refused) {
    ctx->hand.refused = 0;
    return cp_args_raise(L, lua_tostring(L, -1));
  }
  return outcome(L, (int)k);
}


/* One more, or one less, pumps: then timeouts keep the loop alive, too.
   [-0, +0, -] */
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
  const char *has_ended;
  luaL_checktype(L, 1, LUA_TUSERDATA);
  has_ended = lua_touserdata(L, 1);
  lua_getiuservalue(L, 1, 1);
  if (!*has_ended)
    end_pump(L, cp_promise_test(L, cp_context(L), lua_gettop(L)));
  return 0;
}


/* Let what ends the wait for what is at 1 be closed with the coroutine: a
   userdata that knows whether that has ended. [-0, +1, m] */
static void guard_pump (lua_State *L) {
  char *has_ended = lua_newuserdatauv(L, 1, 1);
  *has_ended = 0;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, CONTEXT, CTX_PUMP_MT);
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
}


const char *cp_await_pump (lua_State *L, Promise *s) {
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
  end_pump(L, s);
  if (guard != 0) {
    *(char *)lua_touserdata(L, guard) = 1;
    lua_closeslot(L, guard); /* which needs memory to be called */
  }
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
  why = cp_await_pump(L, s);
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


int cp_await_wait (
  lua_State *L, Context *ctx, Promise *s, int k, lua_KFunction continuation) {
  if (ctx->driven == L) {
    ctx->hand.waiting = L;
    ctx->hand.awaited = s;
  }
  else
    link_node(L, ctx, s);
  lua_settop(L, 1);
  if (cp_trace_save(L, ctx))
    k |= WAIT_TRACED;
  return lua_yieldk(L, 0, s != NULL ? k | WAIT_PROMISE : k, continuation);
}


int cp_await_enter_block (lua_State *L) {
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
  return cp_await_wait(L,
    cp_context(L),
    k & WAIT_PROMISE ? cp_node_at(L, 1) : NULL,
    (int)k,
    go_on);
}


/* In a coroutine that is no async call's: it may be one of the loop's own,
   which nobody else may resume. */
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


int cp_await_has_scheduler (lua_State *L) {
  int has = lua_getiuservalue(L, CONTEXT, CTX_SUSPEND) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}


static int await (lua_State *L, int k) {
  Context *ctx = cp_context(L);
  lua_settop(L, 1);
  if (ctx->drive == NULL || ctx->driven != L || !lua_isyieldable(L)) {
    int is_main = lua_pushthread(L);
    const char *why = cp_await_refusal(L, ctx, is_main);
    if (why != NULL)
      return cp_args_raise(L, why);
    lua_settop(L, 1);
    cp_args_refuse_module(L);
    k |= cp_await_enter_block(L);
    if (is_main)
      return await_by_loop(L, ctx, k);
    if (cp_await_has_scheduler(L))
      return suspend(L, ctx, k);
  }
  return cp_await_wait(L, ctx, as_source(L, ctx), k, go_on);
}


int cp_await (lua_State *L) {
  return await(L, 0);
}


int cp_pawait (lua_State *L) {
  return await(L, WAIT_PROTECTED);
}


int cp_canAwait (lua_State *L) {
  int is_main = lua_pushthread(L);
  lua_pushboolean(L, cp_await_refusal(L, cp_context(L), is_main) == NULL);
  return 1;
}


void cp_await_check (lua_State *L) {
  const Context *ctx = cp_context(L);
  const char *why;
  int is_main;
  if (ctx->driven == L && lua_isyieldable(L))
    return;
  is_main = lua_pushthread(L);
  why = cp_await_refusal(L, ctx, is_main);
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
