--- Several Lua states in one process, and several cores in one state.

local Promise = require "cpromise"
local alloc = require "support.alloc"
local child = require "spec.child"
local helper = require "spec.helper"

--- A new state with the library loaded, as a function that runs code in it
--- and returns its results. The variables of the code are `Promise` and
--- `log`, a list that stays between runs.
local function open()
  local state = alloc.open()
  local function run(code)
    local results = table.pack(state:run([[
      local Promise = require "cpromise"
      package.loaded.log = package.loaded.log or {}
      local log = package.loaded.log
    ]] .. code))
    if not results[1] then error(results[2], 2) end
    return table.unpack(results, 2, results.n)
  end
  return run, state
end

describe("a Lua state", function()
  local queue = [[
    Promise.resolve():next(function() log[#log + 1] = #log + 1 end)
    Promise.queueMicrotask(function() log[#log + 1] = #log + 1 end)
  ]]

  it("has a queue of its own", function()
    local a, state_a = open()
    local b, state_b = open()
    a(queue)
    b(queue)
    b(queue)
    local ran = 0
    Promise.queueMicrotask(function() ran = ran + 1 end)
    assert.equal(2, a "return Promise.drain()")
    assert.same({2, 0}, {a "return #log", b "return #log"})
    assert.equal(0, ran)
    assert.equal(4, b "return Promise.drain()")
    assert.equal(2, a "return #log")
    assert.equal(1, helper.drain())
    assert.equal(1, ran)
    assert.equal(0, state_a:close())
    assert.equal(4, b "return #log")
    assert.equal(0, state_b:close())
  end)

  it("has a hook of its own for rejections", function()
    local a = open()
    local b = open()
    a [[
      Promise.onUnhandledRejection(function(r) log[1] = "a " .. r end)
      Promise.reject "lost"
    ]]
    b [[
      Promise.onUnhandledRejection(function(r) log[1] = "b " .. r end)
      Promise.reject "gone"
    ]]
    local seen = helper.unhandled(function() Promise.reject "own" end)
    assert.equal("own", seen[1].reason)
    a "Promise.drain()"
    b "Promise.drain()"
    assert.equal("a lost", a "return log[1]")
    assert.equal("b gone", b "return log[1]")
  end)

  it("has a loop of its own", function()
    local a = open()
    local b = open()
    a [[
      local none = function() end
      Promise.setLoop {wake = function() log[#log + 1] = "woken" end,
        step = none, now = none, timer = none, cancel = none, inside = none}
    ]]
    b "Promise.queueMicrotask(type, 1)"
    assert.equal(0, (a "return #log"))
    assert.is_nil((b "return Promise.loop()"))
    a "Promise.queueMicrotask(type, 1)"
    assert.equal("woken", (a "return log[1]"))
    assert.equal(1, (a "return Promise.drain()"))
    assert.equal(1, (b "return Promise.drain()"))
  end)

  it("runs its jobs amid a job of another state", function()
    local log = {}
    Promise.resolve():next(function()
      local run, state = open()
      run(queue)
      log[1] = run "return Promise.drain()"
      log[2] = state:close()
      log[3] = Promise.drain()
    end):next(function() log[4] = "next" end)
    helper.drain()
    assert.same({2, 0, 0, "next"}, log)
  end)

  it("frees all memory whatever is in flight, in any order", function()
    local text, status = child.run [=[
      local alloc = require "support.alloc"
      for _, order in ipairs {{1, 2, 3}, {3, 2, 1}, {2, 3, 1}} do
        local states = {}
        for i = 1, 3 do
          states[i] = alloc.open()
          assert(states[i]:run [[
            Promise = require "cpromise"
            p, resolve = Promise.withResolvers()
            local function pass(...) return ... end
            p:next(pass):finally(function() return p end)
            p:finally(pass)
            all = Promise.all {p, 1, Promise.resolve(2)}
            Promise.race {p, all}
            Promise.reject "never reported"
            function count() return Promise.drain() end
            last = setmetatable({}, {__gc = function()
              Promise.resolve(p):next(pass)
              resolve(all)
            end})
          ]])
        end
        assert(select(2, states[2]:run "return count()") > 0)
        for i, which in ipairs(order) do
          io.write(states[which]:close(), "\n")
          for j = i + 1, 3 do
            assert(states[order[j]]:run "count(); resolve(1)")
          end
        end
      end
    ]=]
    local held, reported = 0, 0
    for line in text:gmatch "[^\n]+" do
      if line == "0" then
        held = held + 1
      else
        assert.matches("^cpromise: ", line)
        reported = reported + (line:find "never ran" and 1 or 0)
      end
    end
    assert.equal(0, status)
    assert.equal(9, held)
    assert.equal(9, reported)
  end)
end)

describe("a Lua state that is closed while much is cancelled", function()
  local code = [[
    local await = Promise.await
    local p = Promise.withResolvers()
    for _ = 1, 10 do p:next(print) end
    for i = 1, 12 do
      local all = {
        p:finally(print), Promise.spawn(await, p), Promise.select {p, p},
        Promise.spawn(function() pcall(await, p) await(p) end),
        Promise.shield(p):next(print),
        Promise.new(function(resolve) resolve(p) end),
      }
      for j = 1, #all, i % 3 + 1 do all[j]:cancel(i) end
      if i % 4 == 0 then Promise.drain(i) end
    end
  ]]

  it("holds nothing", function()
    local text, status = child.run([=[
      local alloc = require "support.alloc"
      for _, last in ipairs {"", "Promise.drain()", "p:cancel()",
        "Promise.new(function(_, _, c) c(error) end):next(print):cancel()",
      } do
        local state = alloc.open()
        assert(state:run("local Promise = require 'cpromise';" .. [[]=]
        .. code .. [=[]] .. last))
        io.write(state:close(), "\n")
      end
    ]=])
    assert.equal(0, status)
    local held = 0
    for line in text:gmatch "[^\n]+" do
      if line == "0" then held = held + 1 end
    end
    assert.equal(4, held)
  end)
end)

-- As two copies of the library that don't know of each other would be.
describe("a second core in the same Lua state", function()
  local core, other

  before_each(function()
    core = require "cpromise.core"
    other = helper.second_core()
  end)

  --- Run the jobs of both until none is left.
  local function drain()
    repeat until Promise.drain() + other.drain() == 0
  end

  it("does not take the promises of the first for its own", function()
    local p, q = Promise.resolve(1), other.resolve(2)
    assert.is_true(Promise.is(p) and other.is(q))
    assert.is_false(Promise.is(q) or other.is(p))
    assert.has_error(function() p.next(q) end)
    assert.has_error(function() other.methods.status(p) end)
    assert.not_equal(q, Promise.resolve(q))
    drain()
  end)

  it("has a queue of its own", function()
    local log = {}
    Promise.resolve():next(function() log[#log + 1] = "first" end)
    other.resolve():next(function() log[#log + 1] = "second" end)
    assert.equal(1, other.drain())
    assert.same({"second"}, log)
    assert.equal(1, Promise.drain())
    assert.same({"second", "first"}, log)
  end)

  it("drains within a job of the first", function()
    local log = {}
    other.resolve():next(function() log[#log + 1] = "second" end)
    Promise.resolve():next(function()
      local n = other.drain()
      log[#log + 1] = n
    end):next(function() log[#log + 1] = "first" end)
    Promise.drain()
    assert.same({"second", 1, "first"}, log)
  end)

  for _, second in ipairs {true, false} do
    local name = second and "its promises" or "promises of the first"

    -- Promises of `mine` follow promises of `foreign`.
    local mine, foreign
    local function choose()
      mine, foreign = core, other
      if second then mine, foreign = other, core end
    end

    it("lets " .. name .. " adopt a fulfilment, all values of it", function()
      choose()
      local q, resolve = foreign.withResolvers()
      local p = mine.resolve(q)
      drain()
      assert.equal("pending", p:status())
      resolve(1, nil, 3)
      drain()
      assert.same({"fulfilled", 1, nil, 3}, {p:status()})
    end)

    it("lets " .. name .. " adopt a rejection, which is handled", function()
      choose()
      local reports = 0
      local previous = foreign.onUnhandledRejection(function()
        reports = reports + 1
      end)
      local reason = {}
      local q, _, reject = foreign.withResolvers()
      local p = mine.resolve():next(function() return q end)
      p:catch(function() end)
      drain()
      reject(reason)
      drain()
      foreign.onUnhandledRejection(previous)
      local state, got = p:status()
      assert.equal("rejected", state)
      assert.equal(reason, got)
      assert.equal(0, reports)
    end)

    it("lets aggregates of " .. name .. " have all as elements", function()
      choose()
      local all = mine.all {foreign.resolve(1), mine.resolve(2), 3}
      local finally = mine.resolve(4):finally(function()
        return foreign.resolve(5)
      end)
      drain()
      local _, results = all:status()
      assert.same({1, 2, 3, n = 3}, results)
      assert.same({"fulfilled", 4}, {finally:status()})
    end)
  end

  it("is not asked to end what promises of the first follow", function()
    local told
    local q = other.new(function(_, _, on_cancel)
      on_cancel(function() told = true end)
    end)
    local p = Promise.resolve(q)
    local early = Promise.resolve(q)
    assert.is_true(early:cancel())
    assert.equal("rejected", early:status())
    drain()
    assert.is_true(p:next(print):cancel "why")
    assert.equal("rejected", p:status())
    drain()
    assert.is_nil(told)
    assert.equal("pending", q:status())
    assert.is_true(Promise.isCancelled(select(2, p:status())))
    assert.is_false(other.isCancelled(select(2, p:status())))
    assert.has_error(function() Promise.resolve().cancel(q) end)
  end)

  it("has cancellations that are failures to the first", function()
    local q = other.withResolvers()
    local p = Promise.resolve(q)
    p:catch(print)
    local call = Promise.spawn(function()
      return select(2, pcall(Promise.await, p))
    end)
    drain()
    q:cancel "why"
    local list = helper.unhandled(function()
      local w = p:next(print)
      drain()
      assert.equal("why", select(2, w:status()).reason)
    end)
    assert.equal(1, #list)
    assert.equal(list[1].reason, select(2, call:status()))
  end)

  it("knows its own running call", function()
    local mine, theirs
    local call = Promise.spawn(function()
      pcall(Promise.await, Promise.withResolvers())
      mine, theirs = Promise.cancelled(), other.cancelled()
      return other.spawn(function()
        return Promise.cancelled() == mine, other.cancelled()
      end)
    end)
    call:cancel "why"
    drain()
    assert.equal("why", mine.reason)
    assert.is_nil(theirs)
  end)

  it("stays pending with the first when they follow each other", function()
    local p, resolve_p = Promise.withResolvers()
    local q, resolve_q = other.withResolvers()
    resolve_p(q)
    resolve_q(p)
    drain()
    assert.equal("pending", p:status())
    assert.equal("pending", q:status())
  end)

  it("is collected when nothing uses it", function()
    local weak = setmetatable({other}, {__mode = "v"})
    local p = other.resolve(1)
    p:next(function() return p end)
    other, p = nil, nil -- luacheck: ignore
    helper.collect()
    assert.is_nil(weak[1])
  end)
end)
