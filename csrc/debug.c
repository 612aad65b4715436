/*
** debug.c See debug.h.  Nothing here raises: in the debug mode, too, a
** program does what it does without.
*/

#include "debug.h"

#include "args.h"
#include "trace.h"


/*
** {================================================================
** Origins
** =================================================================
*/

/* Push the origin of the promise at 'idx', or nil. 'context' is where the
   context is. [-0, +1, -] */
static void push_origin (lua_State *L, int context, int idx) {
  if (lua_getiuservalue(L, context, CTX_ORIGINS) == LUA_TNIL)
    return;
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}


/* Push the origin of whatever runs now: an async call, or a handler. */
static void push_parent (lua_State *L, int context) {
  const Drive *drive = ((Context *)lua_touserdata(L, context))->drive;
  int parent = lua_gettop(L) + 1;
  if (drive != NULL && lua_checkstack(drive->L, 1)) {
    lua_pushvalue(drive->L, drive->idx);
    if (drive->L != L)
      lua_xmove(drive->L, L, 1);
  }
  else
    lua_getiuservalue(L, context, CTX_PARENT);
  if (lua_isnil(L, parent))
    return;
  push_origin(L, context, parent);
  lua_replace(L, parent);
}


/* (context, promise): note its origin. */
static int note (lua_State *L) {
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, CTX_ORIGINS);
  lua_pushvalue(L, 2);
  cp_trace_push(L, 1, L, 1);
  push_parent(L, 1);
  cp_trace_join(L, 5, 6);
  lua_replace(L, 5);
  lua_settop(L, 5);
  /* stack: context; promise; origins; promise; its origin */
  lua_rawset(L, 3);
  return 0;
}


void cp_debug_note (lua_State *L, int idx) {
  if (!lua_checkstack(L, LUA_MINSTACK))
    return;
  lua_pushcfunction(L, note);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, idx);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    lua_pop(L, 1); /* memory is short: it has none */
}


void cp_debug_enter (lua_State *L, int idx) {
  if (idx != 0)
    lua_pushvalue(L, idx);
  else
    lua_pushnil(L);
  lua_setiuservalue(L, CONTEXT, CTX_PARENT);
}


/* (context, promise) -> its traceback, if it was rejected, with its origin */
static int join (lua_State *L) {
  lua_settop(L, 2);
  lua_getiuservalue(L, 2, SLOT_SOURCE);
  push_origin(L, 1, 2);
  cp_trace_join(L, 3, 4);
  return 1;
}


void cp_debug_push_traceback (lua_State *L, int idx) {
  if (!cp_context(L)->debug) {
    lua_getiuservalue(L, idx, SLOT_SOURCE);
    return;
  }
  lua_pushcfunction(L, join);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, idx);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_getiuservalue(L, idx, SLOT_SOURCE);
  }
}


void cp_debug_push_origin (lua_State *L, int idx) {
  push_origin(L, CONTEXT, idx);
}


int cp_traceback (lua_State *L) {
  const Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  if (p->state != STATE_REJECTED)
    return 0;
  cp_debug_push_traceback(L, 1);
  return 1;
}


int cp_origin (lua_State *L) {
  cp_args_check_promise(L, cp_context(L), 1);
  lua_settop(L, 1);
  cp_debug_push_origin(L, 1);
  return 1;
}

/* }================================================================ */


/*
** {================================================================
** Warnings
** =================================================================
*/

/* (context, promise or nil, what, position): print a warning. */
static int print_warning (lua_State *L) {
  lua_settop(L, 4);
  if (!lua_isnil(L, 2)) {
    push_origin(L, 1, 2);
    cp_trace_push_first(L, 5);
    lua_replace(L, 2);
    lua_settop(L, 4);
  }
  fprintf(stderr,
    "cpromise: warning: %s%s%s%s\n",
    lua_tostring(L, 4),
    lua_tostring(L, 3),
    lua_isnil(L, 2) ? "" : "; made at ",
    lua_isnil(L, 2) ? "" : lua_tostring(L, 2));
  fflush(stderr);
  return 0;
}


/* The same, protected, for the position on the top. [-1, +0, -] */
static void warn (lua_State *L, int idx, const char *what) {
  int position = lua_gettop(L);
  lua_pushcfunction(L, print_warning);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, idx);
  lua_pushstring(L, what);
  lua_pushvalue(L, position);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  lua_settop(L, position - 1);
}


void cp_debug_warn (lua_State *L, int idx, const char *what) {
  cp_args_push_position(L);
  warn(L, idx, what);
}


void cp_debug_check_handler (lua_State *L, int self, int idx) {
  const Context *ctx = cp_context(L);
  if (!ctx->debug || lua_isnoneornil(L, idx))
    return;
  cp_debug_warn(L,
    self,
    cp_promise_test(L, ctx, idx) != NULL
      ? "a promise was given for a handler, and is ignored: return it from "
        "a function"
      : "what was given for a handler is not callable, and is ignored");
}


