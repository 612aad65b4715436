/*
** see.h
** What promises wait for, for people who look for what hangs. Nothing here
** changes anything, or runs code of the program's.
*/

#ifndef CP_SEE_H
#define CP_SEE_H

#include "node.h"

/* look(v) -> of a promise, semaphore, channel or event: what it is, a table
   of what it waits for, and more: a pending call's coroutine, the text of a
   place where one waits, when a delay is due, how many elements are missing;
   nothing of any other value. */
int cp_look (lua_State *L);

/* where(coroutine) -> nothing if it is none; the place where it waits or
   would start, as "file:line", or nil where that is in the library; the
   function's name, if it has one; or, in its place, the library's own file */
int cp_where (lua_State *L);

/* calls() -> a table of all suspended async calls that can be reached, and
   one of the permits that they hold in local variables, {permit's semaphore,
   coroutine} each. It looks at every object of the program. */
int cp_calls (lua_State *L);

#endif
