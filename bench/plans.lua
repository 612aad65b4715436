--- Which workloads run with which sizes, how often, and how long.
---
--- A plan is a list of parts: `only`, a pattern of names; `besides`, another
--- for those that are left out; `flows`, if it is only they; `of`, the
--- implementations if not all; `sizes`; `rounds`, each a new process; and the
--- `seconds` that one takes at least. Without seconds each workload just
--- runs, and no bytes are counted.

-- Those that do a million operations in seconds.
local FAST <const> = {"cpromise", "pure Lua", "V8", "asyncio"}

return {
  tiny = {{only = "", sizes = {100}, rounds = 1}},

  quick = {{only = "", sizes = {10000}, rounds = 3, seconds = 0.05}},

  full = {
    {
      only = "",
      sizes = {1000, 10000, 100000, 1000000},
      rounds = 5,
      seconds = 0.3,
    },
  },

  report = {
    {only = "", sizes = {10000}, rounds = 3, seconds = 0.1},
    {only = "^timers$", sizes = {100000}, rounds = 3, seconds = 0.1},
    {only = "^chain$", sizes = {1000, 100000}, rounds = 2, seconds = 0.1},
    {only = "^all$", sizes = {1000, 100000}, rounds = 2, seconds = 0.1},
    {
      only = "",
      besides = "^timers$",
      of = {"cpromise", "V8"},
      sizes = {1000000},
      rounds = 2,
      seconds = 0.5,
    },
    {
      only = "",
      flows = true,
      of = {"cpromise"},
      sizes = {1000, 100000},
      rounds = 3,
      seconds = 0.2,
    },
    {
      only = "^chain$",
      of = FAST,
      sizes = {1000000},
      rounds = 2,
      seconds = 0.1,
    },
    {only = "^all$", of = FAST, sizes = {1000000}, rounds = 2, seconds = 0.1},
    {only = "^hold%-", of = FAST, sizes = {1000000}, rounds = 1, seconds = 0},
  },
}
