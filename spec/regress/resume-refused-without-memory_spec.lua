-- Lua makes the message of a coroutine that can't be resumed outside of any
-- protection: when memory lacked for that, the error went to the main thread,
-- past the async call that ran, which seemed to run from then on.

local alloc = require "support.alloc"

local function prepare()
  local core = require "cpromise.core"
  local dead = coroutine.create(function() end)
  coroutine.resume(dead)
  package.loaded.trial = {core = core, body = function()
    coroutine.resume(dead)
  end}
  collectgarbage()
end

local function resume_dead()
  local trial = package.loaded.trial
  pcall(trial.core.spawn, trial.body)
end

local function is_inside()
  return package.loaded.trial.core.inside()
end

describe("resuming a dead coroutine while memory lacks", function()
  it("leaves nothing running", function()
    local n = 0
    repeat
      n = n + 1
      local state = alloc.open()
      assert(state:run(string.dump(prepare)))
      state:run(string.dump(resume_dead), n, math.maxinteger)
      local reached = state:count() >= n
      assert.same({true, false}, {state:run(string.dump(is_inside))})
      state:close()
    until not reached
    assert.is_true(n > 3)
  end)
end)
