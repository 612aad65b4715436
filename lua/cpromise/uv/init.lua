--- luv with promises. The functions are described in
--- types/library/cpromise/uv.lua.

local connect = require "cpromise.uv.connect"
local events = require "cpromise.uv.events"
local file = require "cpromise.uv.file"
local handles = require "cpromise.uv.handles"
local luv = require "cpromise.uv.luv"
local once = require "cpromise.uv.once"
local process = require "cpromise.uv.process"
local request = require "cpromise.uv.request"
local server = require "cpromise.uv.server"
local signals = require "cpromise.uv.signals"
local stream = require "cpromise.uv.stream"
local tree = require "cpromise.uv.tree"
local udp = require "cpromise.uv.udp"
local watch = require "cpromise.uv.watch"
local whole = require "cpromise.uv.whole"
local work = require "cpromise.uv.work"

-- All that luv has, so that the module can stand in for it.
local uv = {}
for name, value in pairs(luv) do uv[name] = value end

-- Those of its functions that call back, in their place.
for _, functions in ipairs {request.all, events.all, handles} do
  for name, fn in pairs(functions) do
    if luv[name] then uv[name] = fn end
  end
end
uv.new_work, uv.queue_work = work.new_work, work.queue_work

--- `listen(host, port, handler, options)`, or luv's, of a handle.
function uv.listen(first, ...)
  if type(first) == "userdata" then return handles.listen(first, ...) end
  return server.listen(first, ...)
end

--- `walk(path, options)`, or luv's, of all handles.
function uv.walk(first, ...)
  if type(first) == "function" then return luv.walk(first) end
  return tree.walk(first, ...)
end

uv.open = file.open
uv.read_file = whole.read_file
uv.write_file = whole.write_file
uv.append_file = whole.append_file
uv.scandir = tree.scandir
uv.mkdir_p = tree.mkdir_p
uv.remove_tree = tree.remove_tree
uv.temporary_directory = tree.temporary_directory
uv.watch = watch

uv.connect = connect.connect
uv.stream = stream.of
uv.pipe_through = stream.pipe_through
uv.udp = udp.udp

uv.start_process = process.start_process
uv.run_process = process.run_process
uv.signal = signals.signal

uv.once = once
uv.work = work.work

return uv
