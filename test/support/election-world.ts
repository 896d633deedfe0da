import { OperatorError } from '../../operator/errors.ts';
import type { ElectionTimings } from '../../operator/kube/election.ts';
import { LeaderElector, type LeaderElectorOptions } from '../../operator/kube/leader-elector.ts';
import { LEASES } from '../../operator/kube/leader-lease.ts';
import type { WatchEvent } from '../../operator/kube/watch-stream.ts';
import { ApiServer } from '../simulation/kubernetes/api-server.ts';
import { kubeFailure } from '../simulation/kubernetes/failures.ts';
import { MemoryLog } from './logs.ts';
import { SeededRandom } from './seeded-random.ts';
import { VirtualClock } from './virtual-clock.ts';

const NAMESPACE = 'system';
const NAME = 'operator';

/**
 * One Lease at an API server, and any number of processes that stand for election: the real elector, each with its own
 * clock, and a network in between that is slow, loses requests and answers, and cuts processes off. `time` is true time.
 */
export class ElectionWorld {
  readonly time = new VirtualClock();
  readonly kube = new ApiServer(this.time);
  readonly random: SeededRandom;
  readonly timings: ElectionTimings;
  readonly log = new MemoryLog();
  readonly candidates: Candidate[] = [];
  /** Every request that was sent, e.g. `process-1 patch`. */
  readonly requests: string[] = [];
  /** Throws instead of carrying out a write; for an API server that refuses. */
  refuse: () => void = () => undefined;
  /** Probability that a request, or its answer, is lost. */
  loss = 0;
  /** Most milliseconds that a message takes in one direction. */
  latencyMs = 20;
  readonly #events: { readonly version: number; readonly event: WatchEvent }[] = [];
  readonly #violations: string[] = [];
  readonly #watchers = new Set<() => void>();

  constructor(seed: number, timings: ElectionTimings) {
    this.random = new SeededRandom(seed);
    this.timings = timings;
    this.kube.watch(({ type, object }) => {
      this.#events.push({ version: Number(object.metadata.resourceVersion), event: { type, object } });
      for (const tell of this.#watchers) tell();
    });
  }

  /** A new process that watches, and stands if not told otherwise. `rate`: how fast its clock goes. */
  join(rate = 1, { campaigns = true } = {}): Candidate {
    const candidate = new Candidate(this, `process-${this.candidates.length + 1}`, rate);
    this.candidates.push(candidate);
    candidate.elector.start();
    if (campaigns) candidate.elector.campaign();
    return candidate;
  }

  makeLease(): void {
    this.kube.create(LEASES, NAMESPACE, { metadata: { name: NAME }, spec: {} });
  }

  deleteLease(): void {
    if (this.kube.get(LEASES, NAMESPACE, NAME)) this.kube.delete(LEASES, NAMESPACE, NAME);
  }

  holder(): string | undefined {
    return Object(this.kube.get(LEASES, NAMESPACE, NAME)?.['spec'])['holderIdentity'];
  }

  transitions(): number | undefined {
    return Object(this.kube.get(LEASES, NAMESPACE, NAME)?.['spec'])['leaseTransitions'];
  }

  /** Who could send an effect at this very moment. */
  acting(): readonly string[] {
    return this.candidates.filter((candidate) => candidate.acts()).map(({ identity }) => identity);
  }

  /** Lets true time pass; throws as soon as two could act. Returns how much of it nobody acted, in milliseconds. */
  async pass(ms: number, everyMs = 50): Promise<number> {
    const endMs = this.time.now() + ms;
    let idleMs = 0;
    while (this.time.now() < endMs) {
      await this.time.advance(Math.min(everyMs, endMs - this.time.now()));
      this.check();
      if (this.acting().length === 0) idleMs += everyMs;
    }
    return idleMs;
  }

  /** Throws when two can act, or could at a moment that was noted. */
  check(): void {
    this.note();
    if (this.#violations.length > 0) throw new Error(this.#violations.join('; '));
  }

  /** Looks at this very moment, from inside a process, which must not throw. */
  note(): void {
    const acting = this.acting();
    if (acting.length > 1) this.#violations.push(`${acting.join(' and ')} act at once`);
  }

  /** Milliseconds of true time until somebody acts. */
  async untilSomebodyActs(withinMs: number): Promise<number> {
    const startMs = this.time.now();
    while (this.acting().length === 0) {
      if (this.time.now() - startMs >= withinMs) throw new Error(`nobody acts within ${withinMs} ms`);
      await this.pass(10, 10);
    }
    return this.time.now() - startMs;
  }

  clientOf(candidate: Candidate): LeaderElectorOptions['client'] {
    const { kube } = this;
    const call = <T>(verb: Verb, timeoutMs: number | undefined, carryOut: () => T) =>
      this.#call(candidate, { verb, timeoutMs: timeoutMs ?? 15_000 }, carryOut);
    return {
      get: (resource, namespace = '', name, options) =>
        call('get', options?.timeoutMs, () => kube.get(resource, namespace, name)),
      list: (resource) => call('list', undefined, () => kube.list(resource, { namespace: NAMESPACE })),
      create: (resource, namespace = '', body, options) =>
        call('create', options?.timeoutMs, () => kube.create(resource, namespace, body)),
      patch: (resource, namespace = '', ...[name, body, { timeoutMs }]) =>
        call('patch', timeoutMs, () => kube.patch(resource, namespace, name, { body, type: 'merge' })),
      watch: (_, { resourceVersion }) => this.#watch(candidate, Number(resourceVersion)),
    };
  }

  async #call<T>(
    candidate: Candidate,
    { verb, timeoutMs }: { verb: Verb; timeoutMs: number },
    carryOut: () => T,
  ): Promise<T> {
    this.requests.push(`${candidate.identity} ${verb}`);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const isWrite = verb === 'create' || verb === 'patch';
    const lost = () =>
      new OperatorError({
        code: 'RequestTimeout',
        verdict: 'retry',
        message: 'lost',
        outcomeUnknown: isWrite,
      });
    candidate.after(timeoutMs, () => reject(lost()));
    if (!this.#isLost(candidate)) {
      // The network does not wait for a process that sleeps; only its answers do.
      this.time.after(this.#delayMs(), () => {
        const outcome = outcomeOf(() => {
          if (isWrite) this.refuse();
          return carryOut();
        });
        if (this.#isLost(candidate)) return;
        this.time.after(this.#delayMs(), () =>
          candidate.whenAwake(() => (outcome.ok ? resolve(outcome.value) : reject(outcome.error))),
        );
      });
    }
    return await promise;
  }

  async *#watch(candidate: Candidate, after: number): AsyncGenerator<WatchEvent, void> {
    if (candidate.isDeaf) await new Promise<void>(() => undefined);
    let next = this.#events.findIndex(({ version }) => version > after);
    if (next === -1) next = this.#events.length;
    yield { type: 'OPENED' };
    for (;;) {
      const found = this.#events[next];
      if (found === undefined) {
        await new Promise<void>((resolve) => {
          const tell = () => {
            this.#watchers.delete(tell);
            resolve();
          };
          this.#watchers.add(tell);
        });
        continue;
      }
      next += 1;
      if (candidate.isDeaf) await new Promise<void>(() => undefined);
      await new Promise<void>((resolve) => {
        this.time.after(this.#delayMs(), () => candidate.whenAwake(resolve));
      });
      // A stream that breaks: the reflector comes again, later.
      if (this.#isLost(candidate)) throw kubeFailure('Unavailable', 'retry');
      yield found.event;
    }
  }

  #isLost(candidate: Candidate): boolean {
    return candidate.isCutOff || this.random.chance(this.loss);
  }

  #delayMs(): number {
    return this.random.between(1, this.latencyMs);
  }
}

