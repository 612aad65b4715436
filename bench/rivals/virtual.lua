--- This library on its virtual clock, which takes no time: for counting
--- instructions.

local Promise = require "cpromise"
local P = require "bench.rivals.cpromise"

Promise.setLoop(require "cpromise.loop.virtual")

function P.timer(seconds, fn)
  Promise.delay(seconds):next(fn)
end

return P
