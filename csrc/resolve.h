/*
** resolve.h
** The resolution procedure (ECMA-262 27.2.1.3.2, Promise Resolve Functions)
** and the functions that a promise is resolved with.
*/

#ifndef CP_RESOLVE_H
#define CP_RESOLVE_H

#include "promise.h"

/* Only through cp_resolve. */
Outcome cp_resolve_slow (lua_State *L, Promise *p, int idx, int n);

/* Resolve p, at 'idx', an open promise or a reaction that has run, with the n
   values on the top: fulfil it, or lock it to follow the first of them. The
   caller announces it if it has settled. [-n, +0, -] */
static inline Outcome cp_resolve (lua_State *L, Promise *p, int idx, int n) {
  if (n == 1) { /* nearly always, and mostly no object */
    int type = lua_type(L, -1);
    if (type != LUA_TTABLE && type != LUA_TUSERDATA) {
      cp_promise_settle(L, p, idx, STATE_FULFILLED);
      return SETTLED;
    }
  }
  else if (n == 0) {
    p->flags |= FLAG_EMPTY;
    lua_pushnil(L);
    cp_promise_settle(L, p, idx, STATE_FULFILLED);
    return SETTLED;
  }
  return cp_resolve_slow(L, p, idx, n);
}

/* Resolve p, at 'idx', which was asked to end while its own code ran, and has
   the carrier in SOURCE, with the n values that this gave: it takes the
   cancellation in their place, or follows a promise that is asked then.
   It may run user code. [-n, +0, -] */
Outcome cp_resolve_asked (lua_State *L, Promise *p, int idx, int n);

/* Resolve p, at 'idx', with all values, or reject it with the reason, of the
   settled promise at 'source'. [-0, +0, -] */
Outcome cp_resolve_as (lua_State *L, Promise *p, int idx, int source);

/* Fulfil the pending p, at 'idx', with the n values on the top, whatever they
   are; or reject it if memory runs out. [-n, +0, -] */
Outcome cp_fulfill (lua_State *L, Promise *p, int idx, int n);

/* Replace all that is on the stack by one table, {[0] = how many, ...}: the
   VALUE of an object with FLAG_PACKED. [-n, +1, m] */
int cp_resolve_pack (lua_State *L);

/* What a value is to the resolution procedure. */
typedef enum Shape {
  SHAPE_VALUE, /* a value like any other */
  SHAPE_THENABLE, /* has a method 'next', which has been pushed */
  SHAPE_ERROR /* looking raised an error, which has been pushed */
} Shape;

/* Look at the object (table or userdata) at 'idx'. [-0, +(0|1), -] */
Shape cp_resolve_look (lua_State *L, int idx);

/* The functions that resolve and reject a promise; upvalues: the context, the
   promise. */
int cp_resolve_function (lua_State *L);
int cp_reject_function (lua_State *L);

/* Push one of those for the open promise at 'idx'. [-0, +1, m] */
static inline void
cp_push_resolving (lua_State *L, int idx, lua_CFunction f) {
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, idx);
  lua_pushcclosure(L, f, 2);
}

Outcome cp_run_pass (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_limit (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_adopt (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_thenable (lua_State *L, Promise *node, const Promise *source);

#endif
