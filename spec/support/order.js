// Runs order programs in JavaScript; order.lua says what they are.
//
//   node order.js PROGRAMS LOGS
//
// reads programs, each closed by a line "====", and writes a line for each:
// its log.
"use strict";

const fs = require("fs");

const MAX_CALLS = 30; // as in order.lua

const rules = [
  [/--/g, "//"],
  [/\{/g, "["],
  [/\}/g, "]"],
  [/\bstart\(function/g, "start(async function"],
  [/\bxpcall\(function\(\)/g, "try {"],
  [/\bend, caught\(([^)]*)\)\)/g, "} catch (reason) { log($1, reason); }"],
  [/\bfor (\w+) = 1, (\d+) do\b/g, "for (let $1 = 1; $1 <= $2; $1++) {"],
  [/\bfunction\([^)]*\)/g, "$& {"],
  [/\bend\b/g, "}"],
  [/\blocal\b/g, "const"],
  [/\bnil\b/g, "undefined"],
  [/:next\(/g, ".then("],
  [/:(\w+)\(/g, ".$1("],
];

function translate(program) {
  return rules.reduce((text, [from, to]) => text.replace(from, to), program);
}

const showList = (list) => "{" + Array.from(list, show).join(",") + "}";

function showRecord({status, value, reason}) {
  return status === "fulfilled" ? "+" + show(value) : "-" + show(reason);
}

function show(v) {
  if (v === undefined) return "nil";
  if (typeof v !== "object") return String(v);
  if (v instanceof AggregateError) {
    return "AggregateError" + showList(v.errors);
  }
  if (v instanceof TypeError) return "TypeError";
  if (v instanceof Promise) return "promise";
  if (Array.isArray(v)) return showList(v);
  return v.label ?? showRecord(v);
}

function world() {
  const entries = [], turns = [], settlers = {};
  let calls = 0;

  const log = (text, ...values) => {
    entries.push(values.length > 0 ? `${text}(${show(values[0])})` : text);
  };

  const say = (text) => (v) => {
    log(text, v);
    return v;
  };

  const start = (fn) => fn();

  const raise = (reason) => {
    throw reason;
  };

  const ticks = (n) => {
    let i = 0;
    const tick = () => {
      log(String(++i));
      if (i < n) queueMicrotask(tick);
    };
    queueMicrotask(tick);
  };

  const method = (fn) => function (resolve, reject) {
    log(show(this) + "()");
    if (++calls <= MAX_CALLS) fn(resolve, reject);
  };

  const withGetter = (name, get) => Object.defineProperty(
    {label: name}, "then", {get() {
      log(name + ".next");
      return get();
    }});

  const thenable = (name, fn, skip = 0) => {
    let reads = 0;
    return withGetter(
      name, () => ++reads > skip && fn ? method(fn) : undefined);
  };

  const trap = (name) => withGetter(name, () => raise(name));

  const plain = (name, fn) => ({label: name, then: method(fn)});

  function* each(list, stop) {
    for (let i = 1; ; i++) {
      log("step" + i);
      if (i === stop) throw "stopped";
      if (i > list.length) return;
      yield list[i - 1];
    }
  }

  const make = (executor) => new Promise(executor);

  const p = new Proxy({}, {get(promises, k) {
    promises[k] ??= make((...both) => {
      settlers[k] = both;
    });
    return promises[k];
  }});

  const settler = (k, which) => p[k] && settlers[k]?.[which] || (() => {});
  const resolve = (k, value) => settler(k, 0)(value);
  const reject = (k, reason) => settler(k, 1)(reason);
  const resolver = (k) => settler(k, 0);
  const keep = (k, ...both) => {
    settlers[k] = both;
  };

  const turn = (fn) => turns.push(fn);

  const outcomes = (n) => {
    for (let k = 1; k <= n; k++) p[k].then(say("+" + k), say("-" + k));
  };

  const names = {
    Promise, make, p, resolve, reject, resolver, keep, queueMicrotask, turn,
    ticks, log, say, raise, start, outcomes, thenable, trap, plain, each,
  };
  return {names, entries, turns};
}

// Till the microtask queue is empty.
const drained = () => new Promise((done) => setImmediate(done));

async function run(program) {
  const {names, entries, turns} = world();
  const main = new Function(...Object.keys(names), translate(program));
  main(...Object.values(names));
  await drained();
  for (const fn of turns) { // also those that are added meanwhile
    fn();
    await drained();
  }
  return entries.join(" ");
}

async function runFile(from, to) {
  const programs = fs.readFileSync(from, "utf8").split("====\n").slice(0, -1);
  const logs = [];
  for (const program of programs) logs.push(await run(program) + "\n");
  fs.writeFileSync(to, logs.join(""));
}

process.on("unhandledRejection", (reason) => {
  if (reason instanceof Error && !(reason instanceof AggregateError) &&
      !/^Chaining cycle/.test(reason.message)) {
    throw reason; // a mistake in this file, or in a program
  }
});

process.on("rejectionHandled", () => {}); // no warning

module.exports = {run, translate};
if (require.main === module) runFile(process.argv[2], process.argv[3]);
