-- Two pictures of a real run, a kitchen with one oven: a timeline of what
-- happened, and a graph of what the dinner waits for midway.
--
--   lua5.4 examples/trace.lua [TIMELINE [GRAPH]]
--
--   TIMELINE  a file to write, for https://ui.perfetto.dev (File > Open)
--   GRAPH     a file to write, for Graphviz: dot -Tsvg GRAPH >graph.svg
--
-- Without arguments it writes files that it removes, and prints:
--
--   > midway dinner waits for 2 of soup, bread and cake
--   > soup, bread
--   > no cake: it was too late

local Promise = require "cpromise"
local trace = require "cpromise.trace"
local await, pawait = Promise.await, Promise.pawait

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local oven = Promise.semaphore(1)

local cook = Promise.async(function(dish, seconds)
  await(Promise.delay(seconds))
  return dish
end)

local bake = Promise.async(function(dish, seconds)
  local _ <close> = await(oven:acquire())
  return (await(cook(dish, seconds)))
end)

-- Dishes in the order in which they were ready.
local served = {}

local function serve(dish)
  served[#served + 1] = dish
  return dish
end

local function dinner(graph)
  local soup = cook("soup", 0.01):next(serve)
  local bread = bake("bread", 0.04):next(serve)
  local cake = bake("cake", 60):next(serve)
  local all = Promise.allSettled {soup, bread, cake}
  await(Promise.delay(0.02))
  write(graph, trace.dot(all))
  print(("midway dinner waits for %d of soup, bread and cake"):format(
    3 - #served))
  await(bread)
  cake:cancel "it was too late"
  await(all)
  print(table.concat(served, ", "))
  local _, reason = pawait(cake)
  print("no cake: " .. reason.reason)
end

local timeline, graph = arg[1] or os.tmpname(), arg[2] or os.tmpname()
trace.start(timeline)
Promise.main(dinner, graph)
trace.stop()
if not arg[1] then os.remove(timeline) end
if not arg[2] then os.remove(graph) end
