// A Redis client with node's own modules, as small as it can be: commands are
// pipelined, answers are parsed as they come. What is measured beside
// examples/redis.lua.
//
//   node redis.js PATH COMMANDS DEPTH...

const net = require('net');

class Client {
  constructor (path) {
    this.waiting = [];
    this.first = 0;
    this.out = [];
    this.text = '';
    this.socket = net.connect(path);
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk) => this.take(chunk));
  }

  call (...words) {
    let text = `*${words.length}\r\n`;
    for (const word of words) text += `$${word.length}\r\n${word}\r\n`;
    if (this.out.push(text) === 1) setImmediate(() => this.flush());
    return new Promise((resolve, reject) => {
      this.waiting.push({resolve, reject});
    });
  }

  flush () {
    this.socket.write(this.out.join(''), 'latin1');
    this.out = [];
  }

  // Simple strings and errors only: what SET and PING answer.
  take (chunk) {
    const text = this.text + chunk;
    let at = 0;
    let end = text.indexOf('\r\n', at);
    while (end >= 0) {
      const {resolve, reject} = this.waiting[this.first];
      this.waiting[this.first++] = undefined;
      if (text[at] === '-') reject(new Error(text.slice(at + 1, end)));
      else resolve(text.slice(at + 1, end));
      at = end + 2;
      end = text.indexOf('\r\n', at);
    }
    this.text = text.slice(at);
    if (this.first === this.waiting.length) {
      this.waiting = [];
      this.first = 0;
    }
  }
}

async function main () {
  const [path, count, ...depths] = process.argv.slice(2);
  const client = new Client(path);
  await client.call('PING');
  for (const depth of depths.map(Number)) {
    const n = depth === 1 ? count / 10 : Number(count);
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    let i = 0;
    const worker = async () => {
      while (i++ < n) await client.call('SET', 'key', 'value');
    };
    await Promise.all(Array.from({length: depth}, worker));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const used = process.cpuUsage(cpu);
    console.log(depth, seconds / n * 1e6, (used.user + used.system) / n);
  }
  client.socket.destroy();
}

main();
