---@meta cpromise.loop

--- For those who write a loop of their own: see `cpromise.Loop`.
---@class cpromise.LoopModule
local loop = {}

--- Call the function of a timer. An error in it is reported as one that nobody
--- handles, so that it doesn't harm the loop. Never raises.
---@param fn fun()
function loop.call(fn) end

return loop
