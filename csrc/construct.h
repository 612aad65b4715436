/*
** construct.h
** Making promises (ECMA-262 27.2.3 and 27.2.4), and asking for their state.
*/

#ifndef CP_CONSTRUCT_H
#define CP_CONSTRUCT_H

#include "promise.h"

/* new(executor) */
int cp_new (lua_State *L);

/* Promise(executor): the same as a metamethod __call. */
int cp_construct (lua_State *L);

/* resolve(...), fulfill(...), reject(reason) */
int cp_Promise_resolve (lua_State *L);
int cp_Promise_fulfill (lua_State *L);
int cp_Promise_reject (lua_State *L);

/* withResolvers() -> promise, resolve, reject, onCancel */
int cp_withResolvers (lua_State *L);

/* try(fn, ...) */
int cp_try (lua_State *L);

/* is(v) */
int cp_is (lua_State *L);

/* p:status() */
int cp_status (lua_State *L);

/* tostring(p) */
int cp_tostring (lua_State *L);

/* __index, where there is no method; __newindex: they raise. */
int cp_no_field (lua_State *L);
int cp_no_assignment (lua_State *L);

#endif
