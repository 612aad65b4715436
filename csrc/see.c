/*
** see.c
** See see.h.
*/

#include "see.h"

#include "group.h"
#include "line.h"
#include "trace.h"
#include "wait.h"


/*
** {================================================================
** What a promise waits for
** =================================================================
*/

enum { LOOK_AT = 1, LOOK_SOURCES };

/* What pending promises are called. */
static const char *const names[KIND_COUNT] = {
  [KIND_PLAIN] = "promise",
  [KIND_WAITER] = "wait",
  [KIND_SENDER] = "send",
  [KIND_DELAY] = "delay",
  [KIND_NEXT] = "next",
  [KIND_CATCH] = "catch",
  [KIND_BOTH] = "next",
  [KIND_PASS] = "next",
  [KIND_SHIELD] = "shield",
  [KIND_LIMIT] = "timeout",
  [KIND_FINALLY] = "finally",
  [KIND_FINALLY_WAIT] = "finally",
  [KIND_FINALLY_END] = "finally",
  [KIND_ADOPT] = "next",
  [KIND_THENABLE] = "thenable",
  [KIND_ALL] = "all",
  [KIND_ALL_SETTLED] = "allSettled",
  [KIND_ANY] = "any",
  [KIND_RACE] = "race",
  [KIND_SELECT] = "select",
  [KIND_START] = "call",
  [KIND_AWAIT] = "call",
};


/* Add the value on the top to the sources. [-1, +0, m] */
static void add_source (lua_State *L) {
  lua_rawseti(L, LOOK_SOURCES, (lua_Integer)lua_rawlen(L, LOOK_SOURCES) + 1);
}


