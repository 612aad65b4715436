/*
** combine.c
** See combine.h.
**
** An aggregate is a promise; each of its elements is a node that reacts to
** the element's promise. The table of results is made with all its keys:
** while an element is pending its entry holds the node. So storing a result
** never allocates, and cancelling finds what the aggregate waits for; for
** that alone 'race' has such a table.
*/

#include "combine.h"

#include "args.h"
#include "cancel.h"
#include "debug.h"
#include "host.h"
#include "resolve.h"
#include "trace.h"
#include "wait.h"


/* What an element's outcome does to its aggregate. */
typedef enum Act {
  KEEP, /* store the value; the last one completes the aggregate */
  RECORD, /* store {status=, value= or reason=}; the last one completes */
  END, /* the aggregate takes this outcome */
  CHOOSE /* the same, when the others have ended, which are asked to */
} Act;

/* By kind of the aggregate: what a fulfilment and a rejection do. */
#define RULE(kind) [(kind)-KIND_ALL]
static const Act rules[][2] = {
  RULE(KIND_ALL) = {KEEP, END},
  RULE(KIND_ALL_SETTLED) = {RECORD, RECORD},
  RULE(KIND_ANY) = {END, KEEP},
  RULE(KIND_RACE) = {END, END},
  RULE(KIND_SELECT) = {CHOOSE, CHOOSE},
};


/*
** {================================================================
** Completing an aggregate
** =================================================================
*/

/* (metatable, errors [, message]) -> an aggregate error. */
static int make_error (lua_State *L) {
  if (lua_gettop(L) < 3)
    lua_pushliteral(L, "All promises were rejected");
  lua_createtable(L, 0, 2);
  lua_insert(L, 1);
  /* stack: the error; metatable; errors; message */
  lua_setfield(L, 1, "message");
  lua_setfield(L, 1, "errors");
  lua_setmetatable(L, 1);
  return 1;
}


/* All elements are known. [-0, +0, -] */
static void complete (lua_State *L, Promise *aggregate, int idx) {
  State state = STATE_FULFILLED;
  if (aggregate->kind == KIND_RACE || aggregate->kind == KIND_SELECT)
    return; /* of nothing: pending for ever */
  if (aggregate->kind == KIND_ANY) {
    state = STATE_REJECTED;
    lua_pushcfunction(L, make_error);
    lua_getiuservalue(L, CONTEXT, CTX_AGGREGATE_MT);
    lua_getiuservalue(L, idx, SLOT_VALUE);
    lua_pcall(L, 2, 1, 0); /* the error, or that memory ran out */
    if (aggregate->state != STATE_PENDING) { /* cancelled by a finalizer */
      lua_pop(L, 1);
      return;
    }
  }
  else
    lua_getiuservalue(L, idx, SLOT_VALUE);
  cp_promise_settle(L, aggregate, idx, state);
  cp_promise_announce(L, aggregate, idx);
}


/* One element less is missing. One that has given the aggregate its outcome
   is not counted down, so the last one finds it open. [-0, +0, -] */
static void count_down (lua_State *L, Promise *aggregate, int idx) {
  if (--aggregate->n > 0)
    return;
  cp_assert(cp_promise_open(aggregate));
  if (aggregate->flags & FLAG_CANCELLED)
    cp_cancel_end_aggregate(L, aggregate, idx);
  else
    complete(L, aggregate, idx);
}

/* }================================================================ */


/*
** {================================================================
** The job of an element
** =================================================================
*/

#define AT_AGGREGATE AT_WORK


/* One that has left its source has no aggregate any more. */
int cp_dead_element (lua_State *L, int node) {
  const Promise *aggregate;
  lua_getiuservalue(L, node, SLOT_VALUE);
  aggregate = (const Promise *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return aggregate == NULL || !cp_promise_open(aggregate);
}


/* Store the value on the top as the result of the element. [-1, +0, -] */
static void store (lua_State *L, const Promise *node, Promise *aggregate) {
  lua_getiuservalue(L, AT_AGGREGATE, SLOT_VALUE);
  if (node->kind == KIND_KEYED) {
    lua_getiuservalue(L, AT_NODE, SLOT_KEY);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
  }
  else {
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, node->n);
  }
  lua_pop(L, 2);
  count_down(L, aggregate, AT_AGGREGATE);
}


