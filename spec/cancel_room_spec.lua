--- Cancelling where the stack has no room for it, and there is no memory to
--- make it larger: who can't ask raises or rejects, and nothing hangs.

local alloc = require "support.alloc"

--- Runs in a state of its own. `enter(n, f)` returns a coroutine that is to
--- call `f`, n slots further up a small stack each time.
local common = [[
  local Promise = require "cpromise"
  local core = require "cpromise.core"
  local await = Promise.await
  local trial = package.loaded.trial or {}
  package.loaded.trial = trial
  core.setWake() -- it would need memory itself
  Promise.onUnhandledRejection(type)
  collectgarbage "stop"

  local function enter(n, f)
    local names = {}
    for i = 1, n do names[i] = "a" .. i end
    local code = "local yield, f = ... return function() " ..
      (n > 0 and "local " .. table.concat(names, ", ") .. " " or "") ..
      "yield() return f() end"
    local co = coroutine.create(load(code)(coroutine.yield, f))
    assert(coroutine.resume(co))
    return co
  end

  local function is_cancelled(p, why)
    local state, reason = p:status()
    return state == "rejected" and Promise.isCancelled(reason) and
      reason.reason == why
  end

  local function is_short(p)
    local state, reason = p:status()
    return state == "rejected" and reason == "not enough memory"
  end
]]

--- `prepare` makes, with n, the coroutine trial.co. Each of the allocations
--- that this then makes fails, and the next one, with which Lua tries again
--- when it has collected garbage. `verify` gets what came of it, and returns
--- the name of the case. Returns how often each was.
local function sweep(prepare, verify)
  local seen = setmetatable({}, {__index = function() return 0 end})
  local state <close> = alloc.open()
  prepare = common .. "local n = %d " .. prepare
  verify = common .. "local ok, result = trial.ok, trial.result " .. verify
  for n = 0, 40 do
    for first = 1, math.huge do
      assert(state:run(prepare:format(n)))
      assert(state:run [[
        local trial, resume = package.loaded.trial, coroutine.resume
        trial.ok, trial.result = false, "not enough memory" -- to begin with
        function trial.run() trial.ok, trial.result = resume(trial.co) end
      ]])
      state:run("package.loaded.trial.run()", first, first + 1)
      local count = state:count()
      local _, case = assert(state:run(verify))
      seen[case] = seen[case] + 1
      if count < first then break end
    end
  end
  return seen
end

describe("without room on the stack", function()
  it("cancel raises before it has told anybody", function()
    local seen = sweep([[
      trial.told = 0
      local p = Promise.new(function(_, _, on_cancel)
        on_cancel(function() trial.told = trial.told + 1 end)
      end)
      trial.p, trial.q = p, p:next()
      trial.co = enter(n, function() return trial.q:cancel "why" end)
    ]], [[
      if ok then
        assert(result == true) -- though the hook itself may lack memory
        Promise.drain()
        assert(is_cancelled(trial.q, "why"))
        return "cancelled"
      end
      assert(result == "not enough memory")
      assert(trial.told == 0 and trial.p:status() == "pending")
      assert(trial.q:cancel "again" and trial.told == 1)
      Promise.drain()
      assert(is_cancelled(trial.q, "again"))
      return "raised"
    ]])
    assert.is_true(seen.cancelled > 0 and seen.raised > 0)
  end)

  it("an await raises what its call was asked with, and asks nobody",
    function()
      local seen = sweep([[
        trial.call, trial.p = nil, Promise.withResolvers()
        local function body()
          trial.call = core.running()
          trial.call:cancel "why"
          await(trial.p)
        end
        trial.co = enter(n, function() Promise.spawn(body) end)
      ]], [[
        Promise.drain()
        local call, p = trial.call, trial.p
        if not call or is_short(call) then return "failed" end
        assert(is_cancelled(call, "why"))
        if is_cancelled(p, "why") then return "asked" end
        assert(p:status() == "pending" and p:cancel())
        return "left"
      ]])
      assert.is_true(seen.failed > 0 and seen.asked > 0 and seen.left > 0)
    end)

  it("a handler that returns a promise rejects", function()
    local seen = sweep([[
      local p = Promise.withResolvers()
      local w
      -- it runs on a stack of its own, and leaves that of the drain small
      w = Promise.resolve():next(coroutine.wrap(function()
        w:cancel "why"
        return p
      end))
      trial.p, trial.w = p, w
      w:catch(type)
      trial.co = enter(n, Promise.drain)
    ]], [[
      Promise.drain()
      local p, w = trial.p, trial.w
      if is_cancelled(w, "why") then
        assert(is_cancelled(p, "why"))
        return "asked"
      end
      assert(is_short(w))
      assert(p:status() == "pending" and p:cancel())
      return "failed"
    ]])
    assert.is_true(seen.asked > 0 and seen.failed > 0)
  end)

  it("select rejects", function()
    local seen = sweep([[
      trial.p = Promise.withResolvers()
      trial.s = Promise.select {Promise.resolve "value", trial.p}
      trial.co = enter(n, Promise.drain)
    ]], [[
      Promise.drain()
      local p, s = trial.p, trial.s
      if is_short(s) then
        assert(p:status() == "pending" and p:cancel())
        return "failed"
      end
      local state, key, value = s:status()
      assert(state == "fulfilled" and key == 1 and value == "value")
      assert(is_cancelled(p, "another promise was selected"))
      return "chosen"
    ]])
    assert.is_true(seen.chosen > 0 and seen.failed > 0)
  end)

  it("select rejects that chooses amid its iteration", function()
    local seen = sweep([[
      local p, q = Promise.withResolvers(), Promise.withResolvers()
      trial.s, trial.p, trial.q = nil, p, q
      local step = coroutine.wrap(function()
        coroutine.yield(p)
        coroutine.yield "value"
        Promise.drain()
        coroutine.yield(q)
      end)
      trial.co = enter(n, function() trial.s = Promise.select(step) end)
    ]], [[
      Promise.drain()
      local p, q, s = trial.p, trial.q, trial.s
      if not s then return "failed" end
      if is_short(s) then
        q:cancel()
        return "failed"
      end
      local state, key, value = s:status()
      assert(state == "fulfilled" and key == 2 and value == "value")
      assert(is_cancelled(p, "another promise was selected"))
      assert(is_cancelled(q, "another promise was selected"))
      return "chosen"
    ]])
    assert.is_true(seen.chosen > 0 and seen.failed > 0)
  end)

  it("a scope raises, and can be cancelled again", function()
    local seen = sweep([[
      local p = Promise.withResolvers()
      trial.p, trial.calls = p, {}
      trial.whole = Promise.scope(function(scope)
        trial.scope = scope
        for i = 1, 3 do
          trial.calls[i] = scope:spawn(await, Promise.withResolvers())
        end
      end)
      trial.co = enter(n, function() return trial.scope:cancel "why" end)
    ]], [[
      local case = "cancelled"
      if not ok then
        assert(result == "not enough memory")
        for i = 1, 3 do assert(trial.calls[i]:status() == "pending") end
        Promise.drain()
        for i = 1, 3 do assert(trial.calls[i]:status() == "pending") end
        assert(trial.scope:cancel "why")
        case = "raised"
      end
      Promise.drain()
      for i = 1, 3 do assert(is_cancelled(trial.calls[i], "why")) end
      assert(trial.whole:status() == "fulfilled")
      return case
    ]])
    assert.is_true(seen.cancelled > 0 and seen.raised > 0)
  end)
end)
