/*
** group.h
** Promises that end together: the children of a scope, the workers of a map.
**
** A node reacts to each child, so that it counts as waited for and its
** outcome is never lost. A child that is rejected is told to the group's
** function, in Lua: see lua/cpromise/group.lua.
*/

#ifndef CP_GROUP_H
#define CP_GROUP_H

#include "promise.h"

/* group(owner, rejected) -> a group. rejected(owner, reason, promise) is
   called for a child that is rejected; if it returns true, that is
   reported. */
int cp_group (lua_State *L);

/* spawnChild(group, fn, ...) -> the promise of that call, a child, before
   those that it spawns itself */
int cp_spawnChild (lua_State *L);

/* children(group) -> how many have not ended */
int cp_children (lua_State *L);

/* askChildren(group, cancellation) -> whether that
   told any of them anything */
int cp_askChildren (lua_State *L);

/* idlePromise(group, hook) -> a promise that is fulfilled when no child is
   left; the hook is called if it is cancelled. The one before is settled no
   more. */
int cp_idlePromise (lua_State *L);

/* Push a table of the promises of the children that a pending idle promise
   waits for. [-0, +1, m] */
int cp_group_push_children (lua_State *L, int idle);

Outcome cp_run_child (lua_State *L, Promise *node, const Promise *source);

#endif