/* (whether fulfilled, value) -> the entry of allSettled. */
static int make_record (lua_State *L) {
  int fulfilled = lua_toboolean(L, 1);
  lua_createtable(L, 0, 2);
  lua_insert(L, 2);
  lua_setfield(L, 2, fulfilled ? "value" : "reason");
  lua_pushstring(L, fulfilled ? "fulfilled" : "rejected");
  lua_setfield(L, 2, "status");
  return 1;
}


/* Replace the value on the top by its entry, or by why there is none. */
static int record (lua_State *L, State state) {
  int value = lua_gettop(L);
  lua_pushcfunction(L, make_record);
  lua_pushboolean(L, state == STATE_FULFILLED);
  lua_rotate(L, value, -1);
  return lua_pcall(L, 2, 1, 0) == LUA_OK;
}


/* The aggregate takes the outcome of this element. */
static void end (lua_State *L, const Promise *node, Promise *aggregate) {
  Outcome outcome;
  if (node->flags & FLAG_PLAIN) {
    lua_pushvalue(L, AT_SOURCE);
    outcome = cp_fulfill(L, aggregate, AT_AGGREGATE, 1);
  }
  else
    outcome = cp_resolve_as(L, aggregate, AT_AGGREGATE, AT_SOURCE);
  if (outcome == SETTLED)
    cp_promise_announce(L, aggregate, AT_AGGREGATE);
}


/* Report the failure of this element, unless somebody else learns of it: a
   reaction of the same batch, one that came when it had settled, an aggregate
   that had settled before, or what is still to follow it. A late element has
   not learnt of it, then. */
static void report_failure (lua_State *L) {
  Context *ctx = cp_context(L);
  Promise *source = cp_node_at(L, AT_SOURCE);
  cp_node_at(L, AT_NODE)->flags &= (unsigned short)~FLAG_KNOWN;
  cp_assert(ctx->source == source && source->waiters == 0);
  if (--ctx->batch_size > 0)
    return;
  if (source->flags & FLAG_KNOWN || source->held > 0)
    return;
  source->flags &= (unsigned short)~FLAG_HANDLED;
  if (!(source->flags & FLAG_LISTED))
    cp_queue_push_rejection(L, ctx, source, AT_SOURCE);
}


/* Whether the failure of this element is that of the promise at 'outcome':
   the same promise, or the same object. */
