/*
** watch.c
** See watch.h.
*/

#include "watch.h"

#include "args.h"
#include "trace.h"


static const char *const names[] = {
  [WATCH_JOB] = "job",
  [WATCH_JOB_END] = "job_end",
  [WATCH_CALL] = "call",
  [WATCH_CALL_END] = "call_end",
  [WATCH_SETTLED] = "settled",
  [WATCH_CANCEL] = "cancel",
  [WATCH_TIMER] = "timer",
};


/* (hook, event, promise, ...) */
static int call_hook (lua_State *L) {
  lua_pushstring(L, names[lua_tointeger(L, 2)]);
  lua_replace(L, 2);
  lua_call(L, lua_gettop(L) - 1, 0);
  return 0;
}


/* Nodes are not for Lua. */
static void push_promise (lua_State *L, const Context *ctx, int idx) {
  if (idx != 0 && cp_promise_test(L, ctx, idx) != NULL)
    lua_pushvalue(L, idx);
  else
    lua_pushnil(L);
}


static int has_hook (lua_State *L) {
  int has = lua_getiuservalue(L, CONTEXT, CTX_WATCH) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}


/* Call the hook with what is above 'first': its protection, itself, and the
   arguments. What the running code has left in the context for whoever it
   resumes, or has resumed it, is as before. */
static void call_apart (lua_State *L, Context *ctx, int first) {
  Handover hand = ctx->hand;
  ctx->watched = 0;
  cp_enter(L, ctx);
  lua_pcall(L, lua_gettop(L) - first - 1, 0, 0);
  cp_leave(L, ctx);
  ctx->watched = (unsigned char)has_hook(L);
  ctx->hand = hand;
}


void cp_watch_tell (lua_State *L, WatchEvent event, int promise, int n) {
  Context *ctx = cp_context(L);
  int first = lua_gettop(L) - n + 1;
  if (lua_checkstack(L, LUA_MINSTACK)) {
    if (!cp_trace_save(L, ctx))
      lua_pushnil(L);
    lua_pushcfunction(L, call_hook);
    lua_getiuservalue(L, CONTEXT, CTX_WATCH);
    lua_pushinteger(L, event);
    push_promise(L, ctx, promise);
    lua_rotate(L, first, 5);
    /* stack: errors in flight; call_hook; hook; event; promise; values */
    call_apart(L, ctx, first);
    cp_trace_restore(L, ctx, first);
  }
  lua_settop(L, first - 1);
}


/* Push the code of the program's that the job of the node is going to run, or
   nil. */
static int
push_code (lua_State *L, const Promise *node, const Promise *source) {
  switch ((KindId)node->kind) {
    case KIND_NEXT:
    case KIND_CATCH:
      if ((source->state == STATE_FULFILLED) != (node->kind == KIND_NEXT))
        break;
      return lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
    case KIND_FINALLY:
    case KIND_RESUME:
      return lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
    case KIND_BOTH:
      lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
      return lua_rawgeti(L, -1, source->state == STATE_FULFILLED ? 1 : 2);
    case KIND_THENABLE:
      lua_pushvalue(L, AT_SOURCE); /* its method */
      return LUA_TFUNCTION;
    case KIND_MICROTASK:
      lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
      if (node->flags & FLAG_PACKED)
        return lua_rawgeti(L, -1, 1);
      return lua_type(L, -1);
    default:
      break;
  }
  lua_pushnil(L);
  return LUA_TNIL;
}


/* The job of a node of that kind has run no code of the program's. Tell
   of what it has settled. */
static void tell_settled (lua_State *L, KindId kind, Outcome outcome) {
  int idx = 0;
  if (kind == KIND_ELEMENT || kind == KIND_KEYED)
    idx = AT_WORK; /* the aggregate, or nil */
  else if (outcome == SETTLED && kind != KIND_START && kind != KIND_AWAIT)
    idx = AT_NODE;
  if (idx != 0 && cp_promise_test(L, cp_context(L), idx) != NULL) {
    push_promise(L, cp_context(L), AT_SOURCE);
    cp_watch_tell(L, WATCH_SETTLED, idx, 1);
  }
}


Outcome
cp_watch_told_run (lua_State *L, Promise *node, const Promise *source) {
  KindId kind = (KindId)node->kind;
  Outcome outcome;
  int runs_code = push_code(L, node, source) != LUA_TNIL;
  if (runs_code) {
    push_promise(L, cp_context(L), AT_SOURCE);
    cp_watch_tell(L, WATCH_JOB, AT_NODE, 2);
  }
  lua_settop(L, AT_NEXT);
  if (node->state != STATE_PENDING) /* a finalizer has cancelled it */
    outcome = LEFT;
  else
    outcome = cp_kinds[kind].run(L, node, source);
  if (runs_code)
    cp_watch_tell(L, WATCH_JOB_END, AT_NODE, 0);
  else
    tell_settled(L, kind, outcome);
  return outcome;
}


int cp_setWatch (lua_State *L) {
  if (!lua_isnoneornil(L, 1))
    cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_WATCH);
  cp_context(L)->watched = (unsigned char)has_hook(L);
  return 0;
}


int cp_monotonic (lua_State *L) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  lua_pushinteger(
    L, (lua_Integer)time.tv_sec * 1000000000 + (lua_Integer)time.tv_nsec);
  return 1;
}
