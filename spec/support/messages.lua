--- The messages of the library, as its sources have them: every literal of
--- more than one word, but for what `silent` lists.

local messages = {}

-- Files whose texts are no messages of the library.
local silent_files = {
  ["csrc/trace.c"] = "lines of tracebacks",
  ["lua/cpromise/graph.lua"] = "what Graphviz reads",
  ["lua/cpromise/uv/messages.lua"] = "what libuv says of its codes",
}

-- Texts that are none, or parts of others that say nothing alone.
local silent = {
  ["promise: … (…)"] = "tostring of a promise",
  ["…, made at …"] = "tostring of a promise, in the debug mode",
  ["cpromise: "] = "before others",
  ["cpromise: warning: …………"] = "the form of warnings",
  ["└─ "] = "a line of a tree",
  ["├─ "] = "a line of a tree",
  ["no value"] = "the end of another",
  ["\\n  …: "] = "a line of an aggregate error",
  ["\\n  (… more)"] = "a line of an aggregate error",
  ["  …: …"] = "a line of an aggregate error",
  ["AggregateError: ..."] = "an aggregate error in another",
  ["…: "] = "a place",
  ["…:…: "] = "a place",
  [" of …:…"] = "a place",
  [", up to "] = "a place",
  [" and "] = "joins others",
  [" in function '…'"] = "a place",
  [" in function '[^']*'"] = "a pattern",
  ["^a channel"] = "a pattern",
  ["^a semaphore"] = "a pattern",
  ["^an async call"] = "a pattern",
  ["^bad argument"] = "a pattern",
  ["coroutine "] = "a name in a timeline",
  ["handler in C"] = "a name in a timeline",
  ["handler …:…"] = "a name in a timeline",
  ["async call"] = "a name in a timeline",
  ["async call "] = "a name in a timeline",
  [" in function "] = "a name in a timeline",
  ["what runs"] = "a name in a timeline",
  ["uv error"] = "the name of a type",
  ["udp socket"] = "the name of a type",
  ["process result"] = "the name of a type",
  ["temporary directory"] = "the name of a type",
  ["code …, signal …"] = "tostring of the result of a process",
  ["r r+ w w+ wx wx+ a a+ ax ax+"] = "the modes of files",
}

local function read(name)
  local file = assert(io.open(name))
  local text = file:read "a"
  file:close()
  return text
end

local languages = {
  c = {
    comments = {{"^/%*", "*/"}, {"^#include", "\n"}, {"^'", "'"}},
    quotes = '"',
    joined = "^[%s\\]*$",
  },
  h = {
    comments = {{"^/%*", "*/"}, {"^#include", "\n"}},
    quotes = '"',
    joined = "^[%s\\]*$",
  },
  lua = {
    comments = {{"^%-%-", "\n"}, {"^%[%[", "]]"}},
    quotes = "\"'",
    joined = "^%s*%.%.%s*$",
  },
}

-- Where the literal ends that begins at `first`.
local function end_of_literal(text, first)
  local quote, i = text:sub(first, first), first + 1
  while text:sub(i, i) ~= quote do
    i = i + (text:sub(i, i) == "\\" and 2 or 1)
  end
  return i
end

local function end_of_comment(text, i, comments)
  for _, comment in ipairs(comments) do
    if text:find(comment[1], i) then
      local _, last = text:find(comment[2], i + 1, true)
      return last or #text
    end
  end
end

-- All literals, with those that stand beside one another joined.
local function literals(text, language)
  local list, last, i = {}, nil, 1
  while i <= #text do
    local over = end_of_comment(text, i, language.comments)
    if over then
      i = over
    elseif language.quotes:find(text:sub(i, i), 1, true) then
      local stop = end_of_literal(text, i)
      local literal = text:sub(i + 1, stop - 1)
      if last and text:sub(last + 1, i - 1):find(language.joined) then
        list[#list] = list[#list] .. literal
      else
        list[#list + 1] = literal
      end
      last, i = stop, stop
    end
    i = i + 1
  end
  return list
end

-- As a document writes it: "…" for what differs from call to call. A format
-- at the start of a word is the place of the error.
local function as_written(literal)
  literal = literal:gsub("^%%s(%a)", "%1"):gsub("%%%%", "%%")
    :gsub('\\"', '"')
  return (literal:gsub("%%[%d.]*%a", "…"):gsub("\\n$", ""))
end

local function is_of_words(text)
  return text:find "%a['%a]*[,;:]? +[%a'(…]" or text:find "%a: $" or
    text:find "%a %a" or text:find "[%a…] $" or text:find "^ %a"
end

--- Each message as a document writes it, with the file that has it; and the
--- entries of `silent` that no file has any more.
---@return table<string, string> found, string[] needless
function messages.of_sources()
  local found, seen = {}, {}
  local files =
    io.popen "find csrc -name '*.[ch]'; find lua -name '*.lua'"
  for name in files:lines() do
    local language = languages[name:match "%.(%a+)$"]
    for _, literal in ipairs(literals(read(name), language)) do
      local text = as_written(literal)
      seen[text] = true
      if is_of_words(text) and not silent[text] and
         not silent_files[name] then
        found[text:match "^%s*(.-)%s*$"] = name
      end
    end
  end
  files:close()
  local needless = {}
  for text in pairs(silent) do
    if not seen[text] then needless[#needless + 1] = text end
  end
  return found, needless
end

--- The messages of a page: code in a heading, or in the first cell of a row.
---@return string[]
function messages.of_page(name)
  local list = {}
  for line in read(name):gmatch "[^\n]+" do
    local cell = line:match "^#+ (.*)" or line:match "^| (`[^|]*`) |"
    for code in (cell or ""):gmatch "`([^`]+)`" do list[#list + 1] = code end
  end
  return list
end

return messages