static int is_same_failure (lua_State *L, int outcome) {
  int same = lua_rawequal(L, outcome, AT_SOURCE);
  if (!same && cp_cancel_is_failure(L, outcome)) {
    lua_getiuservalue(L, outcome, SLOT_VALUE);
    lua_getiuservalue(L, AT_SOURCE, SLOT_VALUE);
    same = !lua_isstring(L, -1) && !lua_isnoneornil(L, -1) &&
           !lua_isboolean(L, -1) && lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return same;
}


/* An element of an aggregate that is to end has had its turn: see cancel.h.
   The first failure is its reason, unless it has chosen already. */
static void
end_element (lua_State *L, const Promise *node, Promise *aggregate) {
  int outcome = lua_gettop(L) + 1;
  if (!(node->flags & FLAG_PLAIN) && cp_cancel_is_failure(L, AT_SOURCE)) {
    lua_getiuservalue(L, AT_AGGREGATE, SLOT_SOURCE);
    if (is_same_failure(L, outcome)) {
      /* it is told of already */
    }
    else if (aggregate->flags & FLAG_DIVERTED ||
             cp_cancel_is_failure(L, outcome))
      report_failure(L);
    else
      cp_node_set(L, AT_AGGREGATE, SLOT_SOURCE, AT_SOURCE);
    lua_pop(L, 1);
  }
  count_down(L, aggregate, AT_AGGREGATE);
}


/* (metatable of promises, key, values...) -> a promise fulfilled with all but
   the first. */
static int make_choice (lua_State *L) {
  int n = lua_gettop(L) - 1;
  Promise *p = cp_promise_make(L, KIND_PLAIN, 1);
  lua_replace(L, 1);
  if (n > 1) {
    lua_pushcfunction(L, cp_resolve_pack);
    lua_insert(L, 2);
    lua_call(L, n, 1);
    p->flags |= FLAG_PACKED;
  }
  cp_promise_settle(L, p, 1, STATE_FULFILLED);
  return 1;
}


/* Push the promise whose outcome 'select' takes from this element,
   or why there is none. */
static int push_choice (lua_State *L, const Promise *node) {
  const Promise *source = cp_node_at(L, AT_SOURCE);
  int plain = node->flags & FLAG_PLAIN;
  int n = 1;
  if (!plain && source->state == STATE_REJECTED) {
    lua_pushvalue(L, AT_SOURCE);
    return 1;
  }
  lua_pushcfunction(L, make_choice);
  lua_pushvalue(L, PROMISE_MT);
  if (node->kind == KIND_KEYED)
    lua_getiuservalue(L, AT_NODE, SLOT_KEY);
  else
    lua_pushinteger(L, node->n);
  if (plain)
    lua_pushvalue(L, AT_SOURCE);
  else
    n = cp_promise_values(L, source, AT_SOURCE);
  return n >= 0 && lua_pcall(L, n + 2, 1, 0) == LUA_OK;
}


/* 'select' takes the outcome of this element when the others have ended,
   which are asked to now. Making that may run finalizers, but until the
   element is counted down nothing settles the aggregate. */
static void choose (lua_State *L, const Promise *node, Promise *aggregate) {
  int choice = lua_gettop(L) + 1;
  int is_known = push_choice(L, node);
  if (is_known && !cp_cancel_has_room(L)) {
    lua_getiuservalue(L, CONTEXT, CTX_NO_MEMORY);
    is_known = 0;
  }
  if (!is_known) { /* out of memory */
    lua_copy(L, -1, choice);
    lua_settop(L, choice);
    cp_promise_settle(L, aggregate, AT_AGGREGATE, STATE_REJECTED);
    cp_promise_announce(L, aggregate, AT_AGGREGATE);
    return;
  }
  if (aggregate->flags & FLAG_CANCELLED) { /* by a finalizer, just now */
    lua_getiuservalue(L, AT_AGGREGATE, SLOT_SOURCE);
    cp_cancel_keep(L, choice, choice + 1);
    lua_pop(L, 1);
  }
  aggregate->flags |= FLAG_CANCELLED | FLAG_DIVERTED;
  cp_node_set(L, AT_AGGREGATE, SLOT_SOURCE, choice);
  lua_getiuservalue(L, CONTEXT, CTX_UNCHOSEN);
  cp_cancel_elements(L, aggregate, AT_AGGREGATE, choice + 1);
  count_down(L, aggregate, AT_AGGREGATE);
}


static void
run_element (lua_State *L, const Promise *node, Promise *aggregate) {
  const Promise *source = cp_node_at(L, AT_SOURCE);
  int plain = node->flags & FLAG_PLAIN;
  State state = plain ? STATE_FULFILLED : (State)source->state;
  Act act = rules[aggregate->kind - KIND_ALL][state == STATE_REJECTED];
  int is_known;
  if (aggregate->flags & FLAG_CANCELLED) {
    end_element(L, node, aggregate);
    return;
  }
  if (act == CHOOSE) {
    choose(L, node, aggregate);
    return;
  }
  if (act == END) {
    end(L, node, aggregate);
    return;
  }
  if (plain)
    lua_pushvalue(L, AT_SOURCE);
  else
    cp_promise_first(L, source, AT_SOURCE);
  is_known = act == KEEP || record(L, state); /* see 'choose' */
  if (is_known)
    store(L, node, aggregate);
  else { /* out of memory */
    cp_promise_settle(L, aggregate, AT_AGGREGATE, STATE_REJECTED);
    cp_promise_announce(L, aggregate, AT_AGGREGATE);
  }
}


Outcome cp_run_element (lua_State *L, Promise *node, const Promise *source) {
  Promise *aggregate;
  (void)source; /* no promise if the element was a plain value */
  if (node->flags & FLAG_KNOWN)
    cp_node_at(L, AT_SOURCE)->held--;
  lua_getiuservalue(L, AT_NODE, SLOT_VALUE);
  aggregate = cp_node_at(L, AT_AGGREGATE);
  if (aggregate != NULL && cp_promise_open(aggregate))
    run_element(L, node, aggregate);
  if (node->flags & FLAG_KNOWN)
    cp_node_at(L, AT_SOURCE)->flags |= FLAG_KNOWN;
  return LEFT;
}

/* }================================================================ */


/*
** {================================================================
** Taking the elements: all of it runs in a protected call
** =================================================================
*/

/* Stack positions while elements are taken. */
enum {
  TAKE_AGGREGATE = 1,
  TAKE_SUBJECT, /* the table or iterator function */
  TAKE_STATE, /* the other values of a generic 'for'; keyed: the keys */
  TAKE_CONTROL,
  TAKE_RESULTS,
  TAKE_CLOSING,
  TAKE_ELEMENT
};


/* The promise that stands for the object at TAKE_ELEMENT replaces it, unless
   that is a plain value. */
static int is_plain (lua_State *L) {
  int type = lua_type(L, TAKE_ELEMENT);
  Promise *p;
  if (type != LUA_TTABLE && type != LUA_TUSERDATA)
    return 1;
  if (cp_promise_test(L, cp_context(L), TAKE_ELEMENT) != NULL)
    return 0;
  p = cp_promise_new(L, KIND_PLAIN);
  lua_insert(L, TAKE_ELEMENT);
  cp_resolve(L, p, TAKE_ELEMENT, 1); /* linked at once: no announcement */
  return 0;
}


/* The aggregate was asked to end in its own iteration: ask the element too,
   whose node is on the top. */
static void ask_element (lua_State *L, Promise *aggregate) {
  int node = lua_gettop(L);
  lua_getiuservalue(L, TAKE_AGGREGATE, SLOT_SOURCE);
  if (aggregate->flags & FLAG_DIVERTED)
    lua_getiuservalue(L, CONTEXT, CTX_UNCHOSEN);
  else if (cp_cancel_is_failure(L, node + 1))
    lua_getiuservalue(L, CONTEXT, CTX_CANCELLED);
  cp_cancel_element(L, aggregate, node, lua_gettop(L));
}


/* Let the node on the top react to the element below it. [-2, +0, v] */
static void link_element (lua_State *L, Promise *node, int plain) {
  Context *ctx = cp_context(L);
  Promise *aggregate = cp_node_at(L, TAKE_AGGREGATE);
  if (aggregate->flags & FLAG_CANCELLED)
    cp_cancel_need_room(L);
  aggregate->n++;
  if (plain) {
    node->flags |= FLAG_PLAIN;
    cp_node_set(L, TAKE_ELEMENT + 1, SLOT_SOURCE, TAKE_ELEMENT);
    cp_queue_push(L, ctx, node, TAKE_ELEMENT + 1);
  }
  else {
    Promise *source = cp_node_at(L, TAKE_ELEMENT);
    int is_late =
      source->state == STATE_REJECTED && !(source->flags & FLAG_KNOWN);
    cp_wait_sweep(L, source, TAKE_ELEMENT);
    cp_promise_link(L, ctx, source, TAKE_ELEMENT, TAKE_ELEMENT + 1);
    if (is_late) { /* until its turn it is one of those that look */
      source->flags &= (unsigned short)~FLAG_KNOWN;
      source->held++;
      node->flags |= FLAG_KNOWN;
    }
    if (aggregate->flags & FLAG_CANCELLED)
      ask_element(L, aggregate);
  }
  lua_settop(L, TAKE_CLOSING);
}


/* Add the element on the top as the one of this index. [-1, +0, e] */
static void add (lua_State *L, lua_Integer index) {
  int plain = is_plain(L);
  Promise *node = cp_node_new(L, KIND_ELEMENT, NODE_SLOTS);
  node->n = (unsigned int)index;
  cp_node_set(L, TAKE_ELEMENT + 1, SLOT_VALUE, TAKE_AGGREGATE);
  lua_pushvalue(L, TAKE_ELEMENT + 1);
  lua_rawseti(L, TAKE_RESULTS, index);
  link_element(L, node, plain);
}


/* Add the element on the top under the key below it. [-1, +0, e] */
static void add_keyed (lua_State *L, int key) {
  int plain = is_plain(L);
  Promise *node = cp_node_new(L, KIND_KEYED, SLOT_KEY);
  cp_node_set(L, TAKE_ELEMENT + 1, SLOT_VALUE, TAKE_AGGREGATE);
  cp_node_set(L, TAKE_ELEMENT + 1, SLOT_KEY, key);
  lua_pushvalue(L, key);
  lua_pushvalue(L, TAKE_ELEMENT + 1);
  lua_rawset(L, TAKE_RESULTS);
  link_element(L, node, plain);
}


/* Make the table of results, for n elements if that is known. */
static void make_results (lua_State *L, int n) {
  lua_createtable(L, n, 1);
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  lua_copy(L, -1, TAKE_RESULTS);
  lua_setiuservalue(L, TAKE_AGGREGATE, SLOT_VALUE);
}


/* The length of the sequence: 'n', read raw, or else '#'. */
static int sequence_length (lua_State *L) {
  lua_Integer n = -1;
  lua_pushliteral(L, "n");
  lua_rawget(L, TAKE_SUBJECT);
  if (lua_isinteger(L, -1))
    n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (n < 0)
    n = luaL_len(L, TAKE_SUBJECT);
  if (n > INT_MAX)
    luaL_error(L, "too many elements");
  return n > 0 ? (int)n : 0;
}


static void take_sequence (lua_State *L) {
  int n = sequence_length(L);
  int i;
  make_results(L, n);
  for (i = 1; i <= n; i++) {
    lua_geti(L, TAKE_SUBJECT, i);
    add(L, i);
  }
}


/* Call the iterator and push the element; 0 at the end. */
static int step (lua_State *L) {
  lua_pushvalue(L, TAKE_SUBJECT);
  lua_pushvalue(L, TAKE_STATE);
  lua_pushvalue(L, TAKE_CONTROL);
  lua_call(L, 2, LUA_MULTRET);
  if (lua_isnoneornil(L, TAKE_ELEMENT))
    return 0;
  if (lua_gettop(L) == TAKE_ELEMENT)
    lua_pushvalue(L, TAKE_ELEMENT);
  lua_settop(L, TAKE_ELEMENT + 1);
  lua_insert(L, TAKE_ELEMENT);
  /* stack: ...; closing; element; control */
  lua_replace(L, TAKE_CONTROL);
  return 1;
}


/* Close the closing value, and remove it. Not with lua_settop, which in Lua
   5.4.4 loses the stack if '__close' makes that grow. [-0, +0, e] */
static void close_iterator (lua_State *L) {
  if (lua_toboolean(L, TAKE_CLOSING))
    lua_closeslot(L, TAKE_CLOSING);
  lua_settop(L, TAKE_RESULTS);
}


static void take_iterator (lua_State *L) {
  lua_Integer n = 0;
  if (lua_toboolean(L, TAKE_CLOSING))
    lua_toclose(L, TAKE_CLOSING);
  make_results(L, 0);
  while (step(L)) {
    if (n == INT_MAX)
      luaL_error(L, "too many elements");
    add(L, ++n);
  }
  close_iterator(L);
  lua_pushinteger(L, n);
  lua_setfield(L, TAKE_RESULTS, "n");
}


static int take (lua_State *L) {
  if (lua_istable(L, TAKE_SUBJECT))
    take_sequence(L);
  else
    take_iterator(L);
  count_down(L, cp_node_at(L, TAKE_AGGREGATE), TAKE_AGGREGATE);
  return 0;
}


/* Push a list of the keys of the table, and return how many. */
static int list_keys (lua_State *L) {
  int n = 0;
  lua_createtable(L, 0, 0);
  lua_pushnil(L);
  while (lua_next(L, TAKE_SUBJECT)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, ++n);
  }
  return n;
}


