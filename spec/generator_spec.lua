--- Generators in a generic `for`: what becomes of them when it is left.
-- luacheck: ignore 512 (loops that are left in their first turn)

-- luacheck: ignore 512 (loops that are left in their first turn)

local Promise = require "cpromise"
local helper = require "spec.helper"

local await = Promise.await

local log

before_each(function() log = {} end)

local function note(...)
  log[#log + 1] = table.concat({...}, " ")
end

local function closing(name, fn)
  return setmetatable({}, {__close = function(_, err)
    note("closes", name)
    if fn then fn(err) end
  end})
end

-- A generator of 1, 2, 3 that has something to close.
local function numbers(at_close)
  return Promise.wrap(function()
    local _ <close> = closing("generator", at_close)
    for i = 1, 3 do coroutine.yield(i) end
    note "ends"
  end)
end

-- The same; each turn awaits.
local function awaited_numbers(at_close)
  return Promise.wrap(function()
    local _ <close> = closing("generator", at_close)
    for i = 1, 3 do coroutine.yield(await(Promise.resolve(i))) end
    note "ends"
  end)
end

-- Where loops run: each returns what pcall does.
local places = {
  ["the main thread"] = pcall,
  ["an async function"] = function(fn, ...)
    local p = Promise.spawn(fn, ...)
    p:catch(function() end)
    local results = table.pack(helper.outcome(p))
    return results[1] == "fulfilled", table.unpack(results, 2, results.n)
  end,
  ["a coroutine"] = function(fn, ...)
    local results
    coroutine.wrap(function(...)
      results = table.pack(pcall(fn, ...))
    end)(...)
    Promise.drain()
    return table.unpack(results, 1, results.n)
  end,
}

for place, run in pairs(places) do
  for kind, make in pairs {plain = numbers, awaiting = awaited_numbers} do
    describe(("a loop over a generator (%s, on %s)"):format(kind, place),
      function()
        it("closes it when it breaks", function()
          assert.same({true}, {run(function()
            for i in make() do
              note(i)
              if i == 2 then break end
            end
            note "after"
          end)})
          assert.same({"1", "2", "closes generator", "after"}, log)
        end)

        it("closes it when it returns", function()
          assert.same({true, "result"}, {run(function()
            for i in make() do
              note(i)
              return "result"
            end
          end)})
          assert.same({"1", "closes generator"}, log)
        end)

        it("closes it when an error leaves it", function()
          local err = {}
          local ok, reason = run(function()
            for i in make() do
              note(i)
              error(err)
            end
          end)
          assert.is_false(ok)
          assert.equal(err, reason)
          assert.same({"1", "closes generator"}, log)
        end)

        it("closes nothing when it ran to the end", function()
          assert.same({true}, {run(function()
            for i in make() do note(i) end
            note "after"
          end)})
          assert.same({"1", "2", "3", "ends", "closes generator", "after"},
            log)
        end)

        it("closes nothing when the generator fails", function()
          local ok, reason = run(function()
            for _ in Promise.wrap(function()
              local _ <close> = closing "generator"
              coroutine.yield(1)
              if kind == "awaiting" then await(Promise.resolve()) end
              error("boom", 0)
            end) do note "turn" end
          end)
          assert.same({false, "boom"}, {ok, reason})
          assert.same({"turn", "closes generator"}, log)
        end)

        it("awaits in closing when the generator fails", function()
          local ok, reason = run(function()
            for _ in Promise.wrap(function()
              local _ <close> = closing("generator", function(err)
                note(await(Promise.resolve("awaits")), err)
              end)
              if kind == "awaiting" then await(Promise.resolve()) end
              coroutine.yield(1)
              error("boom", 0)
            end) do note "turn" end
          end)
          assert.same({false, "boom"}, {ok, reason})
          assert.same({"turn", "closes generator", "awaits boom"}, log)
        end)

        it("can't await in closing when it is left early", function()
          local ok, reason = run(function()
            for _ in make(function() await(Promise.resolve()) end) do
              break
            end
          end)
          assert.is_false(ok)
          assert.matches("can't await", reason)
        end)

        it("raises an error in closing", function()
          assert.same({false, "close"}, {run(function()
            for _ in make(function() error("close", 0) end) do break end
          end)})
        end)

        it("raises an error in closing in the place of another", function()
          assert.same({false, "close"}, {run(function()
            for _ in make(function() error("close", 0) end) do
              error("body", 0)
            end
          end)})
        end)

        it("closes nested ones from the inside out", function()
          local function nested()
            return Promise.wrap(function()
              local _ <close> = closing "outer"
              for i in make() do coroutine.yield(i) end
            end)
          end
          assert.same({true}, {run(function()
            for _ in nested() do break end
          end)})
          assert.same({"closes generator", "closes outer"}, log)
        end)
      end)
  end
end

describe("a generator", function()
  it("is closed when the loop awaits and is cancelled", function()
    local p = Promise.spawn(function()
      for _ in numbers() do await(Promise.new(function() end)) end
    end)
    p:cancel "why"
    assert.equal("why", select(2, helper.outcome(p)).reason)
    assert.same({"closes generator"}, log)
  end)

  it("is closed when it awaits and is cancelled", function()
    local seen
    local p = Promise.spawn(function()
      for _ in Promise.wrap(function()
        local _ <close> = closing("generator", function(err) seen = err end)
        await(Promise.new(function() end))
      end) do note "never" end
    end)
    p:cancel "why"
    local _, reason = helper.outcome(p)
    assert.equal("why", reason.reason)
    assert.equal(reason, seen)
    assert.same({"closes generator"}, log)
  end)

  it("can't be read after the loop was left", function()
    local generate = table.pack(numbers())
    for _ in table.unpack(generate, 1, generate.n) do break end
    local ok, err = pcall(generate[1])
    assert.is_false(ok)
    assert.matches("cannot resume dead coroutine", err)
  end)

  it("goes on in another loop if only its function was given", function()
    local generate = numbers()
    for i in generate do
      note(i)
      break
    end
    for i in generate do note(i) end
    assert.same({"1", "2", "3", "ends", "closes generator"}, log)
  end)

  it("that leaves the loop of its own consumer closes by itself", function()
    local step, state, control, own
    step, state, control, own = Promise.wrap(function()
      local _ <close> = closing "generator"
      do
        local _ <close> = own
      end
      note "goes on"
      coroutine.yield(1)
      note "ends"
    end)
    assert.equal(1, step(state, control))
    assert.is_nil((step(state, control)))
    assert.same({"goes on", "ends", "closes generator"}, log)
  end)

  it("is not what is closed in its place", function()
    local _, _, _, closer = numbers()
    assert.is_nil(getmetatable(closer).__close(io.stdout))
    assert.equal("file", io.type(io.stdout))
  end)

  it("is closed once, however often its closing value is", function()
    local results = table.pack(Promise.wrap(function()
      coroutine.yield "first"
      return "last"
    end))
    local step, _, _, closer = table.unpack(results, 1, results.n)
    assert.equal("first", step())
    do local _ <close> = closer end
    do local _ <close> = closer end
    assert.is_false(pcall(step))
  end)
end)
