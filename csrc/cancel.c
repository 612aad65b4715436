/*
** cancel.c
** See cancel.h.
*/

#include "cancel.h"

#include "args.h"
#include "host.h"
#include "trace.h"


/*
** {================================================================
** What a promise does, by kind
** =================================================================
*/

/* Where a pending promise was before it left what it waits for. */
typedef enum Place {
  PLACE_NONE, /* in no list: it waits for nothing, or its own code runs */
  PLACE_RING, /* in the ring of what it waited for, which has been pushed */
  PLACE_QUEUE /* in the queue or in a batch, where it stays */
} Place;


/* Take p, at CANCEL_PROMISE, out of the ring that it is in. Push the promise
   that it waited for, if that is pending, or nil. [-0, +1, -] */
static Place leave (lua_State *L, Promise *p) {
  Promise *source;
  lua_getiuservalue(L, CANCEL_PROMISE, SLOT_SOURCE);
  source = cp_promise_test(L, cp_context(L), CANCEL_WORK);
  if (source != NULL && source->state == STATE_PENDING) {
    if (p->kind != KIND_ADOPT) {
      cp_ring_remove(L, source, CANCEL_WORK, CANCEL_PROMISE);
      return PLACE_RING;
    }
    cp_node_release(source);
    return PLACE_QUEUE;
  }
  lua_pop(L, 1);
  lua_pushnil(L);
  return source != NULL || p->flags & FLAG_LISTED ? PLACE_QUEUE : PLACE_NONE;
}


/* A cancellation needs nobody to handle it, as the reason of what has been
   abandoned does: that one is not passed upstream. */
static void reject (lua_State *L, Promise *p) {
  if (lua_rawequal(L, CANCEL_CARRIER, CANCEL_UPSTREAM))
    p->flags |= FLAG_HANDLED;
  cp_promise_copy(L, p, CANCEL_PROMISE, CANCEL_CARRIER);
}


/* p has settled where it stands in the queue or in a batch: queue its reactions
   as those of the carrier, which has settled alike. (Only the first promise to
   be cancelled has any.) */
static void queue_reactions (lua_State *L, Promise *p) {
  if (p->waiters > 0) {
    cp_ring_move(L, p, CANCEL_PROMISE, CANCEL_CARRIER);
    cp_queue_push(
      L, cp_context(L), cp_node_at(L, CANCEL_CARRIER), CANCEL_CARRIER);
  }
}


Outcome cp_cancel_reject (lua_State *L, Promise *p) {
  Place place = leave(L, p);
  reject(L, p);
  if (place == PLACE_QUEUE)
    queue_reactions(L, p);
  return place == PLACE_QUEUE ? LEFT : SETTLED;
}


/* Whether nobody waits any more for the promise p, or NULL, at 'idx', which a
   waiter has just left: then its rejection is for nobody, and is reported if
   it is no cancellation. [-0, +0, -] */
static int is_left (lua_State *L, Promise *p, int idx) {
  if (p == NULL || p->state != STATE_PENDING || cp_promise_awaited(L, p, idx))
    return 0;
  p->flags &= (unsigned short)~FLAG_HANDLED;
  return 1;
}


Outcome cp_cancel_shield (lua_State *L, Promise *p) {
  Outcome outcome = cp_cancel_reject(L, p);
  is_left(L, (Promise *)lua_touserdata(L, CANCEL_WORK), CANCEL_WORK);
  lua_pop(L, 1);
  lua_pushnil(L);
  return outcome;
}


Outcome cp_cancel_divert (lua_State *L, Promise *p) {
  Place place = leave(L, p);
  cp_node_set(L, CANCEL_PROMISE, SLOT_SOURCE, CANCEL_CARRIER);
  p->flags |= FLAG_DIVERTED;
  if (place == PLACE_RING)
    cp_queue_push(L, cp_context(L), p, CANCEL_PROMISE);
  return LEFT;
}


Outcome cp_cancel_keep (lua_State *L, Promise *p) {
  (void)p;
  cp_node_set(L, CANCEL_PROMISE, SLOT_VALUE, CANCEL_CARRIER);
  lua_pushnil(L);
  return LEFT;
}

/* }================================================================ */


/*
** {================================================================
** Hooks
** =================================================================
*/

