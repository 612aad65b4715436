--- types/library is the one text of the API: what the running library has
--- stands there, and nothing else does.

local Promise = require "cpromise"
local annotations = require "spec.tools.annotations"
local check_types = require "spec.tools.check_types"
local core = require "cpromise.core"
local generated = require "spec.tools.generated"
local helper = require "spec.helper"
local trace = require "cpromise.trace"

local function names_of_files(command)
  local list = {}
  for name in io.popen(command):lines() do table.insert(list, name) end
  return list
end

-- The definitions of a module.
local function definitions(name)
  return annotations.read_file(
    "types/library/" .. name:gsub("%.", "/") .. ".lua")
end

local main = definitions "cpromise"

local function keys(t)
  local names = {}
  for name in pairs(t) do names[name] = true end
  return names
end

-- What a file says of the fields of a local: functions, and other names.
local function functions_of(file, object)
  local names = {}
  for _, block in ipairs(file) do
    if block.object == object and block.field then
      names[block.field] = true
    end
  end
  return names
end

local function class(file, name)
  for _, block in ipairs(file) do
    if block.kind == "class" and block.name == name then return block end
  end
  error("no class " .. name)
end

local function fields_of(file, name)
  local names = {}
  for _, field in ipairs(class(file, name).fields) do
    names[field.name] = field.is_optional and "optional" or "always"
  end
  return names
end

-- Both ways, so that each name that fails is shown.
local function assert_same_names(described, existing)
  for name in pairs(existing) do
    assert.is_truthy(described[name], name .. " is not described")
  end
  for name in pairs(described) do
    assert.is_truthy(existing[name], name .. " does not exist")
  end
end

-- A wait for a permit, and what it gives.
local function permit()
  local promise = Promise.semaphore(1):acquire()
  Promise.drain()
  return select(2, promise:status())
end

local function rejected(promise)
  promise:ignore()
  Promise.drain()
  return select(2, promise:status())
end

