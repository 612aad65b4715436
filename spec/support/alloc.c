/*
** alloc.c
** Lua states of their own inside the test process, with an allocator that
** counts, and that fails where a spec wants it to.
**
**   state = alloc.open()             a new state: standard libraries, and the
**                                    package paths of this one
**   state:run(chunk[, first[, last]])
**                                    run Lua code in it, source or binary;
**                                    of the allocations during the run those
**                                    from the 'first' to the 'last' fail.
**                                    -> true, results... or false, message;
**                                    what is no plain value comes as the name
**                                    of its type
**   state:count()                    allocations during the latest run
**   state:held()                     bytes that it holds
**   state:close()                    close it -> bytes that it still holds
**
** An allocation is a block that is new or grows: like any sane allocator,
** this one always frees and shrinks. A block that is resized always moves;
** memory that is new or was freed is full of poison: so whoever uses what is
** not his gets what makes no sense, and soon.
*/

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

int luaopen_support_alloc (lua_State *L);

#define TYPE "support.alloc"

/* From 5.5 on a state is given the seed of its hashes: here always the same. */
#if LUA_VERSION_NUM >= 505
#define new_state(allocate, ud) lua_newstate(allocate, ud, 1)
#else
#define new_state(allocate, ud) lua_newstate(allocate, ud)
#endif

/* As a pointer it leads nowhere, as a length it is huge. */
#define POISON 0xA5


/* A state; also what its allocator works with. */
typedef struct State {
  lua_State *L; /* NULL when closed */
  size_t held; /* bytes in its blocks */
  lua_Integer count; /* allocations since the run began */
  lua_Integer first, last; /* those that fail */
} State;


/* Not called by name, or the compiler leaves it out before 'free'. */
static void *(*const volatile fill)(void *, int, size_t) = memset;


static void discard (void *block, size_t size) {
  if (block != NULL)
    fill(block, POISON, size);
  free(block);
}


/* Another block with what was in this one; NULL if there is no memory. */
static void *move (void *block, size_t osize, size_t nsize) {
  void *moved = malloc(nsize);
  if (moved == NULL)
    return nsize <= osize ? block : NULL; /* shrinking may not fail */
  fill(moved, POISON, nsize);
  if (block != NULL) {
    memcpy(moved, block, osize < nsize ? osize : nsize);
    discard(block, osize);
  }
  return moved;
}


static void *allocate (void *ud, void *block, size_t osize, size_t nsize) {
  State *s = (State *)ud;
  if (block == NULL)
    osize = 0; /* it was the type of the object */
  if (nsize > osize) {
    s->count++;
    if (s->first <= s->count && s->count <= s->last)
      return NULL;
  }
  if (nsize == 0) {
    discard(block, osize);
    block = NULL;
  }
  else {
    block = move(block, osize, nsize);
    if (block == NULL)
      return NULL;
  }
  s->held += nsize - osize; /* wraps around, rightly */
  return block;
}


/* Let the allocations of this run fail that have these numbers. */
static void arm (State *s, lua_Integer first, lua_Integer last) {
  s->count = 0;
  s->first = first;
  s->last = last;
}


static void disarm (State *s) {
  s->first = 1;
  s->last = 0;
}


/* Where modules are found. */
typedef struct Paths {
  const char *lua, *c;
} Paths;


/* (paths): set up a new state. */
static int prepare (lua_State *L) {
  const Paths *paths = (const Paths *)lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushstring(L, paths->lua);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, paths->c);
  lua_setfield(L, -2, "cpath");
  return 0;
}


static void close_state (State *s) {
  if (s->L != NULL)
    lua_close(s->L);
  s->L = NULL;
}


static int alloc_open (lua_State *L) {
  Paths paths;
  State *s = (State *)lua_newuserdatauv(L, sizeof(State), 0);
  s->L = NULL;
  s->held = 0;
  s->count = 0;
  disarm(s);
  luaL_setmetatable(L, TYPE);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_getfield(L, -2, "cpath");
  paths.lua = luaL_checkstring(L, -2);
  paths.c = luaL_checkstring(L, -1);
  s->L = new_state(allocate, s);
  if (s->L == NULL)
    return luaL_error(L, "not enough memory");
  lua_pushcfunction(s->L, prepare);
  lua_pushlightuserdata(s->L, &paths);
  if (lua_pcall(s->L, 1, 0, 0) != LUA_OK)
    return luaL_error(L, "%s", lua_tostring(s->L, -1));
  lua_settop(L, 1);
  return 1;
}


static State *check_state (lua_State *L) {
  State *s = (State *)luaL_checkudata(L, 1, TYPE);
  luaL_argcheck(L, s->L != NULL, 1, "closed");
  return s;
}


/* Push on 'to' a copy of the value at 'idx' of 'from'. */
static void copy (lua_State *from, int idx, lua_State *to) {
  switch (lua_type(from, idx)) {
    case LUA_TNIL:
      lua_pushnil(to);
      break;
    case LUA_TBOOLEAN:
      lua_pushboolean(to, lua_toboolean(from, idx));
      break;
    case LUA_TNUMBER:
      if (lua_isinteger(from, idx))
        lua_pushinteger(to, lua_tointeger(from, idx));
      else
        lua_pushnumber(to, lua_tonumber(from, idx));
      break;
    case LUA_TSTRING: {
      size_t length;
      const char *text = lua_tolstring(from, idx, &length);
      lua_pushlstring(to, text, length);
      break;
    }
    default:
      lua_pushstring(to, luaL_typename(from, idx));
  }
}


/* Copy all values on the stack of the state, below whether it went well. */
static int push_results (lua_State *L, const State *s, int status) {
  int n = lua_gettop(s->L);
  int i;
  luaL_checkstack(L, n + 1, "too many results");
  lua_pushboolean(L, status == LUA_OK);
  for (i = 1; i <= n; i++)
    copy(s->L, i, L);
  return n + 1;
}


static int state_run (lua_State *L) {
  State *s = check_state(L);
  size_t size;
  const char *chunk = luaL_checklstring(L, 2, &size);
  lua_Integer first = luaL_optinteger(L, 3, 0);
  lua_Integer last = luaL_optinteger(L, 4, first);
  int status;
  lua_settop(s->L, 0);
  status = luaL_loadbuffer(s->L, chunk, size, "=chunk");
  if (status == LUA_OK) {
    arm(s, first, last);
    status = lua_pcall(s->L, 0, LUA_MULTRET, 0);
    disarm(s);
  }
  return push_results(L, s, status);
}


static int state_count (lua_State *L) {
  lua_pushinteger(L, check_state(L)->count);
  return 1;
}


static int state_held (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_state(L)->held);
  return 1;
}


static int state_close (lua_State *L) {
  State *s = check_state(L);
  close_state(s);
  lua_pushinteger(L, (lua_Integer)s->held);
  return 1;
}


static int state_gc (lua_State *L) {
  close_state((State *)luaL_checkudata(L, 1, TYPE));
  return 0;
}


static const luaL_Reg methods[] = {
  {"run", state_run},
  {"count", state_count},
  {"held", state_held},
  {"close", state_close},
  {"__gc", state_gc},
  {"__close", state_gc},
  {NULL, NULL},
};


int luaopen_support_alloc (lua_State *L) {
  luaL_newmetatable(L, TYPE);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_newtable(L);
  lua_pushcfunction(L, alloc_open);
  lua_setfield(L, -2, "open");
  return 1;
}
