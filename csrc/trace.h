/*
** trace.h
** Tracebacks beside an unaltered reason.
**
** A message handler sees the stack where an error is thrown. It returns the
** reason as it is (to-be-closed variables receive it), and leaves a record of
** it and the traceback in the context, where whoever rejects a promise with
** that very reason finds it. Records of errors inside one another (a
** to-be-closed variable may run anything while one unwinds) are linked,
** newest first.
**
** The states of a record, which is about the error that unwinds just now:
**
**      an error is thrown                     'await' raises a reason again
**             |                                            |
**             v          the same reason                   v
**      +-------------+   is thrown again          +------------------+
**      |   thrown    | <------------------------- |    handed on     |
**      +-------------+   (its traceback goes on   +------------------+
**        |         |      behind '[await]')         |              |
**        | a       | a job begins                   | a newer      | a job
**        | promise |                                | record       | begins
**        | takes it|                                | comes        |
**        v         v                                v              v
**     SLOT_SOURCE  forgotten                     replaced       forgotten
**
** A reason that is an object is known by itself. Equal strings are the same
** reason only in the coroutine that was handed the record, or threw it.
**
** A thrown one is put aside where a to-be-closed variable awaits while it
** unwinds (cp_trace_save), and taken up again behind that (cp_trace_restore).
*/

#ifndef CP_TRACE_H
#define CP_TRACE_H

#include "promise.h"

/* Functions below which nothing belongs to an error; ends with NULL. */
extern const lua_CFunction cp_trace_bases[]; /* module.c */

/* Functions that are left out by any name; ends with NULL. */
extern const lua_CFunction cp_trace_nameless[]; /* module.c */

/* The message handler is the third upvalue of the module's functions; others
   find it in the context. */
#define HANDLER lua_upvalueindex(3)

int cp_trace_handler (lua_State *L);

/* An async call that runs. */
struct Drive {
  Promise *call;
  lua_State *co; /* its coroutine */
  lua_State *L; /* who drives it, */
  int idx; /* and where the call is on its stack */
  Drive *outer; /* the call that runs around it */
};

/* The message handler of its body: no code of that catches the error. So a
   request to end that was not delivered is void: see cancel.h. */
int cp_trace_body_handler (lua_State *L);

/* Push the traceback at 'idx' (or nil) followed by the frames of the one at
   'origin' (or nil), or nil if both are. [-0, +1, m] */
void cp_trace_join (lua_State *L, int idx, int origin);

/* Push the place of the first frame of the traceback at 'idx', or nil.
   [-0, +1, m] */
void cp_trace_push_first (lua_State *L, int idx);

/* Push the message handler. [-0, +1, -] */
static inline void cp_trace_push_handler (lua_State *L) {
  lua_getiuservalue(L, CONTEXT, CTX_HANDLER);
}

/* Push the traceback of the coroutine 'from', from that level on, or nil if
   it would be empty. 'context' is where the context is. [-0, +1, m] */
void cp_trace_push (lua_State *L, int context, lua_State *from, int level);

/* Push the traceback of the reason on the top, if that was just thrown, or
   nil; and forget it. [-0, +1, -] */
void cp_trace_take (lua_State *L, Context *ctx);

/* Forget all errors in flight: a job starts. [-0, +0, -] */
static inline void cp_trace_clear (lua_State *L, Context *ctx) {
  if (ctx->traced) {
    cp_node_clear(L, CONTEXT, CTX_TRACE);
    ctx->traced = 0;
  }
}

/* Reject the pending p, at 'idx', with the reason on the top, which was just
   thrown, or why it could not be. [-1, +0, -] */
void cp_trace_reject (lua_State *L, Promise *p, int idx);

/* Prepare to throw the reason of the rejected promise at 'idx' again: who
   catches it finds the traceback that the promise has. [-0, +0, m] */
void cp_trace_hand_on (lua_State *L, int idx);

/* The same, where that is thrown in the place of the error at 'err', which
   unwinds: so the frames that it came through belong to both. [-0, +0, m] */
void cp_trace_hand_on_after (lua_State *L, int idx, int err);

/* Note the traceback of the coroutine 'from', where the error on the top was
   thrown, unless one is known. [-0, +0, m] */
void cp_trace_keep (lua_State *L, lua_State *from);

/* Put the errors in flight aside: push them, and return 1, or return 0 if
   there are none. Below, take them up again. [-0, +(0|1), -] */
int cp_trace_save (lua_State *L, Context *ctx);
void cp_trace_restore (lua_State *L, Context *ctx, int idx);

/* (thread, context, reason) -> the traceback of that reason, which ended the
   coroutine */
int cp_trace_text (lua_State *L);

/* Push, of the coroutine 'from', what 'where' returns: see see.h.
   [-0, +n, m] */
int cp_trace_where (lua_State *L, lua_State *from);

/* The same where the context is at 'context'. [-0, +n, m] */
int cp_trace_where_of (lua_State *L, int context, lua_State *from);

/* setOwn(name): Lua files whose chunk names start as the caller's does, less
   its own name at the end, are left out. */
int cp_setOwn (lua_State *L);

/* addTraceback(reason[, level]): a message handler -> the reason as text,
   with the traceback of where it was first thrown, which ends where it is
   now */
int cp_addTraceback (lua_State *L);

#endif
