/*
** clock.h
** Delays and timeouts, on the clock of the loop.
**
** The loop has one timer for all of them, armed for the first that falls due.
** It keeps the loop alive as long as there is a delay, or somebody waits on
** the main thread, whom a timeout may help; else it is in the background.
** When it fires, those that are due settle in order of time, and the jobs
** that one has queued run before the next one settles.
**
** If the loop is changed, what waits moves to the new one: the time between
** two moments is the same on both.
*/

#ifndef CP_CLOCK_H
#define CP_CLOCK_H

#include "promise.h"

/* delay(seconds, ...) */
int cp_delay (lua_State *L);

/* p:timeout(seconds[, reason]) */
int cp_timeout (lua_State *L);

/* isTimeout(v): whether v is the reason of a promise that timed out. */
int cp_isTimeout (lua_State *L);

/* __tostring of those. */
int cp_timeout_tostring (lua_State *L);

/* setClock(loop): use its 'now', 'timer' and 'cancel'; nil: there is none. */
int cp_setClock (lua_State *L);

/* now() -> the time on our clock, which goes on when the loop is changed */
int cp_now (lua_State *L);

/* setLoader(hook): hook() sets a clock, if there is one. */
int cp_setLoader (lua_State *L);

/* waiting() -> how many delays wait; how many timeouts */
int cp_waiting (lua_State *L);

/* What the context keeps, to be called without memory: the loop calls the
   first one; the others are called by cp_host_sync, and for each that is
   due. */
int cp_clock_fire (lua_State *L);
int cp_clock_sync (lua_State *L);
int cp_clock_expire (lua_State *L);

#endif
