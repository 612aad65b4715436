-- A program that hangs, and tells why: on SIGQUIT it prints all that waits,
-- and for what. From a terminal that signal is Ctrl-\, from elsewhere
-- `kill -QUIT PID`.
--
--   lua5.4 examples/dump.lua [SECONDS]
--
--   SECONDS  after which there is paper
--
-- Without arguments it sends that signal to itself, and prints:
--
--   > cpromise: async calls that wait, and for what
--   > └─ an async call at examples/dump.lua:57
--   >    └─ Promise.all, 3 to come
--   >       ├─ an async call at examples/dump.lua:49
--   >       │  └─ send to a channel of capacity 0 that is empty
--   >       ├─ an async call at examples/dump.lua:40 in function 'print_page'
--   >       │  └─ wait for an event that is not set
--   >       └─ an async call at examples/dump.lua:39 in function 'print_page'
--   >          └─ acquire from a semaphore without a free permit
--   >             └─ held by the call at examples/dump.lua:40: see above
--   > page 1
--   > page 2
--   > page 3

local Promise = require "cpromise"
local uv = require "luv"
local await = Promise.await

-- This is all that a program of yours needs. (Such a handle keeps no loop
-- alive.)
local quit = uv.new_signal()
quit:unref()
quit:start("sigquit", function() Promise.dump() end)

local queue, printer, paper =
  Promise.channel(), Promise.semaphore(1), Promise.event()

local function print_page(page)
  local _ <close> = await(printer:acquire())
  await(paper:wait())
  print("page " .. page)
end

local function print_pages()
  for page in queue do print_page(page) end
end

local function write_pages()
  for page = 1, 3 do await(queue:send(page)) end
  queue:close()
end

Promise.delay(tonumber(arg[1] or 0.2)):next(function() paper:set() end)

Promise.main(function()
  if not arg[1] then uv.kill(uv.os_getpid(), "sigquit") end
  await(Promise.all {
    Promise.spawn(write_pages),
    Promise.spawn(print_pages),
    Promise.spawn(print_pages),
  })
end)