static int take_keyed (lua_State *L) {
  int i;
  int n = list_keys(L);
  lua_replace(L, TAKE_STATE);
  lua_createtable(L, 0, n);
  lua_copy(L, -1, TAKE_RESULTS);
  lua_setiuservalue(L, TAKE_AGGREGATE, SLOT_VALUE);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, TAKE_STATE, i);
    lua_copy(L, -1, TAKE_CONTROL);
    lua_gettable(L, TAKE_SUBJECT);
    add_keyed(L, TAKE_CONTROL);
  }
  count_down(L, cp_node_at(L, TAKE_AGGREGATE), TAKE_AGGREGATE);
  return 0;
}

/* }================================================================ */


/*
** {================================================================
** The functions
** =================================================================
*/

/* Whether the table that is argument 1 has keys, but none that is a number,
   no 'n', and no metamethods that could give it elements. */
static int has_keys_only (lua_State *L) {
  int keys = 0;
  lua_settop(L, 1);
  if (lua_rawlen(L, 1) > 0 || lua_getmetatable(L, 1))
    return 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    if (lua_type(L, 2) == LUA_TNUMBER)
      return 0;
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "n") == 0)
      return 0;
    keys = 1;
  }
  return keys;
}


static void check_sequence (lua_State *L, KindId kind) {
  cp_args_refuse_module(L);
  if (has_keys_only(L))
    cp_args_error(L,
      1,
      kind == KIND_ALL           ? "has keys, but no sequence: use allKeyed"
      : kind == KIND_ALL_SETTLED ? "has keys, but no sequence: use "
                                   "allSettledKeyed"
                                 : "has keys, but no sequence");
  lua_settop(L, 1);
}


