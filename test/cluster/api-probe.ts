/** Small reads from an API server while it comes up. */
import { request } from 'node:https';
import type { KeyPair } from './certificate.ts';

/** Where and as whom to ask. */
export interface ApiAccess {
  /** `https://host:port`. */
  readonly server: string;
  readonly authority: string;
  readonly client: KeyPair;
}

/** Bound for one question; a server that is coming up either refuses at once or answers late. */
const ANSWER_WITHIN_MS = 2_000;

/** The body of a 200 answer. Throws on anything else, also when no answer comes in time. */
export function readApi(access: ApiAccess, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      ca: access.authority,
      cert: access.client.certificate,
      key: access.client.key,
      agent: false,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    };
    request(`${access.server}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const body = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(body);
        else reject(new Error(`${path} answered ${response.statusCode}: ${body.slice(0, 200)}`));
      });
    })
      .once('error', reject)
      .end();
  });
}
