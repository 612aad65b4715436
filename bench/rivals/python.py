"""Measures one workload with asyncio's futures, as bench/measure.lua does it
in Lua, and under the same names where asyncio has the like.

  python3 bench/rivals/python.py WORKLOAD N time SECONDS
  python3 bench/rivals/python.py WORKLOAD N bytes

A future has callbacks, not derived promises: `chain` and `fan-out` resolve a
new future in each. Memory is measured only where it is held: a count of
references frees the rest at once.
"""

import asyncio
import gc
import sys
import time
import tracemalloc


def expect(value, expected):
    if value != expected:
        raise AssertionError(f"{value} instead of {expected}")


def future():
    return asyncio.get_running_loop().create_future()


def settled(value):
    made = future()
    made.set_result(value)
    return made


def then(source, handler):
    derived = future()
    source.add_done_callback(
        lambda done: derived.set_result(handler(done.result())))
    return derived


def identity(value):
    return value


async def resolve(n, _):
    made = [settled(i) for i in range(1, n + 1)]
    expect(await made[-1], n)


async def chain(n, _):
    first = last = future()
    for _ in range(n):
        last = then(last, identity)
    first.set_result(1)
    expect(await last, 1)


async def fan_out(n, _):
    source = future()
    for _ in range(n):
        last = then(source, identity)
    source.set_result(1)
    expect(await last, 1)


async def step(n, _):
    end = future()

    def handler(done):
        i = done.result()
        if i < n:
            settled(i + 1).add_done_callback(handler)
        else:
            end.set_result(i)

    settled(1).add_done_callback(handler)
    expect(await end, n)


def settled_elements(n):
    return [settled(i) for i in range(1, n + 1)]


def pending_elements(n):
    return [future() for _ in range(n)]


async def gather(n, made):
    results = await asyncio.gather(*made)
    expect((results[0], results[-1]), (1, n))


async def gather_later(n, made):
    results = asyncio.gather(*made)
    for i, element in enumerate(made, 1):
        element.set_result(i)
    results = await results
    expect((results[0], results[-1]), (1, n))


async def await_settled(n, _):
    made = settled(1)
    for _ in range(n):
        await made
    expect(await made, 1)


async def await_new(n, _):
    for i in range(1, n + 1):
        value = await settled(i)
    expect(value, n)


async def await_pending(n, _):
    call_soon = asyncio.get_running_loop().call_soon
    for i in range(1, n + 1):
        made = future()
        call_soon(made.set_result, i)
        value = await made
    expect(value, n)


async def call_task(n, _):
    async def call(value):
        return value

    tasks = [asyncio.ensure_future(call(i)) for i in range(1, n + 1)]
    expect(await tasks[-1], n)


