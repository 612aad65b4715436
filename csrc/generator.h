/*
** generator.h
** Generators that await.
**
** A generator of Promise.wrap is a coroutine that yields values to the call
** of its function, by its consumer. Its 'await' yields, too; then that call
** waits in its place, by the same means as 'await', and resumes it when that
** is over.
*/

#ifndef CP_GENERATOR_H
#define CP_GENERATOR_H

#include "promise.h"

/* wrap(fn): coroutine.wrap for generators that await -> the function, and for
   a generic 'for': nil, nil, what closes the generator */
int cp_wrap (lua_State *L);

/* That function. */
int cp_call_generator (lua_State *L);

/* What closes the generator: its __close. */
int cp_close_generator (lua_State *L);

#endif
