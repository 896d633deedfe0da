import { LABEL_QUEUE } from '../api/names.ts';
import { hasCode } from '../errors.ts';
import { pullSecretOf } from '../plan/pull-secret.ts';
import type { KubeObject, Metrics, QueueName, Random } from '../ports.ts';
import { Heartbeat } from './heartbeat.ts';
import type { World } from './interpreter.ts';
import { QueueSession } from './queue-session.ts';
import { QueueUsers } from './queue-users.ts';
import { claimsOf, reconcile } from './reconciler.ts';
import { type TurnResult, WorkQueue } from './work-queue.ts';

/** How many BatchQueues may have a turn at once. */
const CONCURRENCY = 32;
/** How often shutdown looks whether received messages have become Jobs, in milliseconds. */
const DRAIN_RECHECK_MS = 100;
/** How soon a turn comes again that was refused for want of leadership: it keeps leases, and what it may do may be left. */
const REFUSED_RECHECK_MS = 1_000;
/** How long a process that may not act keeps messages without a Job from those who may, in milliseconds. */
const INBOX_PATIENCE_MS = 60_000;

export interface ControllerOptions {
  readonly world: Omit<World, 'heartbeat' | 'queueUsers'>;
  readonly random: Random;
  readonly metrics?: Metrics;
}

/**
 * Turns changes into keys and keys into turns. Watches call `batchQueueChanged` and `ownedChanged`, which only put the
 * key of a BatchQueue (`namespace/name`) into the work queue; a turn reads the world.
 */
export class Controller {
  readonly #world: World;
  readonly #random: Random;
  readonly #queue: WorkQueue;
  readonly #sessions = new Map<string, QueueSession>();
  readonly #metrics: Metrics | undefined;
  #draining = false;
  #endPatience: (() => void) | undefined;

