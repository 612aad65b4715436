local Promise = require "cpromise"
local aplus = require "spec.aplus.helper"
local thenables = require "spec.aplus.thenables"

local dummy = aplus.dummy

-- Makers of objects with a given `__index`, as {name, make}.
local with_index = {
  {"a table", function(index) return setmetatable({}, {__index = index}) end},
  {"a userdata", function(index) return aplus.userdata {__index = index} end},
}

-- What may be called, by name: each gets the resolving functions and the
-- promises p, which is fulfilled, and r, which is rejected by `finish` below.
local steps = {
  resolve = function(resolve) resolve(dummy) end,
  reject = function(_, reject) reject(dummy) end,
  ["resolve with p"] = function(resolve, _, p) resolve(p) end,
  ["resolve with r"] = function(resolve, _, _, r) resolve(r) end,
  ["resolve again"] = function(resolve) resolve "again" end,
  ["reject again"] = function(_, reject) reject "again" end,
  raise = function() error "too late" end,
}

-- Outcome by the first step.
local outcomes = {
  resolve = aplus.fulfils,
  reject = aplus.rejects,
  ["resolve with p"] = aplus.fulfils,
  ["resolve with r"] = aplus.rejects,
}

-- Declare that the first step counts and the others are ignored; `now` of
-- the steps are done in 'next' itself, the others in later jobs.
local function first_counts(list, now)
  local title = ("%s (%d of %d within 'next')"):format(
    table.concat(list, ", "), now, #list)
  local finish
  local function make()
    local p, fulfil_p = Promise.withResolvers()
    local r, _, reject_r = Promise.withResolvers()
    local pending = {}
    function finish()
      for _, step in ipairs(pending) do aplus.later(step) end
      aplus.later(fulfil_p, dummy)
      aplus.later(reject_r, dummy)
    end
    return {next = function(_, resolve, reject)
      for i = now + 1, #list do
        pending[#pending + 1] = function()
          steps[list[i]](resolve, reject, p, r)
        end
      end
      for i = 1, now do steps[list[i]](resolve, reject, p, r) end
    end}
  end
  aplus.each_resolved("ignores all but the first: " .. title, make,
    function(promise)
      Promise.drain()
      finish()
      outcomes[list[1]](promise, dummy)
    end)
end

aplus.clause("2.3.3 a promise that is resolved with an object x", function()
  describe("2.3.3.1 reads x.next", function()
    aplus.each(with_index, function(object, name)
      local reads
      aplus.each_resolved("only once, in " .. name,
        function()
          reads = 0
          return object(function(_, key)
            if key == "next" then reads = reads + 1 end
            return function(_, resolve) resolve(dummy) end
          end)
        end,
        function(promise)
          aplus.fulfils(promise, dummy)
          assert.equal(1, reads)
        end)
    end)

    it("when it is resolved, not later", function()
      local x = setmetatable({}, {__index = function(self, key)
        rawset(self, "asked", key)
      end})
      local _, resolve = Promise.withResolvers()
      resolve(x)
      assert.equal("next", rawget(x, "asked"))
    end)

    aplus.each_resolved("raw where x has no metatable",
      function()
        return {next = function(_, resolve) resolve(dummy) end}
      end,
      function(promise) aplus.fulfils(promise, dummy) end)
  end)

  describe("2.3.3.2 if reading x.next raises e", function()
    aplus.each(aplus.values, function(reason, name)
      aplus.each_resolved("is rejected with " .. name,
        function()
          return setmetatable({}, {__index = function()
            error(reason, 0)
          end})
        end,
        function(promise)
          aplus.rejects(promise, aplus.thrown(reason))
        end)
    end)

    aplus.each_resolved("is fulfilled if x is a userdata",
      function()
        return aplus.userdata {__index = function() error "no field" end}
      end,
      aplus.fulfils)

    it("ignores what the getter does to it", function()
      local promise, resolve, reject = Promise.withResolvers()
      resolve(setmetatable({}, {__index = function()
        resolve(1)
        reject(2)
        error(dummy)
      end}))
      aplus.rejects(promise, dummy)
    end)
  end)

  describe("2.3.3.3 if x.next is callable, calls it", function()
    aplus.each(with_index, function(object, name)
      local calls
      local function make()
        local method
        method, calls = aplus.recorder()
        return object {next = method, catch = method}
      end

      aplus.each_resolved(
        "with x and the resolving functions: " .. name, make,
        function(promise, x)
          aplus.stays_pending(promise)
          assert.equal(1, #calls)
          assert.equal(3, calls[1].n)
          assert.equal(x, calls[1][1])
          assert.equal("function", type(calls[1][2]))
          assert.equal("function", type(calls[1][3]))
        end)

      it("in a job of its own: " .. name, function()
        local _, resolve = Promise.withResolvers()
        resolve(make())
        assert.equal(0, #calls)
        Promise.drain()
        assert.equal(1, #calls)
      end)
    end)

    it("as it was when it was read", function()
      local x = {next = function(_, resolve) resolve(dummy) end}
      local promise, resolve = Promise.withResolvers()
      resolve(x)
      x.next = nil
      aplus.fulfils(promise, dummy)
    end)
  end)

  describe("2.3.3.3.1 when x resolves it with y", function()
    aplus.each(aplus.values, function(value, name)
      aplus.each_resolved("is fulfilled with " .. name,
        function()
          return {next = function(_, resolve) resolve(value) end}
        end,
        function(promise) aplus.fulfils(promise, value) end)

      aplus.each_resolved("is fulfilled later with " .. name,
        function()
          return {next = function(_, resolve)
            Promise.queueMicrotask(resolve, value)
          end}
        end,
        function(promise) aplus.fulfils(promise, value) end)
    end)

    aplus.each(thenables.fulfilling, function(make, how)
      aplus.each_resolved("is fulfilled by " .. how,
        function() return make(dummy) end,
        function(promise) aplus.fulfils(promise, dummy) end)
    end)

    -- the same one level deeper: y is a thenable
    for _, outer in ipairs {thenables.fulfilling[1],
                            thenables.fulfilling[2],
                            thenables.fulfilling[8]} do
      aplus.each(thenables.fulfilling, function(make, how)
        aplus.each_resolved(("follows %s for %s"):format(outer[1], how),
          function() return outer[2](make(dummy)) end,
          function(promise) aplus.fulfils(promise, dummy) end)
      end)

      aplus.each(thenables.rejecting, function(make, how)
        aplus.each_resolved(("follows %s for %s"):format(outer[1], how),
          function() return outer[2](make(dummy)) end,
          function(promise) aplus.rejects(promise, dummy) end)
      end)
    end

    aplus.each_resolved("is pending while y is",
      function()
        return {next = function(_, resolve)
          resolve((Promise.withResolvers()))
        end}
      end,
      aplus.stays_pending)

    it("follows a chain of a hundred thenables", function()
      local x = dummy
      for _ = 1, 100 do
        local y = x
        x = {next = function(_, resolve) resolve(y) end}
      end
      aplus.fulfils(Promise.resolve(x), dummy)
    end)

    it("goes round with a thenable that resolves with itself", function()
      local x = {next = function(self, resolve) resolve(self) end}
      local promise = Promise.resolve(x)
      assert.equal(1000, Promise.drain(1000))
      assert.equal("pending", (promise:status()))
      x.next = nil
      aplus.fulfils(promise, x)
    end)

    it("goes round without stopping other jobs", function()
      local x = {next = function(self, resolve) resolve(self) end}
      local promise = Promise.resolve(x)
      local handler, calls = aplus.recorder()
      Promise.resolve(dummy):next(handler)
      Promise.drain(10)
      assert.equal(1, #calls)
      x.next = nil
      aplus.fulfils(promise, x)
    end)
  end)

  describe("2.3.3.3.2 when x rejects it with r", function()
    aplus.each(aplus.values, function(reason, name)
      aplus.each_resolved("is rejected with " .. name,
        function()
          return {next = function(_, _, reject) reject(reason) end}
        end,
        function(promise) aplus.rejects(promise, reason) end)

      aplus.each_resolved("is rejected later with " .. name,
        function()
          return {next = function(_, _, reject)
            Promise.queueMicrotask(reject, reason)
          end}
        end,
        function(promise) aplus.rejects(promise, reason) end)
    end)

    aplus.each(thenables.rejecting, function(make, how)
      aplus.each_resolved("is rejected by " .. how,
        function() return make(dummy) end,
        function(promise) aplus.rejects(promise, dummy) end)
    end)

    aplus.each(thenables.fulfilling, function(make, how)
      local reason
      aplus.each_resolved("is rejected with " .. how .. " as it is",
        function()
          reason = make(dummy)
          return {next = function(_, _, reject) reject(reason) end}
        end,
        function(promise) aplus.rejects(promise, reason) end)
    end)
  end)

  describe("2.3.3.3.3 when x settles it more than once", function()
    for _, first in ipairs {"resolve", "reject",
                            "resolve with p", "resolve with r"} do
      for _, second in ipairs {"resolve again", "reject again",
                               "resolve with p", "resolve with r"} do
        for now = 0, 2 do first_counts({first, second}, now) end
      end
    end
    first_counts({"resolve", "reject again", "resolve again"}, 1)
    first_counts({"reject", "resolve again", "reject again"}, 1)

    it("ignores functions that were kept until it is settled", function()
      local kept
      local promise = Promise.resolve {next = function(_, ...)
        kept = {...}
        kept[1](dummy)
      end}
      aplus.fulfils(promise, dummy)
      kept[1] "again"
      kept[2] "again"
      aplus.later(kept[2], "again")
      aplus.fulfils(promise, dummy)
    end)

    it("ignores those of a thenable that resolved with another", function()
      local kept
      local last, finish = Promise.withResolvers()
      local promise = Promise.resolve {next = function(_, resolve, reject)
        kept = {resolve, reject}
        resolve {next = function(_, resolve_inner)
          resolve_inner(last)
        end}
      end}
      Promise.drain()
      kept[1] "again"
      kept[2] "again"
      aplus.stays_pending(promise)
      finish(dummy)
      aplus.fulfils(promise, dummy)
    end)
  end)

  describe("2.3.3.3.4 if x.next raises e", function()
    describe("2.3.3.3.4.1 after it has settled the promise", function()
      for _, first in ipairs {"resolve", "reject",
                              "resolve with p", "resolve with r"} do
        first_counts({first, "raise"}, 2)
      end
      first_counts({"resolve", "reject again", "raise"}, 3)
      first_counts({"reject", "resolve again", "raise"}, 3)
    end)

    describe("2.3.3.3.4.2 before it has settled the promise", function()
      aplus.each(aplus.values, function(reason, name)
        aplus.each_resolved("is rejected with " .. name,
          function()
            return {next = function() error(reason, 0) end}
          end,
          function(promise)
            aplus.rejects(promise, aplus.thrown(reason))
          end)
      end)

      for _, call in ipairs {"resolve again", "reject again"} do
        aplus.each_resolved("ignores a later " .. call,
          function()
            return {next = function(_, resolve, reject)
              Promise.queueMicrotask(steps[call], resolve, reject)
              error(dummy)
            end}
          end,
          function(promise) aplus.rejects(promise, dummy) end)
      end
    end)
  end)

  describe("2.3.3.4 if x.next is not callable", function()
    aplus.each(aplus.not_callable, function(value, name)
      aplus.each_resolved("is fulfilled with x: next is " .. name,
        function() return {next = value} end, aplus.fulfils)

      aplus.each_resolved("is fulfilled with x: it inherits " .. name,
        function()
          return setmetatable({}, {__index = {next = value}})
        end,
        aplus.fulfils)

      aplus.each_resolved("is fulfilled with a userdata: next is " .. name,
        function()
          return aplus.userdata {__index = {next = value, catch = print}}
        end,
        aplus.fulfils)

      aplus.each_resolved("is fulfilled with a userdata: catch is " .. name,
        function()
          return aplus.userdata {__index = {next = print, catch = value}}
        end,
        aplus.fulfils)
    end)

    aplus.each_resolved("is fulfilled with x: next is Lua's own",
      function() return {next = next} end, aplus.fulfils)

    aplus.each_resolved("is fulfilled with x: it inherits from _G",
      function() return setmetatable({}, {__index = _G}) end, aplus.fulfils)
  end)
end)
