/*
** cancel.h
** Cancelling (no clause of ECMA-262: its promises can't be cancelled).
**
** The request goes up at once, in one *walk*: from the promise that 'cancel'
** was called on to what it alone waits for, and on, to those that wait for
** nothing pending. The outcome comes down by the ordinary jobs. So what lies
** between is only marked (FLAG_CANCELLED): it stays pending until what it
** waits for has settled, and rejects then.
**
**   is asked             and does
**   ------------------   -------------------------------------------------
**   of new, unresolved   is locked; after the walk: its hooks run, it rejects
**   followed a thenable  rejects: nobody can ask a thenable
**   next, catch, follow  is marked; its handler never runs
**   finally              is marked; its handler runs in its turn
**   an async call        its 'await' raises, this one or the next one:
**                        then the request is delivered, and the mark is
**                        taken off
**   an aggregate         is marked; rejects when its elements have had their
**                        turn
**
** One that does not wait alone, or that shields, *leaves*: it ends as if what
** it waited for had been rejected. A walk that comes back to where it began
** (a cycle) makes the last one leave.
**
** The reason stands in a *carrier*, a rejected promise that is made before
** the walk. What is marked keeps the carrier: where its handler stood, an
** aggregate and a call in SOURCE. A 'finally' has no room for it. It needs it
** only if what it waits for fulfils though it was asked, and only a call does
** that, and a 'select' that has chosen: so these keep the carrier when they
** fulfil (FLAG_CARRIER), and so does what follows for a call.
**
** During the walk no code of the program's runs and nothing is allocated, and
** there is no recursion. Each promise that is asked is waited for by one
** alone, the one through which the walk came, so no promise is asked twice;
** elements that are still to be asked are linked through their own nodes,
** each the only one in its ring; promises whose hooks are to run, through
** their LINK.
*/

#ifndef CP_CANCEL_H
#define CP_CANCEL_H

#include "promise.h"

/* A walk. It has a part of the stack to itself. */
typedef struct Walk {
  lua_State *L;
  Context *ctx;
  const Promise *start; /* where it began */
  int base; /* the stack below it */
  int own; /* WALK_OWN for the first promise, WALK_CARRIER for others */
  int told; /* whether anybody has been told anything */
  int is_circle; /* it has come to a group's idle promise whose hook runs */
  int leaves; /* the first promise is to leave what it waits for */
  int
    is_guarded; /* what is left is kept, for the case that a hook closes L */
  lua_Integer hook; /* of the first hooked promise: the hook that runs next */
} Walk;

/* What stands on that part of the stack. */
enum {
  WALK_OWN = 1, /* the carrier for the first promise */
  WALK_CARRIER, /* the carrier for all others */
  WALK_START, /* where it began, or nil */
  WALK_FIRST, /* element nodes whose promises are still to be asked, */
  WALK_LAST, /* linked: the first and the last of them, or nil */
  WALK_HOOKED, /* promises whose hooks are to run, linked, */
  WALK_HOOKED_LAST, /* the first and the last, or nil */
  WALK_PROMISE, /* the promise that is being asked */
  WALK_WORK
};

/* So much stack a walk takes, and what is pushed for it. */
#define WALK_ROOM (WALK_WORK + LUA_MINSTACK + 4)

/* p:cancel([reason]) -> whether that told anybody anything */
int cp_cancel (lua_State *L);

/* __close of promises */
int cp_close (lua_State *L);

/* expire(p, reason): cancel p, a timeout, which gets the reason as it is. */
int cp_expire (lua_State *L);

/* interrupt(call, cancellation): cancel the call that runs or waits, on
   behalf of a scope in its own body -> the carrier it had before, or nil;
   whether that is news to it */
int cp_interrupt (lua_State *L);

/* withdraw(call, cancellation, carrier, undelivered): the running call is
   under that request no more, and has the carrier back that it had before: of
   a request from a scope around that, if it is undelivered. */
int cp_withdraw (lua_State *L);

/* cancellation(reason) -> what 'cancel' would reject with */
int cp_cancellation (lua_State *L);

/* isCancelled(v): whether v is the reason of a cancelled promise. */
int cp_isCancelled (lua_State *L);

/* __tostring of cancellations. */
int cp_cancellation_tostring (lua_State *L);

/* __close of what guards a walk whose hooks run: see cancel.c. */
int cp_cancel_close_hooks (lua_State *L);

/* onCancel(hook); upvalues: the context, the promise. */
int cp_on_cancel_function (lua_State *L);

/* Push a promise rejected with the reason on the top, which it replaces.
   [-1, +1, m] */
void cp_cancel_push_carrier (lua_State *L);

/* Whether there is room on the stack for a walk: to be asked before any of
   the following, before any change. [-0, +0, -] */
int cp_cancel_has_room (lua_State *L);

/* Raise if there is none. [-0, +0, v] */
void cp_cancel_need_room (lua_State *L);

/* Let the request of the carrier at 'carrier' go up from the pending p, at
   'idx', on. It may run hooks. [-0, +0, -] */
void cp_cancel_from (lua_State *L, Promise *p, int idx, int carrier);

/* The same from the child of a group at 'idx', if it is pending; returns
   whether it told anybody anything. A child that waits, by whatever way, for
   what waits for its group would never end: it leaves that. [-0, +0, -] */
int cp_cancel_child (lua_State *L, int idx, int carrier);

/* The same from the elements of the pending aggregate p on. [-0, +0, -] */
void cp_cancel_elements (lua_State *L, Promise *p, int idx, int carrier);

/* The same from its element at 'node' on. [-0, +0, -] */
void cp_cancel_element (lua_State *L, Promise *p, int node, int carrier);

/* Whether the promise at 'idx' has been rejected with anything but a
   cancellation. [-0, +0, -] */
int cp_cancel_is_failure (lua_State *L, int idx);

/* Push the promise whose outcome one that was asked to end takes: what it
   waited for, the settled promise at 'source', if that was rejected; or else
   the carrier which that has kept; or else the one at 'own', or (0) a general
   one. [-0, +1, -] */
void cp_cancel_push_outcome (lua_State *L, int source, int own);

/* What 'select' takes in the end, the settled promise at 'choice', keeps the
   carrier for a 'finally', if it was fulfilled. [-0, +0, -] */
void cp_cancel_keep (lua_State *L, int choice, int carrier);

/* The marked aggregate p, at 'idx', has no element left: reject it.
   [-0, +0, -] */
void cp_cancel_end_aggregate (lua_State *L, Promise *p, int idx);

/* The derived or waiting p, at WALK_PROMISE, is rejected where it stands.
   [-0, +0, -] */
void cp_cancel_in_place (Walk *walk, Promise *p);

int cp_ask_plain (Walk *walk, Promise *p);
int cp_ask_thenable (Walk *walk, Promise *p);
int cp_ask_delay (Walk *walk, Promise *p);
int cp_ask_derived (Walk *walk, Promise *p);
int cp_ask_finally (Walk *walk, Promise *p);
int cp_ask_finally_done (Walk *walk, Promise *p);
int cp_ask_call (Walk *walk, Promise *p);
int cp_ask_aggregate (Walk *walk, Promise *p);

#endif
