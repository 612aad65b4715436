--- The checks of the types notice what is wrong with definitions, and what is
--- made of them says what they say.

local annotations = require "spec.tools.annotations"
local check_types = require "spec.tools.check_types"
local document = require "spec.tools.document"
local parse_teal = require "spec.support.teal"
local teal = require "spec.tools.teal"

local SOURCE <const> = "types/library/cpromise/x.lua"

local HEAD <const> = [[
---@meta cpromise.x

--- A module.
---@class cpromise.x
local x = {}

---@class cpromise.x.Box<T>
local box = {}

]]

-- A file of definitions with these lines below its head.
local function read(...)
  return annotations.read(HEAD .. table.concat({...}, "\n") .. "\n", SOURCE)
end

local function problems(...)
  local file = read(...)
  file.source = SOURCE
  return check_types {file}
end

describe("the reader of definitions", function()
  local function assert_refuses(why, ...)
    local ok, message = pcall(read, ...)
    assert.is_false(ok)
    assert.is_truthy(message:find(why, 1, true), message)
  end

  it("gives a type back as it was written", function()
    for _, text in ipairs {
      "any", "string?", "string|integer", "cpromise.x.Box<string>[]",
      '"a"|"b"', "table<string, cpromise.x.Box<any>>", "{slow: number?}",
      "fun(a: string, b?: integer, ...: any): string, ...: any",
      "async fun(...): (fun())|nil", "(fun(): string)?", "(string|nil)[]",
      "{[integer]: string}",
    } do
      local block = read("---@param a " .. text, "function x.f(a) end")
      assert.equal(text, annotations.show(block[#block].params[1].type))
    end
  end)

  it("refuses a tag that is none", function()
    assert_refuses("no such tag", "---@parm a any", "function x.f(a) end")
  end)

  it("refuses a type that has no end", function()
    assert_refuses("')' expected", "---@param a fun(b", "function x.f(a) end")
    assert_refuses("a type expected", "---@param a b|", "function x.f(a) end")
  end)

  it("refuses text after one blank", function()
    assert_refuses("two blanks", "---@param a any what",
      "function x.f(a) end")
    assert_refuses("nothing more", "---@return any a what",
      "function x.f() end")
  end)

  it("refuses a comment above nothing", function()
    assert_refuses("defines nothing", "--- Text.", "")
    assert_refuses("not understood", "function x.f() return 1 end")
  end)

  it("names file and line", function()
    assert_refuses(SOURCE .. ":10:", "---@parm a any", "function x.f(a) end")
  end)
end)

describe("the check of definitions", function()
  local function assert_finds(why, ...)
    local list = problems(...)
    assert.equal(1, #list, table.concat(list, "\n"))
    assert.is_truthy(list[1]:find(why, 1, true), list[1])
  end

  it("finds nothing in what is well formed", function()
    assert.same({}, problems(
      "---@generic T, R",
      "---@param self cpromise.x.Box<T>",
      "---@param fn fun(value: T): R",
      "---@param ... any",
      "---@return cpromise.x.Box<R>",
      "---@nodiscard",
      "function box:map(fn, ...) end", ""))
  end)

  it("finds a parameter that the function has not", function()
    assert_finds("@param (b), but the function has (a)",
      "---@param b any", "function x.f(a) end")
    assert_finds("@param (), but the function has (a)", "--- Text.",
      "function x.f(a) end")
    assert_finds("@param (b, a), but", "---@param b any", "---@param a any",
      "function x.f(a, b) end")
  end)

  it("finds a parameter that must follow one that may be left out", function()
    assert_finds("stands after an optional one", "---@param a? any",
      "---@param b any", "function x.f(a, b) end")
  end)

  it("finds a name twice", function()
    assert_finds("parameter 'a' twice", "---@param a any", "---@param a any",
      "function x.f(a, a) end")
    assert_finds("field 'a' twice", "---@class cpromise.A", "---@field a any",
      "---@field a any", "")
    assert_finds("is defined twice", "--- Text.", "function x.f() end",
      "--- Text.", "function x.f() end")
    assert_finds("is declared twice", "---@class cpromise.x.Box", "")
  end)

  it("finds a class that doesn't exist", function()
    assert_finds("no type 'cpromise.x.Bx'", "---@return cpromise.x.Bx<any>",
      "function x.f() end")
    assert_finds("no type 'Promise'", "---@param a fun(b: Promise)",
      "function x.f(a) end")
    assert_finds("no class is declared for 'y'", "--- Text.",
      "function y.f() end")
  end)

  it("finds a class with a name for everybody", function()
    assert_finds("should begin with 'cpromise.'", "---@class Promise", "")
    assert_finds("should begin with 'cpromise.'",
      "---@alias Executor fun()", "")
  end)

  it("finds a wrong number of arguments of a class", function()
    assert_finds("has not 0 arguments", "---@return cpromise.x.Box",
      "function x.f() end")
    assert_finds("has not 1 arguments", "---@return table<any>",
      "function x.f() end")
  end)

  it("finds generics that are not declared, or not used", function()
    assert_finds("no type 'R'", "---@return R", "function x.f() end")
    assert_finds("'R' is not used", "---@generic R", "function x.f() end")
  end)

  it("finds what must not be dropped, and is nothing", function()
    assert_finds("@nodiscard, but", "---@nodiscard", "function x.f() end")
  end)

  it("finds a module in another's file", function()
    local file = annotations.read("---@meta cpromise.y\n\n", SOURCE)
    file.source = SOURCE
    assert.is_truthy(check_types {file}[1]:find "is another file's")
  end)
end)

describe("declarations for Teal", function()
  local function declared(...)
    local file = read(...)
    file.source = SOURCE
    local text = teal(file)
    parse_teal(text)
    return text
  end

  local function assert_declares(line, ...)
    local text = declared(...)
    assert.is_truthy(text:find(line .. "\n", 1, true), text)
  end

  it("have optional parameters, and `any` for what Teal has not", function()
    assert_declares(
      "f: function(a: {string}, b?: any, ...: any): string, any...",
      "---@param a string[]", "---@param b? userdata", "---@param ... any",
      "---@return string?", "---@return any ...",
      "function x.f(a, b, ...) end")
  end)

  it("have a function for each type that a handler may return", function()
    local lines = {
      "---@generic R", "---@param fn fun(): R|cpromise.x.Box<R>|nil",
      "---@return cpromise.x.Box<R>", "function x.f(fn) end",
    }
    for _, line in ipairs {
      "f: function<R>(fn: (function(): Box<R>)): Box<R>",
      "f: function<R>(fn: (function(): R)): Box<R>",
      "f: function(fn: (function())): Box<any>",
    } do
      assert_declares(line, table.unpack(lines))
    end
  end)

  it("have the class's generics in its methods", function()
    assert_declares("get: function(self: Box<T>): T", "---@generic T",
      "---@param self cpromise.x.Box<T>", "---@return T",
      "function box:get() end")
  end)

  it("are refused by their parser where they are no Teal", function()
    local function record(field)
      return ("local record a\n%s\nend\nreturn a"):format(field)
    end
    for _, text in ipairs {
      "local record a", "local record a end", record "b c",
      record "b: function(c)", record "b: string | (function())",
      record "b: string\nb: string", record "then: string",
      record "b: {string", record "b: string" .. " more",
    } do
      assert.is_false((pcall(parse_teal, text)), text)
    end
    parse_teal(record "b: function<T>(c?: T): {T}, any...")
  end)

  for name in io.popen "find types/teal -name '*.d.tl'":lines() do
    it("are well formed: " .. name, function()
      local file = assert(io.open(name))
      parse_teal(file:read "a")
      file:close()
    end)
  end
end)

describe("the reference", function()
  it("shows parameters, results and what must not be dropped", function()
    local text = document.of("X", {read(
      "--- Text of `cpromise.x.Box`.", "---@param a? string  of a",
      "---@return integer n # of it", "---@nodiscard",
      "function x.f(a) end", "", "--- A box.", "---@class cpromise.A", "")})
    assert.is_truthy(text:find([[
### x.f

`x.f(a?)`

Text of [`cpromise.x.Box`](#cpromisexbox).

- `a?`: `string`, of a
- returns `integer` n, of it
- the result is not to be dropped

### cpromise.A

A box.
]], 1, true), text)
  end)

  it("has each heading in its contents", function()
    local text = document.of("X", {read("--- Text.", "function x.f() end",
      "-- more ----", "--- Text.", "function x.g() end")})
    assert.is_truthy(text:find("- [More](#more): [x.g](#xg)", 1, true), text)
  end)
end)
