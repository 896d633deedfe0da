import { beforeEach, describe, expect, test } from '@jest/globals';
import type { AwsIdentity } from '../../../operator/aws/aws-identities.ts';
import { Heartbeat } from '../../../operator/loops/heartbeat.ts';
import { QUEUE } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { done, StubQueue } from '../../support/stub-queue.ts';
import { failing, ROLE, TenantWorld } from '../../support/tenant-world.ts';

const MINUTE_MS = 60_000;
const POLLER: AwsIdentity = { kind: 'serviceAccount', namespace: 'team-a', name: 'poller' };
const READER = { ...QUEUE, namespace: 'team-a', serviceAccountName: 'poller' };
const ALL = ['get', 'token sts.amazonaws.com', `assume ${ROLE}`];

let world: TenantWorld;
const key = async (region = 'us-east-1') =>
  (await world.identities.credentialsFor(POLLER, region)()).accessKeyId;

/** The key, asked for every second of this time; throws when there was none at any of them. */
async function keysFor(ms: number): Promise<readonly string[]> {
  const keys = new Set<string>();
  for (let passed = 0; passed < ms; passed += 1_000) {
    keys.add(await key());
    await world.clock.advance(1_000);
  }
  return [...keys];
}

beforeEach(() => {
  world = new TenantWorld();
  world.account();
});

describe('credentials of a role', () => {
  test('are had once for all who ask at once, with a token for the account and its audience', async () => {
    world.account({ 'eks.amazonaws.com/audience': 'my-audience' });
    expect(await Promise.all([key(), key(), key()])).toEqual(['key-1', 'key-1', 'key-1']);
    expect(world.sinceThen()).toEqual(['get', 'token my-audience', `assume ${ROLE}`]);
    expect(world.requests[0]).toMatchObject({
      namespace: 'team-a',
      name: 'poller',
      token: 'header.payload.signature',
      region: 'us-east-1',
      durationSeconds: 3_600,
    });
  });

  test('are of a region', async () => {
    expect([await key('us-east-1'), await key('eu-west-1'), await key('us-east-1')]).toEqual([
      'key-1',
      'key-2',
      'key-1',
    ]);
  });

  test('are renewed at half their life, beside the requests that go on with the old ones', async () => {
    expect(await keysFor(29 * MINUTE_MS)).toEqual(['key-1']);
    expect(await keysFor(3 * MINUTE_MS)).toEqual(['key-1', 'key-2']);
    expect(world.asked.filter((what) => what.startsWith('assume'))).toHaveLength(2);
  });

  test.each(['the API server', 'STS', 'both'])(
    'last for 25 minutes without %s, whenever it goes away',
    async (what) => {
      for (const wait of [0, 10, 29]) {
        world = new TenantWorld();
        world.account();
        await keysFor(Math.max(1_000, wait * MINUTE_MS));
        if (what !== 'STS') world.apiFails = failing('Unavailable');
        if (what !== 'the API server') world.stsFails = failing('StsUnreachable');
        expect(await keysFor(25 * MINUTE_MS)).toEqual(['key-1']);
        world.apiFails = undefined;
        world.stsFails = undefined;
        expect((await keysFor(31 * MINUTE_MS)).at(-1)).not.toBe('key-1');
      }
    },
  );

  test('are not used beyond their end', async () => {
    await key();
    world.stsFails = failing('StsUnreachable');
    await world.clock.advance(60 * MINUTE_MS);
    await expect(key()).rejects.toMatchObject({ code: 'StsUnreachable' });
  });

  test('keep leases for 25 minutes without API server and STS', async () => {
    const queue = new StubQueue();
    const lost: string[] = [];
    const heartbeat = new Heartbeat({
      queue: {
        renew: async (_, entries) => {
          await key();
          return done(entries.map(({ id }) => id));
        },
        receive: queue.receive.bind(queue),
        changeVisibility: queue.changeVisibility.bind(queue),
        delete: queue.delete.bind(queue),
        sendToDeadLetter: queue.sendToDeadLetter.bind(queue),
        describe: queue.describe.bind(queue),
        tryRight: queue.tryRight.bind(queue),
      },
      clock: world.clock,
      log: new MemoryLog(),
      onLost: (_, id) => lost.push(id),
      onRestored: () => undefined,
    });
    await keysFor(29 * MINUTE_MS);
    world.apiFails = failing('Unavailable');
    world.stsFails = failing('StsUnreachable');
    const receivedAtMs = world.clock.now();
    const lease = { messageId: 'a', receiptHandle: 'handle', receivedAtMs, visibilityTimeoutSeconds: 30 };
    heartbeat.hold('team-a/orders', { queue: QUEUE, ...lease });
    await world.clock.advance(25 * MINUTE_MS);
    expect(heartbeat.trustedUntil(QUEUE, 'a')).toBeGreaterThan(world.clock.now());
    expect(lost).toEqual([]);
    heartbeat.stop();
  });
});

