/*
** node.c
** See node.h.
*/

#include "node.h"


Promise *cp_node_new (lua_State *L, KindId kind, int slots) {
  Promise *p = lua_newuserdatauv(L, sizeof(Promise), slots);
  cp_node_init(p, kind);
  lua_getiuservalue(L, CONTEXT, CTX_NODE_MT);
  lua_setmetatable(L, -2);
  return p;
}


Promise *cp_node_test (lua_State *L, int idx) {
  Promise *p = (Promise *)lua_touserdata(L, idx);
  int is;
  if (p == NULL || !lua_getmetatable(L, idx))
    return NULL;
  lua_getiuservalue(L, CONTEXT, CTX_NODE_MT);
  is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is ? p : NULL;
}


Promise *cp_promise_test (lua_State *L, const Context *ctx, int idx) {
  Promise *p = (Promise *)lua_touserdata(L, idx);
  const void *mt;
  if (p == NULL || !lua_getmetatable(L, idx))
    return NULL;
  mt = lua_topointer(L, -1);
  lua_pop(L, 1);
  return mt == ctx->promise_mt ? p : NULL;
}


void cp_ring_append (lua_State *L, Promise *p, int idx, int node) {
  if (p->waiters > 0) {
    lua_getiuservalue(L, idx, SLOT_REACTIONS);
    if (p->waiters == 1)
      lua_pushvalue(L, -1);
    else
      lua_getiuservalue(L, -1, SLOT_LINK);
    /* stack: last; first */
    lua_setiuservalue(L, node, SLOT_LINK);
    lua_pushvalue(L, node);
    lua_setiuservalue(L, -2, SLOT_LINK);
    lua_copy(L, node, -1);
  }
  else
    lua_pushvalue(L, node);
  p->waiters++;
  lua_setiuservalue(L, idx, SLOT_REACTIONS);
}


unsigned int cp_ring_take (lua_State *L, Promise *p, int idx) {
  unsigned int n = p->waiters;
  cp_assert(n > 0);
  lua_getiuservalue(L, idx, SLOT_REACTIONS);
  cp_node_clear(L, idx, SLOT_REACTIONS);
  p->waiters = 0;
  if (n > 1) {
    lua_getiuservalue(L, -1, SLOT_LINK); /* the first one */
    lua_pushnil(L);
    lua_setiuservalue(L, -3, SLOT_LINK); /* opens the ring */
    lua_remove(L, -2);
  }
  return n;
}


/* Push the last and the first object of the ring, not empty, of p, which is
   at 'idx'. [-0, +2, -] */
static void push_ends (lua_State *L, const Promise *p, int idx) {
  lua_getiuservalue(L, idx, SLOT_REACTIONS);
  if (p->waiters == 1)
    lua_pushvalue(L, -1);
  else
    lua_getiuservalue(L, -1, SLOT_LINK);
}


void cp_ring_move (lua_State *L, Promise *p, int idx, int to) {
  Promise *heir = cp_node_at(L, to);
  int last = lua_gettop(L) + 1;
  if (p->waiters == 0)
    return;
  push_ends(L, p, idx);
  if (heir->waiters > 0) {
    push_ends(L, heir, to);
    /* stack: last; first; the heir's last; the heir's first */
    lua_setiuservalue(L, last, SLOT_LINK); /* closes the ring */
    lua_pushvalue(L, last + 1);
    lua_setiuservalue(L, -2, SLOT_LINK);
    lua_settop(L, last);
  }
  else
    lua_pop(L, 1);
  lua_setiuservalue(L, to, SLOT_REACTIONS);
  cp_node_clear(L, idx, SLOT_REACTIONS);
  heir->waiters += p->waiters;
  p->waiters = 0;
}


/* Replace the object on the top by the one before the object 'node' in the
   ring that it is the last one of. [-1, +1, -] */
static void find_previous (lua_State *L, const void *node) {
  for (;;) {
    lua_getiuservalue(L, -1, SLOT_LINK);
    if (lua_touserdata(L, -1) == node)
      break;
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
}


void cp_ring_remove (lua_State *L, Promise *p, int idx, int node) {
  const void *removed = lua_touserdata(L, node);
  int is_last;
  cp_assert(p->waiters > 0);
  if (--p->waiters == 0) {
    cp_node_clear(L, idx, SLOT_REACTIONS);
    return;
  }
  lua_getiuservalue(L, idx, SLOT_REACTIONS);
  is_last = lua_touserdata(L, -1) == removed;
  find_previous(L, removed);
  if (p->waiters == 1)
    lua_pushnil(L); /* a ring of one has no link */
  else
    lua_getiuservalue(L, node, SLOT_LINK);
  lua_setiuservalue(L, -2, SLOT_LINK);
  if (is_last)
    lua_setiuservalue(L, idx, SLOT_REACTIONS);
  else
    lua_pop(L, 1);
  cp_node_clear(L, node, SLOT_LINK);
}
