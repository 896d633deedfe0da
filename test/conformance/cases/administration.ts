import type { QueueRef } from '../../../operator/plan/message.ts';
import type { Case } from '../case.ts';
import { entryOf, fate, fates, type Stage } from '../stage.ts';

const NEEDS = ['administration'] as const;
const GONE = 'QueueNotFound (terminal)';

export const ADMINISTRATION: readonly Case[] = [
  {
    name: 'a queue that was never made is not found, whatever is asked of it',
    needs: NEEDS,
    aws: { received: GONE, described: GONE, renewed: [GONE], deleted: [GONE, GONE] },
    observe: async (stage) => {
      const queue = await stage.queue();
      const [url, arn] = [`${queue.url}-never-made`, `${queue.arn}-never-made`];
      return await askAll(stage, { ...queue, url, arn });
    },
  },
  {
    name: 'a queue that was deleted is not found, in the end',
    needs: NEEDS,
    aws: GONE,
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.subject.deleteQueue(queue);
      return await stage.eventually(
        () => fate(stage.receive(queue, { waitSeconds: 0 })),
        (seen) => seen === GONE,
      );
    },
  },
  {
    name: 'a purge takes waiting messages away, in the end',
    needs: NEEDS,
    aws: 0,
    observe: async (stage) => {
      const queue = await stage.queue();
      for (const body of ['1', '2', '3']) await stage.send(queue, body);
      await stage.subject.purge(queue);
      const { visible } = await stage.eventually(
        () => stage.port.describe(queue),
        (seen) => seen.visible === 0,
      );
      return visible;
    },
  },
  {
    name: 'a message that was purged while we held it is deleted with success',
    needs: NEEDS,
    aws: ['done'],
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, 'body');
      const message = await stage.take(queue);
      await stage.subject.purge(queue);
      return await fates(stage.port.delete(queue, [entryOf(message)]));
    },
  },
];

async function askAll({ port }: Stage, queue: QueueRef): Promise<object> {
  const entries = ['a', 'b'].map((id) => ({ id, receiptHandle: 'handle' }));
  return {
    received: await fate(port.receive(queue, { max: 1, visibilityTimeoutSeconds: 30, waitSeconds: 0 })),
    described: await fate(port.describe(queue)),
    renewed: await fates(port.renew(queue, entries.slice(1), 30)),
    deleted: await fates(port.delete(queue, entries)),
  };
}
