/*
** trace.c
** See trace.h.  luaL_traceback searches package.loaded for the name of each
** function, up to a hundred microseconds for an error; this walks the stack
** with what lua_getinfo knows.
*/

#include "trace.h"

#include "args.h"

/*
** A record. One that was *thrown* is of an error that unwinds the stack, and
** is taken when that has been caught by the library. One that was *handed on*
** goes with a reason that is thrown again, and may never be taken, since the
** user's pcall can catch it: so the next record replaces it.
*/
enum { RECORD_REASON = 1, RECORD_TRACEBACK, RECORD_OLDER, RECORD_HANDED };

#define TITLE "stack traceback:"
#define LEVELS 22 /* shown of a deep stack: its upper end */


/*
** {================================================================
** The text
** =================================================================
*/

/* What to make of a level. */
typedef enum Frame { FRAME_SHOW, FRAME_SKIP, FRAME_OWN, FRAME_END } Frame;


/* Our own functions are left out, and below a drain or the start of an async
   call nothing belongs to the error. */
static Frame
look_at (lua_State *L, lua_State *from, lua_Debug *ar, const char *own) {
  const lua_CFunction *base;
  lua_CFunction f;
  lua_getinfo(from, "Slnf", ar);
  lua_xmove(from, L, 1);
  f = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  if (f == NULL && own != NULL && strncmp(ar->source, own, strlen(own)) == 0)
    return FRAME_OWN;
  if (f == NULL)
    return FRAME_SHOW;
  for (base = cp_trace_bases; *base != NULL; base++)
    if (f == *base)
      return FRAME_END;
  return ar->name == NULL || cp_args_is_own(f) ? FRAME_SKIP : FRAME_SHOW;
}


static void add_level (lua_State *L, luaL_Buffer *b, const lua_Debug *ar) {
  if (ar->currentline > 0)
    lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  else
    lua_pushfstring(L, "\n\t%s: in ", ar->short_src);
  luaL_addvalue(b);
  if (ar->name != NULL)
    lua_pushfstring(L, "function '%s'", ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, "main chunk");
  else
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  luaL_addvalue(b);
}


/* How the names of our own Lua files start, or NULL: the context holds it. */
static const char *own_prefix (lua_State *L, int context) {
  const char *own;
  lua_getiuservalue(L, context, CTX_OWN);
  own = lua_tostring(L, -1);
  lua_pop(L, 1);
  return own;
}


void cp_trace_push (lua_State *L, int context, lua_State *from, int level) {
  const char *own = own_prefix(L, context);
  luaL_Buffer b;
  lua_Debug ar;
  Frame frame = FRAME_SKIP;
  int shown = 0;
  int in_lua = 0;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, TITLE);
  for (; frame != FRAME_END && lua_getstack(from, level, &ar); level++) {
    if (shown == LEVELS) {
      luaL_addstring(&b, "\n\t...");
      break;
    }
    frame = look_at(L, from, &ar, own);
    if (frame == FRAME_SHOW) {
      add_level(L, &b, &ar);
      shown++;
      in_lua = in_lua || ar.currentline > 0;
    }
    else if (frame == FRAME_OWN && !in_lua) { /* what we called, as 'error' */
      luaL_buffsub(&b, luaL_bufflen(&b) - strlen(TITLE));
      shown = 0;
    }
  }
  luaL_pushresult(&b);
  if (shown == 0) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/* }================================================================ */


/*
** {================================================================
** Errors in flight
** =================================================================
*/

/* Whether a is nil, and b what Lua puts in its place after the message handler
   has seen it, from 5.5 on. */
static int is_replaced (lua_State *L, int a, int b) {
  return LUA_VERSION_NUM >= 505 && lua_isnil(L, a) &&
         lua_type(L, b) == LUA_TSTRING &&
         strcmp(lua_tostring(L, b), "<no error object>") == 0;
}


/* Whether two reasons are the same. NaN is. */
static int same (lua_State *L, int a, int b) {
  return lua_rawequal(L, a, b) ||
         (!lua_rawequal(L, a, a) && !lua_rawequal(L, b, b)) ||
         is_replaced(L, a, b) || is_replaced(L, b, a);
}


/* Push the newest record, or nil; without one that was handed on, unless
   that is of the reason at 'reason'. */
static void push_newest (lua_State *L, int context, int reason) {
  int found;
  if (lua_getiuservalue(L, context, CTX_TRACE) == LUA_TNIL)
    return;
  lua_rawgeti(L, -1, RECORD_REASON);
  found = same(L, lua_gettop(L), reason);
  lua_rawgeti(L, -2, RECORD_HANDED);
  if (lua_toboolean(L, -1) && !found) {
    lua_rawgeti(L, -3, RECORD_OLDER);
    lua_replace(L, -4);
  }
  lua_pop(L, 2);
}


/* Whether the record on the top goes with the reason thrown again. */
static int is_handed (lua_State *L, int reason) {
  int handed;
  if (lua_isnil(L, -1))
    return 0;
  lua_rawgeti(L, -1, RECORD_REASON);
  lua_rawgeti(L, -2, RECORD_HANDED);
  handed = lua_toboolean(L, -1) && same(L, lua_gettop(L) - 1, reason);
  lua_pop(L, 2);
  return handed;
}


