--- Makes random order programs (see order.lua), and makes them smaller.
---
--- A program is a tree of strings and tables. A table with `join` is a row
--- whose items can be left out: statements, or elements of a list. One with
--- `value = true` is an expression that a 0 can stand for. Any other table is
--- its parts, one after the other.
---
--- Programs that cancel have more of each kind, and scenes, in which what is
--- rare by chance happens often; the others are the same for a seed as if
--- there were no such thing.

local generator = {}

-- Bodies of functions in each other.
local MAX_DEPTH = 3

local Generator = {}
Generator.__index = Generator

-- Random integers from 1 to n, the same for a seed everywhere (xorshift*).
local function random_source(seed)
  local s = seed * 0x9E3779B97F4A7C15 | 1
  local function random(n)
    s = s ~ s << 13
    s = s ~ s >> 7
    s = s ~ s << 17
    return (s * 0x2545F4914F6CDD1D >> 33) % n + 1
  end
  for _ = 1, 4 do random(1) end -- seeds in a row begin alike
  return random
end

-- One of the entries {weight, method or other value, arguments...}; those
-- with a weight of false are left out.
function Generator:choose(entries)
  local total = 0
  for _, entry in ipairs(entries) do total = total + (entry[1] or 0) end
  local n = self.random(total)
  for _, entry in ipairs(entries) do
    n = n - (entry[1] or 0)
    if n <= 0 then return entry end
  end
end

function Generator:call(entries)
  local entry = self:choose(entries)
  return entry[2](self, table.unpack(entry, 3))
end

function Generator.text(_, text)
  return text
end

-- A name that was not there before.
function Generator:fresh(kind)
  self.names = self.names + 1
  return ('"%s%d"'):format(kind, self.names)
end

function Generator:number()
  self.names = self.names + 1
  return tostring(self.names)
end

-- The number of a promise, sometimes of one still to be made. Low ones are
-- likelier: so most promises follow older ones, and few wait in a circle.
function Generator:index()
  return tostring(self.random(self.random(self.promises + 1)))
end

function Generator:promise()
  return "p[" .. self:index() .. "]"
end

-- What the code at hand is inside of: its depth, whether it has a value `v`,
-- functions `r` and `j` that settle, or `c` that adds a cancel hook, and for
-- which promise it is.
local function inside(context, names)
  return {
    depth = context.depth + 1,
    own = context.own,
    v = context.v or names == "v",
    settles = context.settles or names == "r, j" or names == "r, j, c",
    adds = context.adds or names == "r, j, c",
  }
end

