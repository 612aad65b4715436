local aplus = require "spec.aplus.helper"
local declare_rules = require "spec.aplus.called"

aplus.clause("2.2.2 if onFulfilled is callable", function()
  declare_rules("2.2.2", aplus.fulfilled)
end)
