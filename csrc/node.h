/*
** node.h
** The object of the core, and the ring of reactions that each one owns.
**
** A derived promise is its own reaction record: until its handler runs it
** holds the handler and hangs in the ring of the promise that it waits for;
** afterwards the same slot holds its value.  So linking, queueing and
** settling never allocate, and hence never raise.
**
** All Lua values live in user values of the object they belong to.  There
** are no references in the registry and no finalizers, so cycles through
** closures are collected like any other garbage.
*/

#ifndef CP_NODE_H
#define CP_NODE_H

#include "core.h"

typedef enum State { STATE_PENDING, STATE_FULFILLED, STATE_REJECTED } State;

/*
** What a pending object is, and what its slots hold meanwhile.  The kind
** is an index into 'cp_kinds' (promise.h): the layers below never name one.
*/
typedef enum KindId {
  KIND_PLAIN, /* settled by its resolving functions; never a reaction. Until
                 it is resolved VALUE is nil or the list of its cancel hooks;
                 then nil, or the token of the thenable that was called.
                 SOURCE: nil, or its carrier */
  KIND_WAITER, /* waits in a line of SOURCE, a semaphore or its like */
  KIND_SENDER, /* the same; VALUE is the node of what it sends */
  KIND_DELAY, /* VALUE is what it resolves with; SOURCE when, a number */
  KIND_NEXT, /* VALUE is the handler of a fulfilment */
  KIND_CATCH, /* VALUE is the handler of a rejection */
  KIND_BOTH, /* VALUE is a table with both handlers, {[1]=, [2]=} */
  KIND_PASS, /* follows SOURCE; VALUE is nil, or a carrier: see cancel.h */
  KIND_SHIELD, /* the same, but SOURCE is not cancelled with it */
  KIND_LIMIT, /* a timeout of SOURCE: leaves it with an outcome of its own.
                 VALUE is the node of its timer, or nil, or a carrier */
  KIND_FINALLY, /* VALUE is the handler */
  KIND_FINALLY_WAIT, /* VALUE: promise whose outcome it takes, after SOURCE */
  KIND_FINALLY_END, /* VALUE as before; takes its outcome in this job */
  KIND_ADOPT, /* a job: start to follow SOURCE, a promise */
  KIND_THENABLE, /* a job: call SOURCE, the method 'next' of VALUE; which is,
                    of one with a carrier, {thenable, carrier} */
  KIND_ALL, /* an aggregate: VALUE is the table of results, n counts the */
  KIND_ALL_SETTLED, /* elements that are missing, plus 1 while iterating; */
  KIND_ANY, /* cancelled: SOURCE is the carrier, or the first failure */
  KIND_RACE, /* (its table holds nodes only) */
  KIND_SELECT, /* the same; chosen: SOURCE is the node of that element */
  KIND_ELEMENT, /* node: VALUE is the aggregate, n the index in its table */
  KIND_KEYED, /* the same, and the slot KEY holds the key in its table */
  KIND_CHILD, /* node: VALUE is the group, n its place in that */
  KIND_MICROTASK, /* node: VALUE is the function, or {f, args...} if PACKED */
  KIND_TIMER, /* node: VALUE is the limit, or nil; SOURCE when it falls due,
                 KEY its reason */
  KIND_SEAT, /* node: VALUE is the one that waits on it for SOURCE, or nil */
  KIND_RESUME, /* node: VALUE is a coroutine of the user's, for SOURCE */
  KIND_START, /* an async call, a job: VALUE is its coroutine, not started, or
                 made to yield by a hook; or no job yet: it has yielded to the
                 loop, which lets it go on */
  KIND_AWAIT, /* an async call: VALUE is its coroutine, whose frame holds what
                 it awaits. SOURCE, of both: nil, or its carrier */
  KIND_COUNT
} KindId;

enum {
  FLAG_LISTED = 1, /* in the queue or in the list of rejections */
  FLAG_HANDLED = 2, /* somebody looks at its outcome */
  FLAG_EMPTY = 4, /* fulfilled with no value at all */
  FLAG_PACKED = 8, /* VALUE is a table {[0] = how many, ...} */
  FLAG_PLAIN = 16, /* element: SOURCE is no promise but the value itself; a
                      coroutine of the user's: a hook has made it yield */
  FLAG_REPORTED = FLAG_PLAIN, /* rejected: that was reported */
  FLAG_CANCELLED = 32, /* asked to end: see cancel.h */
  FLAG_RESOLVED = 64, /* its first resolving functions do nothing any more */
  FLAG_CARRIER = 128, /* a call, what follows for one, a 'select' that has
                         chosen: it has been asked to end, and keeps the
                         carrier of the last request */
  FLAG_DIVERTED = 1 << 13, /* SOURCE is a carrier that it takes in place of
                              what it waited for; 'select': it has chosen;
                              a plain one is a group's: cp_idlePromise */
  FLAG_INTERRUPTED = 1 << 14, /* a call: the request that it is under comes
                                 from a scope in its own body, and yields to
                                 others */
  FLAG_KNOWN = 1 << 15 /* somebody who stands in its ring no more looks at its
                          outcome: see 'report_failure'. An element: it came
                          when its SOURCE had failed */
};

