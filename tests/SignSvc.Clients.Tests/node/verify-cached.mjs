// Verifies access tokens with jose's cached remote key set, for as long as its standard input is open.
// Arguments: the key set's URL, cacheMaxAge and cooldownDuration in milliseconds.
// stdin: one token a line, or "?". stdout: a line for each: "ok", or why not; for "?" how often the key set was read.
import { createInterface } from 'node:readline';
import * as jose from 'jose';

const [url, cacheMaxAge, cooldownDuration] = process.argv.slice(2);
let reads = 0;
const keySet = jose.createRemoteJWKSet(new URL(url), {
  cacheMaxAge: Number(cacheMaxAge),
  cooldownDuration: Number(cooldownDuration),
  [jose.customFetch]: (...request) => {
    reads++;
    return fetch(...request);
  },
});

for await (const line of createInterface({ input: process.stdin })) console.log(line === '?' ? reads : await verdict(line));

async function verdict(token) {
  try {
    await jose.jwtVerify(token, keySet, { algorithms: ['ES256'], typ: 'at+jwt' });
    return 'ok';
  } catch (e) {
    return `${e.code ?? e.name}: ${e.message}`;
  }
}
