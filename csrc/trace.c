/*
** trace.c
** See trace.h.  luaL_traceback searches package.loaded for the name of each
** function, up to a hundred microseconds for an error; this walks the stack
** with what lua_getinfo knows.
*/

#include "trace.h"

#include "args.h"

enum { RECORD_REASON = 1, RECORD_TRACEBACK, RECORD_OLDER };

#define LEVELS 22 /* shown of a deep stack: its upper end */


/* Its address is the key of the context in the registry. */
static const char registry_key = 0;


void cp_trace_open (lua_State *L, int context) {
  lua_pushvalue(L, context);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
}


/*
** {================================================================
** The text
** =================================================================
*/

/* What to make of a level. */
typedef enum Frame { FRAME_SHOW, FRAME_SKIP, FRAME_END } Frame;


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
    return FRAME_SKIP;
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
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "stack traceback:");
  for (; frame != FRAME_END && lua_getstack(from, level, &ar); level++) {
    if (shown == LEVELS) {
      luaL_addstring(&b, "\n\t...");
      break;
    }
    frame = look_at(L, from, &ar, own);
    if (frame == FRAME_SHOW) {
      add_level(L, &b, &ar);
      shown++;
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

/* Replace the traceback on the top by its record. */
static void make_record (lua_State *L, int context, int reason, int older) {
  lua_createtable(L, 3, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, RECORD_TRACEBACK);
  lua_pushvalue(L, reason);
  lua_rawseti(L, -2, RECORD_REASON);
  if (older)
    lua_getiuservalue(L, context, CTX_TRACE);
  else
    lua_pushnil(L);
  lua_rawseti(L, -2, RECORD_OLDER);
}


/* Push the newest record if it is of the reason on the top. */
static int find_newest (lua_State *L, int context) {
  int same;
  if (lua_getiuservalue(L, context, CTX_TRACE) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  lua_rawgeti(L, -1, RECORD_REASON);
  same = lua_rawequal(L, -1, -3);
  lua_pop(L, same ? 1 : 2);
  return same;
}


int cp_trace_handler (lua_State *L) {
  lua_settop(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key) != LUA_TNIL) {
    lua_pushvalue(L, 1);
    if (!find_newest(L, 2)) {
      cp_trace_push(L, 2, L, 1);
      make_record(L, 2, 1, 1);
      lua_setiuservalue(L, 2, CTX_TRACE);
      ((Context *)lua_touserdata(L, 2))->traced = 1;
    }
  }
  lua_settop(L, 1);
  return 1;
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
    lua_rawgeti(L, -2, RECORD_REASON);
    /* stack: reason; ...; record; older; its reason */
    if (lua_rawequal(L, -1, reason)) {
      lua_pop(L, 1);
      ctx->traced = (unsigned char)!lua_isnil(L, -1);
      lua_setiuservalue(L, CONTEXT, CTX_TRACE);
      lua_rawgeti(L, -1, RECORD_TRACEBACK);
      lua_remove(L, -2);
      return;
    }
    lua_pop(L, 1);
    lua_remove(L, -2);
  }
}


void cp_trace_reject (lua_State *L, Promise *p, int idx) {
  cp_trace_take(L, cp_context(L));
  lua_setiuservalue(L, idx, SLOT_SOURCE);
  cp_promise_settle(L, p, idx, STATE_REJECTED);
}


void cp_trace_hand_on (lua_State *L, int idx) {
  if (lua_getiuservalue(L, idx, SLOT_SOURCE) == LUA_TSTRING) {
    lua_getiuservalue(L, idx, SLOT_VALUE);
    lua_insert(L, -2);
    make_record(L, CONTEXT, lua_gettop(L) - 1, 0);
    lua_setiuservalue(L, CONTEXT, CTX_TRACE);
    cp_context(L)->traced = 1;
  }
  lua_pop(L, 1);
}


void cp_trace_keep (lua_State *L, lua_State *from) {
  int reason = lua_gettop(L);
  cp_trace_push(L, CONTEXT, from, 0);
  make_record(L, CONTEXT, reason, 0);
  lua_setiuservalue(L, CONTEXT, CTX_TRACE);
  cp_context(L)->traced = 1;
}

/* }================================================================ */


int cp_trace_text (lua_State *L) {
  cp_trace_push(L, 2, lua_tothread(L, 1), 0);
  return 1;
}


int cp_setOwn (lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_OWN);
  return 0;
}


int cp_traceback (lua_State *L) {
  const Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  if (p->state != STATE_REJECTED)
    return 0;
  lua_getiuservalue(L, 1, SLOT_SOURCE);
  return 1;
}
