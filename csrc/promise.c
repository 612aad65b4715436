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
  cp_node_clear(L, idx, SLOT_SOURCE); /* no traceback, maybe a carrier */
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


void cp_promise_handled_late (lua_State *L, Promise *s, int idx) {
  Context *ctx = cp_context(L);
  if (s->flags & FLAG_LISTED)
    return; /* is told of already */
  if (lua_getiuservalue(L, CONTEXT, CTX_ON_HANDLED) == LUA_TNIL)
    s->flags &= (unsigned short)~FLAG_REPORTED;
  else
    cp_queue_push_rejection(L, ctx, s, idx);
  lua_pop(L, 1);
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
