-- A web server and its clients in one process, with lua-http, which runs on
-- cqueues: handlers and clients are async functions.
--
--   lua5.4 examples/http.lua [PORT]
--
--   PORT  serve there till the program is killed, for curl and browsers
--
-- Without arguments it asks itself and prints:
--
--   > 200 hello /a
--   > 200 hello /b
--   > 200 hello /c
--   > curl: hello /d

-- Debian has lua-http for Lua 5.3 and older, but it is the same for all.
package.path = package.path .. ";/usr/share/lua/5.3/?.lua" ..
  ";/usr/share/lua/5.3/?/init.lua;/usr/share/lua/5.2/?.lua"

local Promise = require "cpromise"
local loop = require "cpromise.loop.cqueues"
local headers = require "http.headers"
local request = require "http.request"
local server = require "http.server"
local await = Promise.await

Promise.setLoop(loop)

-- lua-http calls it in a thread of cqueues, which may await.
local function answer(_, stream)
  local path = stream:get_headers():get ":path"
  await(Promise.delay(0.01)) -- as if it asked a database
  local reply = headers.new()
  reply:append(":status", "200")
  reply:append("content-type", "text/plain")
  stream:write_headers(reply, false)
  stream:write_chunk("hello " .. path .. "\n", true)
end

local function listen(port)
  local web = server.listen {
    host = "127.0.0.1", port = port, cq = loop.queue, onstream = answer,
  }
  web:listen()
  return web, (select(3, web:localname()))
end

local function get(port, path)
  local url = ("http://127.0.0.1:%d%s"):format(port, path)
  local reply, stream = request.new_from_uri(url):go(5)
  local text = stream:get_body_as_string()
  stream:shutdown()
  return reply:get ":status" .. " " .. text
end

-- What curl prints, read in a way that blocks nobody.
local function curl(port, path)
  local file = os.tmpname()
  os.execute(("curl -s http://127.0.0.1:%d%s >%s &"):format(port, path,
    file))
  for _ in Promise.interval(0.02) do
    local line = io.lines(file)()
    if line then
      os.remove(file)
      return line .. "\n"
    end
  end
end

local function main(port)
  local web, real_port = listen(port or 0)
  if port then return await(Promise.withResolvers()) end
  local texts = await(Promise.map({"/a", "/b", "/c"}, function(path)
    return get(real_port, path)
  end))
  io.write(table.concat(texts))
  io.write("curl: ", curl(real_port, "/d"))
  web:close()
end

Promise.run(main, math.tointeger(arg[1]))
