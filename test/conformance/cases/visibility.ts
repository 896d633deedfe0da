import { TRIED_RIGHTS } from '../../../operator/world.ts';
import type { Case } from '../case.ts';
import { entryOf, fate, fates } from '../stage.ts';

export const VISIBILITY: readonly Case[] = [
  {
    name: 'a message is visible again after the timeout of its receive, whatever the queue says',
    aws: { early: 0, later: 1 },
    observe: async (stage) => {
      const queue = await stage.queue({ visibilityTimeoutSeconds: 300 });
      await stage.send(queue, 'body');
      await stage.take(queue, 3);
      const early = await stage.receive(queue, { waitSeconds: 0 });
      const later = await stage.receive(queue, { waitSeconds: 5 });
      return { early: early.length, later: later.length };
    },
  },
  {
    name: 'a renewal counts from when it is made',
    aws: { renewed: ['done'], early: 0, later: 1 },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue, 5);
      await stage.sleep(1_000);
      const renewed = await fates(stage.port.renew(queue, [entryOf(message)], 8));
      await stage.sleep(4_500);
      const early = await stage.receive(queue, { waitSeconds: 0 });
      const later = await stage.receive(queue, { waitSeconds: 6 });
      return { renewed, early: early.length, later: later.length };
    },
  },
  {
    name: 'a message is given back at once with a timeout of zero',
    aws: { released: ['done'], messages: 1 },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue, 300);
      const released = await fates(stage.port.changeVisibility(queue, [entryOf(message)], 0));
      return { released, messages: (await stage.receive(queue)).length };
    },
  },
  {
    name: 'a delete that comes after the timeout works on a standard queue',
    aws: { deleted: ['done'], messages: 0 },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue, 1);
      await stage.sleep(1_500);
      const deleted = await fates(stage.port.delete(queue, [entryOf(message)]));
      return { deleted, messages: (await stage.receive(queue)).length };
    },
  },
  {
    name: 'a renewal that comes after the timeout is answered with success on a standard queue',
    aws: ['done'],
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue, 1);
      await stage.sleep(1_500);
      return await fates(stage.port.renew(queue, [entryOf(message)], 5));
    },
  },
  {
    name: 'a delete with the handle of an earlier receive is answered with success',
    aws: ['done'],
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const stale = await stage.take(queue);
      await stage.port.changeVisibility(queue, [entryOf(stale)], 0);
      await stage.take(queue);
      return await fates(stage.port.delete(queue, [entryOf(stale)]));
    },
  },
  {
    name: 'a renewal of a message that is deleted says that the lease is lost',
    aws: ['LeaseLost (lost)'],
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue);
      await stage.port.delete(queue, [entryOf(message)]);
      return await fates(stage.port.renew(queue, [entryOf(message)], 30));
    },
  },
  {
    name: 'what is no receipt handle is refused, in a delete as in a renewal',
    aws: { deleted: ['LeaseLost (lost)'], renewed: ['LeaseLost (lost)'] },
    observe: async (stage) => {
      const queue = await stage.queue();
      const entry = { id: 'm', receiptHandle: 'no-handle' };
      const deleted = await fates(stage.port.delete(queue, [entry]));
      return { deleted, renewed: await fates(stage.port.renew(queue, [entry], 30)) };
    },
  },
  {
    name: 'rights are tried on a queue without any of its messages taking notice',
    aws: { tried: ['done', 'done'], visible: 1, renewed: ['done'], deleted: ['done'], left: 0 },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'held');
      const held = await stage.take(queue, 300);
      await stage.send(queue, 'waiting');
      const tried = [];
      for (const right of TRIED_RIGHTS) tried.push(await fate(stage.port.tryRight(queue, right)));
      const waiting = await stage.receive(queue, { visibilityTimeoutSeconds: 300 });
      return {
        tried,
        visible: waiting.length,
        renewed: await fates(stage.port.renew(queue, [entryOf(held)], 30)),
        deleted: await fates(stage.port.delete(queue, [entryOf(held)])),
        left: (await stage.receive(queue, { waitSeconds: 0 })).length,
      };
    },
  },
  {
    name: 'a timeout above twelve hours is refused and changes nothing',
    needs: ['limits'],
    aws: { renewed: ['RequestRefused (terminal)'], messages: 0 },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue);
      const renewed = await fates(stage.port.renew(queue, [entryOf(message)], 43_201));
      return { renewed, messages: (await stage.receive(queue, { waitSeconds: 0 })).length };
    },
  },
  {
    name: 'twelve hours are counted from the receive: beyond them SQS refuses, it does not shorten',
    aws: { beyond: ['LeaseCeiling (lost)'], within: ['done'] },
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue, 60);
      await stage.sleep(2_000);
      const beyond = await fates(stage.port.renew(queue, [entryOf(message)], 43_200));
      return { beyond, within: await fates(stage.port.renew(queue, [entryOf(message)], 43_100)) };
    },
  },
  {
    name: 'twelve hours are not counted from when the message was sent',
    aws: ['done'],
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      await stage.sleep(5_000);
      const message = await stage.take(queue, 60);
      return await fates(stage.port.renew(queue, [entryOf(message)], 43_196));
    },
  },
  {
    name: 'of a batch the entries that SQS refuses fail, and no others',
    aws: {
      renewed: [...Array<string>(11).fill('done'), 'LeaseLost (lost)'],
      deleted: [...Array<string>(11).fill('done'), 'LeaseLost (lost)'],
      left: 0,
    },
    observe: async (stage) => {
      const queue = await stage.queue();
      for (let number = 0; number < 11; number += 1) await stage.send(queue, `body ${number}`);
      const entries = (await stage.gather(queue, 11)).map(entryOf);
      const mixed = [...entries, { id: 'm', receiptHandle: 'no-handle' }];
      const renewed = await fates(stage.port.renew(queue, mixed, 2));
      const deleted = await fates(stage.port.delete(queue, mixed));
      await stage.sleep(2_200);
      return { renewed, deleted, left: (await stage.receive(queue)).length };
    },
  },
];
