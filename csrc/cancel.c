/*
** cancel.c
** See cancel.h.
*/

#include "cancel.h"

#include "args.h"
#include "host.h"
#include "timers.h"
#include "trace.h"
#include "wait.h"
#include "watch.h"


/*
** {================================================================
** Marking and leaving
** =================================================================
*/

static inline int place_of (const Walk *w, int what) {
  return w->base + what;
}


#define PROMISE(w) place_of(w, WALK_PROMISE)


/* Note in a flag that p was asked; returns whether it
   is for the first time. */
static int mark (Walk *w, Promise *p) {
  if (p->flags & FLAG_CANCELLED)
    return 0;
  p->flags |= FLAG_CANCELLED;
  w->told = 1;
  return 1;
}


/* Let a slot of p be the carrier. */
static void give_carrier (const Walk *w, int slot) {
  cp_node_set(w->L, PROMISE(w), slot, place_of(w, w->own));
}


/* The derived p leaves: it is rejected, and stays where it stands, in a ring
   or in the queue. Its reactions become those of the carrier, which has
   settled alike. A cancellation needs nobody to handle it. */
void cp_cancel_in_place (Walk *w, Promise *p) {
  cp_promise_copy(w->L, p, PROMISE(w), place_of(w, w->own));
  p->flags |= FLAG_HANDLED;
  cp_ring_move(w->L, p, PROMISE(w), place_of(w, w->own));
  w->told = 1;
}


/* What p waits for, its source, has been pushed, and what stands there for p
   below it. Whether the source is to be asked: p alone waits for it. */
static int waits_alone (const Walk *w, const Promise *p, Promise *source) {
  int top = lua_gettop(w->L);
  int place = p->kind == KIND_ADOPT ? 0 : top - 1;
  return source != w->start && !w->leaves && p->kind != KIND_SHIELD &&
         !cp_wait_others(w->L, source, top, place);
}


/* Let the source, on the top, take the place of what stands there for p, so
   that it is asked next. [-2, +1, -] */
static int ask_source (const Walk *w) {
  lua_remove(w->L, -2);
  return 1;
}


/* One has left the source at 'idx', to which others look, as a rule; but not
   if it was shielded, or was the last of a circle. */
static void has_left (lua_State *L, Promise *source, int idx) {
  if (source->held == 0 && !cp_wait_others(L, source, idx, 0))
    source->flags &= (unsigned short)~FLAG_HANDLED;
}


/* The promise that is asked leaves the source on the top, where what is below
   that stands for it. [-2, +0, -] */
static void leave (lua_State *L, Promise *source) {
  int idx = lua_gettop(L);
  cp_wait_leave(L, source, idx, idx - 1);
  has_left(L, source, idx);
  lua_settop(L, idx - 2);
}


/* The derived p, which stays in the ring of its source, on the top, has left
   it. [-2, +0, -] */
static void leave_ring (const Walk *w, const Promise *p, Promise *source) {
  lua_State *L = w->L;
  int idx = lua_gettop(L);
  if (p->kind == KIND_ADOPT)
    source->held--;
  else
    cp_wait_count_dead(L, source, idx);
  has_left(L, source, idx);
  lua_settop(L, idx - 2);
}

/* }================================================================ */


/*
** {================================================================
** What is asked, by kind
** =================================================================
*/

/* Append the promise that is being asked to those whose hooks are to run. */
static void run_hooks_later (const Walk *w) {
  lua_State *L = w->L;
  int last = place_of(w, WALK_HOOKED_LAST);
  if (lua_isnil(L, last))
    lua_copy(L, PROMISE(w), place_of(w, WALK_HOOKED));
  else
    cp_node_set(L, last, SLOT_LINK, PROMISE(w));
  lua_copy(L, PROMISE(w), last);
}


/* One that is marked is on that list, or its hooks run. One that was resolved
   has no hooks: it waits for a thenable, or a getter of the program's
   runs. */
