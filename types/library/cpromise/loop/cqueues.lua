---@meta cpromise.loop.cqueues

--- The loop of a controller of cqueues. `await` works in threads of cqueues,
--- and what waits in cqueues works in async functions. It has the functions of
--- a `cpromise.Loop`, and a field. docs/hosts.md has programs.
---@class cpromise.CqueuesLoop: cpromise.Loop
---@field queue userdata  the controller that it runs on; a program that has one of its own sets it before the first use
local cqueues = {}

return cqueues
