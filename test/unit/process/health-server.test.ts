import { afterEach, describe, expect, test } from '@jest/globals';
import { HealthServer, type HealthServerOptions } from '../../../operator/process/health-server.ts';

let server: HealthServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function serve(checks: Partial<HealthServerOptions>): Promise<string> {
  server = new HealthServer({ address: '127.0.0.1', port: 0, live: {}, ready: {}, ...checks });
  return `http://127.0.0.1:${await server.start()}`;
}

async function answer(url: string): Promise<string> {
  const response = await fetch(url);
  return `${response.status} ${await response.text()}`;
}

const well = () => undefined;

describe('the health server', () => {
  test('says ok while every check is well', async () => {
    const origin = await serve({ live: { a: well }, ready: { b: well, c: well } });
    expect(await answer(`${origin}/healthz`)).toBe('200 ok\n');
    expect(await answer(`${origin}/readyz`)).toBe('200 ok\n');
  });

  test('names every failing check, of the page that was asked for', async () => {
    const origin = await serve({
      live: { watches: () => 'silent' },
      ready: { synced: () => 'not yet', running: well, other: () => 'broken' },
    });
    expect(await answer(`${origin}/healthz`)).toBe('503 watches: silent\n');
    expect(await answer(`${origin}/readyz`)).toBe('503 synced: not yet\nother: broken\n');
  });

  test('asks anew every time', async () => {
    const state: { problem: string | undefined } = { problem: 'starting' };
    const origin = await serve({ ready: { synced: () => state.problem } });
    expect(await answer(`${origin}/readyz`)).toBe('503 synced: starting\n');
    state.problem = undefined;
    expect(await answer(`${origin}/readyz`)).toBe('200 ok\n');
  });

  test.each(['/', '/metrics', '/toString', '/__proto__'])('knows nothing of %s', async (path) => {
    const origin = await serve({});
    expect(await answer(`${origin}${path}`)).toBe('404 not found\n');
  });

  test('shows the metrics it was given, and says so when it cannot', async () => {
    let page = () => Promise.resolve('metric 1\n');
    const metrics = { contentType: () => 'text/plain; version=0.0.4', page: () => page() };
    const origin = await serve({ metrics });
    const response = await fetch(`${origin}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await response.text()).toBe('metric 1\n');
    page = () => Promise.reject(new Error('no numbers'));
    expect(await answer(`${origin}/metrics`)).toBe('500 no numbers\n');
  });

  test('rejects when its address is taken', async () => {
    const origin = await serve({});
    const second = new HealthServer({
      address: '127.0.0.1',
      port: Number(new URL(origin).port),
      live: {},
      ready: {},
    });
    await expect(second.start()).rejects.toThrow('EADDRINUSE');
  });

  test('is not reached any more after stop', async () => {
    const origin = await serve({ live: { a: well } });
    await server?.stop();
    server = undefined;
    await expect(fetch(`${origin}/healthz`)).rejects.toThrow();
  });
});
