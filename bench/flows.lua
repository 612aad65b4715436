--- What is measured, continued: flows that programs are made of. Time, what
--- is shared, many at once, and a whole request. See bench/workloads.lua.

local outcome = require "bench.outcome"

local complete, expect = outcome.complete, outcome.expect
local expect_count = outcome.expect_count

local SOON <const>, LATER <const> = 0.001, 60 -- seconds
local CROWD <const> = 100 -- calls, requests or attempts at once
local PERMITS <const> = 10

local flows = {}

local function add(flow)
  flow.flow = true
  flows[#flows + 1] = flow
end

local function pending_elements(P, n)
  local list, resolvers = {}, {}
  for i = 1, n do list[i], resolvers[i] = P.withResolvers() end
  return {list = list, resolvers = resolvers}
end

local function numbers(_, n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

-- Calls start(i) for each of 1 to n, and finish() after each crowd of them.
local function in_crowds(n, start, finish)
  for i = 1, n do
    start(i)
    if i % CROWD == 0 or i == n then finish() end
  end
end

-- What is asked is answered later, all at once, with the next number.
local function new_server(P)
  local asked = {} -- resolving functions, each with its answer
  local server = {}

  function server.ask(v)
    local p, resolve = P.withResolvers()
    local n = #asked
    asked[n + 1], asked[n + 2] = resolve, v + 1
    return p
  end

  -- Whether anything was asked.
  function server.answer()
    local now = asked
    asked = {}
    for i = 1, #now, 2 do now[i](now[i + 1]) end
    P.drain()
    return #now > 0
  end

  return server
end

-- Time

add {
  name = "delay",
  about = "delay(seconds), all at once",
  needs = {"delay"},
  clock = true,
  run = function(P, n)
    local last
    for i = 1, n do last = P.delay(SOON, i) end
    P.run()
    expect(P, last, n)
  end,
}

add {
  name = "timeout",
  about = "p:timeout(seconds), settled in time",
  needs = {"timeout"},
  clock = true,
  setup = pending_elements,
  run = function(P, n, made)
    local last
    for i = 1, n do last = made.list[i]:timeout(LATER) end
    for i = 1, n do made.resolvers[i](i) end
    P.drain()
    expect(P, last, n)
  end,
}

add {
  name = "timeout-fired",
  about = "p:timeout(seconds):catch(f), when the time is up",
  needs = {"timeout", "await"},
  clock = true,
  setup = pending_elements,
  run = function(P, n, made)
    local count = 0
    local function note(reason)
      if P.isTimeout(reason) then count = count + 1 end
    end
    local last
    for i = 1, n do last = made.list[i]:timeout(SOON):catch(note) end
    P.run(function() P.await(last) end) -- a timeout alone keeps no loop alive
    expect_count(count, n)
  end,
}

-- What is shared

add {
  name = "semaphore",
  about = "a free permit, awaited and given back",
  needs = {"semaphore", "async", "await"},
  run = function(P, n)
    local await = P.await
    local semaphore = P.semaphore(1)
    complete(P, function()
      local count = 0
      for _ = 1, n do
        local _ <close> = await(semaphore:acquire())
        count = count + 1
      end
      return count
    end, n)
  end,
}

add {
  name = "semaphore-busy",
  about = "one of 10 permits, awaited by 100 calls, held for an answer",
  needs = {"semaphore", "async", "await", "withResolvers"},
  run = function(P, n)
    local await = P.await
    local semaphore, server = P.semaphore(PERMITS), new_server(P)
    local ask = server.ask
    local started, ended, held, most = 0, 0, 0, 0
    local call = P.async(function()
      while started < n do
        started = started + 1
        local _ <close> = await(semaphore:acquire())
        held = held + 1
        most = math.max(most, held)
        await(ask(started))
        held, ended = held - 1, ended + 1
      end
    end)
    for _ = 1, CROWD do call() end
    P.drain()
    while server.answer() do end
    expect_count(ended, n)
    expect_count(most, PERMITS)
  end,
}

local function add_channel(capacity, about)
  add {
    name = "channel-" .. capacity,
    about = about,
    needs = {"channel", "async", "await"},
    run = function(P, n)
      local await = P.await
      local channel = P.channel(capacity)
      P.async(function()
        for i = 1, n do await(channel:send(i)) end
        channel:close()
      end)()
      complete(P, function()
        local count = 0
        for v in channel do
          if v == count + 1 then count = v end
        end
        return count
      end, n)
    end,
  }
end

add_channel(0, "a value, sent and received, hand to hand")
add_channel(100, "a value, sent and received, with room for 100")

-- Two calls that take turns: each event is set by one, awaited by the other.
add {
  name = "event",
  about = "an event, awaited, set and cleared",
  needs = {"event", "async", "await"},
  run = function(P, n)
    local await = P.await
    local ping, pong = P.event(), P.event()
    local rounds = n // 2
    P.async(function()
      for _ = 1, rounds do
        await(ping:wait())
        ping:clear()
        pong:set()
      end
    end)()
    complete(P, function()
      local count = 0
      for _ = 1, rounds do
        ping:set()
        await(pong:wait())
        pong:clear()
        count = count + 1
      end
      return count
    end, rounds)
  end,
}

-- Many at once

add {
  name = "map",
  about = "map, an element, 100 at once",
  needs = {"map", "async", "await"},
  setup = numbers,
  run = function(P, n, list)
    local resolve = P.resolve
    local function double(v) return resolve(2 * v) end
    local results = P.map(list, double, {concurrency = CROWD})
    P.drain()
    expect(P, results:next(function(t) return t[1] + t[n] end), 2 + 2 * n)
  end,
}

add {
  name = "scope",
  about = "a scope with a child, awaited",
  needs = {"scope", "async", "await"},
  run = function(P, n)
    local await, scope = P.await, P.scope
    local p, count = P.resolve(1), 0
    local function child()
      await(p)
      count = count + 1
    end
    local function body(s) s:spawn(child) end
    complete(P, function()
      for _ = 1, n do await(scope(body)) end
      return count
    end, n)
  end,
}

add {
  name = "scope-children",
  about = "a child of one scope",
  needs = {"scope", "async", "await"},
  run = function(P, n)
    local await = P.await
    local p, count = P.resolve(1), 0
    local function child()
      await(p)
      count = count + 1
    end
    local ended = P.scope(function(s)
      for _ = 1, n do s:spawn(child) end
    end)
    P.drain()
    expect(P, ended:next(function() return count end), n)
  end,
}

add {
  name = "asCompleted",
  about = "asCompleted, an element that settles later, awaited",
  needs = {"asCompleted", "async", "await"},
  setup = pending_elements,
  run = function(P, n, made)
    local await = P.await
    local call = P.async(function()
      local left = n -- they settle from the last to the first
      for _, p in P.asCompleted(made.list) do
        if await(p) == left then left = left - 1 end
      end
      return left
    end)()
    for i = n, 1, -1 do made.resolvers[i](i) end
    P.drain()
    expect(P, call, 0)
  end,
}

add {
  name = "select",
  about = "select of two pending promises, awaited",
  needs = {"select", "async", "await", "withResolvers"},
  run = function(P, n)
    local await, select, withResolvers = P.await, P.select, P.withResolvers
    local other
    complete(P, function()
      local count = 0
      for i = 1, n do
        local p, resolve = withResolvers()
        other = withResolvers()
        P.queueMicrotask(resolve, i)
        local key, v = await(select {a = p, b = other})
        if key == "a" and v == i then count = count + 1 end
      end
      return count
    end, n)
    local _, reason = other:status()
    if not P.isCancelled(reason) then error("it was not cancelled", 0) end
  end,
}

-- The loop turns once for a hundred: a turn is not what is measured.
add {
  name = "retry",
  about = "retry of what fails once, 100 at once",
  needs = {"retry"},
  clock = true,
  run = function(P, n)
    local options = {attempts = 2, delay = 0}
    local count, last = 0, nil
    local function fails_once(attempt)
      if attempt == 1 then error("once", 0) end
      count = count + 1
      return attempt
    end
    in_crowds(n, function() last = P.retry(fails_once, options) end, P.run)
    expect_count(count, n)
    expect(P, last, 2)
  end,
}

add {
  name = "request",
  about = "a request: three awaits, a timeout, a finally; 100 at once",
  needs = {"timeout", "async", "await", "withResolvers"},
  clock = true,
  run = function(P, n)
    local await = P.await
    local server = new_server(P)
    local ask, count, last = server.ask, 0, nil
    local request = P.async(function(v)
      local connection = await(ask(v))
      local head = await(ask(connection))
      return await(ask(head))
    end)
    local function done() count = count + 1 end
    in_crowds(n, function(i)
      last = request(i):timeout(LATER):finally(done)
    end, function()
      while server.answer() do end
    end)
    expect_count(count, n)
    expect(P, last, n + 3)
  end,
}

return flows
