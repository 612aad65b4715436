local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"

-- Let all values of the type of `v` have this metatable until `block` ends.
local function with_metatable(v, metatable, block)
  local previous = debug.getmetatable(v)
  debug.setmetatable(v, metatable)
  local ok, err = pcall(block)
  debug.setmetatable(v, previous)
  if not ok then error(err, 0) end
end

-- Lua's objects that can have methods are tables and userdata.
aplus.clause("2.3.4 a promise that is resolved with no object", function()
  aplus.each({
    {"nil", nil},
    {"false", false},
    {"true", true},
    {"0", 0},
    {"NaN", 0/0},
    {"a string", "next"},
    {"a function", function() end},
    {"a coroutine", coroutine.create(function() end)},
  }, function(value, name)
    aplus.each_resolved("is fulfilled with " .. name,
      function() return value end,
      function(promise) aplus.fulfils(promise, value) end)

    it("is fulfilled though its type has a 'next': " .. name, function()
      local method, calls = aplus.recorder()
      local promise
      local index = {next = method, catch = method}
      with_metatable(value, {__index = index}, function()
        promise = Promise.resolve(value)
        Promise.drain()
      end)
      aplus.fulfils(promise, value)
      assert.equal(0, #calls)
    end)
  end)
end)
