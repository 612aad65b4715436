-- Async functions. The logs are V8's: see run.js.

--- starts at once
p[1] = start(function()
  log("body")
  return "x"
end)
log("after")
outcomes(1)
--> body after +1(x)

--- takes one tick for a settled promise
ticks(4)
p[1] = Promise.resolve("x")
p[2] = start(function()
  log("a", await(p[1]))
  log("b", await(p[1]))
end)
outcomes(2)
--> 1 a(x) +1(x) 2 b(x) 3 +2(nil) 4

--- takes one tick for a value
ticks(4)
p[1] = start(function()
  log("a", await(1))
  log("b", await(nil))
  return 2
end)
outcomes(1)
--> 1 a(1) 2 b(nil) 3 +1(2) 4

--- takes two ticks to follow a promise that it returns
ticks(6)
p[1] = Promise.resolve("x")
p[2] = start(function()
  return p[1]
end)
p[3] = start(function()
  return await(p[1])
end)
outcomes(3)
--> 1 +1(x) 2 +3(x) 3 +2(x) 4 5 6

--- waits for a thenable
ticks(5)
p[1] = start(function()
  log("a", await(thenable("t", function(r, j) r("x") end)))
  log("b", await(plain("u", function(r, j) queueMicrotask(function() r("y") end) end)))
end)
outcomes(1)
--> t.next 1 t() 2 a(x) 3 u() 4 5 b(y) +1(nil)

--- raises what a getter raises
p[1] = start(function()
  xpcall(function()
    await(trap("o"))
  end, caught("c"))
  await(trap("q"))
end)
outcomes(1)
--> o.next c(o) q.next -1(q)

--- goes on in the order of waiting
p[2] = start(function() log("a", await(p[1])) end)
p[3] = p[1]:next(say("next"))
p[4] = start(function() log("b", await(p[1])) end)
turn(function() resolve(1, "x") end)
--> a(x) next(x) b(x)

--- raises reasons, which can be caught
ticks(5)
p[1] = start(function()
  xpcall(function()
    log("not here")
    await(Promise.reject("e"))
    log("nor here")
  end, caught("c"))
  log("goes on")
  await(Promise.reject("f"))
end)
outcomes(1)
--> not here 1 c(e) goes on 2 3 -1(f) 4 5

--- takes turns
p[1] = start(function()
  for i = 1, 3 do
    log("a", await(i))
  end
end)
p[2] = start(function()
  for i = 1, 3 do
    log("b", await(i))
  end
end)
ticks(3)
--> a(1) b(1) 1 a(2) b(2) 2 a(3) b(3) 3

--- takes turns with a chain
p[1] = start(function()
  for i = 1, 4 do
    log("a", await(Promise.resolve(i)))
  end
end)
p[2] = Promise.resolve("x"):next(say("1st")):next(say("2nd")):next(say("3rd"))
--> a(1) 1st(x) a(2) 2nd(x) a(3) 3rd(x) a(4)

--- stays pending when it awaits itself
p[1] = start(function()
  await(nil)
  await(p[1])
end)
outcomes(1)
ticks(3)
--> 1 2 3

--- is an element like any other
ticks(6)
p[1] = start(function() return "x" end)
p[2] = start(function() await(1)
  return "y" end)
p[3] = Promise.all({p[1], p[2], start(function() return "z" end)})
p[4] = Promise.race({p[2], p[1]})
outcomes(4)
--> 1 +1(x) 2 +2(y) +4(x) 3 +3({x,y,z}) 4 5 6

--- waits in a function that another awaits
ticks(8)
p[1] = start(function()
  log("a", await(start(function()
    log("b", await(start(function() return "x" end)))
    return "y"
  end)))
end)
outcomes(1)
--> 1 b(x) 2 a(y) 3 +1(nil) 4 5 6 7 8

--- waits for finally
ticks(8)
p[1] = start(function()
  log("a", await(Promise.resolve("x"):finally(function() return Promise.resolve(1) end)))
end)
outcomes(1)
--> 1 2 3 4 a(x) 5 +1(nil) 6 7 8
