--- What waits for what, for a program that hangs: as a tree of tables, and
--- drawn as text.
---
--- Nothing here runs code of the program's, so it can be called anywhere.

local check = require "cpromise.check"
local core = require "cpromise.core"

local see = {}

-- So much is drawn of what one promise waits for.
local LEVELS = 40
local LINES = 100

---@class cpromise.Waiting  somebody who waits
---@field label string  what it is
---@field promise Promise?
---@field where string?  an async call: file:line where it waits
---@field waits cpromise.Waiting[]  for what it waits

-- Promises of the library's own that wait for others behind the back of the
-- core, with those.
local stands_for = setmetatable({}, {__mode = "k"})

--- Note that a promise which is settled by hand waits for something.
---@param promise Promise
---@param sources table  promises
---@return Promise promise
function see.stand_for(promise, sources)
  stands_for[promise] = sources
  return promise
end

-- Labels

local function of_call(co)
  if not co then return "an async call that runs" end
  local where, name, own = core.where(co)
  if own then
    local file = own:match "([%w_]+)%.lua$" or "?"
    return "Promise." .. file:gsub("_(%l)", string.upper)
  elseif not where then
    return "an async call"
  end
  return "an async call at " .. where ..
    (name and (" in function '%s'"):format(name) or ""), where
end

local function of_delay(due)
  local ok, now = pcall(core.now)
  if not ok then return "a delay" end
  local seconds = math.max(0, due - now)
  return ("a delay, due in %s seconds"):format(
    (seconds < 10 and "%.2g" or "%.0f"):format(seconds))
end

local function of_aggregate(name, n)
  return ("Promise.%s, %d to come"):format(name, n)
end

-- A place with lines, and what somebody wants there.
local function of_wait(kind, place)
  local _, _, text = core.look(place)
  if kind == "send" then return "send to " .. text end
  if text:find "^a channel" then return "receive from " .. text end
  if text:find "^a semaphore" then return "acquire from " .. text end
  return "wait for " .. text
end

local labels = {
  promise = "a promise that nobody has settled",
  thenable = "a promise that follows a thenable",
  fulfilled = "a promise that has been fulfilled",
  rejected = "a promise that has been rejected",
}

-- What it is; where it waits, if it is a call; for what it waits.
local function look(v)
  local kind, sources, more = core.look(v)
  if not kind then return "a value", nil, {} end
  if kind == "call" then
    local label, where = of_call(more)
    return label, where, sources
  elseif kind == "delay" then
    return of_delay(more), nil, sources
  elseif kind == "wait" or kind == "send" then
    return of_wait(kind, sources[1]), nil, sources
  elseif math.type(more) then
    return of_aggregate(kind, more), nil, sources
  elseif kind == "place" then
    return more, nil, sources
  end
  return labels[kind] or kind, nil, sources
end

