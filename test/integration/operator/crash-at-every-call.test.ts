import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { Campaign } from '../../crash/campaign.ts';
import {
  BATCH,
  FIFO,
  INDEXED,
  LONE_FORGOTTEN,
  LONE_LONG,
  LONE_RETRY,
  LONE_SUCCESS,
  SECRET,
} from '../../crash/script.ts';
import type { CrashPoint } from '../../faults/call-sequence.ts';

/** `npm run test:crash` sets it: every call of every script. */
const isWhole = process.env['BATCHQUEUE_CRASH'] === 'all';

/** What a sample keeps of a script: the calls that change what is owed, done and not answered. */
const SAMPLED =
  /^(create jobs|patch jobs|delete jobs|create secrets|patch secrets|DeleteMessageBatch|ChangeMessageVisibilityBatch.*)$/;

let campaign: Campaign;
jest.setTimeout(60 * 60_000);

beforeAll(async () => {
  campaign = await Campaign.prepare();
}, 120_000);

afterAll(async () => {
  await campaign.clear();
});

test.concurrent.each([LONE_SUCCESS, LONE_RETRY])(
  'killed at any call with $name, the operator is made up for by the next',
  async (script) => {
    const { failures, notReached, cases } = await campaign.run(script);

    expect(failures).toEqual([]);
    expect(notReached.length).toBeLessThan(cases / 4);
  },
);

test.concurrent.each([BATCH, INDEXED, FIFO, SECRET, LONE_FORGOTTEN, LONE_LONG])(
  `killed at ${isWhole ? 'any call' : 'calls of a sample'} with $name, the operator is made up for by the next`,
  async (script) => {
    const picks = ({ kind, place }: CrashPoint) => isWhole || (place === 'committed' && SAMPLED.test(kind));

    const { failures, notReached, cases } = await campaign.run(script, picks);

    expect(failures).toEqual([]);
    expect(notReached.length).toBeLessThan(cases / 4);
  },
);
