/*
** timers.c See timers.h.  Lists are numbered from 1. What they are but for
** their entries is in a block of memory that a userdata of the context owns:
** so the heap is plain C. The entries of list i are a chain through
** SLOT_LINK, whose first and last stand in the table CTX_CHAINS at 2i - 1 and
** 2i, or false.
*/

#include "timers.h"


typedef struct List {
  double seconds; /* the duration */
  double due; /* when the first one falls due */
  unsigned int at; /* its place in the heap; 0: it is empty, and in no heap */
  unsigned int spare; /* while it has no duration: the next such one */
} List;

struct TimerBlock {
  unsigned int size; /* lists there is room for */
  unsigned int used; /* lists that have been made */
  unsigned int spare; /* the first that has no duration; 0: none */
  unsigned int empty; /* lists that have a duration, but no entry */
  unsigned int n; /* lists in the heap */
  unsigned int
    *heap; /* from 1: their numbers; [1] is the first to fall due */
  List list[1]; /* from 1 */
};

#define FIRST_SIZE 16

/* So many empty lists are kept for durations that are used again. */
#define EMPTY_LISTS 16

#define FIRST(i) (2 * (lua_Integer)(i)-1)
#define LAST(i) (2 * (lua_Integer)(i))


/*
** {================================================================
** The heap
** =================================================================
*/

static int is_before (const List *a, const List *b) {
  return a->due != b->due ? a->due < b->due : a->seconds > b->seconds;
}


static void put_at (TimerBlock *t, unsigned int list, unsigned int at) {
  t->heap[at] = list;
  t->list[list].at = at;
}


/* Move a list up from its place, or from one that is free. */
static void sift_up (TimerBlock *t, unsigned int list, unsigned int at) {
  while (at > 1 && is_before(&t->list[list], &t->list[t->heap[at / 2]])) {
    put_at(t, t->heap[at / 2], at);
    at /= 2;
  }
  put_at(t, list, at);
}


static void sift_down (TimerBlock *t, unsigned int list, unsigned int at) {
  while (2 * at <= t->n) {
    unsigned int child = 2 * at;
    if (child < t->n &&
        is_before(&t->list[t->heap[child + 1]], &t->list[t->heap[child]]))
      child++;
    if (!is_before(&t->list[t->heap[child]], &t->list[list]))
      break;
    put_at(t, t->heap[child], at);
    at = child;
  }
  put_at(t, list, at);
}

/* }================================================================ */


/*
** {================================================================
** Making lists
** =================================================================
*/

/* Double the block. A finalizer may do it meanwhile. [-0, +0, m] */
static void grow (lua_State *L, Context *ctx) {
  const TimerBlock *old = ctx->block;
  unsigned int size = old == NULL ? FIRST_SIZE : 2 * old->size;
  size_t lists = sizeof(TimerBlock) + size * sizeof(List);
  TimerBlock *t = (TimerBlock *)lua_newuserdatauv(
    L, lists + (size + 1) * sizeof(unsigned int), 0);
  if (ctx->block != old) {
    lua_pop(L, 1);
    return;
  }
  memset(t, 0, sizeof(*t));
  if (old != NULL)
    memcpy(t, old, sizeof(TimerBlock) + old->size * sizeof(List));
  t->heap = (unsigned int *)(void *)((char *)t + lists);
  if (old != NULL)
    memcpy(t->heap, old->heap, (old->n + 1) * sizeof(unsigned int));
  t->size = size;
  lua_setiuservalue(L, CONTEXT, CTX_BLOCK);
  ctx->block = t;
}


/* Have a list without a duration. What needs memory may run finalizers that
   make lists, too: so it is taken first, and lost if that fails.
   [-0, +0, m] */
static unsigned int take_list (lua_State *L, Context *ctx) {
  unsigned int list;
  if (ctx->block != NULL && ctx->block->spare != 0) {
    list = ctx->block->spare;
    ctx->block->spare = ctx->block->list[list].spare;
    return list;
  }
  while (ctx->block == NULL || ctx->block->used == ctx->block->size)
    grow(L, ctx);
  list = ++ctx->block->used;
  lua_getiuservalue(L, CONTEXT, CTX_CHAINS);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, FIRST(list));
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, LAST(list));
  lua_pop(L, 1);
  return list;
}


