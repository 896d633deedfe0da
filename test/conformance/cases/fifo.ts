import type { Case } from '../case.ts';
import { accepted, bodiesOf, entryOf, fates } from '../stage.ts';

const FIFO = ['FIFO'] as const;
const BODIES = ['1', '2', '3', '4', '5', '6'] as const;

export const FIFO_CASES: readonly Case[] = [
  {
    name: 'FIFO: one receive may bring several messages of a group, in order',
    needs: FIFO,
    aws: ['1', '2', '3'],
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1', '2', '3']);
      return bodiesOf(await stage.receive(queue));
    },
  },
  {
    name: 'FIFO: a message in flight locks its group, and no other group',
    needs: FIFO,
    aws: { first: ['1'], second: ['x'], third: [] },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1', '2']);
      const first = await stage.receive(queue, { max: 1 });
      await stage.sendGroup(queue, 'b', ['x']);
      const second = await stage.receive(queue);
      const third = await stage.receive(queue);
      return { first: bodiesOf(first), second: bodiesOf(second), third: bodiesOf(third) };
    },
  },
  {
    name: 'FIFO: deleting a message unlocks the next one of its group',
    needs: FIFO,
    aws: { deleted: ['done'], next: ['2'] },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1', '2']);
      const [first] = await stage.receive(queue, { max: 1 });
      const deleted = await fates(stage.port.delete(queue, first ? [entryOf(first)] : []));
      return { deleted, next: bodiesOf(await stage.receive(queue, { max: 1 })) };
    },
  },
  {
    name: 'FIFO: a message that is given back is the first of its group again',
    needs: FIFO,
    aws: { released: ['done'], next: ['1'] },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1', '2']);
      const [first] = await stage.receive(queue, { max: 1 });
      const released = await fates(stage.port.changeVisibility(queue, first ? [entryOf(first)] : [], 0));
      return { released, next: bodiesOf(await stage.receive(queue, { max: 1 })) };
    },
  },
  {
    name: 'FIFO: a message in flight hides itself and what follows, not what comes before it',
    needs: FIFO,
    aws: { taken: 3, before: true, itself: false, after: false },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1', '2', '3']);
      const taken = await stage.receive(queue, { visibilityTimeoutSeconds: 5 });
      const second = taken.find(({ body }) => body === '2');
      if (second) await stage.port.renew(queue, [entryOf(second)], 60);
      await stage.sleep(5_500);
      const delivered = bodiesOf(await stage.receive(queue));
      const [before, itself, after] = ['1', '2', '3'].map((body) => delivered.includes(body));
      return { taken: new Set(bodiesOf(taken)).size, before, itself, after };
    },
  },
  {
    name: 'FIFO: a delete that comes after the timeout is refused, and the message comes again',
    needs: FIFO,
    aws: { deleted: ['LeaseLost (lost)'], again: ['1'] },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1']);
      const message = await stage.take(queue, 1);
      await stage.sleep(1_500);
      const deleted = await fates(stage.port.delete(queue, [entryOf(message)]));
      return { deleted, again: bodiesOf(await stage.receive(queue)) };
    },
  },
  {
    name: 'FIFO: a renewal in time keeps the receipt handle good for a delete',
    needs: FIFO,
    aws: { renewed: ['done'], deleted: ['done'], again: [] },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1']);
      const message = await stage.take(queue, 5);
      const renewed = await fates(stage.port.renew(queue, [entryOf(message)], 20));
      await stage.sleep(5_500);
      const deleted = await fates(stage.port.delete(queue, [entryOf(message)]));
      return { renewed, deleted, again: bodiesOf(await stage.receive(queue)) };
    },
  },
  {
    name: 'FIFO: a deduplication id that was used within five minutes stores nothing',
    needs: FIFO,
    aws: ['first'],
    observe: async (stage) => {
      const queue = await stage.fifo();
      for (const body of ['first', 'second'])
        await stage.send(queue, { body, groupId: body, deduplicationId: 'same' });
      return bodiesOf(await stage.gather(queue, 2));
    },
  },
  {
    name: 'FIFO: a message needs a group, and has no delay of its own',
    needs: ['FIFO', 'limits'],
    aws: ['refused', 'refused'],
    observe: async (stage) => {
      const queue = await stage.fifo();
      const ungrouped = stage.send(queue, { body: 'body', deduplicationId: 'a' });
      const delayed = stage.send(queue, {
        body: 'body',
        deduplicationId: 'b',
        groupId: 'g',
        delaySeconds: 5,
      });
      return [await accepted(ungrouped), await accepted(delayed)];
    },
  },
  {
    name: 'FIFO: messages tell their group, their deduplication id and their place in the order',
    needs: ['FIFO', 'attributes'],
    aws: { groups: ['a'], deduplicationIds: BODIES.map((body) => `a-${body}`), ascending: true },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', BODIES);
      const messages = [];
      while (messages.length < BODIES.length) {
        const message = await stage.take(queue);
        messages.push(message.attributes);
        await stage.port.delete(queue, [entryOf(message)]);
      }
      const numbers = messages.map(({ SequenceNumber = '0' }) => BigInt(SequenceNumber));
      return {
        groups: [...new Set(messages.map(({ MessageGroupId }) => MessageGroupId))],
        deduplicationIds: messages.map(({ MessageDeduplicationId }) => MessageDeduplicationId),
        ascending: numbers.every((number, index) => number > (numbers[index - 1] ?? 0n)),
      };
    },
  },
  {
    name: 'FIFO: a receive that is repeated with its id brings the same messages and handles',
    needs: FIFO,
    aws: { first: 1, second: 1, same: true },
    observe: async (stage) => {
      const queue = await stage.fifo();
      await stage.sendGroup(queue, 'a', ['1']);
      const [first = [], second = []] = await stage.subject.receiveRepeatedly(queue);
      return {
        first: first.length,
        second: second.length,
        same: first[0] !== undefined && first[0].receiptHandle === second[0]?.receiptHandle,
      };
    },
  },
];