-- A function. `first` and `last` stand at the ends of its body.
function Generator:fn(context, names, first, last)
  local inner = inside(context, names)
  local body = {join = "\n", first}
  if inner.depth < MAX_DEPTH then
    self:statements(body, inner, self.random(3) - 1)
  end
  if last then body[#body + 1] = last(self, inner) end
  return {"function(", names, ")", body, "end"}
end

-- Values

function Generator:finish_settling(context)
  return self:call {
    {6, self.settle_own, context},
    {2, self.settle_own_later, context},
    {1, self.keep},
    {1, self.raise},
    {1, self.text, 'log("open")'},
  }
end

-- An executor, or the function of a thenable.
function Generator:settling_fn(context)
  return self:fn(context, "r, j", nil, self.finish_settling)
end

function Generator:thenable(context)
  local maker = self:choose {{3, "thenable"}, {2, "plain"}}[2]
  return {maker, "(", self:fresh "t", ", ",
    self:settling_fn(context), ")"}
end

-- One that is none until it was looked at some times.
function Generator:late_thenable(context)
  local skip = self.random(4)
  return {"thenable(", self:fresh "t", ", ",
    self:settling_fn(context), ", ", tostring(self.random(skip)), ")"}
end

-- An object without a method; looking for that does something.
function Generator:asked(context)
  return {"asked(", self:fresh "o", ", ", self:fn(context, ""), ")"}
end

function Generator:object()
  local maker = self:choose {{2, "thenable"}, {1, "trap"}}[2]
  return {maker, "(", self:fresh "o", ")"}
end

-- An element of a list is none that may be nil.
function Generator:element(context)
  local deep = context.depth >= MAX_DEPTH
  return {value = true, self:call {
    {5, self.number},
    {7, self.promise},
    {not deep and 2, self.thenable, context},
    {not deep and 1, self.late_thenable, context},
    {1, self.object},
    {self.cancels and not deep and 2, self.asked, context},
    {context.depth < 2 and 2, self.derived, context},
  }}
end

function Generator:value(context)
  return self:call {
    {8, self.element, context},
    {context.v and 2, self.text, "v"},
    {1, self.text, "nil"},
  }
end

function Generator:reason(context)
  return self:call {
    {6, self.fresh, "e"},
    {1, self.value, context},
  }
end

-- Handlers

function Generator:finish(context)
  return self:call {
    {5, function() return {"return ", self:value(context)} end},
    {1, self.raise},
    {1, self.text, "return"},
  }
end

function Generator:handler(context, names)
  local log = {"log(", self:fresh "h", names ~= "" and ", v" or "", ")"}
  return {value = true, self:call {
    {8, self.fn, context, names, log, self.finish},
    {2, function() return {"say(", self:fresh "s", ")"} end},
    {1, self.text, "nil"},
    {1, function() return {"resolver(", self:index(), ")"} end},
    {context.settles and 1, self.text, "r"},
    {context.settles and 1, self.text, "j"},
  }}
end

-- Async functions: their bodies, and blocks in these, can await

function Generator:await(context)
  -- in parentheses: one value, also where there is none
  return {"log(", self:fresh "a", ", (await(", self:value(context), ")))"}
end

-- What the running call was asked to end with, and an outcome as values.
function Generator:asked_with()
  return {"log(", self:fresh "q", ", Promise.cancelled())"}
end

function Generator:pawait(context)
  return {"log(", self:fresh "w", ", Promise.pawait(", self:value(context),
    "))"}
end

function Generator:block(context, first, last, awaited)
  local inner = inside(context)
  inner.awaits = inner.depth < MAX_DEPTH
  local body = {join = "\n", awaited and self:await(context) or nil}
  self:statements(body, inner, self.random(3))
  return {first, body, last}
end

function Generator:protected(context)
  return self:block(context, "xpcall(function()",
    {"end, caught(", self:fresh "c", "))"}, true)
end

function Generator:loop(context)
  local first = ("for i%d = 1, %d do"):format(context.depth, self.random(3))
  return self:block(context, first, "end", true)
end

function Generator:started(context)
  local last = self:call {
    {3, function() return {"return ", self:value(context)} end},
    {1, function() return {"return (await(", self:value(context), "))"} end},
    {1, self.raise},
    {1, self.text, "return"},
  }
  local inner = inside(context)
  inner.awaits = true
  local body = {join = "\n", {"log(", self:fresh "f", ")"}}
  self:statements(body, inner, self.random(5))
  body[#body + 1] = last
  return {"start(function()", body, "end)"}
end

-- Expressions that make a promise

function Generator:next(context)
  local both = self.random(4) == 1
  return {self:promise(), ":next(", self:handler(context, "v"),
    both and {", ", self:handler(context, "v")} or "", ")"}
end

function Generator:catch(context)
  return {self:promise(), ":catch(", self:handler(context, "v"), ")"}
end

function Generator:finally(context)
  return {self:promise(), ":finally(", self:handler(context, ""), ")"}
end

function Generator:resolved(context)
  return {"Promise.resolve(", self:value(context), ")"}
end

function Generator:rejected(context)
  return {"Promise.reject(", self:reason(context), ")"}
end

function Generator:made(context)
  if self.cancels and self.random(2) == 1 then
    return self:cancellable(context, self.finish_settling)
  end
  return {"make(", self:settling_fn(context), ")"}
end

function Generator:cancellable(context, last)
  local inner = inside(context, "r, j, c")
  inner.depth = context.depth
  return {"make(",
    self:fn(context, "r, j, c", self:add_hook(inner), last), ")"}
end

-- An aggregate of promises that nobody else waits for, and perhaps of others.
function Generator:combined_alone(context)
  local name = self:choose {{1, "all"}, {1, "any"}, {1, "race"}}[2]
  local list = {join = ", "}
  for i = 1, self.random(3) + 1 do
    list[i] = self:call {
      {3, self.cancellable, context},
      {1, self.element, context},
      {context.depth < 1 and 1, self.combined_alone, inside(context)},
    }
  end
  return {"Promise.", name, "({", list, "})"}
end

function Generator:shielded()
  return {"Promise.shield(", self:promise(), ")"}
end

function Generator:combined(context)
  local name = self:choose {
    {2, "all"}, {2, "allSettled"}, {2, "any"}, {2, "race"}}[2]
  local list = {join = ", "}
  for i = 1, self.random(5) - 1 do list[i] = self:element(context) end
  local elements = {"{", list, "}"}
  if self.random(4) == 1 then
    local stop = self.random(3) == 1 and ", " .. self.random(4) or ""
    elements = {"each(", elements, stop, ")"}
  end
  return {"Promise.", name, "(", elements, ")"}
end

function Generator:derived(context)
  return self:call {
    {10, self.next, context},
    {3, self.catch, context},
    {5, self.finally, context},
    {3, self.resolved, context},
    {1, self.rejected, context},
    {2, self.made, context},
    {5, self.combined, context},
    {context.depth < MAX_DEPTH and (self.cancels and 9 or 6), self.started,
      context},
    {self.cancels and 4, self.shielded},
    {self.cancels and context.depth < 2 and 2, self.combined_alone, context},
  }
end

-- Statements

function Generator:assign(context)
  if self.cancels then return self:assign_own(context) end
  local derived = self:derived(context)
  self.promises = self.promises + 1
  return {"p[" .. self.promises .. "] = ", derived}
end

-- The code in it knows which promise it is for.
function Generator:assign_own(context)
  self.promises = self.promises + 1
  local own = self.promises
  local inner = setmetatable({own = own}, {__index = context})
  return {"p[" .. own .. "] = ", self:derived(inner)}
end

function Generator:settle(context)
  local name = self:choose {{3, "resolve"}, {1, "reject"}}[2]
  local what = name == "resolve" and self.value or self.reason
  return {name, "(", self:index(), ", ", what(self, context), ")"}
end

function Generator:settle_own(context)
  local name = self:choose {{3, "r"}, {1, "j"}}[2]
  local what = name == "r" and self.value or self.reason
  return {name, "(", what(self, context), ")"}
end

function Generator:settle_own_later(context)
  return {"queueMicrotask(function()",
    {join = "\n", self:settle_own(context)}, "end)"}
end

function Generator:keep()
  return {"keep(", self:index(), ", r, j)"}
end

function Generator:raise()
  return {"raise(", self:fresh "e", ")"}
end

function Generator:microtask(context)
  return {"queueMicrotask(",
    self:fn(context, "", {"log(", self:fresh "m", ")"}), ")"}
end

function Generator:ticks()
  return {"ticks(", tostring(self.random(12)), ")"}
end

function Generator:turn(context)
  return {"turn(", self:fn(context, ""), ")"}
end

-- Cancelling

-- One of the newest promises, which few wait for, or any, or the own one.
function Generator:cancelled(context)
  return self:call {
    {2, self.promise},
    {2, function()
      return "p[" .. math.max(1, self.promises - self.random(4) + 1) .. "]"
    end},
    {context.own and 2, function() return "p[" .. context.own .. "]" end},
  }
end

function Generator:cancel_now(context)
  local reason = self:call {
    {4, self.fresh, "r"},
    {1, self.text, ""},
    {context.v and 1, self.text, "v"},
  }
  return {"log(", self:fresh "x", ", ", self:cancelled(context), ":cancel(",
    reason, "))"}
end

-- At any moment, and perhaps once more.
function Generator:cancel(context)
  local cancel = self:cancel_now(context)
  local function later()
    return {"later(", tostring(self.random(8)), ", function()",
      {join = "\n", cancel}, "end)"}
  end
  return self:call {
    {3, function() return cancel end},
    {3, later},
    {2, function() return {join = "\n", cancel, later()} end},
    {2, function() return {join = "\n", later(), later(), later()} end},
    {context.depth == 0 and 2, function()
      return {"turn(function()", {join = "\n", cancel}, "end)"}
    end},
  }
end

function Generator:cancel_hook(context)
  return self:fn(context, "v", {"log(", self:fresh "k", ", v)"},
    self.random(4) == 1 and self.raise or nil)
end

function Generator:add_hook(context)
  return {"c(", self:cancel_hook(context), ")"}
end

function Generator:hook(context)
  return {"hook(", self:index(), ", ", self:cancel_hook(context), ")"}
end

function Generator:closing(context)
  return {"closing(", self:index(), ", ", self:fn(context, ""), ")"}
end

-- Scenes: promises that are made to be cancelled, and what befalls them. The
-- statements of a scene are a row, so that each can be left out.

-- A promise that nothing but the scene settles, and nobody else waits for.
function Generator:root()
  self.promises = self.promises + 1
  table.insert(self.roots, self.promises)
  return "p[" .. self.promises .. "]"
end

function Generator:awaited(context)
  return self:call {
    {6, self.root},
    {2, self.promise},
    {1, self.element, context},
    {context.own and 1, function() return "p[" .. context.own .. "]" end},
  }
end

-- With what a body or a handler ends.
function Generator:end_of(context)
  return self:call {
    {2, self.text, "return"},
    {3, function() return {"return ", self:number()} end},
    {4, function() return {"return ", self:awaited(context)} end},
    {2, function() return {"return ", self:element(context)} end},
    {2, self.raise},
  }
end

function Generator:ask(k)
  return {"log(", self:fresh "x", ", p[" .. k .. "]:cancel(",
    self:fresh "r", "))"}
end

function Generator:soon(statement)
  return {"later(", tostring(self.random(9)), ", function()",
    {join = "\n", statement}, "end)"}
end

-- Ask p[k] to end, once or some times more, in the jobs or turns after this.
function Generator:requests(scene, k)
  for _ = 1, self.random(3) do
    local ask = self:ask(k)
    scene[#scene + 1] = self:call {
      {1, function() return ask end},
      {4, self.soon, ask},
      {1, function()
        return {"turn(function()", {join = "\n", ask}, "end)"}
      end},
    }
  end
end

-- Settle some of the roots, or cancel them, now or soon.
function Generator:stir(scene)
  for _, k in ipairs(self.roots) do
    local number = tostring(k)
    local what = self:call {
      {2, function()
        return {"resolve(", number, ", ", self:number(), ")"}
      end},
      {3, function()
        return {"reject(", number, ", ", self:fresh "e", ")"}
      end},
      {2, self.ask, k},
      {6, self.text, false},
    }
    if what then scene[#scene + 1] = self:soon(what) end
  end
end

-- One step of a body that has been interrupted, or not.
function Generator:clean(context)
  return self:call {
    {4, function()
      return {"log(", self:fresh "a", ", (await(", self:awaited(context),
        ")))"}
    end},
    {4, self.guarded, context},
    {3, function()
      return {"log(", self:fresh "w", ", Promise.pawait(",
        self:awaited(context), "))"}
    end},
    {2, self.asked_with},
    {1, self.raise},
    {context.own and 2, function() return self:ask(context.own) end},
    {1, self.cancel_now, context},
  }
end

-- It catches what its 'await' raises; once, or in a loop.
function Generator:guarded(context)
  local body = {join = "\n", {"log(", self:fresh "a", ", (await(",
    self:awaited(context), ")))"}}
  if self.random(3) == 1 then body[2] = self:clean_end() end
  local guarded = {"xpcall(function()", body, "end, caught(",
    self:fresh "c", "))"}
  if self.random(3) > 1 then return guarded end
  return {"for i = 1, " .. self.random(3) .. " do", {join = "\n", guarded},
    "end"}
end

function Generator:clean_end()
  return self:call {{1, self.raise}, {1, self.asked_with}}
end

-- A variable whose closing awaits, or fails.
function Generator:closed(context)
  local body = {join = "\n", {"log(", self:fresh "d", ")"}}
  for _ = 1, self.random(2) do body[#body + 1] = self:clean(context) end
  return {"local _ <close> = cleanup(function()", body, "end)"}
end

-- A call that is interrupted, cleans up, and ends in one way or another.
function Generator:cleaning(context)
  local body = {join = "\n"}
  if self.random(3) == 1 then body[1] = self:closed(context) end
  if self.random(4) > 1 then body[#body + 1] = self:guarded(context) end
  for _ = 1, self.random(3) do body[#body + 1] = self:clean(context) end
  body[#body + 1] = self:end_of(context)
  return {"start(function()", body, "end)"}
end

-- Give a promise the next number, whatever it needs from others.
function Generator:named(scene, make, context, ...)
  self.promises = self.promises + 1
  local own = self.promises
  local inner = setmetatable({own = own}, {__index = context})
  local made = make(self, inner, ...)
  scene[#scene + 1] = {"p[" .. own .. "] = ", made}
  return own
end

-- What waits for p[k] and does nothing else.
function Generator:link(_, k)
  local p = "p[" .. k .. "]"
  return self:call {
    {3, function() return {p, ":next()"} end},
    {2, function() return {p, ":next(say(", self:fresh "s", "))"} end},
    {1, function() return {p, ":catch(say(", self:fresh "s", "))"} end},
    {3, function()
      return {p, ":finally(function()",
        {join = "\n", {"log(", self:fresh "h", ")"}}, "end)"}
    end},
    {2, function() return {"make(function(r, j) r(", p, ") end)"} end},
    {2, function()
      return {"start(function()", {join = "\n", {"return ", p}}, "end)"}
    end},
    {1, function()
      return {"start(function()",
        {join = "\n", {"return (await(", p, "))"}}, "end)"}
    end},
    {2, function() return {"Promise.shield(", p, ")"} end},
  }
end

-- What takes the outcome of p[k] over, in one way or another.
function Generator:follower(_, k)
  local p = "p[" .. k .. "]"
  return self:call {
    {1, function() return {"make(function(r, j) r(", p, ") end)"} end},
    {1, function()
      return {"start(function()", {join = "\n", {"return ", p}}, "end)"}
    end},
    {1, function()
      return {"Promise.resolve():next(function()",
        {join = "\n", {"return ", p}}, "end)"}
    end},
  }
end

function Generator:links(scene, context, k)
  for _ = 1, self.random(3) - 1 do
    local shares = self.random(5) == 1
    if shares then self:named(scene, self.link, context, k) end
    k = self:named(scene, self.link, context, k)
  end
  return k
end

function Generator:scene_of_call(scene, context)
  local k = self:named(scene, self.cleaning, context)
  if self.random(3) == 1 then self:requests(scene, k) end
  return self:links(scene, context, k)
end

-- Promises of a scene for an aggregate; others may wait for them, too.
function Generator:member(scene, context, depth)
  local k = self:call {
    {3, function() return self:named(scene, self.cleaning, context) end},
    {4, function()
      self:root()
      return self.promises
    end},
    {2, function()
      return self:named(scene, self.made_of_thenable, context)
    end},
    {depth < 2 and 2, self.scene_of_aggregate, scene, context, depth + 1},
  }
  k = self:links(scene, context, k)
  if self.random(5) == 1 then self:named(scene, self.link, context, k) end
  return k
end

function Generator:made_of_thenable(context)
  return {"Promise.resolve(plain(", self:fresh "t", ", ",
    self:settling_fn(inside(context)), "))"}
end

function Generator:scene_of_aggregate(scene, context, depth)
  local list = {join = ", "}
  for i = 1, self.random(3) do
    list[i] = "p[" .. self:member(scene, context, depth or 0) .. "]"
  end
  if self.random(4) == 1 then list[#list + 1] = list[1] end
  return self:named(scene, self.aggregate, context, list)
end

function Generator:aggregate(_, list)
  local name = self:choose {
    {4, "all"}, {1, "allSettled"}, {1, "any"}, {1, "race"}}[2]
  return {"Promise.", name, "({", list, "})"}
end

-- A call catches a cancellation and returns a value; then one of those that
-- follow it is asked, near its turn.
function Generator:scene_of_late_request(scene, context)
  local function catching(_, inner)
    local last = self:call {
      {3, function() return {"return ", self:number()} end},
      {1, function()
        return {"return plain(", self:fresh "t", ", function(r, j) r(",
          self:number(), ") end)"}
      end},
    }
    return {"start(function()", {join = "\n", self:guarded(inner), last},
      "end)"}
  end
  local k = self:named(scene, catching, context)
  scene[#scene + 1] = self:ask(k)
  if self.random(2) == 1 then
    k = self:named(scene, self.follower, context, k)
  end
  k = self:named(scene, self.link, context, k)
  return self:links(scene, context, k)
end

-- Several elements fail at about the same time, as their aggregate is asked.
function Generator:scene_of_failures(scene, context)
  local list = {join = ", "}
  for i = 1, self.random(3) + 1 do
    local k = self:call {
      {3, function()
        self:root()
        return self.promises
      end},
      {1, function() return self:named(scene, self.cleaning, context) end},
    }
    list[i] = "p[" .. self:links(scene, context, k) .. "]"
    if self.random(5) == 1 then self:named(scene, self.link, context, k) end
    if self.random(8) == 1 then -- a race that lets go of it
      scene[#scene + 1] =
        {"Promise.race({", list[i], ", ", self:number(), "})"}
    end
  end
  if self.random(4) == 1 then list[#list + 1] = list[1] end
  local k = self:named(scene, self.aggregate, context, list)
  local rows = {join = "\n"}
  for _, root in ipairs(self.roots) do
    rows[#rows + 1] = {"reject(" .. root .. ", ", self:fresh "e", ")"}
    if self.random(3) == 1 then
      rows[#rows + 1] = {"p[" .. root .. "]:catch(say(", self:fresh "s", "))"}
    end
  end
  table.insert(rows, self.random(#rows + 1), self:ask(k))
  scene[#scene + 1] = {"later(", tostring(self.random(9)), ", function()",
    rows, "end)"}
  return self:links(scene, context, k)
end

-- The handler of a 'next' or 'finally' runs, may cancel, and ends.
function Generator:handled(context, k, name)
  local inner = inside(context)
  local body = {join = "\n", {"log(", self:fresh "h", ")"}}
  if self.random(2) == 1 then body[2] = self:ask(context.own) end
  if self.random(6) == 1 then body[#body + 1] = self:cancel_now(inner) end
  body[#body + 1] = self:end_of(inner)
  return {"p[" .. k .. "]:" .. name .. "(function()", body, "end)"}
end

function Generator:scene_of_handler(scene, context)
  local k = self:call {
    {3, function()
      self:root()
      local root = self.promises
      local which = self:choose {{3, "resolve"}, {1, "reject"}}[2]
      scene[#scene + 1] = self:soon(
        {which, "(", tostring(root), ", ", self:fresh "e", ")"})
      return root
    end},
    {1, self.scene_of_call, scene, context},
  }
  local name = self:choose {{2, "next"}, {1, "catch"}, {4, "finally"}}[2]
  k = self:named(scene, self.handled, context, k, name)
  return self:links(scene, context, k)
end

-- Some wait for each other; the first promise of the circle is made last.
function Generator:circling(context, k, body)
  local await = {"log(", self:fresh "a", ", (await(p[" .. k .. "])))"}
  return {"start(function()", {join = "\n",
    {"await(" .. self.random(3) .. ")"},
    self.random(2) == 1 and await
      or {"xpcall(function()", {join = "\n", await}, "end, caught(",
        self:fresh "c", "))"},
    body and self:clean(context) or {join = "\n"}, self:end_of(context)},
    "end)"}
end

function Generator:scene_of_circle(scene, context)
  local first, n = self.promises + 1, self.random(3)
  self.promises = self.promises + n -- their numbers come before all others
  for i = 1, n do
    local own = first + i - 1
    local inner = setmetatable({own = own}, {__index = context})
    local following = first + i % n
    local made = self:call {
      {3, self.circling, inner, following, self.random(2) == 1},
      {1, function()
        return {"Promise.resolve():next(function()",
          {join = "\n", {"return p[" .. following .. "]"}}, "end)"}
      end},
      {1, function()
        return {"Promise.resolve():finally(function()",
          {join = "\n", {"return p[" .. following .. "]"}}, "end)"}
      end},
    }
    scene[#scene + 1] = {"p[" .. own .. "] = ", made}
  end
  if self.random(3) == 1 then
    return self:links(scene, context, first)
  end
  return first + self.random(n) - 1
end

function Generator:scene(context)
  local scene = {join = "\n"}
  self.roots = {}
  local k = self:call {
    {4, self.scene_of_call, scene, context},
    {4, self.scene_of_aggregate, scene, context},
    {3, self.scene_of_failures, scene, context},
    {4, self.scene_of_handler, scene, context},
    {2, self.scene_of_circle, scene, context},
    {2, self.scene_of_late_request, scene, context},
  }
  self:requests(scene, k)
  self:stir(scene)
  return scene
end

function Generator:statement(context)
  return self:call {
    {10, self.assign, context},
    {6, self.settle, context},
    {2, self.microtask, context},
    {2, self.ticks},
    {context.depth == 0 and 1, self.turn, context},
    {context.awaits and 20, self.await, context},
    {context.awaits and (self.cancels and 8 or 4), self.protected, context},
    {context.awaits and 2, self.loop, context},
    {self.cancels and context.awaits and 4, self.pawait, context},
    {self.cancels and context.awaits and 2, self.asked_with},
    {context.settles and 4, self.settle_own, context},
    {context.settles and 1, self.settle_own_later, context},
    {context.settles and 1, self.keep},
    {self.cancels and 7, self.cancel, context},
    {self.cancels and context.depth == 0 and 5, self.scene, context},
    {self.cancels and 2, self.hook, context},
    {context.adds and 4, self.add_hook, context},
    {self.cancels and 1, self.closing, context},
  }
end

-- Add up to n statements to a body.
function Generator:statements(body, context, n)
  for _ = 1, n do
    if self.left == 0 then return end
    self.left = self.left - 1
    body[#body + 1] = self:statement(context)
  end
end

-- Resolve the first n promises: at the start of the program, at its end, or
-- in a turn; where they may be cancelled, only half of them.
function Generator:resolve_roots(body, context, n)
  for k = 1, n do
    local value = self:call {{3, self.number}, {2, self.value, context}}
    local resolve = {"resolve(", tostring(k), ", ", value, ")"}
    local turn = {"turn(function()", {join = "\n", resolve}, "end)"}
    local entry = self:choose {
      {3, 1, resolve}, {3, #body + 1, resolve}, {2, #body + 1, turn},
      {self.cancels and 8}}
    if entry[2] then table.insert(body, entry[2], entry[3]) end
  end
end

--- A random program of up to `size` statements (by default 2 to 25).
---@param seed integer
---@param size? integer
---@param cancels? boolean  whether it cancels promises
---@return table  the tree
function generator.program(seed, size, cancels)
  local random = random_source(seed)
  local self = setmetatable(
    {random = random, names = 0, cancels = cancels}, Generator)
  self.left = size or random(24) + 1
  local roots = random(4)
  self.promises = roots
  local body, context = {join = "\n"}, {depth = 0}
  while self.left > 0 do self:statements(body, context, 1) end
  self:resolve_roots(body, context, roots)
  body[#body + 1] =
    {"turn(function() outcomes(", tostring(self.promises), ") end)"}
  return body
end

local function indent(text)
  return "\n  " .. text:gsub("\n", "\n  ") .. "\n"
end

--- The text of a program.
function generator.text(tree, inner)
  if type(tree) == "string" then return tree end
  local parts = {}
  for i, part in ipairs(tree) do parts[i] = generator.text(part, true) end
  local text = table.concat(parts, tree.join)
  if tree.join ~= "\n" or not inner then return text end
  return text == "" and " " or indent(text)
end

-- A copy of the tree without its first, second, ... part that can be spared:
-- `countdown` says which.
local function without(tree, countdown)
  if type(tree) == "string" then return tree end
  if tree.value then
    countdown.n = countdown.n - 1
    if countdown.n == 0 then return "0" end
  end
  local copy = {join = tree.join, value = tree.value}
  for _, part in ipairs(tree) do
    if tree.join then countdown.n = countdown.n - 1 end
    if not tree.join or countdown.n ~= 0 then
      copy[#copy + 1] = without(part, countdown)
    end
  end
  return copy
end

-- All programs with one part less, the larger parts first.
local function smaller(tree)
  local trees = {}
  while true do
    local countdown = {n = #trees + 1}
    local copy = without(tree, countdown)
    if countdown.n > 0 then return trees end
    trees[#trees + 1] = copy
  end
end

--- The smallest program found by leaving out one part after the other.
---@param tree table
---@param first_failing fun(programs: string[]): integer?
---@return string  its text
function generator.shrink(tree, first_failing)
  local i
  repeat
    local trees, texts = smaller(tree), {}
    for k, candidate in ipairs(trees) do
      texts[k] = generator.text(candidate)
    end
    i = first_failing(texts)
    tree = trees[i] or tree
  until not i
  return generator.text(tree)
end

return generator