type Verb = 'get' | 'list' | 'create' | 'patch';

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

function outcomeOf<T>(carryOut: () => T): Outcome<T> {
  try {
    return { ok: true, value: carryOut() };
  } catch (error) {
    return { ok: false, error };
  }
}

/** One process: may sleep, be cut off, be killed, and have a clock of its own. */
export class Candidate {
  readonly identity: string;
  readonly elector: LeaderElector;
  /** What it was told: `lead`, `fenced`, `lost`. */
  readonly told: string[] = [];
  isCutOff = false;
  /** Its watch has died, and nobody said so. */
  isDeaf = false;
  /** Added to the date of this machine; says nothing about how much time passes. */
  dateOffsetMs = 0;
  readonly #world: ElectionWorld;
  readonly #rate: number;
  readonly #bornAtMs: number;
  #isAlive = true;
  #isAsleep = false;
  #waiting: (() => void)[] = [];

  constructor(world: ElectionWorld, identity: string, rate: number) {
    this.#world = world;
    this.identity = identity;
    this.#rate = rate;
    this.#bornAtMs = world.time.now();
    this.elector = new LeaderElector({
      client: world.clientOf(this),
      namespace: NAMESPACE,
      name: NAME,
      identity,
      timings: world.timings,
      monotonic: {
        elapsedMs: () => 5_000 + (world.time.now() - this.#bornAtMs) * this.#rate,
        after: (delayMs, task) => this.after(delayMs, task),
      },
      clock: {
        now: () => world.time.now() + this.dateOffsetMs,
        after: (delayMs, task) => this.after(delayMs, task),
      },
      random: world.random.next,
      log: world.log,
      onLead: () => {
        this.told.push('lead');
        world.note();
      },
      onFenced: () => this.told.push('fenced'),
      // As the operator does.
      onLost: () => {
        this.told.push('lost');
        this.kill();
      },
    });
  }

  acts(): boolean {
    return this.#isAlive && !this.#isAsleep && this.elector.isLeading();
  }

  isAlive(): boolean {
    return this.#isAlive;
  }

  kill(): void {
    this.#isAlive = false;
    this.#waiting = [];
  }

  /** SIGSTOP. */
  sleep(): void {
    this.#isAsleep = true;
  }

  /** SIGCONT: what fell due meanwhile happens now, in the order in which it did. */
  wake(): void {
    this.#isAsleep = false;
    // Before it could know that it slept.
    this.#world.check();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const task of waiting) task();
  }

  /** Runs a task of this process now, or when it wakes; never for one that is gone. */
  whenAwake(task: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isAsleep) this.#waiting.push(task);
    else task();
  }

  /** A timer by this process's own clock. */
  after(delayMs: number, task: () => void): () => void {
    return this.#world.time.after(Math.ceil(delayMs / this.#rate), () => this.whenAwake(task));
  }
}
