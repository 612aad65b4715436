/*
** trace.c
** See trace.h.  luaL_traceback searches package.loaded for the name of each
** function, up to a hundred microseconds for an error; this walks the stack
** with what lua_getinfo knows.
*/

#include "trace.h"

#include "args.h"

/*
** A record. One that was *thrown* is of an error that unwinds the stack, and
** is taken when that has been caught by the library. One that was *handed on*
** goes with a reason that is thrown again, and may never be taken, since the
** user's pcall can catch it: so the next record replaces it.
*/
enum {
  RECORD_REASON = 1,
  RECORD_TRACEBACK,
  RECORD_OLDER,
  RECORD_HANDED, /* by which hop, or false */
  RECORD_THREAD, /* the coroutine in which it was thrown or handed on */
  RECORD_SIZE = RECORD_THREAD
};

#define TITLE "stack traceback:"
#define LEVELS 22 /* shown of a deep stack: its upper end */
#define HOPS 10 /* shown of a long way: the first ones, and the last */

/* The lines between the frames of one coroutine and those of the next. */
enum { HOP_AWAIT, HOP_GENERATOR, HOP_MADE };
static const char *const hops[] = {
  "\n\t[await]", "\n\t[generator]", "\n\t[made]", NULL};


/*
** {================================================================
** The text
** =================================================================
*/

/* What to make of a level. */
typedef enum Frame { FRAME_SHOW, FRAME_SKIP, FRAME_OWN, FRAME_END } Frame;


static int is_one_of (const lua_CFunction *list, lua_CFunction f) {
  while (*list != NULL && *list != f)
    list++;
  return *list != NULL;
}


/* Our own functions are left out, and below a drain or the start of an async
   call nothing belongs to the error. */
static Frame
look_at (lua_State *L, lua_State *from, lua_Debug *ar, const char *own) {
  lua_CFunction f;
  lua_getinfo(from, "Slnf", ar);
  lua_xmove(from, L, 1);
  f = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  if (f == NULL && own != NULL && strncmp(ar->source, own, strlen(own)) == 0)
    return FRAME_OWN;
  if (f == NULL)
    return FRAME_SHOW;
  if (is_one_of(cp_trace_bases, f))
    return FRAME_END;
  if (ar->name == NULL || cp_args_is_own(f))
    return FRAME_SKIP;
  return is_one_of(cp_trace_nameless, f) ? FRAME_SKIP : FRAME_SHOW;
}


static void add_level (lua_State *L, luaL_Buffer *b, const lua_Debug *ar) {
  if (ar->currentline > 0)
    lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  else
    lua_pushfstring(L, "\n\t%s: in ", ar->short_src);
  luaL_addvalue(b);
  if (ar->name != NULL)
    lua_pushfstring(L, "function '%s'", ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, "main chunk");
  else
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  luaL_addvalue(b);
}


/* How the names of our own Lua files start, or NULL: the context holds it. */
static const char *own_prefix (lua_State *L, int context) {
  const char *own;
  lua_getiuservalue(L, context, CTX_OWN);
  own = lua_tostring(L, -1);
  lua_pop(L, 1);
  return own;
}


/* Add the frames of 'from', from that level on, to the buffer on the top.
   Returns how many there are to show. */
static int add_frames (
  lua_State *L, luaL_Buffer *b, int context, lua_State *from, int level) {
  const char *own = own_prefix(L, context);
  size_t start = luaL_bufflen(b);
  lua_Debug ar;
  Frame frame = FRAME_SKIP;
  int shown = 0;
  int in_lua = 0;
  for (; frame != FRAME_END && lua_getstack(from, level, &ar); level++) {
    if (shown == LEVELS) {
      luaL_addstring(b, "\n\t...");
      break;
    }
    frame = look_at(L, from, &ar, own);
    if (frame == FRAME_SHOW) {
      add_level(L, b, &ar);
      shown++;
      in_lua = in_lua || ar.currentline > 0;
    }
    else if (frame == FRAME_OWN && !in_lua) { /* what we called, as 'error' */
      luaL_buffsub(b, luaL_bufflen(b) - start);
      shown = 0;
    }
  }
  return shown;
}


