--- Checks files in Chrome's trace event format by its rules:
---
---     lua5.4 spec/support/trace_format.lua FILE
---
--- The file is JSON, an array of events; each has `ph`, `ts`, `pid`, `tid`
--- and `name`. On each track, in order of time, what begins ends, the
--- innermost first. An arrow has one start and one end, in this order, and
--- each is inside a span of its track.

local format = {}

-- JSON, strictly

local Parser = {}
Parser.__index = Parser

function Parser:fail(what)
  error(("no JSON at byte %d: %s"):format(self.at, what), 0)
end

-- What the pattern finds here, after white space.
function Parser:take(pattern)
  self.at = self.text:find("[^ \n\r\t]", self.at) or #self.text + 1
  local first, last, capture = self.text:find("^(" .. pattern .. ")", self.at)
  if first then self.at = last + 1 end
  return capture
end

function Parser:need(pattern)
  return self:take(pattern) or self:fail(pattern .. " expected")
end

local simple = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t"}

function Parser:string()
  local parts = {}
  self:need '"'
  repeat
    local first, last = self.text:find('^[^"\\%c]+', self.at)
    if first then
      parts[#parts + 1] = self.text:sub(first, last)
      self.at = last + 1
    end
    local escape = self.text:match('^\\(["\\/bfnrt])', self.at)
    local code = self.text:match("^\\u(%x%x%x%x)", self.at)
    if escape then
      parts[#parts + 1] = simple[escape] or escape
      self.at = self.at + 2
    elseif code then
      parts[#parts + 1] = utf8.char(tonumber(code, 16))
      self.at = self.at + 6
    elseif self.text:sub(self.at, self.at) ~= '"' then
      self:fail "a character that can't be in a string"
    end
  until not escape and not code
  self.at = self.at + 1
  local text = table.concat(parts)
  return utf8.len(text) and text or self:fail "no UTF-8"
end

-- Elements up to the closing bracket.
function Parser:list(closing, element)
  if self:take(closing) then return end
  repeat element() until not self:take ","
  self:need(closing)
end

local words = {["true"] = true, ["false"] = false}

function Parser:value()
  local result = {}
  if self:take "{" then
    self:list("}", function()
      self:take "" -- white space
      local key = self:string()
      self:need ":"
      result[key] = self:value()
    end)
    return result
  elseif self:take "%[" then
    self:list("%]", function() result[#result + 1] = self:value() end)
    return result
  elseif self.text:sub(self.at, self.at) == '"' then
    return self:string()
  end
  local word = self:need "[%w+%-.]+"
  if word == "null" then return nil end
  if words[word] ~= nil then return words[word] end
  if not word:find "^%-?%d+%.?%d*[eE]?[+-]?%d*$" then self:fail(word) end
  return tonumber(word) or self:fail(word)
end

--- The value of a JSON text; raises for what is none.
function format.decode(text)
  local parser = setmetatable({text = text, at = 1}, Parser)
  parser:take ""
  local value = parser:value()
  parser:take ""
  if parser.at <= #text then parser:fail "the end expected" end
  return value
end

-- The rules

local fields =
  {ph = "string", ts = "number", pid = "number", tid = "number",
    name = "string"}

local function check(condition, event, rule)
  if condition then return end
  error(("%s: %s at %s on track %s: %s"):format(
    rule, event.ph, event.ts, event.tid, event.name), 0)
end

local function check_fields(event)
  for name, kind in pairs(fields) do
    if type(event[name]) ~= kind then
      error(("an event has no %s '%s'"):format(kind, name), 0)
    end
  end
  check(event.ts >= 0, event, "before the start")
end

-- What is done with an event of each phase, of those that we write.
local phases = {}

function phases.M(_, event)
  check(type(event.args) == "table", event, "says nothing")
end

function phases.B(state, event)
  table.insert(state.tracks[event.tid], event.name)
end

function phases.E(state, event)
  local name = table.remove(state.tracks[event.tid])
  check(name == event.name, event, "ends what is not the innermost")
end

function phases.i(_, event)
  check(event.s == "t", event, "an instant of no track")
end

function phases.s(state, event)
  check(#state.tracks[event.tid] > 0, event, "starts outside of a span")
  check(event.id and not state.arrows[event.id], event, "is not unique")
  state.arrows[event.id] = event
end

function phases.f(state, event)
  local start = state.arrows[event.id]
  check(#state.tracks[event.tid] > 0, event, "ends outside of a span")
  check(start and start.ph == "s", event, "has no start")
  check(start.name == event.name and start.cat == event.cat, event,
    "is another arrow than its start")
  check(event.bp == "e", event, "does not end in the span around it")
  state.arrows[event.id] = event
end

--- Check the events of a text; raises the first rule that is broken.
---@return table events  in order of time
function format.check(text)
  local events = format.decode(text)
  for i, event in ipairs(events) do
    check_fields(event)
    check(phases[event.ph], event, "has no phase that is known")
    event.place = i
  end
  table.sort(events, function(a, b)
    if a.ts ~= b.ts then return a.ts < b.ts end
    return a.place < b.place
  end)
  local state = {arrows = {}, tracks = setmetatable({}, {
    __index = function(tracks, id)
      tracks[id] = {}
      return tracks[id]
    end,
  })}
  for _, event in ipairs(events) do phases[event.ph](state, event) end
  for id, track in pairs(state.tracks) do
    if #track > 0 then
      error(("%s on track %d never ends"):format(track[#track], id), 0)
    end
  end
  for id, event in pairs(state.arrows) do
    check(event.ph == "f", event, ("arrow %d has no end"):format(id))
  end
  return events
end

--- The same for a file.
function format.check_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return format.check(file:read "a")
end

if arg and arg[0] and arg[0]:find "trace_format%.lua$" then
  print(#format.check_file(arg[1]) .. " events")
end

return format
