/*
** core.h
** What every file of the core shares: Lua's headers, the context of one
** Lua state, assertions.
**
** Contracts of functions are written as in the Lua manual, [-o, +p, x]:
** pops o values, pushes p; x says what it may raise: '-' nothing, 'm' only
** memory errors, 'v' the error it documents, 'e' anything (it may run user
** code).  Stack indices in parameters are absolute (positive).
**
** Layers, lowest first; each includes only what stands before it:
**   core.h  node  queue  promise  timers | args  trace  debug  watch  host
**   wait  cancel  resolve  reaction  combine  construct  await  async
**   generator  group  line  see  job  clock  module.c
** Nothing left of the bar runs user code, but for finalizers where it makes
** an object ('m').  What args, trace and debug offer to other files doesn't
** either; but 'public', 'addTraceback' and '__tostring' there do, which Lua
** calls.  Everything else may run anything.
*/

#ifndef CP_CORE_H
#define CP_CORE_H

/* All headers from outside stand here, above the pragma below. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include <assert.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

/* Before 5.4.4 Lua can't yield in '__close', and some releases crash there.
   (The headers of 5.4.3 say that they are of 5.4.0.) */
#if LUA_VERSION_NUM < 504 || LUA_VERSION_RELEASE_NUM < 50404
#error "cpromise needs Lua 5.4.4 or later: these headers are older"
#elif LUA_VERSION_NUM > 505
#error "cpromise knows Lua 5.4 and 5.5: these headers are newer"
#endif

/* Not in 5.4.4 and 5.4.5. So that a module that was built with other headers
   loads there, too, its address is looked up, and may be NULL. */
#if LUA_VERSION_RELEASE_NUM < 50406
LUA_API int lua_closethread (lua_State *L, lua_State *from);
#endif
#if LUA_VERSION_NUM == 504 && defined(__GNUC__)
#pragma weak lua_closethread
#define CP_HAS_CLOSETHREAD (lua_closethread != NULL)
#else
#define CP_HAS_CLOSETHREAD (LUA_VERSION_RELEASE_NUM >= 50406)
#endif

/* Whether code may close the coroutine that it runs in. */
#define CP_MAY_CLOSE_ITSELF (LUA_VERSION_NUM >= 505)

#define CP_VERSION "cpromise 0.1.0"

#if defined(__GNUC__)
#define CP_EXPORT extern __attribute__((visibility("default")))
/* All names but the exported one stay inside the module, however built. */
#pragma GCC visibility push(hidden)
#else
#define CP_EXPORT extern
#endif

#define cp_assert(c) assert(c)


typedef struct Promise Promise; /* node.h */
typedef struct Drive Drive; /* trace.h */
typedef struct TimerBlock TimerBlock; /* timers.c */


/* A first-in first-out list of objects, linked through their SLOT_LINK. */
typedef struct Queue {
  size_t n; /* objects in it */
  int head; /* context slot of the first one; the next slot: the last one, if
               there are two or more */
} Queue;


/* Objects that are no promises: line.h, group.h. */
enum {
  CLASS_SEMAPHORE,
  CLASS_CHANNEL,
  CLASS_EVENT,
  CLASS_PERMIT,
  CLASS_GROUP,
  CLASS_COUNT
};


/*
** What a coroutine that waits and whoever resumes it tell each other where
** one yields and the other resumes.  No field outlives the step for which it
** is set:
**
**              set by                  read by              cleared by
**   waiting,   cp_await_wait, before   who has resumed it:  the same, who now
**   awaited    it yields               drive, or            knows
**                                      resume_generator
**   paused     pause_generator,        cp_async_is_paused,  who resumes next,
**              before it yields        of its consumer      any coroutine
**   resumed    who resumes: jobs of    'go_on' in the       go_on; and later
**              async.c, generators     coroutine            who has resumed
**   refused    generator.c, with why   go_on                the same
**   cancelled  deliver, of a call;     go_on                the same
**              interrupt_generator
**
** 'awaited' is read only together with 'waiting', and is
** not cleared by itself.
*/
typedef struct Handover {
  lua_State *waiting; /* coroutine that yields because it waits, */
  Promise *awaited; /* and the promise it waits for; NULL: a plain value */
  lua_State *paused; /* coroutine that yields for a generator that a hook
                        has made yield */
  lua_State *resumed; /* coroutine that may stop waiting now */
  unsigned char refused; /* it must raise the value it is given */
  unsigned char cancelled; /* it finds a rejected promise at 1 */
} Handover;