test('credentials that AWS does not take any more are renewed, once and not at once', async () => {
  const provider = world.identities.credentialsFor(POLLER, 'us-east-1');
  await provider();
  provider.refused?.();
  await world.clock.advance(5_000);
  expect(await keysFor(30_000)).toEqual(['key-1']);
  provider.refused?.();
  expect(await keysFor(10_000)).toEqual(['key-1', 'key-2']);
  provider.refused?.();
  expect(await keysFor(10_000)).toEqual(['key-2']);
});

describe('within a minute', () => {
  beforeEach(async () => {
    await key();
    world.sinceThen();
  });

  const after = async () => {
    await keysFor(MINUTE_MS).catch(() => undefined);
    return await key().catch((error: unknown) => error);
  };

  test('another role is used', async () => {
    world.account({ 'eks.amazonaws.com/role-arn': `${ROLE}-2` });
    expect(await after()).toBe('key-2');
    expect(world.requests.at(-1)?.account.roleArn).toBe(`${ROLE}-2`);
  });

  test('an account that was made anew has its own credentials', async () => {
    world.account({}, 'uid-2');
    expect(await after()).toBe('key-2');
  });

  test('an account that is gone has none', async () => {
    world.accounts.clear();
    expect(await after()).toMatchObject({ code: 'ServiceAccountNotFound', verdict: 'terminal' });
  });

  test.each([
    ['no role', ''],
    ['a role that is none', 'role/poller'],
  ])('an account with %s has none', async (_, role) => {
    world.account({ 'eks.amazonaws.com/role-arn': role });
    expect(await after()).toMatchObject({ verdict: 'terminal' });
  });

  test('an account that may not be seen any more keeps them', async () => {
    world.apiFails = failing('Forbidden', 'terminal', 'get serviceaccounts: Forbidden: User "me" cannot get');
    expect(await after()).toBe('key-1');
  });
});

describe('what fails', () => {
  test('is tried again soon, and not for everybody who asks', async () => {
    world.stsFails = failing('RoleRefused', 'terminal');
    for (let asked = 0; asked < 20; asked += 1)
      await expect(key()).rejects.toMatchObject({ code: 'RoleRefused' });
    expect(world.sinceThen()).toEqual(ALL);
    await keysFor(MINUTE_MS).catch(() => undefined);
    for (let seconds = 0; seconds < 60; seconds += 1) {
      await key().catch(() => undefined);
      await world.clock.advance(1_000);
    }
    expect(world.sinceThen().length / ALL.length).toBeLessThan(16);
    world.stsFails = undefined;
    await world.clock.advance(10_000);
    expect(await key()).toBe('key-1');
  });

  test('is a problem at once without credentials, and beside them when it does not pass, or not in time', async () => {
    const check = async () => {
      const state = await world.identities.check(READER);
      return state.kind === 'role' ? [state.roleArn, state.problem?.code] : ['operator'];
    };
    world.stsFails = failing('StsUnreachable');
    expect(await check()).toEqual([undefined, 'StsUnreachable']);
    world.stsFails = undefined;
    await world.clock.advance(10_000);
    expect(await check()).toEqual([ROLE, undefined]);

    await keysFor(29 * MINUTE_MS);
    world.stsFails = failing('StsUnreachable');
    await keysFor(1_000);
    expect(await check()).toEqual([ROLE, undefined]);
    await keysFor(15 * MINUTE_MS);
    expect(await check()).toEqual([ROLE, undefined]);
    await keysFor(5 * MINUTE_MS);
    expect(await check()).toEqual([ROLE, 'StsUnreachable']);
    world.stsFails = failing('RoleRefused', 'terminal');
    await world.clock.advance(MINUTE_MS);
    expect(await check()).toEqual([ROLE, 'RoleRefused']);
    await keysFor(31 * MINUTE_MS).catch(() => undefined);
    expect(await check()).toEqual([undefined, 'RoleRefused']);
    world.stsFails = undefined;
    await world.clock.advance(10_000);
    expect(await check()).toEqual([ROLE, undefined]);
  });

  test('is logged without the token', async () => {
    world.stsFails = failing('RoleRefused', 'terminal');
    await expect(key()).rejects.toBeDefined();
    expect(JSON.stringify(world.log.lines)).not.toContain('header.payload.signature');
  });
});

test('what nobody asks for any more is forgotten, and no timer is left', async () => {
  await key();
  await key('eu-west-1');
  expect(world.clock.pending()).toBe(1);
  await world.clock.advance(30 * MINUTE_MS);
  expect(world.clock.pending()).toBe(0);
  world.sinceThen();
  expect(await key()).toBe('key-3');
  expect(world.sinceThen()).toEqual(ALL);
  world.identities.close();
  expect(world.clock.pending()).toBe(0);
});
