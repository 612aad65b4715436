/*
** line.c
** See line.h.
**
** Invariants of a channel: senders wait only while it holds as many values as
** it has room for and receivers want; and an offer stands while one of those
** can be served. So a value is the channel's as soon as its sender hears that
** it was accepted; if the receiver for which it was is cancelled, it stays,
** and the channel holds more than its capacity for a time.
*/

#include "line.h"

#include "args.h"
#include "await.h"
#include "cancel.h"
#include "debug.h"
#include "host.h"
#include "resolve.h"

#define ENDLESS ((size_t)-1)
#define NAN_MESSAGE "not a number (NaN)"

/* A semaphore, channel or event. */
typedef struct Place {
  size_t room; /* permits that are free; values that it holds unasked */
  size_t held; /* values that it has accepted */
  size_t waiting; /* who waits to receive, to acquire, for the event */
  size_t sending; /* who waits to send */
  size_t dead; /* who stands in a line, but waits no longer */
  unsigned char class; /* what it is */
  unsigned char offered; /* it stands among the offers */
  unsigned char closed;
  unsigned char happened; /* the event */
} Place;

/* Its slots: first and last of three lines, and what belongs to itself. */
enum {
  LINE_WAITERS = 1,
  LINE_SENDERS = 3,
  LINE_VALUES = 5, /* nodes: VALUE is what was sent */
  PLACE_NEXT = 7, /* the next one among the offers */
  PLACE_REASON, /* why the channel was closed */
  PLACE_SLOTS = PLACE_REASON
};

#define SELF 1 /* where methods have it */


/*
** {================================================================
** Lines
** =================================================================
*/

static Place *place_at (lua_State *L, int idx) {
  return (Place *)lua_touserdata(L, idx);
}


/* Append the object at 'entry' to a line of the place. [-0, +0, -] */
static void append (lua_State *L, int place, int line, int entry) {
  if (lua_getiuservalue(L, place, line + 1) == LUA_TNIL)
    cp_node_set(L, place, line, entry);
  else
    cp_node_set(L, lua_gettop(L), SLOT_LINK, entry);
  lua_pop(L, 1);
  cp_node_set(L, place, line + 1, entry);
}


/* Take out the first of a line, which is on the top. [-0, +0, -] */
static void take_out (lua_State *L, int place, int line) {
  int entry = lua_gettop(L);
  if (lua_getiuservalue(L, entry, SLOT_LINK) == LUA_TNIL)
    cp_node_clear(L, place, line + 1);
  else
    cp_node_clear(L, entry, SLOT_LINK);
  lua_setiuservalue(L, place, line);
}


/* Push the first of a line that waits, or nothing; the dead before it are
   dropped. [-0, +(0|1), -] */
static Promise *push_first (lua_State *L, int place, int line) {
  while (lua_getiuservalue(L, place, line) != LUA_TNIL) {
    Promise *p = cp_node_at(L, -1);
    if (p->state == STATE_PENDING)
      return p;
    take_out(L, place, line);
    lua_pop(L, 1);
    place_at(L, place)->dead--;
  }
  lua_pop(L, 1);
  return NULL;
}


/* Drop the dead of a line. */
static void sweep (lua_State *L, int place, int line) {
  int entry = lua_gettop(L) + 1;
  lua_getiuservalue(L, place, line);
  cp_node_clear(L, place, line);
  cp_node_clear(L, place, line + 1);
  while (!lua_isnil(L, entry)) {
    lua_getiuservalue(L, entry, SLOT_LINK);
    cp_node_clear(L, entry, SLOT_LINK);
    if (cp_node_at(L, entry)->state == STATE_PENDING)
      append(L, place, line, entry);
    lua_replace(L, entry);
  }
  lua_pop(L, 1);
}


/* One who waits is cancelled: the place is its SOURCE. */
int cp_ask_waiter (Walk *w, Promise *p) {
  lua_State *L = w->L;
  int at = lua_gettop(L) + 1;
  Place *place;
  lua_getiuservalue(L, w->base + WALK_PROMISE, SLOT_SOURCE);
  place = place_at(L, at);
  if (p->kind == KIND_SENDER)
    place->sending--;
  else
    place->waiting--;
  place->dead++;
  cp_cancel_in_place(w, p);
  if (place->dead > place->waiting + place->sending) {
    place->dead = 0;
    sweep(L, at, LINE_WAITERS);
    sweep(L, at, LINE_SENDERS);
  }
  lua_pop(L, 1);
  return 0;
}


