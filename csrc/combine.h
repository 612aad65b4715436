/*
** combine.h
** The combinators: ECMA-262 27.2.4.1 all, .2 allSettled, .3 any, .5 race, and
** the keyed ones of TC39's "await dictionary" proposal.
*/

#ifndef CP_COMBINE_H
#define CP_COMBINE_H

#include "promise.h"

int cp_all (lua_State *L);
int cp_allSettled (lua_State *L);
int cp_any (lua_State *L);
int cp_race (lua_State *L);
int cp_select (lua_State *L);
int cp_allKeyed (lua_State *L);
int cp_allSettledKeyed (lua_State *L);

/* aggregate(errors, message) -> an aggregate error, as 'any' makes them */
int cp_aggregate (lua_State *L);

/* isAggregate(v): whether v is an aggregate error. */
int cp_isAggregate (lua_State *L);

/* __tostring of aggregate errors. */
int cp_aggregate_tostring (lua_State *L);

Outcome cp_run_element (lua_State *L, Promise *node, const Promise *source);
int cp_dead_element (lua_State *L, int node);

#endif
