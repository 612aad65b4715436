/*
** job.h
** Running the microtask queue.
*/

#ifndef CP_JOB_H
#define CP_JOB_H

#include "promise.h"

/* drain([max]) -> the number of jobs run */
int cp_drain (lua_State *L);

/* __close of what guards a drain on a coroutine */
int cp_job_close_drain (lua_State *L);

/* Run all jobs, in a function of C that has nothing on its stack.
   [-0, +0, -] */
void cp_job_drain (lua_State *L, Context *ctx);

/* queueMicrotask(fn, ...) */
int cp_queueMicrotask (lua_State *L);

/* left() -> jobs that are queued, rejections that were not reported, delays
   that wait, suspended async calls, and whether the program may not know of
   these two: it has not left them behind when it stopped to run the loop */
int cp_left (lua_State *L);

/* idle(): whether no job is queued, and nothing is offered. */
int cp_idle (lua_State *L);

/* inside() -> whether a job, an async call or an executor is running */
int cp_inside (lua_State *L);

Outcome cp_run_microtask (lua_State *L, Promise *node, const Promise *source);

#endif
