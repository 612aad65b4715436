/*
** construct.c
** See construct.h.
*/

#include "construct.h"

#include "args.h"
#include "cancel.h"
#include "host.h"
#include "resolve.h"
#include "trace.h"


/* How many of the functions 'resolve', 'reject', 'onCancel' the executor,
   argument 1, can receive; raises if it is none. */
static int count_resolvers (lua_State *L) {
  lua_Debug ar;
  if (!lua_isfunction(L, 1)) {
    cp_args_check_call(L, 1);
    return 3;
  }
  lua_pushvalue(L, 1);
  lua_getinfo(L, ">u", &ar);
  return ar.isvararg || ar.nparams > 3 ? 3 : ar.nparams;
}


/* The executor of p, at 'idx', has raised the error on the top. */
static void executor_failed (lua_State *L, Promise *p, int idx) {
  if (cp_promise_open(p)) {
    cp_trace_reject(L, p, idx);
    cp_promise_announce(L, p, idx);
  }
  else
    cp_trace_take(L, cp_context(L)); /* nobody wants to know */
  lua_settop(L, idx);
}


int cp_new (lua_State *L) {
  Context *ctx = cp_context(L);
  int n = count_resolvers(L);
  Promise *p;
  int idx, status;
  lua_pushvalue(L, HANDLER);
  p = cp_promise_new(L, KIND_PLAIN);
  idx = lua_gettop(L);
  lua_pushvalue(L, 1);
  if (n > 0)
    cp_push_resolving(L, idx, cp_resolve_function);
  if (n > 1)
    cp_push_resolving(L, idx, cp_reject_function);
  if (n > 2)
    cp_push_resolving(L, idx, cp_on_cancel_function);
  /* stack: executor; ...; handler; promise; executor; its arguments */
  cp_enter(L, ctx);
  status = lua_pcall(L, n, 0, idx - 1);
  cp_leave(L, ctx);
  if (status != LUA_OK)
    executor_failed(L, p, idx);
  cp_host_wake(L, ctx);
  return 1;
}


int cp_construct (lua_State *L) {
  if (lua_gettop(L) > 0)
    lua_remove(L, 1); /* the called table */
  return cp_new(L);
}


/* End a function by resolving p, which is at 1, with all values above. */
static int resolve_first (lua_State *L, Promise *p) {
  Outcome outcome = cp_resolve(L, p, 1, lua_gettop(L) - 1);
  cp_host_finish(L, outcome, p, 1);
  return 1;
}


int cp_Promise_resolve (lua_State *L) {
  Promise *p;
  int n, idx;
  if (lua_isuserdata(L, 1) && cp_promise_test(L, cp_context(L), 1) != NULL) {
    lua_settop(L, 1);
    return 1;
  }
  n = lua_gettop(L);
  p = cp_promise_new(L, KIND_PLAIN);
  if (n == 1)
    lua_pushvalue(L, 1);
  else
    lua_insert(L, 1);
  idx = lua_gettop(L) - n;
  cp_host_finish(L, cp_resolve(L, p, idx, n), p, idx);
  return 1;
}


int cp_Promise_fulfill (lua_State *L) {
  int n = lua_gettop(L);
  Promise *p = cp_promise_new(L, KIND_PLAIN);
  lua_insert(L, 1);
  cp_host_finish(L, cp_fulfill(L, p, 1, n), p, 1);
  return 1;
}


int cp_Promise_reject (lua_State *L) {
  Promise *p;
  lua_settop(L, 1);
  p = cp_promise_new(L, KIND_PLAIN);
  lua_insert(L, 1);
  cp_promise_settle(L, p, 1, STATE_REJECTED);
  cp_host_finish(L, SETTLED, p, 1);
  return 1;
}


int cp_withResolvers (lua_State *L) {
  lua_settop(L, 0);
  cp_promise_new(L, KIND_PLAIN);
  cp_push_resolving(L, 1, cp_resolve_function);
  cp_push_resolving(L, 1, cp_reject_function);
  cp_push_resolving(L, 1, cp_on_cancel_function);
  return 4;
}


int cp_try (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *p;
  int status;
  cp_args_check_callable(L, 1);
  p = cp_promise_new(L, KIND_PLAIN);
  lua_insert(L, 1);
  lua_pushvalue(L, HANDLER);
  lua_insert(L, 2);
  /* stack: promise; handler; function; its arguments */
  cp_enter(L, ctx);
  status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 2);
  cp_leave(L, ctx);
  if (status != LUA_OK) {
    cp_trace_reject(L, p, 1);
    cp_host_finish(L, SETTLED, p, 1);
    lua_settop(L, 1);
    return 1;
  }
  lua_remove(L, 2);
  return resolve_first(L, p);
}


int cp_is (lua_State *L) {
  lua_pushboolean(L, cp_promise_test(L, cp_context(L), 1) != NULL);
  return 1;
}


static const char *const state_names[] = {"pending", "fulfilled", "rejected"};


int cp_status (lua_State *L) {
  const Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  int n;
  lua_settop(L, 1);
  lua_pushstring(L, state_names[p->state]);
  if (p->state == STATE_PENDING)
    return 1;
  n = cp_promise_values(L, p, 1);
  return n >= 0 ? n + 1 : lua_error(L);
}


int cp_tostring (lua_State *L) {
  const Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  lua_pushfstring(
    L, "promise: %p (%s)", (const void *)p, state_names[p->state]);
  return 1;
}
