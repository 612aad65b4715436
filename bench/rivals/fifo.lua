--- A queue of functions, for libraries that leave theirs to the program.

local fifo = {}

local queue, first, last = {}, 1, 0

function fifo.push(fn)
  last = last + 1
  queue[last] = fn
end

function fifo.drain()
  while first <= last do
    local fn = queue[first]
    queue[first] = nil
    first = first + 1
    fn()
  end
  first, last = 1, 0
end

return fifo
