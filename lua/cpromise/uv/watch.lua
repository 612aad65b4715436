--- Changes of files and folders, as events.

local errors = require "cpromise.uv.errors"
local events = require "cpromise.uv.events"
local file = require "cpromise.uv.file"
local luv = require "cpromise.uv.luv"

--- What changes at a path: events of a name, and "rename" or "change".
return function(path)
  file.check_path(1, "watch", path)
  local handle = errors.check("watch", nil, luv.new_fs_event())
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
    self:stop()
    error(errors.from("watch", text, self.about), 0)
  end
  return self
end