/* Push the aggregate of the arguments, whose elements 'taker' takes. */
static int combine (lua_State *L, KindId kind, lua_CFunction taker) {
  Context *ctx = cp_context(L);
  Promise *aggregate;
  int status;
  lua_settop(L, 4);
  aggregate = cp_promise_new(L, kind);
  cp_debug_made(L, ctx, 5);
  aggregate->n = 1; /* until all have been taken */
  lua_insert(L, 1);
  lua_pushvalue(L, HANDLER);
  lua_insert(L, 2);
  lua_pushvalue(L, CONTEXT);
  lua_pushvalue(L, PROMISE_MT);
  lua_pushcclosure(L, taker, 2);
  lua_insert(L, 3);
  lua_pushvalue(L, 1);
  lua_insert(L, 4);
  lua_pushnil(L);
  lua_insert(L, -2);
  /* stack: aggregate; handler; taker; aggregate; subject, state, control;
     nil; closing */
  cp_enter(L, ctx);
  status = lua_pcall(L, TAKE_CLOSING, 0, 2);
  cp_leave(L, ctx);
  if (status != LUA_OK && cp_promise_open(aggregate)) {
    cp_trace_reject(L, aggregate, 1);
    cp_promise_announce(L, aggregate, 1);
  }
  else if (status != LUA_OK)
    cp_trace_take(L, ctx); /* nobody wants to know */
  cp_host_wake(L, ctx);
  lua_settop(L, 1);
  return 1;
}


