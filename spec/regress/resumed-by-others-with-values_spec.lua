-- The values that somebody else resumed a waiting coroutine with stayed on
-- its stack, more each time, beyond what a C function may use. (A Lua that
-- checks the use of its API notices.)

local Promise = require "cpromise"
local await = Promise.await

local function resume_often(co)
  local many = table.pack(table.unpack({}, 1, 100))
  for _ = 1, 100 do
    assert.same({true}, {coroutine.resume(co, table.unpack(many, 1, many.n))})
  end
end

describe("a coroutine that somebody else resumes with many values", function()
  local gate, open
  before_each(function()
    gate, open = Promise.withResolvers()
  end)

  it("goes on with what it awaited", function()
    local co
    local p = Promise.spawn(function()
      co = coroutine.running()
      return await(gate)
    end)
    resume_often(co)
    open("a", "b")
    Promise.drain()
    assert.same({"fulfilled", "a", "b"}, {p:status()})
  end)

  it("goes on with what its generator awaited", function()
    local co
    local p = Promise.spawn(function()
      co = coroutine.running()
      return Promise.wrap(function() return await(gate) end)()
    end)
    resume_often(co)
    open("a", "b")
    Promise.drain()
    assert.same({"fulfilled", "a", "b"}, {p:status()})
  end)

  it("keeps the traceback of an error that unwinds", function()
    local co
    local p = Promise.spawn(function()
      co = coroutine.running()
      local _ <close> = setmetatable({}, {__close = function()
        await(gate)
      end})
      error("boom", 0)
    end)
    resume_often(co)
    open()
    p:catch(function() end)
    Promise.drain()
    assert.same({"rejected", "boom"}, {p:status()})
    assert.matches("resumed%-by%-others", p:traceback())
  end)
end)