/* (context, call): warn of an async call that is lost. */
static int look_at_lost (lua_State *L) {
  const Promise *p = cp_node_at(L, 2);
  if (p->state == STATE_PENDING) {
    lua_getiuservalue(L, 2, SLOT_VALUE);
    if (lua_isthread(L, 3) && /* not closed: this runs in a finalizer */
        cp_trace_where_of(L, 1, lua_tothread(L, 3)) > 0 &&
        lua_isstring(L, 4)) { /* (nor has another finalizer ended it) */
      lua_pushfstring(L, "%s: ", lua_tostring(L, 4));
      lua_replace(L, 4);
      lua_settop(L, 4);
    }
    else {
      lua_settop(L, 3); /* a finalizer has closed it, or it follows */
      lua_pushliteral(L, "");
    }
    lua_pushcfunction(L, print_warning);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushliteral(L, "an async call waits here that never ended");
  }
  else {
    lua_settop(L, 3);
    lua_pushliteral(L, "");
    lua_pushcfunction(L, print_warning);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushliteral(L, "nobody looked at the results of an async call");
  }
  lua_pushvalue(L, 4);
  lua_call(L, 4, 0);
  return 0;
}


/* Whether the function is of the library's own Lua
   files. The context is at 1. */
static int is_own (lua_State *L, const lua_Debug *ar) {
  const char *own;
  lua_getiuservalue(L, 1, CTX_OWN);
  own = lua_tostring(L, -1);
  lua_pop(L, 1); /* the context holds it */
  return own != NULL && strncmp(ar->source, own, strlen(own)) == 0;
}


/* (context, promise, method 'next'): warn that nobody will call back. */
static int look_at_unanswered (lua_State *L) {
  lua_Debug ar;
  lua_settop(L, 3);
  lua_pushcfunction(L, print_warning);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_pushliteral(L,
    "a promise waits for ever for an object whose method 'next' took its two "
    "functions and has called neither");
  lua_pushvalue(L, 3);
  if (lua_getinfo(L, ">S", &ar) && *ar.what != 'C' && !is_own(L, &ar))
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.linedefined);
  else
    lua_pushliteral(L, "");
  lua_call(L, 4, 0);
  return 0;
}


/* __gc of the witness below: the two functions are garbage. */
static int collect_witness (lua_State *L) {
  const Promise *p;
  int is_held;
  lua_settop(L, 1);
  lua_pushcfunction(L, look_at_unanswered);
  lua_pushvalue(L, CONTEXT);
  lua_getiuservalue(L, 1, 1);
  lua_getiuservalue(L, 1, 2);
  p = cp_node_at(L, 4);
  lua_getiuservalue(L, 4, SLOT_VALUE);
  is_held = lua_rawequal(L, -1, lua_upvalueindex(2));
  if (p->state != STATE_PENDING || p->kind != KIND_PLAIN)
    is_held = 0; /* this is a finalizer: it may have settled long ago */
  lua_pop(L, 1);
  if (is_held && lua_pcall(L, 3, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  return 0;
}


void cp_debug_push_witness (lua_State *L, int idx, int token, int method) {
  lua_newuserdatauv(L, 0, 2);
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, method);
  lua_setiuservalue(L, -2, 2);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, token);
  lua_pushcclosure(L, collect_witness, 2);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}


/* __gc of promises, while the debug mode is on. */
static int collect (lua_State *L) {
  const Promise *p = cp_promise_test(L, cp_context(L), 1);
  if (p == NULL || !p->is_call || p->is_ignored)
    return 0;
  if (p->state == STATE_REJECTED)
    return 0; /* that was reported */
  if (p->state == STATE_FULFILLED && p->flags & (FLAG_HANDLED | FLAG_EMPTY))
    return 0;
  lua_settop(L, 1);
  lua_pushcfunction(L, look_at_lost);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  return 0;
}

/* }================================================================ */


/* A new table with weak keys. */
static void push_weak_table (lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}


int cp_debug (lua_State *L) {
  Context *ctx = cp_context(L);
  int was_on = ctx->debug;
  if (!lua_isnone(L, 1)) {
    int on = lua_toboolean(L, 1);
    if (on && !was_on)
      push_weak_table(L);
    else
      lua_getiuservalue(L, CONTEXT, CTX_ORIGINS);
    if (on) {
      lua_pushvalue(L, CONTEXT);
      lua_pushcclosure(L, collect, 1);
    }
    else
      lua_pushnil(L);
    lua_setfield(L, PROMISE_MT, "__gc");
    if (!on) {
      lua_pushnil(L);
      lua_replace(L, -2);
    }
    lua_setiuservalue(L, CONTEXT, CTX_ORIGINS);
    cp_debug_enter(L, 0);
    ctx->debug = (unsigned char)on;
  }
  lua_pushboolean(L, was_on);
  return 1;
}
