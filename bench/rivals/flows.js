// The flows of bench/flows.lua with Node's promises and timers. What Node
// lacks is done by hand, in the shortest usual way: it can't be cancelled.
"use strict";

const assert = require("assert");
const {setTimeout: sleep} = require("timers/promises");

const CROWD = 100, PERMITS = 10;

class Semaphore {
  constructor(permits) {
    this.free = permits;
    this.waiting = [];
  }

  async acquire() {
    if (this.free > 0) this.free--;
    else await new Promise((resolve) => this.waiting.push(resolve));
  }

  release() {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}

class Channel {
  constructor(capacity) {
    this.room = capacity;
    this.values = [];
    this.senders = [];
    this.receivers = [];
    this.closed = false;
  }

  async send(value) {
    const receiver = this.receivers.shift();
    if (receiver) return receiver({value, done: false});
    this.values.push(value);
    if (--this.room < 0) {
      await new Promise((resolve) => this.senders.push(resolve));
    }
  }

  async next() {
    if (this.values.length > 0) {
      this.room++;
      const sender = this.senders.shift();
      if (sender) sender();
      return {value: this.values.shift(), done: false};
    }
    if (this.closed) return {done: true};
    return new Promise((resolve) => this.receivers.push(resolve));
  }

  close() {
    this.closed = true;
    for (const receiver of this.receivers) receiver({done: true});
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

class Event {
  constructor() {
    this.clear();
  }

  clear() {
    this.promise = new Promise((resolve) => { this.set = resolve; });
  }

  wait() {
    return this.promise;
  }
}

function timeout(promise, milliseconds) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out")), milliseconds);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

async function map(list, fn, concurrency) {
  const results = [];
  let taken = 0;
  const work = async () => {
    while (taken < list.length) {
      const i = taken++;
      results[i] = await fn(list[i], i);
    }
  };
  await Promise.all(Array.from({length: concurrency}, work));
  return results;
}

async function* asCompleted(promises) {
  const settled = [];
  let notify = () => {};
  let given = 0;
  for (const promise of promises) {
    const note = () => {
      settled.push(promise);
      notify();
    };
    promise.then(note, note);
  }
  while (given < promises.length) {
    if (given === settled.length) {
      await new Promise((resolve) => { notify = resolve; });
    }
    yield [settled[given++]];
  }
}

function select(promises) {
  return Promise.race(Object.entries(promises).map(
    ([key, promise]) => promise.then((value) => [key, value])));
}

async function retry(fn, {attempts, delay}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fn(attempt);
    }
    catch (reason) {
      if (attempt === attempts) throw reason;
    }
    await sleep(delay);
  }
}

// The workloads; `tools` are the functions of v8.js.
module.exports = ({drain, expect, withResolvers}) => {
  const pending = (n) => Array.from({length: n}, withResolvers);

  // What is asked is answered later, all at once, with the next number.
  class Server {
    asked = [];

    ask = (v) => {
      const {promise, resolve} = withResolvers();
      this.asked.push(resolve, v + 1);
      return promise;
    };

    answer() {
      const now = this.asked;
      this.asked = [];
      for (let i = 0; i < now.length; i += 2) now[i](now[i + 1]);
      drain();
      return now.length > 0;
    }
  }

  const endsCrowd = (i, n) => i % CROWD === 0 || i === n;

  const channel = (capacity) => ({async run(n) {
    const values = new Channel(capacity);
    let count = 0;
    (async () => {
      for (let i = 1; i <= n; i++) await values.send(i);
      values.close();
    })();
    for await (const v of values) {
      if (v === count + 1) count = v;
    }
    assert.strictEqual(count, n);
  }});

  return {
    "delay": {async run(n) {
      let last;
      for (let i = 1; i <= n; i++) last = sleep(1, i);
      assert.strictEqual(await last, n);
    }},

    "timeout": {setup: pending, async run(n, made) {
      let last;
      for (const {promise} of made) last = timeout(promise, 60000);
      for (let i = 0; i < n; i++) made[i].resolve(i + 1);
      assert.strictEqual(await last, n);
    }},

    "timeout-fired": {setup: pending, async run(n, made) {
      let count = 0, last;
      const note = (e) => { if (e.message === "timed out") count++; };
      for (const {promise} of made) last = timeout(promise, 1).catch(note);
      await last;
      assert.strictEqual(count, n);
    }},

    "semaphore": {async run(n) {
      const semaphore = new Semaphore(1);
      let count = 0;
      for (let i = 1; i <= n; i++) {
        await semaphore.acquire();
        count++;
        semaphore.release();
      }
      assert.strictEqual(count, n);
    }},

    "semaphore-busy": {run(n) {
      const semaphore = new Semaphore(PERMITS), server = new Server();
      let started = 0, ended = 0, held = 0, most = 0;
      const call = async () => {
        while (started < n) {
          started++;
          await semaphore.acquire();
          most = Math.max(most, ++held);
          await server.ask(started);
          held--;
          ended++;
          semaphore.release();
        }
      };
      for (let i = 1; i <= CROWD; i++) call();
      drain();
      while (server.answer());
      assert.strictEqual(ended, n);
      assert.strictEqual(most, PERMITS);
    }},

    "channel-0": channel(0),
    "channel-100": channel(100),

    "event": {async run(n) {
      const ping = new Event(), pong = new Event();
      const rounds = Math.floor(n / 2);
      let count = 0;
      (async () => {
        for (let i = 1; i <= rounds; i++) {
          await ping.wait();
          ping.clear();
          pong.set();
        }
      })();
      for (let i = 1; i <= rounds; i++) {
        ping.set();
        await pong.wait();
        pong.clear();
        count++;
      }
      assert.strictEqual(count, rounds);
    }},

    "map": {
      setup: (n) => Array.from({length: n}, (_, i) => i + 1),
      async run(n, list) {
        const double = (v) => Promise.resolve(2 * v);
        const results = await map(list, double, CROWD);
        assert.strictEqual(results[0] + results[n - 1], 2 + 2 * n);
      },
    },

    "asCompleted": {setup: pending, async run(n, made) {
      const call = (async () => {
        let left = n;
        for await (const [p] of asCompleted(made.map((m) => m.promise))) {
          if (await p === left) left--;
        }
        return left;
      })();
      for (let i = n; i >= 1; i--) made[i - 1].resolve(i);
      assert.strictEqual(await call, 0);
    }},

    "select": {async run(n) {
      let count = 0;
      for (let i = 1; i <= n; i++) {
        const {promise: a, resolve} = withResolvers();
        const {promise: b} = withResolvers();
        queueMicrotask(() => resolve(i));
        const [key, v] = await select({a, b});
        if (key === "a" && v === i) count++;
      }
      assert.strictEqual(count, n);
    }},

    "retry": {async run(n) {
      const options = {attempts: 2, delay: 0};
      let count = 0, last;
      const failsOnce = (attempt) => {
        if (attempt === 1) throw new Error("once");
        count++;
        return attempt;
      };
      for (let i = 1; i <= n; i++) {
        last = retry(failsOnce, options);
        if (endsCrowd(i, n)) await last;
      }
      assert.strictEqual(count, n);
      assert.strictEqual(await last, 2);
    }},

    "request": {run(n) {
      const server = new Server();
      let count = 0, last;
      const request = async (v) => {
        const connection = await server.ask(v);
        const head = await server.ask(connection);
        return await server.ask(head);
      };
      const done = () => { count++; };
      for (let i = 1; i <= n; i++) {
        last = timeout(request(i), 60000).finally(done);
        if (endsCrowd(i, n)) while (server.answer());
      }
      expect(last, n + 3);
      assert.strictEqual(count, n);
    }},
  };
};
