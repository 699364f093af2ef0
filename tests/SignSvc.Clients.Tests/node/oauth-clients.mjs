// Two OAuth clients, unmodified, from discovery to a validated access token.
// stdin: {issuer, resource, profile, clientId, clientSecret, jwk}. stdout: one line {client, method, accepted, claims?, reason?} each.
import { readFileSync } from 'node:fs';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const { issuer, resource, profile, clientId, clientSecret, jwk } = JSON.parse(readFileSync(0, 'utf8'));
const http = { [oauth.allowInsecureRequests]: true };
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);

const attempts = [
  ['oauth4webapi', 'client_secret_basic', () => withOauth4webapi(oauth.ClientSecretBasic(clientSecret))],
  ['oauth4webapi', 'client_secret_post', () => withOauth4webapi(oauth.ClientSecretPost(clientSecret))],
  ['oauth4webapi', 'private_key_jwt', () => withOauth4webapi(oauth.PrivateKeyJwt({ key, kid: jwk.kid }))],
  ['oauth4webapi', 'dpop', () => withOauth4webapi(oauth.ClientSecretBasic(clientSecret), true)],
  ['openid-client', 'client_secret_basic', () => withOpenidClient(openid.ClientSecretBasic(clientSecret))],
  ['openid-client', 'client_secret_post', () => withOpenidClient(openid.ClientSecretPost(clientSecret))],
  ['openid-client', 'private_key_jwt', () => withOpenidClient(openid.PrivateKeyJwt({ key, kid: jwk.kid }))],
  ['openid-client', 'dpop', () => withOpenidClient(openid.ClientSecretPost(clientSecret), true)],
  ['openid-client', 'introspection', introspectWithOpenidClient],
];

for (const [client, method, attempt] of attempts) {
  try {
    console.log(JSON.stringify({ client, method, accepted: true, claims: await attempt() }));
  } catch (e) {
    console.log(JSON.stringify({ client, method, accepted: false, reason: `${e.code ?? e.name}: ${e.message} ${e.error ?? ''} ${e.error_description ?? ''} ${e.cause ?? ''}` }));
  }
}

async function withOauth4webapi(authentication, bound = false) {
  const as = await discover('oauth2');
  const client = { client_id: clientId };
  const keys = bound ? await oauth.generateKeyPair('ES256') : undefined;
  const DPoP = bound ? oauth.DPoP(client, keys) : undefined;
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, { resource, profile }, { ...http, DPoP });
  const granted = await oauth.processClientCredentialsResponse(as, client, response);
  return validate(as, granted, bound ? keys : undefined);
}

async function withOpenidClient(authentication, bound = false) {
  const config = await openid.discovery(new URL(issuer), clientId, undefined, authentication, { execute: [openid.allowInsecureRequests] });
  const keys = bound ? await openid.randomDPoPKeyPair('ES256') : undefined;
  const DPoP = bound ? openid.getDPoPHandle(config, keys) : undefined;
  const granted = await openid.clientCredentialsGrant(config, { resource, profile }, { DPoP });
  return validate(await discover('oidc'), granted, bound ? keys : undefined);
}

async function introspectWithOpenidClient() {
  const config = await openid.discovery(new URL(issuer), clientId, undefined, openid.ClientSecretBasic(clientSecret), { execute: [openid.allowInsecureRequests] });
  const granted = await openid.clientCredentialsGrant(config, { resource, profile });
  const before = await openid.tokenIntrospection(config, granted.access_token);
  await openid.tokenRevocation(config, granted.access_token);
  const after = await openid.tokenIntrospection(config, granted.access_token);
  if (!before.active || after.active) throw new Error('the revocation did nothing');
  return before;
}

async function discover(algorithm) {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm, ...http }));
}

// RFC 9068 section 4, and RFC 9449 section 7 where the token is bound.
async function validate(as, granted, keys) {
  const type = keys ? 'DPoP' : 'Bearer';
  if (granted.token_type.toLowerCase() !== type.toLowerCase()) throw new Error(`token_type is ${granted.token_type}`);
  const headers = { authorization: `${type} ${granted.access_token}` };
  if (keys) headers.dpop = await proofOf(keys, granted.access_token);
  // The same list is for the proof, which has the client's algorithm.
  const algorithms = [...as.id_token_signing_alg_values_supported, ...(keys ? ['ES256'] : [])];
  return oauth.validateJwtAccessToken(as, new Request(resource, { headers }), resource, { signingAlgorithms: algorithms, ...http });
}

async function proofOf(keys, token) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token));
  return new jose.SignJWT({ htm: 'GET', htu: resource, ath: jose.base64url.encode(new Uint8Array(digest)) })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await jose.exportJWK(keys.publicKey) })
    .setIssuedAt()
    .setJti(crypto.randomUUID())
    .sign(keys.privateKey);
}
