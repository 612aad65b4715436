/*
** args.c
** See args.h.
*/

#include "args.h"


int cp_args_has_call (lua_State *L, int idx) {
  int callable;
  if (!lua_getmetatable(L, idx))
    return 0;
  lua_getiuservalue(L, CONTEXT, CTX_KEY_CALL);
  callable = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return callable;
}


int cp_args_is_tagged (lua_State *L, int idx, int ctxslot) {
  int is;
  if (!lua_istable(L, idx) || !lua_getmetatable(L, idx))
    return 0;
  lua_getiuservalue(L, CONTEXT, ctxslot);
  is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}


int cp_args_is_module (lua_State *L, int idx) {
  const void *module = cp_context(L)->module;
  return module != NULL && lua_topointer(L, idx) == module;
}


int cp_setModule (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  cp_context(L)->module = lua_topointer(L, 1);
  lua_settop(L, 1);
  lua_setiuservalue(L, CONTEXT, CTX_MODULE);
  return 0;
}


int cp_args_has_function (lua_State *L, const char *name) {
  int has;
  if (lua_getiuservalue(L, CONTEXT, CTX_MODULE) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  lua_pushstring(L, name);
  has = lua_rawget(L, -2) == LUA_TFUNCTION;
  lua_pop(L, 2);
  return has;
}


#define PUBLIC_FUNCTION lua_upvalueindex(3)


static int return_all (lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return lua_gettop(L);
}


int cp_call_public (lua_State *L) {
  lua_pushvalue(L, PUBLIC_FUNCTION);
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, return_all);
  return lua_gettop(L);
}


int cp_public (lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, PROMISE_MT);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, cp_call_public, 3);
  return 1;
}


static const char *find_name (const luaL_Reg *reg, lua_CFunction f) {
  while (reg->name != NULL && reg->func != f)
    reg++;
  return reg->name;
}


/* The name of a method of this library, or NULL. */
static const char *method_name (lua_CFunction f) {
  const luaL_Reg *const *methods = cp_object_methods;
  const char *name = find_name(cp_methods, f);
  for (; name == NULL && *methods != NULL; methods++)
    name = find_name(*methods, f);
  return name;
}


/* The name of a function of this library, or NULL. */
static const char *own_name (lua_CFunction f) {
  const char *name = find_name(cp_functions, f);
  return name != NULL ? name : method_name(f);
}


int cp_args_is_own (lua_CFunction f) {
  return own_name(f) != NULL;
}


/* The name of the running function in this library. 'construct' alone stands
   in no list: it is 'new' by another call. */
static const char *running_name (lua_State *L, lua_Debug *running) {
  const char *name;
  lua_getinfo(L, "f", running);
  name = own_name(lua_tocfunction(L, -1));
  lua_pop(L, 1);
  return name != NULL ? name : "new";
}


const char *cp_args_push_position (lua_State *L) {
  const char *own;
  lua_Debug ar;
  int level;
  lua_getiuservalue(L, CONTEXT, CTX_OWN);
  own = lua_tostring(L, -1);
  lua_pop(L, 1); /* the context holds it */
  for (level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0 &&
        (own == NULL || strncmp(ar.source, own, strlen(own)) != 0))
      return lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  }
  return lua_pushliteral(L, "");
}


int cp_args_error (lua_State *L, int arg, const char *message) {
  lua_Debug ar;
  const char *where = cp_args_push_position(L);
  const char *name = NULL;
  if (lua_getstack(L, 0, &ar)) {
    lua_getinfo(L, "n", &ar);
    name =
      ar.name != NULL && *ar.name != '?' ? ar.name : running_name(L, &ar);
    if (strcmp(ar.namewhat, "method") == 0 && --arg == 0) {
      lua_pushfstring(
        L, "%scalling '%s' on bad self (%s)", where, name, message);
      return lua_error(L);
    }
  }
  lua_pushfstring(
    L, "%sbad argument #%d to '%s' (%s)", where, arg, name, message);
  return lua_error(L);
}


int cp_args_raise (lua_State *L, const char *message) {
  const char *where = cp_args_push_position(L);
  lua_pushfstring(L, "%s%s", where, message);
  return lua_error(L);
}


int cp_args_message (lua_State *L) {
  lua_settop(L, 1);
  lua_getfield(L, 1, "message");
  luaL_tolstring(L, 2, NULL);
  if (lua_getfield(L, 1, "reason") == LUA_TNIL) {
    lua_pop(L, 1);
    return 1;
  }
  lua_pushliteral(L, ": ");
  luaL_tolstring(L, 4, NULL);
  lua_remove(L, 4);
  lua_concat(L, 3);
  return 1;
}


/* What is said of an argument of the wrong type, with the remedy if there is
   one. */
static const char *
type_message (lua_State *L, int arg, const char *expected) {
  lua_Debug ar;
  lua_CFunction f;
  if (strcmp(expected, "callable") == 0 &&
      cp_promise_test(L, cp_context(L), arg) != NULL)
    return "%s expected, got %s: give the function, not its call";
  if (arg != 1 || !lua_getstack(L, 0, &ar))
    return "%s expected, got %s";
  lua_getinfo(L, "nf", &ar);
  f = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  if (strcmp(ar.namewhat, "method") == 0 || method_name(f) == NULL ||
      find_name(cp_functions, f) != NULL)
    return "%s expected, got %s";
  return "%s expected, got %s: use ':', not '.'";
}


int cp_args_type_error (lua_State *L, int arg, const char *expected) {
  const char *got;
  if (cp_args_is_module(L, arg))
    return cp_args_error(L, arg, CP_NOT_COLON);
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING)
    got = lua_tostring(L, -1);
  else if (lua_type(L, arg) == LUA_TNONE)
    got = "no value";
  else
    got = luaL_typename(L, arg);
  return cp_args_error(L,
    arg,
    lua_pushfstring(L, type_message(L, arg, expected), expected, got));
}


void cp_args_check_call (lua_State *L, int arg) {
  if (cp_args_is_module(L, arg) || !cp_args_has_call(L, arg))
    cp_args_type_error(L, arg, "callable");
}


void *cp_args_test_object (lua_State *L, int idx, int class) {
  void *object = lua_touserdata(L, idx);
  const void *mt = NULL;
  if (object != NULL && lua_getmetatable(L, idx)) {
    mt = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  return mt != NULL && mt == cp_context(L)->class_mt[class] ? object : NULL;
}


void *
cp_args_check_object (lua_State *L, int arg, int class, const char *name) {
  void *object = cp_args_test_object(L, arg, class);
  if (object == NULL)
    cp_args_type_error(L, arg, name);
  return object;
}


Promise *cp_args_check_promise (lua_State *L, const Context *ctx, int arg) {
  Promise *p = cp_promise_test(L, ctx, arg);
  if (p == NULL)
    cp_args_type_error(L, arg, "promise");
  return p;
}
