--- What a function with a callback does for a promise that is cancelled.

local Promise = require "cpromise"
local helper = require "spec.helper"

-- A function that is called back by hand.
local function setup(options)
  local calls = {}
  local open = Promise.promisify(function(name, callback)
    local call = {request = "request of " .. name, callback = callback}
    calls[#calls + 1] = call
    return call.request
  end, options)
  return open, calls
end

describe("promisify with options", function()
  it("tells what was started that nobody waits for it", function()
    local told = {}
    local open = setup {cancel = function(r) told[#told + 1] = r end}
    local p, q = open "a", open "b"
    assert.is_true(p:cancel())
    assert.is_false(p:cancel())
    assert.same({"request of a"}, told)
    assert.equal("pending", (q:status()))
  end)

  it("tells nothing of what has been called back", function()
    local told = 0
    local open, calls = setup {cancel = function() told = told + 1 end}
    local p = open "a"
    calls[1].callback(nil, "result")
    assert.is_false(p:cancel())
    assert.equal(0, told)
    assert.same({"fulfilled", "result"}, {helper.outcome(p)})
  end)

  it("gives back what comes too late", function()
    local given = {}
    local open, calls = setup {
      dispose = function(...) given[#given + 1] = table.pack(...) end,
    }
    open("a"):cancel()
    calls[1].callback(nil, 7, nil)
    assert.same({{7, nil, n = 2}}, given)
  end)

  it("drops errors that come too late", function()
    local given = 0
    local open, calls = setup {dispose = function() given = given + 1 end}
    local reports = helper.unhandled(function()
      open("a"):cancel()
      calls[1].callback("ECANCELED")
    end)
    assert.equal(0, given)
    assert.same({}, reports)
  end)

  it("gives back what is called back a second time", function()
    local given = {}
    local open, calls = setup {
      dispose = function(v) given[#given + 1] = v end,
    }
    local p = open "a"
    calls[1].callback(nil, 1)
    calls[1].callback(nil, 2)
    assert.same({"fulfilled", 1}, {helper.outcome(p)})
    assert.same({2}, given)
  end)

  it("does without either", function()
    local open, calls = setup()
    open("a"):cancel()
    calls[1].callback(nil, 7)
    Promise.drain()
  end)

  it("tells nothing where nothing was started", function()
    local told = 0
    local start = Promise.promisify(function() return nil, "EMFILE" end,
      {cancel = function() told = told + 1 end})
    local p = start()
    assert.is_false(p:cancel())
    assert.equal(0, told)
    assert.same({"rejected", "EMFILE"}, {helper.outcome(p)})
  end)

  for message, options in pairs {
    ["unknown option 'cancle'"] = {cancle = print},
    ["option 'cancel': callable expected, got number"] = {cancel = 1},
    ["table expected, got string"] = "cancel",
  } do
    it("raises: " .. message, function()
      local ok, err = pcall(function() Promise.promisify(print, options) end)
      assert.is_false(ok)
      assert.equal("bad argument #2 to 'promisify' (" .. message .. ")",
        err:match "^spec/promisify_spec.lua:%d+: (.*)$")
    end)
  end
end)
