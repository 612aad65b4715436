--- Bytes that have arrived in chunks, taken out in other portions.

---@class cpromise.uv.Buffer
---@field size integer  bytes in it
---@field chunks string[]
---@field first integer  of the chunks
---@field last integer
---@field at integer  where in the first chunk the next byte is
local Buffer = {}
Buffer.__index = Buffer

local buffer = {}

---@return cpromise.uv.Buffer
function buffer.new()
  return setmetatable(
    {size = 0, chunks = {}, first = 1, last = 0, at = 1}, Buffer)
end

---@param chunk string
function Buffer:push(chunk)
  if chunk == "" then return end
  self.last = self.last + 1
  self.chunks[self.last] = chunk
  self.size = self.size + #chunk
end

-- The rest of the first chunk, taken out.
local function shift(self)
  local first, at = self.first, self.at
  local chunk = self.chunks[first]
  self.chunks[first] = nil
  self.first, self.at = first + 1, 1
  if self.first > self.last then self.first, self.last = 1, 0 end
  return at == 1 and chunk or chunk:sub(at)
end

--- Take the next chunk, or what is left of it.
---@return string
function Buffer:take_chunk()
  local chunk = shift(self)
  self.size = self.size - #chunk
  return chunk
end

--- Take what is left of the next chunk, but no more than `n` bytes.
---@param n integer
---@return string
function Buffer:take_some(n)
  local rest = #self.chunks[self.first] - self.at + 1
  if rest <= n then return self:take_chunk() end
  return self:take(n)
end

--- Take the next `n` bytes, or all if there are fewer.
---@param n integer
---@return string
function Buffer:take(n)
  n = math.min(n, self.size)
  if n == 0 then return "" end
  self.size = self.size - n
  local head = self.chunks[self.first]
  local at = self.at
  if at + n <= #head then -- something stays in the chunk
    self.at = at + n
    return head:sub(at, at + n - 1)
  end
  local parts = {}
  while n > 0 do
    head, at = self.chunks[self.first], self.at
    if at + n <= #head then
      self.at = at + n
      parts[#parts + 1] = head:sub(at, at + n - 1)
      break
    end
    parts[#parts + 1] = shift(self)
    n = n - #parts[#parts]
  end
  return table.concat(parts)
end

--- Take what stands before the delimiter, and that, if it ends in the first
--- chunk, as most lines do.
---@param delimiter string
---@return string?
function Buffer:take_before(delimiter)
  local head = self.chunks[self.first]
  if not head then return end
  local at = self.at
  local found, last = head:find(delimiter, at, true)
  if not found then return end
  self.size = self.size - (last - at + 1)
  if last == #head then shift(self) else self.at = last + 1 end
  return head:sub(at, found - 1)
end

--- How many bytes stand before the delimiter, or nil if it isn't there.
--- `search` is a table for one search, kept while more arrives and nothing is
--- taken: no byte is looked at twice.
---@param delimiter string
---@param search {chunk: integer?, before: integer?, tail: string?}
---@return integer?
function Buffer:find(delimiter, search)
  local i = search.chunk or self.first
  local before, tail = search.before or 0, search.tail or ""
  while i <= self.last do
    local chunk = self.chunks[i]
    local at = i == self.first and self.at or 1
    local text = tail == "" and chunk or tail .. chunk
    local found = text:find(delimiter, tail == "" and at or 1, true)
    if found then
      if tail == "" then return before + found - at end
      return before - #tail + found - 1
    end
    before = before + #chunk - at + 1
    local keep = math.min(#delimiter - 1, #tail + #chunk - at + 1)
    tail = keep > 0 and text:sub(-keep) or ""
    i = i + 1
  end
  search.chunk, search.before, search.tail = i, before, tail
end

return buffer