void cp_trace_push (lua_State *L, int context, lua_State *from, int level) {
  luaL_Buffer b;
  int shown;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, TITLE);
  shown = add_frames(L, &b, context, from, level);
  luaL_pushresult(&b);
  if (shown == 0) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}


/* The first hop in the text from there on, or NULL. */
static const char *find_hop (const char *text) {
  const char *line;
  int i;
  for (line = strchr(text, '\n'); line != NULL; line = strchr(line + 1, '\n'))
    for (i = 0; hops[i] != NULL; i++) {
      size_t n = strlen(hops[i]);
      if (strncmp(line, hops[i], n) == 0 && line[n] == '\n')
        return line;
    }
  return NULL;
}


/* How much of the text stays when one more hop follows. If that leaves out
   the last one, '*left_out' is how many are left out then. */
static size_t keep_of (const char *text, size_t len, int *left_out) {
  const char *last = find_hop(text);
  const char *line;
  int n;
  for (n = 1; n < HOPS && last != NULL; n++)
    last = find_hop(last + 1);
  if (last == NULL)
    return len;
  for (line = last - 1; *line != '\n'; line--)
    ;
  if (sscanf(line, "\n\t... (%d hops left out)", left_out) != 1) {
    line = last;
    *left_out = 0;
  }
  (*left_out)++;
  return (size_t)(line - text);
}


/* Start a buffer with the traceback at 'idx' and a hop of that sort. */
static void
start_joined (lua_State *L, luaL_Buffer *b, int idx, const char *hop) {
  size_t len;
  const char *text = lua_tolstring(L, idx, &len);
  int left_out = 0;
  luaL_buffinit(L, b);
  luaL_addlstring(b, text, keep_of(text, len, &left_out));
  if (left_out > 0) {
    lua_pushfstring(L, "\n\t... (%d hops left out)", left_out);
    luaL_addvalue(b);
  }
  luaL_addstring(b, hop);
}


/* Push the traceback at 'idx' with the frames of 'from' after it, from that
   level on, behind a hop of that sort; as it is if there are none to show.
   [-0, +1, m] */
static void push_joined (lua_State *L, int context, int idx, const char *hop,
  lua_State *from, int level) {
  luaL_Buffer b;
  int shown;
  if (lua_isnil(L, idx)) { /* it came from nowhere */
    cp_trace_push(L, context, from, level);
    return;
  }
  start_joined(L, &b, idx, hop);
  shown = add_frames(L, &b, context, from, level);
  luaL_pushresult(&b);
  if (shown == 0) { /* one of the library's own */
    lua_pop(L, 1);
    lua_pushvalue(L, idx);
  }
}


/* The frames of the coroutine that comes last in a traceback. */
static const char *last_frames (const char *text) {
  const char *hop = find_hop(text);
  const char *frames = strchr(text, '\n');
  while (hop != NULL) {
    frames = strchr(hop + 1, '\n');
    hop = find_hop(hop + 1);
  }
  return frames;
}


void cp_trace_join (lua_State *L, int idx, int origin) {
  luaL_Buffer b;
  if (!lua_isstring(L, origin)) {
    lua_pushvalue(L, idx);
    return;
  }
  if (lua_isstring(L, idx))
    start_joined(L, &b, idx, hops[HOP_MADE]);
  else {
    luaL_buffinit(L, &b);
    luaL_addstring(&b, TITLE);
    luaL_addstring(&b, hops[HOP_MADE]);
  }
  luaL_addstring(&b, lua_tostring(L, origin) + strlen(TITLE));
  luaL_pushresult(&b);
}


void cp_trace_push_first (lua_State *L, int idx) {
  const char *text = lua_tostring(L, idx);
  const char *start = text != NULL ? strstr(text, "\n\t") : NULL;
  const char *end = NULL;
  while (start != NULL && start[2] == '[') /* a hop, or a function in C */
    start = strstr(start + 2, "\n\t");
  if (start != NULL)
    end = strstr(start, ": in ");
  if (end == NULL)
    lua_pushnil(L);
  else
    lua_pushlstring(L, start + 2, (size_t)(end - start) - 2);
}

