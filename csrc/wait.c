/*
** wait.c
** See wait.h.
*/

#include "wait.h"

#include "watch.h"


/*
** {================================================================
** The dead
** =================================================================
*/

int cp_wait_is_over (lua_State *co) {
  lua_Debug ar;
  int status = lua_status(co);
  return status != LUA_YIELD &&
         (status != LUA_OK || !lua_getstack(co, 0, &ar));
}


int cp_wait_dead_thread (lua_State *L, int node) {
  int is_over;
  lua_getiuservalue(L, node, SLOT_VALUE);
  is_over = cp_wait_is_over(lua_tothread(L, -1));
  lua_pop(L, 1);
  return is_over;
}


int cp_wait_dead_seat (lua_State *L, int node) {
  const Promise *p;
  int is_dead;
  lua_getiuservalue(L, node, SLOT_VALUE);
  p = (const Promise *)lua_touserdata(L, -1);
  is_dead = p == NULL ||
            (p->kind == KIND_AWAIT && cp_wait_dead_thread(L, lua_gettop(L)));
  lua_pop(L, 1);
  return is_dead;
}


/* One that has settled where it stands has left. */
static int is_dead (lua_State *L, int node) {
  const Promise *p = cp_node_at(L, node);
  int (*dead)(lua_State *, int) = cp_kinds[p->kind].dead;
  return p->state != STATE_PENDING || (dead != NULL && dead(L, node));
}


/* Whether the dead object at 'node' is an element of an aggregate that has
   settled. */
static int is_let_go (lua_State *L, int node) {
  KindId kind = (KindId)cp_node_at(L, node)->kind;
  int is;
  if (kind != KIND_ELEMENT && kind != KIND_KEYED)
    return 0;
  is = lua_getiuservalue(L, node, SLOT_VALUE) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}


/* The dead object at 'node' stands in the ring of s no more. A call whose
   coroutine is over takes note of that in a job. */
static void drop (lua_State *L, Promise *s, int node) {
  Promise *p = cp_node_at(L, node);
  if (p->state != STATE_PENDING)
    return;
  if (is_let_go(L, node))
    s->flags |= FLAG_KNOWN;
  if (p->kind == KIND_AWAIT) {
    cp_queue_push(L, cp_context(L), p, node);
    return;
  }
  cp_node_clear(L, node, SLOT_SOURCE);
  if (p->kind != KIND_SEAT)
    return;
  lua_getiuservalue(L, node, SLOT_VALUE);
  if (!lua_isnil(L, -1))
    drop(L, s, lua_gettop(L)); /* no seat is on a seat: once */
  lua_pop(L, 1);
}


/* Drop all dead reactions of p, at 'idx'. */
static void sweep (lua_State *L, Promise *p, int idx) {
  unsigned int n = cp_ring_take(L, p, idx);
  int node = lua_gettop(L);
  /* loop invariant: the n objects from 'node' on are still to be looked at;
     those before that live are in the ring */
  for (; n > 0; n--) {
    lua_getiuservalue(L, node, SLOT_LINK);
    cp_node_clear(L, node, SLOT_LINK);
    if (is_dead(L, node))
      drop(L, p, node);
    else
      cp_ring_append(L, p, idx, node);
    lua_replace(L, node);
  }
  lua_settop(L, node - 1);
}


/* Note the length at which the ring is worth sweeping again. */
static void set_sweep (Promise *p) {
  unsigned int log = SWEEP_MIN;
  while (log < 31 && (1u << log) < 2 * p->waiters)
    log++;
  p->flags =
    (unsigned short)((p->flags & ~SWEEP_MASK) | (log << SWEEP_SHIFT));
}


void cp_wait_sweep (lua_State *L, Promise *p, int idx) {
  if (p->state != STATE_PENDING ||
      p->waiters < 1u << ((p->flags & SWEEP_MASK) >> SWEEP_SHIFT))
    return;
  sweep(L, p, idx);
  set_sweep(p);
}


/* Aggregates count something else in 'n', and sweep when they have grown. */
void cp_wait_count_dead (lua_State *L, Promise *s, int idx) {
  if (s->kind >= KIND_ALL && s->kind <= KIND_SELECT)
    cp_wait_sweep(L, s, idx);
  else if (++s->n > s->waiters / 2) {
    s->n = 0;
    sweep(L, s, idx); /* the dead one, at least, stands there */
  }
}

/* }================================================================ */


/*
** {================================================================
** Asking
** =================================================================
*/