/* The new promise on the top waits in a line of the place at SELF. Making it
   may have run finalizers, which use the place: so whether it has to wait is
   asked after that. [-0, +0, -] */
static void stand_in (lua_State *L, int line) {
  int idx = lua_gettop(L);
  cp_debug_made(L, cp_context(L), idx);
  cp_node_set(L, idx, SLOT_SOURCE, SELF);
  append(L, SELF, line, idx);
}


/* The new promise p, on the top, does not have to wait. [-0, +0, -] */
static void fulfill (lua_State *L, Promise *p) {
  p->kind = KIND_PLAIN;
  cp_fulfill(L, p, lua_gettop(L), 0);
}


/* Push a new promise that waits to be served by the place at SELF. */
static void push_waiter (lua_State *L) {
  cp_promise_new(L, KIND_WAITER);
  stand_in(L, LINE_WAITERS);
  place_at(L, SELF)->waiting++;
}


/* The first of a line, on the top, has waited long enough; it settles.
   [-0, +0, -] */
static void stop_waiting (lua_State *L, int place, int line) {
  take_out(L, place, line);
  cp_node_clear(L, lua_gettop(L), SLOT_SOURCE);
  cp_node_at(L, -1)->kind = KIND_PLAIN;
  cp_node_at(L, -1)->flags |= FLAG_RESOLVED;
}

/* }================================================================ */


/*
** {================================================================
** Offers
** =================================================================
*/

/* Let the place be served when no job is left. [-0, +0, -] */
static void offer (lua_State *L, Context *ctx, int place) {
  Place *self = place_at(L, place);
  if (self->offered)
    return;
  self->offered = 1;
  if (ctx->offers++ == 0)
    cp_node_set(L, CONTEXT, CTX_OFFERS, place);
  else {
    lua_getiuservalue(L, CONTEXT, CTX_OFFERS + 1);
    cp_node_set(L, lua_gettop(L), PLACE_NEXT, place);
    lua_pop(L, 1);
  }
  cp_node_set(L, CONTEXT, CTX_OFFERS + 1, place);
  if (!ctx->woken)
    ctx->edge = 1;
}


/* The first place, on the top, is offered no more. */
static void withdraw (lua_State *L, Context *ctx) {
  int place = lua_gettop(L);
  place_at(L, place)->offered = 0;
  lua_getiuservalue(L, place, PLACE_NEXT);
  lua_setiuservalue(L, CONTEXT, CTX_OFFERS);
  cp_node_clear(L, place, PLACE_NEXT);
  if (--ctx->offers == 0)
    cp_node_clear(L, CONTEXT, CTX_OFFERS + 1);
}


/* (metatable, semaphore) -> a permit of that. */
static int make_permit (lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  lua_insert(L, 1);
  lua_setiuservalue(L, 1, 1);
  lua_setmetatable(L, 1);
  return 1;
}


/* Give a permit to the first who waits for one. */
static void serve_permit (lua_State *L, int place) {
  Place *self = place_at(L, place);
  Promise *p;
  int idx, ok;
  cp_assert(self->room > 0); /* or it would not be offered */
  p = push_first(L, place, LINE_WAITERS);
  if (p == NULL)
    return;
  idx = lua_gettop(L);
  lua_pushcfunction(L, make_permit);
  lua_getiuservalue(L, CONTEXT, CTX_CLASS + CLASS_PERMIT);
  lua_pushvalue(L, place);
  ok = lua_pcall(L, 2, 1, 0) == LUA_OK; /* if not, memory has run out */
  if (p->state != STATE_PENDING)
    return; /* cancelled by a finalizer */
  lua_insert(L, idx);
  stop_waiting(L, place, LINE_WAITERS);
  lua_insert(L, idx);
  self->waiting--;
  if (ok && self->room != ENDLESS)
    self->room--;
  cp_promise_settle(L, p, idx, ok ? STATE_FULFILLED : STATE_REJECTED);
  cp_promise_announce(L, p, idx);
}


