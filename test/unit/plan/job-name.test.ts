import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { base32, jobName } from '../../../operator/plan/job-name.ts';
import { MESSAGE_ID, QUEUE } from '../../support/builders.ts';

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** Every legal name of a BatchQueue. */
const queueName = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$/);

type Parts = readonly [batchQueueName: string, queueArn: string, messageId: string, lock: number];

function nameOf(...[batchQueueName, queueArn, messageId, lock]: Parts): string {
  return jobName({ batchQueueName, queueArn, messageId, lock, run: 1 });
}

describe('jobName', () => {
  // The name is the lock. A release that changes these values starts messages of its predecessor a second time.
  test.each([
    ['orders', QUEUE.arn, 1, 'orders-fnbsjh8s881p3lk5'],
    ['orders', QUEUE.arn, 2, 'orders-l8vpsvvpqo7hav44'],
    ['nightly', QUEUE.arn, 1, 'nightly-fnbsjh8s881p3lk5'],
    ['orders', 'arn:aws:sqs:eu-west-1:123456789012:orders', 1, 'orders-vgleuvkfrds8rm1h'],
    [`${'a'.repeat(41)}-bcdefghij`, QUEUE.arn, 1, `${'a'.repeat(41)}-fnbsjh8s881p3lk5`],
  ])('of %s, %s, number %i is what it has always been', (name, arn, lock, expected) => {
    expect(nameOf(name, arn, MESSAGE_ID, lock)).toBe(expected);
  });

  test('is a DNS label with room for the suffix of a repeated run, for every legal queue name', () => {
    fc.assert(
      fc.property(queueName, fc.string(), fc.string(), fc.nat(), (name, arn, id, lock) => {
        const job = nameOf(name, arn, id, lock);
        expect(job).toMatch(DNS_LABEL);
        const identity = { batchQueueName: name, queueArn: arn, messageId: id, lock };
        expect(jobName({ ...identity, run: 99 })).toBe(`${job}-r99`);
        expect(`${job}-r99`.length).toBeLessThanOrEqual(63);
      }),
    );
  });

  test('differs when message, number or queue differ, also where their texts run together', () => {
    const names = [
      nameOf('orders', 'arn', 'a', 1),
      nameOf('orders', 'arn', 'a', 11),
      nameOf('orders', 'arn', 'a1', 1),
      nameOf('orders', 'arna', '', 1),
      nameOf('orders', 'arn"', 'a', 1),
      nameOf('orders', 'arn', '"a', 1),
    ];
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('base32', () => {
  test.each([
    [[], ''],
    [[0], '00'],
    [[255], 'vs'],
    [[1, 2, 3, 4, 5], '04106105'],
  ])('of %j is what RFC 4648 says', (bytes, expected) => {
    expect(base32(Uint8Array.from(bytes))).toBe(expected);
  });

  test('loses nothing: different bytes have different texts', () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 12 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        fc.pre(Buffer.compare(a, b) !== 0);
        expect(base32(a)).not.toBe(base32(b));
      }),
    );
  });
});