int cp_ask_plain (Walk *w, Promise *p) {
  if (!mark(w, p)) {
    w->is_circle |= p->flags & FLAG_DIVERTED;
    return 0;
  }
  if (!(p->flags & FLAG_RESOLVED)) {
    p->flags |= FLAG_RESOLVED;
    run_hooks_later(w);
    return 0;
  }
  cp_promise_copy(w->L, p, PROMISE(w), place_of(w, w->own));
  cp_promise_announce(w->L, p, PROMISE(w));
  return 0;
}


/* Its job finds it settled. */
int cp_ask_thenable (Walk *w, Promise *p) {
  cp_node_clear(w->L, PROMISE(w), SLOT_SOURCE);
  cp_cancel_in_place(w, p);
  return 0;
}


/* Mark a derived promise, which needs no handler any more. */
static void mark_derived (Walk *w, Promise *p) {
  if (mark(w, p)) {
    if (p->kind == KIND_LIMIT)
      cp_timers_release(w->L, p, PROMISE(w));
    if (p->kind != KIND_ADOPT && p->kind != KIND_LIMIT)
      p->kind = KIND_PASS;
    give_carrier(w, SLOT_VALUE);
  }
}


/* Its own code runs: what comes of that is void. */
static void mark_running (Walk *w, Promise *p) {
  if (mark(w, p)) {
    give_carrier(w, SLOT_SOURCE);
    p->flags |= FLAG_DIVERTED;
  }
}


static int has_no_source (const Walk *w) {
  int none = lua_getiuservalue(w->L, PROMISE(w), SLOT_SOURCE) == LUA_TNIL;
  lua_pop(w->L, 1);
  return none;
}


/* The limit p, which has its own outcome, leaves the source on the top. */
static void leave_by_limit (Walk *w, Promise *p, Promise *source) {
  lua_State *L = w->L;
  leave(L, source);
  cp_timers_release(L, p, PROMISE(w));
  cp_promise_copy(L, p, PROMISE(w), place_of(w, w->own));
  cp_promise_announce(L, p, PROMISE(w));
  w->told = 1;
}


/* It stands in the list of its duration, dead. */
int cp_ask_delay (Walk *w, Promise *p) {
  p->flags &= (unsigned short)~FLAGS_SHAPE;
  cp_cancel_in_place(w, p);
  cp_timers_count_dead(w->L, w->ctx, 1);
  return 0;
}


int cp_ask_derived (Walk *w, Promise *p) {
  Promise *source = cp_wait_source(w->L, p, PROMISE(w));
  if (source == NULL) {
    if (p->flags & FLAG_DIVERTED || has_no_source(w))
      mark_running(w, p);
    else
      mark_derived(w, p);
    return 0;
  }
  if (waits_alone(w, p, source)) {
    mark_derived(w, p);
    return ask_source(w);
  }
  if (p->kind == KIND_LIMIT)
    leave_by_limit(w, p, source);
  else {
    cp_cancel_in_place(w, p);
    leave_ring(w, p, source);
  }
  return 0;
}


/* A 'finally' whose turn is near: let it, or the seat on which it waits, take
   the carrier for what it waited for, if that has fulfilled. */
static void divert (Walk *w, Promise *p) {
  lua_State *L = w->L;
  int idx = lua_gettop(L) + 1;
  Promise *seat;
  lua_getiuservalue(L, PROMISE(w), SLOT_SOURCE);
  seat = cp_node_test(L, idx);
  if (seat != NULL)
    lua_getiuservalue(L, idx, SLOT_SOURCE);
  else {
    lua_pushvalue(L, PROMISE(w));
    lua_insert(L, idx);
  }
  /* stack: the object whose turn it is; what it reacts to, or nil */
  if (lua_isnil(L, idx + 1) ||
      cp_node_at(L, idx + 1)->state == STATE_FULFILLED) {
    cp_node_set(L, idx, SLOT_SOURCE, place_of(w, w->own));
    (seat != NULL ? seat : p)->flags |= FLAG_DIVERTED;
  }
  lua_settop(L, idx - 1);
}


