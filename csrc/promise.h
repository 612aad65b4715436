/*
** promise.h
** States, values and reactions.
**
**   PENDING ---- settle [cp_promise_settle, _copy] ---> FULFILLED | REJECTED
**      |                                              ^
**      +-- FLAG_RESOLVED, yet PENDING [cp_resolve] ---+
**
** A promise that has settled is *announced*: with reactions it goes into the
** microtask queue, itself, as the batch of all of them; rejected and without
** a handler it goes into the list of rejections.  Settling and announcing are
** two steps, since the drain can go on with a promise without queueing it.
*/

#ifndef CP_PROMISE_H
#define CP_PROMISE_H

#include "queue.h"

/* What a reaction or job has done with its own object. */
typedef enum Outcome {
  LEFT, /* nothing to announce: it waits, or it has been announced */
  SETTLED /* settled just now, not announced */
} Outcome;

/* Stack positions while a job runs. */
enum {
  AT_GUARD = 1, /* what is to be closed if the drain runs on a coroutine */
  AT_SAVED, /* the errors in flight around the drain */
  AT_HANDLER, /* message handler for protected calls */
  AT_SOURCE, /* settled promise that it reacts to; a lone job's SOURCE */
  AT_NODE, /* the object itself: in no list, its SOURCE cleared */
  AT_NEXT, /* the reaction after this one in the batch */
  AT_WORK = AT_NEXT + 1 /* the first position that is the job's own */
};

struct Walk; /* cancel.h */

/* The behaviour of a kind. */
typedef struct Kind {
  /* Run the job of the node, at AT_NODE. [-0, +any, -] */
  Outcome (*run)(lua_State *L, Promise *node, const Promise *source);
  /* Ask the pending p to end, at WALK_PROMISE of the walk. If what it waits
     for is to be asked next, push that and return 1. See cancel.h; NULL:
     nobody can cancel it. [-0, +(0|1), -] */
  int (*ask)(struct Walk *walk, Promise *p);
  /* Whether a reaction has lost its purpose; NULL: never. [-0, +0, -] */
  int (*dead)(lua_State *L, int node);
} Kind;

extern const Kind cp_kinds[KIND_COUNT]; /* module.c */


/* Whether nobody has resolved it: its first resolving functions still act,
   and the elements of an aggregate still count. */
static inline int cp_promise_open (const Promise *p) {
  return p->state == STATE_PENDING && !(p->flags & FLAG_RESOLVED);
}


/*
** In what follows p (or s, a promise that has settled) is the object at the
** stack position 'idx'.
*/

/* Settle the pending p with the value on the top. [-1, +0, -] */
static inline void
cp_promise_settle (lua_State *L, Promise *p, int idx, State state) {
  cp_assert(p->state == STATE_PENDING && state != STATE_PENDING);
  lua_setiuservalue(L, idx, SLOT_VALUE);
  p->state = (unsigned char)state;
}


/* Settle the pending p as the promise at 'from' has settled. [-0, +0, -] */
void cp_promise_copy (lua_State *L, Promise *p, int idx, int from);

/* Reject the pending p with a value of the context. [-0, +0, -] */
void cp_promise_refuse (lua_State *L, Promise *p, int idx, int ctxslot);

/* Only through cp_promise_announce. [-0, +0, -] */
void cp_promise_announce_slow (lua_State *L, Promise *s, int idx);

/* Make the settled s known: see above. [-0, +0, -] */
static inline void cp_promise_announce (lua_State *L, Promise *s, int idx) {
  if (s->waiters > 0 || s->state == STATE_REJECTED)
    cp_promise_announce_slow(L, s, idx);
}


/* The rejection of s, which was reported, is handled after all: the program
   is told so, if it wants to know. [-0, +0, -] */
void cp_promise_handled_late (lua_State *L, Promise *s, int idx);

/* Somebody looks at the outcome of the settled s. [-0, +0, -] */
static inline void cp_promise_handle (lua_State *L, Promise *s, int idx) {
  s->flags |= FLAG_HANDLED | FLAG_KNOWN;
  if (s->flags & FLAG_REPORTED)
    cp_promise_handled_late(L, s, idx);
}


/* Let the pending object at 'node', in no list, react to p: when p settles,
   or, if it has settled, in a job of its own. [-0, +0, -] */
static inline void
cp_promise_react (lua_State *L, Context *ctx, Promise *p, int idx, int node) {
  if (p->state == STATE_PENDING) {
    p->flags |= FLAG_HANDLED;
    cp_ring_append(L, p, idx, node);
  }
  else {
    cp_promise_handle(L, p, idx);
    cp_queue_push(L, ctx, cp_node_at(L, node), node);
  }
}


/* The same, with p for its SOURCE. [-0, +0, -] */
static inline void
cp_promise_link (lua_State *L, Context *ctx, Promise *p, int idx, int node) {
  cp_node_set(L, node, SLOT_SOURCE, idx);
  cp_promise_react(L, ctx, p, idx, node);
}

/* Which reason of the context tells that lua_checkstack refused n values: it
   doesn't say if they are too many or memory is short, but Lua's stack takes
   a million. */
static inline int cp_promise_no_room (int n) {
  return n > 250000 ? CTX_OVERFLOW : CTX_NO_MEMORY;
}


/* Push the first value, or the reason, of the settled s. [-0, +1, -] */
void cp_promise_first (lua_State *L, const Promise *s, int idx);

/* Only through cp_promise_values. */
int cp_promise_unpack (lua_State *L, const Promise *s, int idx);

/* Push all values, or the reason, of the settled s, with LUA_MINSTACK free
   slots above if that needed more stack, and return how many; or return -1
   and push instead why they do not fit. [-0, +n, -] */
static inline int
cp_promise_values (lua_State *L, const Promise *s, int idx) {
  if (s->flags & FLAGS_SHAPE)
    return cp_promise_unpack(L, s, idx);
  lua_getiuservalue(L, idx, SLOT_VALUE);
  return 1;
}

#endif
