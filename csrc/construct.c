/*
** construct.c
** See construct.h.
*/

#include "construct.h"

#include "args.h"
#include "cancel.h"
#include "debug.h"
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
  cp_debug_made(L, ctx, idx);
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
  int type = lua_type(L, 1);
  if (type == LUA_TUSERDATA && cp_promise_test(L, cp_context(L), 1) != NULL) {
    lua_settop(L, 1);
    return 1;
  }
  if (type == LUA_TTABLE)
    cp_args_refuse_module(L);
  n = lua_gettop(L);
  p = cp_promise_new(L, KIND_PLAIN);
  if (n == 1)
    lua_pushvalue(L, 1);
  else
    lua_insert(L, 1);
  idx = lua_gettop(L) - n;
  cp_host_finish(L, cp_resolve(L, p, idx, n), p, idx);
  if (p->state == STATE_PENDING)
    cp_debug_made(L, cp_context(L), idx);
  return 1;
}


int cp_Promise_fulfill (lua_State *L) {
  int n = lua_gettop(L);
  Promise *p;
  cp_args_refuse_module(L);
  p = cp_promise_new(L, KIND_PLAIN);
  lua_insert(L, 1);
  cp_host_finish(L, cp_fulfill(L, p, 1, n), p, 1);
  return 1;
}


int cp_Promise_reject (lua_State *L) {
  Promise *p;
  cp_args_refuse_module(L);
  lua_settop(L, 1);
  p = cp_promise_new(L, KIND_PLAIN);
  cp_debug_made(L, cp_context(L), 2);
  lua_insert(L, 1);
  cp_promise_settle(L, p, 1, STATE_REJECTED);
  cp_host_finish(L, SETTLED, p, 1);
  return 1;
}


int cp_withResolvers (lua_State *L) {
  lua_settop(L, 0);
  cp_promise_new(L, KIND_PLAIN);
  cp_debug_made(L, cp_context(L), 1);
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
  cp_debug_made(L, ctx, lua_gettop(L));
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
  if (lua_gettop(L) > 1)
    cp_args_refuse_module(L);
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
  lua_settop(L, 1);
  lua_pushfstring(
    L, "promise: %p (%s)", (const void *)p, state_names[p->state]);
  if (cp_context(L)->debug) {
    cp_debug_push_origin(L, 1);
    cp_trace_push_first(L, 3);
    if (lua_isstring(L, 4))
      lua_pushfstring(
        L, "%s, made at %s", lua_tostring(L, 2), lua_tostring(L, 4));
    else
      lua_settop(L, 2);
  }
  return 1;
}


/* Not even a method: mostly a forgotten 'await', or a
   function of the module. */
int cp_no_field (lua_State *L) {
  const char *field = luaL_tolstring(L, 2, NULL);
  if (cp_args_has_function(L, field))
    return cp_args_raise(L,
      lua_pushfstring(L,
        "a promise has no field '%s': await it first, or is it "
        "Promise.%s(p)?",
        field,
        field));
  return cp_args_raise(L,
    lua_pushfstring(L, "a promise has no field '%s': await it first", field));
}


int cp_no_assignment (lua_State *L) {
  return cp_args_raise(L, "a promise has no fields that can be set");
}
