/*
** reaction.c
** See reaction.h.
*/

#include "reaction.h"

#include "args.h"
#include "cancel.h"
#include "debug.h"
#include "host.h"
#include "resolve.h"
#include "trace.h"
#include "wait.h"


/*
** {================================================================
** The methods
** =================================================================
*/

/* Stack positions of the methods. */
enum {
  ARG_SELF = 1,
  ARG_1,
  ARG_2,
  THE_METATABLE,
  THE_DERIVED,
  THE_HANDLER = ARG_1 /* what the derived promise holds until its turn */
};


/* Return the promise that the method was called on, and the number of
   arguments with it; raise if it is none. */
static inline Promise *
check_self (lua_State *L, const Context *ctx, int *nargs) {
  Promise *p;
  *nargs = lua_gettop(L);
  if (*nargs == ARG_1) /* nearly always */
    lua_pushnil(L);
  else
    lua_settop(L, ARG_2);
  p = cp_promise_peek(L, ctx, ARG_SELF);
  if (p == NULL)
    cp_args_type_error(L, ARG_SELF, "promise");
  return p;
}


/* Return a promise that reacts to p, the promise at ARG_SELF, and holds what
   is at THE_HANDLER until then. */
static inline int
derive (lua_State *L, Context *ctx, Promise *p, KindId kind) {
  cp_promise_make(L, kind, THE_METATABLE);
  cp_debug_made(L, ctx, THE_DERIVED);
  cp_node_set(L, THE_DERIVED, SLOT_VALUE, THE_HANDLER);
  cp_promise_link(L, ctx, p, ARG_SELF, THE_DERIVED);
  cp_host_wake(L, ctx);
  return 1;
}


/* Replace the first of two handlers by a table of both. */
static void pair_handlers (lua_State *L) {
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, ARG_1);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, ARG_2);
  lua_rawseti(L, -2, 2);
  lua_replace(L, THE_HANDLER);
}


/* The kind of the promise that takes these handlers, of which the second is
   callable. Leaves what it holds at THE_HANDLER. */
static KindId kind_with_catch (lua_State *L) {
  if (cp_args_callable(L, ARG_1)) {
    pair_handlers(L);
    return KIND_BOTH;
  }
  lua_copy(L, ARG_2, THE_HANDLER);
  return KIND_CATCH;
}


int cp_next (lua_State *L) {
  Context *ctx = cp_context(L);
  int nargs;
  Promise *p = check_self(L, ctx, &nargs);
  KindId kind = KIND_NEXT;
  if (nargs > ARG_1 && cp_args_callable(L, ARG_2))
    kind = kind_with_catch(L);
  else {
    if (nargs > ARG_1)
      cp_debug_check_handler(L, ARG_SELF, ARG_2);
    if (!cp_args_callable(L, ARG_1)) {
      kind = KIND_PASS;
      cp_debug_check_handler(L, ARG_SELF, ARG_1);
    }
  }
  return derive(L, ctx, p, kind);
}


int cp_catch (lua_State *L) {
  Context *ctx = cp_context(L);
  int nargs;
  Promise *p = check_self(L, ctx, &nargs);
  KindId kind = cp_args_callable(L, ARG_1) ? KIND_CATCH : KIND_PASS;
  if (kind == KIND_PASS)
    cp_debug_check_handler(L, ARG_SELF, ARG_1);
  return derive(L, ctx, p, kind);
}


/* In a crowd it needs a seat. */
int cp_finally (lua_State *L) {
  Context *ctx = cp_context(L);
  int nargs;
  Promise *p = check_self(L, ctx, &nargs);
  KindId kind = cp_args_callable(L, ARG_1) ? KIND_FINALLY : KIND_PASS;
  if (kind == KIND_PASS)
    cp_debug_check_handler(L, ARG_SELF, ARG_1);
  if (p->waiters < CROWD || kind == KIND_PASS)
    return derive(L, ctx, p, kind);
  cp_promise_make(L, kind, THE_METATABLE);
  cp_debug_made(L, ctx, THE_DERIVED);
  cp_node_set(L, THE_DERIVED, SLOT_VALUE, THE_HANDLER);
  cp_wait_link(L, ctx, p, ARG_SELF, THE_DERIVED);
  cp_host_wake(L, ctx);
  return 1;
}


