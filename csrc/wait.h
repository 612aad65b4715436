/*
** wait.h
** Who waits for whom: asking, leaving, and dropping those that are gone.
**
** Reactions hang in the ring of what they wait for. The ring is linked one
** way, so taking one out costs as many steps as stand before it. Leaving is
** to take constant time in the mean all the same, in any order:
**
**   - A derived promise that leaves settles as it does. It stays in the ring,
**     dead, and is dropped later: when those that have left are half of the
**     ring, all are. So are elements of combinators.
**   - A call, a 'finally' or a timeout has to stand elsewhere when it leaves.
**     So where it would stand behind CROWD others, a *seat* stands in its
**     place: a small node that holds it, and is dead as soon as it doesn't.
**     Where memory lacks for a seat it stands there itself, and pays.
*/

#ifndef CP_WAIT_H
#define CP_WAIT_H

#include "promise.h"

/* More steps than this are not worth taking through a ring. */
#define CROWD 8

/*
** The frame of 'await' (or of the call that waits for a generator) in a
** coroutine that is suspended there:
**
**   1     what it awaits: a promise, a plain value, or the coroutine's seat
**   2     if its context says WAIT_TRACED: errors in flight around 'await'
**   above what it is resumed with: nothing, or why it must raise ('refused')
**
** From outside, 1 is read and written by the next two functions alone, and
** only while the coroutine is suspended; 'refused' comes from generator.c.
** Frames in which Lua code or the loop's functions have yielded are
** async.c's, which looks at nothing but how many values they give and take.
*/

/* Push what the suspended coroutine awaits: the argument of its 'await'.
   [-0, +1, -] */
static inline void cp_wait_push_awaited (lua_State *L, lua_State *co) {
  cp_assert(lua_status(co) == LUA_YIELD && lua_gettop(co) >= 1);
  lua_pushvalue(co, 1);
  lua_xmove(co, L, 1);
}

/* Let the 'await' of the suspended coroutine find the value on the top in
   place of what it awaits. [-1, +0, -] */
static inline void cp_wait_set_awaited (lua_State *L, lua_State *co) {
  cp_assert(lua_status(co) == LUA_YIELD && lua_gettop(co) >= 1);
  lua_xmove(L, co, 1);
  lua_replace(co, 1);
}

/* Whether a coroutine can't be resumed any more: it has ended, or somebody
   has closed it. [-0, +0, -] */
int cp_wait_is_over (lua_State *co);

/* Whether the coroutine in which the object at 'node' waits is over. */
int cp_wait_dead_thread (lua_State *L, int node);

/* Whether nobody sits on the seat at 'node', or nobody alive. */
int cp_wait_dead_seat (lua_State *L, int node);

/* If p, at 'idx', pending and no aggregate, waits for a pending promise, push
   what stands in its ring for p (p itself, or a seat), and that promise; else
   return NULL. [-0, +(0|2), -] */
Promise *cp_wait_source (lua_State *L, const Promise *p, int idx);

/* Whether anybody waits for the pending s, at 'idx', but the object at
   'place' in its ring (0: but one that holds it). Dead ones are dropped on
   the way, so asking costs nothing in the mean. [-0, +0, -] */
int cp_wait_others (lua_State *L, Promise *s, int idx, int place);

/* Only through cp_wait_link. */
void cp_wait_link_in_crowd (
  lua_State *L, Context *ctx, Promise *s, int idx, int node);

/* Let the 'finally' or timeout at 'node', in no list, react to s, as
   cp_promise_link does, on a seat if there is a crowd. May run finalizers.
   [-0, +0, -] */
static inline void
cp_wait_link (lua_State *L, Context *ctx, Promise *s, int idx, int node) {
  if (s->waiters < CROWD)
    cp_promise_link(L, ctx, s, idx, node);
  else
    cp_wait_link_in_crowd(L, ctx, s, idx, node);
}

/* Push a seat for the object at 'node', if there is memory. May run
   finalizers. [-0, +(0|1), -] */
int cp_wait_push_seat (lua_State *L, int node);

/* The object at 'place' (a seat, or the call, 'finally' or timeout itself)
   leaves the ring of the pending s, at 'idx'. [-0, +0, -] */
void cp_wait_leave (lua_State *L, Promise *s, int idx, int place);

/* One in the ring of the pending s, at 'idx', is dead from now on.
   [-0, +0, -] */
void cp_wait_count_dead (lua_State *L, Promise *s, int idx);

/* Drop the dead reactions of p if its ring has grown enough since the last
   time that this costs nothing in the mean. [-0, +0, -] */
void cp_wait_sweep (lua_State *L, Promise *p, int idx);

/* The job of a seat: that of who sits on it. */
Outcome cp_run_seat (lua_State *L, Promise *node, const Promise *source);

#endif
