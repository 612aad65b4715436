/*
** queue.c
** See queue.h.
*/

#include "queue.h"


void cp_queue_push (lua_State *L, Queue *q, Promise *p, int idx) {
  Context *ctx = cp_context(L);
  cp_assert(!(p->flags & FLAG_LISTED));
  p->flags |= FLAG_LISTED;
  if (q->n++ == 0)
    cp_node_set(L, CONTEXT, q->head, idx);
  else {
    lua_getiuservalue(L, CONTEXT, q->head + 1);
    lua_pushvalue(L, idx);
    lua_setiuservalue(L, -2, SLOT_LINK);
    lua_pop(L, 1);
  }
  cp_node_set(L, CONTEXT, q->head + 1, idx);
  q->last = p;
  if (!ctx->woken)
    ctx->edge = 1;
}


Promise *cp_queue_pop (lua_State *L, Queue *q) {
  Promise *p;
  cp_assert(q->n > 0);
  lua_getiuservalue(L, CONTEXT, q->head);
  p = cp_node_at(L, -1);
  p->flags &= (unsigned short)~FLAG_LISTED;
  if (--q->n == 0) {
    cp_node_clear(L, CONTEXT, q->head);
    cp_node_clear(L, CONTEXT, q->head + 1);
  }
  else {
    lua_getiuservalue(L, -1, SLOT_LINK);
    lua_setiuservalue(L, CONTEXT, q->head);
    lua_pushnil(L);
    lua_setiuservalue(L, -2, SLOT_LINK);
  }
  return p;
}
