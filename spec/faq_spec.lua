--- docs/faq.md has every message of the sources, and no other.

local messages = require "spec.support.messages"

local PAGE <const> = "docs/faq.md"

local found, needless = messages.of_sources()
local entries = messages.of_page(PAGE)

local function is_on_page(message)
  for _, entry in ipairs(entries) do
    if entry:find(message, 1, true) then return true end
  end
  return false
end

-- Longest first, so that a part of another doesn't take that apart. What
-- differs at the ends may stand in the page as one of the cases.
local function by_length()
  local list = {}
  for message in pairs(found) do
    list[#list + 1] = message:gsub("^…%s*", ""):gsub("%s*…$", "")
  end
  table.sort(list, function(a, b) return #a > #b end)
  return list
end

local longest_first = by_length()

-- What is left of an entry when the messages in it are taken out.
local function rest_of(entry)
  for _, message in ipairs(longest_first) do
    local first, last = entry:find(message, 1, true)
    while first do
      entry = entry:sub(1, first - 1) .. "\0" .. entry:sub(last + 1)
      first, last = entry:find(message, 1, true)
    end
  end
  return entry
end

describe("docs/faq.md", function()
  it("has every message of the sources", function()
    local missing = {}
    for message, file in pairs(found) do
      if not is_on_page(message) then
        missing[#missing + 1] = file .. ": " .. message
      end
    end
    table.sort(missing)
    assert.equal("", table.concat(missing, "\n"))
  end)

  it("has no message that no source has", function()
    local unknown = {}
    for _, entry in ipairs(entries) do
      if rest_of(entry):find "%a" then unknown[#unknown + 1] = entry end
    end
    assert.equal("", table.concat(unknown, "\n"))
  end)

  it("has hundreds of messages to compare", function()
    assert.is_true(#entries > 100)
    assert.is_true(#longest_first > 100)
  end)
end)

describe("spec/support/messages.lua", function()
  it("is silent of nothing that no source has", function()
    assert.equal("", table.concat(needless, "\n"))
  end)
end)