/* Make the list for the duration, which has none; the table of lists by
   duration is at 'lists'. [-0, +0, m] */
static unsigned int
new_list (lua_State *L, Context *ctx, int lists, double seconds) {
  unsigned int list = take_list(L, ctx);
  lua_pushnumber(L, seconds);
  lua_pushinteger(L, (lua_Integer)list);
  lua_rawset(L, lists);
  ctx->block->list[list].seconds = seconds;
  ctx->block->list[list].at = 0;
  ctx->block->empty++;
  return list;
}


unsigned int cp_timers_list (lua_State *L, Context *ctx, double seconds) {
  int lists = lua_gettop(L) + 1;
  unsigned int list;
  lua_getiuservalue(L, CONTEXT, CTX_LISTS);
  lua_pushnumber(L, seconds);
  if (lua_rawget(L, lists) != LUA_TNIL)
    list = (unsigned int)lua_tointeger(L, -1);
  else
    list = new_list(L, ctx, lists, seconds);
  lua_settop(L, lists - 1);
  return list;
}


/* The list has no entry any more. One that is not kept has no duration. */
static void has_emptied (lua_State *L, TimerBlock *t, unsigned int list) {
  t->list[list].at = 0;
  if (t->empty < EMPTY_LISTS) {
    t->empty++;
    return;
  }
  lua_getiuservalue(L, CONTEXT, CTX_LISTS);
  lua_pushnumber(L, t->list[list].seconds);
  lua_pushnil(L);
  lua_rawset(L, -3); /* clearing a field needs no memory */
  lua_pop(L, 1);
  t->list[list].spare = t->spare;
  t->spare = list;
}

/* }================================================================ */


/*
** {================================================================
** Entries
** =================================================================
*/

/* Append the one at 'entry' to the chain of the list; the chains are at
   'chains'. [-0, +0, -] */
