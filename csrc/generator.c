/*
** generator.c
** See generator.h.
*/

#include "generator.h"

#include "args.h"
#include "async.h"
#include "await.h"
#include "trace.h"
#include "wait.h"


#define GENERATOR lua_upvalueindex(3)
#define IS_WAITING lua_upvalueindex(4) /* whether it awaits something */

static int go_on (lua_State *L, int status, lua_KContext k);
static int has_suspended (lua_State *L, int status, lua_KContext k);
static int unpause (lua_State *L, int status, lua_KContext k);
static int resume_generator (lua_State *L, lua_State *co, int n);


static void set_waiting (lua_State *L, int waiting) {
  lua_pushboolean(L, waiting);
  lua_replace(L, IS_WAITING);
}


/* The request to end that is at 1, a rejected promise, is for whoever waits
   for the generator: the 'await' in that raises it, 'pawait' too; unless
   somebody has closed it meanwhile. */
static void interrupt_generator (lua_State *L, lua_State *co) {
  if (cp_wait_is_over(co))
    return;
  lua_pushvalue(L, 1);
  cp_wait_set_awaited(L, co);
  cp_context(L)->hand.cancelled = 1;
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
    cp_context(L)->hand.refused = 1;
    return 1;
  }
  lua_settop(L, 1);
  if (!has_waited)
    return -1;
  set_waiting(L, 0);
  if (k & WAIT_BLOCK && cp_await_is_interrupted(L))
    interrupt_generator(L, co);
  return 0;
}


/* In a coroutine that may be the loop's own: let its hook wait for what the
   generator awaits, at 1. If that yields, has_suspended goes on. */
static int suspend_generator (lua_State *L, int k) {
  int status;
  lua_getiuservalue(L, CONTEXT, CTX_SUSPEND);
  lua_pushvalue(L, 1);
  status = lua_pcallk(L, 1, 1, 0, k, has_suspended);
  return take_suspended(L, status, k);
}


/* The generator awaits something: wait for that here, where it was called, in
   the scope that this is in. In a coroutine that yields, and goes on in
   go_on. Returns how many values the generator is resumed with: 1 for why
   it must raise, where it awaits. */
static int wait_for_generator (lua_State *L, Context *ctx, lua_State *co) {
  int is_main = lua_pushthread(L);
  const char *why = cp_await_refusal(L, ctx, is_main);
  int k = 0;
  Promise *s;
  lua_settop(L, 0);
  cp_wait_push_awaited(L, co);
  if (why == NULL)
    k = cp_await_enter_block(L);
  s = cp_promise_test(L, ctx, 1);
  if (why == NULL && is_main)
    why = cp_await_pump(L, s);
  else if (why == NULL) {
    int n = -1;
    set_waiting(L, 1);
    if (ctx->driven != L && cp_await_has_scheduler(L))
      n = suspend_generator(L, k);
    if (n < 0)
      cp_await_wait(L, ctx, s, k, go_on);
    return n;
  }
  if (why == NULL) {
    if (k & WAIT_BLOCK && cp_await_is_interrupted(L))
      interrupt_generator(L, co);
    return 0;
  }
  lua_pushstring(L, why);
  lua_xmove(L, co, 1);
  ctx->hand.refused = 1;
  return 1;
}


/* A hook has made the generator yield: then its consumer yields, too, who
   goes on in unpause; or, where that can't yield, it goes on at once. */
static void pause_generator (lua_State *L, Context *ctx) {
  lua_settop(L, 0);
  if (!lua_isyieldable(L))
    return;
  set_waiting(L, 1);
  ctx->hand.paused = L;
  lua_yieldk(L, 0, 0, unpause);
}


/* The generator has raised the error on its top, or could not be resumed. An
   error of a variable that it closes replaces that. */
static int generator_failed (lua_State *L, lua_State *co) {
  lua_xmove(co, L, 1);
  cp_trace_keep(L, co);
  if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) {
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* back, where closing looks for it */
    cp_async_reset(co, L);
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
    ctx->hand.paused = NULL;
    status = lua_resume(co, L, n, &n);
    ctx->driven = outer;
    ctx->hand.resumed = NULL; /* also if it was closed: nobody took this */
    ctx->hand.refused = 0;
    ctx->hand.cancelled = 0;
    if (status == LUA_YIELD && ctx->hand.waiting == co) {
      ctx->hand.waiting = NULL;
      n = wait_for_generator(L, ctx, co);
      ctx->hand.resumed = co;
    }
    else if (status == LUA_YIELD && cp_async_is_paused(ctx, co, n)) {
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


static int go_on (lua_State *L, int status, lua_KContext k) {
  Context *ctx = cp_context(L);
  lua_State *co = lua_tothread(L, GENERATOR);
  int n = ctx->hand.refused;
  (void)status;
  if (ctx->hand.resumed != L)
    return cp_await_wait_on(L, k, go_on);
  if (k & WAIT_TRACED)
    cp_trace_restore(L, ctx, 2);
  set_waiting(L, 0);
  lua_xmove(L, co, n); /* why it must raise: see wait_for_generator */
  if (ctx->hand.cancelled || (k & WAIT_BLOCK && cp_await_is_interrupted(L)))
    interrupt_generator(L, co);
  ctx->hand.resumed = co;
  return resume_generator(L, co, n);
}


static int has_suspended (lua_State *L, int status, lua_KContext k) {
  Context *ctx = cp_context(L);
  int n = take_suspended(L, status, (int)k);
  if (n < 0)
    return cp_await_wait(L, ctx, cp_promise_test(L, ctx, 1), (int)k, go_on);
  ctx->hand.resumed = lua_tothread(L, GENERATOR);
  return resume_generator(L, ctx->hand.resumed, n);
}


/* Whoever resumes the consumer, or the library in a later job, resumes the
   generator. */
static int unpause (lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
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
  return cp_async_body_end(
    L, lua_pcallk(L, n, LUA_MULTRET, 1, 0, cp_async_body_end), 0);
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
  if (cp_async_reset(co, L) == LUA_OK) {
    lua_settop(co, 0);
    return 0;
  }
  lua_xmove(co, L, 1);
  return lua_error(L);
}
