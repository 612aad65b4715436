/*
** hook.c
** A host that divides time: a count hook that makes Lua code yield wherever it
** may.
**
**   hook.every(n)    from now on each coroutine that is made here yields after
**                    n instructions, and again after each n more
**   hook.off()       those that are made from now on do not
**   hook.yields()    how often one has yielded so since the last call
*/

#include <lauxlib.h>
#include <lua.h>

int luaopen_support_hook (lua_State *L);

static const char key = 0; /* of the count, in the registry */


/* Count in the registry, and yield, if that can be done here. */
static void slice (lua_State *L, lua_Debug *ar) {
  (void)ar;
  if (!lua_isyieldable(L))
    return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  lua_pushinteger(L, lua_tointeger(L, -1) + 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  lua_pop(L, 1);
  lua_yield(L, 0);
}


static int every (lua_State *L) {
  lua_sethook(L, slice, LUA_MASKCOUNT, (int)luaL_checkinteger(L, 1));
  return 0;
}


static int off (lua_State *L) {
  lua_sethook(L, NULL, 0, 0);
  return 0;
}


static int yields (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  lua_pushinteger(L, lua_tointeger(L, -1));
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  return 1;
}


static const luaL_Reg functions[] = {
  {"every", every},
  {"off", off},
  {"yields", yields},
  {NULL, NULL},
};


int luaopen_support_hook (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