static void enter (
  lua_State *L, TimerBlock *t, int chains, unsigned int list, int entry) {
  lua_rawgeti(L, chains, LAST(list));
  if (lua_isuserdata(L, -1))
    cp_node_set(L, lua_gettop(L), SLOT_LINK, entry);
  else {
    lua_pushvalue(L, entry);
    lua_rawseti(L, chains, FIRST(list));
    lua_getiuservalue(L, entry, SLOT_SOURCE);
    t->list[list].due = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_pushvalue(L, entry);
  lua_rawseti(L, chains, LAST(list));
}


void cp_timers_append (
  lua_State *L, Context *ctx, unsigned int list, double due) {
  TimerBlock *t = ctx->block;
  int entry = lua_gettop(L);
  lua_pushnumber(L, due);
  lua_setiuservalue(L, entry, SLOT_SOURCE);
  lua_getiuservalue(L, CONTEXT, CTX_CHAINS);
  enter(L, t, entry + 1, list, entry);
  if (t->list[list].at == 0) {
    t->empty--;
    t->n++;
    sift_up(t, list, t->n);
  }
  ctx->timers++;
  if (cp_node_at(L, entry)->kind != KIND_TIMER) {
    ctx->delays++;
    ctx->unattended = 1;
  }
  lua_settop(L, entry - 1);
}


/* Whether the delay or node at 'entry' waits no longer. */
static int is_dead (lua_State *L, int entry) {
  const Promise *p = cp_node_at(L, entry);
  int none;
  if (p->kind != KIND_TIMER)
    return p->state != STATE_PENDING;
  none = lua_getiuservalue(L, entry, SLOT_VALUE) == LUA_TNIL;
  lua_pop(L, 1);
  return none;
}


/* Take the one at 'entry', the first of the first list, out. */
static void take_out (lua_State *L, TimerBlock *t, int chains, int entry) {
  unsigned int list = t->heap[1];
  if (lua_getiuservalue(L, entry, SLOT_LINK) != LUA_TNIL) {
    lua_getiuservalue(L, entry + 1, SLOT_SOURCE);
    t->list[list].due = lua_tonumber(L, -1);
    lua_pop(L, 1);
    lua_rawseti(L, chains, FIRST(list));
    cp_node_clear(L, entry, SLOT_LINK);
    sift_down(t, list, 1);
    return;
  }
  lua_pop(L, 1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, chains, FIRST(list));
  lua_pushboolean(L, 0);
  lua_rawseti(L, chains, LAST(list));
  has_emptied(L, t, list);
  if (--t->n > 0)
    sift_down(t, t->heap[t->n + 1], 1);
}


/* Push the chains, and the first one that lives; or push nothing, and return
   0. */
static int push_first (lua_State *L, Context *ctx) {
  TimerBlock *t = ctx->block;
  int chains = lua_gettop(L) + 1;
  int entry = chains + 1;
  lua_getiuservalue(L, CONTEXT, CTX_CHAINS);
  while (t != NULL && t->n > 0) {
    lua_rawgeti(L, chains, FIRST(t->heap[1]));
    if (!is_dead(L, entry))
      return 1;
    take_out(L, t, chains, entry);
    lua_pop(L, 1);
    ctx->dead_timers--;
  }
  lua_pop(L, 1);
  return 0;
}


int cp_timers_first (lua_State *L, Context *ctx, double *due) {
  if (!push_first(L, ctx))
    return 0;
  *due = ctx->block->list[ctx->block->heap[1]].due;
  lua_pop(L, 2);
  return 1;
}


Promise *cp_timers_take (
  lua_State *L, Context *ctx, double time, double limit, double *seconds) {
  int entry = lua_gettop(L) + 2;
  const List *list;
  Promise *p;
  if (!push_first(L, ctx))
    return NULL;
  list = &ctx->block->list[ctx->block->heap[1]];
  p = cp_node_at(L, entry);
  if (list->due > (p->kind == KIND_TIMER ? limit : time)) {
    lua_pop(L, 2);
    return NULL;
  }
  *seconds = list->seconds;
  take_out(L, ctx->block, entry - 1, entry);
  lua_replace(L, entry - 1);
  ctx->timers--;
  if (p->kind != KIND_TIMER)
    ctx->delays--;
  return p;
}

/* }================================================================ */


/*
** {================================================================
** The dead
** =================================================================
*/

/* Drop the dead of a list. Returns whether any lives. */
static int
sweep_list (lua_State *L, TimerBlock *t, int chains, unsigned int list) {
  int entry = chains + 1;
  int lives = 0;
  lua_rawgeti(L, chains, FIRST(list));
  lua_pushboolean(L, 0);
  lua_rawseti(L, chains, FIRST(list));
  lua_pushboolean(L, 0);
  lua_rawseti(L, chains, LAST(list));
  while (!lua_isnil(L, entry)) {
    lua_getiuservalue(L, entry, SLOT_LINK);
    cp_node_clear(L, entry, SLOT_LINK);
    if (!is_dead(L, entry)) {
      enter(L, t, chains, list, entry);
      lives = 1;
    }
    lua_replace(L, entry);
  }
  lua_pop(L, 1);
  return lives;
}


/* Drop all that are dead, and build the heap of what is left. */
static void sweep (lua_State *L, Context *ctx) {
  TimerBlock *t = ctx->block;
  int chains = lua_gettop(L) + 1;
  unsigned int n = t->n;
  unsigned int i;
  lua_getiuservalue(L, CONTEXT, CTX_CHAINS);
  t->n = 0;
  for (i = 1; i <= n; i++) {
    unsigned int list = t->heap[i];
    if (sweep_list(L, t, chains, list))
      put_at(t, list, ++t->n);
    else
      has_emptied(L, t, list);
  }
  for (i = t->n / 2; i >= 1; i--)
    sift_down(t, t->heap[i], i);
  lua_pop(L, 1);
  ctx->dead_timers = 0;
}


void cp_timers_count_dead (lua_State *L, Context *ctx, int is_delay) {
  ctx->delays -= (size_t)is_delay;
  ctx->timers--;
  if (ctx->delays == 0 && ctx->armed == ARMED)
    ctx->unsynced = 1;
  if (++ctx->dead_timers > ctx->timers + FIRST_SIZE)
    sweep(L, ctx);
}


void cp_timers_release (lua_State *L, Promise *p, int idx) {
  int node = lua_gettop(L) + 1;
  cp_assert(p->kind == KIND_LIMIT);
  (void)p;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  if (cp_node_test(L, node) != NULL) {
    cp_node_clear(L, node, SLOT_VALUE);
    cp_node_clear(L, idx, SLOT_VALUE);
    cp_timers_count_dead(L, cp_context(L), 0);
  }
  lua_settop(L, node - 1);
}

/* }================================================================ */
