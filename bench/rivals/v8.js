// Measures one workload with Node's own promises, as bench/measure.lua does
// it in Lua, and under the same names.
//
//   node bench/rivals/v8.js WORKLOAD N time SECONDS
//   node bench/rivals/v8.js WORKLOAD N bytes
//
// Those of bench/flows.lua are in flows.js. The time is CPU time of the whole process, that is with the threads that
// collect garbage and compile, and a full collection at the end.
"use strict";

const assert = require("assert");
const {spawnSync} = require("child_process");
const v8 = require("v8");

v8.setFlagsFromString("--expose-gc");
const gc = require("vm").runInNewContext("gc");

v8.setFlagsFromString("--allow-natives-syntax");

const id = (x) => x;
const noop = () => {};

// Runs all microtasks, here and now; does nothing inside one.
const drain = new Function("%PerformMicrotaskCheckpoint()");

// What fn returns, called in a task of its own.
function inTask(fn, ...args) {
  return new Promise((resolve, reject) => setImmediate(async () => {
    try {
      resolve(await fn(...args));
    }
    catch (reason) {
      reject(reason);
    }
  }));
}

function withResolvers() {
  let resolve, reject;
  const promise = new Promise((f, g) => { resolve = f; reject = g; });
  return {promise, resolve, reject};
}

function expect(promise, value) {
  let got;
  promise.then((v) => { got = v; });
  drain();
  assert.strictEqual(got, value);
}

const workloads = {
  "new": {run(n) {
    const executor = (resolve) => resolve(1);
    for (let i = 2; i <= n; i++) new Promise(executor);
    expect(new Promise(executor), 1);
  }},

  "resolve": {run(n) {
    const list = [];
    for (let i = 1; i <= n; i++) list.push(Promise.resolve(i));
    expect(list[n - 1], n);
  }},

  "withResolvers": {run(n) {
    let made;
    for (let i = 1; i <= n; i++) {
      made = withResolvers();
      made.resolve(i);
    }
    expect(made.promise, n);
  }},

  "chain": {run(n) {
    let {promise, resolve} = withResolvers();
    for (let i = 1; i <= n; i++) promise = promise.then(id);
    resolve(1);
    drain();
    expect(promise, 1);
  }},

  "fan-out": {run(n) {
    const {promise, resolve} = withResolvers();
    for (let i = 2; i <= n; i++) promise.then(id);
    const last = promise.then(id);
    resolve(1);
    drain();
    expect(last, 1);
  }},

  "step": {run(n) {
    let reached;
    function step(i) {
      reached = i;
      if (i < n) Promise.resolve(i + 1).then(step);
    }
    Promise.resolve(1).then(step);
    drain();
    assert.strictEqual(reached, n);
  }},

  "finally": {run(n) {
    let {promise, resolve} = withResolvers();
    for (let i = 1; i <= n; i++) promise = promise.finally(noop);
    resolve(1);
    drain();
    expect(promise, 1);
  }},

  "throw": {run(n) {
    const p = Promise.resolve(1);
    // an Error has a stack trace, as every rejection in cpromise has
    const raise = (v) => { throw new Error(v); };
    let last;
    for (let i = 1; i <= n; i++) {
      last = p.then(raise).catch((e) => e.message);
      drain();
    }
    expect(last, "1");
  }},

  "reject": {run(n) {
    let {promise, reject} = withResolvers();
    for (let i = 1; i <= n; i++) promise = promise.then(id);
    const caught = promise.catch(id);
    reject(1);
    drain();
    expect(caught, 1);
  }},

  "resolve-promise": {run(n) {
    const settled = Promise.resolve(1);
    let made;
    for (let i = 1; i <= n; i++) {
      made = withResolvers();
      made.resolve(settled);
    }
    drain();
    expect(made.promise, 1);
  }},

  "return-promise": {run(n) {
    const settled = Promise.resolve(1);
    const handler = () => settled;
    let {promise, resolve} = withResolvers();
    for (let i = 1; i <= n; i++) promise = promise.then(handler);
    resolve(2);
    drain();
    expect(promise, 1);
  }},

  "await": {async run(n) {
    const p = Promise.resolve(1);
    for (let i = 1; i <= n; i++) await p;
    assert.strictEqual(await p, 1);
  }},

  "await-new": {async run(n) {
    let v;
    for (let i = 1; i <= n; i++) v = await Promise.resolve(i);
    assert.strictEqual(v, n);
  }},

  "await-pending": {run(n) {
    let waiting;
    const call = (async () => {
      let v;
      for (let i = 1; i <= n; i++) {
        const {promise, resolve} = withResolvers();
        waiting = resolve;
        v = await promise;
      }
      return v;
    })();
    drain();
    for (let i = 1; i <= n; i++) {
      waiting(i);
      drain();
    }
    expect(call, n);
  }},

  "async": {run(n) {
    const f = async (x) => x;
    for (let i = 2; i <= n; i++) f(i);
    expect(f(1), 1);
  }},

  "async-await": {run(n) {
    const p = Promise.resolve(1);
    const f = async () => await p;
    let call;
    for (let i = 1; i <= n; i++) {
      call = f();
      drain();
    }
    expect(call, 1);
  }},

  "turns": {run(n) {
    const p = Promise.resolve(1);
    const crowd = Math.min(Math.floor(n / 10), 10000);
    const rounds = Math.floor(n / crowd);
    let turns = 0;
    const last = [];
    const call = async (me) => {
      for (let i = 0; i < rounds; i++) {
        await p;
        turns++;
      }
      last[me] = turns;
    };
    for (let me = 1; me <= crowd; me++) call(me);
    drain();
    for (let me = 1; me <= crowd; me++) {
      assert.strictEqual(last[me], (rounds - 1) * crowd + me);
    }
  }},

  "microtask": {run(n) {
    let count = 0;
    const job = () => { count++; };
    for (let i = 1; i <= n; i++) queueMicrotask(job);
    drain();
    assert.strictEqual(count, n);
  }},

  "timers": {async run(n) {
    let count = 0;
    const all = withResolvers();
    const fire = () => { if (++count === n) all.resolve(); };
    for (let i = 1; i <= n; i++) {
      new Promise((resolve) => setTimeout(resolve, 1)).then(fire);
    }
    await all.promise;
  }},

  "loop-turn": {async run(n) {
    let count = 0;
    const all = withResolvers();
    const start = () => new Promise((resolve) => setImmediate(resolve));
    const fire = () => {
      if (++count === n) all.resolve();
      else start().then(fire);
    };
    start().then(fire);
    await all.promise;
  }},

  "hold-pending": {holds: true, setup: slots, run(n, list) {
    const {promise, resolve} = withResolvers();
    for (let i = 0; i < n; i++) list[i] = promise.then(id);
    return [list, resolve];
  }},

  "hold-chain": {holds: true, run(n) {
    let {promise, resolve} = withResolvers();
    for (let i = 1; i <= n; i++) promise = promise.then(id);
    return [promise, resolve];
  }},

  "hold-calls": {holds: true, setup: slots, run(n, list) {
    const {promise, resolve} = withResolvers();
    const call = async () => { await promise; };
    for (let i = 0; i < n; i++) list[i] = call();
    return [list, resolve];
  }},
};

