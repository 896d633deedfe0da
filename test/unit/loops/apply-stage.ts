import { OperatorError } from '../../../operator/errors.ts';
import { ObjectStore } from '../../../operator/kube/store.ts';
import { applyAction } from '../../../operator/loops/apply.ts';
import { ownerKey } from '../../../operator/loops/controller.ts';
import { Heartbeat } from '../../../operator/loops/heartbeat.ts';
import type { Subject, World } from '../../../operator/loops/interpreter.ts';
import { QueueSession } from '../../../operator/loops/queue-session.ts';
import { QueueUsers } from '../../../operator/loops/queue-users.ts';
import { claimFrom } from '../../../operator/plan/claim.ts';
import { buildJob } from '../../../operator/plan/job.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import { ledgerOf } from '../../../operator/plan/ledger.ts';
import type { Message } from '../../../operator/plan/message.ts';
import { buildMessagesFile } from '../../../operator/plan/messages-file.ts';
import type { Action } from '../../../operator/plan/plan.ts';
import type { KubeObject, QueueCount } from '../../../operator/ports.ts';
import { type Events, JOBS, type KubeApi } from '../../../operator/world.ts';
import { ApiServer } from '../../simulation/kubernetes/api-server.ts';
import { aMessage, aQueue, aRevision, QUEUE } from '../../support/builders.ts';
import { MemoryLog } from '../../support/logs.ts';
import { done, StubQueue } from '../../support/stub-queue.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

type Verb = keyof KubeApi;

/** What happens to the next request of a verb: an error instead of it, or after it was carried out. */
interface Fault {
  readonly verb: Verb;
  readonly error: OperatorError;
  readonly carriedOut: boolean;
}

/** One BatchQueue `shop/orders` with an open poll, to carry out single actions on. */
export class ApplyStage {
  readonly clock = new VirtualClock();
  readonly kube = new ApiServer(this.clock);
  readonly queue = new StubQueue();
  readonly world: World;
  readonly subject: Subject;
  readonly faults: Fault[] = [];
  /** Every request, in order: the verb for Kubernetes, `sqs` for a settlement. */
  readonly steps: string[] = [];
  /** What was counted, in order. */
  readonly counted: QueueCount[] = [];
  readonly told: Parameters<Events['record']>[0][] = [];

  constructor() {
    const { clock, queue } = this;
    queue.settleAnswer = (ids) => {
      this.steps.push('sqs');
      return Promise.resolve(done(ids));
    };
    const log = new MemoryLog();
    const heartbeat = new Heartbeat({ queue, clock, log, onLost: () => {}, onRestored: () => {} });
    const session = new QueueSession({
      key: 'shop/orders',
      queue,
      clock,
      log,
      heartbeat,
      checks: [],
      random: () => 1,
      onChange: () => {},
      count: (what) => void this.counted.push(what),
    });
    this.world = {
      kube: this.#api(),
      queue,
      heartbeat,
      queueUsers: new QueueUsers(() => {}),
      clock,
      log,
      events: { record: (event) => void this.told.push(event) },
      checks: [],
      caches: {
        batchQueues: new ObjectStore(),
        jobs: new ObjectStore({ indexBy: ownerKey }),
        pods: new ObjectStore({ indexBy: ownerKey }),
        revisions: new ObjectStore({ indexBy: ownerKey }),
      },
    };
    this.subject = {
      namespace: 'shop',
      name: 'orders',
      session,
      object: { metadata: { name: 'orders', namespace: 'shop', uid: 'queue-uid' } },
      status: {},
    };
    session.intake.setTarget({
      queue: QUEUE,
      room: 10,
      perJob: 1,
      perReceive: 10,
      visibilityTimeoutSeconds: 300,
    });
  }

  /** A message that the poll has brought, under its lease. */
  async received(parts: Partial<Message> = {}): Promise<Message> {
    const nowMs = this.clock.now();
    const message = aMessage({ receivedAtMs: nowMs, sentAtMs: nowMs, ...parts });
    this.queue.receives.shift()?.answer([message]);
    await this.clock.settle();
    return message;
  }

  /** A Job that stands in the API server and in the cache. */
  existing(job: KubeObject): Claim {
    const created = this.kube.create(JOBS, 'shop', job);
    this.world.caches.jobs.put(created);
    return claimFrom(created);
  }

  stored(name: string): KubeObject | undefined {
    return this.kube.get(JOBS, 'shop', name);
  }

  apply(action: Action): Promise<void> {
    return applyAction(action, this.subject, this.world);
  }

  /** Answers at once, but for the faults. */
  #api(): KubeApi {
    const { kube } = this;
    const call = async <T>(verb: Verb, carryOut: () => T): Promise<T> => {
      this.steps.push(verb);
      const index = this.faults.findIndex((fault) => fault.verb === verb);
      const [fault] = index < 0 ? [] : this.faults.splice(index, 1);
      if (fault && !fault.carriedOut) throw fault.error;
      const answer = carryOut();
      if (fault) throw fault.error;
      return answer;
    };
    return {
      get: (resource, namespace, name) => call('get', () => kube.get(resource, namespace ?? '', name)),
      list: (resource, options) => call('list', () => kube.list(resource, options)),
      create: (resource, namespace, body, options) =>
        call('create', () => kube.create(resource, namespace, body, options?.dryRun)),
      patch: (resource, ...rest) => {
        const [namespace, name, body, options] = rest;
        return call('patch', () => kube.patch(resource, namespace, name, { body, ...options }));
      },
      delete: (resource, namespace, name, options) =>
        call('delete', () => kube.delete(resource, namespace, name, options)),
    };
  }
}

/** The Job for one attempt at a message, or at several. */
export function jobFor(first: Message, attempt = 1, ...others: readonly Message[]): KubeObject {
  const messages = [first, ...others];
  return buildJob({
    queue: aQueue(),
    revision: aRevision(),
    ledger: ledgerOf(messages, { attempt, visibilityTimeoutSeconds: 300 }),
    payload: { inline: buildMessagesFile(messages, attempt), secrets: [] },
    traceparent: undefined,
  });
}

/** `done`, or the code of the error. */
export async function codeOf(applied: Promise<void>): Promise<string> {
  return applied.then(
    () => 'done',
    (error: unknown) => (error instanceof OperatorError ? error.code : String(error)),
  );
}
