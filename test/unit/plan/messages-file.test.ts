import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  buildBodilessFile,
  buildMessagesFile,
  recordBytes,
  traceparentOf,
} from '../../../operator/plan/messages-file.ts';
import { aMessage } from '../../support/builders.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('buildMessagesFile', () => {
  test('has one record per message, named as in the SQS event of Lambda', () => {
    const message = aMessage({
      id: 'id-1',
      body: 'ü "quoted"',
      attributes: { SentTimestamp: '1', MessageGroupId: 'g' },
      messageAttributes: { kind: { dataType: 'String', stringValue: 'csv' } },
    });
    expect(JSON.parse(buildMessagesFile([message, aMessage({ id: 'id-2' })], 3))).toEqual([
      {
        messageId: 'id-1',
        body: 'ü "quoted"',
        attributes: { SentTimestamp: '1', MessageGroupId: 'g' },
        messageAttributes: { kind: { dataType: 'String', stringValue: 'csv' } },
        attempt: 3,
      },
      expect.objectContaining({ messageId: 'id-2', attempt: 3 }),
    ]);
  });

  test('never holds the receipt handle, whatever it is', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string(), (receiptHandle, body) => {
        expect(buildMessagesFile([aMessage({ receiptHandle, body })], 1)).not.toContain(receiptHandle);
      }),
    );
  });

  test('gives every body back as it came', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (body) => {
        expect(JSON.parse(buildMessagesFile([aMessage({ body })], 1))).toMatchObject([{ body }]);
      }),
    );
  });
});

test('a record counts in bytes what it adds to the file', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 5 }), (bodies) => {
      const messages = bodies.map((body) => aMessage({ body }));
      const bytes = messages.reduce((sum, message) => sum + recordBytes(message, 1), 1);
      expect(Buffer.byteLength(buildMessagesFile(messages, 1))).toBe(bytes);
    }),
  );
});

test('a body in a file of its own is named instead of told', () => {
  expect(JSON.parse(buildBodilessFile(aMessage({ id: 'id-1', body: 'large' }), 2))).toEqual([
    expect.objectContaining({ messageId: 'id-1', attempt: 2, bodyFile: '/var/run/batchqueue/body' }),
  ]);
  expect(buildBodilessFile(aMessage({ body: 'large' }), 2)).not.toContain('large');
});

describe('traceparentOf', () => {
  test.each([
    ['is taken when well formed', TRACEPARENT, TRACEPARENT],
    ['is not taken in capitals', TRACEPARENT.toUpperCase(), undefined],
    ['is not taken with a line break after it', `${TRACEPARENT}\n`, undefined],
    ['is not taken with something in front', `x${TRACEPARENT}`, undefined],
    ['is not taken when the kubelet would expand it', '$(HOME)', undefined],
    ['is not taken when empty', '', undefined],
    ['is not taken when of a future version', TRACEPARENT.replace('00', '01'), undefined],
  ])('%s', (_, stringValue, expected) => {
    const messageAttributes = { traceparent: { dataType: 'String', stringValue } };
    expect(traceparentOf(aMessage({ messageAttributes }))).toBe(expected);
  });

  test('is absent when the producer sent none', () => {
    expect(traceparentOf(aMessage())).toBeUndefined();
  });
});
