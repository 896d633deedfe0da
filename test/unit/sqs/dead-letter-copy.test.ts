import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { MessageAttribute } from '../../../operator/plan/message.ts';
import { batchesOf, type PreparedCopy, prepareCopy } from '../../../operator/sqs/dead-letter-copy.ts';
import type { DeadLetterCopy } from '../../../operator/world.ts';
import { DEAD_LETTER_ARN, MESSAGE_ID, QUEUE } from '../../support/builders.ts';

const ROUTE = { sourceArn: QUEUE.arn, deadLetterArn: DEAD_LETTER_ARN };
const FIFO_ROUTE = { sourceArn: `${QUEUE.arn}.fifo`, deadLetterArn: `${DEAD_LETTER_ARN}.fifo` };
const MIB = 1_048_576;
const NOTES = ['BatchQueueReason', 'BatchQueueSourceMessageId', 'BatchQueueSourceArn', 'BatchQueueJob'];

function aCopy(parts: Partial<DeadLetterCopy> = {}): DeadLetterCopy {
  return {
    id: MESSAGE_ID,
    body: 'body',
    attributes: {},
    messageAttributes: {},
    reason: 'EX_DATAERR: no such column',
    job: 'orders-abc',
    ...parts,
  };
}

function attributes(count: number): Record<string, MessageAttribute> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`own${index}`, { dataType: 'String', stringValue: 'x' }]),
  );
}

function namesOf(copy: PreparedCopy): string[] {
  return Object.keys(copy.entry.MessageAttributes ?? {});
}

test('a copy carries the message and says why, from where and by which Job it was rejected', () => {
  const binaryValue = Buffer.from([0, 255, 7]).toString('base64');
  const { entry } = prepareCopy(
    aCopy({
      messageAttributes: {
        tenant: { dataType: 'String.id', stringValue: 'blue' },
        size: { dataType: 'Number', stringValue: '7' },
        digest: { dataType: 'Binary', binaryValue },
      },
      attributes: { AWSTraceHeader: 'Root=1-5759e988-bd862e3fe1be46a994272793', SentTimestamp: '1' },
    }),
    ROUTE,
  );
  expect(entry).toEqual({
    MessageBody: 'body',
    MessageAttributes: {
      tenant: { DataType: 'String.id', StringValue: 'blue' },
      size: { DataType: 'Number', StringValue: '7' },
      digest: { DataType: 'Binary', BinaryValue: Buffer.from([0, 255, 7]) },
      BatchQueueReason: { DataType: 'String', StringValue: 'EX_DATAERR: no such column' },
      BatchQueueSourceMessageId: { DataType: 'String', StringValue: MESSAGE_ID },
      BatchQueueSourceArn: { DataType: 'String', StringValue: QUEUE.arn },
      BatchQueueJob: { DataType: 'String', StringValue: 'orders-abc' },
    },
    MessageSystemAttributes: {
      AWSTraceHeader: { DataType: 'String', StringValue: 'Root=1-5759e988-bd862e3fe1be46a994272793' },
    },
  });
});

describe('message group and deduplication id', () => {
  test('of a FIFO queue are the group it had and the id it had, as in a redrive', () => {
    const copy = aCopy({ attributes: { MessageGroupId: 'blue', MessageDeduplicationId: 'producer' } });
    expect(prepareCopy(copy, FIFO_ROUTE).entry).toMatchObject({
      MessageGroupId: 'blue',
      MessageDeduplicationId: MESSAGE_ID,
    });
  });

  test('of a fair standard queue: the group stays', () => {
    const { entry } = prepareCopy(aCopy({ attributes: { MessageGroupId: 'blue' } }), ROUTE);
    expect(entry).toMatchObject({ MessageGroupId: 'blue' });
    expect(entry).not.toHaveProperty('MessageDeduplicationId');
  });

  test('of a standard queue: none', () => {
    expect(prepareCopy(aCopy(), ROUTE).entry).not.toHaveProperty('MessageGroupId');
  });
});