static void refuse_promise (lua_State *L) {
  if (cp_promise_test(L, cp_context(L), 1) != NULL)
    cp_args_error(
      L, 1, "iterable expected, got promise: give promises in a table");
}


static int combine_iterable (lua_State *L, KindId kind) {
  if (lua_istable(L, 1))
    check_sequence(L, kind);
  else if (!cp_args_callable(L, 1)) {
    refuse_promise(L);
    cp_args_type_error(L, 1, "iterable");
  }
  return combine(L, kind, take);
}


static int combine_table (lua_State *L, KindId kind) {
  cp_args_refuse_module(L);
  if (!lua_istable(L, 1))
    cp_args_type_error(L, 1, "table");
  return combine(L, kind, take_keyed);
}


int cp_all (lua_State *L) {
  return combine_iterable(L, KIND_ALL);
}


int cp_allSettled (lua_State *L) {
  return combine_iterable(L, KIND_ALL_SETTLED);
}


int cp_any (lua_State *L) {
  return combine_iterable(L, KIND_ANY);
}


int cp_race (lua_State *L) {
  return combine_iterable(L, KIND_RACE);
}


int cp_select (lua_State *L) {
  if (lua_istable(L, 1))
    return combine_table(L, KIND_SELECT);
  return combine_iterable(L, KIND_SELECT);
}


