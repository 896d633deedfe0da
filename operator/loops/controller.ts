import { LABEL_QUEUE } from '../api/names.ts';
import type { KubeObject, Random } from '../ports.ts';
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

export interface ControllerOptions {
  readonly world: Omit<World, 'heartbeat' | 'queueUsers'>;
  readonly random: Random;
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
  #draining = false;

  constructor({ world, random }: ControllerOptions) {
    this.#random = random;
    this.#world = {
      ...world,
      heartbeat: new Heartbeat({
        queue: world.queue,
        clock: world.clock,
        log: world.log,
        onLost: (key) => this.#queue.add(key),
        onRestored: (key) => this.#queue.add(key),
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

  /**
   * Stops intake and waits for the polls under way, which end by themselves within some twenty seconds. What they bring
   * still becomes Jobs. Then stops everything; running Jobs keep their messages for as long as their leases last, which
   * is what the next process has to come back in.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    const { clock, log } = this.#world;
    const endMs = clock.now() + deadlineMs;
    const polls = Promise.all([...this.#sessions.values()].map(({ intake }) => intake.drain()));
    await Promise.race([polls, this.#sleep(deadlineMs)]);
    while (this.#inboxSize() > 0 && clock.now() < endMs) await this.#sleep(DRAIN_RECHECK_MS);
    const left = this.#inboxSize();
    if (left > 0)
      log.warn({ messages: left }, 'stopped with received messages that have no job; their leases run out');
    await this.#queue.stop();
    for (const { observer } of this.#sessions.values()) observer.watch(undefined);
    this.#world.heartbeat.stop();
  }

  async #turn(key: string): Promise<TurnResult> {
    const [namespace = '', name = ''] = key.split('/');
    const session = this.#session(key);
    const result = await reconcile(namespace, name, session, this.#world);
    return this.#dropIfGone(key, namespace, name) ? {} : result;
  }

  #session(key: string): QueueSession {
    const known = this.#sessions.get(key);
    if (known) return known;
    const { queue, clock, log, heartbeat } = this.#world;
    const session = new QueueSession({
      key,
      queue,
      clock,
      heartbeat,
      random: this.#random,
      log: log.child({ queue: key }),
      onChange: () => this.#queue.add(key),
    });
    this.#sessions.set(key, session);
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
      void session.intake.untilIdle().then(() => this.#queue.add(key));
      return false;
    }
    this.#sessions.delete(key);
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

/** The index of the caches of Jobs, pods and revisions: which BatchQueue an object belongs to. */
export function ownerKey({ metadata }: KubeObject): string | undefined {
  const queue = metadata.labels?.[LABEL_QUEUE];
  return queue === undefined ? undefined : `${metadata.namespace}/${queue}`;
}
