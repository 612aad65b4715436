local Promise = require "cpromise"
local helper = require "spec.helper"

-- The names that the programs below use.
local env = {
  P = Promise,
  Promise = Promise,
  p = Promise.resolve(1),
  error = error,
  math = math,
  pcall = pcall,
  print = print,
  setmetatable = setmetatable,
  coroutine = coroutine,
}

-- The error of a program, whose code is in lines of its own.
local function error_of(code)
  local ok, err = pcall(load(code, "=prog", "t", env))
  assert.is_false(ok, code .. " raises nothing")
  return err
end

-- Declare that `P.name(args)` raises "bad argument #1" with this message,
-- whichever way it is called.
local function bad(name, args, message)
  local expected = ("prog:2: bad argument #1 to '%s' (%s)"):format(
    name, message)
  local list = args == "" and "" or ", " .. args

  it(("refuses P.%s(%s)"):format(name, args), function()
    assert.equal(expected,
      error_of(("\nP.%s(%s)"):format(name, args)))
  end)

  it(("refuses pcall(P.%s%s)"):format(name, list), function()
    assert.equal(expected,
      error_of(("\nlocal _, e = pcall(P.%s%s)\nerror(e, 0)"):format(
        name, list)))
  end)
end

-- `{args, the type that Lua sees}`
local not_callable = {
  {"nil", "nil"},
  {"false", "boolean"},
  {"1", "number"},
  {"'print'", "string"},
  {"{}", "table"},
  {"p", "promise"},
  {"setmetatable({}, {__name = 'Widget'})", "Widget"},
}

-- What is said of one of them.
local function told(case, hint)
  if case[1] ~= "p" then hint = "" end
  return "callable expected, got " .. case[2] ..
    (hint or ": give the function, not its call")
end

local function refuses_what_is_not_callable(name, hint)
  for _, case in ipairs(not_callable) do
    bad(name, case[1], told(case, hint))
  end
end

describe("a wrong argument", function()
  it("leaves no job and no rejection behind", function()
    helper.drain()
    local seen = helper.unhandled(function()
      for _, call in ipairs {"new(1)", "try(1)", "all(1)", "race(1)",
                             "allKeyed(1)", "queueMicrotask(1)",
                             "drain(-1)", "delay(-1)", "promisify(1)"} do
        error_of("P." .. call)
      end
      assert.equal(0, Promise.drain())
    end)
    assert.same({}, seen)
  end)

  it("is told with the position of the innermost Lua code", function()
    assert.matches("^prog:3: ", error_of(
      "local function f()\n  local function g()\n    P.new(1)\n" ..
      "  end\n  g()\nend\nf()"))
    assert.matches("^prog:2: ", error_of(
      "local co = coroutine.create(function()\n  P.new(1)\nend)\n" ..
      "local _, e = coroutine.resume(co)\nerror(e, 0)"))
  end)

  it("is told with the position of a call through two pcalls", function()
    assert.equal("prog:2: bad argument #1 to 'new' " ..
      "(callable expected, got nil)",
      error_of("\nlocal _, _, e = pcall(pcall, P.new, nil)\nerror(e, 0)"))
  end)

  it("is named as the caller names the function", function()
    assert.equal("prog:1: bad argument #1 to 'make' " ..
      "(callable expected, got number)",
      error_of "local make = P.new make(1)")
  end)
end)

describe("Promise.new", function()
  refuses_what_is_not_callable "new"
  bad("new", "", "callable expected, got no value")
end)

describe("Promise(x)", function()
  it("counts x as argument 1", function()
    for _, case in ipairs(not_callable) do
      assert.equal(
        ("prog:2: bad argument #1 to 'Promise' (%s)"):format(told(case)),
        error_of(("\nPromise(%s)"):format(case[1])))
    end
    assert.equal("prog:1: bad argument #1 to 'Promise' " ..
      "(callable expected, got no value)", error_of "Promise()")
  end)

  it("is named 'new' where the call has no name", function()
    assert.equal(
      "prog:1: bad argument #1 to 'new' (callable expected, got number)",
      error_of "local _, e = pcall(Promise, 1) error(e, 0)")
  end)
end)

describe("Promise.try", function()
  refuses_what_is_not_callable "try"
  bad("try", "", "callable expected, got no value")
  bad("try", "nil, 1, 2", "callable expected, got nil")
end)

