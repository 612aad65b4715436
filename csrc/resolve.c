/*
** resolve.c
** See resolve.h.  A promise is locked (FLAG_RESOLVED) before any code of the
** user's may run, so that nothing can resolve it twice.
*/

#include "resolve.h"

#include "args.h"
#include "cancel.h"
#include "debug.h"
#include "host.h"
#include "timers.h"
#include "trace.h"


/*
** {================================================================
** Fulfilment with any number of values
** =================================================================
*/

int cp_resolve_pack (lua_State *L) {
  int n = lua_gettop(L);
  int i;
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  lua_pushinteger(L, n);
  lua_rawseti(L, 1, 0);
  for (i = n; i >= 1; i--)
    lua_rawseti(L, 1, i);
  return 1;
}


/* Lock p before code of the user's may run: nothing resolves it any more, and
   a cancellation rejects it at once, whatever it was. After that code, look
   at its state. */
static void lock (Promise *p) {
  p->flags |= FLAG_RESOLVED;
  p->kind = KIND_PLAIN;
}


/* Packing may run finalizers. */
static Outcome fulfill_packed (lua_State *L, Promise *p, int idx, int n) {
  int ok;
  lock(p);
  lua_pushcfunction(L, cp_resolve_pack);
  lua_insert(L, -n - 1);
  ok = lua_pcall(L, n, 1, 0) == LUA_OK; /* if not, memory has run out */
  if (p->state != STATE_PENDING) {
    lua_pop(L, 1);
    return LEFT;
  }
  if (ok)
    p->flags |= FLAG_PACKED;
  else
    cp_node_clear(L, idx, SLOT_SOURCE); /* no traceback, maybe a carrier */
  cp_promise_settle(L, p, idx, ok ? STATE_FULFILLED : STATE_REJECTED);
  return SETTLED;
}


Outcome cp_fulfill (lua_State *L, Promise *p, int idx, int n) {
  if (n == 1)
    cp_promise_settle(L, p, idx, STATE_FULFILLED);
  else if (n == 0) {
    p->flags |= FLAG_EMPTY;
    lua_pushnil(L);
    cp_promise_settle(L, p, idx, STATE_FULFILLED);
  }
  else if (lua_checkstack(L, 2))
    return fulfill_packed(L, p, idx, n);
  else {
    lua_pop(L, n);
    cp_promise_refuse(L, p, idx, CTX_NO_MEMORY);
  }
  return SETTLED;
}

/* }================================================================ */


/*
** {================================================================
** The resolution procedure
** =================================================================
*/

/* (key "next", table) -> its method. May run a metamethod. */
static int get_next (lua_State *L) {
  lua_pushvalue(L, 1);
  lua_gettable(L, 2);
  return 1;
}


/* (key "next", key "catch", userdata) -> its methods. */
static int get_methods (lua_State *L) {
  lua_pushvalue(L, 1);
  if (lua_gettable(L, 3) == LUA_TNIL)
    return 0;
  lua_pushvalue(L, 2);
  lua_gettable(L, 3);
  return 2;
}


/* Call a getter, whose function and n arguments are on the top. */
static int call_getter (lua_State *L, int n, int nresults) {
  Context *ctx = cp_context(L);
  int handler = lua_gettop(L) - n - 1;
  int status;
  cp_enter(L, ctx);
  status = lua_pcall(L, n, nresults, handler);
  cp_leave(L, ctx);
  lua_remove(L, handler);
  return status;
}


/* Push the field 'next' of a table that has a metatable. */
static Shape look_at_table (lua_State *L, int idx) {
  cp_trace_push_handler(L);
  lua_pushcfunction(L, get_next);
  lua_getiuservalue(L, CONTEXT, CTX_KEY_NEXT);
  lua_pushvalue(L, idx);
  return call_getter(L, 2, 1) == LUA_OK ? SHAPE_THENABLE : SHAPE_ERROR;
}


/* Push the method 'next' of a userdata. One that has no 'catch', or can't be
   asked, is a value: many userdata have a 'next' of another meaning. */
static Shape look_at_userdata (lua_State *L, int idx) {
  int status;
  cp_trace_push_handler(L);
  lua_pushcfunction(L, get_methods);
  lua_getiuservalue(L, CONTEXT, CTX_KEY_NEXT);
  lua_getiuservalue(L, CONTEXT, CTX_KEY_CATCH);
  lua_pushvalue(L, idx);
  status = call_getter(L, 3, 2);
  if (status == LUA_ERRMEM)
    return SHAPE_ERROR;
  if (status != LUA_OK)
    cp_trace_take(L, cp_context(L)); /* nobody wants to know */
  if (status != LUA_OK || !cp_args_callable(L, lua_gettop(L))) {
    lua_pop(L, 2);
    return SHAPE_VALUE;
  }
  lua_pop(L, 1);
  return SHAPE_THENABLE;
}