describe('what is told of the rejection', () => {
  test.each([
    [6, 4],
    [7, 3],
    [8, 2],
    [9, 1],
    [10, 0],
  ])('beside %d attributes of the message are the %d that matter most', (own, notes) => {
    const copy = prepareCopy(aCopy({ messageAttributes: attributes(own) }), ROUTE);
    expect(namesOf(copy)).toEqual([...Object.keys(attributes(own)), ...NOTES.slice(0, notes)]);
  });

  test('takes the place of what an earlier copy said', () => {
    const before = Object.fromEntries(
      NOTES.map((name) => [name, { dataType: 'String', stringValue: 'before' }]),
    );
    const { entry } = prepareCopy(aCopy({ messageAttributes: { ...attributes(6), ...before } }), ROUTE);
    expect(entry.MessageAttributes?.['BatchQueueReason']?.StringValue).toBe('EX_DATAERR: no such column');
    expect(Object.keys(entry.MessageAttributes ?? {})).toHaveLength(10);
  });

  test('leaves a message of exactly one mebibyte as it is', () => {
    const copy = prepareCopy(aCopy({ body: 'x'.repeat(MIB) }), ROUTE);
    expect(namesOf(copy)).toEqual([]);
    expect(copy.bytes).toBe(MIB);
  });

  test('is as much as fits beside a body that nearly fills the message', () => {
    const room = 'BatchQueueSourceMessageId'.length + 'String'.length + MESSAGE_ID.length;
    const reason = 'r'.repeat(500);
    const copy = prepareCopy(aCopy({ body: 'x'.repeat(MIB - room), reason }), ROUTE);
    expect(namesOf(copy)).toEqual(['BatchQueueSourceMessageId']);
    expect(copy.bytes).toBe(MIB);
  });

  test('holds nothing that SQS refuses', () => {
    const reason = `a\u0000b\u001Bc\uD800d\uFFFEe\t\n${'f'.repeat(2_000)}`;
    const { entry } = prepareCopy(aCopy({ reason }), ROUTE);
    const told = entry.MessageAttributes?.['BatchQueueReason']?.StringValue ?? '';
    expect(told).toMatch(/^a\uFFFDb\uFFFDc\uFFFDd\uFFFDe\t\nf+$/);
    expect(told).toHaveLength(1_024);
  });

  test('has no empty attribute', () => {
    expect(namesOf(prepareCopy(aCopy({ reason: '', job: '' }), ROUTE))).toEqual(NOTES.slice(1, 3));
  });
});

test('the size of a copy counts names, types and values in bytes', () => {
  const messageAttributes = {
    é: { dataType: 'String', stringValue: 'ü' },
    b: { dataType: 'Binary', binaryValue: Buffer.alloc(10).toString('base64') },
  };
  const bare = prepareCopy(aCopy({ body: '' }), ROUTE).bytes;
  const { bytes } = prepareCopy(aCopy({ body: '€', messageAttributes }), ROUTE);
  expect(bytes - bare).toBe(3 + (2 + 6 + 2) + (1 + 6 + 10));
});

describe('batches', () => {
  const copies = fc
    .array(fc.integer({ min: 1, max: MIB }), { maxLength: 60 })
    .map((sizes) =>
      sizes.map((bytes, index): PreparedCopy => ({ id: String(index), bytes, entry: { MessageBody: '' } })),
    );

  test('hold every copy once, in order, at most ten of them and at most one mebibyte', () => {
    fc.assert(
      fc.property(copies, (all) => {
        const batches = batchesOf(all);
        expect(batches.flat()).toEqual(all);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(batch.length).toBeLessThanOrEqual(10);
          expect(batch.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(MIB);
        }
      }),
    );
  });

  test('are as few as order allows', () => {
    fc.assert(
      fc.property(copies, (all) => {
        for (const [index, batch] of batchesOf(all).entries()) {
          const next = batchesOf(all)[index + 1]?.[0];
          if (!next || batch.length === 10) continue;
          expect(batch.reduce((sum, { bytes }) => sum + bytes, next.bytes)).toBeGreaterThan(MIB);
        }
      }),
    );
  });

  test('of a copy that is too large is the copy alone, for SQS to refuse', () => {
    const large = { id: 'l', bytes: MIB + 1, entry: { MessageBody: '' } };
    const small = { id: 's', bytes: 1, entry: { MessageBody: '' } };
    expect(batchesOf([small, large, small])).toEqual([[small], [large], [small]]);
  });
});
