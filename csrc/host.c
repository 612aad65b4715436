/*
** host.c
** See host.h.  Whatever a hook does, it runs protected; while the loop's hook
** runs, 'drain' refuses, so that no job runs inside the call that queued it.
*/

#include "host.h"

#include "args.h"
#include "trace.h"


/* How a line on standard error starts. */
typedef enum Head { HEAD_REJECTION, HEAD_ERROR, HEAD_HOOK } Head;

static const char *const heads[] = {
  "cpromise: unhandled rejection: ",
  "cpromise: unhandled error: ",
  "cpromise: error in the hook for that: ",
};


/* (head, reason, traceback or nil): print them. */
static int print_lines (lua_State *L) {
  size_t len;
  const char *reason = luaL_tolstring(L, 2, &len);
  fputs(heads[lua_tointeger(L, 1)], stderr);
  fwrite(reason, 1, len, stderr);
  fputs("\n", stderr);
  if (lua_type(L, 3) == LUA_TSTRING)
    fprintf(stderr, "%s\n", lua_tostring(L, 3));
  fflush(stderr);
  return 0;
}


/* Print the reason and the traceback at 'reason' and above it. */
static void print_report (lua_State *L, int reason, Head head) {
  lua_pushcfunction(L, print_lines);
  lua_pushinteger(L, head);
  lua_pushvalue(L, reason);
  lua_pushvalue(L, reason + 1);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s(a reason that can't be shown)\n", heads[head]);
    lua_pop(L, 1);
  }
}


/* Call the hook on the top. [-1, +0, -] */
static void call_hook (lua_State *L, int reason, int promise, Head head) {
  Context *ctx = cp_context(L);
  int hook = lua_gettop(L);
  cp_trace_push_handler(L);
  lua_insert(L, hook);
  lua_pushvalue(L, reason);
  if (promise != 0)
    lua_pushvalue(L, promise);
  else
    lua_pushnil(L);
  lua_pushvalue(L, reason + 1);
  cp_enter(L, ctx);
  if (lua_pcall(L, 3, 0, hook) != LUA_OK) {
    cp_trace_take(L, ctx);
    /* stack: ...; handler; its error; the traceback of that */
    print_report(L, reason, head);
    print_report(L, hook + 1, HEAD_HOOK);
  }
  cp_leave(L, ctx);
  lua_settop(L, hook - 1);
}


/* As cp_host_report, to the hook in that slot (0: none) of the context. A
   cancellation is news to nobody. */
static void report (lua_State *L, int promise, int hook) {
  Head head = promise != 0 ? HEAD_REJECTION : HEAD_ERROR;
  int reason = lua_gettop(L) - 1;
  if (cp_args_is_tagged(L, reason, CTX_CANCELLATION_MT)) {
    lua_pop(L, 2);
    return;
  }
  if (hook != 0 && lua_getiuservalue(L, CONTEXT, hook) != LUA_TNIL)
    call_hook(L, reason, promise, head);
  else
    print_report(L, reason, head);
  lua_settop(L, reason - 1);
}


void cp_host_report (lua_State *L, int promise) {
  report(L, promise, CTX_ON_UNHANDLED);
}


/* So many rejections that its own code has made are told to the hook at once.
   Those after them are printed, or a hook that always leaves one would be told
   for ever. */
#define OWN_REJECTIONS 100


void cp_host_report_rejections (lua_State *L) {
  Context *ctx = cp_context(L);
  int top = lua_gettop(L);
  size_t known = ctx->rejections.n + OWN_REJECTIONS;
  while (ctx->rejections.n > 0) {
    const Promise *p = cp_queue_pop(L, &ctx->rejections);
    if (!(p->flags & FLAG_HANDLED)) {
      lua_getiuservalue(L, top + 1, SLOT_VALUE);
      lua_getiuservalue(L, top + 1, SLOT_SOURCE); /* the traceback */
      report(L,
        p->kind == KIND_MICROTASK ? 0 : top + 1,
        known > 0 ? CTX_ON_UNHANDLED : 0);
    }
    if (known > 0)
      known--;
    lua_settop(L, top);
  }
}


