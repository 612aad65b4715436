// The smallest reverse proxy that node's own modules make: what is measured
// beside examples/proxy.lua. Prints the port that it listens at.
//
//   node proxy.js PORT-OF-THE-OTHER-SERVER

const http = require('http');
const agent = new http.Agent({keepAlive: true, maxSockets: 64});
const port = Number(process.argv[2]);

const server = http.createServer((request, response) => {
  const up = http.request({
    host: '127.0.0.1', port, agent, method: request.method,
    path: request.url, headers: request.headers,
  }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  up.on('error', () => response.writeHead(502).end());
  response.on('close', () => up.destroy());
  request.pipe(up);
});
server.listen(0, '127.0.0.1', () => {
  console.log('listening on ' + server.address().port);
});
process.on('SIGTERM', () => process.exit(0));