/* Before its handler has run: that is to run in its turn. */
int cp_ask_finally (Walk *w, Promise *p) {
  lua_State *L = w->L;
  Promise *source = cp_wait_source(L, p, PROMISE(w));
  if (source == NULL) {
    if (mark(w, p))
      divert(w, p);
    return 0;
  }
  if (waits_alone(w, p, source)) {
    mark(w, p);
    return ask_source(w);
  }
  leave(L, source);
  mark(w, p);
  w->told = 1;
  give_carrier(w, SLOT_SOURCE);
  cp_queue_push(L, w->ctx, p, PROMISE(w));
  return 0;
}


/* The outcome that it takes at the end becomes the carrier's, unless it is a
   failure. */
static void replace_original (const Walk *w) {
  lua_State *L = w->L;
  lua_getiuservalue(L, PROMISE(w), SLOT_VALUE);
  if (!cp_cancel_is_failure(L, lua_gettop(L)))
    give_carrier(w, SLOT_VALUE);
  lua_pop(L, 1);
}


/* After its handler has run. */
int cp_ask_finally_done (Walk *w, Promise *p) {
  lua_State *L = w->L;
  Promise *source = cp_wait_source(L, p, PROMISE(w));
  if (mark(w, p))
    replace_original(w);
  if (source == NULL)
    return 0;
  if (waits_alone(w, p, source))
    return ask_source(w);
  leave(L, source);
  lua_getiuservalue(L, PROMISE(w), SLOT_VALUE);
  cp_promise_copy(L, p, PROMISE(w), lua_gettop(L));
  lua_pop(L, 1);
  cp_promise_announce(L, p, PROMISE(w));
  w->told = 1;
  return 0;
}


/* Whether the call is under the request of this very walk: it has come to an
   'await', from where that goes up. */
static int is_asked_already (const Walk *w) {
  int is;
  lua_getiuservalue(w->L, PROMISE(w), SLOT_SOURCE);
  is = lua_rawequal(w->L, -1, place_of(w, w->own));
  lua_pop(w->L, 1);
  return is;
}


/* Note a request to a call, if none is undelivered but one from inside. */
static void ask_to_raise (Walk *w, Promise *p) {
  if (p->flags & FLAG_INTERRUPTED && !is_asked_already(w))
    p->flags &= (unsigned short)~(FLAG_INTERRUPTED | FLAG_CANCELLED);
  if (mark(w, p)) {
    p->flags |= FLAG_CARRIER;
    give_carrier(w, SLOT_SOURCE);
  }
}


/* Push the coroutine of a call that waits, or nil. */
static lua_State *push_thread (const Walk *w) {
  lua_getiuservalue(w->L, PROMISE(w), SLOT_VALUE);
  return lua_tothread(w->L, -1);
}


/* A call whose coroutine was closed ends here, wherever it stands. */
static int is_closed (const Walk *w) {
  lua_State *co = push_thread(w);
  lua_pop(w->L, 1);
  return co != NULL && cp_wait_is_over(co);
}


/* The call leaves its source, on the top. */
static void leave_by_call (Walk *w, Promise *p, Promise *source) {
  lua_State *L = w->L;
  lua_State *co;
  leave(L, source);
  co = push_thread(w);
  lua_getiuservalue(L, PROMISE(w), SLOT_SOURCE);
  cp_wait_set_awaited(L, co);
  lua_pop(L, 1);
  cp_queue_push(L, w->ctx, p, PROMISE(w));
  w->told = 1;
}


