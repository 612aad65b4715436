/*
** module.c
** The module cpromise.core: what Lua sees of the core.
*/

#include "args.h"
#include "async.h"
#include "await.h"
#include "cancel.h"
#include "clock.h"
#include "combine.h"
#include "construct.h"
#include "debug.h"
#include "generator.h"
#include "group.h"
#include "host.h"
#include "job.h"
#include "line.h"
#include "reaction.h"
#include "resolve.h"
#include "see.h"
#include "trace.h"
#include "wait.h"
#include "watch.h"

CP_EXPORT int luaopen_cpromise_core (lua_State *L);


const Kind cp_kinds[KIND_COUNT] = {
  [KIND_PLAIN] = {NULL, cp_ask_plain, NULL},
  [KIND_WAITER] = {NULL, cp_ask_waiter, NULL},
  [KIND_SENDER] = {NULL, cp_ask_waiter, NULL},
  [KIND_DELAY] = {NULL, cp_ask_delay, NULL},
  [KIND_NEXT] = {cp_run_next, cp_ask_derived, NULL},
  [KIND_CATCH] = {cp_run_catch, cp_ask_derived, NULL},
  [KIND_BOTH] = {cp_run_both, cp_ask_derived, NULL},
  [KIND_PASS] = {cp_run_pass, cp_ask_derived, NULL},
  [KIND_SHIELD] = {cp_run_pass, cp_ask_derived, NULL},
  [KIND_LIMIT] = {cp_run_limit, cp_ask_derived, NULL},
  [KIND_FINALLY] = {cp_run_finally, cp_ask_finally, NULL},
  [KIND_FINALLY_WAIT] = {cp_run_finally_wait, cp_ask_finally_done, NULL},
  [KIND_FINALLY_END] = {cp_run_finally_end, cp_ask_finally_done, NULL},
  [KIND_ADOPT] = {cp_run_adopt, cp_ask_derived, NULL},
  [KIND_THENABLE] = {cp_run_thenable, cp_ask_thenable, NULL},
  [KIND_ALL] = {NULL, cp_ask_aggregate, NULL},
  [KIND_ALL_SETTLED] = {NULL, cp_ask_aggregate, NULL},
  [KIND_ANY] = {NULL, cp_ask_aggregate, NULL},
  [KIND_RACE] = {NULL, cp_ask_aggregate, NULL},
  [KIND_SELECT] = {NULL, cp_ask_aggregate, NULL},
  [KIND_ELEMENT] = {cp_run_element, NULL, cp_dead_element},
  [KIND_KEYED] = {cp_run_element, NULL, cp_dead_element},
  [KIND_CHILD] = {cp_run_child, NULL, NULL},
  [KIND_MICROTASK] = {cp_run_microtask, NULL, NULL},
  [KIND_TIMER] = {NULL, NULL, NULL},
  [KIND_SEAT] = {cp_run_seat, NULL, cp_wait_dead_seat},
  [KIND_RESUME] = {cp_run_resume, NULL, cp_wait_dead_thread},
  [KIND_START] = {cp_run_start, cp_ask_call, NULL},
  [KIND_AWAIT] = {cp_run_await, cp_ask_call, cp_wait_dead_thread},
};


const lua_CFunction cp_trace_bases[] = {
  cp_drain, cp_clock_fire, cp_async_body, NULL};


const lua_CFunction cp_trace_nameless[] = {
  cp_call_generator, cp_call_public, NULL};