for _, name in ipairs {"all", "allSettled", "any", "race"} do
  describe("Promise." .. name, function()
    bad(name, "", "iterable expected, got no value")
    bad(name, "nil", "iterable expected, got nil")
    bad(name, "true", "iterable expected, got boolean")
    bad(name, "12", "iterable expected, got number")
    bad(name, "'abc'", "iterable expected, got string")
    bad(name, "p",
      "iterable expected, got promise: give promises in a table")
    bad(name, "coroutine.create(print)", "iterable expected, got thread")
  end)
end

for _, name in ipairs {"allKeyed", "allSettledKeyed"} do
  describe("Promise." .. name, function()
    bad(name, "", "table expected, got no value")
    bad(name, "nil", "table expected, got nil")
    bad(name, "12", "table expected, got number")
    bad(name, "'abc'", "table expected, got string")
    bad(name, "print", "table expected, got function")
    bad(name, "p", "table expected, got promise")
  end)
end

describe("Promise.drain", function()
  bad("drain", "-1", "must not be negative")
  bad("drain", "math.mininteger", "must not be negative")
  bad("drain", "1.5", "integer expected, got number")
  bad("drain", "0/0", "integer expected, got number")
  bad("drain", "1/0", "integer expected, got number")
  bad("drain", "'1'", "integer expected, got string")
  bad("drain", "{}", "integer expected, got table")
  bad("drain", "false", "integer expected, got boolean")

  it("refuses to be called as a method", function()
    assert.equal("prog:1: calling 'drain' on bad self " ..
      "(it is the module itself: use '.', not ':')", error_of "P:drain()")
  end)

  it("runs nothing when its argument is wrong", function()
    local ran = false
    Promise.queueMicrotask(function() ran = true end)
    error_of "P.drain(-1)"
    assert.is_false(ran)
    assert.equal(1, helper.drain())
    assert.is_true(ran)
  end)

  it("raises inside a job as well", function()
    local err
    Promise.queueMicrotask(function() err = error_of "P.drain(-1)" end)
    helper.drain()
    assert.equal(
      "prog:1: bad argument #1 to 'drain' (must not be negative)", err)
  end)
end)

describe("Promise.queueMicrotask", function()
  refuses_what_is_not_callable "queueMicrotask"
  bad("queueMicrotask", "", "callable expected, got no value")
  bad("queueMicrotask", "nil, 1, 2", "callable expected, got nil")
end)

describe("Promise.onUnhandledRejection", function()
  for i = 2, #not_callable do
    local case = not_callable[i]
    bad("onUnhandledRejection", case[1],
      told(case))
  end

  it("keeps the hook when its argument is wrong", function()
    local function hook() end
    local previous = Promise.onUnhandledRejection(hook)
    error_of "P.onUnhandledRejection(1)"
    assert.equal(hook, Promise.onUnhandledRejection(previous))
  end)
end)

describe("Promise.setLoop", function()
  local names = {"wake", "step", "now", "timer", "cancel", "inside"}

  local function whole_loop()
    local loop = {}
    for _, name in ipairs(names) do loop[name] = function() end end
    return loop
  end

  bad("setLoop", "false", "loop expected, got boolean")
  bad("setLoop", "1", "loop expected, got number")
  bad("setLoop", "'luv'", "loop expected, got string")
  bad("setLoop", "print", "loop expected, got function")
  bad("setLoop", "p", "loop expected, got promise")
  bad("setLoop", "{}", "a loop has a function 'wake'")

  for _, name in ipairs(names) do
    it(("names the function '%s' when it is missing"):format(name),
      function()
        for _, value in ipairs {false, 1, {}} do
          env.loop = whole_loop()
          env.loop[name] = value or nil
          assert.equal("prog:1: bad argument #1 to 'setLoop' " ..
            ("(a loop has a function '%s')"):format(name),
            error_of "P.setLoop(loop)")
        end
      end)
  end

  it("keeps the loop when its argument is wrong", function()
    local loop = whole_loop()
    Promise.setLoop(loop)
    error_of "P.setLoop(1)"
    error_of "P.setLoop({wake = print})"
    local kept = Promise.loop()
    Promise.setLoop(nil)
    assert.equal(loop, kept)
  end)
end)