/* }================================================================ */


/*
** {================================================================
** Errors in flight
** =================================================================
*/

/* Whether a is nil, and b what Lua puts in its place after the message
   handler has seen it, from 5.5 on. */
static int is_replaced (lua_State *L, int a, int b) {
  return LUA_VERSION_NUM >= 505 && lua_isnil(L, a) &&
         lua_type(L, b) == LUA_TSTRING &&
         strcmp(lua_tostring(L, b), "<no error object>") == 0;
}


/* Whether two reasons are the same. NaN is. */
static int same (lua_State *L, int a, int b) {
  return lua_rawequal(L, a, b) ||
         (!lua_rawequal(L, a, a) && !lua_rawequal(L, b, b)) ||
         is_replaced(L, a, b) || is_replaced(L, b, a);
}


/* Whether the record on the top is of the reason that is thrown in 'where'.
   An object tells by itself that it is thrown again. Equal strings may be two
   errors: they are taken for one only in the coroutine that was handed it. */
static int is_of (lua_State *L, int reason, const lua_State *where) {
  int is;
  lua_rawgeti(L, -1, RECORD_REASON);
  lua_rawgeti(L, -2, RECORD_THREAD);
  is = same(L, lua_gettop(L) - 1, reason) &&
       (lua_istable(L, reason) || lua_isuserdata(L, reason) ||
         lua_tothread(L, -1) == where);
  lua_pop(L, 2);
  return is;
}


static int was_handed (lua_State *L) {
  int was;
  lua_rawgeti(L, -1, RECORD_HANDED);
  was = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return was;
}


/* Push the newest record, or nil; without one that was handed on, unless
   that is of the reason at 'reason', thrown in 'where'. */
static void
push_newest (lua_State *L, int context, int reason, const lua_State *where) {
  if (lua_getiuservalue(L, context, CTX_TRACE) == LUA_TNIL)
    return;
  if (was_handed(L) && !is_of(L, reason, where)) {
    lua_rawgeti(L, -1, RECORD_OLDER);
    lua_replace(L, -2);
  }
}


/* Whether the record on the top goes with the reason
   thrown again in 'where'. */
static int is_handed (lua_State *L, int reason, const lua_State *where) {
  return !lua_isnil(L, -1) && was_handed(L) && is_of(L, reason, where);
}


/* The error of the record on the top goes on in this coroutine. */
static void set_thread (lua_State *L) {
  lua_pushthread(L);
  lua_rawseti(L, -2, RECORD_THREAD);
}


/* Make the newest record, of the reason at 'reason' and the traceback on the
   top; handed on by that hop, or (NULL) thrown. [-1, +0, m] */
static void
add_record (lua_State *L, int context, int reason, const char *hop) {
  lua_createtable(L, RECORD_SIZE, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, RECORD_TRACEBACK);
  lua_pushvalue(L, reason);
  lua_rawseti(L, -2, RECORD_REASON);
  push_newest(L, context, reason, L);
  if (is_handed(L, reason, L)) {
    lua_rawgeti(L, -1, RECORD_OLDER);
    lua_remove(L, -2);
  }
  lua_rawseti(L, -2, RECORD_OLDER);
  if (hop != NULL)
    lua_pushstring(L, hop);
  else
    lua_pushboolean(L, 0);
  lua_rawseti(L, -2, RECORD_HANDED);
  set_thread(L);
  lua_setiuservalue(L, context, CTX_TRACE);
  ((Context *)lua_touserdata(L, context))->traced = 1;
}


/* Push the traceback of the record on the top, which was handed on to where
   'from' is now, at that level. [-0, +1, m] */
static void
push_handed (lua_State *L, int context, lua_State *from, int level) {
  int record = lua_gettop(L);
  lua_rawgeti(L, record, RECORD_TRACEBACK);
  lua_rawgeti(L, record, RECORD_HANDED);
  push_joined(
    L, context, record + 1, lua_tostring(L, record + 2), from, level);
  lua_replace(L, record + 1);
  lua_settop(L, record + 1);
}


