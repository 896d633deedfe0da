import type { Case } from '../case.ts';
import { bodiesOf, entryOf, fate, fates } from '../stage.ts';

/** Long enough for everything else of a case to happen in it, on a busy machine too. */
const WAIT_SECONDS = 10;
const NEARLY_ALL_MS = 9_500;

export const RECEIVING: readonly Case[] = [
  {
    name: 'a long poll of an empty queue waits as long as it was told',
    aws: { messages: 0, waited: true },
    observe: async (stage) => {
      const queue = await stage.queue();
      const { value, ms } = await stage.timed(stage.receive(queue, { waitSeconds: 2 }));
      return { messages: value.length, waited: ms >= 1_800 };
    },
  },
  {
    name: 'a message wakes a long poll',
    aws: { messages: 1, waited: false },
    observe: async (stage) => {
      const queue = await stage.queue();
      const poll = stage.timed(stage.receive(queue, { waitSeconds: WAIT_SECONDS }));
      await stage.untilPolling(queue);
      await stage.send(queue, 'body');
      const { value, ms } = await poll;
      return { messages: value.length, waited: ms >= NEARLY_ALL_MS };
    },
  },
  {
    name: 'a message that becomes visible again wakes a long poll',
    aws: { messages: 1, waited: false },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      await stage.take(queue, 1);
      const { value, ms } = await stage.timed(stage.receive(queue, { waitSeconds: WAIT_SECONDS }));
      return { messages: value.length, waited: ms >= NEARLY_ALL_MS };
    },
  },
  {
    name: 'of two long polls the one that gets nothing waits on',
    aws: [
      { messages: 0, waited: true },
      { messages: 1, waited: false },
    ],
    observe: async (stage) => {
      const queue = await stage.queue();
      const polls = [1, 2].map(() => stage.timed(stage.receive(queue, { waitSeconds: WAIT_SECONDS })));
      await stage.untilPolling(queue);
      await stage.send(queue, 'body');
      const seen = await Promise.all(polls);
      return seen
        .map(({ value, ms }) => ({ messages: value.length, waited: ms >= NEARLY_ALL_MS }))
        .toSorted((a, b) => a.messages - b.messages);
    },
  },
  {
    name: 'a receive brings no more than it asked for, and each message once',
    aws: { most: true, bodies: ['0', '1', '2', '3', '4'] },
    observe: async (stage) => {
      const queue = await stage.queue();
      for (const body of ['0', '1', '2', '3', '4']) await stage.send(queue, body);
      const first = await stage.receive(queue, { max: 2 });
      const rest = await stage.gather(queue, 5 - first.length);
      const bodies = bodiesOf([...first, ...rest]).toSorted((a, b) => a.localeCompare(b));
      return { most: first.length <= 2, bodies };
    },
  },
  {
    name: 'ten messages and twenty seconds are the most a receive may ask for',
    needs: ['limits'],
    aws: ['RequestRefused (terminal)', 'RequestRefused (terminal)'],
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const eleven = await fate(stage.receive(queue, { max: 11 }));
      return [eleven, await fate(stage.receive(queue, { waitSeconds: 21 }))];
    },
  },
  {
    name: 'every receive is counted and has a receipt handle of its own',
    aws: { ids: 1, handles: 3, counts: [1, 2, 3] },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const seen = [];
      for (let times = 0; times < 3; times += 1) {
        const message = await stage.take(queue);
        seen.push(message);
        await stage.port.changeVisibility(queue, [entryOf(message)], 0);
      }
      return {
        ids: new Set(seen.map(({ id }) => id)).size,
        handles: new Set(seen.map(({ receiptHandle }) => receiptHandle)).size,
        counts: seen.map(({ receiveCount }) => receiveCount),
      };
    },
  },
  {
    name: 'a message that is deleted does not come again',
    aws: { deleted: ['done'], again: ['done'], messages: 0 },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const entry = entryOf(await stage.take(queue, 1));
      const deleted = await fates(stage.port.delete(queue, [entry]));
      const again = await fates(stage.port.delete(queue, [entry]));
      await stage.sleep(1_200);
      return { deleted, again, messages: (await stage.receive(queue)).length };
    },
  },
  {
    name: 'counts tell what is visible and what is in flight, in the end',
    aws: { visible: 2, inFlight: 1 },
    observe: async (stage) => {
      const queue = await stage.queue();
      for (const body of ['0', '1', '2']) await stage.send(queue, body);
      await stage.receive(queue, { max: 1, visibilityTimeoutSeconds: 300 });
      const { visible, inFlight } = await stage.eventually(
        () => stage.port.describe(queue),
        (seen) => seen.visible === 2 && seen.inFlight === 1,
      );
      return { visible, inFlight };
    },
  },
];
