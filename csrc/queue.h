/*
** queue.h
** The lists of the context: the microtask queue, and the rejections that
** nobody has handled.
**
** Invariant: an object is in at most one list (a ring, or one of these), and
** FLAG_LISTED says that it is in one of these.  One that is in none has no
** link.  An object that was pushed is kept alive by the context.
*/

#ifndef CP_QUEUE_H
#define CP_QUEUE_H

#include "node.h"

/* Append p, which is at 'idx' and in no list, to the jobs. [-0, +0, -] */
void cp_queue_push (lua_State *L, Context *ctx, Promise *p, int idx);

/* The same for the rejections that nobody has handled. [-0, +0, -] */
void cp_queue_push_rejection (
  lua_State *L, Context *ctx, Promise *p, int idx);

/* Push the first object of a list that is not empty, and unlink it.
   [-0, +1, -] */
Promise *cp_queue_pop (lua_State *L, Queue *q);

/* Whether p, in the list of rejections, is to be reported. */
static inline int cp_queue_is_news (const Promise *p) {
  return !(p->flags & (FLAG_HANDLED | FLAG_REPORTED)) && !p->is_ignored;
}

/* In a job: whether one that is queued now would be taken out next.
   [-0, +0, -] */
static inline int cp_queue_is_next (const Context *ctx) {
  return ctx->batch == 0 && ctx->jobs.n == 0 && ctx->left > 0;
}

#endif