int cp_trace_handler (lua_State *L) {
  lua_settop(L, 1); /* the reason */
  push_newest(L, CONTEXT, 1, L);
  if (is_handed(L, 1, L)) { /* unwinds now */
    push_handed(L, CONTEXT, L, 1);
    lua_rawseti(L, -2, RECORD_TRACEBACK);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, RECORD_HANDED);
  }
  else {
    cp_trace_push(L, CONTEXT, L, 1);
    add_record(L, CONTEXT, 1, NULL);
  }
  lua_settop(L, 1);
  return 1;
}


int cp_trace_body_handler (lua_State *L) {
  const Context *ctx = cp_context(L);
  if (ctx->drive != NULL && ctx->drive->co == L)
    ctx->drive->call->flags &= (unsigned short)~FLAG_CANCELLED;
  return cp_trace_handler(L);
}


void cp_trace_take (lua_State *L, Context *ctx) {
  int reason = lua_gettop(L);
  if (!ctx->traced) {
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, CONTEXT, CTX_TRACE);
  while (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, RECORD_OLDER);
    lua_rawgeti(L, -2, RECORD_HANDED);
    lua_rawgeti(L, -3, RECORD_REASON);
    /* stack: reason; record; older; whether handed on; its reason */
    if (!lua_toboolean(L, -2) && same(L, lua_gettop(L), reason)) {
      lua_pop(L, 2);
      ctx->traced = (unsigned char)!lua_isnil(L, -1);
      lua_setiuservalue(L, CONTEXT, CTX_TRACE);
      lua_rawgeti(L, -1, RECORD_TRACEBACK);
      lua_remove(L, -2);
      return;
    }
    lua_pop(L, 2);
    lua_remove(L, -2);
  }
}


void cp_trace_reject (lua_State *L, Promise *p, int idx) {
  cp_trace_take(L, cp_context(L));
  lua_setiuservalue(L, idx, SLOT_SOURCE);
  cp_promise_settle(L, p, idx, STATE_REJECTED);
}


void cp_trace_hand_on (lua_State *L, int idx) {
  lua_getiuservalue(L, idx, SLOT_VALUE);
  if (lua_getiuservalue(L, idx, SLOT_SOURCE) == LUA_TSTRING)
    add_record(L, CONTEXT, lua_gettop(L) - 1, hops[HOP_AWAIT]);
  else
    lua_pop(L, 1);
  lua_pop(L, 1);
}


/* Push the traceback of the error at 'reason' if that unwinds, or nil. */
static void push_unwinding (lua_State *L, int reason) {
  lua_getiuservalue(L, CONTEXT, CTX_TRACE);
  while (lua_istable(L, -1)) {
    int found;
    lua_rawgeti(L, -1, RECORD_REASON);
    lua_rawgeti(L, -2, RECORD_HANDED);
    found = !lua_toboolean(L, -1) && same(L, lua_gettop(L) - 1, reason);
    lua_pop(L, 2);
    lua_rawgeti(L, -1, found ? RECORD_TRACEBACK : RECORD_OLDER);
    lua_remove(L, -2);
  }
}


void cp_trace_hand_on_after (lua_State *L, int idx, int err) {
  int top = lua_gettop(L);
  lua_getiuservalue(L, idx, SLOT_VALUE);
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  push_unwinding(L, err);
  if (lua_isstring(L, top + 2) && lua_isstring(L, top + 3)) {
    luaL_Buffer b;
    const char *frames = last_frames(lua_tostring(L, top + 3));
    start_joined(L, &b, top + 2, hops[HOP_AWAIT]);
    luaL_addstring(&b, frames);
    luaL_pushresult(&b);
    add_record(L, CONTEXT, top + 1, hops[HOP_AWAIT]);
  }
  else
    cp_trace_hand_on(L, idx);
  lua_settop(L, top);
}


