-- finally, whose promise settles as the one before it. The logs are V8's: see
-- run.js.

--- settles two ticks after its handler has returned a value
ticks(5)
p[1] = Promise.resolve("x"):finally(say("a"))
p[2] = Promise.reject("e"):finally(say("b"))
outcomes(2)
--> 1 a(nil) b(nil) 2 3 4 +1(x) -2(e) 5

--- takes one tick without a handler
ticks(3)
p[1] = Promise.resolve("x"):finally()
p[2] = Promise.reject("e"):finally()
outcomes(2)
--> 1 2 +1(x) -2(e) 3

--- waits for a pending promise that its handler returns
p[2] = Promise.resolve("x"):finally(function()
  return p[1]
end)
p[3] = Promise.reject("e"):finally(function()
  return p[1]
end)
outcomes(3)
turn(function()
  ticks(5)
  resolve(1, "y")
end)
--> 1 +1(y) 2 3 +2(x) -3(e) 4 5

--- takes no tick more for a settled promise than for a value
ticks(5)
p[1] = Promise.resolve("y")
p[2] = Promise.resolve("x"):finally(function()
  return p[1]
end)
p[3] = Promise.reject("e"):finally(function()
  return p[1]
end)
p[4] = Promise.resolve("x"):finally(function()
  return "y"
end)
outcomes(4)
--> 1 +1(y) 2 3 4 +2(x) -3(e) +4(x) 5

--- takes the rejection of the promise that its handler returns
ticks(5)
p[1] = Promise.reject("other")
p[2] = Promise.resolve("x"):finally(function()
  return p[1]
end)
p[3] = Promise.reject("e"):finally(function()
  return p[1]
end)
outcomes(3)
--> 1 -1(other) 2 3 4 -2(other) -3(other) 5

--- takes the rejection of a pending promise that its handler returns
p[2] = Promise.resolve("x"):finally(function()
  return p[1]
end)
p[3] = Promise.reject("e"):finally(function()
  return p[1]
end)
outcomes(3)
turn(function()
  ticks(4)
  reject(1, "other")
end)
--> 1 -1(other) 2 3 -2(other) -3(other) 4

--- rejects in the same tick where its handler raises
ticks(4)
p[1] = Promise.resolve("x"):finally(function()
  raise("error")
end)
p[2] = Promise.reject("e"):finally(function()
  raise("error")
end)
outcomes(2)
--> 1 2 -1(error) -2(error) 3 4

--- waits for a thenable that its handler returns
ticks(6)
p[1] = Promise.resolve("x"):finally(function()
  return thenable("t", function(r)
    r("y")
  end)
end)
p[2] = Promise.reject("e"):finally(function()
  return plain("u", function(r)
    r(Promise.resolve("y"))
  end)
end)
p[3] = Promise.resolve("x"):finally(function()
  return thenable("v", function(r, j)
    j("other")
  end)
end)
outcomes(3)
--> 1 t.next v.next 2 t() u() v() 3 4 5 +1(x) -3(other) 6 -2(e)

--- rejects where looking at the result of its handler raises
ticks(5)
p[1] = Promise.resolve("x"):finally(function()
  return trap("t")
end)
outcomes(1)
--> 1 t.next 2 3 4 -1(t) 5

--- looks at a value of two kinds as often as the standard does
ticks(7)
p[1] = Promise.resolve(thenable("object"))
p[2] = p[1]:finally(function()
  return thenable("result")
end)
p[2]:next(say("a"))
--> object.next 1 result.next 2 object.next 3 object.next 4 a(object)
--> object.next 5 6 7

--- follows a value that has become a thenable meanwhile
ticks(8)
p[1] = Promise.resolve(thenable("t", function(r)
  r("x")
end, 1))
p[2] = p[1]:finally(say("a"))
p[3] = Promise.resolve(thenable("u", function(r)
  r("y")
end, 2))
p[4] = p[3]:finally(say("b"))
p[2]:next(say("c"))
p[4]:next(say("d"))
--> t.next u.next 1 a(nil) b(nil) 2 t.next u.next 3 t() u.next 4 u() 5 c(x)
--> d(y) 6 7 8

--- stays pending where its handler returns its own promise
p[1] = Promise.resolve("x"):finally(function()
  log("a")
  return p[1]
end)
outcomes(1)
ticks(4)
--> a 1 2 3 4

--- chains with handlers and with itself
ticks(9)
p[1]:next(say("a")):finally(say("b")):finally(say("c")):next(say("d"))
p[1]:next(say("e")):next(say("f")):next(say("g")):next(say("h"))
resolve(1, "x")
--> 1 a(x) e(x) 2 b(nil) f(x) 3 g(x) 4 h(x) 5 c(nil) 6 7 8 d(x) 9
