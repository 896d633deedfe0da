import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ANNOTATION_LEDGER } from '../../../operator/api/names.ts';
import { formatLedger, parseLedger } from '../../../operator/plan/ledger.ts';
import { aJob, QUEUE } from '../../support/builders.ts';

const text = fc.string({ minLength: 1 });
const count = fc.nat();
const ledger = fc.record({
  queue: fc.record({
    url: text,
    arn: text,
    serviceAccountName: text,
    namespace: fc.constant(QUEUE.namespace),
  }),
  attempt: count,
  run: fc.integer({ min: 1 }),
  visibilityTimeoutSeconds: count,
  messages: fc.array(
    fc.record({ id: text, receiptHandle: text, receiveCount: count, sentAtMs: count, receivedAtMs: count }),
    { minLength: 1 },
  ),
});

function jobWith(annotation: string) {
  return aJob({ annotations: { [ANNOTATION_LEDGER]: annotation } });
}

describe('a ledger', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(ledger, (written) => {
        expect(parseLedger(jobWith(formatLedger(written)))).toEqual(written);
      }),
    );
  });

  test('is in the namespace of its Job, whatever the annotation says', () => {
    const message = { id: 'a', receiptHandle: 'r', receiveCount: 1, sentAtMs: 1, receivedAtMs: 1 };
    const queue = { url: 'u', arn: 'a', serviceAccountName: 'poller', namespace: 'kube-system' };
    const annotation = JSON.stringify({
      queue,
      attempt: 1,
      visibilityTimeoutSeconds: 1,
      messages: [message],
    });
    const read = parseLedger(jobWith(annotation));
    expect(read?.queue).toEqual({ ...queue, namespace: QUEUE.namespace });
    expect(read && formatLedger(read)).not.toContain('namespace');
  });

  const valid = { url: 'u', arn: 'a' };
  test.each([
    ['is no JSON', 'once upon a time'],
    [
      'settles a message that it does not have',
      JSON.stringify({
        queue: valid,
        attempt: 1,
        visibilityTimeoutSeconds: 1,
        messages: [{ id: 'a', receiptHandle: 'r', receiveCount: 1, sentAtMs: 1, receivedAtMs: 1 }],
        deleted: '0-1',
      }),
    ],
    ['is empty', ''],
    ['is null', 'null'],
    [
      'has no messages',
      JSON.stringify({ queue: valid, attempt: 1, visibilityTimeoutSeconds: 1, messages: [] }),
    ],
    [
      'has a message without a receipt handle',
      JSON.stringify({
        queue: valid,
        attempt: 1,
        visibilityTimeoutSeconds: 1,
        messages: [{ id: 'a', receiveCount: 1, sentAtMs: 1, receivedAtMs: 1 }],
      }),
    ],
    [
      'has an attempt that is no count',
      JSON.stringify({
        queue: valid,
        attempt: -1,
        visibilityTimeoutSeconds: 1,
        messages: [{ id: 'a', receiptHandle: 'r', receiveCount: 1, sentAtMs: 1, receivedAtMs: 1 }],
      }),
    ],
  ])('is not relied on when it %s', (_, annotation) => {
    expect(parseLedger(jobWith(annotation))).toBeUndefined();
  });

  test('is whatever anybody wrote, and reading it never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (annotation) => {
        expect(() => parseLedger(jobWith(annotation))).not.toThrow();
      }),
    );
  });
});
