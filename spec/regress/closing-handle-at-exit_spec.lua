-- luv crashes if the state closes while a handle is being closed. A run that
-- ended because its promise had settled left its own timer in that state.

local child = require "spec.child"

describe("the end of the program, after a run that ended early,", function()
  local programs = {
    ["is quiet after a delay"] = [[
      Promise.run(function() await(Promise.delay(0.001)) end)
    ]],
    ["is quiet after await on the main thread"] = [[
      await(Promise.delay(0.001))
    ]],
    ["is quiet after an error"] = [[
      pcall(Promise.run, function()
        await(Promise.delay(0.001))
        error "no"
      end)
    ]],
    ["is quiet after a handle of the program was closed"] = [[
      Promise.run(function()
        local pipe = require "luv".new_pipe(false)
        await(Promise.delay(0.001))
        pipe:close()
      end)
    ]],
  }
  for name, program in pairs(programs) do
    it(name, function()
      local text, status = child.run([[
        local Promise = require "cpromise"
        local await = Promise.await
      ]] .. program)
      assert.equal("", text)
      assert.equal(0, status)
    end)
  end
end)