/*
** One context per Lua state: there is no writable static data.  It is the
** first upvalue of every function of the library, and its user values hold
** every Lua value that belongs to no single promise.
*/
typedef struct Context {
  Queue jobs; /* the microtask queue */
  Queue rejections; /* rejected, and nobody handled them so far */
  lua_State *main; /* the main thread */
  const void *promise_mt; /* identity of the metatable of promises */
  const void *module; /* identity of the module's table, once it is known */
  const void *class_mt[CLASS_COUNT]; /* of those of other objects */
  lua_CFunction lua_next; /* Lua's own 'next', which makes no thenable */
  lua_State
    *driven; /* coroutine of the async call, or generator, that runs */
  Drive *drive; /* the async call that runs, or NULL */
  Handover hand;
  unsigned int depth; /* async calls started inside one another */
  unsigned int busy; /* executors, getters, hooks and iterators that run on
                        the main thread: see cp_enter */
  const Promise *source; /* the promise whose batch is running */
  unsigned int batch; /* reactions left of that batch */
  unsigned int batch_size; /* reactions that it had and that learn of it */
  lua_Integer left; /* jobs that the drain may still run */
  lua_State
    *outer_driven; /* what 'driven' and 'drive' were around the drain */
  Drive *outer_drive;
  size_t offers; /* semaphores and channels that can serve: line.h */
  size_t timers; /* delays and timeouts that wait */
  size_t delays; /* of them, the delays */
  size_t suspended; /* async calls that wait in an 'await' */
  size_t dead_timers; /* in their lists, but waiting no longer */
  TimerBlock *block; /* their lists, or NULL: timers.c */
  unsigned int main_waits; /* pumps, in one another: await.h */
  double offset; /* of our time from that of the loop's clock */
  double latest; /* the latest time that was seen */
  double armed_for; /* when the loop's timer fires */
  double fired; /* when it has fired last */
  unsigned char armed; /* whether it will */
  unsigned char unsynced; /* it must be looked at: it keeps the loop alive for
                             nothing, or could not be armed */
  unsigned char draining; /* jobs, or the loop's hook, are running */
  unsigned char guarded; /* the drain runs on a coroutine: job.c */
  unsigned char
    outer_draining; /* what 'draining' was around the loop's hook */
  unsigned char woken; /* a drain runs, or the loop promised one */
  unsigned char edge; /* something was queued that the loop must know */
  unsigned char mute; /* the loop's hook failed, and that was reported */
  unsigned char unattended; /* a delay or a call waits, and nobody has run the
                               loop since for something else */
  unsigned char loopless; /* the loop's hook has found none */
  unsigned char debug; /* the debug mode is on: debug.h */
  unsigned char traced; /* CTX_TRACE is not nil */
  unsigned char watched; /* CTX_WATCH is not nil, and is not running */
} Context;

/* Whether the loop has a timer of ours: clock.h. */
enum { UNARMED, ARMED_BACKGROUND, ARMED };

