---@meta cpromise.trace

--- Pictures of a program: a timeline of what it does, and a graph of what it
--- waits for. An optional module, which nothing else loads.
---
--- ```lua
--- local Promise = require "cpromise"
--- local trace = require "cpromise.trace"
---
--- local name = os.tmpname() -- or "timeline.json"
--- trace.start(name)
--- Promise.run(function() Promise.delay(0.01):await() end)
--- print("written:", trace.stop())
--- os.remove(name)
--- ```
---
--- ```text
--- written:	true
--- ```
---
--- While no timeline is written this costs nothing.
---@class cpromise.trace
local trace = {}

--- Start a timeline: a file in Chrome's trace event format, a JSON array with
--- one event a line, which https://ui.perfetto.dev opens.
---
--- The track "what runs" shows the slices of async calls, handlers and timers,
--- with an arrow from where a promise settled to each of its reactions, and
--- cancellations as instants. Each async call is a span on another track from
--- its start to its end, and in it what it awaits, with the line.
---
--- Events are written as they come, and not kept. If the file can't be written
--- any more, as the disk is full, the timeline ends, and that is reported as an
--- error that nobody handles; the program goes on.
---
--- The end of the program ends the timeline, too, if it closes the Lua state. A
--- file that was not ended lacks the last lines; Perfetto opens it all the same.
---
--- Raises if a timeline is being written already, and, with the system's
--- message, if the file can't be written.
---@param path string  of the file, which is overwritten
function trace.start(path) end

--- End the timeline. What has not ended ends with it. Without one this does
--- nothing. Raises, with the system's message, if the rest can't be written.
---@return boolean ended # whether there was one
function trace.stop() end

--- The graph of what a promise waits for, for Graphviz: `dot -Tsvg`. Each node
--- is a promise, yellow if it is pending, green if it is fulfilled, red if it
--- is rejected; `promise` has a thick border. An arrow leads to what a promise
--- waits for; from a semaphore to the async calls that hold its permits, so
--- that a deadlock is a circle. Semaphores, channels and events are gray.
---
--- To know who holds permits it looks at every object of the program. Raises
--- if `promise` is none.
---@param promise cpromise.Promise<any>
---@return string text
function trace.dot(promise) end