/* Make the newest record, of the reason at 'reason' and the traceback on the
   top. [-1, +0, m] */
static void add_record (lua_State *L, int context, int reason, int handed) {
  lua_createtable(L, 4, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, RECORD_TRACEBACK);
  lua_pushvalue(L, reason);
  lua_rawseti(L, -2, RECORD_REASON);
  push_newest(L, context, reason);
  if (is_handed(L, reason)) {
    lua_rawgeti(L, -1, RECORD_OLDER);
    lua_remove(L, -2);
  }
  lua_rawseti(L, -2, RECORD_OLDER);
  lua_pushboolean(L, handed);
  lua_rawseti(L, -2, RECORD_HANDED);
  lua_setiuservalue(L, context, CTX_TRACE);
  ((Context *)lua_touserdata(L, context))->traced = 1;
}


int cp_trace_handler (lua_State *L) {
  lua_settop(L, 1); /* the reason */
  push_newest(L, CONTEXT, 1);
  if (is_handed(L, 1)) { /* unwinds now */
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, RECORD_HANDED);
  }
  else {
    cp_trace_push(L, CONTEXT, L, 1);
    add_record(L, CONTEXT, 1, 0);
  }
  lua_settop(L, 1);
  return 1;
}


int cp_trace_body_handler (lua_State *L) {
  const Context *ctx = cp_context(L);
  if (ctx->drive != NULL && ctx->drive->co == L)
    ctx->drive->call->flags &= (unsigned short)~FLAG_CANCELLED;
  return cp_trace_handler(L);
}


void cp_trace_take (lua_State *L, Context *ctx) {
  int reason = lua_gettop(L);
  if (!ctx->traced) {
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, CONTEXT, CTX_TRACE);
  while (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, RECORD_OLDER);
    lua_rawgeti(L, -2, RECORD_HANDED);
    lua_rawgeti(L, -3, RECORD_REASON);
    /* stack: reason; record; older; whether handed on; its reason */
    if (!lua_toboolean(L, -2) && same(L, lua_gettop(L), reason)) {
      lua_pop(L, 2);
      ctx->traced = (unsigned char)!lua_isnil(L, -1);
      lua_setiuservalue(L, CONTEXT, CTX_TRACE);
      lua_rawgeti(L, -1, RECORD_TRACEBACK);
      lua_remove(L, -2);
      return;
    }
    lua_pop(L, 2);
    lua_remove(L, -2);
  }
}


void cp_trace_reject (lua_State *L, Promise *p, int idx) {
  cp_trace_take(L, cp_context(L));
  lua_setiuservalue(L, idx, SLOT_SOURCE);
  cp_promise_settle(L, p, idx, STATE_REJECTED);
}


void cp_trace_hand_on (lua_State *L, int idx) {
  lua_getiuservalue(L, idx, SLOT_VALUE);
  if (lua_getiuservalue(L, idx, SLOT_SOURCE) == LUA_TSTRING)
    add_record(L, CONTEXT, lua_gettop(L) - 1, 1);
  else
    lua_pop(L, 1);
  lua_pop(L, 1);
}


void cp_trace_keep (lua_State *L, lua_State *from) {
  int reason = lua_gettop(L);
  push_newest(L, CONTEXT, reason);
  if (!is_handed(L, reason)) {
    cp_trace_push(L, CONTEXT, from, 0);
    add_record(L, CONTEXT, reason, 1);
  }
  lua_settop(L, reason);
}


int cp_trace_save (lua_State *L, Context *ctx) {
  if (!ctx->traced)
    return 0;
  lua_getiuservalue(L, CONTEXT, CTX_TRACE);
  cp_trace_clear(L, ctx);
  return 1;
}


void cp_trace_restore (lua_State *L, Context *ctx, int idx) {
  if (lua_isnil(L, idx))
    cp_trace_clear(L, ctx);
  else {
    cp_node_set(L, CONTEXT, CTX_TRACE, idx);
    ctx->traced = 1;
  }
}

/* }================================================================ */


int cp_trace_text (lua_State *L) {
  push_newest(L, 2, 3);
  if (is_handed(L, 3))
    lua_rawgeti(L, -1, RECORD_TRACEBACK);
  else
    cp_trace_push(L, 2, lua_tothread(L, 1), 0);
  return 1;
}


int cp_setOwn (lua_State *L) {
  size_t suffix;
  lua_Debug ar;
  luaL_checklstring(L, 1, &suffix);
  if (!lua_getstack(L, 1, &ar))
    return 0;
  lua_getinfo(L, "S", &ar);
  if (ar.srclen > suffix) {
    lua_pushlstring(L, ar.source, ar.srclen - suffix);
    lua_setiuservalue(L, CONTEXT, CTX_OWN);
  }
  return 0;
}


int cp_traceback (lua_State *L) {
  const Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  if (p->state != STATE_REJECTED)
    return 0;
  lua_getiuservalue(L, 1, SLOT_SOURCE);
  return 1;
}
