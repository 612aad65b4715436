/*
** promise.c
** See promise.h.
*/

#include "promise.h"


void cp_promise_copy (lua_State *L, Promise *p, int idx, int from) {
  const Promise *source = cp_node_at(L, from);
  cp_assert(source->state != STATE_PENDING);
  p->flags |= (unsigned short)(source->flags & FLAGS_SHAPE);
  if (source->state == STATE_REJECTED) {
    lua_getiuservalue(L, from, SLOT_SOURCE); /* the traceback */
    lua_setiuservalue(L, idx, SLOT_SOURCE);
  }
  lua_getiuservalue(L, from, SLOT_VALUE);
  cp_promise_settle(L, p, idx, (State)source->state);
}


void cp_promise_refuse (lua_State *L, Promise *p, int idx, int ctxslot) {
  lua_getiuservalue(L, CONTEXT, ctxslot);
  cp_promise_settle(L, p, idx, STATE_REJECTED);
}


void cp_promise_announce_slow (lua_State *L, Promise *s, int idx) {
  Context *ctx = cp_context(L);
  cp_assert(s->state != STATE_PENDING && !(s->flags & FLAG_LISTED));
  if (s->waiters > 0)
    cp_queue_push(L, ctx, s, idx);
  else if (!(s->flags & FLAG_HANDLED))
    cp_queue_push_rejection(L, ctx, s, idx);
}


static int is_dead (lua_State *L, int node) {
  const Promise *p = cp_node_at(L, node);
  int (*dead)(lua_State *, int) = cp_kinds[p->kind].dead;
  return dead != NULL && dead(L, node);
}


int cp_promise_awaited (lua_State *L, Promise *p, int idx) {
  while (p->held == 0 && p->waiters > 0) {
    int first;
    lua_getiuservalue(L, idx, SLOT_REACTIONS);
    if (p->waiters > 1) {
      lua_getiuservalue(L, -1, SLOT_LINK);
      lua_remove(L, -2);
    }
    first = lua_gettop(L);
    if (!is_dead(L, first)) {
      lua_pop(L, 1);
      return 1;
    }
    cp_ring_remove(L, p, idx, first);
    cp_node_clear(L, first, SLOT_SOURCE);
    lua_pop(L, 1);
  }
  return p->held > 0;
}


/* Note the length at which the ring is worth sweeping again. */
static void set_sweep (Promise *p) {
  unsigned int log = SWEEP_MIN;
  while (log < 31 && (1u << log) < 2 * p->waiters)
    log++;
  p->flags =
    (unsigned short)((p->flags & ~SWEEP_MASK) | (log << SWEEP_SHIFT));
}


void cp_promise_sweep (lua_State *L, Promise *p, int idx) {
  unsigned int n;
  int node;
  if (p->state != STATE_PENDING ||
      p->waiters < 1u << ((p->flags & SWEEP_MASK) >> SWEEP_SHIFT))
    return;
  n = cp_ring_take(L, p, idx);
  node = lua_gettop(L);
  /* loop invariant: the n objects from 'node' on are still to be looked at;
     those before that live are in the ring */
  for (; n > 0; n--) {
    lua_getiuservalue(L, node, SLOT_LINK);
    cp_node_clear(L, node, SLOT_LINK);
    if (is_dead(L, node))
      cp_node_clear(L, node, SLOT_SOURCE);
    else
      cp_ring_append(L, p, idx, node);
    lua_replace(L, node);
  }
  lua_settop(L, node - 1);
  set_sweep(p);
}


void cp_promise_first (lua_State *L, const Promise *s, int idx) {
  lua_getiuservalue(L, idx, SLOT_VALUE);
  if (s->flags & FLAG_PACKED) {
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
}


int cp_promise_unpack (lua_State *L, const Promise *s, int idx) {
  int packed = lua_gettop(L) + 1;
  int i, n;
  if (s->flags & FLAG_EMPTY)
    return 0;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  lua_rawgeti(L, packed, 0);
  n = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (!lua_checkstack(L, n + LUA_MINSTACK)) {
    lua_pop(L, 1);
    lua_getiuservalue(L, CONTEXT, cp_promise_no_room(n));
    return -1;
  }
  for (i = 1; i <= n; i++)
    lua_rawgeti(L, packed, i);
  lua_remove(L, packed);
  return n;
}
