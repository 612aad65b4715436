-- What `all` and `allSettled` make of the same three promises when one of
-- them rejects. No event loop is needed: Promise.run() runs what waits.
--
--   lua5.4 examples/all_or_settled.lua
--
-- It prints:
--
--   > nothing has run yet
--   > all: rejected with no eggs left
--   > allSettled: bread fulfilled with 2
--   > allSettled: eggs rejected with no eggs left
--   > allSettled: milk fulfilled with 1

local Promise = require "cpromise"

local stock = {bread = 2, eggs = 0, milk = 1}

local function order(what)
  return Promise.new(function(resolve, reject)
    if stock[what] == 0 then return reject(("no %s left"):format(what)) end
    resolve(stock[what])
  end)
end

local names = {"bread", "eggs", "milk"}
local orders = {}
for i, name in ipairs(names) do orders[i] = order(name) end

Promise.all(orders):next(function(amounts)
  print("all: fulfilled with", table.unpack(amounts))
end, function(reason)
  print("all: rejected with " .. reason)
end)

Promise.allSettled(orders):next(function(outcomes)
  for i, name in ipairs(names) do
    local got = outcomes[i]
    print(("allSettled: %s %s with %s"):format(
      name, got.status, got.value or got.reason))
  end
end)

print "nothing has run yet"
Promise.run()
