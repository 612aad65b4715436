--- A generic `for` over a generator of Promise.wrap, which closes it.

local Promise = require "cpromise"
local helper = require "spec.helper"

local await = Promise.await

describe("a generator in a generic for", function()
  local log

  -- It tells when its variable is closed, and with what.
  local function counter()
    local _ <close> = setmetatable({}, {__close = function(_, err)
      log[#log + 1] = "closed"
      log[#log + 1] = err
    end})
    for i = 1, 3 do coroutine.yield(i) end
  end

  before_each(function() log = {} end)

  it("is closed when the loop is left early", function()
    for i in Promise.wrap(counter) do
      log[#log + 1] = i
      if i == 2 then break end
    end
    assert.same({1, 2, "closed"}, log)
  end)

  it("is closed when an error leaves the loop", function()
    local ok, err = pcall(function()
      for _ in Promise.wrap(counter) do error("in the loop", 0) end
    end)
    assert.same({false, "in the loop"}, {ok, err})
    assert.same({"closed"}, log)
  end)

  it("is closed when a function returns from the loop", function()
    local function find(wanted)
      for i in Promise.wrap(counter) do
        if i == wanted then return i end
      end
    end
    assert.equal(2, find(2))
    assert.same({"closed"}, log)
  end)

  it("has closed itself when it has run to its end", function()
    for i in Promise.wrap(counter) do log[#log + 1] = i end
    assert.same({1, 2, 3, "closed"}, log)
  end)

  it("raises an error of closing it", function()
    local ok, err = pcall(function()
      for _ in Promise.wrap(function()
        local _ <close> = setmetatable({}, {__close = function()
          error("can't close", 0)
        end})
        coroutine.yield(1)
        coroutine.yield(2)
      end) do
        log[#log + 1] = "left"
        if #log == 1 then break end
      end
    end)
    assert.same({false, "can't close"}, {ok, err})
  end)

  it("raises an error of closing in place of its own, as Lua does", function()
    local function failing()
      local _ <close> = setmetatable({}, {__close = function()
        error("can't close", 0)
      end})
      error("first", 0)
    end
    local ok, err = pcall(Promise.wrap(failing))
    assert.same({false, "can't close"}, {ok, err})
    assert.same({pcall(coroutine.wrap(failing))}, {ok, err})
  end)

  it("is closed when the call is cancelled that runs the loop", function()
    local p = Promise.spawn(function()
      for _ in Promise.wrap(counter) do await(Promise.new(function() end)) end
    end)
    assert.is_true(p:cancel())
    Promise.drain()
    assert.same({"closed"}, log)
    assert.is_true(Promise.isCancelled(select(2, p:status())))
  end)

  it("that awaits raises the cancellation where it waits", function()
    local p = Promise.spawn(function()
      for _ in Promise.wrap(function()
        local ok, err = pcall(await, Promise.new(function() end))
        log[#log + 1] = ok or Promise.isCancelled(err)
        error(err, 0)
      end) do log[#log + 1] = "never" end
    end)
    assert.is_true(p:cancel())
    Promise.drain()
    assert.same({true}, log)
    assert.is_true(Promise.isCancelled(select(2, p:status())))
  end)

  it("gives its function first, to be called as any", function()
    local step = Promise.wrap(counter)
    assert.same({1, 2, 3}, {step(), step(), step()})
    helper.collect()
    assert.same({}, log)
  end)
end)
