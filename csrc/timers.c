/*
** timers.c
** See timers.h.
*/

#include "timers.h"


typedef struct List {
  double seconds; /* the duration */
  double due; /* when the first one falls due */
  size_t at; /* its place in the heap; 0: it is empty, and in no heap */
} List;

enum { LIST_FIRST = 1, LIST_LAST, LIST_SLOTS = LIST_LAST };

/* So many empty lists are kept for durations that are used again. */
#define SPARE_LISTS 16


/*
** {================================================================
** The heap: a table of lists, 1 is the first to fall due
** =================================================================
*/

static int is_before (const List *a, const List *b) {
  return a->due != b->due ? a->due < b->due : a->seconds > b->seconds;
}


/* Push the list at that place of the heap, which is at 'heap'. */
static List *push_at (lua_State *L, int heap, size_t i) {
  lua_rawgeti(L, heap, (lua_Integer)i);
  return (List *)lua_touserdata(L, -1);
}


/* Put the list on the top at that place. [-1, +0, -] */
static void put_at (lua_State *L, int heap, size_t i) {
  ((List *)lua_touserdata(L, -1))->at = i;
  lua_rawseti(L, heap, (lua_Integer)i);
}


/* Move the list on the top up from the place i, which is free. [-1, +0, -] */
static void sift_up (lua_State *L, int heap, size_t i) {
  const List *list = (const List *)lua_touserdata(L, -1);
  while (i > 1 && is_before(list, push_at(L, heap, i / 2))) {
    put_at(L, heap, i);
    i /= 2;
  }
  if (i > 1)
    lua_pop(L, 1);
  put_at(L, heap, i);
}


/* Push the first of the two lists below the place i; returns its place, or 0 if
   there is none, with nil. [-0, +1, -] */
static size_t push_child (lua_State *L, int heap, size_t i, size_t n) {
  if (2 * i > n) {
    lua_pushnil(L);
    return 0;
  }
  push_at(L, heap, 2 * i);
  if (2 * i == n)
    return n;
  push_at(L, heap, 2 * i + 1);
  if (is_before((const List *)lua_touserdata(L, -1),
        (const List *)lua_touserdata(L, -2))) {
    lua_remove(L, -2);
    return 2 * i + 1;
  }
  lua_pop(L, 1);
  return 2 * i;
}


/* Move the list on the top down from the place i, which is free. [-1, +0, -] */
static void sift_down (lua_State *L, const Context *ctx, int heap, size_t i) {
  const List *list = (const List *)lua_touserdata(L, -1);
  for (;;) {
    size_t child = push_child(L, heap, i, ctx->lists);
    if (child == 0 || !is_before((const List *)lua_touserdata(L, -1), list))
      break;
    put_at(L, heap, i);
    i = child;
  }
  lua_pop(L, 1);
  put_at(L, heap, i);
}


/* The first list of the heap, at 'list', falls due later now, or not at all.
   [-0, +0, -] */
static void settle_first (lua_State *L, Context *ctx, int heap, int list) {
  List *first = (List *)lua_touserdata(L, list);
  if (lua_getiuservalue(L, list, LIST_FIRST) != LUA_TNIL) {
    lua_pushvalue(L, list);
    sift_down(L, ctx, heap, 1);
  }
  else {
    size_t last = ctx->lists--;
    first->at = 0;
    ctx->spare_lists++;
    push_at(L, heap, last);
    lua_pushnil(L);
    lua_rawseti(L, heap, (lua_Integer)last);
    if (last > 1)
      sift_down(L, ctx, heap, 1);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* }================================================================ */


/*
** {================================================================
** Lists
** =================================================================
*/

/* Forget the lists that are empty. */
static void drop_spare_lists (lua_State *L, Context *ctx, int lists) {
  lua_pushnil(L);
  while (lua_next(L, lists)) {
    if (((List *)lua_touserdata(L, -1))->at == 0) {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, lists); /* an existing field may be cleared */
    }
    lua_pop(L, 1);
  }
  ctx->spare_lists = 0;
}


void cp_timers_push_list (lua_State *L, Context *ctx, double seconds) {
  int lists = lua_gettop(L) + 1;
  List *list;
  lua_getiuservalue(L, CONTEXT, CTX_LISTS);
  lua_pushnumber(L, seconds);
  if (lua_rawget(L, lists) == LUA_TNIL) {
    lua_pop(L, 1);
    if (ctx->spare_lists > SPARE_LISTS)
      drop_spare_lists(L, ctx, lists);
    list = (List *)lua_newuserdatauv(L, sizeof(List), LIST_SLOTS);
    list->seconds = seconds;
    list->at = 0;
    lua_pushnumber(L, seconds);
    lua_pushvalue(L, -2);
    lua_rawset(L, lists);
    ctx->spare_lists++;
  }
  lua_remove(L, lists);
}


/* Put the empty list at 'list' into the heap. [-0, +0, m] */
static void enter_heap (lua_State *L, Context *ctx, int list) {
  int heap = lua_gettop(L) + 1;
  lua_getiuservalue(L, CONTEXT, CTX_HEAP);
  lua_pushvalue(L, list);
  lua_rawseti(L, heap, (lua_Integer)ctx->lists + 1);
  ctx->lists++;
  if (ctx->spare_lists > 0)
    ctx->spare_lists--;
  lua_pushvalue(L, list);
  sift_up(L, heap, ctx->lists);
  lua_pop(L, 1);
}


