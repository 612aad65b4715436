local Promise = require "cpromise"
local child = require "spec.child"
local helper = require "spec.helper"

local drain, unhandled = helper.drain, helper.unhandled

-- The reasons in a list of reports, in their order.
local function reasons(reports)
  local list = {}
  for i, report in ipairs(reports) do list[i] = report.reason end
  return list
end

-- The interpreter that runs this.
local function interpreter()
  local i = 0
  while arg and arg[i - 1] do i = i - 1 end
  return i < 0 and arg[i] or "lua5.4"
end

-- What a program writes, to its standard error, too, when it runs in a
-- process of its own. Options: `redirect`, other than "2>&1"; `fails`: it
-- must not end well.
local function output_of(program, options)
  options = options or {}
  local pipe = assert(io.popen(
    ("%s - %s <<'END'\nlocal Promise = require 'cpromise'\n%s\nEND"):format(
      interpreter(), options.redirect or "2>&1", program)))
  local output = pipe:read "a"
  local ended_well = pipe:close() or false
  assert.equal(not options.fails, ended_well, output)
  return output
end

describe("a rejection that nobody handles", function()
  it("is reported with its reason and its promise", function()
    local promise
    local reports = unhandled(function() promise = Promise.reject "boom" end)
    assert.equal(1, #reports)
    assert.equal("boom", reports[1].reason)
    assert.equal(promise, reports[1].promise)
  end)

  it("is reported for any reason", function()
    local any = {{}, false, 0, print, Promise.resolve(1), n = 6}
    local reports = unhandled(function()
      for i = 1, any.n do Promise.reject(any[i]) end
    end)
    assert.equal(any.n, #reports)
    for i = 1, any.n do assert.equal(any[i], reports[i].reason) end
  end)

  it("is reported once", function()
    local promise
    local reports = unhandled(function()
      promise = Promise.reject "boom"
      drain()
      drain()
      Promise.queueMicrotask(function() end)
      drain()
    end)
    assert.equal(1, #reports)
    local again = unhandled(function()
      promise:catch(function() end)
      drain()
    end)
    assert.same({}, again)
  end)

  it("is reported after all jobs have run, not before", function()
    local log = {}
    local previous = Promise.onUnhandledRejection(function(reason)
      log[#log + 1] = reason
    end)
    Promise.reject "report"
    assert.same({}, log)
    Promise.resolve():next(function() end):next(function()
      log[#log + 1] = "last job"
    end)
    drain()
    Promise.onUnhandledRejection(previous)
    assert.same({"last job", "report"}, log)
  end)

  it("is reported by the drain that empties the queue", function()
    local count = 0
    local previous = Promise.onUnhandledRejection(function()
      count = count + 1
    end)
    Promise.reject "boom"
    for _ = 1, 3 do Promise.queueMicrotask(function() end) end
    Promise.drain(2)
    assert.equal(0, count)
    Promise.drain(1)
    Promise.onUnhandledRejection(previous)
    assert.equal(1, count)
  end)

  it("is reported in the order of rejection", function()
    local reports = unhandled(function()
      local first, _, reject_first = Promise.withResolvers()
      local second, _, reject_second = Promise.withResolvers()
      assert.not_equal(first, second)
      reject_second "second"
      reject_first "first"
      Promise.resolve():next(function() error("third", 0) end)
    end)
    assert.same({"second", "first", "third"}, reasons(reports))
  end)

  it("is reported when a reason is its own promise's", function()
    local reports = unhandled(function()
      local promise, resolve = Promise.withResolvers()
      resolve(promise)
    end)
    assert.equal(1, #reports)
    assert.matches("^TypeError", reports[1].reason)
  end)

  local handled = {
    ["catch"] = function(promise) promise:catch(function() end) end,
    ["next with onRejected"] = function(promise)
      promise:next(nil, function() end)
    end,
    ["next and catch"] = function(promise)
      promise:next(print):catch(function() end)
    end,
    ["finally and catch"] = function(promise)
      promise:finally(function() end):catch(function() end)
    end,
    ["a promise that follows and is caught"] = function(promise)
      Promise.new(function(resolve) resolve(promise) end)
        :catch(function() end)
    end,
    ["allSettled"] = function(promise) Promise.allSettled {promise} end,
    ["allSettledKeyed"] = function(promise)
      Promise.allSettledKeyed {a = promise}
    end,
    ["any that is fulfilled"] = function(promise)
      Promise.any {promise, 1}
    end,
    ["race that is fulfilled"] = function(promise)
      Promise.race {1, promise}
    end,
  }

  for how, handle in pairs(handled) do
    it("is not reported when handled at once: " .. how, function()
      assert.same({}, unhandled(function()
        handle(Promise.reject "boom")
      end))
    end)

    it("is not reported when handled in a later job: " .. how, function()
      assert.same({}, unhandled(function()
        local promise = Promise.reject "boom"
        Promise.resolve():next(function() end):next(function()
          handle(promise)
        end)
      end))
    end)

    it("is not reported when handled before: " .. how, function()
      assert.same({}, unhandled(function()
        local promise, _, reject = Promise.withResolvers()
        handle(promise)
        Promise.queueMicrotask(reject, "boom")
      end))
    end)
  end

  it("is not reported for a handler that the drain still runs", function()
    assert.same({}, unhandled(function()
      local promise = Promise.reject "boom"
      Promise.queueMicrotask(function()
        Promise.queueMicrotask(function()
          promise:catch(function() end)
        end)
      end)
    end))
  end)

  it("is reported for the derived promise, not its source", function()
    local derive = {
      function(promise) return promise:next() end,
      function(promise) return promise:next(print) end,
      function(promise) return promise:catch() end,
      function(promise) return promise:finally(function() end) end,
      function(promise)
        return Promise.new(function(resolve) resolve(promise) end)
      end,
      function(promise) return Promise.all {promise, 1} end,
      function(promise) return Promise.allKeyed {a = promise} end,
      function(promise) return Promise.race {promise, 1} end,
    }
    for _, make in ipairs(derive) do
      local derived
      local reports = unhandled(function()
        derived = make(Promise.reject "boom")
      end)
      assert.equal(1, #reports)
      assert.equal("boom", reports[1].reason)
      assert.equal(derived, reports[1].promise)
    end
  end)

  it("is reported for each derived promise by its own", function()
    local promise = Promise.reject "boom"
    local a, b
    local reports = unhandled(function()
      a = promise:next(print)
      b = promise:finally(function() end)
      promise:catch(function() end)
    end)
    assert.equal(2, #reports)
    assert.equal(a, reports[1].promise)
    assert.equal(b, reports[2].promise)
  end)

  it("is reported for a handler that raises", function()
    local derived
    local reports = unhandled(function()
      derived = Promise.reject "first"
        :catch(function() error("second", 0) end)
    end)
    assert.same({"second"}, reasons(reports))
    assert.equal(derived, reports[1].promise)
  end)

  it("is reported once for 'any' of which all reject", function()
    local reports = unhandled(function()
      Promise.any {Promise.reject(1), Promise.reject(2)}
    end)
    assert.equal(1, #reports)
    assert.is_true(Promise.isAggregate(reports[1].reason))
  end)

  it("is reported though nobody holds its promise", function()
    local reports = unhandled(function()
      Promise.reject "boom"
      helper.collect()
    end)
    assert.same({"boom"}, reasons(reports))
    assert.is_true(Promise.is(reports[1].promise))
  end)
end)

describe("an error in a microtask", function()
  it("is reported without a promise", function()
    local reason = {}
    local reports = unhandled(function()
      Promise.queueMicrotask(error, reason)
    end)
    assert.equal(1, #reports)
    assert.equal(reason, reports[1].reason)
    assert.is_nil(reports[1].promise)
  end)

  it("is reported when it is nil", function()
    local calls = {}
    local previous = Promise.onUnhandledRejection(function(...)
      calls[#calls + 1] = table.pack(...)
    end)
    Promise.queueMicrotask(error)
    drain()
    Promise.onUnhandledRejection(previous)
    assert.equal(1, #calls)
    assert.equal(helper.thrown(nil), calls[1][1])
    assert.is_nil(calls[1][2])
  end)

  it("stops no other job", function()
    local log = {}
    unhandled(function()
      Promise.queueMicrotask(function() log[#log + 1] = 1 end)
      Promise.queueMicrotask(error, "boom")
      Promise.queueMicrotask(function() log[#log + 1] = 2 end)
    end)
    assert.same({1, 2}, log)
  end)

  it("is reported in turn with rejections", function()
    local reports = unhandled(function()
      Promise.queueMicrotask(Promise.reject, 1)
      Promise.queueMicrotask(error, 2)
      Promise.queueMicrotask(Promise.reject, 3)
    end)
    assert.same({1, 2, 3}, reasons(reports))
  end)
end)

describe("Promise.onUnhandledRejection", function()
  it("returns the previous hook", function()
    local function first() end
    local function second() end
    local before = Promise.onUnhandledRejection(first)
    assert.equal(first, Promise.onUnhandledRejection(second))
    assert.equal(second, Promise.onUnhandledRejection(nil))
    assert.is_nil(Promise.onUnhandledRejection(before))
  end)

  it("takes a callable table", function()
    local seen
    local previous = Promise.onUnhandledRejection(setmetatable({}, {
      __call = function(_, reason) seen = reason end,
    }))
    Promise.reject "boom"
    drain()
    Promise.onUnhandledRejection(previous)
    assert.equal("boom", seen)
  end)

  -- Run a block with a hook, then all jobs.
  local function with_hook(hook, block)
    local previous = Promise.onUnhandledRejection(hook)
    block()
    drain()
    Promise.onUnhandledRejection(previous)
  end

  it("uses the hook that is set when the drain ends", function()
    local seen
    with_hook(function() seen = "first" end, function()
      Promise.reject "boom"
      Promise.queueMicrotask(function()
        Promise.onUnhandledRejection(function() seen = "second" end)
      end)
    end)
    assert.equal("second", seen)
  end)

  it("runs the jobs that the hook queues in the same drain", function()
    local ran = false
    with_hook(function()
      Promise.queueMicrotask(function() ran = true end)
    end, function() Promise.reject "boom" end)
    assert.is_true(ran)
  end)

  it("reports what the hook rejects, too", function()
    local seen = {}
    with_hook(function(reason)
      seen[#seen + 1] = reason
      if reason < 3 then Promise.reject(reason + 1) end
    end, function() Promise.reject(1) end)
    assert.same({1, 2, 3}, seen)
  end)

  it("prints what the hook rejects without end, and goes on", function()
    local output = output_of [[
      local n = 0
      Promise.onUnhandledRejection(function()
        n = n + 1
        if n == 102 then return end
        Promise.reject "again"
        Promise.reject "again"
      end)
      Promise.reject "once"
      Promise.drain()
      print(n)
      Promise.reject "later"
      Promise.drain()
      print(n)
    ]]
    local line = "cpromise: unhandled rejection: again\n"
    assert.equal(line:rep(102) .. "101\n102\n", output)
  end)

  it("skips a rejection that the hook handles for another", function()
    local seen = {}
    local second
    with_hook(function(reason)
      seen[#seen + 1] = reason
      second:catch(function() end)
    end, function()
      Promise.reject(1)
      second = Promise.reject(2)
    end)
    assert.same({1}, seen)
  end)

  it("reports no rejection twice when the hook drains", function()
    local seen = {}
    with_hook(function(reason)
      seen[#seen + 1] = {reason, drain()}
    end, function()
      Promise.reject(1)
      Promise.reject(2)
    end)
    assert.same({{1, 0}, {2, 0}}, seen)
  end)
end)

describe("the default report", function()
  it("shows the reason on standard error", function()
    assert.equal("cpromise: unhandled rejection: boom\n",
      output_of [[Promise.reject "boom" Promise.drain()]])
  end)

  it("leaves standard output alone", function()
    assert.equal("", output_of([[Promise.reject "boom" Promise.drain()]],
      {redirect = "2>/dev/null"}))
  end)

  it("shows reasons of every kind", function()
    assert.equal([[
cpromise: unhandled rejection: nil
cpromise: unhandled rejection: false
cpromise: unhandled rejection: 1.5
cpromise: unhandled rejection: shown
]], output_of [[
      Promise.reject(nil)
      Promise.reject(false)
      Promise.reject(1.5)
      Promise.reject(setmetatable({}, {
        __tostring = function() return "shown" end,
      }))
      Promise.drain()]])
  end)

  it("survives reasons that can't be shown", function()
    local line = "cpromise: unhandled rejection: " ..
      "(a reason that can't be shown)\n"
    assert.equal(line .. line .. "cpromise: unhandled rejection: last\n",
      output_of [[
        local function reject(tostring)
          Promise.reject(setmetatable({}, {__tostring = tostring}))
        end
        reject(function() error "no" end)
        reject(function() return nil end)
        Promise.reject "last"
        Promise.drain()]])
  end)

  it("tells an error in a microtask from a rejection", function()
    assert.matches("^cpromise: unhandled error: stdin:2: boom\n",
      output_of [[
Promise.queueMicrotask(function() error "boom" end)
Promise.drain()]])
  end)

  it("comes back when the hook is nil", function()
    assert.equal("hook: 1\ncpromise: unhandled rejection: 2\n", output_of [[
      Promise.onUnhandledRejection(function(reason)
        io.stderr:write("hook: ", reason, "\n")
      end)
      Promise.reject(1)
      Promise.drain()
      Promise.onUnhandledRejection(nil)
      Promise.reject(2)
      Promise.drain()]])
  end)

  it("replaces a hook that raises", function()
    assert.equal([[
cpromise: unhandled rejection: boom
cpromise: error in the hook for that: broken
cpromise: unhandled rejection: again
cpromise: error in the hook for that: broken
]], child.without_tracebacks(output_of [[
      Promise.onUnhandledRejection(function() error("broken", 0) end)
      Promise.reject "boom"
      Promise.reject "again"
      Promise.drain()]]))
  end)

  it("replaces a hook that raises for a microtask", function()
    local output = output_of [[
      Promise.onUnhandledRejection(function() error("broken", 0) end)
      Promise.queueMicrotask(error, "boom")
      Promise.drain()]]
    assert.matches("^cpromise: unhandled error: boom\n", output)
    assert.matches("\ncpromise: error in the hook for that: broken\n",
      output)
  end)

  it("comes before the end of the program in Promise.run()", function()
    assert.equal("cpromise: unhandled rejection: boom\nend\n", output_of [[
      package.preload.luv = function() error "no luv here" end
      package.preload.cqueues = package.preload.luv
      Promise.reject "boom"
      Promise.run()
      print "end"]])
  end)
end)

describe("a table in the default report", function()
  local function shown(expression)
    local text = output_of(
      ("Promise.reject(%s) Promise.drain()"):format(expression))
    return (text:gsub("^cpromise: unhandled rejection: (.*)\n$", "%1"))
  end

  for title, case in pairs {
    ["shows its fields, sorted"] = {
      '{code = 404, name = "kiwi", [2] = 1.5, [true] = false}',
      '{[2] = 1.5, code = 404, name = "kiwi", [true] = false}'},
    ["shows the elements of a sequence first"] =
      {'{"a", "b", n = 2}', '{"a", "b", n = 2}'},
    ["shows a few levels"] =
      {"{a = {b = {c = {d = {e = 1}}}}}", "{a = {b = {c = {d = {...}}}}}"},
    ["shows a cycle as one"] = {"(function()\n" ..
      "local t = {} t.self = t return t end)()", "{self = {cycle}}"},
    ["shows a table twice that is no cycle"] = {"(function()\n" ..
      "local t = {1} return {t, t} end)()", "{{1}, {1}}"},
    ["shows what has a name by that"] =
      {"setmetatable({1}, {__name = 'Point'})", "Point {1}"},
    ["asks __tostring first"] = {"setmetatable({1}, {__tostring =\n" ..
      "function() return 'text' end})", "text"},
    ["asks __tostring of what is in it"] =
      {"{setmetatable({1}, {__tostring =\n" ..
      "function() return 'text' end})}", "{text}"},
    ["survives a __tostring in it that raises"] =
      {"{setmetatable({1}, {__tostring = error})}",
      "{(a reason that can't be shown)}"},
    ["asks no other metamethod"] = {"setmetatable({a = 1},\n" ..
      "{__index = error, __pairs = error, __len = error})", "{a = 1}"},
    ["hides nothing behind __metatable"] =
      {"setmetatable({1}, {__metatable = 'no', __tostring =\n" ..
      "function() return 'text' end})", "text"},
    ["quotes keys"] = {"{['a b'] = 1, [{}] = 2}", '{["a b"] = 1, [{}] = 2}'},
    ["quotes strings"] = {[[{'say "hi"\\', 'line\nnext\t'}]],
      [[{"say \"hi\"\\", "line\nnext\t"}]]},
    ["cuts long strings"] = {"{('x'):rep(201)}",
      '{"' .. ("x"):rep(200) .. '..."}'},
    ["shows so many fields"] = {"(function() local t = {}\n" ..
      "for i = 1, 50 do t[i] = i end return t end)()",
      "{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, " ..
      "19, 20, ...}"},
    ["makes control characters visible"] =
      {[["bell \7 and escape \27[31m"]],
      "bell \\x07 and escape \\x1B[31m"},
    ["makes those of Unicode visible"] = {[["\u{9b}31m \u{e9}"]],
      "\\x9B31m \u{e9}"},
    ["makes bytes visible that are no text"] = {[["\xff\x9b"]],
      "\\xFF\\x9B"},
    ["keeps lines and tabs of a string"] = {[["a\n\tb"]], "a\n\tb"},
  } do
    it(title, function() assert.equal(case[2], shown(case[1])) end)
  end

  it("is shown in an aggregate error", function()
    assert.equal("AggregateError: All promises were rejected\n" ..
      "  1: {code = 1}\n  2: AggregateError: All promises were rejected\n" ..
      "    1: x\n  3: text", shown [[(select(2, Promise.run(function()
        return Promise.pawait(Promise.any {Promise.reject {code = 1},
          Promise.any {Promise.reject "x"}, Promise.reject "text"})
      end)))]])
  end)

  it("of any size takes little time and little text", function()
    local text = shown(([[(function()
      local t = {}
      for i = 1, %d do t["key" .. i] = {("long"):rep(100)} end
      return t
    end)()]]):format(math.max(100, helper.scaled(1e5))))
    assert.is_true(#text < 2000)
  end)

  it("of aggregates in one another is not shown without end", function()
    local text = shown [[(select(2, Promise.run(function()
      local reason = 1
      for _ = 1, 20 do
        reason = select(2, Promise.pawait(Promise.any {
          Promise.reject(reason), Promise.reject(reason)}))
      end
      return "", reason
    end)))]]
    assert.is_true(#text < 10000)
  end)

  it("makes a traceback harmless, too", function()
    local text = output_of [[
      Promise.queueMicrotask(load("error 'x'", "=\27[31m"))
      Promise.drain()]]
    assert.is_nil(text:find("\27", 1, true))
  end)
end)

describe("Promise.onRejectionHandled", function()
  local told, previous

  before_each(function()
    told = {}
    previous = Promise.onRejectionHandled(function(...)
      told[#told + 1] = table.pack(...)
    end)
  end)

  after_each(function() Promise.onRejectionHandled(previous) end)

  local function nop() end

  local ways = {
    ["a handler"] = function(p) p:catch(nop) end,
    ["an await"] = function(p)
      Promise.spawn(function() Promise.pawait(p) end)
    end,
    ["an await on the main thread"] = function(p)
      assert.is_false((Promise.pawait(p)))
    end,
    ["a combinator"] = function(p) Promise.allSettled {p} end,
  }
  for way, handle in pairs(ways) do
    it("tells of a handler that comes late: " .. way, function()
      local p
      assert.same({"late"}, reasons(unhandled(function()
        p = Promise.reject "late"
      end)))
      assert.same({}, told)
      handle(p)
      handle(p)
      drain()
      assert.same(1, #told)
      assert.equal("late", told[1][1])
      assert.equal(p, told[1][2])
    end)
  end

  it("tells nothing of what was not reported", function()
    assert.same({}, reasons(unhandled(function()
      Promise.reject(1):catch(nop)
      Promise.resolve(2):next(nop)
    end)))
    assert.same({}, told)
  end)

  it("lets no error in its hook stop the queue", function()
    local text = output_of [[
      Promise.onRejectionHandled(function() error("oops", 0) end)
      local p = Promise.reject(1)
      Promise.drain()
      p:catch(function() end)
      Promise.queueMicrotask(print, "goes on")
      Promise.drain()]]
    assert.matches("cpromise: handled after it was reported: 1\n" ..
      "cpromise: error in the hook for that: oops\n", text)
    assert.matches("goes on\n", text)
  end)

  it("returns the previous hook, and refuses what is not callable",
    function()
      local hook = Promise.onRejectionHandled(nil)
      assert.is_function(hook)
      assert.is_nil(Promise.onRejectionHandled(hook))
      assert.error_matches(function() Promise.onRejectionHandled(1) end,
        "bad argument #1 to 'onRejectionHandled'")
    end)

  it("reports a rejection once, however often it is let go", function()
    local p
    assert.same({"once"}, reasons(unhandled(function()
      p = Promise.reject "once"
    end)))
    p:catch(nop)
    drain()
    assert.same(1, #told)
  end)
end)

describe("p:ignore()", function()
  it("returns the promise, and keeps it out of the reports", function()
    assert.same({"not ignored"}, reasons(unhandled(function()
      local p = Promise.reject "ignored"
      assert.equal(p, p:ignore())
      Promise.reject "not ignored"
    end)))
  end)

  it("counts before it is rejected, too", function()
    assert.same({}, reasons(unhandled(function()
      local p, _, reject = Promise.withResolvers()
      p:ignore()
      reject "ignored"
    end)))
  end)

  it("is for that promise alone", function()
    assert.same({"derived"}, reasons(unhandled(function()
      Promise.reject "derived":ignore():next(print)
    end)))
  end)

  it("does not make it one that somebody waits for", function()
    local p = Promise.new(function() end):ignore()
    p:cancel()
    assert.equal("rejected", (p:status()))
  end)

  it("counts nothing at the end of the program", function()
    assert.equal("", output_of "Promise.reject(1):ignore()")
  end)

  it("refuses what is no promise", function()
    assert.error_matches(function()
      Promise.resolve().ignore(1)
    end, "promise expected, got number")
  end)
end)

describe("the end of a program", function()
  local advice = "; end the program with Promise.run()\n"

  local function says(message, program)
    assert.equal("cpromise: " .. message .. advice, output_of(program))
  end

  it("is silent when nothing is left", function()
    assert.equal("", output_of "")
    assert.equal("1\n", output_of [[
      Promise.resolve(1):next(print)
      Promise.reject(2):catch(function() end)
      Promise.drain()]])
  end)

  it("tells of timers that never fired", function()
    if not helper.has_luv then return pending "there is no luv" end
    says("1 timer never fired", "Promise.delay(1)")
    says("1 job never ran and 2 timers never fired", [[
      Promise.delay(1)
      Promise.delay(2)
      Promise.queueMicrotask(print)]])
  end)

  it("tells of calls that never ended", function()
    local never = "; nothing is left that could settle what they await\n"
    assert.equal("cpromise: 1 async call never ended" .. never, output_of [[
      Promise.spawn(function() Promise.new(function() end):await() end)
      Promise.run()]])
    assert.equal("cpromise: 2 async calls never ended" .. never, output_of [[
      for i = 1, 4 do
        Promise.spawn(function()
          for j = 1, 10 do Promise.await(Promise.resolve()) end
          if i > 2 then Promise.await(Promise.new(print)) end
        end)
      end
      Promise.run()]]:gsub("^function.-(cpromise)", "%1"))
    if not helper.has_luv then return end
    says("1 timer never fired and 1 async call never ended", [[
      Promise.spawn(function() Promise.delay(1):await() end)]])
  end)

  it("is silent about what is left behind on purpose", function()
    if not helper.has_luv then return pending "there is no luv" end
    assert.equal("", output_of [[
      Promise.spawn(function() Promise.delay(1):await() end)
      Promise.run(function() Promise.await(Promise.delay(0.001)) end)]])
    says("2 timers never fired", [[
      Promise.delay(1)
      Promise.run(function() Promise.await(Promise.delay(0.001)) end)
      Promise.delay(1)]])
  end)

  it("counts no call that was closed or cancelled", function()
    assert.equal("", output_of [[
      local never = Promise.new(function() end)
      local co
      local function wait()
        co = coroutine.running()
        Promise.await(never)
      end
      Promise.spawn(wait):ignore()
      coroutine.close(co)
      Promise.spawn(wait):cancel()
      local settled, resolve = Promise.withResolvers()
      never = settled
      Promise.spawn(wait):ignore()
      coroutine.close(co)
      resolve()
      Promise.run()]])
  end)

  it("is silent when promises are pending", function()
    assert.equal("", output_of [[
      Promise.new(function() end):next(print)
      Promise.resolve(1)
      Promise.drain()]])
  end)

  it("is silent when a rejection was reported", function()
    assert.equal("cpromise: unhandled rejection: 1\n", output_of [[
      Promise.reject(1)
      Promise.drain()]])
  end)

  it("tells that one job never ran", function()
    says("1 job never ran", "Promise.resolve(1):next(print)")
    says("1 job never ran", "Promise.queueMicrotask(print)")
  end)

  it("tells how many jobs never ran", function()
    says("2 jobs never ran", [[
      Promise.resolve(1):next(print)
      Promise.resolve(2):next(print)]])
    says("3 jobs never ran", [[
      local p, resolve = Promise.withResolvers()
      for _ = 1, 3 do p:next(print) end
      resolve()]])
    says("3 jobs never ran", [[
      local p = Promise.resolve(1)
      for _ = 1, 3 do p:next(print) end]])
  end)

  it("tells how many jobs were left by a partial drain", function()
    says("2 jobs never ran", [[
      local p, resolve = Promise.withResolvers()
      for _ = 1, 3 do p:next(function() end) end
      resolve()
      Promise.drain(1)]])
    says("2 jobs never ran", [[
      local p = Promise.resolve(1)
      for _ = 1, 3 do p:next(function() end) end
      Promise.drain(1)]])
  end)

  it("counts jobs of all kinds", function()
    says("6 jobs never ran", [[
      local p = Promise.resolve(1)
      Promise.queueMicrotask(print)
      Promise.resolve {next = print}
      Promise.new(function(resolve) resolve(p) end)
      Promise.all {1, p}
      Promise.reject(1):catch(print)]])
  end)

  it("tells that one rejection was never reported", function()
    says("1 rejection was never reported", "Promise.reject(1)")
  end)

  it("tells how many rejections were never reported", function()
    says("2 rejections were never reported", [[
      Promise.reject(1)
      Promise.reject(2)]])
  end)

  it("tells of jobs and rejections in one line", function()
    says("1 job never ran and 1 rejection was never reported", [[
      Promise.resolve(1):next(print)
      Promise.reject(2)]])
    says("2 jobs never ran and 2 rejections were never reported", [[
      Promise.resolve(1):next(print):next(print)
      Promise.queueMicrotask(print)
      Promise.reject(2)
      Promise.reject(3)]])
  end)

  it("counts no rejection that was handled later", function()
    says("1 job never ran", [[
      local p = Promise.reject(1)
      p:catch(print)]])
  end)

  it("tells it when the program fails, too", function()
    local output = output_of([[
      Promise.resolve(1):next(print)
      error("failed", 0)]], {fails = true})
    assert.matches("failed\n", output, 1, true)
    assert.matches("cpromise: 1 job never ran" .. advice, output, 1, true)
  end)
end)
