--- What a promise waits for, as a graph for Graphviz.

local core = require "cpromise.core"
local see = require "cpromise.see"
local show = require "cpromise.show"

local HEAD <const> = [[
digraph cpromise {
  rankdir = LR;
  node [shape = box, style = "rounded,filled", fontname = "sans-serif"];
]]

local colours = {
  pending = "khaki", fulfilled = "palegreen", rejected = "lightsalmon",
}

local function quoted(text)
  text = show.harmless(text):gsub('[\\"]', "\\%0"):gsub("\n", "\\n")
  return '"' .. text .. '"'
end

-- How a node looks: a promise by its state, a semaphore or its like gray.
local function attributes(v, label, is_first)
  local colour = core.is(v) and colours[v:status()]
  return ("label = %s, fillcolor = %s%s%s"):format(
    quoted(label), colour or "gray90",
    colour and "" or ", style = filled", is_first and ", penwidth = 3" or "")
end

-- Async calls by their coroutines, and by semaphores the coroutines that hold
-- a permit. That it is known is no reason to fail where memory is short.
local function look_around()
  local by_coroutine, holders = {}, {}
  local ok, calls, permits = pcall(core.calls)
  if not ok then return by_coroutine, holders end
  for _, call in ipairs(calls) do
    local _, _, co = core.look(call)
    if co then by_coroutine[co] = call end
  end
  for _, permit in ipairs(permits) do
    local semaphore, co = table.unpack(permit)
    local list = holders[semaphore] or {}
    list[#list + 1], holders[semaphore] = co, list
  end
  return by_coroutine, holders
end

--- The text of the graph: an arrow goes from each promise to what it waits
--- for, and from a semaphore to the calls that hold its permits.
---@param promise Promise
---@return string
return function(promise)
  local by_coroutine, holders = look_around()
  local ids, list, lines = {}, {}, {HEAD}
  local function id(v)
    if not ids[v] then
      list[#list + 1] = v
      ids[v] = #list
    end
    return ids[v]
  end
  local function add(v)
    local label, sources = see.waits(v)
    for _, co in ipairs(holders[v] or {}) do
      sources[#sources + 1] = by_coroutine[co] or co
    end
    if type(v) == "thread" then
      label = "held at " .. (core.where(v) or "?")
    end
    lines[#lines + 1] =
      ("  n%d [%s];\n"):format(id(v), attributes(v, label, v == promise))
    for _, source in ipairs(sources) do
      lines[#lines + 1] = ("  n%d -> n%d;\n"):format(id(v), id(source))
    end
  end
  id(promise)
  local i = 1
  while list[i] do
    add(list[i])
    i = i + 1
  end
  lines[#lines + 1] = "}\n"
  return table.concat(lines)
end
