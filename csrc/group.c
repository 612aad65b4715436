/*
** group.c
** See group.h.
*/

#include "group.h"

#include "args.h"
#include "async.h"
#include "cancel.h"
#include "host.h"
#include "trace.h"


typedef struct Group {
  size_t children; /* that have not ended */
  lua_Integer places; /* in the list */
} Group;

enum {
  GROUP_LIST = 1, /* the nodes of the children in order; false: none there */
  GROUP_OWNER,
  GROUP_REJECTED,
  GROUP_IDLE, /* the promise that waits till no child is left, or nil */
  GROUP_SHORT, /* why a child could not be told of: memory; or nil */
  GROUP_SLOTS = GROUP_SHORT
};

/* The list is made shorter when so many places, and
   half of them, are empty. */
#define EMPTY_PLACES 16


static Group *check_group (lua_State *L) {
  return (Group *)cp_args_check_object(L, 1, CLASS_GROUP, "group");
}


int cp_group (lua_State *L) {
  Group *group;
  lua_settop(L, 2);
  group = (Group *)lua_newuserdatauv(L, sizeof(Group), GROUP_SLOTS);
  group->children = 0;
  group->places = 0;
  cp_node_set(L, 3, GROUP_OWNER, 1);
  cp_node_set(L, 3, GROUP_REJECTED, 2);
  lua_newtable(L);
  lua_setiuservalue(L, 3, GROUP_LIST);
  lua_getiuservalue(L, CONTEXT, CTX_CLASS + CLASS_GROUP);
  lua_setmetatable(L, 3);
  return 1;
}


/* Take the empty places out of the list at 'list'. [-0, +0, -] */
static void shorten (lua_State *L, Group *group, int list) {
  lua_Integer i, n = 0;
  for (i = 1; i <= group->places; i++) {
    lua_rawgeti(L, list, i);
    if (lua_isuserdata(L, -1)) {
      cp_node_at(L, -1)->n = (unsigned int)++n;
      lua_rawseti(L, list, n);
    }
    else
      lua_pop(L, 1);
  }
  for (i = n + 1; i <= group->places; i++) {
    lua_pushnil(L);
    lua_rawseti(L, list, i);
  }
  group->places = n;
}


/* Have one place more. [-0, +0, m] */
static lua_Integer add_place (lua_State *L, Group *group) {
  int list = lua_gettop(L) + 1;
  lua_getiuservalue(L, 1, GROUP_LIST);
  if ((size_t)group->places > 2 * group->children + EMPTY_PLACES)
    shorten(L, group, list);
  lua_pushboolean(L, 0);
  lua_rawseti(L, list, group->places + 1);
  lua_pop(L, 1);
  return ++group->places;
}


/* The place is taken first, and the node stands there without a promise
   while the call starts. */
int cp_spawnChild (lua_State *L) {
  enum { GROUP = 1, NODE, FUNCTION };
  Context *ctx = cp_context(L);
  Group *group = check_group(L);
  Promise *node;
  int promise;
  cp_args_check_callable(L, 2);
  node = cp_node_new(L, KIND_CHILD, NODE_SLOTS);
  lua_insert(L, NODE);
  node->n = (unsigned int)add_place(L, group);
  cp_node_set(L, NODE, SLOT_VALUE, GROUP);
  lua_getiuservalue(L, GROUP, GROUP_LIST);
  lua_pushvalue(L, NODE);
  lua_rawseti(L, -2, node->n);
  lua_pop(L, 1);
  cp_async_start(L, FUNCTION);
  promise = lua_gettop(L);
  group->children++;
  cp_promise_link(L, ctx, cp_node_at(L, promise), promise, NODE);
  cp_host_wake(L, ctx);
  return 1;
}


int cp_children (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_group(L)->children);
  return 1;
}


int cp_group_push_children (lua_State *L, int idle) {
  const Group *group;
  int at = lua_gettop(L) + 1;
  lua_Integer i;
  lua_getiuservalue(L, idle, SLOT_SOURCE);
  group = (const Group *)cp_args_test_object(L, at, CLASS_GROUP);
  if (group == NULL) { /* cancelled meanwhile */
    lua_newtable(L);
    lua_replace(L, at);
    return 1;
  }
  lua_getiuservalue(L, at, GROUP_LIST);
  lua_newtable(L);
  for (i = 1; i <= group->places; i++) {
    if (lua_rawgeti(L, at + 1, i) == LUA_TUSERDATA) {
      lua_getiuservalue(L, -1, SLOT_SOURCE);
      lua_rawseti(L, at + 2, (lua_Integer)lua_rawlen(L, at + 2) + 1);
    }
    lua_pop(L, 1);
  }
  lua_replace(L, at);
  lua_settop(L, at);
  return 1;
}