/* Call the i-th hook of the list at CANCEL_WORK with the reason. */
static void call_hook (lua_State *L, Context *ctx, lua_Integer i) {
  int handler = CANCEL_WORK + 1;
  cp_trace_push_handler(L);
  lua_rawgeti(L, CANCEL_WORK, i);
  lua_getiuservalue(L, CANCEL_CARRIER, SLOT_VALUE);
  ctx->busy++;
  if (lua_pcall(L, 1, 0, handler) != LUA_OK) {
    cp_trace_take(L, ctx);
    cp_host_report(L, 0);
  }
  ctx->busy--;
  lua_settop(L, CANCEL_WORK);
}


Outcome cp_cancel_hooks (lua_State *L, Promise *p) {
  Context *ctx = cp_context(L);
  if (p->generation == 0) {
    lua_Integer i, n;
    p->generation++; /* its functions do nothing any more */
    lua_getiuservalue(L, CANCEL_PROMISE, SLOT_VALUE);
    n = (lua_Integer)lua_rawlen(L, CANCEL_WORK);
    for (i = 1; i <= n; i++)
      call_hook(L, ctx, i);
    lua_pop(L, 1);
  }
  reject(L, p);
  lua_pushnil(L);
  return SETTLED;
}


#define OWNER lua_upvalueindex(2)


int cp_on_cancel_function (lua_State *L) {
  const Promise *p = cp_node_at(L, OWNER);
  cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  if (!cp_promise_open(p))
    return 0;
  if (lua_getiuservalue(L, OWNER, SLOT_VALUE) == LUA_TNIL)
    lua_createtable(L, 1, 0);
  /* stack: hook; nil; new list, or hook; list */
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  if (cp_promise_open(p)) /* a finalizer may have resolved it */
    lua_setiuservalue(L, OWNER, SLOT_VALUE);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** Aggregates
** =================================================================
*/

/* Whether the object at 'idx' is a node that waits for a pending promise, which
   has been pushed then. [-0, +(0|1), -] */
static Promise *waits_for (lua_State *L, int idx) {
  const Promise *node = (const Promise *)lua_touserdata(L, idx);
  Promise *source;
  int is_node;
  if (node == NULL || !lua_getmetatable(L, idx))
    return NULL;
  lua_getiuservalue(L, CONTEXT, CTX_NODE_MT);
  is_node = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!is_node || node->flags & FLAG_PLAIN)
    return NULL;
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  source = cp_promise_test(L, cp_context(L), lua_gettop(L));
  if (source != NULL && source->state == STATE_PENDING)
    return source;
  lua_pop(L, 1);
  return NULL;
}


/* Append the node on the top, which is in no list, to those that are to be
   looked at. [-1, +0, -] */
static void look_later (lua_State *L) {
  if (lua_isnil(L, CANCEL_FIRST))
    lua_copy(L, -1, CANCEL_FIRST);
  else {
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, CANCEL_LAST, SLOT_LINK);
  }
  lua_replace(L, CANCEL_LAST);
}


/* No code of the user's runs between the first element and the last. */
Outcome cp_cancel_let_go (lua_State *L, Promise *p) {
  int node = CANCEL_WORK + 2;
  lua_getiuservalue(L, CANCEL_PROMISE, SLOT_VALUE);
  lua_pushnil(L);
  while (lua_istable(L, CANCEL_WORK) && lua_next(L, CANCEL_WORK)) {
    /* stack: ...; table; key; its node or result */
    Promise *source = waits_for(L, node);
    if (source != NULL) {
      cp_ring_remove(L, source, node + 1, node);
      is_left(L, source, node + 1);
      lua_settop(L, node);
      look_later(L);
    }
    lua_settop(L, CANCEL_WORK + 1);
  }
  lua_settop(L, CANCEL_PROMISE);
  reject(L, p);
  lua_pushnil(L);
  return SETTLED;
}


/* Take the next promise from those to be looked at to CANCEL_PROMISE; return
   whether there was one. [-0, +0, -] */
static int next_element (lua_State *L) {
  if (lua_isnil(L, CANCEL_FIRST))
    return 0;
  lua_getiuservalue(L, CANCEL_FIRST, SLOT_SOURCE);
  lua_replace(L, CANCEL_PROMISE);
  cp_node_clear(L, CANCEL_FIRST, SLOT_SOURCE);
  lua_getiuservalue(L, CANCEL_FIRST, SLOT_LINK);
  cp_node_clear(L, CANCEL_FIRST, SLOT_LINK);
  lua_replace(L, CANCEL_FIRST);
  return 1;
}

/* }================================================================ */


/*
** {================================================================
** From promise to promise
** =================================================================
*/

static int cancellable (const Promise *p) {
  return p->state == STATE_PENDING && !(p->flags & FLAG_CANCELLED);
}


/* Whether the promise, or nil, at CANCEL_PROMISE is to be cancelled since its
   last waiter was. */
