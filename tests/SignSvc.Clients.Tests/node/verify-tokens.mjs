// Verifies access tokens with three JavaScript libraries, as an application that trusts one issuer would.
// stdin: one JSON object a line; the first is {issuer, audience, algorithms}, each further one {id, token}.
// stdout: one line {verifier, id, accepted, subject?, reason?} for each verifier and token.
import { createInterface } from 'node:readline';
import * as jose from 'jose';
import jwt from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';
import * as oauth from 'oauth4webapi';

async function main() {
  const lines = [];
  for await (const line of createInterface({ input: process.stdin })) lines.push(JSON.parse(line));
  const [trust, ...tokens] = lines;
  const verifiers = await setUp(trust);
  for (const { id, token } of tokens) {
    for (const [verifier, verify] of Object.entries(verifiers)) {
      console.log(JSON.stringify({ verifier, id, ...(await verdict(verify, token)) }));
    }
  }
}

async function verdict(verify, token) {
  try {
    const claims = await verify(token);
    return { accepted: true, subject: claims.sub };
  } catch (e) {
    return { accepted: false, reason: `${e.code ?? e.name}: ${e.message}` };
  }
}

async function setUp({ issuer, audience, algorithms }) {
  const http = { [oauth.allowInsecureRequests]: true };
  const server = await oauth.processDiscoveryResponse(
    new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...http }),
  );

  const keySet = jose.createRemoteJWKSet(new URL(server.jwks_uri));
  const keys = jwksRsa({ jwksUri: server.jwks_uri, cache: true });

  return {
    jose: async (token) =>
      (await jose.jwtVerify(token, keySet, { issuer, audience, algorithms, typ: 'at+jwt' })).payload,

    jsonwebtoken: (token) =>
      new Promise((resolve, reject) => {
        const keyOf = (header, done) =>
          keys.getSigningKey(header.kid, (fault, key) => done(fault, key?.getPublicKey()));
        jwt.verify(token, keyOf, { issuer, audience, algorithms }, (fault, claims) =>
          fault ? reject(fault) : resolve(claims),
        );
      }),

    oauth4webapi: (token) =>
      oauth.validateJwtAccessToken(
        server,
        new Request(audience, { headers: { authorization: `Bearer ${token}` } }),
        audience,
        { signingAlgorithms: algorithms, ...http },
      ),
  };
}

await main();
