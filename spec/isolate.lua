--- busted forgets the modules that a spec file has loaded; here it forgets
--- the core as well, of which a Lua state has only one. So what a file leaves
--- behind, jobs or timers or a loop, is no matter for the next.

local busted = require "busted"

busted.subscribe({"file", "start"}, function()
  debug.getregistry()["cpromise.core"] = nil
  return nil, true -- go on
end)
