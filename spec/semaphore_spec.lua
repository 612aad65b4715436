--- Semaphores: so many at once.

local Promise = require "cpromise"
local alloc = require "support.alloc"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

local function status(promise)
  return (promise:status())
end

-- Acquire one permit that is free.
local function acquire(semaphore)
  local state, release = helper.outcome(semaphore:acquire())
  assert.equal("fulfilled", state)
  return release
end

-- How many permits are free.
local function count_free(semaphore)
  local promises = {}
  repeat
    local p = semaphore:acquire()
    promises[#promises + 1] = p
  until helper.outcome(p) == "pending"
  promises[#promises]:cancel()
  promises[#promises] = nil
  for _, p in ipairs(promises) do select(2, p:status())() end
  Promise.drain()
  return #promises
end

-- All that may consume what is acquired: (semaphore, use) -> a promise. `use`
-- gets the release function.
local consumers = {
  ["an async function"] = function(semaphore, use)
    return Promise.spawn(function() use(await(semaphore:acquire())) end)
  end,
  ["an async function in pcall"] = function(semaphore, use)
    return Promise.spawn(function()
      local ok, release = pcall(await, semaphore:acquire())
      if not ok then error(release, 0) end
      use(release)
    end)
  end,
  ["a handler"] = function(semaphore, use)
    return semaphore:acquire():next(use)
  end,
  ["a chain"] = function(semaphore, use)
    return semaphore:acquire():next():catch(print):next():next(use)
  end,
  ["a chain through finally"] = function(semaphore, use)
    return semaphore:acquire():finally(function() end):next(use)
  end,
  ["a promise that follows"] = function(semaphore, use)
    return Promise.resolve():next(function()
      return semaphore:acquire()
    end):next(use)
  end,
  ["an async function that returns the promise"] = function(semaphore, use)
    return Promise.spawn(function() return semaphore:acquire() end):next(use)
  end,
  ["an async function that awaits another"] = function(semaphore, use)
    local get = Promise.async(function()
      return await(semaphore:acquire())
    end)
    return Promise.spawn(function() use(await(get())) end)
  end,
  ["a promise with a timeout"] = function(semaphore, use)
    return Promise.spawn(function()
      use(await(semaphore:acquire():timeout(1)))
    end)
  end,
  ["a combinator"] = function(semaphore, use)
    return Promise.all {semaphore:acquire(), 1}:next(function(results)
      use(results[1])
    end)
  end,
  ["a generator"] = function(semaphore, use)
    return Promise.spawn(function()
      local generate = Promise.wrap(function()
        coroutine.yield(await(semaphore:acquire()))
      end)
      use(generate())
    end)
  end,
}

describe("a semaphore", function()
  it("gives as many permits as it has", function()
    local semaphore = Promise.semaphore(2)
    local p, q, r = semaphore:acquire(), semaphore:acquire(),
      semaphore:acquire()
    Promise.drain()
    assert.same({"fulfilled", "fulfilled", "pending"},
      {status(p), status(q), status(r)})
  end)

  it("fulfils with one permit", function()
    local results = table.pack(helper.outcome(Promise.semaphore(1):acquire()))
    assert.equal(2, results.n)
    assert.matches("^permit: ", tostring(results[2]))
  end)

  it("gives a permit that is released to the next who waits", function()
    local semaphore = Promise.semaphore(1)
    local release = acquire(semaphore)
    local p, q = semaphore:acquire(), semaphore:acquire()
    release()
    assert.equal("fulfilled", helper.outcome(p))
    assert.equal("pending", status(q))
    select(2, p:status())()
    assert.equal("fulfilled", helper.outcome(q))
  end)

  it("serves in the order of the calls", function()
    local semaphore, log = Promise.semaphore(2), {}
    for i = 1, 6 do
      semaphore:acquire():next(function(release)
        log[#log + 1] = i
        return Promise.resolve():next(release)
      end)
    end
    Promise.drain()
    assert.same({1, 2, 3, 4, 5, 6}, log)
  end)

  it("lets nobody pass those who wait", function()
    local semaphore = Promise.semaphore(1)
    local release = acquire(semaphore)
    local first = semaphore:acquire()
    release()
    local second = semaphore:acquire()
    Promise.drain()
    assert.equal("fulfilled", status(first))
    assert.equal("pending", status(second))
  end)

  it("takes a permit back once", function()
    local semaphore = Promise.semaphore(1)
    local release = acquire(semaphore)
    release()
    assert.is_nil(release())
    assert.equal(1, count_free(semaphore))
    local p = semaphore:acquire()
    Promise.drain()
    release()
    assert.equal("pending", helper.outcome(semaphore:acquire()))
    assert.equal("fulfilled", status(p))
  end)

  it("takes a permit back at the end of a block", function()
    local semaphore = Promise.semaphore(1)
    local p = Promise.spawn(function()
      local _ <close> = await(semaphore:acquire())
      assert.equal(0, count_free(semaphore))
      return "result"
    end)
    assert.same({"fulfilled", "result"}, {helper.outcome(p)})
    assert.equal(1, count_free(semaphore))
  end)

  it("takes a permit back when an error leaves a block", function()
    local semaphore = Promise.semaphore(1)
    local p = Promise.spawn(function()
      local _ <close> = await(semaphore:acquire())
      error("in the critical section", 0)
    end)
    p:catch(function() end)
    assert.same({"rejected", "in the critical section"}, {helper.outcome(p)})
    assert.equal(1, count_free(semaphore))
  end)

  it("takes a permit back once, called and closed", function()
    local semaphore = Promise.semaphore(1)
    local p = Promise.spawn(function()
      local permit <close> = await(semaphore:acquire())
      permit()
      permit()
    end)
    assert.equal("fulfilled", (helper.outcome(p)))
    assert.equal(1, count_free(semaphore))
  end)

  it("bounds how many run at once", function()
    local loop = virtual.new()
    Promise.setLoop(loop)
    local semaphore, running, most = Promise.semaphore(3), 0, 0
    for i = 1, 20 do
      Promise.spawn(function()
        local release = await(semaphore:acquire())
        running = running + 1
        most = math.max(most, running)
        await(Promise.delay(i * 7 % 5))
        running = running - 1
        release()
      end)
    end
    Promise.run()
    Promise.setLoop(nil)
    assert.equal(3, most)
    assert.equal(0, running)
    assert.equal(3, count_free(semaphore))
  end)

  it("may have permits without end", function()
    local semaphore = Promise.semaphore(math.huge)
    for _ = 1, 100 do acquire(semaphore) end
  end)

  it("that has permits without end gives no less when one is given back",
    function()
      local semaphore = Promise.semaphore(math.huge)
      acquire(semaphore)()
      for _ = 1, 3 do acquire(semaphore) end
    end)

  it("is awaited on the main thread", function()
    local semaphore = Promise.semaphore(1)
    await(semaphore:acquire())()
    await(semaphore:acquire())()
  end)

  it("waits for jobs that are queued meanwhile", function()
    local semaphore, log = Promise.semaphore(1), {}
    semaphore:acquire():next(function() log[#log + 1] = "acquired" end)
    helper.after_jobs(5, function() log[#log + 1] = "job" end)
    Promise.drain()
    assert.same({"job", "acquired"}, log)
  end)

  it("serves semaphores in turn", function()
    local log = {}
    for _, name in ipairs {"a", "b"} do
      local semaphore = Promise.semaphore(math.huge)
      for i = 1, 3 do
        semaphore:acquire():next(function() log[#log + 1] = name .. i end)
      end
    end
    Promise.drain()
    assert.equal("a1 b1 a2 b2 a3 b3", table.concat(log, " "))
  end)

  it("shows its kind", function()
    assert.matches("^semaphore: ", tostring(Promise.semaphore(1)))
  end)

  it("takes a long line", function()
    local n = helper.scaled(100000)
    local semaphore, served = Promise.semaphore(1), 0
    for _ = 1, n do
      semaphore:acquire():next(function(release)
        served = served + 1
        release()
      end)
    end
    Promise.drain()
    assert.equal(n, served)
  end)

  it("keeps nothing of those who were cancelled", function()
    local semaphore = Promise.semaphore(1)
    acquire(semaphore)
    local function wait_in_vain(n)
      for _ = 1, n do semaphore:acquire():cancel() end
      Promise.drain()
      helper.collect()
      return collectgarbage "count"
    end
    wait_in_vain(10)
    local before = wait_in_vain(10)
    assert.is_true(wait_in_vain(1000) < before + 8)
  end)
end)

describe("with", function()
  it("calls the function while it holds a permit", function()
    local semaphore = Promise.semaphore(1)
    local p = semaphore:with(function() return count_free(semaphore) end)
    assert.same({"fulfilled", 0}, {helper.outcome(p)})
    assert.equal(1, count_free(semaphore))
  end)

  it("passes arguments and results on", function()
    local p = Promise.semaphore(1):with(function(...) return ... end,
      1, nil, 3, nil)
    assert.same({"fulfilled", 1, nil, 3, nil, n = 5},
      table.pack(helper.outcome(p)))
  end)

  it("lets the function await", function()
    local p = Promise.semaphore(1):with(function()
      return await(Promise.resolve "x")
    end)
    assert.same({"fulfilled", "x"}, {helper.outcome(p)})
  end)

  it("takes a callable object", function()
    local object = setmetatable({}, {__call = function(_, v) return v end})
    local p = Promise.semaphore(1):with(object, "x")
    assert.same({"fulfilled", "x"}, {helper.outcome(p)})
  end)

  it("holds the permit until a promise that is returned has settled",
    function()
      local semaphore = Promise.semaphore(1)
      local inner, resolve = Promise.withResolvers()
      local p = semaphore:with(function() return inner end)
      Promise.drain()
      assert.equal(0, count_free(semaphore))
      resolve(1, nil, 3)
      assert.same({"fulfilled", 1, nil, 3, n = 4},
        table.pack(helper.outcome(p)))
      assert.equal(1, count_free(semaphore))
    end)

  it("gives the permit back when the function fails", function()
    local semaphore, err = Promise.semaphore(1), {}
    local p = semaphore:with(function() error(err) end)
    p:catch(function() end)
    assert.equal(err, select(2, helper.outcome(p)))
    assert.equal(1, count_free(semaphore))
  end)

  it("gives the permit back when a promise that is returned rejects",
    function()
      local semaphore, err = Promise.semaphore(1), {}
      local p = semaphore:with(function() return Promise.reject(err) end)
      p:catch(function() end)
      assert.equal(err, select(2, helper.outcome(p)))
      assert.equal(1, count_free(semaphore))
    end)

  it("cancelled while it waits calls nothing", function()
    local semaphore = Promise.semaphore(1)
    local release = acquire(semaphore)
    local p = semaphore:with(error)
    Promise.drain()
    assert.is_true(p:cancel "enough")
    assert.equal("enough", select(2, helper.outcome(p)).reason)
    release()
    assert.equal(1, count_free(semaphore))
  end)

  it("cancelled while the function runs waits for that", function()
    local semaphore = Promise.semaphore(1)
    local gate, open = Promise.withResolvers()
    local p = semaphore:with(function()
      pcall(await, Promise.new(function() end))
      await(gate)
    end)
    Promise.drain()
    assert.is_true(p:cancel "enough")
    Promise.drain()
    assert.equal("pending", (p:status()))
    assert.equal(0, count_free(semaphore))
    open()
    assert.equal("fulfilled", (helper.outcome(p)))
    assert.equal(1, count_free(semaphore))
  end)

  it("cancelled cancels the promise that the function returned", function()
    local semaphore = Promise.semaphore(1)
    local inner = Promise.new(function() end)
    local p = semaphore:with(function() return inner end)
    Promise.drain()
    p:cancel "enough"
    assert.equal("enough", select(2, helper.outcome(p)).reason)
    assert.is_true(Promise.isCancelled(select(2, inner:status())))
    assert.equal(1, count_free(semaphore))
  end)

  it("loses no permit in any job in which it is cancelled", function()
    for jobs = 0, 25 do
      local semaphore = Promise.semaphore(1)
      local p = semaphore:with(function() await(Promise.resolve()) end)
      p:catch(function() end)
      helper.after_jobs(jobs, function() p:cancel() end)
      Promise.drain()
      assert.equal(1, count_free(semaphore))
    end
  end)

  it("raises for what is not callable", function()
    local semaphore = Promise.semaphore(1)
    assert.equal("bad argument #1 to 'with' (callable expected, got nil)",
      helper.raised(function() semaphore:with() end))
    assert.equal("bad argument #1 to 'with' (semaphore expected, got " ..
      "table: use ':', not '.')",
      helper.raised(function() semaphore.with({}, print) end))
  end)
end)

describe("a cancelled wait for a permit", function()
  it("leaves the line", function()
    local semaphore = Promise.semaphore(1)
    local release = acquire(semaphore)
    local p, q, r = semaphore:acquire(), semaphore:acquire(),
      semaphore:acquire()
    assert.is_true(q:cancel "enough")
    assert.is_true(Promise.isCancelled(select(2, q:status())))
    release()
    assert.equal("fulfilled", helper.outcome(p))
    select(2, p:status())()
    assert.equal("fulfilled", helper.outcome(r))
  end)

  it("reports nothing", function()
    local seen = helper.unhandled(function()
      local semaphore = Promise.semaphore(1)
      acquire(semaphore)
      semaphore:acquire():cancel()
      Promise.spawn(function() await(semaphore:acquire()) end):cancel()
    end)
    assert.same({}, seen)
  end)

  it("takes no permit though one was free", function()
    local semaphore = Promise.semaphore(1)
    assert.is_true(semaphore:acquire():cancel())
    assert.equal(1, count_free(semaphore))
  end)

  it("can't be cancelled once it has the permit", function()
    local semaphore = Promise.semaphore(1)
    local p = semaphore:acquire()
    Promise.drain()
    assert.is_false(p:cancel())
    assert.equal(0, count_free(semaphore))
    select(2, p:status())()
    assert.equal(1, count_free(semaphore))
  end)

  before_each(function() Promise.setLoop(virtual.new()) end)

  after_each(function() Promise.setLoop(nil) end)

  it("serves the next when it times out", function()
    local loop = Promise.loop()
    local semaphore = Promise.semaphore(1)
    local release = acquire(semaphore)
    local p = semaphore:acquire():timeout(1)
    p:catch(function() end)
    local q = semaphore:acquire()
    loop.advance(1)
    assert.is_true(Promise.isTimeout(select(2, p:status())))
    release()
    assert.equal("fulfilled", helper.outcome(q))
  end)

  for name, consume in pairs(consumers) do
    -- Whatever job it is in which the consumer is cancelled, it has either
    -- used the permit, or that goes to the next.
    it("loses no permit in any job: " .. name, function()
      local used, passed_on = 0, 0
      for jobs = 0, 25 do
        local semaphore = Promise.semaphore(1)
        local release = acquire(semaphore)
        local took = false
        local consumer = consume(semaphore, function(give_back)
          took = true
          give_back()
        end)
        consumer:catch(function() end)
        Promise.drain()
        local next_one = semaphore:acquire()
        release()
        helper.after_jobs(jobs, function() consumer:cancel() end)
        assert.equal("fulfilled", helper.outcome(next_one))
        if took then used = used + 1 else passed_on = passed_on + 1 end
        select(2, next_one:status())()
        assert.equal(1, count_free(semaphore))
      end
      assert.is_true(passed_on > 0)
    end)

    it("loses no free permit in any job: " .. name, function()
      for jobs = 0, 25 do
        local semaphore = Promise.semaphore(1)
        local consumer = consume(semaphore, function(give_back)
          give_back()
        end)
        consumer:catch(function() end)
        helper.after_jobs(jobs, function() consumer:cancel() end)
        Promise.drain()
        assert.equal(1, count_free(semaphore))
      end
    end)

    it("lets the consumer have it if nobody cancels: " .. name, function()
      local semaphore = Promise.semaphore(1)
      local release = acquire(semaphore)
      local took
      consume(semaphore, function(give_back) took = give_back end)
      Promise.drain()
      release()
      Promise.drain()
      assert.matches("^permit: ", tostring(took))
    end)
  end

  it("passes the permit on when the holder cancels the next", function()
    local semaphore, log = Promise.semaphore(1), {}
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = Promise.spawn(function()
        local release = await(semaphore:acquire())
        log[#log + 1] = i
        release()
        if tasks[i + 1] then tasks[i + 1]:cancel() end
      end)
    end
    Promise.drain()
    assert.same({1, 3, 5}, log)
    assert.equal(1, count_free(semaphore))
  end)

  it("loses no permit that a finalizer cancels as it is made", function()
    local amid = 0
    for i = 0, 1000 do -- no two states have the same hashes
      local litter = i % 101
      if amid > 0 and i > 20 then break end
      local state <close> = alloc.open()
      local _, first, second, told = assert(state:run(([[
        local Promise = require "cpromise"
        local semaphore = Promise.semaphore(1)
        local p = semaphore:acquire()
        local told
        collectgarbage "stop"
        setmetatable({}, {__gc = function() told = p:cancel "why" end})
        require "spec.collector" (1, 100, 1)
        collectgarbage "restart"
        for _ = 1, %d do local _ = {} end
        local early = told
        Promise.drain()
        collectgarbage "stop"
        local amid = told and not early
        if p:status() == "fulfilled" then select(2, p:status())() end
        local q = semaphore:acquire()
        Promise.drain()
        return (p:status()), (q:status()), amid
      ]]):format(litter)))
      if told then amid = amid + 1 end
      assert.equal(told and "rejected" or first, first)
      assert.equal("fulfilled", second)
    end
    assert.is_true(amid > 0)
  end)

  it("loses nothing in random programs", function()
    for seed = 1, helper.scaled(2000) do
      math.randomseed(seed)
      local loop = virtual.new()
      Promise.setLoop(loop)
      local permits = math.random(3)
      local semaphore, tasks = Promise.semaphore(permits), {}
      local function work()
        local release = await(semaphore:acquire())
        local _ <close> = setmetatable({}, {__close = release})
        for _ = 1, math.random(0, 3) do await() end
        if math.random(3) == 1 then await(Promise.delay(math.random(3))) end
        local other = tasks[math.random(#tasks)]
        if math.random(3) == 1 and other then other:cancel() end
      end
      for i = 1, 12 do
        local consumer = Promise.spawn(work)
        if math.random(2) == 1 then consumer = consumer:next() end
        tasks[i] = consumer
      end
      for _ = 1, 6 do
        local task = tasks[math.random(#tasks)]
        helper.after_jobs(math.random(0, 20), function() task:cancel() end)
      end
      Promise.run()
      Promise.setLoop(nil)
      assert.equal(permits, count_free(semaphore), "seed " .. seed)
    end
  end)
end)

describe("wrong arguments of semaphores", function()
  local wrong = {
    {"number expected, got nil", nil},
    {"number expected, got string", "1"},
    {"number expected, got promise", Promise.resolve()},
    {"must be at least 1", 0},
    {"must be at least 1", -1},
    {"must be at least 1", -math.huge},
    {"not a number (NaN)", 0 / 0},
    {"number has no integer representation", 1.5},
    {"number has no integer representation", 2^63},
  }
  for _, case in ipairs(wrong) do
    it("raise: " .. case[1], function()
      assert.equal(("bad argument #1 to 'semaphore' (%s)"):format(case[1]),
        helper.raised(function() Promise.semaphore(case[2]) end))
    end)
  end

  it("raise: a float for an integer is none", function()
    assert.equal(2, count_free(Promise.semaphore(2.0)))
  end)

  it("raise for a call without self", function()
    local semaphore = Promise.semaphore(1)
    assert.equal("bad argument #1 to 'acquire' (semaphore expected, " ..
      "got no value: use ':', not '.')",
      helper.raised(function() semaphore.acquire() end))
    assert.equal("bad argument #1 to 'acquire' (semaphore expected, " ..
      "got FILE*: use ':', not '.')",
      helper.raised(function() semaphore.acquire(io.stdout) end))
  end)
end)
