import { LABEL_QUEUE } from '../../operator/api/names.ts';
import type { OperatorError } from '../../operator/errors.ts';
import { ObjectStore } from '../../operator/kube/store.ts';
import { Controller, ownerKey } from '../../operator/loops/controller.ts';
import { parseLedger } from '../../operator/plan/ledger.ts';
import type { Clock, Fence, KubeObject, Metrics, QueueName } from '../../operator/ports.ts';
import {
  BATCH_QUEUES,
  type Events,
  JOBS,
  type KubeApi,
  type MessageQueue,
  PODS,
  REVISIONS,
} from '../../operator/world.ts';
import { DEAD_LETTER_ARN, QUEUE } from './builders.ts';
import { FakeCluster } from './fake-cluster.ts';
import { FakeKubernetes, kubeFailure } from './fake-kubernetes.ts';
import { FakeSqs, sqsFailure } from './fake-sqs.ts';
import { MemoryLog } from './logs.ts';
import { SeededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

export type UserEvent = Parameters<Events['record']>[0];

const NAMESPACE = 'shop';
/** How long a terminated operator waits for its last polls, in milliseconds. */
const DRAIN_MS = 40_000;

/** Requests that only a leader may send, by what they are called here. */
const EFFECTS = /^(create|patch|delete|release|delete messages)\b/;

/** One request that an operator sent, e.g. `create jobs` or `receive`. */
export interface Request {
  readonly what: string;
  readonly atMs: number;
}

/** How requests fail: each with this probability, half of the time after they were carried out. */
export interface Faults {
  kube: number;
  sqs: number;
}

/**
 * A small world with one SQS queue, an API server with its Job controller and kubelet, and an operator in it: the real
 * `Controller`, which may be killed and started again at any moment. All of it runs on a virtual clock from one seed,
 * so a history that failed fails again.
 *
 * What must always hold is checked where it can break, at the moment a request is carried out; what was broken is in
 * `violations`.
 */
export class FakeWorld {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly sqs: FakeSqs;
  readonly kube: FakeKubernetes;
  readonly cluster: FakeCluster;
  readonly log = new MemoryLog();
  readonly events: UserEvent[] = [];
  readonly requests: Request[] = [];
  readonly violations: string[] = [];
  readonly faults: Faults = { kube: 0, sqs: 0 };
  /** How far the watches of the operator are behind, at most, in milliseconds. */
  watchLagMs = 50;
  /** What was counted, e.g. `leaseLapses shop/orders`, and BatchQueues made known and forgotten. */
  readonly counted: string[] = [];
  #operator: Operator | undefined;
  /** While the operator may not act: resolved when it may again. */
  #fenced: PromiseWithResolvers<void> | undefined;

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
    this.kube = new FakeKubernetes(this.clock);
    this.cluster = new FakeCluster(this.kube, this.clock, this.random);
    this.sqs = new FakeSqs({
      clock: this.clock,
      queue: QUEUE,
      deadLetterArn: DEAD_LETTER_ARN,
      maxReceiveCount: 5,
      onDelete: (id) => {
        if (!this.cluster.succeeded.has(id) && !this.sqs.copied.has(id))
          this.violations.push(`message ${id} was deleted without success`);
      },
    });
    this.kube.watch(({ plural, type, object }) => {
      if (plural === JOBS.plural && type === 'ADDED') this.#judgeNewJob(object);
    });
  }

  /** Makes a BatchQueue, or replaces the spec of the one there is. */
  apply(spec: object, image = 'worker:1'): void {
    const template = { spec: { containers: [{ name: 'worker', image }] } };
    const full = { queue: { url: QUEUE.url }, jobTemplate: { spec: { template } }, ...spec };
    if (this.batchQueue()) {
      this.kube.update(BATCH_QUEUES, NAMESPACE, 'orders', (object) => {
        object['spec'] = full;
      });
    } else this.kube.create(BATCH_QUEUES, NAMESPACE, { metadata: { name: 'orders' }, spec: full });
  }

  batchQueue(): KubeObject | undefined {
    return this.kube.get(BATCH_QUEUES, NAMESPACE, 'orders');
  }

  deleteBatchQueue(): void {
    this.kube.delete(BATCH_QUEUES, NAMESPACE, 'orders');
  }

  jobs(): KubeObject[] {
    return this.kube.list(JOBS, { namespace: NAMESPACE }).items;
  }

  pods(): KubeObject[] {
    return this.kube.list(PODS, { namespace: NAMESPACE }).items;
  }

  revisions(): KubeObject[] {
    return this.kube.list(REVISIONS, { namespace: NAMESPACE }).items;
  }

  /** Starts an operator whose caches have synced; the one before must have been ended. */
  start(): void {
    this.#operator = new Operator(this);
  }

  /** The operator is gone between two instructions: requests not yet carried out never are, answers reach nobody. */
  kill(): void {
    this.#operator?.end();
    this.#operator = undefined;
  }

  /** The operator may not act from now on, until `unfence`. */
  fence(): void {
    this.#fenced = Promise.withResolvers();
    this.#operator?.controller.pause();
  }

  unfence(): void {
    this.#fenced?.resolve();
    this.#fenced = undefined;
    this.#operator?.controller.resume();
  }

  /** Undefined: the operator may act. */
  fenced(): Promise<void> | undefined {
    return this.#fenced?.promise;
  }

  /** SIGTERM; resolves when the operator has ended by itself. */
  async drain(): Promise<void> {
    const state = { ended: this.#operator === undefined };
    void this.#operator?.controller.drain(DRAIN_MS).then(() => {
      state.ended = true;
    });
    await this.until('the operator ends', () => state.ended, DRAIN_MS + 30_000);
    this.kill();
  }

  /** How many requests of this kind were sent since then. */
  countSince(atMs: number, what: RegExp): number {
    return this.requests.filter((request) => request.atMs >= atMs && what.test(request.what)).length;
  }

  /** The most requests that were sent within one second: an operator that turns in circles shows here. */
  busiestSecond(): number {
    const seconds = new Map<number, number>();
    for (const { atMs } of this.requests) {
      const second = Math.floor(atMs / 1_000);
      seconds.set(second, (seconds.get(second) ?? 0) + 1);
    }
    return Math.max(0, ...seconds.values());
  }

  /** Lets time pass until this is so; throws when it is not after that time. */
  async until(what: string, holds: () => boolean, withinMs: number): Promise<void> {
    const endMs = this.clock.now() + withinMs;
    while (!holds()) {
      if (this.clock.now() >= endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
      await this.clock.advance(500);
    }
  }

  #judgeNewJob(job: KubeObject): void {
    const { name } = job.metadata;
    const active = this.jobs().filter((other) => FakeCluster.isActive(other));
    const done = this.jobs().filter((other) => FakeCluster.hasSucceeded(other));
    const max = Number(Object(this.batchQueue()?.['spec'])['maxConcurrentJobs'] ?? 10);
    if (active.length > max)
      this.violations.push(`${active.length} Jobs are active with ${name}, ${max} may be`);
    for (const { id } of parseLedger(job)?.messages ?? []) {
      const holders = active.filter((other) => holdsMessage(other, id));
      if (holders.length > 1) this.violations.push(`message ${id} has another active Job besides ${name}`);
      if (this.cluster.isWorkedOn(id))
        this.violations.push(`a pod still works on message ${id}, ${name} is made`);
      if (done.some((other) => holdsMessage(other, id)))
        this.violations.push(`message ${id} is done, ${name} is made`);
    }
  }
}

