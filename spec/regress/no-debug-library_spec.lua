-- A host without the debug library could not load the module.

local child = require "spec.child"

describe("a host without the debug library", function()
  it("can load the module", function()
    assert.equal("1\t:3: bad argument #1 to 'delay' (must not be negative)\n",
      (child.run [[
        debug, package.loaded.debug = nil, nil
        local Promise = require "cpromise"
        local _, message = pcall(Promise.delay, -1)
        print(Promise.run(function() return 1 end), message:match ":3:.*")
      ]]))
  end)
end)
