import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Right } from '../../../operator/ports.ts';
import { kubeFailure } from '../../simulation/kubernetes/failures.ts';
import { type Candidate, ElectionWorld } from '../../support/election-world.ts';

const LEASE_MS = 10_000;
const DEADLINE_MS = 7_000;
const PERIOD_MS = 2_000;
/** A few round trips. */
const SOON_MS = 200;

let world: ElectionWorld;

beforeEach(() => {
  world = new ElectionWorld(1, {
    leaseDurationMs: LEASE_MS,
    renewDeadlineMs: DEADLINE_MS,
    retryPeriodMs: PERIOD_MS,
  });
  world.makeLease();
});

async function aLeader(): Promise<Candidate> {
  const leader = world.join();
  await world.untilSomebodyActs(SOON_MS);
  return leader;
}

async function leaderAndStandby(): Promise<[Candidate, Candidate]> {
  const leader = await aLeader();
  const standby = world.join();
  await world.pass(5_000);
  return [leader, standby];
}

function may({ elector }: Candidate, right: Right): boolean {
  try {
    elector.permit(right);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'NotLeader', verdict: 'retry', outcomeUnknown: false });
    return false;
  }
}

describe('an elector', () => {
  test('takes a Lease that nobody holds at once', async () => {
    const leader = await aLeader();
    expect(world.holder()).toBe(leader.identity);
    expect(leader.told).toEqual(['lead']);
  });

  test('without a Lease waits as long as for a holder, who may have lost it to somebody with kubectl', async () => {
    world.deleteLease();
    world.join();
    const tookMs = await world.untilSomebodyActs(20_000);
    expect(tookMs).toBeGreaterThanOrEqual(LEASE_MS);
    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
  });

  test('renews every retry period and writes nothing else; a standby writes nothing at all', async () => {
    await leaderAndStandby();
    world.requests.splice(0);
    expect(await world.pass(60_000)).toBe(0);
    expect(new Set(world.requests)).toEqual(new Set(['process-1 patch']));
    expect(world.requests.length).toBeGreaterThanOrEqual(28);
    expect(world.requests.length).toBeLessThanOrEqual(30);
  });

  test('takes over from one that was killed, after the lease duration and no later than needed', async () => {
    const [leader, standby] = await leaderAndStandby();
    leader.kill();
    const tookMs = await world.untilSomebodyActs(20_000);
    expect(tookMs).toBeGreaterThanOrEqual(LEASE_MS - PERIOD_MS);
    expect(tookMs).toBeLessThan(LEASE_MS + SOON_MS);
    expect(world.acting()).toEqual([standby.identity]);
    expect(world.transitions()).toBe(2);
  });

  test('does so although its watch had died', async () => {
    const [leader, standby] = await leaderAndStandby();
    standby.isDeaf = true;
    await world.pass(30_000);
    leader.kill();
    expect(await world.untilSomebodyActs(20_000)).toBeLessThan(LEASE_MS + 2 * PERIOD_MS);
  });

  test('that only observes takes nothing, but has waited already when it begins to stand', async () => {
    const [leader, standby] = await leaderAndStandby();
    await standby.elector.handOver(0);
    const newcomer = world.join(1, { campaigns: false });
    await world.pass(1_000);
    leader.kill();
    await world.pass(30_000);
    expect(world.acting()).toEqual([]);
    newcomer.elector.campaign();
    expect(await world.untilSomebodyActs(SOON_MS)).toBeLessThan(SOON_MS);
  });

  test('that cannot reach the API server stops acting in time, and leads again if nobody took the Lease', async () => {
    const leader = await aLeader();
    leader.isCutOff = true;
    await world.pass(DEADLINE_MS - PERIOD_MS - SOON_MS);
    expect(world.acting()).toEqual([leader.identity]);
    await world.pass(PERIOD_MS + SOON_MS);
    expect(world.acting()).toEqual([]);
    await world.pass(30_000);
    expect(leader.told).toEqual(['lead', 'fenced']);
    leader.isCutOff = false;
    await world.untilSomebodyActs(PERIOD_MS + DEADLINE_MS);
    expect(leader.told).toEqual(['lead', 'fenced', 'lead']);
    expect(world.transitions()).toBe(1);
  });

  test('that was cut off and finds another holder has lost', async () => {
    const [leader, standby] = await leaderAndStandby();
    leader.isCutOff = true;
    await world.pass(20_000);
    expect(world.acting()).toEqual([standby.identity]);
    leader.isCutOff = false;
    await world.pass(10_000);
    expect(leader.told).toEqual(['lead', 'fenced', 'lost']);
    expect(world.acting()).toEqual([standby.identity]);
  });

  test('makes its Lease again when somebody deletes it, and leads on', async () => {
    const [leader] = await leaderAndStandby();
    world.deleteLease();
    expect(await world.pass(30_000)).toBe(0);
    expect(world.acting()).toEqual([leader.identity]);
    expect(leader.told).toEqual(['lead']);
  });

  test('asks at its own pace when the API server refuses every write', async () => {
    world.join();
    world.refuse = () => {
      throw kubeFailure('Conflict', 'retry');
    };
    await world.pass(60_000);
    expect(world.requests.length).toBeLessThan(80);
    world.refuse = () => undefined;
    await world.untilSomebodyActs(PERIOD_MS + SOON_MS);
  });
});