static int is_next (lua_State *L) {
  Promise *p = (Promise *)lua_touserdata(L, CANCEL_PROMISE);
  return is_left(L, p, CANCEL_PROMISE) && cancellable(p);
}


/* Cancel the promise at CANCEL_PROMISE, and what nobody waits for then. */
static void cancel_from (lua_State *L, Promise *p) {
  for (;;) {
    p->flags |= FLAG_CANCELLED;
    if (cp_kinds[p->kind].cancel(L, p) == SETTLED)
      cp_promise_announce(L, p, CANCEL_PROMISE);
    lua_replace(L, CANCEL_PROMISE);
    lua_copy(L, CANCEL_UPSTREAM, CANCEL_CARRIER);
    while (!is_next(L))
      if (!next_element(L))
        return;
    p = cp_node_at(L, CANCEL_PROMISE);
  }
}


/* Push a promise rejected with the reason on the top. [-1, +1, m] */
static void push_carrier (lua_State *L) {
  int reason = lua_gettop(L);
  Promise *carrier = cp_promise_new(L, KIND_PLAIN);
  carrier->flags |= FLAG_HANDLED;
  lua_insert(L, reason);
  cp_promise_settle(L, carrier, reason, STATE_REJECTED);
}


/* Push the cancellation for the reason at 'idx', which may be one.
   [-0, +1, m] */
static void push_cancellation (lua_State *L, int idx) {
  if (cp_args_is_tagged(L, idx, CTX_CANCELLATION_MT)) {
    lua_pushvalue(L, idx);
    return;
  }
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "the promise was cancelled");
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, idx);
  lua_setfield(L, -2, "reason");
  lua_getiuservalue(L, CONTEXT, CTX_CANCELLATION_MT);
  lua_setmetatable(L, -2);
}


/* End a method: cancel the promise p, argument 1, whose carrier is at
   CANCEL_CARRIER and that of the others at CANCEL_UPSTREAM. */
static int run_cancel (lua_State *L, Promise *p) {
  int is = cancellable(p); /* making the carriers may have run finalizers */
  lua_settop(L, CANCEL_UPSTREAM);
  if (is) {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, CANCEL_CALLED);
    cancel_from(L, p);
    cp_host_wake(L, cp_context(L));
  }
  lua_pushboolean(L, is);
  return 1;
}


static Promise *check_cancel (lua_State *L) {
  Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  if (!lua_checkstack(L, LUA_MINSTACK + CANCEL_WORK)) {
    lua_getiuservalue(L, CONTEXT, CTX_NO_MEMORY);
    lua_error(L);
  }
  lua_settop(L, 2);
  return p;
}


int cp_cancel (lua_State *L) {
  Promise *p = check_cancel(L);
  if (!cancellable(p)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  push_cancellation(L, 2);
  push_carrier(L);
  lua_copy(L, -1, CANCEL_CARRIER);
  return run_cancel(L, p);
}


int cp_close (lua_State *L) {
  lua_settop(L, 1);
  cp_cancel(L);
  return 0;
}


int cp_abandon (lua_State *L) {
  Promise *p = check_cancel(L);
  push_cancellation(L, 2);
  push_carrier(L);
  lua_pushvalue(L, 2);
  push_carrier(L);
  lua_replace(L, CANCEL_CARRIER);
  return run_cancel(L, p);
}


void cp_cancel_unless_awaited (lua_State *L, int idx, int carrier) {
  Promise *p = cp_node_at(L, idx);
  if (!is_left(L, p, idx) || !cancellable(p))
    return;
  lua_getiuservalue(L, CONTEXT, CTX_CANCEL);
  lua_pushvalue(L, idx);
  lua_getiuservalue(L, carrier, SLOT_VALUE);
  lua_pcall(L, 2, 0, 0);
}


int cp_cancellation (lua_State *L) {
  lua_settop(L, 1);
  push_cancellation(L, 1);
  return 1;
}


int cp_isCancelled (lua_State *L) {
  lua_pushboolean(L, cp_args_is_tagged(L, 1, CTX_CANCELLATION_MT));
  return 1;
}


int cp_cancellation_tostring (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "message");
  luaL_tolstring(L, 2, NULL);
  if (lua_getfield(L, 1, "reason") == LUA_TNIL) {
    lua_pop(L, 1);
    return 1;
  }
  lua_pushliteral(L, ": ");
  luaL_tolstring(L, 4, NULL);
  lua_remove(L, 4);
  lua_concat(L, 3);
  return 1;
}

/* }================================================================ */
