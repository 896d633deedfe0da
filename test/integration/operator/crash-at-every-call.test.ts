import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { Campaign, textOf } from '../../crash/campaign.ts';
import {
  BATCH,
  FIFO,
  INDEXED,
  LONE_ELECTED,
  LONE_FORGOTTEN,
  LONE_LONG,
  LONE_RETRY,
  LONE_SUCCESS,
  SECRET,
} from '../../crash/script.ts';
import type { CrashPoint } from '../../faults/call-sequence.ts';
import type { KubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { FaultStage, whenEachRanOnce } from '../../support/fault-stage.ts';
import { ledgerOf } from '../../support/queue-case.ts';

/** `npm run test:crash` sets it: `all`, or the one crash point that is to be played (`committed patch jobs #1`). */
const wanted = process.env['BATCHQUEUE_CRASH'];
const isWhole = wanted !== undefined;

function isPlayed(point: CrashPoint): boolean {
  return wanted === undefined || wanted === 'all' || wanted === textOf(point);
}

/** What a sample keeps of a script: the calls that change what is owed, done and not answered. */
function isSampled({ kind, place }: CrashPoint): boolean {
  return (
    place === 'committed' &&
    /^(create|patch|update|delete) (jobs|secrets|leases)$|^DeleteMessageBatch$|^ChangeMessageVisibilityBatch/.test(
      kind,
    )
  );
}

/** A watch that nothing comes from is given up after two minutes, two visibility timeouts of this file's; this leaves time. */
const SILENCE_ENDS_WITHIN_MS = 240_000;

let campaign: Campaign;
let faults: FaultStage;
jest.setTimeout(60 * 60_000);

beforeAll(async () => {
  campaign = await Campaign.prepare();
  faults = await FaultStage.set();
}, 120_000);

afterAll(async () => {
  await campaign.clear();
  await faults.clear();
});

// These wait for two minutes with next to nothing to do: beside the others they cost no time.
test.concurrent.each<[string, (kubernetes: KubernetesProxy) => void]>([
  [
    'watches fall silent',
    (kubernetes) =>
      kubernetes.inject({ match: { verb: 'watch' }, fault: { kind: 'silence-watch' } }).remove(),
  ],
  ['connections die without a word', (kubernetes) => kubernetes.freezeConnections()],
])('when its %s, the operator keeps its lease, and notices what it has missed', async (what, strike) => {
  const { queue, kubernetes, past, operator } = await faults.begin(`silence-${what.length}`, {
    queue: { visibilityTimeoutSeconds: 60 },
  });
  const id = await queue.send('ends in silence');
  const job = await queue.jobOf(id);
  strike(kubernetes);
  await queue.succeed(job);

  expect(await operator.health('/healthz')).toBe(200);
  await whenEachRanOnce({ queue, past }, [id], SILENCE_ENDS_WITHIN_MS);
  expect(ledgerOf(await queue.jobOf(id)).messages).toMatchObject([{ receiveCount: 1 }]);
});

test.concurrent.each([LONE_SUCCESS, LONE_RETRY])(
  'killed at any call with $name, the operator is made up for by the next',
  async (script) => {
    const { failures, notReached, cases } = await campaign.run(script, isPlayed);

    expect(failures).toEqual([]);
    expect(notReached.length).toBeLessThanOrEqual(cases / 4);
  },
);

test.concurrent.each([BATCH, INDEXED, FIFO, SECRET, LONE_FORGOTTEN, LONE_LONG, LONE_ELECTED])(
  `killed at ${isWhole ? 'any call' : 'calls of a sample'} with $name, the operator is made up for by the next`,
  async (script) => {
    const { failures, notReached, cases } = await campaign.run(
      script,
      (point) => isPlayed(point) && (isWhole || isSampled(point)),
    );

    expect(failures).toEqual([]);
    expect(notReached.length).toBeLessThanOrEqual(cases / 4);
  },
);
