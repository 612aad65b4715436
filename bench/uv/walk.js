// Walk a folder and read its files, so many at once, with node's fs/promises.
// Prints files, bytes, microseconds and microseconds of processor time.
//
//   node walk.js FOLDER FILES-AT-ONCE

const fs = require('fs/promises');
const path = require('path');

async function walk (folder, files) {
  const parts = [];
  for (const entry of await fs.readdir(folder, {withFileTypes: true})) {
    const name = path.join(folder, entry.name);
    if (entry.isFile()) files.push(name);
    else if (entry.isDirectory()) parts.push(walk(name, files));
  }
  await Promise.all(parts);
}

async function once (folder, limit) {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  const files = [];
  await walk(folder, files);
  let i = 0;
  let bytes = 0;
  const worker = async () => {
    while (i < files.length) {
      const content = await fs.readFile(files[i++]);
      bytes += content.length;
    }
  };
  await Promise.all(Array.from({length: limit}, worker));
  const wall = Number(process.hrtime.bigint() - start) / 1e3;
  const used = process.cpuUsage(cpu);
  console.log(files.length, bytes, wall, used.user + used.system);
}

async function main () {
  const [folder, limit] = process.argv.slice(2);
  for (let round = 0; round < 3; round++) await once(folder, Number(limit));
}

main();