/* The promises of the elements of an aggregate that are missing. */
static void add_elements (lua_State *L) {
  int table = lua_gettop(L) + 1;
  lua_getiuservalue(L, LOOK_AT, SLOT_VALUE);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (cp_node_test(L, table + 2) != NULL) {
      lua_getiuservalue(L, table + 2, SLOT_SOURCE);
      add_source(L);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}


/* Whether the pending call at 'idx' waits, or is still to start: while it
   runs, what stands on the stack of its coroutine is its own. */
static int is_suspended (lua_State *L, int idx) {
  lua_State *co;
  lua_Debug ar;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  co = lua_tothread(L, -1);
  lua_pop(L, 1);
  return co != NULL &&
         (lua_status(co) == LUA_YIELD ||
           (lua_status(co) == LUA_OK && !lua_getstack(co, 0, &ar)));
}


/* Add what the pending p waits for. Returns how many more results are on the
   top. */
static int add_sources (lua_State *L, const Promise *p) {
  switch ((KindId)p->kind) {
    case KIND_ALL:
    case KIND_ALL_SETTLED:
    case KIND_ANY:
    case KIND_RACE:
    case KIND_SELECT:
      add_elements(L);
      lua_pushinteger(L, (lua_Integer)p->n);
      return 1;
    case KIND_WAITER:
    case KIND_SENDER:
      lua_getiuservalue(L, LOOK_AT, SLOT_SOURCE);
      add_source(L);
      return 0;
    case KIND_DELAY:
      lua_getiuservalue(L, LOOK_AT, SLOT_SOURCE);
      return 1;
    case KIND_FINALLY_WAIT:
    case KIND_FINALLY_END:
      lua_getiuservalue(L, LOOK_AT, SLOT_SOURCE);
      add_source(L);
      return 0;
    default:
      if ((p->kind == KIND_AWAIT || p->kind == KIND_START) &&
          !is_suspended(L, LOOK_AT))
        return 0; /* it runs */
      if (cp_wait_source(L, p, LOOK_AT) != NULL) {
        add_source(L);
        lua_pop(L, 1);
      }
      if (p->kind != KIND_START && p->kind != KIND_AWAIT)
        return 0;
      lua_getiuservalue(L, LOOK_AT, SLOT_VALUE);
      return 1;
  }
}


static int look_at_promise (lua_State *L, const Promise *p) {
  if (p->state != STATE_PENDING) {
    lua_pushstring(L, p->state == STATE_FULFILLED ? "fulfilled" : "rejected");
    lua_pushvalue(L, LOOK_SOURCES);
    return 2;
  }
  if (p->kind == KIND_PLAIN && p->flags & FLAG_DIVERTED) {
    lua_pushliteral(L, "group");
    return 1 + cp_group_push_children(L, LOOK_AT);
  }
  if (p->kind == KIND_PLAIN && p->flags & FLAG_RESOLVED)
    lua_pushliteral(L, "thenable"); /* its method has been called */
  else {
    cp_assert(names[p->kind] != NULL);
    lua_pushstring(L, names[p->kind]);
  }
  lua_pushvalue(L, LOOK_SOURCES);
  return 2 + add_sources(L, p);
}


int cp_look (lua_State *L) {
  const Promise *p = cp_promise_test(L, cp_context(L), LOOK_AT);
  lua_settop(L, LOOK_AT);
  lua_newtable(L);
  if (p != NULL)
    return look_at_promise(L, p);
  if (cp_line_push_text(L, LOOK_AT)) {
    lua_pushliteral(L, "place");
    lua_pushvalue(L, LOOK_SOURCES);
    lua_pushvalue(L, LOOK_SOURCES + 1);
    return 3;
  }
  return 0;
}


int cp_where (lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  return co != NULL ? cp_trace_where(L, co) : 0;
}

/* }================================================================ */


/*
** {================================================================
** All that can be reached
** =================================================================
*/

enum { WALK_SEEN = 1, WALK_LIST, WALK_CALLS, WALK_PERMITS, WALK_AT };


/* Have the object on the top looked at, once. [-1, +0, m] */
static void visit (lua_State *L) {
  int type = lua_type(L, -1);
  if (type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TTHREAD ||
      type == LUA_TUSERDATA) {
    lua_pushvalue(L, -1);
    if (lua_rawget(L, WALK_SEEN) == LUA_TNIL) {
      lua_pushvalue(L, -2);
      lua_pushboolean(L, 1);
      lua_rawset(L, WALK_SEEN);
      lua_pushvalue(L, -2);
      lua_rawseti(L, WALK_LIST, (lua_Integer)lua_rawlen(L, WALK_LIST) + 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}


static void visit_metatable (lua_State *L) {
  if (lua_getmetatable(L, WALK_AT))
    visit(L);
}


static void visit_table (lua_State *L) {
  visit_metatable(L);
  lua_pushnil(L);
  while (lua_next(L, WALK_AT)) {
    visit(L);
    lua_pushvalue(L, -1);
    visit(L);
  }
}


static void visit_function (lua_State *L) {
  int i;
  for (i = 1; lua_getupvalue(L, WALK_AT, i) != NULL; i++)
    visit(L);
}


static void visit_userdata (lua_State *L) {
  int i;
  visit_metatable(L);
  for (i = 1; lua_getiuservalue(L, WALK_AT, i) != LUA_TNONE; i++)
    visit(L);
  lua_pop(L, 1);
}


/* The value on the top of a coroutine, which looks at L. [-1, +0, m] */
static void visit_of (lua_State *L, lua_State *co) {
  if (co != L)
    lua_xmove(co, L, 1);
  visit(L);
}


/* The same for a local variable: it may hold a permit. */
static void visit_local (lua_State *L, lua_State *co) {
  if (co != L)
    lua_xmove(co, L, 1);
  if (cp_line_push_semaphore(L, lua_gettop(L))) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, WALK_AT);
    lua_rawseti(L, -2, 2);
    lua_rawseti(
      L, WALK_PERMITS, (lua_Integer)lua_rawlen(L, WALK_PERMITS) + 1);
  }
  visit(L);
}


static void visit_thread (lua_State *L) {
  lua_State *co = lua_tothread(L, WALK_AT);
  lua_Debug ar;
  int level, i;
  if (!lua_checkstack(co, LUA_MINSTACK))
    return;
  for (level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "f", &ar);
    visit_of(L, co);
    for (i = 1; lua_getlocal(co, &ar, i) != NULL; i++)
      visit_local(L, co);
    for (i = -1; lua_getlocal(co, &ar, i) != NULL; i--)
      visit_of(L, co);
  }
  for (i = 1; level == 0 && i <= lua_gettop(co); i++) { /* not started */
    lua_pushvalue(co, i);
    visit_of(L, co);
  }
}


/* Note it if it is a suspended call. */
static void collect (lua_State *L) {
  const Promise *p = cp_promise_test(L, cp_context(L), WALK_AT);
  if (p != NULL && p->state == STATE_PENDING &&
      (p->kind == KIND_AWAIT || p->kind == KIND_START) &&
      is_suspended(L, WALK_AT)) {
    lua_pushvalue(L, WALK_AT);
    lua_rawseti(L, WALK_CALLS, (lua_Integer)lua_rawlen(L, WALK_CALLS) + 1);
  }
}


static void look_around (lua_State *L) {
  switch (lua_type(L, WALK_AT)) {
    case LUA_TTABLE:
      visit_table(L);
      return;
    case LUA_TFUNCTION:
      visit_function(L);
      return;
    case LUA_TTHREAD:
      visit_thread(L);
      return;
    default:
      collect(L);
      visit_userdata(L);
  }
}


static int walk (lua_State *L) {
  lua_Integer i;
  lua_settop(L, 0);
  for (i = WALK_SEEN; i <= WALK_PERMITS; i++)
    lua_newtable(L);
  for (i = WALK_SEEN; i <= WALK_PERMITS; i++) { /* they are no part of it */
    lua_pushvalue(L, (int)i);
    lua_pushboolean(L, 1);
    lua_rawset(L, WALK_SEEN);
  }
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  visit(L);
  lua_pushthread(L);
  visit(L);
  for (i = 1; lua_rawgeti(L, WALK_LIST, i) != LUA_TNIL; i++) {
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    look_around(L);
    lua_settop(L, WALK_PERMITS);
  }
  lua_settop(L, WALK_PERMITS);
  return 2;
}


/* While it walks no finalizer may change what it looks at. */
int cp_calls (lua_State *L) {
  int is_running = lua_gc(L, LUA_GCISRUNNING);
  int status;
  lua_settop(L, 0);
  lua_pushvalue(L, CONTEXT);
  lua_pushcclosure(L, walk, 1);
  lua_gc(L, LUA_GCSTOP);
  status = lua_pcall(L, 0, 2, 0);
  if (is_running)
    lua_gc(L, LUA_GCRESTART);
  return status == LUA_OK ? 2 : lua_error(L);
}

/* }================================================================ */
