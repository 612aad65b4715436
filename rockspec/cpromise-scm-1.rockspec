rockspec_format = "3.0"
package = "cpromise"
version = "scm-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "Promises with ECMAScript's semantics, written in C",
  detailed = [[
Promises for Lua 5.4: a C core holds the states, the microtask queue and the
combinators. The order of events is exactly ECMAScript's.]],
  license = "MIT",
}
supported_platforms = {"unix"}
dependencies = {
  "lua >= 5.4, < 5.6",
}
build = {
  type = "builtin",
  modules = {
    ["cpromise.core"] = {
      sources = {
        "csrc/args.c",
        "csrc/async.c",
        "csrc/cancel.c",
        "csrc/clock.c",
        "csrc/combine.c",
        "csrc/construct.c",
        "csrc/group.c",
        "csrc/host.c",
        "csrc/job.c",
        "csrc/line.c",
        "csrc/module.c",
        "csrc/node.c",
        "csrc/promise.c",
        "csrc/queue.c",
        "csrc/reaction.c",
        "csrc/resolve.c",
        "csrc/timers.c",
        "csrc/trace.c",
        "csrc/wait.c",
      },
      defines = {"NDEBUG"},
    },
    ["cpromise"] = "lua/cpromise/init.lua",
    ["cpromise.as_completed"] = "lua/cpromise/as_completed.lua",
    ["cpromise.check"] = "lua/cpromise/check.lua",
    ["cpromise.foreign"] = "lua/cpromise/foreign.lua",
    ["cpromise.group"] = "lua/cpromise/group.lua",
    ["cpromise.iterable"] = "lua/cpromise/iterable.lua",
    ["cpromise.loop"] = "lua/cpromise/loop.lua",
    ["cpromise.loop.cqueues"] = "lua/cpromise/loop/cqueues.lua",
    ["cpromise.loop.frame"] = "lua/cpromise/loop/frame.lua",
    ["cpromise.loop.luv"] = "lua/cpromise/loop/luv.lua",
    ["cpromise.loop.timers"] = "lua/cpromise/loop/timers.lua",
    ["cpromise.loop.virtual"] = "lua/cpromise/loop/virtual.lua",
    ["cpromise.map"] = "lua/cpromise/map.lua",
    ["cpromise.promisify"] = "lua/cpromise/promisify.lua",
    ["cpromise.retry"] = "lua/cpromise/retry.lua",
    ["cpromise.scope"] = "lua/cpromise/scope.lua",
    ["cpromise.semaphore"] = "lua/cpromise/semaphore.lua",
    ["cpromise.time"] = "lua/cpromise/time.lua",
  },
}
test = {
  type = "command",
  command = "make test DEPS=no",
}
