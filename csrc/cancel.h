/*
** cancel.h
** Cancelling (no clause of ECMA-262: its promises can't be cancelled).
**
** What a pending promise does with a cancellation depends on its kind:
**
**   reject   of next, catch, adoption, ...: it is rejected at once
**   hooks    of 'new' and 'withResolvers': its hooks run, then it is rejected
**   divert   an async call, a finally: it stays pending, and its next job is
**            that of a rejection (FLAG_DIVERTED): 'await' raises, the handler
**            of 'finally' runs
**   keep     a finally whose handler has run: it waits on for the handler's
**            result, and is rejected then
**   let go   an aggregate: it is rejected, and its elements lose a waiter
**
** Whatever a cancelled promise waited for is cancelled with it if nobody else
** waits for that. This goes on up to promises of the first two kinds without
** recursion, and without allocating: the reason stands in a rejected promise,
** the *carrier*, which is made first; elements to be looked at are linked
** through their own nodes.
*/

#ifndef CP_CANCEL_H
#define CP_CANCEL_H

#include "promise.h"

/* p:cancel([reason]) -> whether it did anything */
int cp_cancel (lua_State *L);

/* __close of promises */
int cp_close (lua_State *L);

/* abandon(p, reason): as 'cancel', but p itself gets the reason as it is. */
int cp_abandon (lua_State *L);

/* cancellation(reason) -> what 'cancel' would reject with */
int cp_cancellation (lua_State *L);

/* isCancelled(v): whether v is the reason of a cancelled promise. */
int cp_isCancelled (lua_State *L);

/* __tostring of cancellations. */
int cp_cancellation_tostring (lua_State *L);

/* onCancel(hook); upvalues: the context, the promise. */
int cp_on_cancel_function (lua_State *L);

/* Cancel the pending promise at 'idx' if nobody waits for it, with the reason
   of the carrier at 'carrier'; if memory lacks for that, leave it. It may run
   user code. [-0, +0, -] */
void cp_cancel_unless_awaited (lua_State *L, int idx, int carrier);

Outcome cp_cancel_reject (lua_State *L, Promise *p);
Outcome cp_cancel_shield (lua_State *L, Promise *p);
Outcome cp_cancel_hooks (lua_State *L, Promise *p);
Outcome cp_cancel_divert (lua_State *L, Promise *p);
Outcome cp_cancel_keep (lua_State *L, Promise *p);
Outcome cp_cancel_let_go (lua_State *L, Promise *p);

#endif
