--- Channels: values from those who send to those who receive.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await = Promise.await

local function status(promise)
  return (promise:status())
end

-- What a promise came to: its status and values, with their number.
local function outcome(promise)
  return table.pack(helper.outcome(promise))
end

-- All values that the channel has for whoever asks, as a text.
local function receive_all(channel)
  local values = {}
  while true do
    local promise = channel:receive()
    local state, value = helper.outcome(promise)
    if state == "pending" or value == nil then
      promise:cancel()
      return table.concat(values, " ")
    end
    values[#values + 1] = value
  end
end

describe("a channel", function()
  it("passes on what was sent", function()
    local channel = Promise.channel(1)
    channel:send "a"
    assert.same({"fulfilled", "a", n = 2}, outcome(channel:receive()))
  end)

  it("passes on several values, and nil after the first", function()
    local channel = Promise.channel(1)
    channel:send(false, nil, 3, nil)
    assert.same({"fulfilled", false, nil, 3, nil, n = 5},
      outcome(channel:receive()))
  end)

  it("keeps the order of what was sent", function()
    local channel = Promise.channel(2)
    for i = 1, 6 do channel:send(i) end
    assert.equal("1 2 3 4 5 6", receive_all(channel))
  end)

  it("serves receivers in the order of the calls", function()
    local channel, log = Promise.channel(), {}
    for i = 1, 4 do
      channel:receive():next(function(v) log[#log + 1] = i .. v end)
    end
    for v in ("abcd"):gmatch "." do channel:send(v) end
    Promise.drain()
    assert.same({"1a", "2b", "3c", "4d"}, log)
  end)

  it("accepts as many values as it can hold", function()
    local channel = Promise.channel(2)
    local p, q, r = channel:send "p", channel:send "q", channel:send "r"
    Promise.drain()
    assert.same({"fulfilled", "fulfilled", "pending"},
      {status(p), status(q), status(r)})
    channel:receive()
    assert.equal("fulfilled", helper.outcome(r))
  end)

  it("fulfils what sends with no value", function()
    local channel = Promise.channel(1)
    assert.same({"fulfilled", n = 1}, outcome(channel:send "a"))
    local p = channel:send "b"
    channel:receive()
    assert.same({"fulfilled", n = 1}, outcome(p))
  end)

  it("holds nothing by default: who sends waits for who receives", function()
    local channel = Promise.channel()
    local p = channel:send "p"
    assert.equal("pending", helper.outcome(p))
    local q = channel:receive()
    assert.equal("fulfilled", helper.outcome(p))
    assert.same({"fulfilled", "p", n = 2}, outcome(q))
  end)

  it("accepts what a receiver waits for", function()
    local channel = Promise.channel(0)
    local q = channel:receive()
    assert.equal("fulfilled", status(channel:send "a"))
    assert.equal("pending", status(channel:send "b"))
    assert.same({"fulfilled", "a", n = 2}, outcome(q))
  end)

  it("may have room without end", function()
    local channel = Promise.channel(math.huge)
    for i = 1, 100 do
      assert.equal("fulfilled", status(channel:send(i)))
    end
  end)

  it("lets a receiver follow a promise that was sent", function()
    local channel = Promise.channel(2)
    channel:send(Promise.resolve("a", "b"))
    local rejected = Promise.reject "boom"
    rejected:catch(function() end)
    channel:send(rejected)
    assert.same({"fulfilled", "a", "b", n = 3}, outcome(channel:receive()))
    local p = channel:receive()
    p:catch(function() end)
    assert.same({"rejected", "boom", n = 2}, outcome(p))
    assert.equal("rejected", status(rejected))
  end)

  it("is read by a for loop until it is closed", function()
    local channel, log = Promise.channel(), {}
    Promise.run(function()
      Promise.spawn(function()
        for i = 1, 3 do await(channel:send(i, i * i)) end
        channel:close()
      end)
      for a, b in channel do log[#log + 1] = a .. ":" .. b end
    end)
    assert.same({"1:1", "2:4", "3:9"}, log)
  end)

  it("is read by a for loop on the main thread", function()
    local channel, log = Promise.channel(3), {}
    for i = 1, 3 do channel:send(i) end
    channel:close()
    for v in channel do log[#log + 1] = v end
    assert.same({1, 2, 3}, log)
  end)

  it("shares its values among several loops", function()
    local channel, log = Promise.channel(), {}
    Promise.run(function()
      for name in ("ab"):gmatch "." do
        Promise.spawn(function()
          for v in channel do
            log[#log + 1] = name .. v
            await(nil)
          end
        end)
      end
      for i = 1, 5 do await(channel:send(i)) end
      channel:close()
    end)
    Promise.drain()
    assert.equal(5, #log)
    for i, entry in ipairs(log) do assert.equal(tostring(i), entry:sub(2)) end
  end)

  it("names the line of a loop that can't wait", function()
    local channel = Promise.channel()
    local message
    Promise.queueMicrotask(function()
      message = helper.raised(function()
        for v in channel do print(v) end
      end)
    end)
    Promise.drain()
    assert.matches("^can't await in a handler", message)
  end)

  it("keeps its values from a loop that can't wait in an async function",
    function()
      local channel = Promise.channel(1)
      channel:send "a"
      local ok, err
      local p = Promise.spawn(function()
        table.sort({1, 2}, function()
          ok, err = pcall(channel)
          return false
        end)
      end)
      assert.equal("fulfilled", (helper.outcome(p)))
      assert.is_false(ok)
      assert.matches("can't await across a C function", err, 1, true)
      assert.equal("a", receive_all(channel))
    end)

  it("shows its kind", function()
    assert.matches("^channel: ", tostring(Promise.channel()))
  end)

  it("takes a long line of either", function()
    local n = helper.scaled(100000)
    local channel, sum = Promise.channel(), 0
    for i = 1, n do channel:send(i) end
    for _ = 1, n do
      channel:receive():next(function(v) sum = sum + v end)
    end
    Promise.drain()
    assert.equal(n * (n + 1) // 2, sum)
  end)
end)

describe("closing a channel", function()
  it("gives receivers no value", function()
    local channel = Promise.channel(1)
    local p = channel:receive()
    channel:close()
    assert.same({"fulfilled", n = 1}, outcome(p))
    assert.same({"fulfilled", n = 1}, outcome(channel:receive()))
  end)

  it("keeps what was sent before", function()
    local channel = Promise.channel(1)
    channel:send "held"
    local waiting = channel:send "waiting"
    channel:close()
    assert.equal("held waiting", receive_all(channel))
    assert.equal("fulfilled", status(waiting))
    assert.same({"fulfilled", n = 1}, outcome(channel:receive()))
  end)

  it("rejects what is sent later", function()
    local channel = Promise.channel(1)
    channel:close()
    local p = channel:send "late"
    p:catch(function() end)
    assert.same({"rejected", "can't send: channel is closed", n = 2},
      outcome(p))
    assert.same({"fulfilled", n = 1}, outcome(channel:receive()))
  end)

  it("may be repeated", function()
    local channel = Promise.channel(1)
    channel:send "a"
    assert.is_nil(channel:close())
    assert.is_nil(channel:close())
    assert.equal("a", receive_all(channel))
  end)

  it("gives values before the end, whoever is cancelled", function()
    local channel = Promise.channel(1)
    local p, q = channel:receive(), channel:receive()
    channel:send "a"
    channel:close()
    p:cancel()
    assert.same({"fulfilled", "a", n = 2}, outcome(q))
  end)
end)

describe("a channel that is closed with a reason", function()
  local reason = {"broken pipe"}

  it("rejects those who wait to receive", function()
    local channel = Promise.channel()
    local p, q = channel:receive(), channel:receive()
    p:catch(function() end)
    q:catch(function() end)
    channel:close(reason)
    assert.equal(reason, select(2, helper.outcome(p)))
    assert.equal(reason, select(2, helper.outcome(q)))
  end)

  it("gives what is buffered first", function()
    local channel = Promise.channel(2)
    channel:send "a"
    channel:send("b", nil)
    channel:close(reason)
    assert.same({"fulfilled", "a"}, {helper.outcome(channel:receive())})
    assert.same({"fulfilled", "b", nil, n = 3},
      table.pack(helper.outcome(channel:receive())))
    for _ = 1, 2 do
      local p = channel:receive()
      p:catch(function() end)
      assert.equal(reason, select(2, helper.outcome(p)))
    end
  end)

  it("accepts what senders who wait have sent", function()
    local channel = Promise.channel()
    local sent = channel:send "a"
    channel:close(reason)
    assert.same({"fulfilled", "a"}, {helper.outcome(channel:receive())})
    assert.equal("fulfilled", (helper.outcome(sent)))
    local p = channel:receive()
    p:catch(function() end)
    assert.equal(reason, select(2, helper.outcome(p)))
  end)

  it("rejects senders after that", function()
    local channel = Promise.channel(1)
    channel:close(reason)
    local p = channel:send "a"
    p:catch(function() end)
    assert.equal(reason, select(2, helper.outcome(p)))
  end)

  it("raises in a loop, after all values", function()
    local channel, got = Promise.channel(3), {}
    for i = 1, 3 do channel:send(i) end
    channel:close(reason)
    local p = Promise.spawn(function()
      for v in channel do got[#got + 1] = v end
    end)
    p:catch(function() end)
    assert.equal(reason, select(2, helper.outcome(p)))
    assert.same({1, 2, 3}, got)
  end)

  it("keeps the first reason", function()
    local channel = Promise.channel()
    channel:close(reason)
    channel:close "other"
    channel:close()
    local p = channel:receive()
    p:catch(function() end)
    assert.equal(reason, select(2, helper.outcome(p)))
  end)

  it("gets none after it was closed without", function()
    local channel = Promise.channel()
    channel:close()
    channel:close(reason)
    assert.same({"fulfilled", n = 1},
      table.pack(helper.outcome(channel:receive())))
  end)

  it("takes false for a reason", function()
    local channel = Promise.channel()
    channel:close(false)
    local p = channel:receive()
    p:catch(function() end)
    assert.same({"rejected", false}, {helper.outcome(p)})
  end)

  it("reports a receive that nobody handles", function()
    local seen = helper.unhandled(function()
      local channel = Promise.channel()
      channel:receive()
      channel:close(reason)
    end)
    assert.equal(1, #seen)
    assert.equal(reason, seen[1].reason)
  end)
end)

describe("a cancelled send", function()
  it("sends nothing", function()
    local channel = Promise.channel(1)
    channel:send "a"
    local p = channel:send "b"
    channel:send "c"
    assert.is_true(p:cancel())
    assert.equal("a c", receive_all(channel))
  end)

  it("is too late when the value was accepted", function()
    local channel = Promise.channel()
    local p = channel:send "a"
    local q = channel:receive()
    assert.is_false(p:cancel())
    assert.same({"fulfilled", "a", n = 2}, outcome(q))
  end)

  it("makes no room that is not there", function()
    local channel = Promise.channel(1)
    channel:send "a"
    channel:send("b"):cancel()
    assert.equal("pending", helper.outcome(channel:send "c"))
    assert.equal("a c", receive_all(channel))
  end)
end)

describe("a cancelled receive", function()
  it("leaves the line", function()
    local channel = Promise.channel()
    local p, q = channel:receive(), channel:receive()
    assert.is_true(p:cancel())
    channel:send "a"
    assert.same({"fulfilled", "a", n = 2}, outcome(q))
  end)

  it("keeps the value for later when nobody else waits", function()
    local channel = Promise.channel()
    local task = Promise.spawn(function() await(channel:receive()) end)
    Promise.drain()
    local sent = channel:send "a"
    task:cancel()
    assert.equal("fulfilled", status(sent))
    assert.equal("a", receive_all(channel))
  end)

  it("keeps the place of the value", function()
    local channel = Promise.channel(3)
    local task = Promise.spawn(function() await(channel:receive()) end)
    for v in ("abc"):gmatch "." do channel:send(v) end
    task:cancel()
    assert.equal("a b c", receive_all(channel))
  end)

  it("leaves values to which nobody adds till they are taken", function()
    local channel = Promise.channel(0)
    local receivers = {channel:receive(), channel:receive()}
    channel:send "a"
    channel:send "b"
    for _, receiver in ipairs(receivers) do receiver:cancel() end
    local sent = channel:send "c"
    local a, b = channel:receive(), channel:receive()
    assert.equal("pending", status(sent))
    Promise.drain()
    assert.same({"a", "b"}, {select(2, a:status()), select(2, b:status())})
    assert.equal("c", receive_all(channel))
    assert.equal("fulfilled", status(sent))
  end)

  it("leaves no more room than before", function()
    local channel = Promise.channel(1)
    channel:send "a"
    channel:receive():cancel()
    assert.equal("pending", status(channel:send "b"))
    local waits = Promise.channel()
    local p = waits:send "a" -- accepted for a receiver that gives up
    waits:receive():cancel()
    assert.equal("fulfilled", status(p))
    local q = waits:send "b"
    waits:receive():cancel()
    assert.equal("pending", status(q))
    assert.equal("pending", status(waits:send "c"))
    assert.equal("a b c", receive_all(waits))
  end)

  local consumers = {
    ["an async function"] = function(channel, use)
      return Promise.spawn(function() use(await(channel:receive())) end)
    end,
    ["a loop"] = function(channel, use)
      return Promise.spawn(function()
        for v in channel do
          use(v)
          if v then return end
        end
      end)
    end,
    ["a handler"] = function(channel, use)
      return channel:receive():next(use)
    end,
    ["a chain"] = function(channel, use)
      return channel:receive():next():finally(print and nil):next(use)
    end,
    ["a promise with a timeout"] = function(channel, use)
      return Promise.spawn(function()
        use(await(channel:receive():timeout(1)))
      end)
    end,
    ["an async function that awaits another"] = function(channel, use)
      local get = Promise.async(function()
        return await(channel:receive())
      end)
      return Promise.spawn(function() use(await(get())) end)
    end,
  }
  before_each(function() Promise.setLoop(virtual.new()) end)

  after_each(function() Promise.setLoop(nil) end)

  for name, consume in pairs(consumers) do
    it("loses no value in any job: " .. name, function()
      local kept = 0
      for jobs = 0, 20 do
        local channel = Promise.channel()
        local got = {}
        local consumer = consume(channel, function(v) got[#got + 1] = v end)
        consumer:catch(function() end)
        Promise.drain()
        Promise.spawn(function()
          await(channel:send "a")
          consumer:cancel()
          channel:send "b"
        end)
        channel:send "c"
        helper.after_jobs(jobs, function() consumer:cancel() end)
        Promise.drain()
        if not got[1] then kept = kept + 1 end
        got[#got + 1] = receive_all(channel)
        assert.equal("a c b", table.concat(got, " "))
      end
      assert.is_true(kept > 0)
    end)
  end

  it("loses nothing in random programs", function()
    for seed = 1, helper.scaled(2000) do
      math.randomseed(seed)
      local loop = virtual.new()
      Promise.setLoop(loop)
      local channel = Promise.channel(math.random(0, 3))
      local tasks, seen, accepted, refused = {}, {}, {}, {}
      local function pause()
        for _ = 1, math.random(0, 3) do await() end
        if math.random(3) == 1 then await(Promise.delay(math.random(3))) end
      end
      local function add(fn)
        local task = Promise.spawn(fn)
        if math.random(2) == 1 then task = task:next() end
        tasks[#tasks + 1] = task
      end
      local serial = 0
      local function send()
        for _ = 1, 3 do
          serial = serial + 1
          local v = serial
          local sent = channel:send(v)
          local ok = pcall(await, sent)
          if sent:status() == "fulfilled" then
            accepted[v] = true
          else
            refused[v] = true
          end
          if not ok then return end
          pause()
        end
      end
      local function receive()
        for v in channel do
          seen[v] = (seen[v] or 0) + 1
          pause()
          if math.random(4) == 1 then tasks[math.random(#tasks)]:cancel() end
        end
      end
      for i = 1, 8 do add(i % 2 == 0 and send or receive) end
      for _ = 1, 5 do
        local task = tasks[math.random(#tasks)]
        helper.after_jobs(math.random(0, 20), function() task:cancel() end)
      end
      Promise.run()
      for digits in receive_all(channel):gmatch "%d+" do
        local v = math.tointeger(digits)
        seen[v] = (seen[v] or 0) + 1
      end
      Promise.setLoop(nil)
      for v in pairs(accepted) do
        assert.equal(1, seen[v], "seed " .. seed)
      end
      for v in pairs(refused) do assert.is_nil(seen[v]) end
    end
  end)
end)

describe("wrong arguments of channels", function()
  local wrong = {
    {"number expected, got string", "1"},
    {"number expected, got boolean", false},
    {"must not be negative", -1},
    {"not a number (NaN)", 0 / 0},
    {"number has no integer representation", 0.5},
  }
  for _, case in ipairs(wrong) do
    it("raise: " .. case[1], function()
      assert.equal(("bad argument #1 to 'channel' (%s)"):format(case[1]),
        helper.raised(function() Promise.channel(case[2]) end))
    end)
  end

  it("raise for nil, which is the end", function()
    local channel = Promise.channel(1)
    local expected = "bad argument #1 to 'send' (nil is the end of a " ..
      "channel, send something else)"
    assert.equal(expected, helper.raised(function() channel:send() end))
    assert.equal(expected, helper.raised(function() channel:send(nil, 1) end))
    assert.equal("", receive_all(channel))
  end)

  for _, name in ipairs {"send", "receive", "close"} do
    it("raise for a call without self: " .. name, function()
      local channel = Promise.channel()
      assert.equal(("bad argument #1 to '%s' (channel expected, " ..
        "got table: use ':', not '.')"):format(name),
        helper.raised(function() channel[name]({}) end))
    end)
  end
end)

describe("a channel that is closed with a reason", function()
  it("gives that as an error after what was sent before", function()
    local channel = Promise.channel(2)
    channel:send(1)
    channel:send(2)
    channel:close "broken"
    assert.same({"fulfilled", 1}, {helper.outcome(channel:receive())})
    assert.same({"fulfilled", 2}, {helper.outcome(channel:receive())})
    for _ = 1, 2 do
      assert.same({"rejected", "broken"},
        {helper.outcome(channel:receive())})
    end
  end)

  it("gives it to those who wait, and those who send", function()
    local channel = Promise.channel()
    local p, q = channel:receive(), channel:receive()
    channel:close "broken"
    assert.same({"rejected", "broken"}, {helper.outcome(p)})
    assert.same({"rejected", "broken"}, {helper.outcome(q)})
    assert.same({"rejected", "broken"}, {helper.outcome(channel:send(1))})
  end)

  it("raises it in a loop", function()
    local channel = Promise.channel(1)
    local seen = {}
    channel:send "last"
    channel:close {code = 7}
    local p = Promise.spawn(function()
      for v in channel do seen[#seen + 1] = v end
    end)
    local state, reason = helper.outcome(p)
    assert.same({"rejected", 7}, {state, reason.code})
    assert.same({"last"}, seen)
  end)

  it("keeps the first", function()
    local channel = Promise.channel()
    channel:close()
    channel:close "too late"
    assert.same({"fulfilled"}, {helper.outcome(channel:receive())})
  end)

  it("lets senders that wait be received", function()
    local channel = Promise.channel()
    local sent = channel:send "kept"
    channel:close "broken"
    assert.same({"fulfilled", "kept"}, {helper.outcome(channel:receive())})
    assert.same({"fulfilled"}, {helper.outcome(sent)})
  end)
end)