int cp_shield (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *p = cp_args_check_promise(L, ctx, ARG_SELF);
  lua_settop(L, ARG_SELF);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, PROMISE_MT);
  return derive(L, ctx, p, KIND_SHIELD);
}

/* }================================================================ */


/*
** {================================================================
** Handlers
** =================================================================
*/

/* Call the handler on the top with all values of the source, and resolve
   with its results. [-1, +any, -] */
static inline Outcome
call_handler (lua_State *L, Promise *node, const Promise *source) {
  int n = cp_promise_values(L, source, AT_SOURCE);
  if (n >= 0 && lua_pcall(L, n, LUA_MULTRET, AT_HANDLER) == LUA_OK) {
    n = lua_gettop(L) - AT_WORK + 1;
    if (node->flags & FLAG_CANCELLED) /* meanwhile */
      return cp_resolve_asked(L, node, AT_NODE, n);
    return cp_resolve(L, node, AT_NODE, n);
  }
  cp_trace_reject(L, node, AT_NODE);
  return SETTLED;
}


Outcome cp_run_next (lua_State *L, Promise *node, const Promise *source) {
  if (source->state == STATE_FULFILLED) {
    lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
    return call_handler(L, node, source);
  }
  cp_promise_copy(L, node, AT_NODE, AT_SOURCE);
  return SETTLED;
}


Outcome cp_run_catch (lua_State *L, Promise *node, const Promise *source) {
  if (source->state == STATE_FULFILLED)
    return cp_resolve_as(L, node, AT_NODE, AT_SOURCE);
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  return call_handler(L, node, source);
}


Outcome cp_run_both (lua_State *L, Promise *node, const Promise *source) {
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  lua_rawgeti(L, -1, source->state == STATE_FULFILLED ? 1 : 2);
  lua_remove(L, -2);
  return call_handler(L, node, source);
}

/* }================================================================ */


/*
** {================================================================
** finally
**
** ECMA-262 27.2.5.3 builds it of three promises: the one that is returned,
** that of the handler's result, and one that follows the latter and gives
** the original outcome. In time that is: the job of the handler; the job in
** which its result is known (KIND_FINALLY_WAIT); and one job more, for the
** returned promise to follow (KIND_FINALLY_END). So the returned promise
** alone can do it all, and settles in the very tick of the standard.
** =================================================================
*/

/* (metatable) -> a new promise. */
static int make_promise (lua_State *L) {
  cp_promise_make(L, KIND_PLAIN, 1);
  return 1;
}


/* Push a new promise, or why there is none. */
static int push_promise (lua_State *L) {
  lua_pushcfunction(L, make_promise);
  lua_pushvalue(L, PROMISE_MT);
  return lua_pcall(L, 1, 1, 0) == LUA_OK;
}


/* Go on in a job of its own. */
static Outcome requeue (lua_State *L, Promise *node, KindId kind) {
  node->kind = (unsigned char)kind;
  cp_queue_push(L, cp_context(L), node, AT_NODE);
  return LEFT;
}


/* Let the node wait for the promise at 'idx'. */
static Outcome wait_for (lua_State *L, Promise *node, int idx, KindId kind) {
  node->kind = (unsigned char)kind;
  cp_wait_link(L, cp_context(L), cp_node_at(L, idx), idx, AT_NODE);
  return LEFT;
}


/* Whether a value can be passed on without a look at its 'next'. */
static int is_inert (lua_State *L, int idx) {
  int type = lua_type(L, idx);
  if (type != LUA_TTABLE && type != LUA_TUSERDATA)
    return 1;
  if (lua_getmetatable(L, idx)) {
    lua_pop(L, 1);
    return 0;
  }
  if (cp_resolve_look(L, idx) == SHAPE_VALUE)
    return 1;
  lua_pop(L, 1);
  return 0;
}