/* Hooks may run jobs, in which children end, and spawn others. */
int cp_askChildren (lua_State *L) {
  const Group *group = check_group(L);
  int told = 0;
  lua_Integer i;
  lua_settop(L, 2);
  cp_cancel_push_carrier(L);
  cp_cancel_need_room(L);
  lua_getiuservalue(L, 1, GROUP_LIST);
  /* stack: group; carrier; list; a node; its promise */
  for (i = 1; i <= group->places; i++) {
    lua_rawgeti(L, 3, i);
    if (lua_isuserdata(L, 4)) {
      lua_getiuservalue(L, 4, SLOT_SOURCE); /* nil: it starts just now */
      if (!lua_isnil(L, 5))
        told |= cp_cancel_child(L, 5, 2);
    }
    lua_settop(L, 3);
  }
  cp_host_wake(L, cp_context(L));
  lua_pushboolean(L, told);
  return 1;
}


int cp_idlePromise (lua_State *L) {
  Promise *p;
  const Group *group = check_group(L);
  cp_args_check_callable(L, 2);
  lua_settop(L, 2);
  p = cp_promise_new(L, KIND_PLAIN);
  p->flags |= FLAG_DIVERTED;
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 2);
  lua_rawseti(L, 4, 1);
  lua_setiuservalue(L, 3, SLOT_VALUE);
  cp_node_set(L, 1, GROUP_IDLE, 3);
  if (group->children == 0) {
    p->flags |= FLAG_EMPTY | FLAG_RESOLVED;
    lua_pushnil(L);
    cp_promise_settle(L, p, 3, STATE_FULFILLED);
  }
  else
    cp_node_set(L, 3, SLOT_SOURCE, 1); /* for who looks at it: see.c */
  return 1;
}


/* No child is left: tell who waits for that. The group is at AT_WORK. */
static void end_idle (lua_State *L) {
  int idx = AT_WORK + 1;
  Promise *p;
  lua_settop(L, AT_WORK);
  lua_getiuservalue(L, AT_WORK, GROUP_IDLE);
  p = cp_promise_test(L, cp_context(L), idx);
  if (p == NULL || !cp_promise_open(p))
    return;
  cp_node_clear(L, AT_WORK, GROUP_IDLE);
  p->flags |= FLAG_RESOLVED;
  cp_node_clear(L, idx, SLOT_SOURCE);
  if (lua_getiuservalue(L, AT_WORK, GROUP_SHORT) == LUA_TNIL) {
    p->flags |= FLAG_EMPTY;
    cp_promise_settle(L, p, idx, STATE_FULFILLED);
  }
  else
    cp_promise_settle(L, p, idx, STATE_REJECTED);
  cp_promise_announce(L, p, idx);
}


/* Nobody else learns of the rejection at AT_SOURCE: let it be reported. */
static void report_later (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *source = cp_node_at(L, AT_SOURCE);
  source->flags &= (unsigned short)~FLAG_HANDLED;
  if (!(source->flags & FLAG_LISTED))
    cp_queue_push_rejection(L, ctx, source, AT_SOURCE);
}


/* The child at AT_SOURCE was rejected. */
static void tell (lua_State *L) {
  lua_getiuservalue(L, AT_WORK, GROUP_REJECTED);
  lua_getiuservalue(L, AT_WORK, GROUP_OWNER);
  lua_getiuservalue(L, AT_SOURCE, SLOT_VALUE);
  lua_pushvalue(L, AT_SOURCE);
  if (lua_pcall(L, 3, 1, AT_HANDLER) != LUA_OK) {
    cp_trace_take(L, cp_context(L));
    lua_pop(L, 1);
    lua_setiuservalue(L, AT_WORK, GROUP_SHORT);
    report_later(L);
  }
  else if (lua_toboolean(L, -1))
    report_later(L);
}


Outcome cp_run_child (lua_State *L, Promise *node, const Promise *source) {
  Group *group;
  (void)source;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  group = (Group *)lua_touserdata(L, AT_WORK);
  lua_getiuservalue(L, AT_WORK, GROUP_LIST);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, node->n);
  lua_pop(L, 1);
  group->children--;
  if (cp_node_at(L, AT_SOURCE)->state == STATE_REJECTED)
    tell(L);
  if (group->children == 0)
    end_idle(L);
  return LEFT;
}
