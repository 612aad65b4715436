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
  "lua >= 5.4",
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
        "csrc/debug.c",
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
        "csrc/see.c",
        "csrc/timers.c",
        "csrc/trace.c",
        "csrc/wait.c",
      },
      defines = {"NDEBUG"},
    },
    ["cpromise"] = "lua/cpromise/init.lua",
    ["cpromise.as_completed"] = "lua/cpromise/as_completed.lua",
    ["cpromise.check"] = "lua/cpromise/check.lua",
    ["cpromise.debug"] = "lua/cpromise/debug.lua",
    ["cpromise.group"] = "lua/cpromise/group.lua",
    ["cpromise.iterable"] = "lua/cpromise/iterable.lua",
    ["cpromise.left"] = "lua/cpromise/left.lua",
    ["cpromise.loop"] = "lua/cpromise/loop.lua",
    ["cpromise.loop.luv"] = "lua/cpromise/loop/luv.lua",
    ["cpromise.loop.virtual"] = "lua/cpromise/loop/virtual.lua",
    ["cpromise.main"] = "lua/cpromise/main.lua",
    ["cpromise.map"] = "lua/cpromise/map.lua",
    ["cpromise.promisify"] = "lua/cpromise/promisify.lua",
    ["cpromise.retry"] = "lua/cpromise/retry.lua",
    ["cpromise.scope"] = "lua/cpromise/scope.lua",
    ["cpromise.see"] = "lua/cpromise/see.lua",
    ["cpromise.semaphore"] = "lua/cpromise/semaphore.lua",
    ["cpromise.show"] = "lua/cpromise/show.lua",
    ["cpromise.time"] = "lua/cpromise/time.lua",
    ["cpromise.uv"] = "lua/cpromise/uv/init.lua",
    ["cpromise.uv.buffer"] = "lua/cpromise/uv/buffer.lua",
    ["cpromise.uv.closing"] = "lua/cpromise/uv/closing.lua",
    ["cpromise.uv.connect"] = "lua/cpromise/uv/connect.lua",
    ["cpromise.uv.errors"] = "lua/cpromise/uv/errors.lua",
    ["cpromise.uv.events"] = "lua/cpromise/uv/events.lua",
    ["cpromise.uv.file"] = "lua/cpromise/uv/file.lua",
    ["cpromise.uv.functions"] = "lua/cpromise/uv/functions.lua",
    ["cpromise.uv.handles"] = "lua/cpromise/uv/handles.lua",
    ["cpromise.uv.handover"] = "lua/cpromise/uv/handover.lua",
    ["cpromise.uv.inbox"] = "lua/cpromise/uv/inbox.lua",
    ["cpromise.uv.luv"] = "lua/cpromise/uv/luv.lua",
    ["cpromise.uv.messages"] = "lua/cpromise/uv/messages.lua",
    ["cpromise.uv.once"] = "lua/cpromise/uv/once.lua",
    ["cpromise.uv.pack"] = "lua/cpromise/uv/pack.lua",
    ["cpromise.uv.process"] = "lua/cpromise/uv/process.lua",
    ["cpromise.uv.reader"] = "lua/cpromise/uv/reader.lua",
    ["cpromise.uv.request"] = "lua/cpromise/uv/request.lua",
    ["cpromise.uv.server"] = "lua/cpromise/uv/server.lua",
    ["cpromise.uv.signals"] = "lua/cpromise/uv/signals.lua",
    ["cpromise.uv.sigpipe"] = "lua/cpromise/uv/sigpipe.lua",
    ["cpromise.uv.slurp"] = "lua/cpromise/uv/slurp.lua",
    ["cpromise.uv.stream"] = "lua/cpromise/uv/stream.lua",
    ["cpromise.uv.tree"] = "lua/cpromise/uv/tree.lua",
    ["cpromise.uv.udp"] = "lua/cpromise/uv/udp.lua",
    ["cpromise.uv.watch"] = "lua/cpromise/uv/watch.lua",
    ["cpromise.uv.whole"] = "lua/cpromise/uv/whole.lua",
    ["cpromise.uv.work"] = "lua/cpromise/uv/work.lua",
  },
}
test = {
  type = "command",
  command = "make test DEPS=no",
}
