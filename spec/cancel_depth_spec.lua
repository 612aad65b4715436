--- Cancelling goes up as far as there is anything, and down what awaits: that
--- takes neither recursion nor memory.

local Promise = require "cpromise"
local helper = require "spec.helper"

local await, drain = Promise.await, helper.drain

local function never() error "must not run" end

local function is_cancelled(p)
  local state, reason = p:status()
  return state == "rejected" and Promise.isCancelled(reason)
end

describe("a great depth of what is cancelled", function()
  local million = helper.scaled(1000000)
  local many = helper.scaled(100000)
  after_each(helper.collect)

  it("is fine for a chain", function()
    local head, _, _, onCancel = Promise.withResolvers()
    local ran = 0
    onCancel(function() ran = ran + 1 end)
    local p = head
    for _ = 1, million do p = p:next(never) end
    assert.is_true(p:cancel())
    assert.equal(1, ran)
    assert.is_true(is_cancelled(head))
    assert.equal("pending", p:status())
    drain()
    assert.is_true(is_cancelled(p))
  end)

  it("is fine for a chain whose call fails in cleaning up", function()
    local p = Promise.spawn(function()
      pcall(await, Promise.withResolvers())
      error("cleanup", 0)
    end)
    for _ = 1, million do p = p:next(never) end
    p:cancel()
    p:catch(function() end)
    assert.same({"rejected", "cleanup"}, {helper.outcome(p)})
  end)

  it("is fine for a chain of finally", function()
    local p = Promise.withResolvers()
    local n = 0
    local function count() n = n + 1 end
    for _ = 1, many do p = p:finally(count) end
    assert.is_true(p:cancel())
    drain()
    assert.equal(many, n)
    assert.is_true(is_cancelled(p))
  end)

  it("is fine for a chain that is cancelled from each end", function()
    local head = Promise.withResolvers()
    local list = {head}
    for i = 1, 1000 do list[i + 1] = list[i]:next(never) end
    for i = 2, #list do list[i]:cancel() end -- each goes all the way up
    drain()
    assert.is_true(is_cancelled(list[#list]))
    head = Promise.withResolvers()
    list = {head}
    for i = 1, many do list[i + 1] = list[i]:next(never) end
    assert.is_true(list[#list]:cancel())
    assert.is_false(list[#list]:cancel())
    assert.is_true(is_cancelled(head))
    drain()
  end)

  it("is fine for calls that await each other", function()
    local p = Promise.withResolvers()
    local head = p
    for _ = 1, many do
      local q = p
      p = Promise.spawn(function() await(q) end)
    end
    p:cancel()
    assert.is_true(is_cancelled(head))
    drain()
    assert.is_true(is_cancelled(p))
  end)

  it("is fine for promises that follow each other", function()
    for _, started in ipairs {true, false} do
      local p = Promise.withResolvers()
      local head = p
      for _ = 1, many do
        local q = p
        p = Promise.new(function(resolve) resolve(q) end)
      end
      if started then drain() end
      p:cancel()
      assert.is_true(is_cancelled(head))
      drain()
    end
  end)

  it("is fine for nested aggregates", function()
    local p = Promise.withResolvers()
    local head = p
    for i = 1, many do
      p = i % 2 == 0 and Promise.all {p} or Promise.race {p, p}
    end
    p:cancel()
    assert.is_true(is_cancelled(head))
    drain()
  end)

  it("is fine for as many elements", function()
    local list = {}
    local one = Promise.withResolvers()
    for i = 1, many do
      list[2 * i - 1] = one
      list[2 * i] = Promise.withResolvers()
    end
    Promise.all(list):cancel()
    for _, p in ipairs(list) do
      if not is_cancelled(p) then assert.is_true(is_cancelled(p)) end
    end
    drain()
  end)

  it("is fine for as many hooks, each on its own promise", function()
    local list, n = {}, 0
    local function count() n = n + 1 end
    for i = 1, many do
      local onCancel, _
      list[i], _, _, onCancel = Promise.withResolvers()
      onCancel(count)
    end
    Promise.allSettled(list):cancel()
    assert.equal(many, n)
    drain()
  end)

  it("is fine for siblings that leave in order", function()
    local p = Promise.withResolvers()
    local list = {}
    for i = 1, many do list[i] = p:next(never) end
    for i = 1, many do list[i]:cancel() end
    assert.is_true(is_cancelled(p))
    drain()
    p = Promise.withResolvers()
    for i = 1, many do list[i] = p:next(never) end
    for i = many, 1, -1 do list[i]:cancel() end
    assert.is_true(is_cancelled(p))
    drain()
  end)

  it("keeps nothing of what was cancelled", function()
    local p = Promise.withResolvers()
    p:next()
    local function round()
      for _ = 1, 1000 do
        p:next(never):cancel()
        Promise.race({p}):cancel()
        Promise.spawn(await, p):cancel()
        Promise.new(function(resolve) resolve(p) end):cancel()
      end
      drain()
      helper.collect()
    end
    round()
    local before = collectgarbage "count"
    round()
    assert.is_true(collectgarbage "count" - before < 20)
    assert.equal("pending", p:status())
  end)
end)