/* Push what p, at 'idx', waits for, or a seat for that, or nil. */
static void push_source (lua_State *L, const Promise *p, int idx) {
  lua_State *co;
  if (p->kind != KIND_AWAIT) {
    lua_getiuservalue(L, idx, SLOT_SOURCE);
    return;
  }
  lua_getiuservalue(L, idx, SLOT_VALUE);
  co = lua_tothread(L, -1);
  lua_pop(L, 1);
  if (co != NULL && lua_status(co) == LUA_YIELD)
    cp_wait_push_awaited(L, co);
  else
    lua_pushnil(L);
}


Promise *cp_wait_source (lua_State *L, const Promise *p, int idx) {
  int place = lua_gettop(L) + 1;
  const Promise *seat;
  Promise *source;
  lua_pushvalue(L, idx);
  push_source(L, p, idx);
  seat = cp_node_test(L, place + 1);
  if (seat != NULL) {
    lua_replace(L, place);
    lua_getiuservalue(L, place, SLOT_SOURCE);
  }
  source = cp_promise_test(L, cp_context(L), place + 1);
  if (source != NULL && source->state == STATE_PENDING)
    return source;
  lua_settop(L, place - 1);
  return NULL;
}


/* Push the first object of the ring, which is not empty, of s, at 'idx'. */
static void push_first (lua_State *L, const Promise *s, int idx) {
  lua_getiuservalue(L, idx, SLOT_REACTIONS);
  if (s->waiters > 1) {
    lua_getiuservalue(L, -1, SLOT_LINK);
    lua_remove(L, -2);
  }
}


/* Whether the object on the top, in the ring of s, waits for it; drop it
   there if not. [-1, +0, -] */
static int lives (lua_State *L, Promise *s, int idx) {
  int node = lua_gettop(L);
  int dead = is_dead(L, node);
  if (dead) {
    cp_ring_remove(L, s, idx, node);
    drop(L, s, node);
  }
  lua_pop(L, 1);
  return !dead;
}


int cp_wait_others (lua_State *L, Promise *s, int idx, int place) {
  const void *self = place != 0 ? lua_touserdata(L, place) : NULL;
  if (s->held > (place == 0))
    return 1;
  while (s->waiters > (place != 0)) {
    push_first(L, s, idx);
    if (lua_touserdata(L, -1) == self) { /* the second one, then */
      lua_getiuservalue(L, -1, SLOT_LINK);
      lua_remove(L, -2);
    }
    if (lives(L, s, idx))
      return 1;
  }
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** Seats
** =================================================================
*/

/* (metatable of nodes) -> a new seat. */
static int make_seat (lua_State *L) {
  Promise *p = (Promise *)lua_newuserdatauv(L, sizeof(Promise), NODE_SLOTS);
  cp_node_init(p, KIND_SEAT);
  lua_insert(L, 1);
  lua_setmetatable(L, 1);
  return 1;
}


int cp_wait_push_seat (lua_State *L, int node) {
  lua_pushcfunction(L, make_seat);
  lua_getiuservalue(L, CONTEXT, CTX_NODE_MT);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    return 0;
  }
  cp_node_set(L, lua_gettop(L), SLOT_VALUE, node);
  return 1;
}


void cp_wait_link_in_crowd (
  lua_State *L, Context *ctx, Promise *s, int idx, int node) {
  if (cp_wait_push_seat(L, node)) {
    int seat = lua_gettop(L);
    cp_node_set(L, node, SLOT_SOURCE, seat);
    cp_promise_link(L, ctx, s, idx, seat);
    lua_pop(L, 1);
  }
  else
    cp_promise_link(L, ctx, s, idx, node);
}


void cp_wait_leave (lua_State *L, Promise *s, int idx, int place) {
  if (cp_node_at(L, place)->kind == KIND_SEAT) {
    cp_node_clear(L, place, SLOT_VALUE);
    cp_wait_count_dead(L, s, idx);
  }
  else
    cp_ring_remove(L, s, idx, place);
}


Outcome cp_run_seat (lua_State *L, Promise *node, const Promise *source) {
  Promise *p;
  (void)node;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  p = (Promise *)lua_touserdata(L, AT_WORK);
  if (p == NULL)
    return LEFT;
  cp_node_clear(L, AT_NODE, SLOT_VALUE);
  lua_replace(L, AT_NODE);
  if (cp_context(L)->guarded)
    cp_node_set(L, CONTEXT, CTX_RUNNING, AT_NODE);
  if (p->kind != KIND_AWAIT)
    cp_node_clear(L, AT_NODE, SLOT_SOURCE);
  else if (!cp_wait_dead_thread(L, AT_NODE)) {
    lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
    lua_pushvalue(L, AT_SOURCE);
    cp_wait_set_awaited(L, lua_tothread(L, AT_WORK));
    lua_pop(L, 1);
  }
  if (cp_watch_run(L, cp_context(L), p, source) == SETTLED)
    cp_promise_announce(L, p, AT_NODE);
  return LEFT;
}

/* }================================================================ */