int cp_report (lua_State *L) {
  lua_settop(L, 2);
  cp_host_report(L, 0);
  return 0;
}


/* Whether a library has been loaded that brings a loop. [-0, +0, -] */
static int has_loop_appeared (lua_State *L) {
  int loaded = lua_gettop(L) + 1;
  int appeared;
  int i;
  lua_getiuservalue(L, CONTEXT, CTX_LOADED);
  lua_getiuservalue(L, CONTEXT, CTX_LIBRARIES);
  appeared = lua_isnil(L, loaded); /* nobody has told of any: it may be so */
  for (i = 1; !appeared; i++) {
    if (lua_rawgeti(L, loaded + 1, i) == LUA_TNIL)
      break;
    appeared = lua_rawget(L, loaded) != LUA_TNIL;
    lua_pop(L, 1);
  }
  lua_settop(L, loaded - 1);
  return appeared;
}


int cp_setLibraries (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_setiuservalue(L, CONTEXT, CTX_LIBRARIES);
  lua_setiuservalue(L, CONTEXT, CTX_LOADED);
  return 0;
}


/* (hook, guard): the coroutine may be closed by the hook. */
static int call_guarded (lua_State *L) {
  lua_toclose(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  lua_closeslot(L, 2);
  return 1;
}


/* The hook has not returned, so far: it is asked again. */
int cp_host_close_wake (lua_State *L) {
  Context *ctx = cp_context(L);
  ctx->draining = ctx->outer_draining;
  ctx->woken = 0;
  ctx->edge = 1;
  return 0;
}


/* Call the loop's hook, on the top. [-1, +1, -] */
static int call_wake (lua_State *L, const Context *ctx) {
  if (L == ctx->main)
    return lua_pcall(L, 0, 1, 0);
  lua_pushcfunction(L, call_guarded);
  lua_insert(L, -2);
  lua_getiuservalue(L, CONTEXT, CTX_WAKE_GUARD);
  return lua_pcall(L, 2, 1, 0);
}


/*
** A hook that raises is asked again at the next entry, and reported once
** until it succeeds.  One that returns false (there is no loop) is asked
** again when more is queued and a library that brings one has been loaded.
*/
void cp_host_call_loop (lua_State *L) {
  Context *ctx = cp_context(L);
  int status;
  ctx->edge = 0;
  if (ctx->loopless && !has_loop_appeared(L))
    return;
  if (lua_getiuservalue(L, CONTEXT, CTX_WAKE) == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  ctx->outer_draining = ctx->draining;
  ctx->draining = ctx->woken = 1;
  status = call_wake(L, ctx);
  ctx->draining = ctx->outer_draining;
  ctx->woken = (unsigned char)(status == LUA_OK && lua_toboolean(L, -1));
  ctx->edge = (unsigned char)(status != LUA_OK);
  ctx->loopless = (unsigned char)(status == LUA_OK && !ctx->woken);
  if (status == LUA_OK)
    ctx->mute = 0;
  else if (!ctx->mute) {
    ctx->mute = 1;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    cp_host_report(L, 0);
  }
  lua_pop(L, 1);
}


void cp_host_sync (lua_State *L) {
  lua_getiuservalue(L, CONTEXT, CTX_SYNC);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    lua_pushnil(L);
    cp_host_report(L, 0);
  }
}


int cp_setWake (lua_State *L) {
  Context *ctx = cp_context(L);
  if (!lua_isnoneornil(L, 1))
    cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_WAKE);
  ctx->loopless = 0;
  if (!ctx->draining) {
    ctx->woken = 0;
    ctx->edge = (unsigned char)(ctx->jobs.n > 0 || ctx->batch > 0 ||
                                ctx->offers > 0 || ctx->rejections.n > 0);
    cp_host_wake(L, ctx);
  }
  return 0;
}


int cp_onUnhandledRejection (lua_State *L) {
  if (!lua_isnoneornil(L, 1))
    cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  lua_getiuservalue(L, CONTEXT, CTX_ON_UNHANDLED);
  lua_insert(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_ON_UNHANDLED);
  return 1;
}