int cp_ask_call (Walk *w, Promise *p) {
  Promise *source = cp_wait_source(w->L, p, PROMISE(w));
  if (source == NULL && p->kind == KIND_AWAIT && is_closed(w)) {
    cp_cancel_in_place(w, p);
    return 0;
  }
  ask_to_raise(w, p);
  if (source == NULL)
    return 0;
  if (waits_alone(w, p, source))
    return ask_source(w);
  leave_by_call(w, p, source);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** Aggregates
** =================================================================
*/

/* Push the pending promise that the object at 'idx' waits for, if it is an
   element that waits for one. */
static Promise *element_source (lua_State *L, int idx) {
  const Promise *node = cp_node_test(L, idx);
  Promise *source;
  if (node == NULL || node->flags & FLAG_PLAIN)
    return NULL;
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  source = cp_promise_test(L, cp_context(L), lua_gettop(L));
  if (source != NULL && source->state == STATE_PENDING)
    return source;
  lua_pop(L, 1);
  return NULL;
}


/* Append the object at 'node' to the chain whose first and last stand at
   'chain'. */
static void chain_up (lua_State *L, int chain, int node) {
  if (lua_isnil(L, chain))
    lua_copy(L, node, chain);
  else
    cp_node_set(L, chain + 1, SLOT_LINK, node);
  lua_copy(L, node, chain + 1);
}


/* The chain goes before what is still to be asked. */
static void prepend (const Walk *w, int chain) {
  lua_State *L = w->L;
  int first = place_of(w, WALK_FIRST);
  int last = place_of(w, WALK_LAST);
  if (lua_isnil(L, chain))
    return;
  if (lua_isnil(L, first))
    lua_copy(L, chain + 1, last);
  else
    cp_node_set(L, chain + 1, SLOT_LINK, first);
  lua_copy(L, chain, first);
}


/* The element at 'node' of the aggregate p leaves its source, on the top. */
static void leave_element (Walk *w, Promise *p, int node, Promise *source) {
  lua_State *L = w->L;
  cp_node_clear(L, node, SLOT_VALUE);
  cp_node_clear(L, node, SLOT_SOURCE);
  cp_wait_count_dead(L, source, lua_gettop(L));
  has_left(L, source, lua_gettop(L));
  p->n--;
  w->told = 1;
}


/* Let what is at 'node', if it is an element of the aggregate p that waits,
   leave, or stand in the chain at 'chain' to be asked. */
static void take_element (Walk *w, Promise *p, int chain, int node) {
  lua_State *L = w->L;
  Promise *source = element_source(L, node);
  int at_source = lua_gettop(L);
  if (source == NULL)
    return;
  if (source != w->start && !cp_wait_others(L, source, at_source, node))
    chain_up(L, chain, node);
  else
    leave_element(w, p, node, source);
  lua_settop(L, at_source - 1);
}


static void take_elements (Walk *w, Promise *p) {
  lua_State *L = w->L;
  int table = lua_gettop(L) + 1;
  int chain = table + 1;
  lua_getiuservalue(L, PROMISE(w), SLOT_VALUE);
  lua_settop(L, chain + 1);
  lua_pushnil(L);
  while (lua_istable(L, table) && lua_next(L, table)) {
    /* stack: ...; table; chain; its end; key; a node or result */
    take_element(w, p, chain, lua_gettop(L));
    lua_pop(L, 1);
  }
  prepend(w, chain);
  lua_settop(L, table - 1);
}


void cp_cancel_keep (lua_State *L, int choice, int carrier) {
  Promise *s = cp_node_at(L, choice);
  if (s->state == STATE_FULFILLED) {
    s->flags |= FLAG_CARRIER;
    cp_node_set(L, choice, SLOT_SOURCE, carrier);
  }
}


int cp_ask_aggregate (Walk *w, Promise *p) {
  if (mark(w, p))
    give_carrier(w, SLOT_SOURCE);
  else if (p->flags & FLAG_DIVERTED) {
    lua_getiuservalue(w->L, PROMISE(w), SLOT_SOURCE);
    cp_cancel_keep(w->L, lua_gettop(w->L), place_of(w, w->own));
    lua_pop(w->L, 1);
  }
  take_elements(w, p);
  if (p->n == 0)
    cp_cancel_end_aggregate(w->L, p, PROMISE(w));
  return 0;
}


/* Take the promise of the next element to
   WALK_PROMISE; returns it, or NULL. */
static Promise *next_element (const Walk *w) {
  lua_State *L = w->L;
  int first = place_of(w, WALK_FIRST);
  if (lua_isnil(L, first))
    return NULL;
  lua_getiuservalue(L, first, SLOT_SOURCE);
  lua_replace(L, PROMISE(w));
  lua_getiuservalue(L, first, SLOT_LINK);
  cp_node_clear(L, first, SLOT_LINK);
  lua_replace(L, first);
  return cp_node_at(L, PROMISE(w));
}


void cp_cancel_end_aggregate (lua_State *L, Promise *p, int idx) {
  int outcome = lua_gettop(L) + 1;
  lua_getiuservalue(L, idx, SLOT_SOURCE);
  cp_promise_copy(L, p, idx, outcome);
  if (cp_node_at(L, outcome)->flags & FLAG_CARRIER) { /* see cp_cancel_keep */
    p->flags |= FLAG_CARRIER;
    lua_getiuservalue(L, outcome, SLOT_SOURCE);
    lua_setiuservalue(L, idx, SLOT_SOURCE);
  }
  lua_pop(L, 1);
  cp_promise_announce(L, p, idx);
}

/* }================================================================ */


/*
** {================================================================
** Hooks
** =================================================================
*/

/* Call the i-th hook of the list on the top with the reason. */
static void call_hook (const Walk *w, lua_Integer i) {
  lua_State *L = w->L;
  Context *ctx = w->ctx;
  int list = lua_gettop(L);
  cp_trace_push_handler(L);
  lua_rawgeti(L, list, i);
  lua_getiuservalue(L, place_of(w, WALK_CARRIER), SLOT_VALUE);
  cp_enter(L, ctx);
  if (lua_pcall(L, 1, 0, list + 1) != LUA_OK) {
    cp_trace_take(L, ctx);
    cp_host_report(L, 0);
  }
  cp_leave(L, ctx);
  lua_settop(L, list);
}


/*
** A hook may close the coroutine that it runs on, and then nothing here goes
** on. So there the walk has a guard, to be closed, which keeps what is still
** to run: as user values the first promise and the carrier, in its block the
** number of the hook.  The main thread can't be closed; nor can others before
** Lua 5.5.
*/
#define GUARD(w) place_of(w, WALK_WORK)


/* Keep, for the case that the next hook doesn't return,
   what comes behind it. */
static void keep_hooks (const Walk *w) {
  if (w->is_guarded) {
    lua_Integer *hook = lua_touserdata(w->L, GUARD(w));
    cp_node_set(w->L, GUARD(w), 1, place_of(w, WALK_HOOKED));
    *hook = w->hook;
  }
}


/* (metatable, carrier) -> a guard */
static int make_guard (lua_State *L) {
  lua_newuserdatauv(L, sizeof(lua_Integer), 2);
  cp_node_set(L, 3, 2, 2);
  lua_pushvalue(L, 1);
  lua_setmetatable(L, 3);
  return 1;
}


/* Push the guard, unless the walk needs none, or memory
   lacks. [-0, +(0|1), -] */
static void guard_hooks (Walk *w) {
  lua_State *L = w->L;
  if (!CP_MAY_CLOSE_ITSELF || L == w->ctx->main)
    return;
  lua_pushcfunction(L, make_guard);
  lua_getiuservalue(L, CONTEXT, CTX_HOOKS_MT);
  lua_pushvalue(L, place_of(w, WALK_CARRIER));
  w->is_guarded = lua_pcall(L, 2, 1, 0) == LUA_OK;
  if (w->is_guarded)
    lua_toclose(L, GUARD(w));
}


static void release_hooks (Walk *w) {
  if (w->is_guarded) {
    cp_node_clear(w->L, GUARD(w), 1);
    lua_closeslot(w->L, GUARD(w));
    w->is_guarded = 0;
  }
}


/* Run the hooks of the first promise on the list, and reject it. */
static void run_hooks (Walk *w) {
  lua_State *L = w->L;
  int idx = place_of(w, WALK_HOOKED);
  Promise *p = cp_node_at(L, idx);
  lua_Integer n;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  n = (lua_Integer)lua_rawlen(L, -1);
  while (w->hook <= n) {
    lua_Integer i = w->hook++;
    keep_hooks(w);
    call_hook(w, i);
  }
  w->hook = 1;
  lua_getiuservalue(L, idx, SLOT_LINK);
  cp_node_clear(L, idx, SLOT_LINK);
  cp_promise_copy(L, p, idx, place_of(w, WALK_CARRIER));
  p->flags |= FLAG_HANDLED;
  cp_promise_announce(L, p, idx);
  lua_replace(L, idx);
  lua_pop(L, 1);
}


#define OWNER lua_upvalueindex(2)


int cp_on_cancel_function (lua_State *L) {
  const Promise *p = cp_node_at(L, OWNER);
  cp_args_check_callable(L, 1);
  lua_settop(L, 1);
  if (!cp_promise_open(p))
    return 0;
  if (lua_getiuservalue(L, OWNER, SLOT_VALUE) == LUA_TNIL)
    lua_createtable(L, 1, 0);
  /* stack: hook; nil; new list, or hook; list */
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  if (cp_promise_open(p)) /* a finalizer may have resolved it */
    lua_setiuservalue(L, OWNER, SLOT_VALUE);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** The walk
** =================================================================
*/

int cp_cancel_has_room (lua_State *L) {
  return lua_checkstack(L, WALK_ROOM);
}


void cp_cancel_need_room (lua_State *L) {
  if (!cp_cancel_has_room(L)) {
    lua_getiuservalue(L, CONTEXT, CTX_NO_MEMORY);
    lua_error(L);
  }
}


/* Begin a walk with the carriers at 'own' and
   'carrier'. [-0, +WALK_WORK, -] */
static void begin (Walk *w, lua_State *L, int own, int carrier) {
  w->L = L;
  w->ctx = cp_context(L);
  w->start = NULL;
  w->base = lua_gettop(L);
  w->own = WALK_OWN;
  w->told = w->is_circle = w->leaves = 0;
  w->is_guarded = 0;
  w->hook = 1;
  lua_pushvalue(L, own);
  lua_pushvalue(L, carrier);
  lua_settop(L, PROMISE(w));
}


/* It begins at p, which is at 'idx'. */
static void start_at (Walk *w, const Promise *p, int idx) {
  w->start = p;
  lua_copy(w->L, idx, PROMISE(w));
  lua_copy(w->L, idx, place_of(w, WALK_START));
}


/* Ask p, at WALK_PROMISE, and all that is to be asked then. */
static void walk (Walk *w, Promise *p) {
  lua_State *L = w->L;
  while (p != NULL) {
    int goes_up = cp_kinds[p->kind].ask(w, p);
    w->own = WALK_CARRIER;
    if (goes_up) {
      lua_replace(L, PROMISE(w));
      p = cp_node_at(L, PROMISE(w));
    }
    else
      p = next_element(w);
  }
}


/* Queue the reactions that a carrier has taken over. */
static void queue_carrier (const Walk *w, int which) {
  int idx = place_of(w, which);
  Promise *carrier = cp_node_at(w->L, idx);
  if (carrier->waiters > 0 && !(carrier->flags & FLAG_LISTED))
    cp_queue_push(w->L, w->ctx, carrier, idx);
}


/* The walk is over: tell. */
static void finish (Walk *w) {
  queue_carrier(w, WALK_OWN);
  queue_carrier(w, WALK_CARRIER);
  if (!lua_isnil(w->L, place_of(w, WALK_HOOKED))) {
    guard_hooks(w);
    do
      run_hooks(w);
    while (!lua_isnil(w->L, place_of(w, WALK_HOOKED)));
    release_hooks(w);
  }
  if (w->ctx->watched && w->told && w->start != NULL)
    cp_watch_tell(w->L, WATCH_CANCEL, place_of(w, WALK_START), 0);
  lua_settop(w->L, w->base);
}


void cp_cancel_from (lua_State *L, Promise *p, int idx, int carrier) {
  Walk w;
  begin(&w, L, carrier, carrier);
  start_at(&w, p, idx);
  walk(&w, p);
  finish(&w);
}


int cp_cancel_child (lua_State *L, int idx, int carrier) {
  Walk w;
  Promise *p = cp_node_at(L, idx);
  int told;
  if (p->state != STATE_PENDING)
    return 0;
  begin(&w, L, carrier, carrier);
  start_at(&w, p, idx);
  walk(&w, p);
  if (w.is_circle) {
    w.own = WALK_OWN;
    w.leaves = 1;
    lua_copy(L, idx, PROMISE(&w));
    cp_kinds[p->kind].ask(&w, p);
  }
  told = w.told;
  finish(&w);
  return told;
}


void cp_cancel_element (lua_State *L, Promise *p, int node, int carrier) {
  Walk w;
  begin(&w, L, carrier, carrier);
  take_element(&w, p, place_of(&w, WALK_FIRST), node);
  walk(&w, next_element(&w));
  finish(&w);
}


void cp_cancel_elements (lua_State *L, Promise *p, int idx, int carrier) {
  Walk w;
  begin(&w, L, carrier, carrier);
  start_at(&w, p, idx);
  take_elements(&w, p);
  walk(&w, next_element(&w));
  finish(&w);
}


int cp_cancel_close_hooks (lua_State *L) {
  Walk w;
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) == LUA_TNIL || !cp_cancel_has_room(L))
    return 0; /* the walk has ended */
  lua_getiuservalue(L, 1, 2);
  begin(&w, L, 3, 3);
  lua_copy(L, 2, place_of(&w, WALK_HOOKED));
  w.hook = *(lua_Integer *)lua_touserdata(L, 1);
  finish(&w);
  cp_host_settle_timer(L, w.ctx);
  cp_host_wake(L, w.ctx);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** Outcomes
** =================================================================
*/

int cp_cancel_is_failure (lua_State *L, int idx) {
  const Promise *s = cp_node_at(L, idx);
  int is;
  if (s->state != STATE_REJECTED)
    return 0;
  lua_getiuservalue(L, idx, SLOT_VALUE);
  is = !cp_args_is_tagged(L, lua_gettop(L), CTX_CANCELLATION_MT);
  lua_pop(L, 1);
  return is;
}


void cp_cancel_push_outcome (lua_State *L, int source, int own) {
  const Promise *s = cp_node_at(L, source);
  if (s->state == STATE_REJECTED)
    lua_pushvalue(L, source);
  else if (s->flags & FLAG_CARRIER)
    lua_getiuservalue(L, source, SLOT_SOURCE);
  else if (own != 0)
    lua_pushvalue(L, own);
  else
    lua_getiuservalue(L, CONTEXT, CTX_CANCELLED);
}

/* }================================================================ */


/*
** {================================================================
** The functions
** =================================================================
*/

/* Stack positions of the functions. */
enum { CALLED = 1, CALL_REASON, CALL_OWN, CALL_CARRIER };


void cp_cancel_push_carrier (lua_State *L) {
  int reason = lua_gettop(L);
  Promise *carrier = cp_promise_new(L, KIND_PLAIN);
  carrier->flags |= FLAG_HANDLED;
  lua_insert(L, reason);
  cp_promise_settle(L, carrier, reason, STATE_REJECTED);
}


/* Push the cancellation for the reason at 'idx', which may be one.
   [-0, +1, m] */
static void push_cancellation (lua_State *L, int idx) {
  if (cp_args_is_tagged(L, idx, CTX_CANCELLATION_MT)) {
    lua_pushvalue(L, idx);
    return;
  }
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "the promise was cancelled");
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, idx);
  lua_setfield(L, -2, "reason");
  lua_getiuservalue(L, CONTEXT, CTX_CANCELLATION_MT);
  lua_setmetatable(L, -2);
}


