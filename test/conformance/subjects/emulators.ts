import { once } from 'node:events';
import { createServer } from 'node:net';
import { buildApp } from 'fauxqs';
import { createSqsServer } from 'local-aws-sqs';
import type { Subject } from '../subject.ts';
import { endpointSubject } from './endpoint.ts';

export const HOST = '127.0.0.1';
const REGION = 'us-east-1';
export const EMULATOR = { region: REGION, patienceMs: 1_500, settleMs: 0 } as const;

/** Anything goes: no emulator checks signatures. */
export function useAnyCredentials(): void {
  process.env['AWS_ACCESS_KEY_ID'] = 'emulator';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'emulator';
}

/** The emulator that the other tests use, in this process. */
export async function startFauxqs(): Promise<Subject> {
  useAnyCredentials();
  const port = await freePort();
  const app = buildApp({ logger: false, defaultRegion: REGION });
  await app.listen({ host: HOST, port });
  return endpointSubject({
    ...EMULATOR,
    name: 'fauxqs',
    endpoint: `http://${HOST}:${port}`,
    stop: async () => {
      app.server.closeAllConnections();
      await app.close();
    },
  });
}

/** A second emulator in this process. */
export async function startLocalAwsSqs(): Promise<Subject> {
  useAnyCredentials();
  const port = await freePort();
  const server = await createSqsServer({ port, hostname: HOST, region: REGION });
  return endpointSubject({
    ...EMULATOR,
    name: 'local-aws-sqs',
    endpoint: `http://${HOST}:${port}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return address !== null && typeof address === 'object' ? address.port : 0;
}
