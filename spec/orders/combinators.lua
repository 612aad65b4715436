-- all, allSettled, any and race. The logs are V8's: see run.js.

--- settle a tick after their elements
ticks(4)
p[1] = Promise.all({1, 2})
p[2] = Promise.allSettled({1, Promise.reject("e")})
p[3] = Promise.any({Promise.reject("e"), 2})
p[4] = Promise.race({1, 2})
outcomes(4)
--> 1 2 +1({1,2}) +2({+1,-e}) +3(2) +4(1) 3 4

--- settle at once where they are empty
ticks(2)
p[1] = Promise.all({})
p[2] = Promise.allSettled({})
p[3] = Promise.any({})
p[4] = Promise.race({})
outcomes(4)
--> 1 +1({}) +2({}) -3(AggregateError{}) 2

--- keep the order of the elements
p[4] = Promise.all({p[1], p[2], p[3]})
p[5] = Promise.allSettled({p[1], p[2], p[3]})
p[6] = Promise.any({p[1], p[2], p[3]})
p[7] = Promise.race({p[1], p[2], p[3]})
outcomes(7)
resolve(3, "z")
turn(function()
  resolve(2, "y")
end)
turn(function()
  resolve(1, "x")
end)
--> +3(z) +6(z) +7(z) +2(y) +1(x) +4({x,y,z}) +5({+x,+y,+z})

--- keep the order of the elements where they reject
p[4] = Promise.all({p[1], p[2], p[3]})
p[5] = Promise.allSettled({p[1], p[2], p[3]})
p[6] = Promise.any({p[1], p[2], p[3]})
p[7] = Promise.race({p[1], p[2], p[3]})
outcomes(7)
reject(3, "g")
reject(1, "e")
turn(function()
  reject(2, "f")
end)
--> -3(g) -1(e) -4(g) -7(g) -2(f) +5({-e,-f,-g}) -6(AggregateError{e,f,g})

--- look at all elements first and call the thenables later
ticks(5)
p[1] = Promise.all({thenable("t", function(r)
  r("x")
end), 2, trap("u"), thenable("v", function(r, j)
  j("e")
end)})
log("looked")
p[2] = Promise.race({thenable("object"), thenable("w", function(r)
  r("y")
end)})
outcomes(2)
--> t.next u.next v.next looked object.next w.next 1 t() v() object.next w() 2
--> -1(u) +2(object) object.next 3 4 5

--- look once more at a value that becomes their own
ticks(5)
p[1] = Promise.any({thenable("a")})
p[2] = Promise.race({thenable("b")})
p[3] = Promise.all({thenable("c")})
p[4] = Promise.race({thenable("t", function(r)
  r("x")
end, 1)})
outcomes(4)
--> a.next b.next c.next t.next 1 a.next b.next t.next 2 +1(a) a.next +2(b)
--> b.next +3({c}) t() 3 +4(x) 4 5

--- step through an iterator and look at each element in turn
ticks(3)
p[1] = Promise.all(each({1, thenable("t", function(r)
  r("x")
end), p[3], thenable("object")}))
p[2] = Promise.race(each({}))
resolve(3, 3)
outcomes(3)
--> step1 step2 t.next step3 step4 object.next step5 step1 1 t() +3(3) 2 3
--> +1({1,x,3,object})

--- reject where the iterator fails
ticks(3)
p[1] = Promise.allSettled(each({thenable("t", function(r)
  r("x")
end), 2}, 2))
p[2] = Promise.race(each({1, 2}, 3))
p[3] = Promise.any(each({1}, 1))
outcomes(3)
--> step1 t.next step2 step1 step2 step3 step1 1 t() -1(stopped) -2(stopped)
--> -3(stopped) 2 3

--- nest
ticks(8)
p[3] = Promise.all({Promise.all({p[1], 1}), Promise.race({p[2], p[1]})})
p[4] = Promise.any({Promise.any({}), Promise.all({p[1], p[2]}), p[3]})
p[5] = Promise.allSettled({Promise.all({p[1], Promise.reject("e")}), p[4]})
outcomes(5)
resolve(2, "y")
resolve(1, "x")
--> 1 +2(y) +1(x) 2 3 +3({{x,1},y}) +4({x,y}) 4 +5({-e,+{x,y}}) 5 6 7 8

--- take one promise twice
p[2] = Promise.all({p[1], p[1], 1})
p[3] = Promise.race({p[1], p[1]})
p[1]:next(say("a"))
p[4] = Promise.all({p[1], p[1]})
outcomes(4)
resolve(1, "x")
--> a(x) +1(x) +2({x,x,1}) +3(x) +4({x,x})

--- settle with promises that are adopted, at different ticks
ticks(8)
p[1] = Promise.resolve("x")
resolve(2, p[1])
p[3] = p[1]:next(function()
  return p[2]
end)
p[4] = Promise.all({p[1], p[2], p[3]})
p[5] = Promise.race({p[3], p[2]})
p[6] = Promise.any({Promise.reject("e"), p[3], p[2]})
outcomes(6)
--> 1 +1(x) 2 3 +2(x) 4 +5(x) +6(x) +3(x) 5 +4({x,x,x}) 6 7 8

--- queue their elements in a row with handlers
resolve(1, "x")
resolve(2, "y")
p[1]:next(say("a"))
p[3] = Promise.all({p[2], p[1], "z"})
p[4] = Promise.race({p[1], p[2]})
p[3]:next(say("all"))
p[4]:next(say("race"))
p[1]:next(say("b")):next(say("c")):next(say("d"))
p[2]:next(say("e")):next(say("f"))
--> a(x) b(x) e(y) all({y,x,z}) race(x) c(x) f(y) d(x)

--- take no second outcome while they follow the first
ticks(6)
p[1] = Promise.race({thenable("t", function(r)
  r(p[9])
end, 1), 2, Promise.reject("e")})
p[2] = Promise.any({Promise.reject("e"), thenable("u", function(r)
  r(p[9])
end, 1), 2})
outcomes(2)
turn(function()
  resolve(9, "x")
end)
--> t.next u.next 1 t.next u.next 2 t() u() 3 4 5 6 +1(x) +2(x)

--- keep their places in a crowd, of which some are done
p[1]:next(say("a"))
p[2] = Promise.race({p[1], 1})
p[3] = Promise.all({p[1], 2})
p[1]:next(say("b"))
p[4] = Promise.race({p[1], 3})
p[5] = Promise.all({p[1], 4})
p[6] = Promise.all({Promise.reject("e"), p[1]})
p[1]:next(say("c"))
p[7] = Promise.allSettled({p[1]})
p[1]:finally(say("d"))
outcomes(7)
turn(function()
  p[8] = Promise.any({p[1]})
  p[9] = Promise.race({p[1], p[9]})
  p[1]:next(say("e"))
  p[8]:next(say("any"))
  p[9]:next(say("race"))
  resolve(1, "x")
end)
--> +2(1) +4(3) -6(e) a(x) b(x) c(x) d(nil) +1(x) e(x) +3({x,2}) +5({x,4})
--> +7({+x}) any(x) race(x)
