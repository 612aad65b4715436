--- A timeline of what promises do, written to a file while they do it: an
--- array of JSON, one event a line, in Chrome's trace event format.
---
--- The first track shows what runs: slices of async calls, handlers, timers.
--- Each async call has a track of its own from its start to its end, with
--- what it awaits; one that has become free is used again. Arrows go from
--- where a promise settled to what reacts to that.
---
--- What is written is forgotten. Calls that have not ended are remembered,
--- and where promises settled, as long as those exist.

local core = require "cpromise.core"
local see = require "cpromise.see"
local show = require "cpromise.show"
local watch = require "cpromise.watch"

local PROCESS <const> = 1 -- the format asks for one
local MAIN <const> = 1 -- the track of what runs; calls have those above
local BUFFER <const> = 65536

-- A host may leave out the debug library.
local getinfo = debug and debug.getinfo

local Timeline = {}
Timeline.__index = Timeline

-- Text

local escapes =
  {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t"}

local function quoted(text)
  return '"' .. show.harmless(text):gsub('["\\\n\t]', escapes) .. '"'
end

-- What the code of a handler is called.
local function name_of_code(code)
  if type(code) == "thread" then
    local where = core.where(code)
    return where and "coroutine " .. where or "coroutine"
  elseif type(code) ~= "function" or not getinfo then
    return "handler"
  end
  local info = getinfo(code, "S")
  if info.what == "C" then return "handler in C" end
  return ("handler %s:%d"):format(info.short_src, info.linedefined)
end

-- What a promise that is awaited is called.
local function name_of_source(promise)
  local kind = core.look(promise)
  if kind == "wait" or kind == "send" then return (see.waits(promise)) end
  return kind
end

-- Writing

-- Nanoseconds since the start. No two events have the same time, so that it
-- alone tells which of them came first, and what is inside what.
function Timeline:tick()
  self.time = math.max(core.monotonic() - self.epoch, self.time + 1)
  return self.time
end

-- No timeline after this, and nothing is told any more.
function Timeline:leave()
  local file = self.file
  self.file = nil
  watch.unsubscribe(self.listener)
  return file
end

-- The file can't be written. The program is told so as of an error in a job
-- that nobody handles.
function Timeline:fail(why)
  self:leave():close()
  core.queueMicrotask(error, ("cpromise.trace: %s: %s: the timeline ends")
    :format(self.path, why), 0)
end

function Timeline:write(text)
  if not self.file then return end
  local ok, why = self.file:write(text)
  if not ok then self:fail(why) end
end

-- One event: its phase, time, track, name, and more fields as JSON.
local function event(phase, time, track, name, more)
  return ('{"ph":"%s","ts":%d.%03d,"pid":%d,"tid":%d,"name":%s%s},\n')
    :format(phase, time // 1000, time % 1000, PROCESS, track, quoted(name),
      more or "")
end

-- A span begins on a track, {id=, the names of those that have begun}.
function Timeline:begin(track, name, more)
  local text = event("B", self:tick(), track.id, name, more)
  track[#track + 1] = name
  self:write(text)
end

-- The innermost span of a track ends; the timeline may have started in it.
function Timeline:finish(track)
  local n = #track
  if n == 0 then return end
  local text = event("E", self:tick(), track.id, track[n])
  track[n] = nil
  self:write(text)
end

function Timeline:finish_all(track)
  while #track > 0 do self:finish(track) end
end

-- What a track is called, and its place among the others.
function Timeline:name_track(id, name)
  self:write(event("M", 0, id, "thread_name",
    (',"args":{"name":%s}'):format(quoted(name))))
  self:write(event("M", 0, id, "thread_sort_index",
    (',"args":{"sort_index":%d}'):format(id)))
end

function Timeline:mark(track, name)
  self:write(event("i", self:tick(), track.id, name, ',"s":"t"'))
end

-- Arrows

-- The promise has settled here, in the span that is open.
function Timeline:settles(promise)
  if promise and promise:status() ~= "pending" then
    self.origins[promise] = self:tick()
  end
end

-- What reacts to the promise begins here: an arrow from where it settled.
function Timeline:reacts(promise)
  local origin = promise and self.origins[promise]
  if not origin then return end
  self.arrows = self.arrows + 1
  local more = (',"cat":"settled","id":%d'):format(self.arrows)
  self:write(event("s", origin, MAIN, "settled", more) ..
    event("f", self:tick(), MAIN, "settled", more .. ',"bp":"e"'))
end

-- Async calls

-- One that is collected before its end ends there.
local Call = {}

function Call:__gc()
  if self.timeline.file then self.timeline:end_call(self) end
end

function Timeline:start_call(promise, co)
  local id = table.remove(self.free)
  if not id then
    self.tracks = self.tracks + 1
    id = self.tracks
    self:name_track(id, "async call")
  end
  local where = core.where(co)
  local call = setmetatable({
    id = id, timeline = self,
    name = where and "async call " .. where or "async call",
  }, Call)
  self.calls[promise] = call
  self:begin(call, call.name, ',"cat":"call"')
  return call
end

function Timeline:end_call(call)
  if #call == 0 then return end
  self:finish_all(call)
  self.free[#self.free + 1] = call.id
end

-- The call has run and has not settled: what it waits for, and where.
function Timeline:waits(promise, call)
  local kind, sources, co = core.look(promise)
  if kind ~= "call" then
    self:begin(call, "follow", ',"cat":"await"')
    return
  end
  call.source = sources[1]
  local what = sources[1] and " " .. name_of_source(sources[1]) or ""
  local where, name = core.where(co)
  local more = ',"cat":"await"'
  if where then
    if name then where = where .. " in function " .. name end
    more = more .. (',"args":{"where":%s}'):format(quoted(where))
  end
  self:begin(call, "await" .. what, more)
end

-- What is told

local told = {}

function told:job(_, code, source)
  self:begin(self.main, name_of_code(code), ',"cat":"job"')
  self:reacts(source)
end

function told:job_end(promise)
  self:settles(promise)
  self:finish(self.main)
end

function told:call(promise, co)
  local call = self.calls[promise]
  if not call then
    call = self:start_call(promise, co)
  elseif #call > 1 then
    self:finish(call) -- its 'await'
  end
  self:begin(self.main, call.name, ',"cat":"call"')
  self:reacts(call.source)
  call.source = nil
end

function told:call_end(promise)
  local call = self.calls[promise]
  self:settles(promise)
  self:finish(self.main)
  if not call then return end
  if promise:status() ~= "pending" then return self:end_call(call) end
  self:waits(promise, call)
end

-- One that takes the outcome of another one settled where that did.
function told:settled(promise, source)
  local call = self.calls[promise]
  if promise:status() == "pending" then return end
  if call then self:end_call(call) end
  if source then
    self.origins[promise] = self.origins[source]
  elseif #self.main > 0 then
    self:settles(promise)
  else
    self:begin(self.main, "resolve", ',"cat":"resolve"')
    self:settles(promise)
    self:finish(self.main)
  end
end

function told:cancel(promise)
  local call = self.calls[promise]
  self:mark(self.main, "cancel")
  if call and #call > 0 then self:mark(call, "cancel") end
  if call and promise:status() ~= "pending" then self:end_call(call) end
end

function told:timer(promise)
  self:begin(self.main, "timer", ',"cat":"timer"')
  self:settles(promise)
  self:finish(self.main)
end

-- From its start to its end

--- Start a timeline.
---@param path string  of the file
---@return table?, string?  the timeline, or nil and why there is none
function Timeline.open(path)
  local file, why = io.open(path, "wb")
  if not file then return nil, why end
  file:setvbuf("full", BUFFER)
  local self = setmetatable({
    path = path, file = file, epoch = core.monotonic(), time = 0,
    main = {id = MAIN}, tracks = MAIN, free = {}, arrows = 0,
    calls = setmetatable({}, {__mode = "k"}),
    origins = setmetatable({}, {__mode = "k"}),
  }, Timeline)
  local ok
  ok, why = file:write "[\n"
  if ok then ok, why = file:flush() end
  if not ok then
    file:close()
    return nil, path .. ": " .. why
  end
  function self.listener(what, ...) told[what](self, ...) end
  self:name_track(MAIN, "what runs")
  watch.subscribe(self.listener)
  return self
end

--- Whether it is being written.
function Timeline:is_open()
  return self.file ~= nil
end

--- End it, and all that has not ended.
---@return boolean ok, string? why  it could not be written
function Timeline:close()
  for _, call in pairs(self.calls) do self:end_call(call) end
  self:finish_all(self.main)
  self:write((event("M", 0, MAIN, "process_name",
    ',"args":{"name":"cpromise"}'):gsub(",\n$", "\n]\n")))
  if not self.file then return true end -- that failed, and is reported
  local ok, why = self:leave():close()
  return ok or false, why and self.path .. ": " .. why
end

-- The end of the program ends a timeline, too: finalizers run in the opposite
-- order of their making, so that of the file comes later.
Timeline.__gc = function(self)
  if self.file then self:close() end
end

return Timeline