-- For what promises of the library's own wait, in their place.
local function expand(sources, list)
  for _, source in ipairs(sources) do
    local kind, children = core.look(source)
    local others = kind == "group" and children or stands_for[source]
    for _, promise in pairs(others or {}) do list[#list + 1] = promise end
    if not others then list[#list + 1] = source end
  end
  return list
end

--- What a promise, or a place with lines, is, and what it waits for.
---@return string label, table sources
function see.waits(v)
  local label, _, sources = look(v)
  return label, expand(sources or {}, {})
end

-- Trees

local Forest = {}
Forest.__index = Forest

-- Of these suspended calls; `permits` are pairs of a semaphore and of a
-- coroutine that has one of it.
local function new_forest(calls, permits)
  local forest = {nodes = {}, around = {}, permits = permits, calls = {}}
  for _, call in ipairs(calls) do
    local _, _, co = core.look(call)
    if co then forest.calls[co] = call end -- a finalizer may have ended it
  end
  return setmetatable(forest, Forest)
end

-- The call, or the main thread, of that coroutine, which has a permit.
function Forest:holder(co, level)
  local call = self.calls[co]
  if call then
    local node = self:node(call, level)
    node.label = "held by " .. node.label:gsub("^an async call", "the call")
      :gsub(" in function '[^']*'", "")
    return node
  end
  local where = core.where(co)
  return {label = "held at " .. (where or "?"), where = where, waits = {}}
end

-- Who has a permit in a local variable: for them one waits, in fact.
function Forest:holders(semaphore, level)
  local holders = {}
  for _, permit in ipairs(self.permits) do
    if rawequal(permit[1], semaphore) then
      holders[#holders + 1] = self:holder(permit[2], level)
    end
  end
  return holders
end

-- What one waits for.
function Forest:waits(v, sources, level)
  local kind = core.look(v)
  if kind == "wait" or kind == "send" then
    return self:holders(sources[1], level)
  elseif level > LEVELS and #sources > 0 then
    return {{label = "...", waits = {}}}
  end
  local waits = {}
  for i, source in ipairs(expand(sources, {})) do
    waits[i] = self:node(source, level)
  end
  return waits
end

-- The tree of one promise. What is drawn already is not drawn again.
function Forest:node(v, level)
  local label, where, sources = look(v)
  local node = {label = label, where = where, promise = v, waits = {}}
  if self.around[v] then
    node.label = label .. ": a cycle, it is above"
    return node
  elseif self.nodes[v] then
    if #self.nodes[v].waits > 0 then node.label = label .. ": see above" end
    return node
  end
  self.nodes[v], self.around[v] = node, true
  node.waits = self:waits(v, sources, level + 1)
  self.around[v] = nil
  return node
end

-- Lines below a node, behind the bars of those above it.
local function draw(nodes, bars, lines, limit)
  for i, node in ipairs(nodes) do
    local is_last = i == #nodes
    if #lines >= limit then
      if #lines == limit then lines[limit + 1] = bars .. "..." end
      return
    end
    lines[#lines + 1] = bars .. (is_last and "└─ " or "├─ ") .. node.label
    draw(node.waits, bars .. (is_last and "   " or "│  "), lines, limit)
  end
end

--- Why a promise can't settle any more, for the error that says so.
---@param promise Promise
---@return string
function see.why_pending(promise)
  local ok, calls, permits = pcall(core.calls)
  local forest = new_forest(ok and calls or {}, ok and permits or {})
  local lines = {"promise still pending, nothing left to do:"}
  local nodes = expand({promise}, {})
  for i, source in ipairs(nodes) do nodes[i] = forest:node(source, 1) end
  draw(nodes, "", lines, LINES)
  return table.concat(lines, "\n")
end

-- What any of these waits for, directly or not.
local function awaited_by(calls)
  local awaited, list = {}, {}
  local function add(v)
    local _, sources = core.look(v)
    for _, source in ipairs(expand(sources or {}, {})) do
      if not awaited[source] then
        awaited[source] = true
        list[#list + 1] = source
      end
    end
  end
  for _, call in ipairs(calls) do add(call) end
  while #list > 0 do add(table.remove(list)) end
  return awaited
end

--- All suspended async calls, each below those that wait for it. It looks at
--- every object of the program.
---@return cpromise.Waiting[]
function see.pending()
  local calls, permits = core.calls()
  local awaited, roots = awaited_by(calls), {}
  local forest = new_forest(calls, permits)
  for _, is_root in ipairs {true, false} do -- then what is in circles
    for _, call in ipairs(calls) do
      if not forest.nodes[call] and (not awaited[call] or not is_root) then
        roots[#roots + 1] = forest:node(call, 1)
      end
    end
  end
  return roots
end

--- The same as text, to an open file, or else to standard error.
---@param file file*?
function see.dump(file)
  if file ~= nil and io.type(file) ~= "file" then
    check.fail(1, "dump", check.expected("open file", file))
  end
  local ok, roots = pcall(see.pending)
  local lines = {"cpromise: async calls that wait, and for what"}
  if not ok then
    lines[1] = "cpromise: " .. tostring(roots)
  elseif #roots == 0 then
    lines[1] = "cpromise: no async call waits"
  else
    draw(roots, "", lines, math.huge)
  end
  file = file or io.stderr
  file:write(table.concat(lines, "\n"), "\n")
  file:flush()
end

--- What is known of a promise, as a table.
---@param promise Promise
function see.inspect(promise)
  if not core.is(promise) then
    check.fail(1, "inspect", check.expected("promise", promise))
  end
  local node = new_forest({}, {}):node(promise, 1)
  local outcome = table.pack(promise:status())
  node.origin = core.origin(promise)
  node.state = outcome[1]
  if node.state == "rejected" then
    node.reason, node.traceback = outcome[2], promise:traceback()
  elseif node.state == "fulfilled" then
    node.values = table.pack(table.unpack(outcome, 2, outcome.n))
  end
  return node
end

return see