/* End a function: let the request go up from the promise p, argument 1.
   Making the carriers may have run finalizers. */
static int run_cancel (lua_State *L, Promise *p) {
  Walk w;
  int told = 0;
  cp_cancel_need_room(L);
  if (p->state == STATE_PENDING) {
    begin(&w, L, CALL_OWN, CALL_CARRIER);
    start_at(&w, p, CALLED);
    walk(&w, p);
    told = w.told;
    finish(&w);
    cp_host_settle_timer(L, w.ctx);
    cp_host_wake(L, w.ctx);
  }
  lua_pushboolean(L, told);
  return 1;
}


int cp_cancel (lua_State *L) {
  Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  lua_settop(L, 2);
  if (p->state != STATE_PENDING) {
    lua_pushboolean(L, 0);
    return 1;
  }
  push_cancellation(L, CALL_REASON);
  cp_cancel_push_carrier(L);
  lua_pushvalue(L, CALL_OWN);
  return run_cancel(L, p);
}


int cp_close (lua_State *L) {
  lua_settop(L, 1);
  cp_cancel(L);
  return 0;
}


int cp_expire (lua_State *L) {
  Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  lua_settop(L, 2);
  lua_pushvalue(L, CALL_REASON);
  cp_cancel_push_carrier(L);
  cp_node_at(L, CALL_OWN)->flags &= (unsigned short)~FLAG_HANDLED;
  push_cancellation(L, CALL_REASON);
  cp_cancel_push_carrier(L);
  return run_cancel(L, p);
}


