--- The long runs of spec/soak, a hundredth as long: `make soak` runs them in
--- full.

local child = require "spec.child"

describe("a long run", function()
  local runs = {
    {"keeps pending promises small, and settles all", "pending",
      "100000 of them settled"},
    {"keeps memory flat while promises settle", "rate",
      "59999 settled, 5999 of them rejected"},
    {"keeps nothing of races that ended", "races", "10000 races"},
    {"leaves nothing of connections", "connections", "100 connections"},
    {"keeps nothing of a timeline but its file", "trace", " events"},
    {"resumes all async calls that wait, in turn", "suspended",
      "1000 of them ended"},
  }
  for _, run in ipairs(runs) do
    local behaviour, name, expected = table.unpack(run)
    it(behaviour, function()
      local text, status = child.run(
        ("dofile 'spec/soak/%s.lua'"):format(name), "0.01")
      assert.equal(0, status, text)
      assert.is_truthy(text:find(expected, 1, true), text)
    end)
  end
end)