/* Nothing comes any more: tell the receiver on the top. */
static void end_receiver (lua_State *L, int place, Promise *p) {
  int idx = lua_gettop(L);
  int has_reason;
  stop_waiting(L, place, LINE_WAITERS);
  has_reason = lua_getiuservalue(L, place, PLACE_REASON) != LUA_TNIL;
  if (!has_reason)
    p->flags |= FLAG_EMPTY;
  cp_promise_settle(L, p, idx, has_reason ? STATE_REJECTED : STATE_FULFILLED);
  cp_promise_announce(L, p, idx);
}


/* Give the first values, or the end, to the first receiver. */
static void serve_receiver (lua_State *L, int place) {
  Place *self = place_at(L, place);
  Promise *p = push_first(L, place, LINE_WAITERS);
  int idx = lua_gettop(L);
  if (p == NULL)
    return;
  if (self->held > 0) {
    stop_waiting(L, place, LINE_WAITERS);
    self->waiting--;
    lua_getiuservalue(L, place, LINE_VALUES);
    take_out(L, place, LINE_VALUES);
    self->held--;
    if (cp_resolve_as(L, p, idx, idx + 1) == SETTLED)
      cp_promise_announce(L, p, idx);
  }
  else {
    cp_assert(self->closed); /* or it would not be offered */
    self->waiting--;
    end_receiver(L, place, p);
  }
}


void cp_line_serve (lua_State *L, Context *ctx) {
  int place = lua_gettop(L) + 1;
  const Place *self;
  int more;
  lua_getiuservalue(L, CONTEXT, CTX_OFFERS);
  self = place_at(L, place);
  if (self->class == CLASS_SEMAPHORE) {
    serve_permit(L, place);
    more = self->waiting > 0 && self->room > 0;
  }
  else {
    serve_receiver(L, place);
    more = self->waiting > 0 && (self->held > 0 || self->closed);
  }
  lua_settop(L, place);
  if (!more || ctx->offers > 1) { /* it is the turn of another */
    withdraw(L, ctx);
    if (more)
      offer(L, ctx, place);
  }
  lua_settop(L, place - 1);
}

/* }================================================================ */


/*
** {================================================================
** Making them
** =================================================================
*/

/* Push a new place with that metatable. */
static Place *push_place (lua_State *L, int class, size_t room) {
  Place *place = (Place *)lua_newuserdatauv(L, sizeof(Place), PLACE_SLOTS);
  memset(place, 0, sizeof(*place));
  place->room = room;
  place->class = (unsigned char)class;
  lua_getiuservalue(L, CONTEXT, CTX_CLASS + class);
  lua_setmetatable(L, -2);
  return place;
}


/* A number of things, argument 1: an integer from 'least' on, or infinity. */
static size_t check_count (lua_State *L, lua_Number least) {
  lua_Number n;
  lua_Integer whole;
  int is_whole;
  if (lua_type(L, 1) != LUA_TNUMBER)
    cp_args_type_error(L, 1, "number");
  n = lua_tonumber(L, 1);
  if (n != n)
    cp_args_error(L, 1, NAN_MESSAGE);
  if (n < least)
    cp_args_error(
      L, 1, least > 0 ? "must be at least 1" : "must not be negative");
  if (n == HUGE_VAL)
    return ENDLESS;
  whole = lua_tointegerx(L, 1, &is_whole);
  if (!is_whole)
    cp_args_error(L, 1, "number has no integer representation");
  return (size_t)whole;
}


int cp_semaphore (lua_State *L) {
  push_place(L, CLASS_SEMAPHORE, check_count(L, 1));
  return 1;
}


int cp_channel (lua_State *L) {
  size_t capacity = lua_isnoneornil(L, 1) ? 0 : check_count(L, 0);
  push_place(L, CLASS_CHANNEL, capacity);
  return 1;
}


int cp_event (lua_State *L) {
  push_place(L, CLASS_EVENT, 0);
  return 1;
}

/* }================================================================ */


/*
** {================================================================
** Semaphores
** =================================================================
*/

static int acquire (lua_State *L) {
  Context *ctx = cp_context(L);
  Place *self =
    (Place *)cp_args_check_object(L, 1, CLASS_SEMAPHORE, "semaphore");
  lua_settop(L, 1);
  push_waiter(L);
  if (self->room > 0) {
    offer(L, ctx, SELF);
    cp_host_wake(L, ctx);
  }
  return 1;
}