const luaL_Reg cp_functions[] = {
  {"new", cp_new},
  {"resolve", cp_Promise_resolve},
  {"fulfill", cp_Promise_fulfill},
  {"reject", cp_Promise_reject},
  {"withResolvers", cp_withResolvers},
  {"try", cp_try},
  {"is", cp_is},
  {"all", cp_all},
  {"allSettled", cp_allSettled},
  {"any", cp_any},
  {"race", cp_race},
  {"select", cp_select},
  {"allKeyed", cp_allKeyed},
  {"allSettledKeyed", cp_allSettledKeyed},
  {"aggregate", cp_aggregate},
  {"isAggregate", cp_isAggregate},
  {"shield", cp_shield},
  {"cancellation", cp_cancellation},
  {"isCancelled", cp_isCancelled},
  {"group", cp_group},
  {"spawnChild", cp_spawnChild},
  {"children", cp_children},
  {"askChildren", cp_askChildren},
  {"idlePromise", cp_idlePromise},
  {"delay", cp_delay},
  {"semaphore", cp_semaphore},
  {"channel", cp_channel},
  {"event", cp_event},
  {"isTimeout", cp_isTimeout},
  {"setClock", cp_setClock},
  {"now", cp_now},
  {"setLoader", cp_setLoader},
  {"waiting", cp_waiting},
  {"interrupt", cp_interrupt},
  {"withdraw", cp_withdraw},
  {"cancelled", cp_cancelled},
  {"running", cp_running},
  {"async", cp_async},
  {"spawn", cp_spawn},
  {"await", cp_await},
  {"pawait", cp_pawait},
  {"canAwait", cp_canAwait},
  {"unwrap", cp_unwrap},
  {"wrap", cp_wrap},
  {"drain", cp_drain},
  {"queueMicrotask", cp_queueMicrotask},
  {"onUnhandledRejection", cp_onUnhandledRejection},
  {"onRejectionHandled", cp_onRejectionHandled},
  {"setShow", cp_setShow},
  {"hasText", cp_hasText},
  {"addTraceback", cp_addTraceback},
  {"debug", cp_debug},
  {"origin", cp_origin},
  {"look", cp_look},
  {"where", cp_where},
  {"calls", cp_calls},
  {"setWatch", cp_setWatch},
  {"monotonic", cp_monotonic},
  {"setModule", cp_setModule},
  {"public", cp_public},
  {"setOwn", cp_setOwn},
  {"setWake", cp_setWake},
  {"setLibraries", cp_setLibraries},
  {"setBlocks", cp_setBlocks},
  {"setScheduler", cp_setScheduler},
  {"setPump", cp_setPump},
  {"awaitLoop", cp_awaitLoop},
  {"report", cp_report},
  {"left", cp_left},
  {"idle", cp_idle},
  {"inside", cp_inside},
  {NULL, NULL},
};


const luaL_Reg cp_methods[] = {
  {"next", cp_next},
  {"andThen", cp_next},
  {"then", cp_next},
  {"catch", cp_catch},
  {"finally", cp_finally},
  {"status", cp_status},
  {"traceback", cp_traceback},
  {"await", cp_await},
  {"cancel", cp_cancel},
  {"timeout", cp_timeout},
  {"ignore", cp_ignore},
  {NULL, NULL},
};


const luaL_Reg *const cp_object_methods[] = {
  cp_semaphore_methods, cp_channel_methods, cp_event_methods, NULL};


static const luaL_Reg metamethods[] = {
  {"__tostring", cp_tostring},
  {"__newindex", cp_no_assignment},
  {"__close", cp_close},
  {NULL, NULL},
};


/* Of the table of methods. */
static const luaL_Reg methods_metamethods[] = {
  {"__index", cp_no_field},
  {NULL, NULL},
};


static void set_text (lua_State *L, int context, int slot, const char *text) {
  lua_pushstring(L, text);
  lua_setiuservalue(L, context, slot);
}


/* Where lua_resume refuses, it makes a message outside of any protection: if
   memory lacks, it jumps into the main thread, past all that runs, and we
   would for ever believe that it runs.  Short strings that exist are not
   made. */
