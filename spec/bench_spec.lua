--- What is measured is right: workloads notice a wrong outcome, the rival in
--- plain Lua keeps ECMAScript's order, and a count that grows is noticed.

local implementations = require "bench.implementations"
local instructions = require "bench.instructions"
local results = require "bench.results"
local workloads = require "bench.workloads"
local order = require "spec.support.order"
local programs = require "spec.support.order_programs"

local N <const> = 100

local function run(P, workload)
  implementations.run(P, workload, N, implementations.setup(P, workload, N))
end

-- An implementation that never runs a job, nor the loop.
local function idle(P)
  local broken = {}
  for name, value in pairs(P) do broken[name] = value end
  broken.drain, broken.run = function() end, function() end
  return broken
end

for _, name in ipairs {"cpromise", "pure Lua", "coroutines"} do
  local P = implementations.load(name)
  describe("the workloads in " .. name, function()
    for _, workload in ipairs(workloads) do
      if implementations.can(P, workload) then
        it("include " .. workload.name, function()
          run(P, workload)
        end)
      end
    end
  end)
end

describe("a workload", function()
  local P = implementations.load "pure Lua"
  for _, workload in ipairs(workloads) do
    if not workload.holds and implementations.can(P, workload) then
      it("notices that no job ran: " .. workload.name, function()
        assert.is_false(pcall(run, idle(P), workload))
      end)
    end
  end
end)

describe("a flow", function()
  local P = implementations.load "cpromise"
  after_each(function() P.run() end)
  for _, flow in ipairs(workloads) do
    if flow.flow and implementations.can(P, flow) then
      it("notices that no job ran: " .. flow.name, function()
        assert.is_false(pcall(run, idle(P), flow))
      end)
    end
  end
end)

describe("the order of events in the rival in plain Lua", function()
  for _, program in ipairs(programs.all()) do
    it(program.title, function()
      local P = dofile "bench/rivals/pure.lua"
      assert.equal(program.log, order.run(P, program.text))
    end)
  end
end)

describe("a count of instructions", function()
  local function is_refused(count)
    local _, refused = instructions.compare("new", count, 1000, 0.03)
    return refused
  end

  it("is refused 5 % above the kept one", function()
    assert.is_true(is_refused(1050))
  end)

  it("is taken 2 % above the kept one", function()
    assert.is_false(is_refused(1020))
  end)

  it("is taken below the kept one", function()
    assert.is_false(is_refused(900))
  end)

  local kept = instructions.read "bench/instructions.txt"

  it("is kept for eight workloads that are no flows", function()
    local counts = 0
    for _, workload in ipairs(workloads) do
      if kept[workload.name] and not workload.flow then
        counts = counts + 1
      end
    end
    assert.equal(8, counts)
  end)

  it("is kept for each flow", function()
    for _, workload in ipairs(workloads) do
      if workload.flow then assert.is_truthy(kept[workload.name]) end
    end
  end)
end)

describe("the results", function()
  local function cell(name, ns, failure)
    return {
      workload = {name = "chain"},
      implementation = {name = name},
      n = 10,
      ns = ns,
      failure = failure,
    }
  end

  local rows = results.of {
    cell("cpromise", {5, 2, 4}),
    cell("rival", {9, 8}),
    cell("broken", {}, "an error"),
  }

  it("have the minimum", function()
    assert.equal(2, rows[1].min)
  end)

  it("have the median of an odd number", function()
    assert.equal(4, rows[1].median)
  end)

  it("have the median of an even number", function()
    assert.equal(8.5, rows[2].median)
  end)

  it("compare the minimum with ours", function()
    assert.equal(4, results.ratio(rows, rows[2]))
  end)

  it("have no figure of what failed", function()
    assert.is_nil(rows[3].min)
    assert.is_nil(results.ratio(rows, rows[3]))
  end)
end)