async def turns(n, _):
    crowd = min(n // 10, 10000)
    rounds = n // crowd
    count = 0

    async def call():
        nonlocal count
        for _ in range(rounds):
            await asyncio.sleep(0)
            count += 1
        return count

    last = await asyncio.gather(*(call() for _ in range(crowd)))
    expect(last, [(rounds - 1) * crowd + me for me in range(1, crowd + 1)])


async def microtask(n, _):
    end = future()
    count = 0

    def job():
        nonlocal count
        count += 1
        if count == n:
            end.set_result(count)

    call_soon = asyncio.get_running_loop().call_soon
    for _ in range(n):
        call_soon(job)
    expect(await end, n)


async def timers(n, _):
    end = future()
    count = 0

    def fire(_):
        nonlocal count
        count += 1
        if count == n:
            end.set_result(count)

    call_later = asyncio.get_running_loop().call_later
    for _ in range(n):
        made = future()
        made.add_done_callback(fire)
        call_later(0.001, made.set_result, None)
    expect(await end, n)


async def loop_turn(n, _):
    call_later = asyncio.get_running_loop().call_later
    for _ in range(n):
        made = future()
        call_later(0, made.set_result, None)
        await made


async def hold_pending(n, _):
    source = future()
    return source, [then(source, identity) for _ in range(n)]


async def hold_calls(n, _):
    forever = future()

    async def call():
        await forever

    tasks = [asyncio.ensure_future(call()) for _ in range(n)]
    await asyncio.sleep(0)
    return forever, tasks


async def delay(n, _):
    results = await asyncio.gather(
        *(asyncio.sleep(0.001, i) for i in range(1, n + 1)))
    expect(results[-1], n)


async def timeout(n, made):
    tasks = [asyncio.ensure_future(asyncio.wait_for(element, 60))
             for element in made]
    await asyncio.sleep(0)
    for i, element in enumerate(made, 1):
        element.set_result(i)
    results = await asyncio.gather(*tasks)
    expect(results[-1], n)


async def timeout_fired(n, made):
    async def call(element):
        try:
            await asyncio.wait_for(element, 0.001)
        except asyncio.TimeoutError:
            return 1

    expect(sum(await asyncio.gather(*map(call, made))), n)


async def semaphore_free(n, _):
    semaphore = asyncio.Semaphore(1)
    count = 0
    for _ in range(n):
        async with semaphore:
            count += 1
    expect(count, n)


async def semaphore_busy(n, _):
    semaphore = asyncio.Semaphore(10)
    call_soon = asyncio.get_running_loop().call_soon
    started = ended = held = most = 0

    async def call():
        nonlocal started, ended, held, most
        while started < n:
            started += 1
            async with semaphore:
                held += 1
                most = max(most, held)
                answer = future()
                call_soon(answer.set_result, started + 1)
                await answer
                held -= 1
                ended += 1

    await asyncio.gather(*(call() for _ in range(100)))
    expect((ended, most), (n, 10))


async def channel(n, _):
    queue = asyncio.Queue(100)

    async def produce():
        for i in range(1, n + 1):
            await queue.put(i)
        await queue.put(None)

    task = asyncio.ensure_future(produce())
    count = 0
    while (value := await queue.get()) is not None:
        if value == count + 1:
            count = value
    await task
    expect(count, n)


async def event(n, _):
    ping, pong = asyncio.Event(), asyncio.Event()
    rounds = n // 2
    count = 0

    async def answer():
        for _ in range(rounds):
            await ping.wait()
            ping.clear()
            pong.set()

    task = asyncio.ensure_future(answer())
    for _ in range(rounds):
        ping.set()
        await pong.wait()
        pong.clear()
        count += 1
    await task
    expect(count, rounds)


async def map_limited(n, _):
    semaphore = asyncio.Semaphore(100)

    async def double(value):
        async with semaphore:
            await asyncio.sleep(0)
            return 2 * value

    results = await asyncio.gather(*map(double, range(1, n + 1)))
    expect(results[0] + results[-1], 2 + 2 * n)


async def scope(n, _):
    count = 0

    async def child():
        nonlocal count
        await asyncio.sleep(0)
        count += 1

    for _ in range(n):
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    expect(count, n)


async def scope_children(n, _):
    count = 0

    async def child():
        nonlocal count
        await asyncio.sleep(0)
        count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(child())
    expect(count, n)


async def as_completed(n, made):
    async def call():
        left = n
        for element in asyncio.as_completed(made):
            if await element == left:
                left -= 1
        return left

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    for i in range(n, 0, -1):
        made[i - 1].set_result(i)
    expect(await task, 0)


async def select(n, _):
    call_soon = asyncio.get_running_loop().call_soon
    count = 0
    for i in range(1, n + 1):
        first, other = future(), future()
        call_soon(first.set_result, i)
        done, pending = await asyncio.wait(
            (first, other), return_when=asyncio.FIRST_COMPLETED)
        for element in pending:
            element.cancel()
        if first in done and first.result() == i:
            count += 1
    expect(count, n)


# Calls start(i) for each of 1 to n, a hundred at once.
async def in_crowds(n, start):
    for first in range(1, n + 1, 100):
        last = min(first + 99, n)
        results = await asyncio.gather(*map(start, range(first, last + 1)))
    return results[-1]


async def retry(n, _):
    count = 0

    def fails_once(attempt):
        nonlocal count
        if attempt == 1:
            raise RuntimeError("once")
        count += 1
        return attempt

    async def call(_):
        for attempt in (1, 2):
            try:
                return fails_once(attempt)
            except RuntimeError:
                await asyncio.sleep(0)

    expect(await in_crowds(n, call), 2)
    expect(count, n)


async def request(n, _):
    call_soon = asyncio.get_running_loop().call_soon
    count = 0

    def ask(value):
        answer = future()
        call_soon(answer.set_result, value + 1)
        return answer

    async def converse(value):
        connection = await ask(value)
        head = await ask(connection)
        return await ask(head)

    async def call(i):
        nonlocal count
        try:
            return await asyncio.wait_for(converse(i), 60)
        finally:
            count += 1

    expect(await in_crowds(n, call), n + 3)
    expect(count, n)


def no_setup(_):
    return None


# name: what runs, what prepares it
WORKLOADS = {
    "resolve": (resolve, no_setup),
    "chain": (chain, no_setup),
    "fan-out": (fan_out, no_setup),
    "step": (step, no_setup),
    "all": (gather, settled_elements),
    "all-later": (gather_later, pending_elements),
    "await": (await_settled, no_setup),
    "await-new": (await_new, no_setup),
    "await-pending": (await_pending, no_setup),
    "async": (call_task, no_setup),
    "turns": (turns, no_setup),
    "microtask": (microtask, no_setup),
    "timers": (timers, no_setup),
    "loop-turn": (loop_turn, no_setup),
    "delay": (delay, no_setup),
    "timeout": (timeout, pending_elements),
    "timeout-fired": (timeout_fired, pending_elements),
    "semaphore": (semaphore_free, no_setup),
    "semaphore-busy": (semaphore_busy, no_setup),
    "channel-100": (channel, no_setup),
    "event": (event, no_setup),
    "map": (map_limited, no_setup),
    "asCompleted": (as_completed, pending_elements),
    "select": (select, no_setup),
    "retry": (retry, no_setup),
    "request": (request, no_setup),
    "hold-pending": (hold_pending, no_setup),
    "hold-calls": (hold_calls, no_setup),
}

if hasattr(asyncio, "TaskGroup"):
    WORKLOADS["scope"] = (scope, no_setup)
    WORKLOADS["scope-children"] = (scope_children, no_setup)


# Tasks that are left pending would be reported.
async def cancel(held):
    if held:
        _, waiting = held
        for made in waiting:
            made.cancel()
        await asyncio.sleep(0)


async def measure_time(name, n, seconds):
    run, setup = WORKLOADS[name]
    spent = rounds = 0
    await cancel(await run(n, setup(n)))
    gc.collect()
    while rounds == 0 or spent < seconds:
        made = setup(n)
        start = time.process_time()
        held = await run(n, made)
        spent += time.process_time() - start
        rounds += 1
        await cancel(held)
    start = time.process_time()
    gc.collect()
    spent += time.process_time() - start
    return spent / rounds / n * 1e9


async def measure_bytes(name, n):
    if not name.startswith("hold-"):
        return "-"
    run, setup = WORKLOADS[name]
    tracemalloc.start()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    held = await run(n, setup(n))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    await cancel(held)
    return (after - before) / n


def main(name, n, mode, seconds="0"):
    if name not in WORKLOADS:
        print("-")
    elif mode == "time":
        print(asyncio.run(measure_time(name, int(n), float(seconds))))
    else:
        print(asyncio.run(measure_bytes(name, int(n))))


main(*sys.argv[1:])
