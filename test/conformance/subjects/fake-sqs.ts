import type { QueueRef } from '../../../operator/plan/types.ts';
import { FakeSqs } from '../../support/fake-sqs.ts';
import type { Feature, QueueSpec, Subject } from '../subject.ts';
import { RunningClock } from './running-clock.ts';

/** What the model of the unit tests has of SQS: one standard queue each, without attributes or limits. */
export const FAKE_SQS_FEATURES: ReadonlySet<Feature> = new Set();

export function startFakeSqs(): Promise<Subject> {
  const clock = new RunningClock();
  const models = new Map<string, FakeSqs>();
  const modelOf = ({ url }: Pick<QueueRef, 'url'>): FakeSqs => {
    const model = models.get(url);
    if (!model) throw new Error(`no queue at ${url}`);
    return model;
  };
  const createQueue = (spec: QueueSpec): QueueRef => {
    const name = `queue-${models.size}`;
    const queue = {
      url: `https://sqs.us-east-1.amazonaws.com/123456789012/${name}`,
      arn: `arn:aws:sqs:us-east-1:123456789012:${name}`,
    };
    const { deadLetterArn = '', maxReceiveCount = Number.POSITIVE_INFINITY } = spec.redrive ?? {};
    models.set(
      queue.url,
      new FakeSqs({ clock, queue, deadLetterArn, maxReceiveCount, onDelete: () => undefined }),
    );
    return queue;
  };
  const missing = (what: string) => () => Promise.reject(new Error(`the model has no ${what}`));
  return Promise.resolve({
    name: 'FakeSqs',
    features: FAKE_SQS_FEATURES,
    clock,
    patienceMs: 0,
    port: {
      receive: async (queue, options) => await modelOf(queue).receive(options),
      changeVisibility: async (queue, entries, seconds) => modelOf(queue).changeVisibility(entries, seconds),
      renew: async (queue, entries, seconds) => modelOf(queue).changeVisibility(entries, seconds),
      delete: async (queue, entries) => modelOf(queue).delete(entries),
      sendToDeadLetter: async (queue, _, copies) => modelOf(queue).copy(copies),
      describe: async (url) => modelOf({ url }).describe(url),
    },
    createQueue: async (spec) => createQueue(spec),
    send: async (queue, { body }) => modelOf(queue).send(body),
    deleteQueue: missing('administration'),
    purge: missing('administration'),
    receiveRepeatedly: missing('FIFO queues'),
    stop: async () => undefined,
  });
}
