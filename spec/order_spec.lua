-- The programs in spec/orders run in the order that their logs keep: that of
-- V8, which spec/orders/run.js has asked. So they do in the model of the
-- standard.

local Promise = require "cpromise"
local order = require "spec.support.order"

local load_model = assert(loadfile "spec/support/model.lua")

local topics =
  {"next", "adoption", "thenable", "finally", "combinators", "microtasks",
    "async"}

local function read(topic)
  local file <close> = assert(io.open("spec/orders/" .. topic .. ".lua"))
  return file:read "a"
end

-- The parts of one program: title, text, the log as one line.
local function parts(program)
  local title, text, log = program:match "^([^\n]+)(\n.-)\n%-%-> (.+)$"
  assert(title, "spec/orders/run.js has not run: no log in " .. program)
  return title, text, (log:gsub("\n%-%->", ""):gsub("%s+$", ""))
end

local function drain_one_by_one()
  repeat until Promise.drain(1) == 0
end

describe("the order of events:", function()
  local hook
  before_each(function()
    hook = Promise.onUnhandledRejection(function() end)
  end)
  after_each(function()
    Promise.onUnhandledRejection(hook)
  end)

  for _, topic in ipairs(topics) do
    describe(topic, function()
      local programs = read(topic):gsub("\n%-%-%- ", "\0")
      for program in programs:gmatch "%z([^\0]+)" do
        local title, text, log = parts(program)

        it(title, function()
          assert.equal(log, order.run(Promise, text))
        end)

        it(title .. ", drained one job at a time", function()
          assert.equal(log, order.run(Promise, text, drain_one_by_one))
        end)

        it(title .. ", in the model", function()
          assert.equal(log, order.run(load_model(), text))
        end)
      end
    end)
  end
end)
