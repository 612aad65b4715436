/*
** queue.c
** See queue.h.
*/

#include "queue.h"


static inline void append (lua_State *L, Queue *q, Promise *p, int idx) {
  cp_assert(!(p->flags & FLAG_LISTED));
  p->flags |= FLAG_LISTED;
  if (q->n == 0)
    cp_node_set(L, CONTEXT, q->head, idx);
  else {
    lua_getiuservalue(L, CONTEXT, q->n == 1 ? q->head : q->head + 1);
    lua_pushvalue(L, idx);
    lua_setiuservalue(L, -2, SLOT_LINK);
    lua_pop(L, 1);
    cp_node_set(L, CONTEXT, q->head + 1, idx);
  }
  q->n++;
}


/* A loop that has promised a drain may have lost it: somebody has closed all
   its handles, say. So it is asked again now and then. */
static inline void note_edge (Context *ctx) {
  if (ctx->draining)
    return;
  if (!ctx->woken || (ctx->jobs.n & (ctx->jobs.n - 1)) == 0)
    ctx->edge = 1;
}


void cp_queue_push (lua_State *L, Context *ctx, Promise *p, int idx) {
  append(L, &ctx->jobs, p, idx);
  note_edge(ctx);
}


void cp_queue_push_rejection (
  lua_State *L, Context *ctx, Promise *p, int idx) {
  append(L, &ctx->rejections, p, idx);
  note_edge(ctx);
}


Promise *cp_queue_pop (lua_State *L, Queue *q) {
  Promise *p;
  cp_assert(q->n > 0);
  lua_getiuservalue(L, CONTEXT, q->head);
  p = cp_node_at(L, -1);
  p->flags &= (unsigned short)~FLAG_LISTED;
  if (--q->n == 0) {
    cp_node_clear(L, CONTEXT, q->head);
    return p;
  }
  lua_getiuservalue(L, -1, SLOT_LINK);
  lua_setiuservalue(L, CONTEXT, q->head);
  lua_pushnil(L);
  lua_setiuservalue(L, -2, SLOT_LINK);
  if (q->n == 1)
    cp_node_clear(L, CONTEXT, q->head + 1);
  return p;
}