describe("Promise.delay", function()
  bad("delay", "nil", "number expected, got nil")
  bad("delay", "'1'", "number expected, got string")
  bad("delay", "{}", "number expected, got table")
  bad("delay", "p", "number expected, got promise")
  bad("delay", "print", "number expected, got function")
  bad("delay", "-1", "must not be negative")
  bad("delay", "-1/0", "must not be negative")
  bad("delay", "0/0", "not a number (NaN)")
end)

describe("Promise.promisify", function()
  refuses_what_is_not_callable("promisify",
    ": give the function, not its call")

  it("accepts a callable that hides its metatable", function()
    local hidden = {__call = function() end, __metatable = false}
    assert.equal("function",
      type(Promise.promisify(setmetatable({}, hidden))))
  end)
end)

env.method = {}
for _, name in ipairs {"next", "andThen", "then", "catch", "finally",
                       "status"} do
  env.method[name] = env.p[name]

  describe("p." .. name, function()
    local function expected(got)
      return ("prog:2: bad argument #1 to '%s' (%s)"):format(name,
        got and "promise expected, got " .. got .. ": use ':', not '.'" or
          "it is the module itself: use '.', not ':'")
    end

    for _, case in ipairs {
      {"nil", "nil"},
      {"1", "number"},
      {"'p'", "string"},
      {"{}", "table"},
      {"method", "table"},
      {"P"},
      {"print, print", "function"},
      {"{}, print, print", "table"},
    } do
      it(("refuses to be called with (%s)"):format(case[1]), function()
        assert.equal(expected(case[2]),
          error_of(("\nmethod['%s'](%s)"):format(name, case[1])))
      end)
    end

    it("refuses what is no promise through pcall, too", function()
      local err = error_of(
        ("\nlocal _, e = pcall(method['%s'], 1)\nerror(e, 0)")
          :format(name))
      -- 'andThen' and 'then' may be called by their first name here
      err = err:gsub("'next'", "'" .. name .. "'")
      assert.equal(expected "number", err)
    end)

    if name ~= "then" then -- that is no name for Lua
      it("refuses a self that is no promise", function()
        assert.equal(("prog:1: calling '%s' on bad self " ..
          "(promise expected, got table)"):format(name),
          error_of(("method:%s(print)"):format(name)))
      end)
    end
  end)
end

-- The first line of the error of a program, at line 2 of it.
local function says(code, message)
  it(("is told at the line of %s"):format(code), function()
    assert.equal("prog:2: " .. message, error_of("\n" .. code))
  end)
end

describe("a dot in the place of a colon", function()
  for _, case in ipairs {
    {"p.next(print)", "next", "promise expected, got function"},
    {"p.timeout(1)", "timeout", "promise expected, got number"},
    {"p.cancel()", "cancel", "promise expected, got no value"},
    {"P.semaphore(1).acquire()", "acquire",
      "semaphore expected, got no value"},
    {"P.channel(1).send(1)", "send", "channel expected, got number"},
    {"P.event().set()", "set", "event expected, got no value"},
  } do
    it("is told of: " .. case[1], function()
      assert.equal(("prog:1: bad argument #1 to '%s' (%s: use ':', not '.')")
        :format(case[2], case[3]), error_of(case[1]))
    end)
  end
end)

describe("a promise in the place of a function", function()
  for _, name in ipairs {"async", "spawn", "try", "wrap", "queueMicrotask"} do
    it("is told of: " .. name, function()
      assert.equal(("prog:1: bad argument #1 to '%s' (callable expected, " ..
        "got promise: give the function, not its call)"):format(name),
        error_of(("P.%s(p)"):format(name)))
    end)
  end
end)

describe("a function of the module, looked for in a promise", function()
  it("is told of", function()
    assert.equal("prog:1: a promise has no field 'shield': await it " ..
      "first, or is it Promise.shield(p)?", error_of "p:shield()")
    assert.equal("prog:1: a promise has no field 'name': await it first",
      error_of "p.name = p.name .. p.name")
  end)
end)

describe("Promise.from", function()
  it("has no messages of its own lines", function()
    for _, value in ipairs {"1", "nil", "print", "'text'"} do
      assert.matches("^prog:1: bad argument #1 to 'from' %(promise " ..
        "expected, got %a+: %a+ without a method 'next'%)$",
        error_of(("P.from(%s)"):format(value)))
    end
  end)
end)

