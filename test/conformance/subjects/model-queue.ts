import type { QueueRef } from '../../../operator/plan/message.ts';
import type { ReceiptEntry } from '../../../operator/world.ts';
import { ModelQueue, type QueueWatcher } from '../../simulation/sqs/model-queue.ts';
import { ANY_READER } from '../../support/one-identity.ts';
import type { Delivery, Feature, QueueSpec, Subject } from '../subject.ts';
import { RunningClock } from './running-clock.ts';

/** What the simulation's model of SQS has: standard and FIFO queues, without attributes of senders or limits. */
export const MODEL_QUEUE_FEATURES: ReadonlySet<Feature> = new Set(['FIFO']);

const nothing = (): void => undefined;
const UNOBSERVED: QueueWatcher = {
  received: nothing,
  repeated: nothing,
  deleted: nothing,
  deadLettered: nothing,
  copied: nothing,
  asked: nothing,
};

export function startModelQueue(): Promise<Subject> {
  const clock = new RunningClock();
  const models = new Map<string, ModelQueue>();
  const modelOf = ({ url }: Pick<QueueRef, 'url'>): ModelQueue => {
    const model = models.get(url);
    if (!model) throw new Error(`no queue at ${url}`);
    return model;
  };
  const createQueue = (spec: QueueSpec): QueueRef => {
    const name = `queue-${models.size}${spec.fifo ? '.fifo' : ''}`;
    const queue = {
      ...ANY_READER,
      url: `https://sqs.us-east-1.amazonaws.com/123456789012/${name}`,
      arn: `arn:aws:sqs:us-east-1:123456789012:${name}`,
    };
    const { deadLetterArn, maxReceiveCount } = spec.redrive ?? {};
    const prefix = String(models.size + 1).padStart(8, '0');
    const options = { clock, queue, prefix, deadLetterArn, maxReceiveCount, countsLagMs: 0 };
    models.set(queue.url, new ModelQueue({ ...options, observer: UNOBSERVED }));
    return queue;
  };
  const missing = (what: string) => () => Promise.reject(new Error(`the model has no ${what}`));
  const change = (queue: QueueRef, entries: readonly ReceiptEntry[], seconds: number) =>
    entries.map((entry) => modelOf(queue).changeVisibility(entry, seconds));
  return Promise.resolve({
    name: 'ModelQueue',
    features: MODEL_QUEUE_FEATURES,
    clock,
    patienceMs: 0,
    port: {
      receive: async (queue, options) => {
        const messages = await modelOf(queue).receive(options);
        return messages.map((message) => Object.assign({ arrivedAtMs: clock.now() }, message));
      },
      changeVisibility: async (...asked) => change(...asked),
      renew: async (...asked) => change(...asked),
      delete: async (queue, entries) => entries.map((entry) => modelOf(queue).delete(entry)),
      sendToDeadLetter: async (queue, _, copies) => copies.map((copy) => modelOf(queue).takeCopy(copy)),
      describe: async (reader) => modelOf(reader).describe(reader.url),
      tryRight: async (reader) => void modelOf(reader),
    },
    createQueue: async (spec) => createQueue(spec),
    send: async (queue, { body, groupId, deduplicationId }) =>
      modelOf(queue).send(body, groupId, deduplicationId),
    deleteQueue: missing('administration'),
    purge: missing('administration'),
    receiveRepeatedly: (queue) => receiveTwice(modelOf(queue)),
    stop: async () => undefined,
  });
}

async function receiveTwice(model: ModelQueue): Promise<readonly (readonly Delivery[])[]> {
  const options = { max: 10, visibilityTimeoutSeconds: 30, waitSeconds: 0 };
  const context = { attemptId: 'an attempt' };
  return [await model.receive(options, context), await model.receive(options, context)];
}
