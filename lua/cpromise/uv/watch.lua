--- Changes of files and folders, as events.

local errors = require "cpromise.uv.errors"
local events = require "cpromise.uv.events"
local file = require "cpromise.uv.file"
local luv = require "cpromise.uv.luv"

-- One that could not be started is kept for the next: luv 1.44 crashes if the
-- program ends, with this failure perhaps, while a handle is being closed.
local unused

local function take()
  local handle = unused
  unused = nil
  if handle and not luv.is_closing(handle) then return handle end
  return errors.check("watch", nil, luv.new_fs_event())
end

--- What changes at a path: events of a name, and "rename" or "change".
return function(path)
  file.check_path(1, "watch", path)
  local handle = take()
  local self = events.new "watch"
  self.about = {path = path}
  function self.on_stop()
    if not luv.is_closing(handle) then luv.close(handle) end
  end
  local note = events.callback(self, {error = true})
  local ok, text = luv.fs_event_start(handle, path, {},
    function(err, name, kinds)
      if err then return note(err) end
      note(nil, name or path, kinds.rename and "rename" or "change")
    end)
  if not ok then
    unused = handle
    error(errors.from("watch", text, self.about), 0)
  end
  return self
end
