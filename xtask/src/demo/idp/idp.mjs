// The demo's identity provider: npm oidc-provider (OpenID certified) with one agent, two people and sign-in pages of its own.
//
//   node idp.mjs CONFIG.json        CONFIG.json is written by `cargo xtask demo` (xtask/src/demo/identity.rs)
//
// It owns who the demo's people and agent are. It refuses to know anything of Kubernetes. Signing keys live in a file of the demo's
// state, so that tokens survive a restart. It ends when its standard input ends, so that it never outlives its supervisor.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { Provider } from 'oidc-provider';
import { confirmPage, codePage, errorPage, messagePage, signInPage, signOutPage } from './pages.mjs';

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
/** A client's access token lives this long: an agent holds nothing that is good for more than a task. */
const AGENT_TOKEN_SECONDS = 600;
const PERSON_TOKEN_SECONDS = 3600;
/** `signInUrl` leads straight through the sign-in page if the console sends the person here within this time. */
const STRAIGHT_IN_SECONDS = 60;
const STRAIGHT_IN_COOKIE = 'lockgate_demo_person';
const FORM_BYTES_MAX = 4096;

const keys = signingKeys(config.keysFile);
const provider = new Provider(config.issuer, {
  clients: clients(),
  jwks: keys.jwks,
  cookies: { keys: keys.cookies, long: { secure: true }, short: { secure: true } },
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  // Groups and names are in every ID token, whatever scope a client asks for: it is what the gateway and the console decide by.
  claims: { openid: ['sub', 'name', 'email', 'email_verified', 'groups'], profile: [], email: [], groups: [] },
  conformIdTokenClaims: false,
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  ttl: {
    AccessToken: PERSON_TOKEN_SECONDS,
    ClientCredentials: AGENT_TOKEN_SECONDS,
    Grant: 86_400,
    IdToken: PERSON_TOKEN_SECONDS,
    Interaction: 3600,
    RefreshToken: 86_400,
    Session: 86_400,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      charset: 'base-20',
      mask: '****-****',
      userCodeInputSource: (ctx, form, _out, error) => { ctx.body = codePage(form, error); },
      userCodeConfirmSource: (ctx, form, client, _device, code) => { ctx.body = confirmPage(form, client.clientName, code); },
      successSource: (ctx) => { ctx.body = messagePage('Signed in', 'Your terminal has what it needs. You can close this page.'); },
    },
    resourceIndicators: {
      enabled: true,
      // An agent's token is always one for the gateway: a signed JWT with the gateway's audience.
      defaultResource: (_ctx, client) => (isAgent(client) ? config.agent.resource : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource, client) => resourceServer(resource, client),
    },
    revocation: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => { ctx.body = signOutPage(form); },
      postLogoutSuccessSource: (ctx) => { ctx.body = messagePage('Signed out', 'This browser is no longer signed in.'); },
    },
  },
  extraTokenClaims: (_ctx, token) => (token.clientId === config.agent.clientId ? config.agent.claims : undefined),
  findAccount: (_ctx, id) => account(id),
  interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
  issueRefreshToken: (_ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  pkce: { required: () => true },
  renderError: (ctx, out) => { ctx.type = 'html'; ctx.body = errorPage(out); },
});
provider.on('server_error', (_ctx, error) => console.error(error));

const answer = provider.callback();
const tls = { cert: fs.readFileSync(config.certificateFile), key: fs.readFileSync(config.keyFile) };
const server = https.createServer(tls, (request, response) => {
  route(request, response).catch((error) => {
    const expired = error.name === 'SessionNotFound';
    if (!expired) console.error(error);
    page(response, expired ? 400 : 500, messagePage(expired ? 'This sign-in has expired' : 'Something went wrong',
      expired ? 'Go back to where you came from and start again.' : 'The identity provider’s log says more.'));
  });
});
server.listen(config.port, '127.0.0.1', () => console.log(`ready ${config.issuer}`));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));

async function route(request, response) {
  const path = new URL(request.url, config.issuer).pathname.split('/').slice(1);
  if (path[0] === 'sign-in' && path.length === 2 && request.method === 'GET') return signIn(request, response, path[1]);
  if (path[0] === 'sign-in' && path.length === 3 && request.method === 'POST') return chosen(request, response, path[2]);
  if (path[0] === 'demo' && path[1] === 'sign-in' && path.length === 3) return straightIn(response, path[2]);
  return answer(request, response);
}

