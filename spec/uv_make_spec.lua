--- examples/make.lua as a process.

local Promise = require "cpromise"
local luv = require "luv"
local spec = require "spec.uv"
local uv = require "cpromise.uv"

local await = Promise.await

local LUA <const> = arg and arg[-1] or "lua5.4"

-- A body with a Makefile: `body(make, folder)`.
local function test(makefile, body)
  return spec.test(function(folder)
    spec.put(folder .. "/Makefile", (makefile:gsub("\n%s*|", "\n\t")))
    local function make(...)
      local result = await(uv.run_process(LUA,
        {"examples/make.lua", "-C", folder, ...}))
      return result.stdout, result.code, result.stderr
    end
    spec.settle()
    spec.leaves_nothing(body, make, folder)
  end)
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

local function exists(path)
  return luv.fs_stat(path) ~= nil
end

local CHAIN <const> = [[
# a comment
c: b   # another
|cat b >c
|echo c >>c
b: a
|cat a >b
a:
|echo a >a
other:
|echo never >other
]]

describe("make", function()
  it("makes the first target, in order", test(CHAIN, function(make, folder)
    assert.equal("echo a >a\ncat a >b\ncat b >c\necho c >>c\n" ..
      "made 3 of 3 targets\n", (make()))
    assert.equal("a\nc\n", spec.get(folder .. "/c"))
    assert.is_false(exists(folder .. "/other"))
  end))

  it("makes again what is older than what it needs",
    test(CHAIN, function(make, folder)
      make()
      assert.equal("made 0 of 3 targets\n", (make()))
      luv.fs_utime(folder .. "/c", 1000, 1000)
      assert.equal("cat b >c\necho c >>c\nmade 1 of 3 targets\n", (make()))
      os.remove(folder .. "/a")
      assert.equal("made 3 of 3 targets", lines((make()))[5])
    end))

  it("makes targets that it is told", test(CHAIN, function(make, folder)
    make("a", "other")
    assert.is_true(exists(folder .. "/a"))
    assert.is_true(exists(folder .. "/other"))
    assert.is_false(exists(folder .. "/c"))
  end))

  -- Each command waits until so many have begun.
  local AT_ONCE <const> = ("%d:\n|echo + >>log; until test `grep -c + log`" ..
    " -ge $JOBS; do sleep 0.01; done; echo - >>log\n")

  local six = {"all: 1 2 3 4 5 6\n"}
  for i = 1, 6 do six[i + 1] = AT_ONCE:format(i) end

  it("makes N at once, and no more", test(table.concat(six),
    function(make, folder)
      for _, jobs in ipairs {1, 3, 6} do
        os.remove(folder .. "/log")
        luv.os_setenv("JOBS", tostring(jobs))
        assert.equal(0, (select(2, make("-j", tostring(jobs)))))
        local now, most = 0, 0
        for sign in spec.get(folder .. "/log"):gmatch "[+-]" do
          now = now + (sign == "+" and 1 or -1)
          most = math.max(most, now)
        end
        assert.equal(jobs, most)
        assert.equal(0, now)
      end
      luv.os_unsetenv "JOBS"
    end))

  it("ends all others when a command fails", test([[
all: slow bad never
slow:
|echo begun >slow; trap 'echo ended >ended; exit 1' TERM; sleep 60 & wait
bad:
|until test -e slow; do sleep 0.01; done; echo why >&2; exit 3
never: bad
|echo never >never
]], function(make, folder)
    local text, code, errors = make("-j", "2")
    assert.equal(2, code)
    assert.matches("make: bad: '.*' failed with code 3\n$", text)
    assert.equal("why\n", errors)
    assert.is_false(exists(folder .. "/slow")) -- half made
    assert.is_false(exists(folder .. "/never"))
    assert.is_true(exists(folder .. "/ended"))
  end))

  it("keeps a target that it has not begun to change", test([[
kept: missing
|exit 1
missing:
|true
]], function(make, folder)
    spec.put(folder .. "/kept", "old")
    assert.equal(2, (select(2, make())))
    assert.equal("old", spec.get(folder .. "/kept"))
  end))

  it("is ended by Ctrl-C, with all that it has started", test([[
slow:
|echo $$ >pid; echo begun >slow; sleep 60
]], function(_, folder)
    local make <close> = await(uv.start_process(LUA,
      {"examples/make.lua", "-C", folder, "slow"}, {stdout = true}))
    local output = make.stdout:read_all()
    for _ = 1, 3000 do
      if exists(folder .. "/slow") then break end
      await(Promise.delay(0.001))
    end
    make:kill "int"
    assert.matches("make: interrupted\n$", await(output))
    assert.equal(130, (await(make:wait())))
    assert.is_false(exists(folder .. "/slow"))
    local pid = math.tointeger(tonumber(spec.get(folder .. "/pid")))
    assert.is_nil(luv.kill(pid, 0))
  end))

  for makefile, complaint in pairs {
    ["a: b\nb: a\n"] = "make: a needs itself",
    ["a: nothing\n|true\n"] = "make: no rule to make nothing",
    ["a:\n|true\nnonsense\n"] =
      "make: Makefile:3: neither a rule nor a command",
    ["a:\n|kill -KILL $$\n"] = "make: a: 'kill -KILL $$' ended by signal 9",
  } do
    it("complains: " .. complaint, test(makefile, function(make)
      local text, code = make("a")
      assert.equal(complaint, lines(text)[#lines(text)])
      assert.equal(2, code)
    end))
  end

  it("complains where there is no Makefile", test("", function(make)
    local text, code = make("-f", "nothing")
    assert.matches("^make: ENOENT: no such file or directory: .*/nothing",
      text)
    assert.equal(2, code)
  end))

  it("says how it is used", test("", function(make)
    local _, code, errors = make("-j", "0")
    assert.equal(2, code)
    assert.matches("^usage: ", errors)
  end))

  it("makes hundreds of targets", test("", function(make, folder)
    local all, rules = {}, {}
    for i = 1, 300 do
      all[i] = "t" .. i
      rules[i] = ("t%d: %s\n\t: >t%d"):format(i,
        i > 10 and "t" .. i - 10 or "", i)
    end
    spec.put(folder .. "/Makefile", "all: " .. table.concat(all, " ") ..
      "\n" .. table.concat(rules, "\n"))
    assert.equal("made 300 of 300 targets",
      (lines((make("-j", "8"))))[301])
  end))
end)
