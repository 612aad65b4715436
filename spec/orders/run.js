// Lets the JavaScript engine of node write the logs of the order programs in
// this folder: `node spec/orders/run.js`. With the argument --show it prints
// them in JavaScript instead.
//
// A file holds several programs. Each starts with a line "--- what it shows"
// and ends with its log, in lines "--> ...".
"use strict";

const fs = require("fs");
const path = require("path");
const order = require("../support/order.js");

const WIDTH = 78;

function wrap(log) {
  const lines = [];
  let line = "-->";
  for (const entry of log.split(" ")) {
    if (line.length + 1 + entry.length > WIDTH) {
      lines.push(line);
      line = "-->";
    }
    line += " " + entry;
  }
  return lines.concat(line, "").join("\n");
}

async function withLogs(file) {
  const [head, ...programs] =
    fs.readFileSync(file, "utf8").split(/^(?=--- )/m);
  const parts = [];
  for (const program of programs) {
    const text = program.replace(/^-->.*\n?/gm, "").trimEnd() + "\n";
    parts.push(text + wrap(await order.run(text)));
  }
  return head + parts.join("\n");
}

async function main() {
  for (const name of fs.readdirSync(__dirname).sort()) {
    if (!name.endsWith(".lua")) continue;
    const file = path.join(__dirname, name);
    if (process.argv.includes("--show")) {
      console.log(order.translate(fs.readFileSync(file, "utf8")));
    } else {
      fs.writeFileSync(file, await withLogs(file));
    }
  }
}

main();
