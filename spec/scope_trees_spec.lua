--- No child is ever left behind: random trees of scopes, delays, errors and
--- cancellations, on the virtual clock.

local Promise = require "cpromise"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

local await, delay = Promise.await, Promise.delay
local random = math.random

local function chance(percent)
  return random(100) <= percent
end

-- What is known of a run: all scopes, how many tasks began, how many ended.
local scopes, began, ended, errors

-- An error that can be told from all others.
local function fail()
  errors = errors + 1
  error({id = errors}, 0)
end

local ways = {
  -- how a leaf ends that is cancelled
  function(reason) error(reason, 0) end,
  function() return "swallowed" end,
  function() await(delay(random(3))) end,
  function(reason)
    await(delay(random(3)))
    error(reason, 0)
  end,
  fail,
}

local function leaf()
  local ok, reason = pcall(await, delay(random(0, 6)))
  if not ok then return ways[random(#ways)](reason) end
  if chance(25) then fail() end
end

local grow -- a task: a leaf or a scope

-- What happens in the body of a scope.
local function act(scope, record, depth)
  for _ = 1, random(0, 4) do
    if chance(40) then await(delay(random(0, 3))) end
    local child = scope:spawn(grow, depth - 1)
    table.insert(record.children, child)
    local other = record.children[random(#record.children)]
    if chance(8) then
      other:cancel "by hand"
    elseif chance(8) then
      await(other)
    elseif chance(4) then
      scope:cancel "the scope"
    elseif chance(8) then
      other:timeout(random(0, 3)):catch(function() end)
    end
  end
  if chance(10) then
    errors = errors + 1
    record.own = {id = errors}
    error(record.own, 0)
  end
end

local forms = {}

function forms.called(depth)
  local record = {children = {}}
  scopes[#scopes + 1] = record
  record.promise = Promise.scope(function(scope)
    act(scope, record, depth)
  end)
  return await(record.promise)
end

function forms.followed(depth)
  local record = {children = {}}
  scopes[#scopes + 1] = record
  record.promise = Promise.scope(function(scope)
    act(scope, record, depth)
  end)
  return record.promise
end

function forms.block(depth)
  local record = {children = {}}
  scopes[#scopes + 1] = record
  local ok, reason = pcall(function()
    local scope <close> = Promise.scope()
    act(scope, record, depth)
  end)
  record.left, record.ok, record.reason = true, ok, reason
  if not ok then error(reason, 0) end
end

function grow(depth)
  began = began + 1
  local _ <close> = setmetatable({}, {__close = function()
    ended = ended + 1
  end})
  local n = depth > 0 and random(4) or 4
  if n == 4 then return leaf() end
  return (({forms.called, forms.followed, forms.block})[n](depth))
end

-- Whether the scope has ended, and how: status and reason.
local function outcome(record)
  if record.promise then return record.promise:status() end
  if record.left then
    return record.ok and "fulfilled" or "rejected", record.reason
  end
  return "pending"
end

-- A scope that has ended has no child that runs.
local function check_children()
  for _, record in ipairs(scopes) do
    if outcome(record) ~= "pending" then
      for _, child in ipairs(record.children) do
        assert(child:status() ~= "pending", "a child was left behind")
      end
    end
  end
end

local function settle_jobs()
  while Promise.drain(1) > 0 do check_children() end
end

-- Whether the reason is `part`, or an aggregate error with it.
local function tells(reason, part)
  if rawequal(reason, part) then return true end
  for _, err in ipairs(Promise.isAggregate(reason) and reason.errors or {}) do
    if tells(err, part) then return true end
  end
  return false
end

-- What has failed in a scope is in its reason, and nothing else is.
local function check_reason(record)
  local state, reason = outcome(record)
  assert(state ~= "pending", "a scope never ended")
  local failures = {record.own}
  for _, child in ipairs(record.children) do
    local of_child, why = child:status()
    if of_child == "rejected" and not Promise.isCancelled(why) then
      failures[#failures + 1] = why
    end
  end
  for _, why in ipairs(failures) do
    assert(state == "rejected" and tells(reason, why), "a failure was lost")
  end
  if #failures == 0 then
    assert(state == "fulfilled" or Promise.isCancelled(reason))
  elseif #failures == 1 then
    assert(rawequal(reason, failures[1]), "the failure was altered")
  end
end

local function run_tree(seed, loop)
  math.randomseed(seed)
  scopes, began, ended, errors = {}, 0, 0, 0
  local root = Promise.spawn(grow, 4)
  root:catch(function() end)
  if chance(50) then
    delay(random(0, 8)):next(function() root:cancel "from outside" end)
  end
  local steps = 0
  settle_jobs()
  while loop.step() do
    settle_jobs()
    steps = steps + 1
    assert(steps < 10000, "it never ends")
  end
  settle_jobs()
  assert(root:status() ~= "pending", "the root never ended")
  assert(began == ended, "a task never ended")
  for _, record in ipairs(scopes) do check_reason(record) end
  return #scopes, began
end

describe("a random tree of scopes", function()
  local loop, previous

  before_each(function()
    loop = virtual.new()
    Promise.setLoop(loop)
    -- a failure while everything is cancelled may have nobody left to tell
    previous = Promise.onUnhandledRejection(function() end)
  end)

  after_each(function()
    Promise.setLoop(nil)
    Promise.onUnhandledRejection(previous)
    math.randomseed()
  end)

  it("leaves no child behind, and loses no failure", function()
    local n_scopes, n_tasks = 0, 0
    for seed = 1, helper.scaled(3000) do
      local ok, a, b = pcall(run_tree, seed, loop)
      if not ok then error(("tree %d: %s"):format(seed, a), 0) end
      n_scopes, n_tasks = n_scopes + a, n_tasks + b
    end
    assert.is_true(n_scopes > helper.scaled(3000))
    assert.is_true(n_tasks > n_scopes)
  end)
end)
