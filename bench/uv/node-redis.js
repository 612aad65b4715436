// The same as redis.js, with node-redis, where node finds that: NODE_PATH says
// where Debian has it.
//
//   NODE_PATH=/usr/share/nodejs node node-redis.js PATH COMMANDS DEPTH...

const {createClient} = require('redis');

async function main () {
  const [path, count, ...depths] = process.argv.slice(2);
  const client = createClient({socket: {path}});
  await client.connect();
  for (const depth of depths.map(Number)) {
    const n = depth === 1 ? count / 10 : Number(count);
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    let i = 0;
    const worker = async () => {
      while (i++ < n) await client.set('key', 'value');
    };
    await Promise.all(Array.from({length: depth}, worker));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const used = process.cpuUsage(cpu);
    console.log(depth, seconds / n * 1e6, (used.user + used.system) / n);
  }
  await client.quit();
}

main();