describe("Promise.traceback", function()
  it("takes a level, an integer", function()
    for _, level in ipairs {"'x'", "'12'", "1.5", "{}"} do
      assert.matches("^prog:1: bad argument #2 to 'traceback' %(integer " ..
        "expected, got %a+%)$",
        error_of(("P.traceback(3, %s)"):format(level)))
    end
  end)
end)

describe("a colon in the place of a dot", function()
  local message = "calling '%s' on bad self " ..
    "(it is the module itself: use '.', not ':')"
  for _, call in ipairs {
    "new(print)", "resolve(1)", "fulfill(1)", "reject(1)", "try(print)",
    "all {p}", "allSettled {p}", "any {p}", "race {p}", "select {p}",
    "allKeyed {a = p}", "allSettledKeyed {a = p}", "async(print)",
    "spawn(print)", "await(p)", "pawait(p)", "wrap(print)", "run(print)",
    "main(print)", "queueMicrotask(print)", "delay(1)", "interval(1)",
    "scope(print)", "map({}, print)", "retry(print)", "asCompleted {p}",
    "semaphore(1)", "channel(1)", "promisify(print)", "shield(p)",
    "onUnhandledRejection(print)", "onRejectionHandled(print)", "inspect(p)",
    "setLoop(nil)", "drain(1)", "is(p)",
  } do
    local name = call:match "%w+"
    says("P:" .. call, message:format(name))
    -- a call that is the last one of its function has the same line
    it(("is told at the line of return P:%s"):format(call), function()
      assert.matches("^prog:2: ",
        error_of("pcall(print, '', (pcall(function() end)))\n" ..
          "local function f() return P:" .. call .. " end f()"))
    end)
  end
end)

describe("a field that promises don't have", function()
  says("return p.name", "a promise has no field 'name': await it first")
  says("p:resolve()", "a promise has no field 'resolve': await it " ..
    "first, or is it Promise.resolve(p)?")
  says("return p[1]", "a promise has no field '1': await it first")
  says("p.x = 1", "a promise has no fields that can be set")

  it("leaves the methods as they are", function()
    for _, name in ipairs {"next", "andThen", "then", "catch", "finally",
      "status", "traceback", "await", "cancel", "timeout", "ignore"} do
      assert.is_function(Promise.resolve()[name])
    end
  end)
end)

describe("a table with keys in the place of a sequence", function()
  for name, hint in pairs {
    all = ": use allKeyed", allSettled = ": use allSettledKeyed",
    any = "", race = "",
  } do
    says(("P.%s {a = p}"):format(name),
      ("bad argument #1 to '%s' (has keys, but no sequence%s)"):format(
        name, hint))
  end

  it("is none if a metamethod gives the elements, or none are there",
    function()
      for _, list in ipairs {
        {}, {n = 0}, {n = 2}, {nil, 1}, {[3] = 1},
        setmetatable({a = 1}, {__len = function() return 1 end}),
      } do
        assert.is_true(Promise.is(Promise.all(list)))
      end
      helper.drain()
    end)
end)

describe("promises that are given one by one", function()
  says("P.all(p, p)", "bad argument #1 to 'all' " ..
    "(iterable expected, got promise: give promises in a table)")
  for call, message in pairs {
    ["asCompleted(p)"] = "#1 to 'asCompleted' (iterable expected, " ..
      "got promise: give promises in a table)",
    ["map(p, print)"] = "#1 to 'map' (iterable expected, " ..
      "got promise: give promises in a table)",
    ["map({}, p)"] = "#2 to 'map' (callable expected, " ..
      "got promise: give the function, not its call)",
    ["retry(p)"] = "#1 to 'retry' (callable expected, " ..
      "got promise: give the function, not its call)",
    ["scope(p)"] = "#1 to 'scope' (callable expected, " ..
      "got promise: give the function, not its call)",
    ["main(p)"] = "#1 to 'main' (callable expected, " ..
      "got promise: give the function, not its call)",
  } do
    says("P." .. call, "bad argument " .. message)
  end

  says("P.run(p)", "bad argument #1 to 'run' " ..
    "(callable expected, got promise; to wait for a promise use await)")
end)
