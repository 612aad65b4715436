--- luv, loaded where its callbacks find a coroutine that lives on.

return require "cpromise.loop".library "luv"
