--- Let the collector be incremental, in the units of Lua 5.4: percent, work
--- for every 16 bytes that are allocated, and the power of two of how many
--- bytes each step waits for. From 5.5 on numbers given with the name of the
--- mode are ignored, and work is percent of a unit for every 8 bytes, of
--- which there are about twice as many; a step without work would be a whole
--- cycle.
return function(pause, stepmul, stepsize)
  if _VERSION == "Lua 5.4" then
    collectgarbage("incremental", pause, stepmul, stepsize)
    return
  end
  collectgarbage "incremental"
  collectgarbage("param", "pause", pause)
  collectgarbage("param", "stepmul", 100 * stepmul)
  collectgarbage("param", "stepsize", math.max(1 << stepsize, 16))
end