/* The handler has run: keep the promise whose outcome the node takes at the
   end. One that was asked to end has the carrier in SOURCE if that came while
   its handler ran. [-0, +0, -] */
static void keep_original (lua_State *L, Promise *node) {
  node->kind = KIND_FINALLY_WAIT;
  if (!(node->flags & FLAG_CANCELLED)) {
    cp_node_set(L, AT_NODE, SLOT_VALUE, AT_SOURCE);
    return;
  }
  lua_getiuservalue(L, AT_NODE, SLOT_SOURCE);
  cp_cancel_push_outcome(
    L, AT_SOURCE, node->flags & FLAG_DIVERTED ? lua_gettop(L) : 0);
  lua_setiuservalue(L, AT_NODE, SLOT_VALUE);
  lua_pop(L, 1);
  cp_node_clear(L, AT_NODE, SLOT_SOURCE);
  node->flags &= (unsigned short)~FLAG_DIVERTED;
}


Outcome cp_run_finally (lua_State *L, Promise *node, const Promise *source) {
  (void)source;
  node->flags &= (unsigned short)~FLAG_DIVERTED;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  if (lua_pcall(L, 0, 1, AT_HANDLER) != LUA_OK) {
    cp_trace_reject(L, node, AT_NODE);
    return SETTLED;
  }
  /* stack: handler; source; node; next; result */
  keep_original(L, node);
  if (cp_promise_test(L, cp_context(L), AT_WORK) != NULL)
    return wait_for(L, node, AT_WORK, KIND_FINALLY_WAIT);
  if (is_inert(L, AT_WORK))
    return requeue(L, node, KIND_FINALLY_WAIT);
  if (!push_promise(L)) {
    cp_promise_settle(L, node, AT_NODE, STATE_REJECTED);
    return SETTLED;
  }
  lua_insert(L, AT_WORK);
  cp_resolve(L, cp_node_at(L, AT_WORK), AT_WORK, 1);
  return wait_for(L, node, AT_WORK, KIND_FINALLY_WAIT);
}


/* The original value may be a thenable (of 'fulfill'): follow a promise that
   is resolved with it, as the standard does. */
static Outcome follow_original (lua_State *L, Promise *node) {
  int idx = lua_gettop(L) + 1;
  if (!push_promise(L)) {
    cp_promise_settle(L, node, AT_NODE, STATE_REJECTED);
    return SETTLED;
  }
  if (node->flags & FLAG_CANCELLED) /* by a finalizer: it takes that */
    return requeue(L, node, KIND_FINALLY_END);
  node->kind = KIND_PLAIN; /* a getter may cancel it, */
  node->flags |= FLAG_RESOLVED; /* though it has no hooks */
  cp_resolve_as(L, cp_node_at(L, idx), idx, AT_WORK);
  if (node->state != STATE_PENDING)
    return LEFT;
  cp_node_clear(L, AT_NODE, SLOT_VALUE);
  return wait_for(L, node, idx, KIND_PASS);
}


/* The handler's result is known (no source: it was a value). */
Outcome
cp_run_finally_wait (lua_State *L, Promise *node, const Promise *source) {
  const Promise *original;
  if (source != NULL && source->state == STATE_REJECTED) {
    /* the cancellation of its clean-up replaces no failure */
    if (!(node->flags & FLAG_CANCELLED) || cp_cancel_is_failure(L, AT_SOURCE))
      cp_node_set(L, AT_NODE, SLOT_VALUE, AT_SOURCE);
    return requeue(L, node, KIND_FINALLY_END);
  }
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  original = cp_node_at(L, AT_WORK);
  cp_promise_first(L, original, AT_WORK);
  /* stack: handler; source; node; next; original promise; its value */
  if (original->state == STATE_FULFILLED && !is_inert(L, AT_WORK + 1))
    return follow_original(L, node);
  return requeue(L, node, KIND_FINALLY_END);
}


Outcome
cp_run_finally_end (lua_State *L, Promise *node, const Promise *source) {
  (void)source;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  return cp_resolve_as(L, node, AT_NODE, AT_WORK);
}

/* }================================================================ */
