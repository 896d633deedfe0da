import { deadLetterUrl } from '../../../operator/api/queue-url.ts';
import type { Message, QueueRef } from '../../../operator/plan/message.ts';
import type { DeadLetterCopy } from '../../../operator/world.ts';
import type { Case } from '../case.ts';
import { bodiesOf, entryOf, fates, type Stage } from '../stage.ts';

const NEEDS = ['dead letters'] as const;
const KIB = 1_024;

export const DEAD_LETTERS: readonly Case[] = [
  {
    name: 'a message moves to the dead-letter queue at the receive after the last one it has',
    needs: NEEDS,
    aws: { received: 2, letters: 1, dead: ['body'] },
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(2);
      await stage.send(queue, 'body');
      let received = 0;
      for (;;) {
        const [message] = await stage.receive(queue, { waitSeconds: 2 });
        if (!message) break;
        received += 1;
        await stage.port.changeVisibility(queue, [entryOf(message)], 0);
      }
      const letters = await stage.eventually(
        async () => {
          const url = deadLetterUrl(queue.url, dead.arn);
          return (await stage.port.describe({ ...queue, url })).visible;
        },
        (visible) => visible === 1,
      );
      return { received, letters, dead: bodiesOf(await stage.receive(dead)) };
    },
  },
  {
    name: 'a message in the dead-letter queue keeps its id and its count and tells where it comes from',
    needs: NEEDS,
    aws: { sameId: true, receiveCount: 2, source: true, attribute: 'blue' },
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(1);
      const messageAttributes = { tenant: { dataType: 'String', stringValue: 'blue' } };
      const id = await stage.send(queue, { body: 'body', messageAttributes });
      const letter = await intoDeadLetters(stage, queue, dead);
      return {
        sameId: letter.id === id,
        receiveCount: letter.receiveCount,
        source: letter.attributes['DeadLetterQueueSourceArn'] === queue.arn,
        attribute: letter.messageAttributes['tenant']?.stringValue,
      };
    },
  },
  {
    name: 'FIFO: a message in the dead-letter queue keeps its group, and its id is its deduplication id',
    needs: ['dead letters', 'FIFO'],
    aws: { group: 'a', deduplicationIdIsId: true },
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(1, { fifo: true });
      await stage.sendGroup(queue, 'a', ['1']);
      const { id, attributes } = await intoDeadLetters(stage, queue, dead);
      const deduplicationIdIsId = attributes['MessageDeduplicationId'] === id;
      return { group: attributes['MessageGroupId'], deduplicationIdIsId };
    },
  },
  {
    name: 'attributes tell the dead-letter queue, its limit, the retention and the type',
    needs: ['dead letters', 'FIFO'],
    aws: [
      { deadLetter: true, maxReceiveCount: 7, retentionSeconds: 7_200, fifo: false, encrypted: false },
      {
        deadLetter: false,
        maxReceiveCount: undefined,
        retentionSeconds: 345_600,
        fifo: true,
        encrypted: false,
      },
    ],
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(7, { retentionSeconds: 7_200 });
      const seen = [];
      for (const asked of [queue, await stage.fifo()]) {
        const { deadLetterArn, kmsKeyId, ...rest } = await stage.port.describe(asked);
        const { maxReceiveCount, retentionSeconds, fifo } = rest;
        if (rest.arn !== asked.arn) throw new Error(`${rest.arn} is not ${asked.arn}`);
        const deadLetter = deadLetterArn === dead.arn;
        seen.push({ deadLetter, maxReceiveCount, retentionSeconds, fifo, encrypted: kmsKeyId !== undefined });
      }
      return seen;
    },
  },
  {
    name: 'a copy of a rejected message is stored with its attributes and the reason',
    needs: ['dead letters', 'attributes'],
    aws: {
      stored: ['done'],
      body: 'body',
      attributes: [
        'BatchQueueJob',
        'BatchQueueReason',
        'BatchQueueSourceArn',
        'BatchQueueSourceMessageId',
        'data',
      ],
      binary: 'AP8Q',
      reason: 'EX_DATAERR: not a number',
      sourceId: true,
    },
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(5);
      const messageAttributes = { data: { dataType: 'Binary', binaryValue: 'AP8Q' } };
      await stage.send(queue, { body: 'body', messageAttributes });
      const message = await stage.take(queue);
      const stored = await fates(stage.port.sendToDeadLetter(queue, dead.arn, [copyOf(message)]));
      const letter = await stage.take(dead);
      return {
        stored,
        body: letter.body,
        attributes: Object.keys(letter.messageAttributes).toSorted((a, b) => a.localeCompare(b)),
        binary: letter.messageAttributes['data']?.binaryValue,
        reason: letter.messageAttributes['BatchQueueReason']?.stringValue,
        sourceId: letter.messageAttributes['BatchQueueSourceMessageId']?.stringValue === message.id,
      };
    },
  },
  {
    name: 'copies that are too many or too large for one batch are stored all the same',
    needs: ['dead letters', 'limits'],
    aws: { stored: Array<string>(13).fill('done'), letters: 13 },
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(5);
      const large = [1, 2].map((id) => rejected(`large ${id}`, 'x'.repeat(700 * KIB)));
      const small = Array.from({ length: 11 }, (_, id) => rejected(`small ${id}`, 'x'));
      const stored = await fates(stage.port.sendToDeadLetter(queue, dead.arn, [...large, ...small]));
      return { stored, letters: (await stage.gather(dead, 14)).length };
    },
  },
  {
    name: 'a copy that the dead-letter queue cannot hold fails alone',
    needs: ['dead letters', 'limits'],
    aws: { stored: ['done', 'DeadLetterRefused (terminal)', 'done'], letters: 2 },
    observe: async (stage) => {
      const dead = await stage.queue({ maximumMessageSize: 2_048 });
      const queue = await stage.queue({ redrive: { deadLetterArn: dead.arn, maxReceiveCount: 5 } });
      const copies = [rejected('a', 'x'), rejected('b', 'x'.repeat(4_096)), rejected('c', 'x')];
      const stored = await fates(stage.port.sendToDeadLetter(queue, dead.arn, copies));
      return { stored, letters: (await stage.gather(dead, 3)).length };
    },
  },
  {
    name: 'FIFO: a copy keeps its group, and a second one within five minutes is not stored',
    needs: ['dead letters', 'FIFO'],
    aws: { stored: ['done', 'done', 'done'], letters: ['a 1', 'b x'], deduplicationIds: ['id-1', 'id-x'] },
    observe: async (stage) => {
      const { queue, dead } = await stage.withDeadLetters(5, { fifo: true });
      const first = rejected('id-1', '1', { MessageGroupId: 'a' });
      const other = rejected('id-x', 'x', { MessageGroupId: 'b' });
      const stored = [
        ...(await fates(stage.port.sendToDeadLetter(queue, dead.arn, [first]))),
        ...(await fates(stage.port.sendToDeadLetter(queue, dead.arn, [first, other]))),
      ];
      const letters = (await stage.gather(dead, 3)).toSorted((a, b) => a.body.localeCompare(b.body));
      return {
        stored,
        letters: letters.map(({ attributes, body }) => `${attributes['MessageGroupId']} ${body}`),
        deduplicationIds: letters.map(({ attributes }) => attributes['MessageDeduplicationId']),
      };
    },
  },
  {
    name: 'a copy to a dead-letter queue that is gone is told apart from a queue that is gone',
    needs: ['dead letters', 'administration'],
    aws: ['DeadLetterQueueNotFound (terminal)'],
    observe: async (stage) => {
      const queue = await stage.queue();
      const arn = `${queue.arn}-never-made`;
      return await fates(stage.port.sendToDeadLetter(queue, arn, [rejected('a', 'x')]));
    },
  },
];

/** Receives the one message of `queue` once, lets it go to the dead-letter queue and receives it there. */
async function intoDeadLetters(stage: Stage, queue: QueueRef, dead: QueueRef): Promise<Message> {
  await stage.port.changeVisibility(queue, [entryOf(await stage.take(queue))], 0);
  await stage.receive(queue);
  return await stage.take(dead);
}

function copyOf(message: Message): DeadLetterCopy {
  const { id, body, attributes, messageAttributes } = message;
  return { id, body, attributes, messageAttributes, reason: 'EX_DATAERR: not a number', job: 'orders-abc' };
}

function rejected(id: string, body: string, attributes: Record<string, string> = {}): DeadLetterCopy {
  return { id, body, attributes, messageAttributes: {}, reason: 'EX_DATAERR', job: 'orders-abc' };
}
