/*
** args.h
** Arguments of the library's functions, and the errors for wrong ones.
*/

#ifndef CP_ARGS_H
#define CP_ARGS_H

#include "node.h"

/* The functions of the library and the methods of promises, by name. */
extern const luaL_Reg cp_functions[]; /* module.c */
extern const luaL_Reg cp_methods[]; /* module.c */
extern const luaL_Reg
  *const cp_object_methods[]; /* module.c; ends with NULL */

#define CP_NOT_COLON "it is the module itself: use '.', not ':'"

/* Raise Lua's 'bad argument' error, as luaL_argerror does, but always with
   the name of the function and the position of the Lua code that called it,
   also through 'pcall'. [-0, +0, v] */
int cp_args_error (lua_State *L, int arg, const char *message);

/* Whether the value at 'idx' is the module itself: it was called with ':'.
   [-0, +0, -] */
int cp_args_is_module (lua_State *L, int idx);

/* Raise if argument 1, a value of any sort, is the module. [-0, +0, v] */
static inline void cp_args_refuse_module (lua_State *L) {
  if (lua_istable(L, 1) && cp_args_is_module(L, 1))
    cp_args_error(L, 1, CP_NOT_COLON);
}

/* setModule(table) */
int cp_setModule (lua_State *L);

/* public(fn) -> a function that calls fn, one of the library's own in Lua:
   where a program calls it last, as in 'return Promise.run(x)', its line
   would be lost otherwise. */
int cp_public (lua_State *L);

/* What that is. */
int cp_call_public (lua_State *L);

/* Whether the module has a function of that name. [-0, +0, m] */
int cp_args_has_function (lua_State *L, const char *name);

/* Whether f is a function of this library. [-0, +0, -] */
int cp_args_is_own (lua_CFunction f);

/* Only through cp_args_callable. [-0, +0, -] */
int cp_args_has_call (lua_State *L, int idx);

/* Whether the value at 'idx' is a function or has '__call'. [-0, +0, -] */
static inline int cp_args_callable (lua_State *L, int idx) {
  return lua_isfunction(L, idx) || cp_args_has_call(L, idx);
}

/* Whether the value at 'idx' is a table with that metatable of the context.
   [-0, +0, -] */
int cp_args_is_tagged (lua_State *L, int idx, int ctxslot);

/* Push the position of the innermost Lua function that is the program's:
   "file:line: " or "". [-0, +1, m] */
const char *cp_args_push_position (lua_State *L);

/* Raise a message with the position of the Lua code
   that called. [-0, +0, v] */
int cp_args_raise (lua_State *L, const char *message);

/* (table with 'message' and 'reason') -> both, as text */
int cp_args_message (lua_State *L);

/* As cp_args_error, with "'expected' expected, got <type>". [-0, +0, v] */
int cp_args_type_error (lua_State *L, int arg, const char *expected);

/* Only through cp_args_check_callable. [-0, +0, v] */
void cp_args_check_call (lua_State *L, int arg);

/* Raise unless argument 'arg' is callable. [-0, +0, v] */
static inline void cp_args_check_callable (lua_State *L, int arg) {
  if (!lua_isfunction(L, arg))
    cp_args_check_call(L, arg);
}

/* The object of that class at 'idx', or NULL. [-0, +0, -] */
void *cp_args_test_object (lua_State *L, int idx, int class);

/* Argument 'arg', an object of that class; raise if
   it is none. [-0, +0, v] */
void *
cp_args_check_object (lua_State *L, int arg, int class, const char *name);

/* The promise that is argument 'arg'; raise if it is none. [-0, +0, v] */
Promise *cp_args_check_promise (lua_State *L, const Context *ctx, int arg);

#endif