enum {
  CTX_JOBS = 1, /* first and last entry of the microtask queue */
  CTX_REJECTIONS = 3, /* first and last of the unhandled rejections */
  CTX_OFFERS = 5, /* first and last of those that can serve: line.h */
  CTX_REST = 7, /* next reaction of a batch that was interrupted */
  CTX_REST_SOURCE, /* and the promise whose batch it is */
  CTX_BATCH, /* the promise whose batch runs, while one of its reactions takes
                another in its place */
  CTX_RUNNING, /* the object whose job runs, if the drain is guarded */
  CTX_GUARD, /* to be closed, where a drain runs on a coroutine, */
  CTX_WAKE_GUARD, /* and where the loop's hook does */
  CTX_PUMP_MT, /* metatable of what is to be closed where one pumps there, */
  CTX_HOOKS_MT, /* and where cancel hooks run; or nil: cancel.c */
  CTX_WAKE, /* the loop's hook, or nil */
  CTX_LOADED, /* package.loaded, where libraries that have a loop appear, */
  CTX_LIBRARIES, /* and the list of their names; or nil */
  CTX_ON_UNHANDLED, /* the user's hook for rejections, or nil */
  CTX_ON_HANDLED, /* and that for those which are handled after all */
  CTX_ORIGINS, /* by promise, where it was made, or nil: debug.h */
  CTX_PARENT, /* in the debug mode: the promise whose job runs, or nil */
  CTX_SHOW, /* makes a report of a reason and a traceback, or nil */
  CTX_WATCH, /* is told what happens, or nil: watch.h */
  CTX_BLOCKS, /* coroutines that are in a scope, or nil: await.h */
  CTX_MODULE, /* the module's table, once it is known */
  CTX_SUSPEND, /* the loop's way to wait in its own coroutines, or nil, */
  CTX_TAKE, /* and to take what an async body yields, or nil: await.h */
  CTX_PUMP, /* runs the loop until a promise has settled */
  CTX_HANDLER, /* the message handler, also an upvalue: see trace.h */
  CTX_BODY_HANDLER, /* that of the bodies of async calls */
  CTX_OWN, /* how the names of the library's own Lua files start */
  CTX_TRACE, /* the newest record of an error in flight, or nil: trace.c */
  CTX_LISTS, /* by duration, the numbers of lists: timers.c */
  CTX_CHAINS, /* by number, the first and last entry of each */
  CTX_BLOCK, /* what else they are */
  CTX_CLOCK, /* the loop, or nil */
  CTX_NOW, /* its clock */
  CTX_ARMED, /* the handle of the loop's timer, if it is armed */
  CTX_LOAD, /* loads a loop, or nil */
  CTX_FIRE, /* functions of clock.h, so that calling one never allocates */
  CTX_SYNC,
  CTX_EXPIRE,
  CTX_TIMEOUT_MT, /* metatable of the reasons of timeouts */
  CTX_CLASS, /* the metatables of those classes */
  CTX_LAST_CLASS = CTX_CLASS + CLASS_COUNT - 1,
  CTX_NODE_MT, /* metatable of nodes that are no promises */
  CTX_AGGREGATE_MT, /* metatable of aggregate errors */
  CTX_CANCELLATION_MT, /* metatable of cancellations */
  CTX_CLOSER_MT, /* metatable of what closes a generator */
  CTX_CANCELLED, /* a carrier (see cancel.h) where the right one is unknown */
  CTX_UNCHOSEN, /* the carrier for what 'select' doesn't choose */
  CTX_KEY_NEXT, /* the strings, so that using one never allocates */
  CTX_KEY_CATCH,
  CTX_KEY_CALL,
  CTX_SELF, /* reason of a promise that is resolved with itself */
  CTX_NO_MEMORY, /* reason where memory ran out */
  CTX_OVERFLOW, /* reason where values do not fit on the stack */
  CTX_CLOSED, /* reason of a call whose coroutine was closed */
  CTX_YIELDED, /* reason of a call whose body called coroutine.yield */
  CTX_OF_RESUME, /* Lua's own messages, so that they are there: module.c */
  CTX_SLOTS = CTX_OF_RESUME
};

#define CONTEXT lua_upvalueindex(1)

/* [-0, +0, -] */
static inline Context *cp_context (lua_State *L) {
  return (Context *)lua_touserdata(L, CONTEXT);
}


/*
** Code of the user's is called inside a function of the library, and has
** returned.  A coroutine that such code closes never returns, so only the
** main thread is counted, which can't be closed: see cp_inside for the
** others.
*/
static inline void cp_enter (const lua_State *L, Context *ctx) {
  ctx->busy += L == ctx->main;
}

static inline void cp_leave (const lua_State *L, Context *ctx) {
  ctx->busy -= L == ctx->main;
}

#endif
