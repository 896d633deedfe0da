import { ObjectStore } from '../../operator/kube/store.ts';
import { Controller, ownerKey } from '../../operator/loops/controller.ts';
import type { Message } from '../../operator/plan/message.ts';
import type { QueueAttributes } from '../../operator/plan/snapshot.ts';
import type { KubeObject } from '../../operator/ports.ts';
import {
  BATCH_QUEUES,
  type EntryResult,
  JOBS,
  type KubeApi,
  type MessageQueue,
  PODS,
  REVISIONS,
  type ReceiptEntry,
} from '../../operator/world.ts';
import { ApiServer } from '../simulation/kubernetes/api-server.ts';
import { Garbage } from '../simulation/kubernetes/garbage.ts';
import { sqsFailure } from '../simulation/sqs/failures.ts';
import { aMessage, attributesOf, QUEUE } from './builders.ts';
import { MemoryLog } from './logs.ts';
import { SeededRandom } from './seeded-random.ts';
import { done } from './stub-queue.ts';
import { VirtualClock } from './virtual-clock.ts';

const NAMESPACE = 'shop';

/** How an SQS queue behaves: it answers, it refuses everything, or it never answers anything. */
type Manner = 'well' | 'throttled' | 'dead';

interface Queue {
  readonly name: string;
  manner: Manner;
  readonly messages: Message[];
  /** Ends the poll that waits, if one does. */
  wake: (() => void) | undefined;
}

/** A controller with as many BatchQueues and SQS queues as a test likes, at rest but for what the test does. */
export class ManyQueues {
  readonly clock = new VirtualClock();
  readonly kube = new ApiServer(this.clock);
  readonly controller: Controller;
  readonly #queues = new Map<string, Queue>();
  #polls = 0;

  constructor() {
    const caches = {
      batchQueues: new ObjectStore(),
      jobs: new ObjectStore({ indexBy: ownerKey }),
      pods: new ObjectStore({ indexBy: ownerKey }),
      revisions: new ObjectStore({ indexBy: ownerKey }),
    };
    const { clock } = this;
    const world = {
      kube: this.#kubeApi(),
      queue: this.#messageQueue(),
      events: { record: () => undefined },
      checks: [],
      clock,
      log: new MemoryLog(),
      caches,
    };
    this.controller = new Controller({ world, random: () => 0.5 });
    const stores: Readonly<Record<string, ObjectStore>> = {
      [BATCH_QUEUES.plural]: caches.batchQueues,
      [JOBS.plural]: caches.jobs,
      [PODS.plural]: caches.pods,
      [REVISIONS.plural]: caches.revisions,
    };
    this.kube.watch(({ plural, type, object }) => {
      if (type === 'DELETED') stores[plural]?.remove(object);
      else stores[plural]?.observe(object);
      if (plural === BATCH_QUEUES.plural) this.controller.batchQueueChanged(object);
      else this.controller.ownedChanged(object);
    });
    void new Garbage(this.kube, clock, new SeededRandom(1));
    this.controller.start();
  }

  /** Makes a BatchQueue that reads this SQS queue (default: one of its own name). */
  create(name: string, queue = name): void {
    const template = { spec: { containers: [{ name: 'worker', image: 'worker:1' }] } };
    const spec = { queue: { url: urlOf(queue) }, jobTemplate: { spec: { template } } };
    this.kube.create(BATCH_QUEUES, NAMESPACE, { metadata: { name }, spec });
  }

  delete(name: string): void {
    this.kube.delete(BATCH_QUEUES, NAMESPACE, name);
  }

  /** Changes how an SQS queue behaves; a poll that waits goes on waiting. */
  set(queue: string, manner: Manner): void {
    this.#queueOf(queue).manner = manner;
  }

  send(queue: string, id: string): void {
    const { messages, wake } = this.#queueOf(queue);
    messages.push(
      aMessage({ id, queue: { ...QUEUE, url: urlOf(queue), arn: arnOf(queue) }, sentAtMs: this.clock.now() }),
    );
    wake?.();
  }

