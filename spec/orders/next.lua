-- Handlers of next and catch. The logs are V8's: see run.js.

--- runs handlers after the code that registers them, in order
Promise.resolve("x"):next(say("a"))
log("between")
Promise.resolve("y"):next(say("b"))
log("last")
--> between last a(x) b(y)

--- runs a handler in the first tick, and each one behind it a tick later
ticks(4)
Promise.resolve("x"):next(say("a")):next(say("b")):next(say("c"))
--> 1 a(x) 2 b(x) 3 c(x) 4

--- lets chains take turns
Promise.resolve(1):next(say("a1")):next(say("a2")):next(say("a3"))
Promise.resolve(2):next(say("b1")):next(say("b2")):next(say("b3"))
--> a1(1) b1(2) a2(1) b2(2) a3(1) b3(2)

--- runs the handlers of one promise before those of another settled later
p[1]:next(say("a"))
p[2]:next(say("b"))
p[1]:next(say("c"))
p[2]:next(say("d"))
resolve(2, "y")
resolve(1, "x")
--> b(y) d(y) a(x) c(x)

--- adds a handler to a promise that is the last one in the queue
resolve(1, "x")
p[1]:next(say("a"))
p[1]:next(say("b")):next(say("c"))
p[1]:next(say("d"))
--> a(x) b(x) d(x) c(x)

--- queues a handler of a promise that others stand behind in the queue
resolve(1, "x")
resolve(2, "y")
p[1]:next(say("a"))
p[2]:next(say("b"))
p[1]:next(say("c")):next(say("d"))
p[2]:next(say("e"))
p[1]:next(say("f"))
--> a(x) b(y) c(x) e(y) f(x) d(x)

--- queues handlers that are added while the first of a batch runs
p[1]:next(function(v)
  log("a", v)
  p[1]:next(say("late1"))
  p[1]:next(say("late2"))
end):next(say("a2"))
p[1]:next(say("b")):next(say("b2"))
resolve(1, "x")
--> a(x) b(x) late1(x) late2(x) a2(nil) b2(x)

--- queues handlers that are added while the last of a batch runs
p[1]:next(say("a")):next(say("a2"))
p[1]:next(function(v)
  log("b", v)
  p[1]:next(say("late"))
end):next(say("b2"))
resolve(1, "x")
--> a(x) b(x) a2(x) late(x) b2(nil)

--- queues handlers that are added after the batch, in a job behind it
p[1]:next(say("a")):next(function()
  p[1]:next(say("late1"))
  queueMicrotask(say("job"))
  p[1]:next(say("late2"))
end)
resolve(1, "x")
--> a(x) late1(x) job(nil) late2(x)

--- runs handlers that are added after everything else has run
p[1]:next(say("a"))
resolve(1, "x")
turn(function()
  ticks(3)
  p[1]:next(say("b")):next(say("c"))
  log("turn")
end)
--> a(x) turn 1 b(x) 2 c(x) 3

--- takes a tick where a handler is missing
ticks(4)
Promise.resolve("x"):next():next(say("a"))
Promise.reject("e"):next(say("never")):catch(say("b"))
Promise.resolve("y"):catch(say("never")):next(say("c"))
--> 1 2 a(x) b(e) c(y) 3 4

--- goes from a raised error to the next rejection handler
ticks(6)
p[1]:next(function(v)
  log("a", v)
  raise("e")
end):next(say("never")):catch(say("b")):next(say("c"), say("never"))
resolve(1, "x")
--> 1 a(x) 2 3 b(e) 4 c(e) 5 6

--- calls either of two handlers
Promise.resolve("x"):next(say("a"), say("never")):next(say("c"))
Promise.reject("e"):next(say("never"), say("b")):next(say("d"))
--> a(x) b(e) c(x) d(e)

--- ignores all but the first call that settles
make(function(r, j)
  r("x")
  j("e")
  raise("error")
end):next(say("a"), say("never"))
make(function(r, j)
  j("e")
  r("x")
end):next(say("never"), say("b"))
make(function()
  raise("error")
end):next(say("never"), say("c"))
--> a(x) b(e) c(error)

--- settles a promise from a handler of another one
p[1]:next(function(v)
  log("a", v)
  resolve(2, "y")
  log("after")
end):next(say("a2"))
p[1]:next(say("b"))
p[2]:next(say("c"))
resolve(1, "x")
--> a(x) after b(x) c(y) a2(nil)

--- lets a resolving function be a handler
p[2]:next(say("a"))
p[1]:next(resolver(2)):next(say("b"))
p[1]:next(say("c"))
resolve(1, "x")
--> c(x) a(x) b(nil)
