-- Fetch all pages that can be reached from the first, so many at once, from a
-- server on this machine that is slow, drops connections and lies.
--
--   lua5.4 examples/crawl.lua [PAGES [WORKERS]]
--
--   PAGES    how many the server has (60)
--   WORKERS  how many connections may be open at once (8)
--
-- A page that doesn't come within 0.5 s, not at all or changed is asked for
-- again, three times at most. Ctrl-C cancels what is under way; the program
-- then ends by itself. Without arguments it prints:
--
--   > the server was slow 7 times, dropped 10 connections, lied 6 times
--   > /42: dropped without an answer
--   > 59 of 60 pages, with 8 connections

local Promise = require "cpromise"
local uv = require "cpromise.uv"
local await, pawait = Promise.await, Promise.pawait

local HOST <const> = "127.0.0.1"

-- Both sides compute it, one of them honestly.
local function checksum(text)
  local sum = 0
  for i = 1, #text do sum = (sum * 31 + text:byte(i)) % 65521 end
  return sum
end


-- The server ---------------------------------------------------------------

local did = {slow = 0, drop = 0, lie = 0}

-- What it does with the first requests for a page.
local function vices(page)
  if page == 42 then return {"drop", "drop", "drop"} end
  return {({[4] = "slow", [5] = "drop", [7] = "lie"})[page % 9]}
end

-- A page links to two others, so that all can be reached.
local function page_text(page, pages)
  local lines = {"A page.\n"}
  for link = 2 * page, math.min(2 * page + 1, pages) do
    lines[#lines + 1] = ("See /%d.\n"):format(link)
  end
  return table.concat(lines)
end

-- What answers one request.
local function server_of(pages)
  local planned = {}
  return function(stream)
    local request = await(stream:read_until("\n", 100)) or ""
    local page = math.tointeger(request:match "^GET (%d+)$")
    if not page then return end
    planned[page] = planned[page] or vices(page)
    local vice = table.remove(planned[page], 1)
    if vice then did[vice] = did[vice] + 1 end
    if vice == "drop" then return end
    if vice == "slow" then await(Promise.delay(9)) end
    local text = page_text(page, pages)
    local sum = checksum(text)
    if vice == "lie" then text = text:gsub("page", "liar") end
    await(stream:write(("%d %d\n%s"):format(#text, sum, text)))
  end
end


-- The client ---------------------------------------------------------------

local open, most = 0, 0 -- connections

local fetch = Promise.async(function(port, page)
  local stream <close> = await(uv.connect(HOST, port))
  open = open + 1
  most = math.max(most, open)
  local _ <close> = setmetatable({}, {__close = function()
    open = open - 1
  end})
  await(stream:write(("GET %d\n"):format(page)))
  local length, sum, text =
    await(stream:read_all()):match "^(%d+) (%d+)\n(.*)"
  if not length then error("dropped without an answer", 0) end
  if #text ~= tonumber(length) or checksum(text) ~= tonumber(sum) then
    error("not what was announced", 0)
  end
  return text
end)

-- An attempt that is late is cancelled, and has closed its connection before
-- the next one begins.
local function fetch_with_patience(port, page)
  return Promise.retry(function()
    return fetch(port, page):timeout(0.5)
  end, {attempts = 3, delay = 0.02})
end

-- A promise that is resolved when all pages have been tried. `state` tells
-- how far it is: pages found, done, and why others failed.
local function crawl(port, workers, state)
  return Promise.scope(function(scope)
    local slots = Promise.semaphore(workers)
    local known = {}

    local function visit(page)
      if known[page] then return end
      known[page] = true
      state.found = state.found + 1
      scope:spawn(function()
        local ok, result = pawait(slots:with(fetch_with_patience, port, page))
        if not ok then
          state.failed[page] = result
          return
        end
        state.done = state.done + 1
        for link in result:gmatch "See /(%d+)" do
          visit(math.tointeger(link))
        end
      end)
    end

    visit(1)
  end)
end

-- A line that follows the state, if somebody looks.
local function show_progress(state)
  if uv.guess_handle(2) ~= "tty" then return end
  while true do
    io.stderr:write(("\r%d of %d pages "):format(state.done, state.found))
    await(Promise.delay(0.05))
  end
end


local pages, workers = tonumber(arg[1] or 60), tonumber(arg[2] or 8)
local state = {found = 0, done = 0, failed = {}}

local function ignore() end -- a client that was cancelled is gone

-- Ctrl-C cancels this function.
Promise.main(function()
  local server =
    await(uv.listen(HOST, 0, server_of(pages), {on_error = ignore}))
  local crawled, why = pcall(await, Promise.scope(function(scope)
    local crawling = crawl(server.port, workers, state)
    scope:spawn(show_progress, state)
    await(crawling)
    scope:cancel()
  end))
  await(server:cancel()) -- those that are slow would take their time
  if crawled then return end
  if Promise.isCancelled(why) then
    print(("%s after %d pages"):format(why.reason, state.done))
  end
  error(why, 0)
end)

print(("the server was slow %d times, dropped %d connections, lied %d times")
  :format(did.slow, did.drop, did.lie))
for page, why in pairs(state.failed) do
  print(("/%d: %s"):format(page, why))
end
print(("%d of %d pages, with %d connections"):format(
  state.done, state.found, most))