function holdsMessage(job: KubeObject, id: string): boolean {
  return parseLedger(job)?.messages.some((held) => held.id === id) ?? false;
}

/** One process: everything it wants from the world goes through `#call`, and stops with it. */
class Operator {
  readonly controller: Controller;
  readonly #world: FakeWorld;
  readonly #stopWatching: () => void;
  #alive = true;
  #deliveredAtMs = 0;

  constructor(world: FakeWorld) {
    this.#world = world;
    const caches = {
      batchQueues: new ObjectStore(),
      jobs: new ObjectStore({ indexBy: ownerKey }),
      pods: new ObjectStore({ indexBy: ownerKey }),
      revisions: new ObjectStore({ indexBy: ownerKey }),
    };
    const clock: Clock = {
      now: () => world.clock.now(),
      // Whole milliseconds, as the machine's own clock has them.
      after: (delayMs, task) => world.clock.after(Math.ceil(delayMs), () => this.#alive && task()),
    };
    const events = { record: (event: UserEvent) => world.events.push(event) };
    const ports = {
      kube: this.#kubeApi(),
      queue: this.#messageQueue(),
      fence: this.#fence(),
      events,
      clock,
      log: world.log,
      caches,
    };
    const note = (what: string, { namespace, name }: QueueName) =>
      void world.counted.push(`${what} ${namespace}/${name}`);
    const metrics: Metrics = {
      knowQueue: (queue) => note('known', queue),
      forgetQueue: (queue) => note('forgotten', queue),
      count: (queue, what) => note(what, queue),
    };
    this.controller = new Controller({ world: ports, random: world.random.next, metrics });
    this.#stopWatching = this.#fill(caches);
    this.controller.start();
  }

  end(): void {
    this.#alive = false;
    this.#stopWatching();
  }

  /** Lists once, then watches with a lag, in order. */
  #fill(caches: Record<'batchQueues' | 'jobs' | 'pods' | 'revisions', ObjectStore>): () => void {
    const { kube, clock, random } = this.#world;
    const { batchQueueChanged, ownedChanged } = this.controller;
    const sources = [
      { resource: BATCH_QUEUES, store: caches.batchQueues, changed: batchQueueChanged },
      { resource: JOBS, store: caches.jobs, changed: ownedChanged },
      { resource: PODS, store: caches.pods, changed: ownedChanged },
      { resource: REVISIONS, store: caches.revisions, changed: ownedChanged },
    ];
    for (const { resource, store, changed } of sources) {
      const { items, resourceVersion } = kube.list(resource);
      const seen = items.filter(
        ({ metadata }) => resource === BATCH_QUEUES || metadata.labels?.[LABEL_QUEUE],
      );
      store.replace(seen, resourceVersion);
      for (const item of seen) changed(item);
    }
    return kube.watch(({ plural, type, object }) => {
      const source = sources.find(({ resource }) => resource.plural === plural);
      if (!source) return;
      const { store, changed } = source;
      const atMs = Math.max(this.#deliveredAtMs, clock.now() + random.between(1, this.#world.watchLagMs));
      this.#deliveredAtMs = atMs;
      clock.after(atMs - clock.now(), () => {
        if (!this.#alive) return;
        store.advance(object.metadata.resourceVersion);
        if (type === 'DELETED') store.remove(object);
        else store.observe(object);
        changed(object);
      });
    });
  }

  #fence(): Fence {
    return {
      permit: () => {
        if (this.#world.fenced()) throw kubeFailure('NotLeader', 'retry');
      },
      whenChanged: () => this.#world.fenced(),
    };
  }

  #kubeApi(): KubeApi {
    const { kube } = this.#world;
    const call = <T>(verb: string, plural: string, carryOut: () => T) =>
      this.#call(`${verb} ${plural}`, carryOut, (sent) =>
        kubeFailure('Unavailable', 'retry', sent && verb !== 'get' && verb !== 'list'),
      );
    return {
      get: (resource, ...name) => call('get', resource.plural, () => kube.get(resource, ...name)),
      list: (resource, options) => call('list', resource.plural, () => kube.list(resource, options)),
      create: (resource, namespace, body, options) =>
        call(options?.dryRun ? 'dry-run' : 'create', resource.plural, () =>
          kube.create(resource, namespace, body, options?.dryRun),
        ),
      patch: (resource, ...rest) => {
        const [namespace, name, body, options] = rest;
        return call('patch', resource.plural, () =>
          kube.patch(resource, namespace, name, { body, ...options }),
        );
      },
      delete: (resource, namespace, name, options) =>
        call('delete', resource.plural, () => kube.delete(resource, namespace, name, options)),
    };
  }