/** Where every authorization request of a person without a fresh session comes by. */
async function signIn(request, response, uid) {
  const details = await provider.interactionDetails(request, response);
  if (details.prompt.name === 'consent') return consent(request, response, details);
  const straight = cookie(request, STRAIGHT_IN_COOKIE);
  if (Object.hasOwn(config.people, straight)) {
    response.appendHeader('Set-Cookie', `${STRAIGHT_IN_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax`);
    return accept(request, response, straight);
  }
  const client = await provider.Client.find(details.params.client_id);
  page(response, 200, signInPage(uid, client.clientName, config.people));
}

async function chosen(request, response, person) {
  if (!Object.hasOwn(config.people, person)) return page(response, 404, messagePage('Nobody', 'The demo has no such person.'));
  await drain(request);
  return accept(request, response, person);
}

function accept(request, response, person) {
  const login = { accountId: person, amr: ['demo'], remember: false };
  return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
}

/** The demo's clients are its own: what they ask for is granted without a page. */
async function consent(request, response, { grantId, session, params, prompt: { details } }) {
  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(' '));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

/** The link that the demo prints: the next sign-in of this browser is this person's, without a click; then on to the console. */
function straightIn(response, person) {
  if (!Object.hasOwn(config.people, person)) return page(response, 404, messagePage('Nobody', 'The demo has no such person.'));
  response.appendHeader('Set-Cookie', `${STRAIGHT_IN_COOKIE}=${person}; Path=/; Max-Age=${STRAIGHT_IN_SECONDS}; Secure; HttpOnly; SameSite=Lax`);
  response.writeHead(303, { Location: config.console.signInUrl, 'Cache-Control': 'no-store' }).end();
}

function clients() {
  const person = { token_endpoint_auth_method: 'none', response_types: ['code'], require_auth_time: true };
  return [
    {
      client_id: config.agent.clientId, client_name: 'Shop agent', client_secret: config.agent.clientSecret,
      token_endpoint_auth_method: 'client_secret_basic', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    },
    {
      ...person, client_id: config.console.clientId, client_name: 'Lockgate console', application_type: 'web',
      ...(config.console.clientSecret && { client_secret: config.console.clientSecret, token_endpoint_auth_method: 'client_secret_basic' }),
      grant_types: ['authorization_code'], redirect_uris: config.console.redirectUris,
      post_logout_redirect_uris: config.console.postLogoutRedirectUris,
    },
    {
      ...person, client_id: config.cli.clientId, client_name: 'Lockgate command line', application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      redirect_uris: config.cli.redirectUris,
    },
  ];
}

function isAgent(client) {
  return client.clientId === config.agent.clientId;
}

function resourceServer(resource, client) {
  if (!isAgent(client) || resource !== config.agent.resource) return { scope: '', audience: resource, accessTokenFormat: 'opaque' };
  return {
    scope: '', audience: config.agent.audience, accessTokenFormat: 'jwt', accessTokenTTL: AGENT_TOKEN_SECONDS, jwt: { sign: { alg: 'ES256' } },
  };
}

function account(id) {
  if (!Object.hasOwn(config.people, id)) return undefined;
  const { name, email, groups } = config.people[id];
  return { accountId: id, claims: async () => ({ sub: id, name, email, email_verified: true, groups }) };
}

/** The signing key and the cookie keys, made once. */
function signingKeys(file) {
  if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8'));
  const { privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: crypto.randomBytes(8).toString('hex') };
  const made = { jwks: { keys: [key] }, cookies: [crypto.randomBytes(32).toString('base64url')] };
  fs.writeFileSync(`${file}.part`, JSON.stringify(made), { mode: 0o600 });
  fs.renameSync(`${file}.part`, file);
  return made;
}

function cookie(request, name) {
  const pairs = (request.headers.cookie ?? '').split('; ').map((pair) => pair.split('='));
  return pairs.find(([key]) => key === name)?.[1];
}

/** Reads a form that carries nothing. */
async function drain(request) {
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > FORM_BYTES_MAX) throw new Error('the form is too large');
  }
}

function page(response, status, html) {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY', 'Referrer-Policy': 'no-referrer',
  }).end(html);
}
