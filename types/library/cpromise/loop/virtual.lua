---@meta cpromise.loop.virtual

--- A clock for tests, which stands still until it is told to move: hours pass
--- in no time, and always in the same order.
---
--- ```lua
--- local Promise = require "cpromise"
--- local clock = require "cpromise.loop.virtual"
---
--- Promise.setLoop(clock)
--- Promise.delay(3600, "an hour"):next(print)
--- clock.advance(3599)
--- print("nothing yet at", clock.now())
--- clock.advance(1)
--- ```
---
--- ```text
--- nothing yet at	3599
--- an hour
--- ```
---
--- It has the functions of a `cpromise.Loop`, and these. They take no `self`.
--- `Promise.run` and an `await` on the main thread jump from one timer to the
--- next.
---@class cpromise.VirtualLoop: cpromise.Loop
local virtual = {}

--- Let time pass. What falls due fires in order of time, with `now()` at that
--- time, and the jobs that one timer has queued run before the next one fires.
--- A timer's function may call this, too.
---
--- Raises if `seconds` is no number from 0.
---@param seconds number
function virtual.advance(seconds) end

--- Another clock, which starts at 0, has no timers, and knows nothing of this
--- one. Only the module itself has this function. Never raises.
---@return cpromise.VirtualLoop
---@nodiscard
function virtual.new() end

return virtual
