--- A program that ended while luv had something to call back for it never
--- did: luv ran its loop until no handle was left, and for the job that this
--- brought a new one was made, again and again.

local Promise = require "cpromise"
local uv = require "cpromise.uv"
local spec = require "spec.uv"

local programs = {
  ["that forgot to run the loop"] = {0, [[
    local Promise = require "cpromise"
    local luv = require "luv"
    Promise.promisify(luv.fs_stat) ".":next(print)
  ]]},
  ["whose top level failed"] = {1, [[
    local Promise = require "cpromise"
    local uv = require "cpromise.uv"
    Promise.await(Promise.delay(0))
    Promise.spawn(function()
      for _ = 1, 3 do Promise.await(uv.fs_stat ".") end
      print "never"
    end)
    error "on purpose"
  ]]},
  ["that has timers"] = {0, [[
    local Promise = require "cpromise"
    local luv = require "luv"
    Promise.drain()
    Promise.run(function() Promise.await(Promise.delay(0)) end)
    luv.fs_stat(".", function() Promise.delay(1):next(print) end)
  ]]},
}

describe("a program with a request under way", function()
  for what, case in pairs(programs) do
    it("ends: one " .. what, spec.test(function()
      local result = Promise.await(uv.run_process(arg[-1] or "lua5.4",
        {"-e", case[2]}, {timeout = 10}))
      assert.equal(case[1], result.code)
      assert.equal(0, result.signal)
      assert.not_matches("never\n", result.stdout)
    end))
  end
end)
