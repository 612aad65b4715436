--- What the specs of Promises/A+ share.
---
--- A rule about a settled promise holds whenever the promise settles, so each
--- is a function `test(promise, settle)` that is run three times: with a
--- promise that is settled *already*, with one that `settle()` settles
--- *immediately*, in the turn in which the handlers were registered, and with
--- one that it settles *eventually*, in a later job. Every `settle` runs all
--- jobs before it returns.

local Promise = require "cpromise"
local assert = require "luassert"
local busted = require "busted"
local helper = require "spec.helper"

local aplus = {}

--- Something else than nil, for values that do not matter.
aplus.dummy = {"dummy"}

--- Values of every kind that are no thenables, as {name, value}.
aplus.values = {
  {"nil", nil},
  {"false", false},
  {"true", true},
  {"0", 0},
  {"NaN", 0/0},
  {"an empty string", ""},
  {"a table", {}},
  {"a table with a metatable", setmetatable({}, {__index = {x = 1}})},
  {"a Lua function", function() end},
  {"a C function", print},
  {"a coroutine", coroutine.create(function() end)},
  {"a userdata", io.stdout},
}

--- Values that are no handlers, as {name, value}.
aplus.not_callable = {
  {"nil", nil},
  {"false", false},
  {"a number", 5},
  {"a string", "print"},
  {"a table", {}},
  {"a table of functions", {print}},
  {"a userdata", io.stdout},
  {"a coroutine", coroutine.create(function() end)},
}

--- Run `block(value, name)` for each entry of such a list.
function aplus.each(list, block)
  for _, entry in ipairs(list) do block(entry[2], entry[1]) end
end

--- A function and the list of its calls, each a packed table.
function aplus.recorder()
  local calls = {}
  return function(...) calls[#calls + 1] = table.pack(...) end, calls
end

-- A second copy of the core: its promises are foreign userdata here.
local foreign

--- A userdata that is none of this library's, with this metatable.
function aplus.userdata(metatable)
  foreign = foreign or helper.second_core()
  return debug.setmetatable(foreign.resolve(), metatable)
end

aplus.thrown = helper.thrown

--- Assert that two values are the same one, NaN included.
function aplus.same(expected, actual)
  if expected ~= expected then
    assert.is_true(actual ~= actual, "NaN expected, got " .. tostring(actual))
  else
    assert.equal(expected, actual)
  end
end

local function settles(state, expected, promise)
  Promise.drain()
  local outcome = table.pack(promise:status())
  assert.equal(state, outcome[1])
  assert.equal(2, outcome.n)
  aplus.same(expected, outcome[2])
end

--- Assert that a promise is fulfilled with this one value in the end.
function aplus.fulfils(promise, value)
  settles("fulfilled", value, promise)
end

--- Assert that a promise is rejected for this reason in the end.
function aplus.rejects(promise, reason)
  settles("rejected", reason, promise)
end

--- Assert that a promise is pending when nothing is left to do.
function aplus.stays_pending(promise)
  Promise.drain()
  assert.equal("pending", (promise:status()))
end

--- Do something in a job of its own, after all that waits now; an error in it
--- is raised here.
function aplus.later(fn, ...)
  local ok, err
  Promise.drain()
  Promise.queueMicrotask(function(...) ok, err = pcall(fn, ...) end, ...)
  Promise.drain()
  if not ok then error(err, 0) end
end

--- A clause: rejections that its rules do not look at are not reported.
function aplus.clause(text, block)
  busted.describe(text, function()
    local previous
    busted.before_each(function()
      previous = Promise.onUnhandledRejection(function() end)
    end)
    busted.after_each(function()
      Promise.drain()
      Promise.onUnhandledRejection(previous)
    end)
    block()
  end)
end

local timings = {
  already = function(state, value)
    return state.make(value), Promise.drain
  end,
  immediately = function(state, value)
    local promise, act = state.pending()
    return promise, function()
      act(value)
      Promise.drain()
    end
  end,
  eventually = function(state, value)
    local promise, act = state.pending()
    return promise, function() aplus.later(act, value) end
  end,
}

local function each_timing(state, title, value, test)
  for _, timing in ipairs {"already", "immediately", "eventually"} do
    busted.it(("%s (%s %s)"):format(title, timing, state.name), function()
      test(timings[timing](state, value))
    end)
  end
end

--- The two ways to settle:
--- `make(value)` -> a promise that is settled so;
--- `pending()` -> a promise, and the function that settles it so;
--- `register(promise, handler)` adds the handler for it;
--- `each(title, value, test)`: the rule `title` holds for those promises.
aplus.fulfilled = {
  name = "fulfilled",
  handler = "onFulfilled",
  make = Promise.fulfill,
  pending = function()
    local promise, resolve = Promise.withResolvers()
    return promise, resolve
  end,
  register = function(promise, handler) return promise:next(handler) end,
}

aplus.rejected = {
  name = "rejected",
  handler = "onRejected",
  make = Promise.reject,
  pending = function()
    local promise, _, reject = Promise.withResolvers()
    return promise, reject
  end,
  register = function(promise, handler)
    return promise:next(nil, handler)
  end,
}

aplus.states = {aplus.fulfilled, aplus.rejected}

for _, state in ipairs(aplus.states) do
  state.each = function(...) return each_timing(state, ...) end
end

--- For one state only.
aplus.each_fulfilled = aplus.fulfilled.each
aplus.each_rejected = aplus.rejected.each

--- The rule `title` holds for promises resolved with x, in whatever way:
--- `test(promise, x)`, where `make()` makes each x.
function aplus.each_resolved(title, make, test)
  for _, state in ipairs(aplus.states) do
    state.each(("%s: x returned by %s"):format(title, state.handler),
      aplus.dummy, function(promise, settle)
        local x = make()
        local derived = state.register(promise, function() return x end)
        settle()
        test(derived, x)
      end)
  end
  busted.it(title .. ": x given to a resolving function", function()
    local x = make()
    local promise, resolve = Promise.withResolvers()
    resolve(x)
    test(promise, x)
  end)
end

return aplus
