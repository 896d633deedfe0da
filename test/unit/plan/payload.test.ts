import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { z } from 'zod';
import { buildJob } from '../../../operator/plan/job.ts';
import { ledgerOf } from '../../../operator/plan/ledger.ts';
import { MAX_BATCH_BYTES, MAX_INLINE_BYTES, MAX_SECRET_BYTES } from '../../../operator/plan/messages-file.ts';
import { payloadOf, planPayload } from '../../../operator/plan/payload.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { aMessage, aQueue, aRevision, messageId } from '../../support/builders.ts';

const secretSchema = z.looseObject({ immutable: z.literal(true), data: z.record(z.string(), z.string()) });

function plan(...bodies: string[]) {
  const messages = bodies.map((body, index) => aMessage({ id: messageId(index), body }));
  return planPayload(aQueue(), messages, 1, 'job-name');
}

/** The files of a Secret, decoded. */
function filesOf(secret: KubeObject | undefined): Record<string, string> {
  const { data } = secretSchema.parse(secret);
  return Object.fromEntries(
    Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]),
  );
}

/** What a body may be so that the messages file has exactly this many bytes. */
function bodyFor(fileBytes: number): string {
  const empty = plan('')?.payload.inline ?? '';
  return 'a'.repeat(fileBytes - empty.length);
}

describe('messages travel', () => {
  test('in the pod template up to 32 KiB, and then in a Secret named like the Job', () => {
    expect(plan(bodyFor(MAX_INLINE_BYTES))).toMatchObject({ payload: { secrets: [] }, secrets: [] });
    const body = bodyFor(MAX_INLINE_BYTES + 1);
    const planned = plan(body);
    expect(planned?.payload).toEqual({
      inline: undefined,
      secrets: [{ secretName: 'job-name', file: 'messages.json' }],
    });
    expect(planned?.secrets).toMatchObject([
      {
        metadata: {
          name: 'job-name',
          namespace: 'shop',
          labels: { 'batchqueue.io/queue': 'orders' },
          ownerReferences: [{ kind: 'BatchQueue', uid: 'queue-uid' }],
        },
      },
    ]);
    expect(JSON.parse(filesOf(planned?.secrets[0])['messages.json'] ?? '')).toMatchObject([{ body }]);
  });

  test('with the raw body in a Secret of its own when one message does not fit', () => {
    const body = 'ü'.repeat(MAX_SECRET_BYTES / 2);
    const planned = plan(body);
    expect(planned?.payload.secrets).toEqual([{ secretName: 'job-name-body', file: 'body' }]);
    expect(filesOf(planned?.secrets[0])['body']).toBe(body);
    expect(JSON.parse(planned?.payload.inline ?? '')).toMatchObject([
      { bodyFile: '/var/run/batchqueue/body' },
    ]);
  });

  test('with attributes and body in two Secrets when both are large', () => {
    const messageAttributes = { large: { dataType: 'String', stringValue: 'b'.repeat(MAX_INLINE_BYTES) } };
    const message = aMessage({ body: 'a'.repeat(MAX_BATCH_BYTES), messageAttributes });
    const planned = planPayload(aQueue(), [message], 1, 'job-name');
    expect(planned?.payload.secrets.map(({ file }) => file)).toEqual(['messages.json', 'body']);
  });

  test.each([
    ['one message above what a Secret holds', ['a'.repeat(MAX_SECRET_BYTES + 1)]],
    ['several that are too large together', ['a'.repeat(MAX_BATCH_BYTES), 'b']],
  ])('not at all: %s', (_, bodies) => {
    expect(plan(...bodies)).toBeUndefined();
  });
});

test('how they travel can be read back from the Job', () => {
  const size = fc.constantFrom(1, MAX_INLINE_BYTES, MAX_BATCH_BYTES + 1);
  fc.assert(
    fc.property(size, size, (body, attribute) => {
      const messageAttributes = {
        note: { dataType: 'String', stringValue: 'n'.repeat(Math.min(attribute, 40_000)) },
      };
      const message = aMessage({ body: 'a'.repeat(body), messageAttributes });
      const planned = planPayload(aQueue(), [message], 1, 'job-name');
      if (!planned) throw new Error('it fits');
      const job = buildJob({
        queue: aQueue({
          pod: { volumes: [{ name: 'own', projected: { sources: [{ secret: { name: 'mine' } }] } }] },
        }),
        revision: aRevision(),
        ledger: ledgerOf([message], { attempt: 1, visibilityTimeoutSeconds: 300 }),
        payload: planned.payload,
        traceparent: undefined,
      });
      expect(payloadOf(job)).toEqual(planned.payload);
    }),
    { numRuns: 20 },
  );
});

test('a Job that somebody took the messages from tells of no payload', () => {
  expect(payloadOf({ metadata: { name: 'job' }, spec: { template: { spec: {} } } })).toBeUndefined();
  expect(payloadOf({ metadata: { name: 'job' } })).toBeUndefined();
});
