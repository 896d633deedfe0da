import { expect, test } from '@jest/globals';
import { ALL_FEATURES } from './subject.ts';
import { endpointSubject } from './subjects/endpoint.ts';
import { conformanceSuite } from './suite.ts';

/** Runs only when asked for (see jest.config.ts): it makes queues in the account that the environment's credentials are for. */
const region = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'];

if (region === undefined) {
  test('AWS_REGION says where the queues are made', () => expect(region).toBeDefined());
} else {
  conformanceSuite({
    name: 'aws',
    features: ALL_FEATURES,
    timeoutMs: 600_000,
    start: async () =>
      endpointSubject({ name: 'aws', endpoint: undefined, region, patienceMs: 120_000, settleMs: 1_500 }),
  });
}