/* Give a permit back, once. */
static int release (lua_State *L) {
  Context *ctx = cp_context(L);
  Place *semaphore;
  cp_args_check_object(L, 1, CLASS_PERMIT, "permit");
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) == LUA_TNIL)
    return 0;
  cp_node_clear(L, 1, 1);
  semaphore = place_at(L, 2);
  if (semaphore->room != ENDLESS)
    semaphore->room++;
  if (semaphore->waiting > 0) {
    offer(L, ctx, 2);
    cp_host_wake(L, ctx);
  }
  return 0;
}


const luaL_Reg cp_semaphore_methods[] = {
  {"acquire", acquire},
  {NULL, NULL},
};

const luaL_Reg cp_permit_metamethods[] = {
  {"__call", release},
  {"__close", release},
  {NULL, NULL},
};

/* }================================================================ */


/*
** {================================================================
** Channels
** =================================================================
*/

static int has_room (const Place *channel) {
  return channel->room == ENDLESS ||
         channel->held < channel->room + channel->waiting;
}


/* Push the node of the values, arguments from 2 on, that are sent. It looks
   like a fulfilled promise. */
static void push_values (lua_State *L) {
  int n = lua_gettop(L) - 1;
  Promise *node;
  if (n > 1) {
    lua_pushcfunction(L, cp_resolve_pack);
    lua_insert(L, 2);
    lua_call(L, n, 1);
  }
  node = cp_node_new(L, KIND_ELEMENT, NODE_SLOTS);
  node->state = STATE_FULFILLED;
  if (n > 1)
    node->flags |= FLAG_PACKED;
  cp_node_set(L, 3, SLOT_VALUE, 2);
}


static int is_closed (lua_State *L) {
  Promise *p = cp_promise_new(L, KIND_PLAIN);
  int idx = lua_gettop(L);
  if (lua_getiuservalue(L, SELF, PLACE_REASON) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushliteral(L, "can't send: channel is closed");
  }
  cp_promise_settle(L, p, idx, STATE_REJECTED);
  cp_host_finish(L, SETTLED, p, idx);
  return 1;
}


static int channel_send (lua_State *L) {
  Context *ctx = cp_context(L);
  Place *self = (Place *)cp_args_check_object(L, 1, CLASS_CHANNEL, "channel");
  Promise *p;
  if (lua_isnoneornil(L, 2))
    cp_args_error(L, 2, "nil is the end of a channel, send something else");
  if (self->closed)
    return is_closed(L);
  push_values(L);
  p = cp_promise_new(L, KIND_SENDER);
  /* stack: channel; ...; the node of the values; the promise */
  if (!has_room(self)) {
    stand_in(L, LINE_SENDERS);
    cp_node_set(L, 4, SLOT_VALUE, 3);
    self->sending++;
    return 1;
  }
  fulfill(L, p);
  append(L, SELF, LINE_VALUES, 3);
  self->held++;
  if (self->waiting > 0) {
    offer(L, ctx, SELF);
    cp_host_wake(L, ctx);
  }
  return 1;
}


/* Hold the values of the first sender, if one waits and there is room. */
static void accept (lua_State *L) {
  Place *self = place_at(L, SELF);
  int idx = lua_gettop(L) + 1;
  Promise *p;
  if (self->sending == 0 || !has_room(self))
    return;
  p = push_first(L, SELF, LINE_SENDERS);
  lua_getiuservalue(L, idx, SLOT_VALUE);
  append(L, SELF, LINE_VALUES, idx + 1);
  lua_settop(L, idx);
  self->held++;
  self->sending--;
  stop_waiting(L, SELF, LINE_SENDERS);
  cp_fulfill(L, p, idx, 0);
  cp_promise_announce(L, p, idx);
  lua_pop(L, 1);
}


/* Push a promise of the next values of the channel at SELF. */
static void push_received (lua_State *L) {
  Context *ctx = cp_context(L);
  Place *self = place_at(L, SELF);
  push_waiter(L);
  accept(L);
  if (self->held > 0 || self->closed)
    offer(L, ctx, SELF);
}


