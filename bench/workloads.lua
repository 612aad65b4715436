--- What is measured: loops over n operations, for any implementation.
---
--- Each is a table:
---
--- * `name`, and `about`: what one operation is;
--- * `run(P, n, made)` does n of them and raises if the outcome is wrong;
--- * `setup(P, n)`, if any, makes `made`, which is not measured;
--- * `holds`: what `run` returns stays alive, and its memory is measured;
---   for the others, the memory that they ask for;
--- * `needs`: functions and methods of P, besides new, resolve, next, drain;
--- * `clock`: it takes time, so P has timers; instructions are counted on the
---   virtual clock;
--- * `flow`: one of bench/flows.lua.
---
--- P is an implementation as `cpromise` is, with two functions more, if it
--- has timers: `timer(seconds, fn)`, and `run()`, until none is left. One
--- that has no promises does by hand what its table `own` has: by the name of
--- the workload, a function of n that raises if the outcome is wrong. See
--- bench/rivals/.

local flows = require "bench.flows"
local outcome = require "bench.outcome"

local complete, expect = outcome.complete, outcome.expect
local expect_count = outcome.expect_count

local workloads = {}

local function add(workload)
  workload.needs = workload.needs or {}
  workloads[#workloads + 1] = workload
end

local function id(x) return x end
local function noop() end

-- Making

add {
  name = "new",
  about = "new(executor), which resolves",
  run = function(P, n)
    local function executor(resolve) resolve(1) end
    for _ = 2, n do P.new(executor) end
    expect(P, P.new(executor), 1)
  end,
}

add {
  name = "resolve",
  about = "resolve(v)",
  run = function(P, n)
    local list = {}
    for i = 1, n do list[i] = P.resolve(i) end
    expect(P, list[n], n)
  end,
}

add {
  name = "withResolvers",
  about = "withResolvers(), and resolve",
  needs = {"withResolvers"},
  run = function(P, n)
    local p, resolve
    for i = 1, n do
      p, resolve = P.withResolvers()
      resolve(i)
    end
    expect(P, p, n)
  end,
}

-- Handlers

add {
  name = "chain",
  about = "p = p:next(id), made and run",
  needs = {"withResolvers"},
  run = function(P, n)
    local p, r = P.withResolvers()
    for _ = 1, n do p = p:next(id) end
    r(1)
    P.drain()
    expect(P, p, 1)
  end,
}

add {
  name = "fan-out",
  about = "p:next(id) on one promise, made and run",
  needs = {"withResolvers"},
  run = function(P, n)
    local p, r = P.withResolvers()
    for _ = 2, n do local _ = p:next(id) end
    local last = p:next(id)
    r(1)
    P.drain()
    expect(P, last, 1)
  end,
}

add {
  name = "step",
  about = "resolve(i + 1):next(step), in step",
  run = function(P, n)
    local reached
    local function step(i)
      reached = i
      if i < n then P.resolve(i + 1):next(step) end
    end
    P.resolve(1):next(step)
    P.drain()
    expect_count(reached, n)
  end,
}

add {
  name = "finally",
  about = "p = p:finally(f), made and run",
  needs = {"withResolvers", "finally"},
  run = function(P, n)
    local p, r = P.withResolvers()
    for _ = 1, n do p = p:finally(noop) end
    r(1)
    P.drain()
    expect(P, p, 1)
  end,
}

add {
  name = "throw",
  about = "p:next(error):catch(id), made and run",
  needs = {"catch"},
  run = function(P, n)
    local p = P.resolve(1)
    local last
    for _ = 1, n do
      last = p:next(error):catch(id)
      P.drain()
    end
    expect(P, last, 1)
  end,
}

add {
  name = "reject",
  about = "p = p:next(id), passed by a rejection",
  needs = {"withResolvers", "catch"},
  run = function(P, n)
    local p, _, reject = P.withResolvers()
    for _ = 1, n do p = p:next(id) end
    local caught = p:catch(id)
    reject(1)
    P.drain()
    expect(P, caught, 1)
  end,
}

-- The source keeps one waiter, or it would be cancelled as well.
add {
  name = "cancel",
  about = "p:next(f), cancelled",
  needs = {"withResolvers", "catch", "cancel"},
  run = function(P, n)
    local source, resolve = P.withResolvers()
    local kept = source:next(id)
    local count, last = 0, nil
    for _ = 1, n do
      last = source:next(error)
      if last:cancel() then count = count + 1 end
      P.drain()
    end
    resolve(1)
    expect(P, kept, 1)
    expect(P, last:catch(function() return count end), n)
  end,
}

-- Adoption

add {
  name = "resolve-promise",
  about = "resolve with a promise, and follow it",
  needs = {"withResolvers"},
  run = function(P, n)
    local settled = P.resolve(1)
    local p, resolve
    for _ = 1, n do
      p, resolve = P.withResolvers()
      resolve(settled)
    end
    P.drain()
    expect(P, p, 1)
  end,
}

add {
  name = "return-promise",
  about = "p = p:next(f), where f returns a promise",
  needs = {"withResolvers"},
  run = function(P, n)
    local settled = P.resolve(1)
    local function handler() return settled end
    local p, resolve = P.withResolvers()
    for _ = 1, n do p = p:next(handler) end
    resolve(2)
    P.drain()
    expect(P, p, 1)
  end,
}

-- Combinators: elements that have settled, and others that settle later

local function settled_elements(P, n)
  local list = {}
  for i = 1, n do list[i] = P.resolve(i) end
  return list
end

local function pending_elements(P, n)
  local list, resolvers = {}, {}
  for i = 1, n do list[i], resolvers[i] = P.withResolvers() end
  return {list = list, resolvers = resolvers}
end

-- Whether it is what a combinator makes of the results 1 to n.
local outcomes = {
  all = function(t, n) return t[1] == 1 and t[n] == n end,
  allSettled = function(t, n) return t[1].value == 1 and t[n].value == n end,
  any = function(v) return v == 1 end,
  race = function(v) return v == 1 end,
}

local function expect_outcome(P, name, aggregate, n)
  expect(P, aggregate:next(function(v) return outcomes[name](v, n) end), true)
end

local function add_combinator(name)
  add {
    name = name,
    about = name .. ", an element that has settled",
    needs = {name},
    setup = settled_elements,
    run = function(P, n, list)
      local aggregate = P[name](list)
      P.drain()
      expect_outcome(P, name, aggregate, n)
    end,
  }
  add {
    name = name .. "-later",
    about = name .. ", an element that settles later",
    needs = {name, "withResolvers"},
    setup = pending_elements,
    run = function(P, n, made)
      local aggregate = P[name](made.list)
      for i = 1, n do made.resolvers[i](i) end
      P.drain()
      expect_outcome(P, name, aggregate, n)
    end,
  }
end

for _, name in ipairs {"all", "allSettled", "any", "race"} do
  add_combinator(name)
end

-- Coroutines

local COROUTINES <const> = {"async", "await"}

add {
  name = "await",
  about = "await of a settled promise",
  needs = COROUTINES,
  run = function(P, n)
    local await = P.await
    local p = P.resolve(1)
    complete(P, function()
      for _ = 1, n do await(p) end
      return await(p)
    end, 1)
  end,
}

add {
  name = "await-new",
  about = "await(resolve(v))",
  needs = COROUTINES,
  run = function(P, n)
    local await, resolve = P.await, P.resolve
    complete(P, function()
      local v
      for i = 1, n do v = await(resolve(i)) end
      return v
    end, n)
  end,
}

add {
  name = "await-pending",
  about = "await of a promise that settles later",
  needs = {"async", "await", "withResolvers"},
  run = function(P, n)
    local waiting
    local call = P.async(function()
      local v, p
      for _ = 1, n do
        p, waiting = P.withResolvers()
        v = P.await(p)
      end
      return v
    end)()
    P.drain()
    for i = 1, n do
      waiting(i)
      P.drain()
    end
    expect(P, call, n)
  end,
}

add {
  name = "async",
  about = "an async call that awaits nothing",
  needs = COROUTINES,
  run = function(P, n)
    local f = P.async(id)
    for i = 2, n do f(i) end
    expect(P, f(1), 1)
  end,
}

add {
  name = "async-await",
  about = "an async call that awaits a settled promise",
  needs = COROUTINES,
  run = function(P, n)
    local await = P.await
    local p = P.resolve(1)
    local f = P.async(function() return await(p) end)
    local call
    for _ = 1, n do
      call = f()
      P.drain()
    end
    expect(P, call, 1)
  end,
}

-- Ten turns each at least, or starting them would be most of it.
local CROWD <const>, TURNS <const> = 10000, 10

add {
  name = "turns",
  about = "a turn of one of 10,000 async calls",
  needs = COROUTINES,
  run = function(P, n)
    local await = P.await
    local p = P.resolve(1)
    local crowd = math.min(n // TURNS, CROWD)
    local rounds = n // crowd
    local turns, last = 0, {}
    local call = P.async(function(me)
      for _ = 1, rounds do
        await(p)
        turns = turns + 1
      end
      last[me] = turns
    end)
    for me = 1, crowd do call(me) end
    P.drain()
    for me = 1, crowd do -- each had the last turn in its place
      expect_count(last[me], (rounds - 1) * crowd + me)
    end
  end,
}

-- Jobs and timers

add {
  name = "microtask",
  about = "queueMicrotask(fn)",
  needs = {"queueMicrotask"},
  run = function(P, n)
    local count = 0
    local function job() count = count + 1 end
    for _ = 1, n do P.queueMicrotask(job) end
    P.drain()
    expect_count(count, n)
  end,
}

add {
  name = "timers",
  about = "a timer, all at once",
  needs = {"timer"},
  clock = true,
  run = function(P, n)
    local count = 0
    local function fire() count = count + 1 end
    for _ = 1, n do P.timer(0.001, fire) end
    P.run()
    expect_count(count, n)
  end,
}

add {
  name = "loop-turn",
  about = "a turn of the loop: a timer that starts the next",
  needs = {"timer"},
  clock = true,
  run = function(P, n)
    local count = 0
    local function fire()
      count = count + 1
      if count < n then P.timer(0, fire) end
    end
    P.timer(0, fire)
    P.run()
    expect_count(count, n)
  end,
}

-- Memory

-- A list that doesn't grow while it is filled, so as not to be counted.
local function slots(_, n)
  local list = {}
  for i = 1, n do list[i] = false end
  return list
end

add {
  name = "hold-pending",
  about = "a pending promise with a handler",
  needs = {"withResolvers"},
  holds = true,
  setup = slots,
  run = function(P, n, list)
    local source, resolve = P.withResolvers()
    for i = 1, n do list[i] = source:next(id) end
    return {list, resolve}
  end,
}

add {
  name = "hold-chain",
  about = "a link of a pending chain",
  needs = {"withResolvers"},
  holds = true,
  run = function(P, n)
    local p, resolve = P.withResolvers()
    for _ = 1, n do p = p:next(id) end
    return {p, resolve}
  end,
}

add {
  name = "hold-calls",
  about = "a suspended async call",
  needs = {"async", "await", "withResolvers"},
  holds = true,
  setup = slots,
  run = function(P, n, list)
    local forever, resolve = P.withResolvers()
    local call = P.async(function() P.await(forever) end)
    for i = 1, n do list[i] = call() end
    P.drain()
    return {list, resolve}
  end,
}

for _, flow in ipairs(flows) do add(flow) end

for _, workload in ipairs(workloads) do
  workloads[workload.name] = workload
end

return workloads
