---@meta cpromise.loop.frame

--- For games and other hosts that call once in each frame:
---
--- ```lua
--- local Promise = require "cpromise"
--- local loop = require "cpromise.loop.frame"
---
--- Promise.setLoop(loop)
--- Promise.delay(0.5, "half a second"):next(print)
--- for _ = 1, 60 do loop.frame(1 / 60) end -- what the host does
--- ```
---
--- ```text
--- half a second
--- ```
---
--- Its time is the sum of the seconds that it was told, so it stands still
--- while the game is paused. It has the functions of a `cpromise.Loop`, and
--- these. They take no `self`. docs/hosts.md has more.
---@class cpromise.FrameLoop: cpromise.Loop
local frame = {}

--- So many seconds have passed since the last frame: run the jobs that wait,
--- and what has fallen due, in order of time. What that starts is due in a
--- later frame.
---
--- Raises if `seconds` is no number from 0, or infinite; and in a frame, as in
--- a handler that runs in one.
---@param seconds number
function frame.frame(seconds) end

--- Another such loop, which starts at 0, has no timers, and knows nothing of
--- this one. Only the module itself has this function. Never raises.
---@return cpromise.FrameLoop
---@nodiscard
function frame.new() end

return frame
