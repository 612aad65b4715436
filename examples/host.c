/*
** host.c
** A program in C with Lua and the core of cpromise inside. It runs a Lua
** script, which finds the core without a library to load:
**
**   make amalgamation
**   cc -I/usr/include/lua5.4 -o host examples/host.c \
**     build/amalgamation/cpromise.c -llua5.4 -lm
**   LUA_PATH_5_4='lua/?.lua;lua/?/init.lua' ./host script.lua
**
** The files of lua/ are Lua, and stand where package.path finds them.
*/

#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int luaopen_cpromise_core (lua_State *L);


/* Let require "cpromise.core" find what is in this program. */
static void preload_core (lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_cpromise_core);
  lua_setfield(L, -2, "cpromise.core");
  lua_pop(L, 1);
}


/* (script) In protected mode, for it can lack memory like anything else. */
static int start (lua_State *L) {
  luaL_openlibs(L);
  preload_core(L);
  if (luaL_loadfile(L, lua_touserdata(L, 1)) != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}


int main (int argc, char *argv[]) {
  lua_State *L = luaL_newstate();
  int status;
  if (argc != 2 || L == NULL) {
    fprintf(stderr, "%s\n", L ? "usage: host script.lua" : "no memory");
    return EXIT_FAILURE;
  }
  lua_pushcfunction(L, start);
  lua_pushlightuserdata(L, argv[1]);
  status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