function slots(n) {
  return new Array(n).fill(false);
}

function addCombinator(name, isOutcome) {
  const finish = (aggregate, n) => {
    drain();
    expect(aggregate.then((v) => isOutcome(v, n)), true);
  };
  workloads[name] = {
    setup: (n) => Array.from({length: n}, (_, i) => Promise.resolve(i + 1)),
    run: (n, list) => finish(Promise[name](list), n),
  };
  workloads[name + "-later"] = {
    setup: (n) => Array.from({length: n}, withResolvers),
    run(n, made) {
      const aggregate = Promise[name](made.map((m) => m.promise));
      for (let i = 0; i < n; i++) made[i].resolve(i + 1);
      finish(aggregate, n);
    },
  };
}

addCombinator("all", (v, n) => v[0] === 1 && v[n - 1] === n);
addCombinator("allSettled",
  (v, n) => v[0].value === 1 && v[n - 1].value === n);
addCombinator("any", (v) => v === 1);
addCombinator("race", (v) => v === 1);

Object.assign(workloads,
  require("./flows.js")({drain, expect, withResolvers}));

async function time({run, setup = noop}, n, seconds) {
  let spent = 0, rounds = 0;
  const charged = async (fn, ...args) => {
    const start = process.cpuUsage();
    await fn(...args);
    const used = process.cpuUsage(start);
    spent += (used.user + used.system) / 1e6;
  };
  await inTask(run, n, setup(n));
  await inTask(gc);
  do {
    await inTask(charged, run, n, setup(n));
    rounds++;
  } while (spent < seconds);
  await inTask(charged, gc);
  return spent / rounds / n * 1e9;
}

async function bytes({run, setup = noop, holds}, n) {
  await inTask(run, n, setup(n));
  const made = setup(n);
  await inTask(gc);
  const before = process.memoryUsage().heapUsed;
  const held = await inTask(run, n, made);
  if (holds) await inTask(gc);
  const grown = process.memoryUsage().heapUsed - before;
  assert(!holds || held);
  return grown / n;
}

// Nothing must be collected while bytes are counted: that takes a process
// with a large space for new objects, in megabytes.
const ROOMY = ["--min-semi-space-size=256", "--max-semi-space-size=256"];

function again() {
  const args = [...ROOMY, ...process.argv.slice(1)];
  const {status} = spawnSync(process.execPath, args, {stdio: "inherit"});
  process.exitCode = status;
}

async function main([name, n, mode, seconds]) {
  if (!workloads[name]) return console.log("-");
  if (mode === "time") {
    console.log(await time(workloads[name], Number(n), Number(seconds)));
  }
  else if (process.execArgv.length === 0) {
    again();
  }
  else {
    console.log(await bytes(workloads[name], Number(n)));
  }
}

main(process.argv.slice(2));