describe("types/library/cpromise.lua", function()
  it("describes the functions of the module", function()
    local described = functions_of(main, "Promise")
    described._VERSION = fields_of(main, "cpromise")._VERSION
    assert_same_names(described, Promise)
  end)

  for object, instance in pairs {
    promise = Promise.resolve(),
    semaphore = Promise.semaphore(1),
    channel = Promise.channel(),
    event = Promise.event(),
  } do
    it("describes the methods of a " .. object, function()
      assert_same_names(functions_of(main, object),
        object == "promise" and core.methods or
          debug.getmetatable(instance).__index)
    end)
  end

  it("describes the methods of a scope, in both forms", function()
    local body
    Promise.scope(function(s) body = s end)
    Promise.drain()
    local described = functions_of(main, "scope")
    assert_same_names(described, debug.getmetatable(body).__index)
    Promise.run(function()
      local block <close> = Promise.scope()
      assert_same_names(described, debug.getmetatable(block).__index)
    end)
  end)

  it("says what can be called", function()
    for name, object in pairs {
      ["cpromise"] = Promise,
      ["cpromise.Promise"] = Promise.resolve(),
      ["cpromise.Semaphore"] = Promise.semaphore(1),
      ["cpromise.Permit"] = permit(),
      ["cpromise.Channel"] = Promise.channel(),
      ["cpromise.Event"] = Promise.event(),
    } do
      assert.equal(debug.getmetatable(object).__call ~= nil,
        #class(main, name).overloads > 0, name)
    end
  end)

  it("says what a block can close, to Teal", function()
    local file = assert(io.open "types/teal/cpromise.d.tl")
    local text = file:read "a"
    file:close()
    for name, object in pairs {
      Promise = Promise.resolve(), Semaphore = Promise.semaphore(1),
      Permit = permit(), Channel = Promise.channel(), Event = Promise.event(),
    } do
      local record = text:match("record " .. name .. ".-\n   end\n")
      assert.equal(debug.getmetatable(object).__close ~= nil,
        record:find "__close" ~= nil, name)
    end
  end)

  it("describes the fields of what the library makes", function()
    local settled = Promise.run(function()
      return Promise.allSettled {1, Promise.reject "no"}:await()
    end)
    local both = keys(settled[1])
    both.reason = settled[2].reason
    assert_same_names(fields_of(main, "cpromise.Settled"), both)
    local pending = Promise.withResolvers()
    pending:cancel "reason"
    assert_same_names(fields_of(main, "cpromise.Cancellation"),
      rejected(pending))
    local loop = require "cpromise.loop.virtual".new()
    Promise.setLoop(loop)
    local late = Promise.withResolvers():timeout(1, "reason"):ignore()
    loop.advance(1)
    Promise.setLoop()
    assert_same_names(fields_of(main, "cpromise.Timeout"), rejected(late))
    assert_same_names(fields_of(main, "cpromise.AggregateError"),
      rejected(Promise.any {Promise.reject "a"}))
  end)

  it("describes what inspect and pending give", function()
    local seen = keys(Promise.inspect(Promise.withResolvers()))
    for _, promise in ipairs {Promise.resolve(1), Promise.try(error, "x")} do
      for name in pairs(Promise.inspect(promise:ignore())) do
        seen[name] = true
      end
    end
    Promise.debug(true)
    seen.origin = Promise.inspect(Promise.withResolvers()).origin
    Promise.debug(false)
    local resolve
    local call = Promise.spawn(function()
      Promise.new(function(r) resolve = r end):await()
    end)
    local waiting = keys(Promise.pending()[1])
    assert_same_names(fields_of(main, "cpromise.Waiting"), waiting)
    for name in pairs(waiting) do seen[name] = true end
    local described = fields_of(main, "cpromise.Inspection")
    for name in pairs(fields_of(main, "cpromise.Waiting")) do
      described[name] = true
    end
    resolve()
    Promise.drain()
    assert.equal("fulfilled", (call:status()))
    assert_same_names(described, seen)
  end)

  for name, call in pairs {
    MapOptions = function(o) return Promise.map({}, print, o) end,
    RetryOptions = function(o) return Promise.retry(print, o) end,
    PromisifyOptions = function(o) return Promise.promisify(print, o) end,
  } do
    it("describes the options in " .. name, function()
      assert_same_names(fields_of(main, "cpromise." .. name),
        helper.known_options(call))
    end)
  end

  it("describes the options of debug", function()
    local known = helper.known_options(Promise.debug)
    for _, block in ipairs(main) do
      if block.name == "Promise.debug" then
        local described = {}
        annotations.walk(block.params[1].type, function(tree)
          for _, field in ipairs(tree.fields or {}) do
            described[field.key] = true
          end
        end)
        return assert_same_names(described, known)
      end
    end
    error "Promise.debug is not described"
  end)
end)

describe("the loop protocol", function()
  local protocol = fields_of(main, "cpromise.Loop")

  for _, path in ipairs(names_of_files "ls lua/cpromise/loop/*.lua") do
    local name = "cpromise.loop." .. path:match "([%w_]+)%.lua$"
    local ok, loop = pcall(require, name)
    if not ok then
      it("is described, and what " .. name .. " adds to it", function()
        pending("can't be loaded: " .. tostring(loop):match "[^\n]*")
      end)
    elseif type(loop) == "table" and loop.wake then
      it("is described, and what " .. name .. " adds to it", function()
        local file = definitions(name)
        local own = functions_of(file, file[2].object)
        for _, field in ipairs(file[2].fields) do own[field.name] = true end
        for key in pairs(loop) do
          assert.is_truthy(own[key] or protocol[key],
            key .. " is not described")
        end
        for key in pairs(own) do
          assert.is_truthy(loop[key], key .. " does not exist")
        end
        for key, how in pairs(protocol) do
          assert.is_true(how == "optional" or loop[key] ~= nil, key)
        end
      end)
    end
  end

  it("says what a loop of one's own may use", function()
    for name in pairs(functions_of(definitions "cpromise.loop", "loop")) do
      assert.is_function(require "cpromise.loop"[name], name)
    end
  end)

  it("names what setLoop asks for, and no more", function()
    for missing, how in pairs(protocol) do
      local loop = {}
      for key in pairs(protocol) do
        loop[key] = key ~= missing and function() end or nil
      end
      if missing == "suspend" or missing == "take" then loop.own = nil end
      loop.now = loop.now and function() return 0 end
      assert.equal(how == "optional", (pcall(Promise.setLoop, loop)), missing)
    end
    Promise.setLoop()
  end)
end)

describe("types/library/cpromise/trace.lua", function()
  it("describes the functions of the module", function()
    assert_same_names(functions_of(definitions "cpromise.trace", "trace"),
      trace)
  end)
end)

describe("the definitions", function()
  local files = names_of_files "find types/library -name '*.lua' | sort"

  it("are well formed", function()
    local list = {}
    for i, name in ipairs(files) do list[i] = annotations.read_file(name) end
    assert.same({}, check_types(list))
  end)

  it("are Lua", function()
    for _, name in ipairs(files) do assert(loadfile(name, "t")) end
  end)

  it("say of each function what it raises", function()
    for _, name in ipairs(files) do
      for _, block in ipairs(annotations.read_file(name)) do
        if block.kind == "function" and not name:find "uv%.lua$" then
          assert.is_truthy(table.concat(block.text, " "):find "[Rr]aise",
            block.name)
        end
      end
    end
  end)

  for name, make in pairs(generated) do
    it("are in " .. name .. " as make docs makes it", function()
      local file = assert(io.open(name))
      assert.is_true(make() == file:read "a", "run make docs")
      file:close()
    end)
  end
end)

local version = Promise._VERSION:match "^cpromise (.+)$"

describe("the rockspec", function()
  local spec = {}
  assert(loadfile("rockspec/cpromise-scm-1.rockspec", "t", spec))()

  local function files(command)
    local list = {}
    for name in io.popen(command):lines() do list[name] = true end
    return list
  end

  it("lists every Lua module under its name", function()
    local listed = {}
    for name, file in pairs(spec.build.modules) do
      if type(file) == "string" then
        listed[file] = true
        local path = "lua/" .. name:gsub("%.", "/")
        assert.is_true(file == path .. ".lua" or file == path .. "/init.lua")
      end
    end
    assert.same(files "find lua -name '*.lua'", listed)
  end)

  it("lists every C file of the core", function()
    local listed = {}
    for _, file in ipairs(spec.build.modules["cpromise.core"].sources) do
      listed[file] = true
    end
    assert.same(files "find csrc -name '*.c'", listed)
  end)

  -- make rockspec writes it
  it("has the same for the release, but for version and source", function()
    local release = {}
    local name = "cpromise-" .. version
    local file = "rockspec/" .. name .. "-1.rockspec"
    assert(loadfile(file, "t", release))()
    assert.equal(version .. "-1", release.version)
    assert.equal(name, release.source.dir)
    assert.equal(name .. ".tar.gz", release.source.url:match "[^/]+$")
    release.version, release.source = spec.version, spec.source
    assert.same(spec, release)
  end)
end)

describe("the changelog", function()
  it("begins with the version of the library", function()
    local file <close> = assert(io.open "CHANGELOG.md")
    assert.equal(version, file:read "a":match "\n## (%S+)")
  end)
end)
