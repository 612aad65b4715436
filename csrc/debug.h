/*
** debug.h
** The debug mode: where promises were made, and mistakes that are no errors.
**
** It costs a test of a flag where it is off. While it is on, each promise
** that a program makes has its *origin* in a weak table, a traceback of where
** it was made, behind that of the call or the handler that made it. And
** promises have a finalizer, which tells of async calls that never ended, and
** of results that nobody looked at.
*/

#ifndef CP_DEBUG_H
#define CP_DEBUG_H

#include "promise.h"

/* Only through cp_debug_made, and for an async call: it has a flag, too. */
void cp_debug_note (lua_State *L, int idx);

/* The promise at 'idx' was made for the program. [-0, +0, -] */
static inline void cp_debug_made (lua_State *L, const Context *ctx, int idx) {
  if (ctx->debug)
    cp_debug_note(L, idx);
}

/* A job runs for the promise at 'idx': what it makes comes from that. (0:
   none runs any more.) [-0, +0, -] */
void cp_debug_enter (lua_State *L, int idx);

/* Warn, with the position of the program's code that runs, of a mistake about
   the promise at 'idx'. [-0, +0, -] */
void cp_debug_warn (lua_State *L, int idx, const char *what);

/* The value at 'idx', which is not callable, was given to the promise at
   'self' for a handler. [-0, +0, -] */
void cp_debug_check_handler (lua_State *L, int self, int idx);

/* Push a value that warns when it is garbage, and the promise at 'idx' still
   holds the token: it belongs to the functions that 'method' was given, of
   which then neither was called. The context is at 1. [-0, +1, m] */
void cp_debug_push_witness (lua_State *L, int idx, int token, int method);

/* Push the traceback of the rejected promise at 'idx', followed by its origin
   if that is known; or nil. [-0, +1, -] */
void cp_debug_push_traceback (lua_State *L, int idx);

/* Push the traceback of where the promise at 'idx' was made, or nil.
   [-0, +1, -] */
void cp_debug_push_origin (lua_State *L, int idx);

/* p:traceback() */
int cp_traceback (lua_State *L);

/* debug([on]) -> whether the debug mode was on; switches it if told so */
int cp_debug (lua_State *L);

/* origin(p) -> the traceback of where p was made, or nil */
int cp_origin (lua_State *L);

#endif
