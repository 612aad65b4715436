---@meta cpromise.loop.luv

--- libuv's default loop, through luv: the loop of a program that has loaded
--- luv, or that sets none. `require "cpromise.loop.luv"` is needed only to set
--- it again after another one. It has the functions of a `cpromise.Loop`, and
--- no other.
---@class cpromise.LuvLoop: cpromise.Loop
local luv = {}

return luv