Shape cp_resolve_look (lua_State *L, int idx) {
  Context *ctx = cp_context(L);
  Shape shape = SHAPE_THENABLE;
  int is_table = lua_istable(L, idx);
  if (lua_getmetatable(L, idx)) {
    lua_pop(L, 1);
    shape = is_table ? look_at_table(L, idx) : look_at_userdata(L, idx);
  }
  else if (is_table) {
    lua_getiuservalue(L, CONTEXT, CTX_KEY_NEXT);
    lua_rawget(L, idx);
  }
  else
    return SHAPE_VALUE;
  if (shape != SHAPE_THENABLE)
    return shape;
  if (cp_args_callable(L, lua_gettop(L)) &&
      (ctx->lua_next == NULL || lua_tocfunction(L, -1) != ctx->lua_next))
    return SHAPE_THENABLE;
  lua_pop(L, 1);
  return SHAPE_VALUE;
}


/* Queue the job by which p starts to follow. The value on the top becomes its
   SOURCE. [-1, +0, -] */
static Outcome lock_in (lua_State *L, Promise *p, int idx, KindId kind) {
  lua_setiuservalue(L, idx, SLOT_SOURCE);
  p->kind = (unsigned char)kind;
  cp_queue_push(L, cp_context(L), p, idx);
  return LEFT;
}


static Outcome
follow_promise (lua_State *L, Promise *p, int idx, int target) {
  if (p == cp_node_at(L, target)) {
    cp_promise_refuse(L, p, idx, CTX_SELF);
    return SETTLED;
  }
  if (p->flags & FLAG_CARRIER)
    lua_getiuservalue(L, idx, SLOT_SOURCE);
  else
    lua_pushnil(L);
  lua_setiuservalue(L, idx, SLOT_VALUE);
  cp_node_at(L, target)->held++;
  lua_pushvalue(L, target);
  return lock_in(L, p, idx, KIND_ADOPT);
}


/* Follow the thenable at 'first', whose method is on the top. One that has a
   carrier keeps both in a list, which takes memory, and may run finalizers.
   [-1, +any, -] */
static Outcome
follow_thenable (lua_State *L, Promise *p, int idx, int first) {
  int method = lua_gettop(L);
  int ok;
  if (!(p->flags & FLAG_CARRIER)) {
    cp_node_set(L, idx, SLOT_VALUE, first);
    return lock_in(L, p, idx, KIND_THENABLE);
  }
  lua_pushcfunction(L, cp_resolve_pack);
  lua_pushvalue(L, first);
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  ok = lua_pcall(L, 2, 1, 0) == LUA_OK;
  if (p->state != STATE_PENDING)
    return LEFT;
  if (!ok) {
    cp_node_clear(L, idx, SLOT_SOURCE);
    cp_promise_settle(L, p, idx, STATE_REJECTED);
    return SETTLED;
  }
  lua_setiuservalue(L, idx, SLOT_VALUE);
  lua_settop(L, method);
  return lock_in(L, p, idx, KIND_THENABLE);
}


/* Resolve with the object at 'first', the first of the values on the top,
   which is no promise of ours; what looking at it gave stands above.
   [-n, +any, -] */
static Outcome
take_object (lua_State *L, Promise *p, int idx, int first, Shape shape) {
  switch (shape) {
    case SHAPE_THENABLE:
      return follow_thenable(L, p, idx, first);
    case SHAPE_ERROR:
      cp_trace_reject(L, p, idx);
      return SETTLED;
    default:
      return cp_fulfill(L, p, idx, lua_gettop(L) - first + 1);
  }
}


/* Resolve with the object at 'first', the first of n values. [-n, +0, -] */
static Outcome
resolve_with_object (lua_State *L, Promise *p, int idx, int first) {
  Outcome outcome = LEFT;
  lock(p);
  if (cp_promise_test(L, cp_context(L), first) != NULL)
    outcome = follow_promise(L, p, idx, first);
  else {
    Shape shape = cp_resolve_look(L, first);
    if (p->state == STATE_PENDING) /* no getter has cancelled it */
      outcome = take_object(L, p, idx, first, shape);
  }
  lua_settop(L, first - 1);
  return outcome;
}


