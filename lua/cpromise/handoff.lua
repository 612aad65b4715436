--- Handing out what exists once, a permit or a value, to promises that wait
--- for it, so that none is lost when one who waits is cancelled.
---
--- A fulfilled promise can't be cancelled, and it doesn't learn that its
--- consumer was cancelled before it had its turn: what the promise was
--- fulfilled with would be lost. So a promise is fulfilled only when no other
--- job is left in the queue. Till then it is pending: cancelled, it leaves
--- its line, and the next one is served. Afterwards nothing but its own
--- reactions can run: those of `await` as well as any derived promises in a
--- row, up to the first code of the program's that gets the thing. Only then
--- is the next one served.
---
--- Two things are left to the program. What a promise holds that was
--- fulfilled while nobody waited for it belongs to whoever has the promise.
--- And `Promise.drain(max)` may stop between the two jobs: a host that
--- cancels the consumer right then loses the thing.
---
--- (A job that fulfils the promise in its turn does not do: the consumer gets
--- its own turn at the end of the queue, behind jobs that may cancel it.)

local core = require "cpromise.core"
local waiting = require "cpromise.waiting"

local handoff = {}

-- The offers that stand. For all of them there is one job, since two would
-- wait for each other.
local offers = waiting.line()
local settled = core.fulfill()
local job -- pending while it is queued, whatever comes of it
local hand_out

local function queue()
  if job and job:status() == "pending" then return end
  job = settled:next(hand_out)
end

-- Where memory lacks to wait for the other jobs, don't. (Where it lacks for
-- the job at all, offers stand until another is made.)
local function wait_for_others()
  return not core.idle() and pcall(queue)
end

-- Let the next few calls inside one another need no memory.
local function make_room(depth)
  if depth > 0 then make_room(depth - 1) end
end

local function serve(offer)
  make_room(30)
  return offer:serve()
end

-- Where memory lacks to serve the one whose turn it is, tell him.
local function serve_or_reject(offer)
  local ok, more = pcall(serve, offer)
  if ok then return more end
  local waiter = waiting.first(offer.waiters)
  if not waiter then return false end
  waiter.reject(more)
  waiting.leave(waiter)
  return true
end

function hand_out()
  job = nil
  local offer = waiting.first(offers)
  while offer and not wait_for_others() do
    local more = serve_or_reject(offer)
    waiting.leave(offer)
    if more then waiting.join(offers, offer) end
    offer = waiting.first(offers)
  end
end

--- Let `offer:serve()` be called when no other job is left, and again as long
--- as it returns true. It gives one thing to the first of `offer.waiters`, or
--- does nothing; if it raises, nothing has changed.
---@param offer table  an entry: see waiting.lua
function handoff.offer(offer)
  if not offer.line then waiting.join(offers, offer) end
  queue()
end

return handoff