  /** True while a poll of this SQS queue waits for messages. */
  isPolled(queue: string): boolean {
    return this.#queueOf(queue).wake !== undefined;
  }

  /** Polls under way, of all queues. */
  polls(): number {
    return this.#polls;
  }

  /** `Status Reason` of a condition. */
  condition(name: string, type: string): string {
    const status = Object(this.kube.get(BATCH_QUEUES, NAMESPACE, name)?.['status']);
    const conditions: { type: string; status: string; reason: string }[] = status.conditions ?? [];
    const found = conditions.find((condition) => condition.type === type);
    return `${found?.status} ${found?.reason}`;
  }

  /** Names of the messages' ids that Jobs of this BatchQueue hold. */
  jobsOf(name: string): readonly KubeObject[] {
    return this.kube
      .list(JOBS, { namespace: NAMESPACE })
      .items.filter(({ metadata }) => metadata.labels?.['batchqueue.io/queue'] === name);
  }

  #queueOf(name: string): Queue {
    const known = this.#queues.get(name);
    if (known) return known;
    const queue: Queue = { name, manner: 'well', messages: [], wake: undefined };
    this.#queues.set(name, queue);
    return queue;
  }

  #messageQueue(): MessageQueue {
    const settle = (url: string, entries: readonly ReceiptEntry[]) =>
      this.#answer<readonly EntryResult[]>(url, () => done(entries.map(({ id }) => id)));
    return {
      receive: async ({ url }, { max, waitSeconds }) => {
        this.#polls += 1;
        try {
          return await this.#receive(url, max, waitSeconds);
        } finally {
          this.#polls -= 1;
        }
      },
      changeVisibility: ({ url }, entries) => settle(url, entries),
      renew: ({ url }, entries) => settle(url, entries),
      delete: ({ url }, entries) => settle(url, entries),
      sendToDeadLetter: ({ url }, _, copies) => this.#answer(url, () => done(copies.map(({ id }) => id))),
      describe: ({ url }) => this.#answer<QueueAttributes>(url, () => describe(url)),
      tryRight: ({ url }) => this.#answer(url, () => undefined),
    };
  }

  async #receive(url: string, max: number, waitSeconds: number): Promise<readonly Message[]> {
    const queue = this.#queueOf(nameOf(url));
    await this.#answer(url, () => undefined);
    if (queue.messages.length === 0 && waitSeconds > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.clock.after(waitSeconds * 1_000, resolve);
        queue.wake = () => {
          cancel();
          resolve();
        };
      });
      queue.wake = undefined;
    }
    const receivedAtMs = this.clock.now();
    const taken = queue.messages.splice(0, max);
    return taken.map((message) => aMessage({ ...message, receivedAtMs, arrivedAtMs: receivedAtMs }));
  }

  #answer<T>(url: string, value: () => T): Promise<T> {
    switch (this.#queueOf(nameOf(url)).manner) {
      case 'dead':
        return new Promise(() => undefined);
      case 'throttled':
        return Promise.reject(sqsFailure('Throttled', 'retry'));
      case 'well':
        return Promise.resolve(value());
    }
  }

  #kubeApi(): KubeApi {
    const { kube } = this;
    return {
      get: async (resource, namespace, name) => kube.get(resource, namespace ?? '', name),
      list: async (resource, options) => kube.list(resource, options),
      create: async (resource, namespace, body, options) =>
        kube.create(resource, namespace, body, options?.dryRun),
      patch: async (resource, ...rest) => {
        const [namespace, name, body, options] = rest;
        return kube.patch(resource, namespace, name, { body, ...options });
      },
      delete: async (resource, namespace, name, options) => kube.delete(resource, namespace, name, options),
    };
  }
}

function describe(url: string): QueueAttributes {
  return attributesOf({ arn: arnOf(nameOf(url)), deadLetterArn: undefined });
}

function urlOf(queue: string): string {
  return `https://sqs.us-east-1.amazonaws.com/123456789012/${queue}`;
}

function arnOf(queue: string): string {
  return `arn:aws:sqs:us-east-1:123456789012:${queue}`;
}

function nameOf(url: string): string {
  return url.split('/').at(-1) ?? '';
}