/* Append the one at 'entry' to the list at 'list'. [-0, +0, -] */
static void enter_list (lua_State *L, int list, int entry) {
  if (lua_getiuservalue(L, list, LIST_LAST) == LUA_TNIL) {
    cp_node_set(L, list, LIST_FIRST, entry);
    lua_getiuservalue(L, entry, SLOT_SOURCE);
    ((List *)lua_touserdata(L, list))->due = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  else
    cp_node_set(L, lua_gettop(L), SLOT_LINK, entry);
  lua_pop(L, 1);
  cp_node_set(L, list, LIST_LAST, entry);
}


void cp_timers_append (lua_State *L, Context *ctx, double due) {
  int entry = lua_gettop(L);
  List *list = (List *)lua_touserdata(L, entry - 1);
  if (list->at == 0) {
    list->due = due;
    enter_heap(L, ctx, entry - 1);
  }
  lua_pushnumber(L, due);
  lua_setiuservalue(L, entry, SLOT_SOURCE);
  enter_list(L, entry - 1, entry);
  ctx->timers++;
  if (cp_node_at(L, entry)->kind != KIND_TIMER)
    ctx->delays++;
  lua_pop(L, 1);
}


/* Push the first one of the list at 'list', and take it out. */
static Promise *unlink_first (lua_State *L, int list) {
  int first = lua_gettop(L) + 1;
  lua_getiuservalue(L, list, LIST_FIRST);
  if (lua_getiuservalue(L, first, SLOT_LINK) == LUA_TNIL)
    cp_node_clear(L, list, LIST_LAST);
  else {
    lua_getiuservalue(L, first + 1, SLOT_SOURCE);
    ((List *)lua_touserdata(L, list))->due = lua_tonumber(L, -1);
    lua_pop(L, 1);
    cp_node_clear(L, first, SLOT_LINK);
  }
  lua_setiuservalue(L, list, LIST_FIRST);
  return cp_node_at(L, first);
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

/* }================================================================ */


int cp_timers_first (lua_State *L, Context *ctx, double *due) {
  int heap = lua_gettop(L) + 1;
  lua_getiuservalue(L, CONTEXT, CTX_HEAP);
  while (ctx->lists > 0) {
    const List *list = push_at(L, heap, 1);
    int dead;
    lua_getiuservalue(L, heap + 1, LIST_FIRST);
    dead = is_dead(L, heap + 2);
    lua_pop(L, 1);
    if (!dead) {
      *due = list->due;
      lua_settop(L, heap - 1);
      return 1;
    }
    unlink_first(L, heap + 1);
    ctx->dead_timers--;
    lua_pop(L, 1);
    settle_first(L, ctx, heap, heap + 1);
    lua_settop(L, heap);
  }
  lua_settop(L, heap - 1);
  return 0;
}


Promise *cp_timers_take (lua_State *L, Context *ctx, double *seconds) {
  int heap = lua_gettop(L) + 1;
  Promise *p;
  cp_assert(ctx->lists > 0);
  lua_getiuservalue(L, CONTEXT, CTX_HEAP);
  *seconds = push_at(L, heap, 1)->seconds;
  p = unlink_first(L, heap + 1);
  settle_first(L, ctx, heap, heap + 1);
  lua_replace(L, heap);
  lua_settop(L, heap);
  if (p->kind != KIND_TIMER)
    ctx->delays--;
  ctx->timers--;
  return p;
}


/* Drop the dead of the list at 'list'. [-0, +0, -] */
static void sweep_list (lua_State *L, int list) {
  int entry = lua_gettop(L) + 1;
  lua_getiuservalue(L, list, LIST_FIRST);
  cp_node_clear(L, list, LIST_FIRST);
  cp_node_clear(L, list, LIST_LAST);
  while (!lua_isnil(L, entry)) {
    lua_getiuservalue(L, entry, SLOT_LINK);
    cp_node_clear(L, entry, SLOT_LINK);
    if (!is_dead(L, entry))
      enter_list(L, list, entry);
    lua_replace(L, entry);
  }
  lua_pop(L, 1);
}


/* Drop all that are dead, and the lists that are empty then. */
static void sweep (lua_State *L, Context *ctx) {
  int heap = lua_gettop(L) + 1;
  size_t n = ctx->lists;
  size_t i;
  lua_getiuservalue(L, CONTEXT, CTX_HEAP);
  ctx->lists = 0;
  for (i = 1; i <= n; i++) {
    List *list = push_at(L, heap, i);
    sweep_list(L, heap + 1);
    lua_pushnil(L);
    lua_rawseti(L, heap, (lua_Integer)i);
    list->at = 0;
    if (lua_getiuservalue(L, heap + 1, LIST_FIRST) != LUA_TNIL) {
      lua_pushvalue(L, heap + 1);
      put_at(L, heap, ++ctx->lists);
    }
    else
      ctx->spare_lists++;
    lua_settop(L, heap);
  }
  for (i = ctx->lists / 2; i >= 1; i--) {
    push_at(L, heap, i);
    sift_down(L, ctx, heap, i);
  }
  lua_pop(L, 1);
  ctx->dead_timers = 0;
}


void cp_timers_count_dead (lua_State *L, Context *ctx, int is_delay) {
  ctx->delays -= (size_t)is_delay;
  ctx->timers--;
  if (ctx->delays == 0 && ctx->armed == ARMED)
    ctx->unsynced = 1;
  if (++ctx->dead_timers > ctx->timers + SPARE_LISTS)
    sweep(L, ctx);
}


void cp_timers_release (lua_State *L, Promise *p, int idx) {
  int node = lua_gettop(L) + 1;
  const Promise *timer;
  cp_assert(p->kind == KIND_LIMIT);
  (void)p;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  timer = cp_node_test(L, node);
  if (timer != NULL) {
    cp_node_clear(L, node, SLOT_VALUE);
    cp_node_clear(L, idx, SLOT_VALUE);
    cp_timers_count_dead(L, cp_context(L), 0);
  }
  lua_settop(L, node - 1);
}
