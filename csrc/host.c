/*
** host.c
** See host.h.  Whatever a hook does, it runs protected; while the loop's hook
** runs, 'drain' refuses, so that no job runs inside the call that queued it.
*/

#include "host.h"

#include "args.h"
#include "debug.h"
#include "trace.h"


/* How a line on standard error starts. */
typedef enum Head {
  HEAD_REJECTION,
  HEAD_ERROR,
  HEAD_HANDLED,
  HEAD_HOOK
} Head;

static const char *const heads[] = {
  "cpromise: unhandled rejection: ",
  "cpromise: unhandled error: ",
  "cpromise: handled after it was reported: ",
  "cpromise: error in the hook for that: ",
};


/* (context, head, reason, traceback or nil): print them, as the program's Lua
   side shows them; without that, plainly. */
static int print_lines (lua_State *L) {
  size_t len;
  const char *text;
  if (lua_getiuservalue(L, 1, CTX_SHOW) == LUA_TNIL) {
    luaL_tolstring(L, 3, NULL);
    lua_pushfstring(L, lua_isnil(L, 4) ? "" : "\n%s", lua_tostring(L, 4));
    lua_concat(L, 2);
  }
  else {
    lua_rotate(L, 3, 1);
    lua_call(L, 2, 1);
  }
  text = luaL_checklstring(L, lua_gettop(L), &len);
  fputs(heads[lua_tointeger(L, 2)], stderr);
  fwrite(text, 1, len, stderr);
  fputs("\n", stderr);
  fflush(stderr);
  return 0;
}


/* Print the reason and the traceback at 'reason' and above it. */
static void print_report (lua_State *L, int reason, Head head) {
  lua_pushcfunction(L, print_lines);
  lua_pushvalue(L, CONTEXT);
  lua_pushinteger(L, head);
  lua_pushvalue(L, reason);
  lua_pushvalue(L, reason + 1);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s(a reason that can't be shown)\n", heads[head]);
    lua_pop(L, 1);
  }
}


/* Call the hook on the top for what stands at 'reason' and above. If that
   fails, it is reported in the place of the hook, and why it failed.
   [-1, +0, -] */
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
   Those after them are printed, or a hook that always leaves one would be
   told for ever. */
#define OWN_REJECTIONS 100


/* Report p, at 'idx', which is rejected and unhandled. */
static void report_rejection (lua_State *L, Promise *p, int idx, int hook) {
  int is_promise = p->kind != KIND_MICROTASK;
  if (is_promise)
    p->flags |= FLAG_REPORTED;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  cp_debug_push_traceback(L, idx);
  report(L, is_promise ? idx : 0, hook);
}


/* Tell that p, at 'idx', was reported, but is handled now. */
static void tell_handled (lua_State *L, Promise *p, int idx) {
  p->flags &= (unsigned short)~FLAG_REPORTED;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  if (lua_getiuservalue(L, CONTEXT, CTX_ON_HANDLED) != LUA_TNIL)
    call_hook(L, idx + 1, idx, HEAD_HANDLED);
}


void cp_host_report_rejections (lua_State *L) {
  Context *ctx = cp_context(L);
  int idx = lua_gettop(L) + 1;
  size_t known = ctx->rejections.n + OWN_REJECTIONS;
  while (ctx->rejections.n > 0) {
    Promise *p = cp_queue_pop(L, &ctx->rejections);
    if (cp_queue_is_news(p))
      report_rejection(L, p, idx, known > 0 ? CTX_ON_UNHANDLED : 0);
    else if (p->flags & FLAG_REPORTED && p->flags & FLAG_HANDLED)
      tell_handled(L, p, idx);
    if (known > 0)
      known--;
    lua_settop(L, idx - 1);
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


/* Keep the hook that is argument 1 in that slot; returns the previous one. */
static int set_hook (lua_State *L, int slot) {
  if (!lua_isnoneornil(L, 1))
    cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  lua_getiuservalue(L, CONTEXT, slot);
  lua_insert(L, 1);
  lua_setiuservalue(L, CONTEXT, slot);
  return 1;
}


int cp_onUnhandledRejection (lua_State *L) {
  return set_hook(L, CTX_ON_UNHANDLED);
}


int cp_onRejectionHandled (lua_State *L) {
  return set_hook(L, CTX_ON_HANDLED);
}


int cp_ignore (lua_State *L) {
  Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  p->is_ignored = 1;
  lua_settop(L, 1);
  return 1;
}


int cp_setShow (lua_State *L) {
  return set_hook(L, CTX_SHOW);
}


int cp_hasText (lua_State *L) {
  lua_pushboolean(L, luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL);
  return 1;
}