int cp_allKeyed (lua_State *L) {
  return combine_table(L, KIND_ALL);
}


int cp_allSettledKeyed (lua_State *L) {
  return combine_table(L, KIND_ALL_SETTLED);
}


int cp_aggregate (lua_State *L) {
  lua_settop(L, 2);
  lua_getiuservalue(L, CONTEXT, CTX_AGGREGATE_MT);
  lua_insert(L, 1);
  return make_error(L);
}


int cp_isAggregate (lua_State *L) {
  lua_pushboolean(L, cp_args_is_tagged(L, 1, CTX_AGGREGATE_MT));
  return 1;
}


/* So many errors are shown, of aggregates inside one another so deep: else
   the text could double at each level. */
#define SHOWN_ERRORS 100
#define SHOWN_DEPTH 4


static void show_aggregate (lua_State *L, int depth, int *left);


/* Replace an error of an aggregate by its text. [-1, +1, e] */
static void show_error (lua_State *L, int depth, int *left) {
  if (cp_args_is_tagged(L, lua_gettop(L), CTX_AGGREGATE_MT))
    show_aggregate(L, depth, left);
  else {
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
  }
}


/* Replace the text and the error on the top by both. [-2, +1, e] */
static void add_error (lua_State *L, lua_Integer i, int depth, int *left) {
  lua_pushfstring(L, "\n  %I: ", (LUAI_UACINT)i);
  lua_insert(L, -2);
  show_error(L, depth, left);
  lua_concat(L, 3);
}


/* Replace the aggregate error on the top by its text. [-1, +1, e] */
static void show_aggregate (lua_State *L, int depth, int *left) {
  int idx = lua_gettop(L);
  lua_Integer i, n;
  luaL_checkstack(L, 10, "too many errors in one another");
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_getfield(L, idx, "errors");
  luaL_checktype(L, idx + 1, LUA_TTABLE);
  n = luaL_len(L, idx + 1);
  lua_pushliteral(L, "AggregateError: ");
  lua_getfield(L, idx, "message");
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  lua_concat(L, 2);
  for (i = 1; i <= n && *left > 0 && depth < SHOWN_DEPTH; i++) {
    --*left;
    lua_geti(L, idx + 1, i);
    add_error(L, i, depth + 1, left);
  }
  if (i <= n) {
    lua_pushfstring(L, "\n  (%I more)", (LUAI_UACINT)(n - i + 1));
    lua_concat(L, 2);
  }
  lua_replace(L, idx);
  lua_settop(L, idx);
}


int cp_aggregate_tostring (lua_State *L) {
  int left = SHOWN_ERRORS;
  lua_settop(L, 1);
  show_aggregate(L, 0, &left);
  return 1;
}

/* }================================================================ */
