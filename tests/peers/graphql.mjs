// A GraphQL server: graphql-yoga with orders behind Relay cursors, and beside it an address that takes them. Prints its
// port, then answers until it is ended. PEER_REFUSE names the order before which it refuses to go on.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';

const modules = process.env.PEER_MODULES;
const { createSchema, createYoga } = await import(pathToFileURL(`${modules}/graphql-yoga/esm/index.js`));
const most = 250;
const refuse = Number(process.env.PEER_REFUSE ?? 0);
const seen = { queries: 0, taken: [], cursors: [] };

const order = (id) => ({
  id, sku: `S-${id}`, first_name: 'Ada', last_name: `L"${id}`, email: `a${id}@example.com`, qty: id % 7, unit_cents: 995,
  status: id % 2 ? 'A' : 'I', note: 'ring\ntwice', address: { city: 'Köln', country: 'DE' },
});

const schema = createSchema({
  typeDefs: `
    type Query { orders(first: Int!, after: String): Orders! }
    type Orders { edges: [Edge!]! pageInfo: PageInfo! }
    type Edge { node: Order! cursor: String! }
    type PageInfo { hasNextPage: Boolean! endCursor: String }
    type Order { id: Int! sku: String! first_name: String! last_name: String! email: String! qty: Int! unit_cents: Int!
      status: String! note: String! address: Address! }
    type Address { city: String! country: String! }`,
  resolvers: {
    Query: {
      orders(_, { first, after }) {
        seen.queries += 1;
        seen.cursors.push(after ?? null);
        const from = Number(after ?? 0);
        if (Number.isNaN(from)) throw new Error('no cursor of ours');
        if (refuse > 0 && from >= refuse) throw new Error(`no access behind order ${from}`);
        const ids = Array.from({ length: Math.min(first, most - from) }, (_, n) => from + n + 1);
        return {
          edges: ids.map((id) => ({ node: order(id), cursor: String(id) })),
          pageInfo: { hasNextPage: from + ids.length < most, endCursor: ids.length ? String(ids.at(-1)) : null },
        };
      },
    },
  },
});

const yoga = createYoga({ schema, logging: false, maskedErrors: false });
const server = createServer(async (request, response) => {
  const done = (body) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  };
  if (request.url === '/seen') return done(seen);
  if (request.url !== '/orders') return yoga(request, response);
  let body = '';
  for await (const part of request) body += part;
  seen.taken.push(JSON.parse(body));
  done({});
}).listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(server.address().port);