static int channel_receive (lua_State *L) {
  cp_args_check_object(L, 1, CLASS_CHANNEL, "channel");
  lua_settop(L, 1);
  push_received(L);
  cp_host_wake(L, cp_context(L));
  return 1;
}


static int channel_close (lua_State *L) {
  Context *ctx = cp_context(L);
  Place *self = (Place *)cp_args_check_object(L, 1, CLASS_CHANNEL, "channel");
  lua_settop(L, 2);
  if (self->closed)
    return 0;
  self->closed = 1;
  lua_setiuservalue(L, SELF, PLACE_REASON);
  if (self->waiting > 0) {
    offer(L, ctx, SELF);
    cp_host_wake(L, ctx);
  }
  return 0;
}


/* The step of a generic 'for'. */
static int channel_step (lua_State *L) {
  cp_args_check_object(L, 1, CLASS_CHANNEL, "channel");
  cp_await_check(L);
  lua_settop(L, 1);
  push_received(L);
  lua_replace(L, 1);
  cp_host_wake(L, cp_context(L));
  return cp_await(L);
}


const luaL_Reg cp_channel_methods[] = {
  {"send", channel_send},
  {"receive", channel_receive},
  {"close", channel_close},
  {NULL, NULL},
};

const luaL_Reg cp_channel_metamethods[] = {
  {"__call", channel_step},
  {NULL, NULL},
};

/* }================================================================ */


/*
** {================================================================
** Events
** =================================================================
*/

static int event_wait (lua_State *L) {
  Place *self = (Place *)cp_args_check_object(L, 1, CLASS_EVENT, "event");
  Promise *p;
  lua_settop(L, 1);
  p = cp_promise_new(L, KIND_WAITER);
  if (self->happened)
    fulfill(L, p);
  else {
    stand_in(L, LINE_WAITERS);
    self->waiting++;
  }
  return 1;
}


static int event_set (lua_State *L) {
  Place *self = (Place *)cp_args_check_object(L, 1, CLASS_EVENT, "event");
  Promise *p;
  lua_settop(L, 1);
  self->happened = 1;
  while ((p = push_first(L, SELF, LINE_WAITERS)) != NULL) {
    stop_waiting(L, SELF, LINE_WAITERS);
    self->waiting--;
    cp_fulfill(L, p, 2, 0);
    cp_promise_announce(L, p, 2);
    lua_pop(L, 1);
  }
  cp_host_wake(L, cp_context(L));
  return 0;
}


static int event_clear (lua_State *L) {
  Place *self = (Place *)cp_args_check_object(L, 1, CLASS_EVENT, "event");
  self->happened = 0;
  return 0;
}


const luaL_Reg cp_event_methods[] = {
  {"wait", event_wait},
  {"set", event_set},
  {"clear", event_clear},
  {NULL, NULL},
};

/* }================================================================ */


/*
** {================================================================
** For people: see.h
** =================================================================
*/

static void push_channel_text (lua_State *L, const Place *p) {
  if (p->room == ENDLESS)
    lua_pushliteral(L, "a channel without a limit");
  else
    lua_pushfstring(L, "a channel of capacity %I", (LUAI_UACINT)p->room);
  if (p->held == 0)
    lua_pushliteral(L, " that is empty");
  else
    lua_pushfstring(L, " that holds %I", (LUAI_UACINT)p->held);
  lua_concat(L, 2);
}


int cp_line_push_text (lua_State *L, int idx) {
  const Place *p;
  if ((p = cp_args_test_object(L, idx, CLASS_SEMAPHORE)) != NULL)
    lua_pushstring(
      L, p->room > 0 ? "a semaphore" : "a semaphore without a free permit");
  else if ((p = cp_args_test_object(L, idx, CLASS_CHANNEL)) != NULL)
    push_channel_text(L, p);
  else if ((p = cp_args_test_object(L, idx, CLASS_EVENT)) != NULL)
    lua_pushstring(L, p->happened ? "an event" : "an event that is not set");
  return p != NULL;
}


int cp_line_push_semaphore (lua_State *L, int idx) {
  if (cp_args_test_object(L, idx, CLASS_PERMIT) == NULL)
    return 0;
  if (lua_getiuservalue(L, idx, 1) != LUA_TNIL)
    return 1;
  lua_pop(L, 1);
  return 0;
}

/* }================================================================ */
