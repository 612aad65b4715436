--- The pictures of benchmarks: what was measured stands where it belongs.

local pictures = require "bench.pictures"

local WORKLOADS <const> = {
  {name = "one", about = "a < b"}, {name = "two", about = "b & c"},
}

local function row(workload, n, implementation, min)
  return {
    workload = workload, n = n, implementation = implementation, min = min,
  }
end

local ROWS <const> = {
  row("one", 10, "cpromise", 100), row("one", 10, "V8", 50),
  row("one", 10, "asyncio", 1000), row("one", 10, "pure Lua", 1001),
  row("two", 10, "cpromise", 200), row("two", 10, "V8", 2000),
  row("two", 100, "cpromise", 300),
  {workload = "two", n = 10, implementation = "asyncio", failure = "fails"},
}

local NAMES <const> = {"cpromise", "pure Lua", "V8", "asyncio"}

-- Where the marks whose tip begins so stand.
local function places(picture, tip)
  local list = {}
  local pattern = 'translate%((%S+) (%S+)%)"[^>]*><title>' .. tip
  for x, y in picture:gmatch(pattern) do
    list[#list + 1] = {tonumber(x), tonumber(y)}
  end
  return list
end

describe("the picture of rivals", function()
  local picture = pictures.rivals(ROWS, NAMES, WORKLOADS, 10)
  local line = tonumber(picture:match 'M(%S+) [^>]*class="one"')

  it("has what is faster left of cpromise, what is slower right", function()
    local v8 = places(picture, "V8: ")
    assert.equal(2, #v8)
    assert.is_true(v8[1][1] < line and line < v8[2][1])
  end)

  it("has the same ratio at the same place, in every row", function()
    local one = places(picture, "asyncio: ")[1][1]
    local two = places(picture, "V8: 10 ")[1][1]
    assert.is_true(math.abs(one - two) < 0.01)
  end)

  it("has a row for each workload", function()
    local v8 = places(picture, "V8: ")
    assert.is_true(v8[1][2] < v8[2][2])
    assert.is_truthy(picture:find("one, 100 ns", 1, true))
    assert.is_truthy(picture:find("two, 200 ns", 1, true))
  end)

  it("leaves no mark behind another", function()
    local one, two = places(picture, "asyncio: ")[1],
      places(picture, "pure Lua: ")[1]
    assert.is_true(math.abs(one[1] - two[1]) < 1)
    assert.is_true(math.abs(one[2] - two[2]) > 9)
  end)

  it("leaves out what failed", function()
    assert.equal(1, #places(picture, "asyncio: "))
  end)

  it("has a legend of what was measured, without cpromise", function()
    assert.equal(1, #places(picture, "V8<"))
    assert.equal(0, #places(picture, "cpromise<"))
    assert.equal(0, #places(picture, "luv callbacks<"))
  end)

  it("escapes what XML reserves", function()
    assert.is_truthy(picture:find("a &lt; b", 1, true))
    assert.is_truthy(picture:find("b &amp; c", 1, true))
  end)
end)

describe("the picture of growth", function()
  local picture = pictures.growth(ROWS, NAMES, WORKLOADS, {10, 100})

  it("has more time higher up, more operations further right", function()
    local ours = places(picture, "cpromise: [23]00 ns")
    assert.equal(2, #ours)
    assert.is_true(ours[1][1] < ours[2][1] and ours[1][2] > ours[2][2])
  end)

  it("has one legend for all diagrams", function()
    assert.equal(1, #places(picture, "V8<"))
    assert.equal(2, #places(picture, "V8: "))
  end)
end)

describe("the kept pictures", function()
  for _, name in ipairs {"benchmarks", "benchmarks-growth"} do
    it("have colours for the dark: " .. name, function()
      local file <close> = assert(io.open("docs/" .. name .. ".svg"))
      local text = file:read "a"
      assert.is_truthy(text:find("prefers-color-scheme: dark", 1, true))
    end)
  end
end)