Outcome cp_resolve_slow (lua_State *L, Promise *p, int idx, int n) {
  int first = lua_gettop(L) - n + 1;
  if (n > 1 && !lua_checkstack(L, LUA_MINSTACK)) {
    lua_settop(L, first - 1);
    cp_promise_refuse(L, p, idx, CTX_NO_MEMORY);
    return SETTLED;
  }
  if (lua_istable(L, first) || lua_isuserdata(L, first))
    return resolve_with_object(L, p, idx, first);
  return cp_fulfill(L, p, idx, n);
}


Outcome cp_resolve_asked (lua_State *L, Promise *p, int idx, int n) {
  int first = lua_gettop(L) - n + 1;
  int carrier = first + 1;
  Outcome outcome = SETTLED;
  lua_settop(L, first); /* nil if there is no value */
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  p->flags &= (unsigned short)~FLAG_DIVERTED;
  if (cp_promise_test(L, cp_context(L), first) == NULL)
    cp_promise_copy(L, p, idx, carrier);
  else if (!cp_cancel_has_room(L))
    cp_promise_refuse(L, p, idx, CTX_NO_MEMORY);
  else if ((outcome = follow_promise(L, p, idx, first)) == LEFT) {
    cp_node_set(L, idx, SLOT_VALUE, carrier);
    cp_cancel_from(L, p, idx, carrier);
  }
  lua_settop(L, first - 1);
  return outcome;
}


Outcome cp_resolve_as (lua_State *L, Promise *p, int idx, int source) {
  const Promise *s = cp_node_at(L, source);
  int type, n;
  if (s->state == STATE_FULFILLED && !(s->flags & FLAG_EMPTY)) {
    cp_promise_first(L, s, source);
    type = lua_type(L, -1);
    lua_pop(L, 1);
    if (type == LUA_TTABLE || type == LUA_TUSERDATA) {
      n = cp_promise_values(L, s, source);
      if (n > 0)
        return cp_resolve(L, p, idx, n);
      cp_node_clear(L, idx, SLOT_SOURCE);
      cp_promise_settle(L, p, idx, STATE_REJECTED);
      return SETTLED;
    }
  }
  cp_promise_copy(L, p, idx, source);
  return SETTLED;
}

/* }================================================================ */


/*
** {================================================================
** Resolving functions: upvalues (context, promise[, token]). Those given to a
** thenable act as long as the promise holds their token.
** =================================================================
*/

#define OWNER lua_upvalueindex(2)
#define TOKEN lua_upvalueindex(3)


static int resolve (lua_State *L, Promise *p) {
  Outcome outcome = cp_resolve(L, p, OWNER, lua_gettop(L));
  cp_host_finish(L, outcome, p, OWNER);
  return 0;
}


static int reject (lua_State *L, Promise *p) {
  lua_settop(L, 1);
  if (p->flags & FLAG_CARRIER)
    cp_node_clear(L, OWNER, SLOT_SOURCE);
  cp_promise_settle(L, p, OWNER, STATE_REJECTED);
  cp_host_finish(L, SETTLED, p, OWNER);
  return 0;
}


/* It has been resolved before. One that was cancelled may be, later. */
static int refuse_again (lua_State *L, const Promise *p) {
  if (cp_context(L)->debug && !(p->flags & FLAG_CANCELLED)) {
    lua_pushvalue(L, OWNER);
    cp_debug_warn(
      L, lua_gettop(L), "a promise is resolved once more, in vain");
  }
  return 0;
}


int cp_resolve_function (lua_State *L) {
  Promise *p = cp_node_at(L, OWNER);
  return cp_promise_open(p) ? resolve(L, p) : refuse_again(L, p);
}


int cp_reject_function (lua_State *L) {
  Promise *p = cp_node_at(L, OWNER);
  return cp_promise_open(p) ? reject(L, p) : refuse_again(L, p);
}


/* The promise, if it holds the token; which it does no more then. */
static Promise *take_token (lua_State *L) {
  Promise *p = cp_node_at(L, OWNER);
  int is_held;
  if (p->state != STATE_PENDING)
    return NULL;
  lua_getiuservalue(L, OWNER, SLOT_VALUE);
  is_held = lua_rawequal(L, -1, TOKEN);
  lua_pop(L, 1);
  if (!is_held)
    return NULL;
  cp_node_clear(L, OWNER, SLOT_VALUE);
  return p;
}


static int resolve_later (lua_State *L) {
  Promise *p = take_token(L);
  return p != NULL ? resolve(L, p) : 0;
}


