--- What the Lua language server makes of the types: `.ci/types` gives it this
--- file. It must warn of each line that ends with `!` and the warning's code,
--- and of no other.

local Promise = require "cpromise"
local clock = require "cpromise.loop.virtual"
local uv = require "cpromise.uv"

local await = Promise.await

---@param text string
local function a_string(text) return text end

---@param number integer
local function an_integer(number) return number end

---@return cpromise.Promise<string>
local function get() return Promise.delay(1, "text") end

-- Results go through

local p = get()
a_string(await(p))
a_string((p:await()))
an_integer(await(p)) --! param-type-mismatch
an_integer(await(p:next(function(text) return #text end)))
a_string(await(p:next(function() return 1 end))) --! param-type-mismatch
p:next(function(text) return #text end):next(an_integer)
p:next(function(text) an_integer(text) end) --! param-type-mismatch
a_string(await(p:next(function() return get() end)))
p:next(nil, print):catch(print):finally(function() print "end" end)
a_string(await(p:finally(print):timeout(5)))
a_string(await(Promise.shield(p)))
an_integer(await(Promise.all {p, get()})[1]) --! param-type-mismatch
a_string(await(Promise.all {p, get()})[1])
an_integer(await(Promise.all {p, get()}).n)
a_string(await(Promise.race {p, get()}))
a_string(await(Promise.any {p, get()}))
a_string(await(Promise.allKeyed {user = p, posts = p}).user)
an_integer(await(Promise.spawn(function() return 12 end)))
an_integer(await(Promise.async(function(n) return n and 12 end)(1)))
an_integer(await(Promise.map({"a"}, function(text) return #text end))[1])
an_integer(await(Promise.retry(function(attempt) return attempt end)))
an_integer(await(Promise.semaphore(1):with(function() return 1 end)))
an_integer(await(Promise.scope(function(scope)
  a_string(await(scope:spawn(get)))
  return 1
end)))
an_integer((Promise.run(function() return 1 end)))

---@type cpromise.Channel<string>
local channel = Promise.channel(1)
channel:receive():next(a_string)
channel:send("text", 1)
channel:send(1) --! param-type-mismatch
for value in channel do print(value) end
for i, q in Promise.asCompleted {p} do an_integer(i) a_string((q:await())) end
for i in Promise.interval(1) do an_integer(i) end
a_string(await(Promise.all(coroutine.wrap(print)))[1])

-- luv

a_string(await(uv.read_file "name"))
uv.read_file("name"):upper() --! undefined-field
an_integer(await(uv.start_process("true")).pid)
await(uv.open("name")):close()
for line in uv.scandir "." do a_string(line) end

-- What must not be dropped, and what may

Promise.delay(1) --! discard-returns
Promise.all {p} --! discard-returns
p:timeout(1) --! discard-returns
Promise.semaphore(1):acquire() --! discard-returns
Promise.spawn(get)
Promise.map({1}, print)
p:next(print)
channel:send("dropped")
p:cancel("reason")
p:ignore()

-- Names

p:foo() --! undefined-field
Promise.foo() --! undefined-field
Promise.scope(function(scope) scope:close() end):cancel() --! undefined-field
Promise.setLoop(clock)
clock.advance(1)
clock.advance("1") --! param-type-mismatch
local permit <close> = await(Promise.semaphore(1):acquire())
permit()
local scope <close> = Promise.scope()
scope:spawn(print, 1)
