--- What the basic operations cost: microseconds for each, and bytes for a
--- derived promise that is pending and an async call that waits.
---
---   lua5.4 bench/loops.lua [N] [NAME]
---
--- Times are of this run on this machine, good for a rough idea. To compare
--- versions count instructions, which is repeatable:
---
---   valgrind --tool=callgrind lua5.4 bench/loops.lua N NAME
---
--- for two values of N; the difference is that of the operations.

local Promise = require "cpromise"

local n = tonumber(arg[1]) or 200000
local only = arg[2]

local function id(x) return x end
local function executor(resolve) resolve(1) end

local loops = {
  {"new", function()
    for _ = 1, n do Promise.new(executor) end
  end},
  {"resolve", function()
    local list = {}
    for i = 1, n do list[i] = Promise.resolve(i) end
    return list
  end},
  {"chain", function()
    local p, resolve = Promise.withResolvers()
    for _ = 1, n do p = p:next(id) end
    resolve(1)
    Promise.drain()
    return p
  end},
  {"fan-out", function()
    local p, resolve = Promise.withResolvers()
    for _ = 1, n do local _ = p:next(id) end
    resolve(1)
    Promise.drain()
  end},
  {"await", function()
    local p = Promise.resolve(1)
    Promise.spawn(function()
      for _ = 1, n do Promise.await(p) end
    end)
    Promise.drain()
  end},
  {"async", function()
    local call = Promise.async(id)
    for i = 1, n do call(i) end
  end},
  {"throw", function()
    local p = Promise.resolve(1)
    for _ = 1, n do
      p:next(error):catch(id)
      Promise.drain()
    end
  end},
  {"all", function()
    local list = {}
    for i = 1, n do list[i] = Promise.resolve(i) end
    local all = Promise.all(list)
    Promise.drain()
    return all
  end},
}

for _, loop in ipairs(loops) do
  local name, run = loop[1], loop[2]
  if not only or only == name then
    collectgarbage()
    collectgarbage()
    local start = os.clock()
    run()
    local seconds = os.clock() - start
    print(("%-8s: %6.3f microseconds"):format(name, seconds / n * 1e6))
  end
end

local forever = Promise.withResolvers()

local sizes = {
  {"pending", function() return forever:next(id) end},
  {"waiting", Promise.async(function() Promise.await(forever) end)},
}

for _, size in ipairs(sizes) do
  local name, make = size[1], size[2]
  if not only or only == name then
    local list = {}
    for i = 1, n do list[i] = false end
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    for i = 1, n do list[i] = make() end
    local bytes = (collectgarbage "count" - before) * 1024
    collectgarbage "restart"
    assert(#list == n)
    print(("%-8s: %6.1f bytes"):format(name, bytes / n))
  end
end
