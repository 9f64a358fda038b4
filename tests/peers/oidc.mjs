// An OAuth 2 server: oidc-provider, with an API behind its tokens. Prints its port, then answers until it is ended.
//
// Its refresh tokens rotate; one that is spent twice takes its whole grant away. Access tokens live for PEER_LIFE seconds.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';

const library = pathToFileURL(`${process.env.PEER_MODULES}/oidc-provider/lib/index.js`);
const { default: Provider } = await import(library);
const life = Number(process.env.PEER_LIFE ?? 60);
const secret = process.env.PEER_SECRET;

const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
const base = `http://127.0.0.1:${server.address().port}`;

const client = (id, auth, grants, more) => ({
  client_id: id,
  ...(auth === 'none' ? {} : { client_secret: secret }),
  token_endpoint_auth_method: auth,
  grant_types: grants,
  redirect_uris: [],
  response_types: [],
  ...more,
});
const provider = new Provider(base, {
  clients: [
    client('in header', 'client_secret_basic', ['client_credentials']),
    client('in body', 'client_secret_post', ['client_credentials'], { scope: 'read' }),
    client('rotating', 'client_secret_basic', ['refresh_token']),
    client('of a person', 'client_secret_basic', ['password', 'refresh_token']),
    // A program on somebody's machine: any port of it may be come back to.
    client('native', 'none', ['authorization_code', 'refresh_token'], {
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
      response_types: ['code'],
    }),
  ],
  scopes: ['read', 'write', 'offline_access'],
  ttl: { AccessToken: life, ClientCredentials: life, Grant: 3600, Interaction: 600, RefreshToken: 3600, Session: 600 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    revocation: { enabled: true },
  },
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ['only for tests'] },
});

// What happened, for the test to look at.
const seen = { issued: 0, rotated: 0, revoked: 0, refused: 0, expired: 0, errors: [], pkce: [] };
const count = (event, name) => provider.on(event, () => { seen[name] += 1; });
count('access_token.saved', 'issued');
count('client_credentials.saved', 'issued');
count('refresh_token.consumed', 'rotated');
count('grant.revoked', 'revoked');
provider.on('grant.error', (ctx, error) => seen.errors.push(`${error.message}: ${error.error_detail ?? error.error_description}`));

async function tokens(client, account) {
  const grant = new provider.Grant({ accountId: account, clientId: client.clientId });
  grant.addOIDCScope('read offline_access');
  const grantId = await grant.save();
  const of = { accountId: account, client, grantId, scope: 'read', gty: 'password', expiresWithSession: false };
  return {
    grantId,
    access: () => new provider.AccessToken({ ...of }).save(),
    refresh: () => new provider.RefreshToken({ ...of, rotations: 0, iiat: Math.floor(Date.now() / 1000) }).save(),
  };
}

provider.registerGrantType('password', async (ctx, next) => {
  const { username, password } = ctx.oidc.params;
  if (username !== 'jürgen' || password !== secret) {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: 'no such person' };
    return;
  }
  const made = await tokens(ctx.oidc.client, username);
  ctx.body = { access_token: await made.access(), refresh_token: await made.refresh(), token_type: 'Bearer', expires_in: life };
  await next();
}, ['username', 'password'], []);

// Nobody is asked: the person is there, and agrees.
async function agree(request, response) {
  const details = await provider.interactionDetails(request, response);
  seen.pkce.push(details.params.code_challenge_method);
  if (new URLSearchParams(request.url.split('?')[1]).has('no')) {
    return provider.interactionFinished(request, response, { error: 'access_denied', error_description: 'not today' });
  }
  const { params } = details;
  const grant = new provider.Grant({ accountId: 'jürgen', clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId: 'jürgen' }, consent: { grantId: await grant.save() } };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function api(request, response, path) {
  const [, bearer] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
  const find = (model) => (bearer ? model.find(bearer, { ignoreExpiration: true }) : undefined);
  const token = (await find(provider.AccessToken)) ?? (await find(provider.ClientCredentials));
  const say = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  if (!token || token.isExpired) {
    seen.refused += 1;
    seen.expired += token ? 1 : 0;
    return say(401, { error: 'invalid_token' });
  }
  const scope = new URLSearchParams(path.split('?')[1]).get('scope');
  if (scope !== null && token.scope !== scope) {
    return say(403, { error: `granted: ${token.scope}` });
  }
  return path.startsWith('/records')
    ? say(200, Array.from({ length: 60 }, (_, id) => ({ id })))
    : say(201, {});
}

const oauth = provider.callback();
server.on('request', async (request, response) => {
  const path = request.url;
  try {
    if (path.startsWith('/interaction/')) {
      await agree(request, response);
    } else if (path.startsWith('/records') || path.startsWith('/taken')) {
      await api(request, response, path);
    } else if (path === '/seen') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(seen));
    } else if (path === '/seed') {
      const made = await tokens(await provider.Client.find('rotating'), 'jürgen');
      response.writeHead(200).end(await made.refresh());
    } else {
      oauth(request, response);
    }
  } catch (error) {
    response.writeHead(500).end(String(error?.stack ?? error));
  }
});
console.log(server.address().port);
