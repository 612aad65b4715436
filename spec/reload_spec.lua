--- A Lua state has one core, whoever requires it, and however often.

local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"
local virtual = require "cpromise.loop.virtual"

-- What a reloader does: forget the modules and require them again. Returns
-- the new ones, and restores the old ones.
local function reload(...)
  local names, old, new = {}, {}, {}
  for name in pairs(package.loaded) do
    if name:find "^cpromise" then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do
    old[name], package.loaded[name] = package.loaded[name], nil
  end
  for i, name in ipairs {...} do new[i] = require(name) end
  for _, name in ipairs(names) do package.loaded[name] = old[name] end
  return table.unpack(new)
end

describe("requiring the library again", function()
  after_each(function()
    helper.drain()
    Promise.setLoop(nil)
  end)

  it("gives promises that are the same to both", function()
    local again = reload "cpromise"
    assert.is_true(again.is(Promise.resolve()))
    assert.is_true(Promise.is(again.resolve()))
  end)

  it("keeps the jobs that wait", function()
    local log = {}
    Promise.queueMicrotask(function() log[#log + 1] = "before" end)
    local again = reload "cpromise"
    again.queueMicrotask(function() log[#log + 1] = "after" end)
    assert.equal(2, again.drain())
    assert.same({"before", "after"}, log)
  end)

  it("lets an old promise be awaited by new code", function()
    local p, resolve = Promise.withResolvers()
    local again = reload "cpromise"
    local q = again.spawn(function() return again.await(p) end)
    resolve "value"
    assert.same({"fulfilled", "value"}, {helper.outcome(q)})
  end)

  it("keeps the loop that was set", function()
    local loop = virtual.new()
    Promise.setLoop(loop)
    local again, loops = reload("cpromise", "cpromise.loop")
    assert.equal(loop, again.loop())
    assert.equal(loop, loops.get())
    local late = Promise.delay(1, "late")
    loop.advance(1)
    assert.same({"fulfilled", "late"}, {late:status()})
  end)

  for _, name in ipairs {"virtual", "luv"} do
    local module = "cpromise.loop." .. name
    it("keeps the loop " .. name, function()
      local ok, before = pcall(require, module)
      if not ok then return pending("there is no " .. name) end
      assert.equal(before, (reload(module)))
    end)
  end

  it("lets a scope of old code cancel what new code spawns", function()
    local again = reload "cpromise"
    local cancelled
    local p = Promise.scope(function(scope)
      scope:spawn(function()
        local inner <close> = again.scope()
        inner:spawn(function()
          local ok, reason = pcall(again.await, (again.withResolvers()))
          cancelled = not ok and Promise.isCancelled(reason)
        end)
      end)
      error("over", 0)
    end)
    assert.same({"rejected", "over"}, {helper.outcome(p)})
    assert.is_true(cancelled)
  end)

  it("tells once, at the end, what never ran", function()
    local text = child.run [[
      local Promise = require "cpromise"
      Promise.setLoop(require "cpromise.loop.virtual".new())
      Promise.queueMicrotask(print)
      for name in pairs(package.loaded) do
        if name:find "^cpromise" then package.loaded[name] = nil end
      end
      Promise = require "cpromise"
      collectgarbage()
      collectgarbage()
      print "collected"
    ]]
    assert.equal("collected\ncpromise: 1 job never ran; end the program " ..
      "with Promise.run()\n", text)
  end)

  it("raises where Lua files and core are of two versions", function()
    local _, text = pcall(function()
      local core = require "cpromise.core"
      local version = core._VERSION
      local _ <close> = setmetatable({}, {__close = function()
        core._VERSION = version
      end})
      core._VERSION = "cpromise 0"
      reload "cpromise.core"
    end)
    local version = require "cpromise.core"._VERSION
    assert.equal(version .. " can't be loaded beside cpromise 0, which " ..
      "this Lua state has already", text:match "[^\n]*$")
    text = child.run [[
      require "cpromise.core"._VERSION = "cpromise 0"
      print(select(2, pcall(require, "cpromise")))
    ]]
    assert.equal("the Lua files of " .. version .. " don't fit the core " ..
      "of cpromise 0: one of them is left from another installation\n", text)
  end)
end)
