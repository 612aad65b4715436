-- Objects with a method next (in JavaScript then). The logs are V8's: see
-- run.js.

--- looks at the method at once and calls it in a job
ticks(4)
resolve(1, thenable("t", function(r)
  r("x")
  log("after")
end))
log("resolved")
p[1]:next(say("a"))
--> t.next resolved 1 t() after 2 a(x) 3 4

--- takes one tick more than a value where it resolves at once
ticks(4)
p[1] = Promise.resolve("x")
p[1]:next(function()
  return thenable("t", function(r)
    r("y")
  end)
end):next(say("thenable"))
p[1]:next(function()
  return "y"
end):next(say("value"))
--> 1 t.next 2 t() value(y) 3 thenable(y) 4

--- resolves later
resolve(1, thenable("t", function(r)
  queueMicrotask(function()
    log("job")
    r("x")
  end)
end))
p[1]:next(say("a"))
ticks(5)
--> t.next t() 1 job 2 a(x) 3 4 5

--- needs no getter
ticks(4)
resolve(1, plain("t", function(r)
  r("x")
end))
resolve(2, plain("u", function(r, j)
  j("e")
end))
outcomes(2)
--> 1 t() u() 2 +1(x) -2(e) 3 4

--- resolves with another thenable, with a promise, with a value
ticks(7)
p[1] = Promise.resolve(thenable("t", function(r)
  r(thenable("u", function(r2)
    r2(Promise.resolve("x"))
  end))
end))
outcomes(1)
--> t.next 1 t() u.next 2 u() 3 4 5 +1(x) 6 7

--- rejects where looking at the method raises
ticks(4)
resolve(1, trap("t"))
p[2] = Promise.resolve():next(function()
  return trap("u")
end)
p[3] = Promise.resolve(trap("v"))
outcomes(3)
--> t.next v.next 1 u.next -1(t) -3(v) 2 -2(u) 3 4

--- is a value where the method is none, looked at once by each promise
ticks(5)
p[1] = Promise.resolve(thenable("object"))
p[2] = p[1]:next(say("a"))
p[3] = p[2]:next()
p[4] = p[3]:catch(say("never"))
p[4]:next(say("b"))
--> object.next 1 a(object) object.next 2 object.next 3 object.next 4
--> b(object) object.next 5

--- becomes a thenable only when it is looked at a third time
ticks(6)
p[1] = Promise.resolve(thenable("t", function(r)
  r("x")
end, 2))
p[2] = p[1]:next()
p[3] = p[2]:next()
p[3]:next(say("a"))
--> t.next 1 t.next 2 t.next 3 t() 4 a(x) 5 6

--- counts only the first of its calls
resolve(1, thenable("t", function(r, j)
  r("x")
  j("e")
  r("y")
  raise("error")
end))
resolve(2, thenable("u", function(r, j)
  j("e")
  r("y")
end))
resolve(3, thenable("v", function()
  raise("error")
end))
outcomes(3)
--> t.next u.next v.next t() u() v() +1(x) -2(e) -3(error)

--- counts only the first of its calls though that one is still pending
resolve(1, thenable("t", function(r, j)
  r(p[2])
  j("never")
  raise("error")
end))
p[1]:next(say("a"), say("never"))
turn(function()
  resolve(2, "x")
end)
--> t.next t() a(x)

--- raises nothing into the resolving call
resolve(1, trap("t"))
log("after")
reject(1, "never")
p[1]:catch(say("a"))
--> t.next after a(t)

--- stands as a reason without a look at it
ticks(3)
reject(1, thenable("t", function(r)
  r("never")
end))
p[1]:catch(function(reason)
  log("a", reason)
  raise(trap("u"))
end):catch(function(reason)
  log("b", reason)
end)
--> 1 a(t) 2 b(u) 3

--- passes the resolving functions on to a promise
ticks(5)
p[1] = Promise.resolve(thenable("t", function(r, j)
  p[2]:next(r, j)
end))
resolve(2, p[3])
reject(3, "e")
outcomes(3)
--> t.next 1 t() -3(e) 2 3 -2(e) 4 -1(e) 5