  constructor({ world, random, metrics }: ControllerOptions) {
    this.#random = random;
    this.#metrics = metrics;
    this.#world = {
      ...world,
      heartbeat: new Heartbeat({
        queue: world.queue,
        clock: world.clock,
        log: world.log,
        onLost: (key) => {
          this.#metrics?.count(nameOf(key), 'leaseLapses');
          this.#queue.add(key);
        },
        onRestored: (key) => this.#queue.add(key),
        onAnswer: (key, queue, error) =>
          this.#sessions.get(key)?.rights.note(queue, 'ChangeMessageVisibility', error),
      }),
      queueUsers: new QueueUsers((key) => this.#queue.add(key)),
    };
    this.#queue = new WorkQueue({
      clock: world.clock,
      random,
      log: world.log,
      concurrency: CONCURRENCY,
      process: (key) => this.#turn(key),
    });
  }

  /** To be called when the caches have synced: a list that is not there yet is not an empty one. */
  start(): void {
    this.#queue.start();
  }

  readonly batchQueueChanged = ({ metadata }: KubeObject): void => {
    this.#queue.add(`${metadata.namespace}/${metadata.name}`);
  };

  /** A Job, a pod or a revision changed: the BatchQueue it is labelled with gets a turn. */
  readonly ownedChanged = (object: KubeObject): void => {
    const key = ownerKey(object);
    if (key !== undefined) this.#queue.add(key);
  };

  /** Somebody has edited or deleted a pull secret that is kept: whoever uses it looks at once. */
  readonly pullSecretChanged = ({ metadata }: KubeObject): void => {
    for (const queue of this.#world.caches.batchQueues.list()) {
      const { namespace, name } = queue.metadata;
      const isUsed = namespace === metadata.namespace && pullSecretOf(queue) === metadata.name;
      if (isUsed) this.#sessions.get(`${namespace}/${name}`)?.preflight.recheck('pullSecret');
    }
  };

  /**
   * This process may not act for now: turns go on, and what they would do is refused. Leases are kept on, but after a
   * while no longer those of messages without a Job, which another process may be waiting for.
   */
  pause(): void {
    this.#endPatience ??= this.#world.clock.after(INBOX_PATIENCE_MS, () => {
      for (const [key, session] of this.#sessions) {
        for (const message of session.inbox()) session.intake.remove(message);
        this.#queue.add(key);
      }
    });
  }

  /** This process may act again, or for the first time: every BatchQueue gets a turn. */
  resume(): void {
    this.#endPatience?.();
    this.#endPatience = undefined;
    for (const key of this.#sessions.keys()) this.#queue.add(key);
  }

  /**
   * Stops intake and waits for the polls under way, which end by themselves within some twenty seconds. What they bring
   * still becomes Jobs. Then stops everything; running Jobs keep their messages for as long as their leases last, which
   * is what the next process has to come back in.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#endPatience?.();
    const { clock, log } = this.#world;
    const endMs = clock.now() + deadlineMs;
    const polls = Promise.all([...this.#sessions.values()].map(({ intake }) => intake.drain()));
    const deadline = Promise.withResolvers<void>();
    // Cancelled below: a timer that is left would keep the process alive until then.
    const cancel = clock.after(deadlineMs, deadline.resolve);
    await Promise.race([polls, deadline.promise]);
    cancel();
    while (this.#inboxSize() > 0 && clock.now() < endMs) await this.#sleep(DRAIN_RECHECK_MS);
    const left = this.#inboxSize();
    if (left > 0)
      log.warn({ messages: left }, 'stopped with received messages that have no job; their leases run out');
    await this.#queue.stop();
    await Promise.all([...this.#sessions.values()].map((session) => session.untilWritten()));
    for (const session of this.#sessions.values()) session.lookAt(undefined);
    this.#world.heartbeat.stop();
  }

  async #turn(key: string): Promise<TurnResult> {
    const { namespace, name } = nameOf(key);
    const session = this.#session(key);
    try {
      const result = await reconcile(namespace, name, session, this.#world);
      return this.#dropIfGone(key, namespace, name) ? {} : result;
    } catch (error) {
      if (!hasCode(error, 'NotLeader')) throw error;
      // It is done by whoever leads: by another process, or by this one after `resume`.
      return { requeueAfterMs: REFUSED_RECHECK_MS };
    }
  }

  #session(key: string): QueueSession {
    const known = this.#sessions.get(key);
    if (known) return known;
    const { queue, clock, log, heartbeat, checks } = this.#world;
    const session = new QueueSession({
      key,
      queue,
      clock,
      heartbeat,
      checks,
      random: this.#random,
      log: log.child({ queue: key }),
      onChange: () => this.#queue.add(key),
      count: (what, by) => this.#metrics?.count(nameOf(key), what, by),
    });
    this.#sessions.set(key, session);
    this.#metrics?.knowQueue(nameOf(key));
    if (this.#draining) void session.intake.drain();
    return session;
  }

  /** A BatchQueue that is gone and owes nothing leaves nothing behind: no loop, no timer, no lease. */
  #dropIfGone(key: string, namespace: string, name: string): boolean {
    const session = this.#sessions.get(key);
    if (!session || this.#world.caches.batchQueues.get(namespace, name)) return false;
    if (claimsOf(namespace, name, this.#world).some((claim) => !claim.settled)) return false;
    if (session.intake.isBusy()) {
      // A poll under way may still bring messages, which the next turn gives back. The session is not closed: a
      // BatchQueue of the same name may be made before that poll has ended.
      if (session.intake.isReceiving()) void session.intake.untilIdle().then(() => this.#queue.add(key));
      return false;
    }
    // It may have been there when this turn began, and been asked to observe and to poll.
    session.close();
    this.#sessions.delete(key);
    this.#metrics?.forgetQueue(nameOf(key));
    this.#world.heartbeat.publish(key, []);
    this.#queue.forget(key);
    return true;
  }

  #inboxSize(): number {
    return [...this.#sessions.values()].reduce((sum, session) => sum + session.intake.inbox().length, 0);
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.clock.after(delayMs, resolve);
    });
  }
}

function nameOf(key: string): QueueName {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

/** The index of the caches of Jobs, pods and revisions: which BatchQueue an object belongs to. */
export function ownerKey({ metadata }: KubeObject): string | undefined {
  const queue = metadata.labels?.[LABEL_QUEUE];
  return queue === undefined ? undefined : `${metadata.namespace}/${queue}`;
}