static int reject_later (lua_State *L) {
  Promise *p = take_token(L);
  return p != NULL ? reject(L, p) : 0;
}

/* }================================================================ */


/*
** {================================================================
** Jobs and reactions
** =================================================================
*/

/* One that was asked to end, or that follows for a call which was:
   it holds the carrier. */
static Outcome run_carrying (lua_State *L, Promise *node) {
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  if (node->flags & FLAG_CANCELLED) {
    cp_cancel_push_outcome(L, AT_SOURCE, AT_WORK);
    cp_promise_copy(L, node, AT_NODE, AT_WORK + 1);
    return SETTLED;
  }
  cp_node_set(L, AT_NODE, SLOT_SOURCE, AT_WORK);
  return cp_resolve_as(L, node, AT_NODE, AT_SOURCE);
}


/* A reaction without a handler, and a promise that follows another. */
Outcome cp_run_pass (lua_State *L, Promise *node, const Promise *source) {
  (void)source;
  if (node->flags & (FLAG_CANCELLED | FLAG_CARRIER))
    return run_carrying(L, node);
  return cp_resolve_as(L, node, AT_NODE, AT_SOURCE);
}


/* One with an outcome of its own, which only a failure replaces. */
Outcome cp_run_limit (lua_State *L, Promise *node, const Promise *source) {
  (void)source;
  if (!(node->flags & FLAG_CANCELLED))
    cp_timers_release(L, node, AT_NODE);
  if (!(node->flags & FLAG_CANCELLED) || cp_cancel_is_failure(L, AT_SOURCE))
    return cp_resolve_as(L, node, AT_NODE, AT_SOURCE);
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  cp_promise_copy(L, node, AT_NODE, AT_WORK);
  return SETTLED;
}


/* The job of ECMA-262 27.2.2.2 for a promise of our own: its 'next' is known
   and needs no resolving functions. */
Outcome cp_run_adopt (lua_State *L, Promise *node, const Promise *source) {
  Promise *target = cp_node_at(L, AT_SOURCE);
  (void)source;
  target->held--;
  node->kind = KIND_PASS;
  cp_promise_link(L, cp_context(L), target, AT_SOURCE, AT_NODE);
  return LEFT;
}


/* Push a function that resolves the promise at 2, as the token at 3 allows;
   in the debug mode it keeps the witness at 6. */
static void push_later (lua_State *L, lua_CFunction fn, int has_witness) {
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  if (has_witness)
    lua_pushvalue(L, 6);
  lua_pushcclosure(L, fn, 3 + has_witness);
}


/* Arguments: context; promise; token; thenable; its method 'next'. */
static int call_thenable (lua_State *L) {
  const Context *ctx = lua_touserdata(L, 1);
  int has_witness = ctx->debug;
  lua_newuserdatauv(L, 0, 0);
  if (cp_node_at(L, 2)->state != STATE_PENDING)
    return 0; /* cancelled by a finalizer */
  lua_replace(L, 3);
  cp_node_set(L, 2, SLOT_VALUE, 3);
  lua_insert(L, 4); /* the method, below the thenable */
  if (has_witness) {
    cp_debug_push_witness(L, 2, 3, 4);
    lua_pushvalue(L, 4);
    lua_pushvalue(L, 5);
  }
  push_later(L, resolve_later, has_witness);
  push_later(L, reject_later, has_witness);
  /* stack: ...; next; thenable; resolve; reject */
  lua_call(L, 3, 0);
  return 0;
}


/* The job of ECMA-262 27.2.2.2, NewPromiseResolveThenableJob. */
Outcome cp_run_thenable (lua_State *L, Promise *node, const Promise *source) {
  (void)source;
  lua_pushcfunction(L, call_thenable);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, AT_NODE);
  lua_pushnil(L);
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  if (node->flags & FLAG_CARRIER) {
    lua_rawgeti(L, -1, 2);
    lua_setiuservalue(L, AT_NODE, SLOT_SOURCE);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pushvalue(L, AT_SOURCE);
  cp_node_clear(L, AT_NODE, SLOT_VALUE);
  node->kind = KIND_PLAIN;
  if (lua_pcall(L, 5, 0, AT_HANDLER) == LUA_OK)
    return LEFT;
  if (node->state != STATE_PENDING || node->kind != KIND_PLAIN) {
    cp_trace_take(L, cp_context(L)); /* nobody wants to know */
    return LEFT;
  }
  cp_trace_reject(L, node, AT_NODE);
  return SETTLED;
}

/* }================================================================ */