  #messageQueue(): MessageQueue {
    const { sqs } = this.#world;
    const call = <T>(what: string, carryOut: () => T | Promise<T>) =>
      this.#call(what, carryOut, () => sqsFailure('QueueUnreachable', 'retry'));
    return {
      receive: async (_, options) => {
        const fenced = this.#world.fenced();
        if (!fenced) return await call('receive', () => sqs.receive(options));
        await fenced;
        return [];
      },
      changeVisibility: (_, entries, seconds) =>
        call('release', () => sqs.changeVisibility(entries, seconds)),
      renew: (_, entries, seconds) => call('renew', () => sqs.changeVisibility(entries, seconds)),
      delete: (_, entries) => call('delete messages', () => sqs.delete(entries)),
      sendToDeadLetter: (_, __, copies) => call('copy', () => sqs.copy(copies)),
      describe: (url) => call('describe', () => sqs.describe(url)),
    };
  }

  /** Sends a request, carries it out and answers, each a little later; any of it may fail, and any may come too late. */
  async #call<T>(
    what: string,
    carryOut: () => T | Promise<T>,
    failure: (sent: boolean) => OperatorError,
  ): Promise<T> {
    const { random, clock, requests, faults } = this.#world;
    const fenced = this.#world.fenced();
    if (fenced && EFFECTS.test(what)) throw kubeFailure('NotLeader', 'retry');
    requests.push({ what, atMs: clock.now() });
    const probability = /jobs|pods|batchqueues|controllerrevisions/.test(what) ? faults.kube : faults.sqs;
    const fails = random.chance(probability);
    const isSent = !fails || random.chance(0.5);
    await this.#latency();
    if (!isSent) throw failure(false);
    const answer = await carryOut();
    await this.#latency();
    if (fails) throw failure(true);
    return answer;
  }

  /** Never ends for a process that is gone. */
  #latency(): Promise<void> {
    const { clock, random } = this.#world;
    return new Promise((resolve) => {
      clock.after(random.between(1, 20), () => this.#alive && resolve());
    });
  }
}
