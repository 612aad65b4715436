/*
** timers.h
** What waits for a time: in lists by duration, and a heap of lists.
**
** Most programs use few durations. Those of one duration fall due in the
** order in which they came, so they stand in one list, and arming takes
** constant time; the lists stand in a heap, by the time of their first one. A
** 'delay' stands in its list itself; for a timeout stands a node, since its
** promise is in the ring of what it follows. One that ends early is dead
** where it stands, and dropped with the others when they are more than those
** that live: so that takes constant time in the mean, too.
**
** When one falls due is the number in its SOURCE. Of two at the same time the
** one of the longer duration came first.
*/

#ifndef CP_TIMERS_H
#define CP_TIMERS_H

#include "promise.h"

/* The list for that duration, made if need be. [-0, +0, m] */
unsigned int cp_timers_list (lua_State *L, Context *ctx, double seconds);

/* Append the delay or node on the top to a list, to fall due then.
   [-1, +0, -] */
void cp_timers_append (
  lua_State *L, Context *ctx, unsigned int list, double due);

/* When the first one that lives falls due; dead ones before it are dropped.
   Returns 0 if there is none. [-0, +0, -] */
int cp_timers_first (lua_State *L, Context *ctx, double *due);

/* Take out and push the first one that lives, if it is due at 'time', or, if
   it is of a timeout, at 'limit', and tell its duration; or else return NULL.
   [-0, +(0|1), -] */
Promise *cp_timers_take (
  lua_State *L, Context *ctx, double time, double limit, double *seconds);

/* A delay, or the node of a timeout, is dead from now on. [-0, +0, -] */
void cp_timers_count_dead (lua_State *L, Context *ctx, int is_delay);

/* The limit p, at 'idx', has no timer any more. [-0, +0, -] */
void cp_timers_release (lua_State *L, Promise *p, int idx);

#endif
