// Judges X-WSSE headers with the wsse package: it makes the token anew from the nonce and time it was sent, and the
// header has to be the same, byte for byte. Below /hex_base64 its digests are hexadecimal in base64. Prints its port,
// then answers until it is ended.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';

const { UsernameToken } = await import(pathToFileURL(`${process.env.PEER_MODULES}/wsse/lib/src/index.js`));
const used = new Set();

function judge(header, sha1encoding) {
  const field = (name) => header.match(new RegExp(`${name}="([^"]*)"`))?.[1] ?? '';
  const [nonce, created] = [field('Nonce'), field('Created')];
  const token = new UsernameToken({ username: 'me', password: process.env.PEER_SECRET, created, nonce, sha1encoding });
  if (used.has(nonce) || !/^[0-9a-f]{32}$/.test(nonce)) return `another nonce was due than ${nonce}`;
  used.add(nonce);
  if (!(Math.abs(Date.now() - Date.parse(created)) < 60_000)) return `not made now: ${created}`;
  return token.getWSSEHeader() === header ? '' : `the package makes ${token.getWSSEHeader()} of it, not ${header}`;
}

const server = createServer((request, response) => {
  request.resume();
  const encoding = request.url.startsWith('/hex_base64/') ? 'hex' : undefined;
  const wrong = judge(request.headers['x-wsse'] ?? '', encoding);
  response.writeHead(wrong ? 403 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(wrong ? { error: wrong } : [{ id: 1, 'a b': 'x&y' }]));
});

server.listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(server.address().port);
