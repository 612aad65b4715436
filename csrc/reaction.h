/*
** reaction.h
** next, catch and finally (ECMA-262 27.2.5), and what their promises do when
** their turn comes.
*/

#ifndef CP_REACTION_H
#define CP_REACTION_H

#include "promise.h"

/* p:next(onFulfilled, onRejected) */
int cp_next (lua_State *L);

/* p:catch(onRejected) */
int cp_catch (lua_State *L);

/* p:finally(onFinally) */
int cp_finally (lua_State *L);

/* shield(p): a promise that follows p, whose cancellation p doesn't notice */
int cp_shield (lua_State *L);

Outcome cp_run_next (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_catch (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_both (lua_State *L, Promise *node, const Promise *source);
Outcome cp_run_finally (lua_State *L, Promise *node, const Promise *source);
Outcome
cp_run_finally_wait (lua_State *L, Promise *node, const Promise *source);
Outcome
cp_run_finally_end (lua_State *L, Promise *node, const Promise *source);

#endif
