--- This library, with the timers of its luv loop where luv is installed.

local Promise = require "cpromise"

local P = {
  methods = {catch = true, finally = true, cancel = true, timeout = true},
}
for name, value in pairs(Promise) do P[name] = value end

-- luv is not loaded before a timer is made: without it there is no loop to
-- wake, and only the core is measured.
if package.searchpath("luv", package.cpath) then
  function P.timer(seconds, fn)
    Promise.delay(seconds):next(fn)
  end
end

return P
