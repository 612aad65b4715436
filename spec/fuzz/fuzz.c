/*
** fuzz.c
** A libFuzzer target: driver.lua takes the bytes of an input for operations
** on the library.  Each input gets a Lua state of its own, with two instances
** of the core and an allocator that counts, and that fails where the input
** wants it to.  Build and run: .ci/fuzz
**
** What the driver sees of this file are the functions at the end.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* From 5.5 on a state is given the seed of its hashes: here always the same. */
#if LUA_VERSION_NUM >= 505
#define new_state(allocate, ud) lua_newstate(allocate, ud, 1)
#else
#define new_state(allocate, ud) lua_newstate(allocate, ud)
#endif

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
int luaopen_cpromise_core (lua_State *L);

#define DRIVER "spec/fuzz/driver.lua"


/* One input, and the memory of its state. */
typedef struct Input {
  const uint8_t *data;
  size_t size, pos;
  size_t held; /* bytes in its blocks */
  unsigned wait; /* growths that succeed before one fails; 0: none fails */
  unsigned more; /* growths that fail */
  int failed; /* one has failed */
} Input;

static FILE *console; /* the real standard error */
static char *driver; /* driver.lua, compiled */
static size_t driver_size;


/* Whatever is wrong ends here: libFuzzer keeps the input. */
static void fail (const char *message) {
  fprintf(console, "fuzz: %s\n", message);
  fflush(console);
  abort();
}


static int must_fail (Input *in) {
  if (in->wait == 0 || --in->wait > 0)
    return 0;
  in->wait = in->more > 0; /* the next one, too */
  in->more -= in->more > 0;
  in->failed = 1;
  return 1;
}


static void *allocate (void *ud, void *block, size_t osize, size_t nsize) {
  Input *in = (Input *)ud;
  void *moved = NULL;
  if (block == NULL)
    osize = 0; /* it was the type of the object */
  if (nsize > osize && must_fail(in))
    return NULL;
  if (nsize > 0) {
    moved = malloc(nsize); /* always moves */
    if (moved == NULL)
      return NULL;
    if (block != NULL)
      memcpy(moved, block, osize < nsize ? osize : nsize);
  }
  free(block);
  in->held += nsize - osize; /* wraps around, rightly */
  return moved;
}


static int write_driver (lua_State *L, const void *p, size_t size, void *ud) {
  (void)L;
  (void)ud;
  driver = realloc(driver, driver_size + size);
  memcpy(driver + driver_size, p, size);
  driver_size += size;
  return 0;
}


/* What the core reports by default must not hide what the fuzzer has to say,
   which it says through descriptors and streams taken before. */
int LLVMFuzzerInitialize (int *argc, char ***argv) {
  lua_State *L = luaL_newstate();
  (void)argc;
  (void)argv;
  console = stderr;
  if (luaL_loadfile(L, DRIVER) != LUA_OK)
    fail(lua_tostring(L, -1));
  lua_dump(L, write_driver, NULL, 0);
  lua_close(L);
  stderr = fopen("/dev/null", "w");
  return 0;
}


/* An assertion of the core: it would go to the null device. */
void __assert_fail (
  const char *what, const char *file, unsigned line, const char *function) {
  fprintf(console, "%s:%u: %s: ", file, line, function);
  fail(what);
  abort();
}


/*
** {================================================================
** What the driver calls
** =================================================================
*/

static Input *input (lua_State *L) {
  void *ud;
  lua_getallocf(L, &ud);
  return (Input *)ud;
}


/* byte() -> the next one, or 0 at the end of the input */
static int fuzz_byte (lua_State *L) {
  Input *in = input(L);
  lua_pushinteger(L, in->pos < in->size ? in->data[in->pos++] : 0);
  return 1;
}


/* ended() -> whether all bytes were taken */
static int fuzz_ended (lua_State *L) {
  const Input *in = input(L);
  lua_pushboolean(L, in->pos >= in->size);
  return 1;
}


/* arm(n, k): of the allocations that follow the n-th fails, and k more do */
static int fuzz_arm (lua_State *L) {
  Input *in = input(L);
  in->wait = (unsigned)luaL_checkinteger(L, 1);
  in->more = (unsigned)luaL_checkinteger(L, 2);
  return 0;
}


/* failed() -> whether an allocation did */
static int fuzz_failed (lua_State *L) {
  lua_pushboolean(L, input(L)->failed);
  return 1;
}


/* fail(message): end the process */
static int fuzz_fail (lua_State *L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  fail(lua_tostring(L, -1));
  return 0;
}


static const luaL_Reg functions[] = {
  {"byte", fuzz_byte},
  {"ended", fuzz_ended},
  {"arm", fuzz_arm},
  {"failed", fuzz_failed},
  {"fail", fuzz_fail},
  {"open", luaopen_cpromise_core},
  {NULL, NULL},
};

/* }================================================================ */


/* Leave the functions 'run' and 'finish' of the driver on the stack. */
static int prepare (lua_State *L) {
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  if (luaL_loadbuffer(L, driver, driver_size, "driver") != LUA_OK)
    return lua_error(L);
  luaL_newlib(L, functions);
  lua_call(L, 1, 2);
  return 2;
}


int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  Input in = {data, size, 0, 0, 0, 0, 0};
  lua_State *L = new_state(allocate, &in);
  lua_pushcfunction(L, prepare);
  if (lua_pcall(L, 0, 2, 0) != LUA_OK)
    fail(lua_tostring(L, -1));
  while (in.pos < in.size) {
    size_t pos = in.pos;
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    lua_pcall(L, 0, 0, 0); /* may lack memory */
    in.pos += in.pos == pos; /* even to start */
  }
  in.wait = in.more = 0;
  lua_settop(L, 2);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    fail(lua_tostring(L, -1));
  lua_close(L);
  if (in.held != 0)
    fail("the closed state holds memory");
  return 0;
}
