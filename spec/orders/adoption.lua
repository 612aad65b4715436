-- Promises that follow another promise. The logs are V8's: see run.js.

--- takes two ticks more than a value
ticks(5)
make(function(r)
  r("x")
end):next(say("value"))
make(function(r)
  r(Promise.resolve("x"))
end):next(say("promise"))
--> 1 value(x) 2 3 promise(x) 4 5

--- hands a promise on as it is from Promise.resolve
ticks(3)
p[1] = Promise.resolve("x")
p[1]:next(say("a"))
Promise.resolve(p[1]):next(say("b"))
--> 1 a(x) b(x) 2 3

--- waits two ticks for a settled promise that a handler returns
ticks(6)
p[1] = Promise.resolve("x")
p[2] = Promise.reject("e")
p[1]:next(function()
  return p[1]
end):next(say("a"))
p[1]:next(function()
  return p[2]
end):next(say("never"), say("b"))
p[1]:next(say("value")):next(say("c"))
--> 1 value(x) 2 c(x) 3 4 a(x) b(e) 5 6

--- settles a tick after the pending promise that it follows
p[1]:next(say("before"))
Promise.resolve():next(function()
  return p[1]
end):next(say("derived"))
turn(function()
  p[1]:next(say("after")):next(say("after2"))
  ticks(4)
  resolve(1, "x")
end)
--> 1 before(x) after(x) 2 derived(x) after2(x) 3 4

--- links to the promise only in the job of the adoption
resolve(1, p[2])
p[1]:next(say("follower"))
p[2]:next(say("first"))
queueMicrotask(function()
  p[2]:next(say("second"))
  resolve(2, "x")
end)
--> first(x) second(x) follower(x)

--- follows a promise that is settled before the job of the adoption
ticks(5)
resolve(1, p[2])
resolve(2, "x")
p[1]:next(say("a"))
p[2]:next(say("b"))
--> 1 b(x) 2 3 a(x) 4 5

--- lets two promises follow one
resolve(1, p[3])
p[1]:next(say("a"))
resolve(2, p[3])
p[2]:next(say("b"))
p[3]:next(say("c"))
turn(function()
  ticks(4)
  resolve(3, "x")
end)
--> 1 c(x) 2 a(x) b(x) 3 4

--- hands a value along a chain that was linked from behind
p[4]:next(say("d"))
resolve(4, p[3])
p[3]:next(say("c"))
resolve(3, p[2])
p[2]:next(say("b"))
resolve(2, p[1])
p[1]:next(say("a"))
turn(function()
  ticks(5)
  resolve(1, "x")
end)
--> 1 a(x) 2 b(x) 3 c(x) 4 d(x) 5

--- hands a value along a chain a tick at a time
ticks(6)
p[1] = Promise.resolve("x")
resolve(2, p[1])
resolve(3, p[2])
resolve(4, p[3])
outcomes(4)
--> 1 +1(x) 2 3 +2(x) 4 +3(x) 5 +4(x) 6

--- refuses a promise that is resolved with itself
ticks(4)
resolve(1, p[1])
outcomes(1)
p[2] = Promise.resolve():next(function()
  return p[2]
end)
p[2]:catch(say("handler"))
--> 1 -1(TypeError) 2 handler(TypeError) 3 4

--- stays pending in a circle
resolve(1, p[2])
resolve(2, p[1])
p[1]:next(say("never"), say("never"))
ticks(5)
--> 1 2 3 4 5

--- locks the promise in at once
resolve(1, p[2])
resolve(1, "never")
reject(1, "never")
p[1]:next(say("a"))
resolve(2, "x")
--> a(x)

--- queues the adoptions in a row with handlers and jobs
p[1] = Promise.resolve("x")
resolve(2, p[1])
p[1]:next(say("a"))
queueMicrotask(say("job"))
resolve(3, p[1])
p[1]:next(say("b"))
p[2]:next(say("c"))
p[3]:next(say("d"))
p[1]:next(say("e")):next(say("f")):next(say("g"))
--> a(x) job(nil) b(x) e(x) f(x) c(x) d(x) g(x)
