--- The programs of spec/orders, with the logs that V8 printed.

local TOPICS <const> =
  {"next", "adoption", "thenable", "finally", "combinators", "microtasks",
    "async"}

local order_programs = {}

local function read(topic)
  local file <close> = assert(io.open("spec/orders/" .. topic .. ".lua"))
  return file:read "a"
end

-- One program: its title, its text, its log as one line.
local function parse(topic, program)
  local title, text, log = program:match "^([^\n]+)(\n.-)\n%-%-> (.+)$"
  assert(title, "spec/orders/run.js has not run: no log in " .. program)
  log = log:gsub("\n%-%->", ""):gsub("%s+$", "")
  return {topic = topic, title = title, text = text, log = log}
end

--- All programs, as a list of {topic=, title=, text=, log=}.
function order_programs.all()
  local list = {}
  for _, topic in ipairs(TOPICS) do
    local programs = read(topic):gsub("\n%-%-%- ", "\0")
    for program in programs:gmatch "%z([^\0]+)" do
      list[#list + 1] = parse(topic, program)
    end
  end
  return list
end

return order_programs
