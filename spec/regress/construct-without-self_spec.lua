-- It took a value off an empty stack. Only a Lua that checks the use of its
-- API notices; the library must not depend on how its functions are called.

local Promise = require "cpromise"

describe("the metamethod that makes promises", function()
  it("raises an argument error when called with nothing", function()
    local ok, err = pcall(getmetatable(Promise).__call)
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'new' %(callable expected, " ..
      "got no value%)$", err)
  end)
end)