describe('the fence', () => {
  test('is open for the leader and closed for a standby', async () => {
    const [leader, standby] = await leaderAndStandby();
    expect([may(leader, 'lead'), may(leader, 'claim')]).toEqual([true, true]);
    expect([may(standby, 'lead'), may(standby, 'claim')]).toEqual([false, false]);
    expect(leader.elector.whenChanged()).toBeUndefined();
    expect(standby.elector.whenChanged()).toBeInstanceOf(Promise);
  });

  test('is closed for the first thing that a leader tries after it slept, also when the date was set back', async () => {
    const [leader, standby] = await leaderAndStandby();
    leader.sleep();
    await world.pass(30_000);
    expect(world.acting()).toEqual([standby.identity]);
    leader.dateOffsetMs = -3_600_000;
    leader.wake();
    expect([may(leader, 'lead'), may(leader, 'claim')]).toEqual([false, false]);
    await world.pass(SOON_MS);
    expect(leader.told).toContain('lost');
  });

  test('counts from when a renewal was sent, not from when its answer was read', async () => {
    const leader = await aLeader();
    world.requests.splice(0);
    while (world.requests.length === 0) await world.pass(1, 1);
    // The renewal is on its way; it will be confirmed while the process sleeps.
    leader.sleep();
    await world.pass(DEADLINE_MS + 500);
    leader.wake();
    await world.time.settle();
    expect(may(leader, 'lead')).toBe(false);
  });

  test('lets what waits for it go on when the Lease is renewed after all', async () => {
    const leader = await aLeader();
    leader.isCutOff = true;
    await world.pass(20_000);
    let isOpen = false;
    void leader.elector.whenChanged()?.then(() => {
      isOpen = true;
    });
    await world.pass(5_000);
    expect(isOpen).toBe(false);
    leader.isCutOff = false;
    await world.untilSomebodyActs(20_000);
    await world.time.settle();
    expect(isOpen).toBe(true);
  });
});

describe('a hand-over', () => {
  test('closes the fence before the Lease is free, and the next one acts after a few round trips', async () => {
    const [leader, standby] = await leaderAndStandby();
    let actedAtRelease: boolean | undefined;
    world.kube.watch(() => {
      if (world.holder() === '') actedAtRelease ??= leader.acts();
    });
    const handedOver = leader.elector.handOver(0);
    expect(may(leader, 'lead')).toBe(false);
    expect(await world.untilSomebodyActs(SOON_MS)).toBeLessThan(SOON_MS);
    await handedOver;
    expect(actedAtRelease).toBe(false);
    expect(world.acting()).toEqual([standby.identity]);
  });

  test('leaves the right to claim what was received, for a while', async () => {
    const leader = await aLeader();
    void leader.elector.handOver(40_000);
    expect([may(leader, 'lead'), may(leader, 'claim')]).toEqual([false, true]);
    expect(leader.elector.whenChanged()).toBeUndefined();
    await world.pass(39_000);
    expect(may(leader, 'claim')).toBe(true);
    await world.pass(1_001);
    expect(may(leader, 'claim')).toBe(false);
  });

  test.each([
    ['a standby', async () => (await leaderAndStandby())[1]],
    [
      'a fenced leader',
      async () => {
        const leader = await aLeader();
        leader.isCutOff = true;
        await world.pass(10_000);
        return leader;
      },
    ],
  ])('by %s gives no such right', async (_, someone) => {
    const candidate = await someone();
    const handedOver = candidate.elector.handOver(40_000);
    expect(may(candidate, 'claim')).toBe(false);
    await world.pass(10_000);
    await handedOver;
  });

  test('in the middle of a renewal waits for its answer, which names the Lease to release', async () => {
    const leader = await aLeader();
    world.requests.splice(0);
    while (world.requests.length === 0) await world.pass(1, 1);
    void leader.elector.handOver(0);
    await world.pass(SOON_MS);
    expect(world.holder()).toBe('');
  });

  test('without an answer ends all the same', async () => {
    const leader = await aLeader();
    leader.isCutOff = true;
    let isOver = false;
    void leader.elector.handOver(0).then(() => {
      isOver = true;
    });
    await world.pass(DEADLINE_MS);
    expect(isOver).toBe(true);
  });
});
