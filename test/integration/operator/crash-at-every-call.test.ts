import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { Campaign } from '../../crash/campaign.ts';
import { LONE_RETRY, LONE_SUCCESS } from '../../crash/script.ts';

let campaign: Campaign;
jest.setTimeout(20 * 60_000);

beforeAll(async () => {
  campaign = await Campaign.prepare();
}, 60_000);

afterAll(async () => {
  await campaign.clear();
});

test.each([LONE_SUCCESS, LONE_RETRY])(
  '$name: an operator killed at any of its calls is made up for by the next',
  async (script) => {
    const { failures } = await campaign.run(script);

    expect(failures).toEqual([]);
  },
);