static void keep_messages (lua_State *L, int context) {
  static const char *const messages[] = {
    "cannot resume dead coroutine",
    "cannot resume non-suspended coroutine",
    "C stack overflow",
    "error in error handling",
  };
  int n = (int)(sizeof(messages) / sizeof(messages[0]));
  int i;
  lua_createtable(L, n, 0);
  for (i = 0; i < n; i++) {
    lua_pushstring(L, messages[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setiuservalue(L, context, CTX_OF_RESUME);
}


/* Push a new context. */
static Context *new_context (lua_State *L) {
  int idx = lua_gettop(L) + 1;
  Context *ctx = lua_newuserdatauv(L, sizeof(Context), CTX_SLOTS);
  memset(ctx, 0, sizeof(*ctx));
  ctx->jobs.head = CTX_JOBS;
  ctx->rejections.head = CTX_REJECTIONS;
  ctx->latest = -HUGE_VAL;
  set_text(L, idx, CTX_KEY_NEXT, "next");
  set_text(L, idx, CTX_KEY_CATCH, "catch");
  set_text(L, idx, CTX_KEY_CALL, "__call");
  set_text(L, idx, CTX_SELF, "TypeError: a promise can't resolve to itself");
  set_text(L, idx, CTX_NO_MEMORY, "not enough memory");
  set_text(L, idx, CTX_OVERFLOW, "stack overflow (too many values)");
  set_text(L, idx, CTX_CLOSED, "the coroutine of the async call was closed");
  set_text(L,
    idx,
    CTX_YIELDED,
    "an async function can't yield: wait with await, or make a generator "
    "with Promise.wrap");
  keep_messages(L, idx);
  lua_getglobal(L, "next");
  ctx->lua_next = lua_tocfunction(L, -1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  ctx->main = lua_tothread(L, -1);
  lua_pop(L, 2);
  return ctx;
}


/* Push the upvalues of the functions: the context, which is at 'context', the
   metatable of promises, above it, and the message handler. */
static int push_upvalues (lua_State *L, int context) {
  lua_pushvalue(L, context);
  lua_pushvalue(L, context + 1);
  lua_getiuservalue(L, context, CTX_HANDLER);
  return 3;
}


/* Set the functions of 'list' in the table on the top. */
static void set_functions (lua_State *L, int context, const luaL_Reg *list) {
  luaL_setfuncs(L, list, push_upvalues(L, context));
}


/* Keep a new metatable of that name in the context. */
static void
set_metatable (lua_State *L, int slot, const char *name, lua_CFunction text) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -2); /* the context */
  lua_pushcclosure(L, text, 1);
  lua_setfield(L, -2, "__tostring");
  lua_setiuservalue(L, -2, slot);
}


/* Make the metatables and the handler that the context keeps. */
static void fill_context (lua_State *L, int context) {
  lua_pushvalue(L, context);
  lua_pushcclosure(L, cp_trace_handler, 1);
  lua_setiuservalue(L, context, CTX_HANDLER);
  lua_pushvalue(L, context);
  lua_pushcclosure(L, cp_trace_body_handler, 1);
  lua_setiuservalue(L, context, CTX_BODY_HANDLER);
  lua_newtable(L);
  lua_setiuservalue(L, context, CTX_NODE_MT);
  lua_newtable(L);
  lua_setiuservalue(L, context, CTX_LISTS);
  lua_newtable(L);
  lua_setiuservalue(L, context, CTX_CHAINS);
  lua_pushvalue(L, context);
  set_metatable(L, CTX_AGGREGATE_MT, "AggregateError", cp_aggregate_tostring);
  set_metatable(L, CTX_TIMEOUT_MT, "Timeout", cp_timeout_tostring);
  set_metatable(
    L, CTX_CANCELLATION_MT, "Cancellation", cp_cancellation_tostring);
  lua_newtable(L);
  lua_pushcfunction(L, cp_close_generator);
  lua_setfield(L, -2, "__close");
  lua_setiuservalue(L, -2, CTX_CLOSER_MT);
  lua_pop(L, 1);
}


/* Keep a new metatable of that name, with those methods and metamethods (or
   NULL), in the context; leave the table of methods on the top. */
static void set_class (lua_State *L, int context, int class, const char *name,
  const luaL_Reg *methods, const luaL_Reg *meta) {
  lua_newtable(L);
  ((Context *)lua_touserdata(L, context))->class_mt[class] =
    lua_topointer(L, -1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  if (meta != NULL)
    set_functions(L, context, meta);
  lua_newtable(L);
  if (methods != NULL)
    set_functions(L, context, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_insert(L, -2);
  lua_setiuservalue(L, context, CTX_CLASS + class);
}


/* The objects of line.h; leaves the table of the methods of semaphores on the
   top. */
static void fill_lines (lua_State *L, int context) {
  set_class(L, context, CLASS_PERMIT, "permit", NULL, cp_permit_metamethods);
  set_class(L,
    context,
    CLASS_CHANNEL,
    "channel",
    cp_channel_methods,
    cp_channel_metamethods);
  set_class(L, context, CLASS_EVENT, "event", cp_event_methods, NULL);
  set_class(L, context, CLASS_GROUP, "group", NULL, NULL);
  lua_pop(L, 4);
  set_class(
    L, context, CLASS_SEMAPHORE, "semaphore", cp_semaphore_methods, NULL);
}


/* Fill the metatable of promises, at 'mt', with its table of methods, which
   is left on the top. */
static void fill_promise_mt (lua_State *L, int context, int mt) {
  lua_pushvalue(L, mt);
  set_functions(L, context, metamethods);
  lua_pushliteral(L, "promise");
  lua_setfield(L, mt, "__name");
  lua_pushliteral(L, "promise");
  lua_setfield(L, mt, "__metatable");
  lua_pop(L, 1);
  lua_newtable(L);
  set_functions(L, context, cp_methods);
  lua_newtable(L);
  set_functions(L, context, methods_metamethods);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, mt, "__index");
}


/* Keep a function of the library in the context. */
static void
keep_function (lua_State *L, int context, int slot, lua_CFunction f) {
  lua_pushcclosure(L, f, push_upvalues(L, context));
  lua_setiuservalue(L, context, slot);
}


/* Push a new metatable whose '__close' is that function. */
static void push_closing (lua_State *L, int context, lua_CFunction f) {
  lua_newtable(L);
  lua_pushcclosure(L, f, push_upvalues(L, context));
  lua_setfield(L, -2, "__close");
}


/* What is to be closed where the library runs code of the user's on a
   coroutine, which that may close. */
static void keep_guards (lua_State *L, int context) {
  lua_newuserdatauv(L, 0, 0);
  push_closing(L, context, cp_job_close_drain);
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, context, CTX_GUARD);
  lua_newuserdatauv(L, 0, 0);
  push_closing(L, context, cp_host_close_wake);
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, context, CTX_WAKE_GUARD);
  push_closing(L, context, cp_close_pump);
  lua_setiuservalue(L, context, CTX_PUMP_MT);
  if (CP_MAY_CLOSE_ITSELF) {
    push_closing(L, context, cp_cancel_close_hooks);
    lua_setiuservalue(L, context, CTX_HOOKS_MT);
  }
}


/* (reason) -> a carrier of a cancellation for it: see cancel.h. */
static int make_carrier (lua_State *L) {
  cp_cancellation(L);
  cp_cancel_push_carrier(L);
  return 1;
}


/* Keep a carrier for that reason in the context. */
static void
set_carrier (lua_State *L, int context, int slot, const char *reason) {
  lua_pushcclosure(L, make_carrier, push_upvalues(L, context));
  lua_pushstring(L, reason);
  lua_call(L, 1, 1);
  lua_setiuservalue(L, context, slot);
}


/* Where the registry keeps the module, for those who open it again. */
#define KEY "cpromise.core"


/* Push the module that this Lua state has already; return 0 if it has none.
   It may be that of another file, which is no matter if it is the same. */
static int push_opened (lua_State *L) {
  const char *version;
  if (lua_getfield(L, LUA_REGISTRYINDEX, KEY) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  lua_getfield(L, -1, "_VERSION");
  version = lua_tostring(L, -1);
  if (strcmp(version, CP_VERSION) != 0)
    luaL_error(L,
      "%s can't be loaded beside %s, which this Lua state has already",
      CP_VERSION,
      version);
  lua_pop(L, 1);
  return 1;
}


/* The headers were checked by the preprocessor; but a module that was built
   with newer ones loads in an older Lua, which crashes later. */
static void check_release (lua_State *L) {
  const char *release = strstr(lua_ident, LUA_VERSION ".");
  luaL_checkversion(L);
  if (LUA_VERSION_NUM == 504 && release != NULL &&
      release[sizeof(LUA_VERSION)] < '4')
    luaL_error(L,
      "cpromise needs Lua 5.4.4 or later: this is %s",
      lua_pushlstring(L, release, sizeof(LUA_VERSION) + 1));
}


int luaopen_cpromise_core (lua_State *L) {
  int context = lua_gettop(L) + 1;
  Context *ctx;
  check_release(L);
  if (push_opened(L))
    return 1;
  ctx = new_context(L);
  lua_newtable(L);
  ctx->promise_mt = lua_topointer(L, -1);
  fill_context(L, context);
  fill_promise_mt(L, context, context + 1);
  keep_function(L, context, CTX_FIRE, cp_clock_fire);
  keep_function(L, context, CTX_SYNC, cp_clock_sync);
  keep_function(L, context, CTX_EXPIRE, cp_clock_expire);
  keep_guards(L, context);
  set_carrier(L, context, CTX_CANCELLED, NULL);
  set_carrier(L, context, CTX_UNCHOSEN, "another promise was selected");
  lua_newtable(L);
  set_functions(L, context, cp_functions);
  lua_insert(L, -2);
  lua_setfield(L, -2, "methods");
  fill_lines(L, context);
  lua_setfield(L, -2, "semaphore_methods");
  lua_pushcclosure(L, cp_construct, push_upvalues(L, context));
  lua_setfield(L, -2, "construct");
  lua_newtable(L);
  lua_setfield(L, -2, "modules");
  lua_pushliteral(L, CP_VERSION);
  lua_setfield(L, -2, "_VERSION");
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, KEY);
  return 1;
}
