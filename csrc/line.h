/*
** line.h
** Semaphores, channels and events: promises that wait in a line for what is
** handed out.
**
** A waiter is a pending promise, linked in its line; cancelled, it is dead
** where it stands, and is dropped later, as in a ring. What exists once, a
** permit or a value, is *offered*: an offer is served when no job is left. A
** fulfilled promise can't be cancelled, and doesn't learn that its consumer
** was, before that had its turn: what the promise was fulfilled with would be
** lost. So whoever is cancelled by any job leaves the line before, and
** afterwards nothing but the reactions of the one promise can run, up to the
** first code of the program's that gets the thing. Only then is the next one
** served.
**
** Two things are left to the program. What a promise holds that was fulfilled
** while nobody waited for it belongs to whoever has the promise. And
** drain(max) may stop between serving and the turn of the consumer.
*/

#ifndef CP_LINE_H
#define CP_LINE_H

#include "promise.h"

/* semaphore(n), channel([capacity]), event() */
int cp_semaphore (lua_State *L);
int cp_channel (lua_State *L);
int cp_event (lua_State *L);

/* The methods of each, and of permits; their metamethods. */
extern const luaL_Reg cp_semaphore_methods[];
extern const luaL_Reg cp_channel_methods[];
extern const luaL_Reg cp_event_methods[];
extern const luaL_Reg cp_channel_metamethods[];
extern const luaL_Reg cp_permit_metamethods[];

/* Serve the first offer. There must be one. It may run getters.
   [-0, +0, -] */
void cp_line_serve (lua_State *L, Context *ctx);

/* If the value at 'idx' is a semaphore, channel or event, push what it is and
   how it stands, as text for people. [-0, +(0|1), m] */
int cp_line_push_text (lua_State *L, int idx);

/* If the value at 'idx' is a permit that has not been given back, push its
   semaphore. [-0, +(0|1), -] */
int cp_line_push_semaphore (lua_State *L, int idx);

int cp_ask_waiter (struct Walk *walk, Promise *p);

#endif