void cp_trace_keep (lua_State *L, lua_State *from) {
  int reason = lua_gettop(L);
  push_newest(L, CONTEXT, reason, from);
  if (is_handed(L, reason, from))
    set_thread(L);
  else {
    lua_settop(L, reason);
    cp_trace_take(L, cp_context(L));
    if (lua_isnil(L, -1)) /* of an error that was not in its body */
      cp_trace_push(L, CONTEXT, from, 0);
    add_record(L, CONTEXT, reason, hops[HOP_GENERATOR]);
  }
  lua_settop(L, reason);
}


int cp_trace_save (lua_State *L, Context *ctx) {
  if (!ctx->traced)
    return 0;
  lua_getiuservalue(L, CONTEXT, CTX_TRACE);
  cp_trace_clear(L, ctx);
  return 1;
}


void cp_trace_restore (lua_State *L, Context *ctx, int idx) {
  if (lua_isnil(L, idx))
    cp_trace_clear(L, ctx);
  else {
    cp_node_set(L, CONTEXT, CTX_TRACE, idx);
    ctx->traced = 1;
  }
}

/* }================================================================ */


int cp_trace_text (lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  push_newest(L, 2, 3, co);
  if (is_handed(L, 3, co))
    push_handed(L, 2, co, 0);
  else
    cp_trace_push(L, 2, co, 0);
  return 1;
}


/* Push where a coroutine would start, whose function is
   at 'fn' on its stack. */
static int push_start (lua_State *L, lua_State *from, int fn) {
  lua_Debug ar;
  if (lua_gettop(from) < fn || !lua_isfunction(from, fn))
    return 0;
  lua_pushvalue(from, fn);
  lua_getinfo(from, ">S", &ar);
  lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
  return 1;
}


#define BODY_FUNCTION                                                        \
  3 /* where 'cp_async_body' finds the program's function */


int cp_trace_where (lua_State *L, lua_State *from) {
  return cp_trace_where_of(L, CONTEXT, from);
}


int cp_trace_where_of (lua_State *L, int context, lua_State *from) {
  const char *own = own_prefix(L, context);
  lua_Debug ar;
  int level;
  int own_file = 0;
  if (!lua_checkstack(from, LUA_MINSTACK))
    return 0;
  if (!lua_getstack(from, 0, &ar))
    return push_start(L, from, BODY_FUNCTION);
  for (level = 0; lua_getstack(from, level, &ar); level++) {
    Frame frame = look_at(L, from, &ar, own);
    if (frame == FRAME_SHOW && ar.currentline > 0) {
      lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
      lua_pushstring(L, ar.name);
      return 2;
    }
    if (frame == FRAME_OWN) {
      if (own_file != 0)
        lua_pop(L, 1);
      lua_pushstring(L, ar.source + strlen(own));
      own_file = lua_gettop(L);
    }
  }
  if (own_file == 0)
    return 0;
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, own_file);
  return 3;
}


int cp_setOwn (lua_State *L) {
  size_t suffix;
  lua_Debug ar;
  luaL_checklstring(L, 1, &suffix);
  if (!lua_getstack(L, 1, &ar))
    return 0;
  lua_getinfo(L, "S", &ar);
  if (ar.srclen > suffix) {
    lua_pushlstring(L, ar.source, ar.srclen - suffix);
    lua_setiuservalue(L, CONTEXT, CTX_OWN);
  }
  return 0;
}


/* (reason, level): the traceback, as a message handler
   at that level sees it. */
static void push_seen (lua_State *L, int reason, int level) {
  push_newest(L, CONTEXT, reason, L);
  if (is_handed(L, reason, L))
    push_handed(L, CONTEXT, L, level);
  else
    cp_trace_push(L, CONTEXT, L, level);
  lua_replace(L, reason + 1);
  lua_settop(L, reason + 1);
}


int cp_addTraceback (lua_State *L) {
  int level = 1;
  if (!lua_isnoneornil(L, 2)) {
    int is_integer;
    level = (int)lua_tointegerx(L, 2, &is_integer);
    if (!is_integer || lua_type(L, 2) != LUA_TNUMBER)
      return cp_args_type_error(L, 2, "integer");
  }
  lua_settop(L, 1);
  lua_pushnil(L);
  push_seen(L, 1, level);
  lua_getiuservalue(L, CONTEXT, CTX_SHOW);
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}