#define FLAGS_SHAPE (FLAG_EMPTY | FLAG_PACKED)

/* The length at which a ring is swept next is 2^(bits 8 to 12 of flags). */
#define SWEEP_SHIFT 8
#define SWEEP_MASK (31u << SWEEP_SHIFT)
#define SWEEP_MIN 3

/*
** 16 bytes and four user values make an object of 120 bytes, the largest
** that stays in glibc's fast bins: a fifth slot costs a third more.
*/
struct Promise {
  unsigned char state; /* a State; changes once */
  unsigned char kind; /* a KindId; meaningful while pending */
  unsigned short flags;
  unsigned int held : 30; /* those that wait for it but stand in no ring: jobs
                             of adoptions, of elements that came when it had
                             failed; who runs the loop for it */
  unsigned int is_ignored : 1; /* never to be reported */
  unsigned int is_call : 1; /* an async call, made in the debug mode */
  unsigned int n; /* aggregate: elements missing; element: its index; else
                     how many have left its ring that still stand there */
  unsigned int waiters; /* reactions in its ring */
};

enum {
  SLOT_VALUE = 1, /* pending: see KindId; settled: the value or reason */
  SLOT_LINK, /* the next object in whichever one list this one is in */
  SLOT_SOURCE, /* what it waits for; rejected: the traceback; or nil */
  SLOT_REACTIONS, /* the last object of its ring of reactions */
  SLOT_KEY = SLOT_REACTIONS, /* keyed element: it has no reactions */
  PROMISE_SLOTS = SLOT_REACTIONS,
  NODE_SLOTS = SLOT_SOURCE
};

/* Second upvalue of every function that makes promises. */
#define PROMISE_MT lua_upvalueindex(2)


/* The object at 'idx', which is known to be one. [-0, +0, -] */
static inline Promise *cp_node_at (lua_State *L, int idx) {
  return (Promise *)lua_touserdata(L, idx);
}


/* Copy the value at 'from' into a slot of the object at 'idx'. [-0, +0, -] */
static inline void cp_node_set (lua_State *L, int idx, int slot, int from) {
  lua_pushvalue(L, from);
  lua_setiuservalue(L, idx, slot);
}


/* Clear a slot of the object at 'idx'. [-0, +0, -] */
static inline void cp_node_clear (lua_State *L, int idx, int slot) {
  lua_pushnil(L);
  lua_setiuservalue(L, idx, slot);
}


/* Make p a new pending object. [-0, +0, -] */
static inline void cp_node_init (Promise *p, KindId kind) {
  const Promise new = {
    .kind = (unsigned char)kind,
    .flags = SWEEP_MIN << SWEEP_SHIFT,
  };
  *p = new;
}


/* Push a new pending promise whose metatable is at 'mt'. [-0, +1, m] */
static inline Promise *cp_promise_make (lua_State *L, KindId kind, int mt) {
  Promise *p =
    (Promise *)lua_newuserdatauv(L, sizeof(Promise), PROMISE_SLOTS);
  cp_node_init(p, kind);
  lua_pushvalue(L, mt);
  lua_setmetatable(L, -2);
  return p;
}

/* The same where the metatable is an upvalue. [-0, +1, m] */
static inline Promise *cp_promise_new (lua_State *L, KindId kind) {
  return cp_promise_make(L, kind, PROMISE_MT);
}

/* Push a new pending node, which is no promise for Lua. [-0, +1, m] */
Promise *cp_node_new (lua_State *L, KindId kind, int slots);

/* The node at 'idx', or NULL if the value there is none: a promise, say.
   [-0, +0, -] */
Promise *cp_node_test (lua_State *L, int idx);

/* The promise at 'idx' (any index), with its metatable pushed; or NULL, and
   perhaps one pushed, if the value there is none of this library.
   [-0, +(0|1), -] */
static inline Promise *
cp_promise_peek (lua_State *L, const Context *ctx, int idx) {
  Promise *p = (Promise *)lua_touserdata(L, idx);
  if (p == NULL || !lua_getmetatable(L, idx))
    return NULL;
  return lua_topointer(L, -1) == ctx->promise_mt ? p : NULL;
}

/* The same, with nothing pushed. [-0, +0, -] */
Promise *cp_promise_test (lua_State *L, const Context *ctx, int idx);

/*
** The ring: SLOT_REACTIONS is its last object, whose SLOT_LINK is the first
** one, so that appending takes constant time.  A ring of one has no link.
*/

/* Append the object at 'node', which is in no list, to the ring of p, which
   is at 'idx'. [-0, +0, -] */
void cp_ring_append (lua_State *L, Promise *p, int idx, int node);

/* Take the object at 'node' out of the ring of p, which is at 'idx'. It takes
   as long as there are older ones: see wait.h. [-0, +0, -] */
void cp_ring_remove (lua_State *L, Promise *p, int idx, int node);

/* Empty the ring, which is not empty, of p, which is at 'idx'; push its first
   object, linked to the others, and return how many there were.
   [-0, +1, -] */
unsigned int cp_ring_take (lua_State *L, Promise *p, int idx);

/* Append the ring of p, which is at 'idx', to that of the promise at 'to'.
   [-0, +0, -] */
void cp_ring_move (lua_State *L, Promise *p, int idx, int to);

#endif