int cp_interrupt (lua_State *L) {
  Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  int is_news = p->state == STATE_PENDING && !(p->flags & FLAG_CANCELLED);
  int is_free = is_news || p->flags & FLAG_INTERRUPTED;
  int before = CALL_CARRIER + 1;
  lua_settop(L, 2);
  push_cancellation(L, CALL_REASON);
  cp_cancel_push_carrier(L);
  lua_pushvalue(L, CALL_OWN);
  if (p->state == STATE_PENDING && p->flags & FLAG_CARRIER)
    lua_getiuservalue(L, CALLED, SLOT_SOURCE);
  else
    lua_pushnil(L);
  run_cancel(L, p);
  if (is_free)
    p->flags |= FLAG_INTERRUPTED;
  lua_settop(L, before);
  lua_pushboolean(L, is_news);
  return 2;
}


int cp_withdraw (lua_State *L) {
  Promise *p = cp_args_check_promise(L, cp_context(L), 1);
  int is_last;
  lua_settop(L, 4);
  if (p->state != STATE_PENDING || !(p->flags & FLAG_CARRIER))
    return 0;
  lua_getiuservalue(L, 1, SLOT_SOURCE);
  lua_getiuservalue(L, 5, SLOT_VALUE);
  is_last = lua_rawequal(L, 6, 2);
  if (!is_last)
    return 0;
  if (lua_toboolean(L, 4))
    p->flags |= FLAG_CANCELLED | FLAG_INTERRUPTED;
  else
    p->flags &= (unsigned short)~(FLAG_CANCELLED | FLAG_INTERRUPTED);
  if (lua_isnil(L, 3))
    p->flags &= (unsigned short)~FLAG_CARRIER;
  cp_node_set(L, 1, SLOT_SOURCE, 3);
  return 0;
}


int cp_cancellation (lua_State *L) {
  lua_settop(L, 1);
  push_cancellation(L, 1);
  return 1;
}


int cp_isCancelled (lua_State *L) {
  lua_pushboolean(L, cp_args_is_tagged(L, 1, CTX_CANCELLATION_MT));
  return 1;
}


int cp_cancellation_tostring (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  return cp_args_message(L);
}

/* }================================================================ */
