--- Whether what a workload did came out right: each of these raises if not.

local outcome = {}

--- The promise is fulfilled with the value once jobs have run.
function outcome.expect(P, promise, value)
  local got
  promise:next(function(v) got = v end)
  P.drain()
  if got ~= value then
    error(("%s instead of %s"):format(got, value), 0)
  end
end

--- So many of n were done.
function outcome.expect_count(count, n)
  if count ~= n then error(("%s of %d"):format(count, n), 0) end
end

--- A body, run as an async call, comes to its end with the value.
function outcome.complete(P, body, value)
  local call = P.async(body)()
  P.drain()
  outcome.expect(P, call, value)
end

return outcome
