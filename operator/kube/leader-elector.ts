import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Clock, Fence, KubeObject, Log, MonotonicClock, Random, Right } from '../ports.ts';
import { type Election, type ElectionTimings, leads, nextStep, type Sighting, sighted } from './election.ts';
import {
  LEASES,
  type LeaderLease,
  leaderLeaseFrom,
  releasedSpec,
  renewedSpec,
  takenSpec,
} from './leader-lease.ts';
import { Reflector } from './reflector.ts';
import { compareResourceVersions } from './resource-version.ts';
import type { RestClient } from './rest-client.ts';

/** A release that gets no answer in this time is left to the Lease's own end. */
const RELEASE_TIMEOUT_MS = 2_000;

export interface LeaderElectorOptions {
  /** With connections of its own, so that no other call can hold up a renewal; never behind the fence. */
  readonly client: Pick<RestClient, 'get' | 'create' | 'patch' | 'list' | 'watch'>;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Of this process, and of no other that ever was. */
  readonly identity: string;
  readonly timings: ElectionTimings;
  readonly monotonic: MonotonicClock;
  /** For what people read in the Lease, and for the watch's own waits; nothing is decided by it. */
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This process leads: for the first time, or again after `onFenced`. */
  readonly onLead: () => void;
  /** The Lease could not be renewed in time. It may be renewed yet, if nobody has taken it. */
  readonly onFenced: () => void;
  /** Another process has taken the Lease. The elector has stopped. */
  readonly onLost: (holder: string) => void;
}

type Phase = 'observing' | 'campaigning' | 'handed over' | 'lost';

/**
 * Stands for election and keeps the Lease; `election.ts` decides, this carries out. It is the fence too: the right to act
 * ends by the clock, so that a process which slept is refused before it knows that it slept.
 *
 *     observing ──campaign──► standby ──Lease free──► leading ◄──renewed── fenced
 *                                │                       │ └──no renewal in time──► │
 *                                │                       │                         └──another holder──► lost
 *                                └──handOver──► handed over ◄──handOver──┘
 *
 * Crash: the Lease stays as it is, and another process takes it once it has not changed for the lease duration.
 */
export class LeaderElector implements Fence {
  readonly #options: LeaderElectorOptions;
  readonly #reflector: Reflector;
  #phase: Phase = 'observing';
  #sighting: Sighting | undefined;
  #isOutdated = false;
  #renewedAtMs: number | undefined;
  #heardAtMs: number;
  #notBeforeMs = 0;
  #conflicts = 0;
  #claimsUntilMs = 0;
  #hasAnnounced = false;
  #loop: Promise<void> | undefined;
  #wake = (): void => undefined;
  #changed = Promise.withResolvers<void>();

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#heardAtMs = options.monotonic.elapsedMs();
    const { client, namespace, name, clock, random } = options;
    this.#reflector = new Reflector({
      client,
      resource: LEASES,
      namespace,
      fieldSelector: `metadata.name=${name}`,
      clock,
      random,
      log: options.log.child({ watch: LEASES.plural }),
      onChange: (object) => this.#onWatched(object),
    });
  }

  /** Begins to watch the Lease, so that the time for which it has not changed runs from here on. */
  start(): void {
    if (this.#loop) return;
    this.#reflector.start();
    this.#loop = this.#run();
  }

  /** Takes the Lease from now on, when it is free. To be called when this process is ready to act. */
  campaign(): void {
    if (this.#phase !== 'observing') return;
    this.#phase = 'campaigning';
    this.#wake();
  }

  isLeading(): boolean {
    if (this.#phase !== 'campaigning') return false;
    const { identity, timings } = this.#options;
    const holder = { identity, timings, sighting: this.#sighting, renewedAtMs: this.#renewedAtMs };
    return leads(holder, this.#nowMs());
  }

  permit(right: Right): void {
    if (this.isLeading()) return;
    if (right === 'claim' && this.#nowMs() < this.#claimsUntilMs) return;
    throw new OperatorError({
      code: 'NotLeader',
      verdict: 'retry',
      message: `not sent: this process does not hold the Lease ${this.#options.name}`,
    });
  }

  whenChanged(): Promise<void> | undefined {
    return this.isLeading() || this.#isOver() ? undefined : this.#changed.promise;
  }

  /**
   * Stops leading at once, and gives the Lease away so that another process need not wait. A leader may go on to create
   * the Jobs of what it has received for `claimsForMs`. Resolves when the Lease is released, or is left to its own end.
   */
  async handOver(claimsForMs: number): Promise<void> {
    if (this.#phase === 'handed over' || this.#phase === 'lost') return;
    this.#claimsUntilMs = this.isLeading() ? this.#nowMs() + claimsForMs : 0;
    this.#end('handed over');
    // A write under way would make the resourceVersion that we know an old one.
    await this.#loop;
    await this.#release();
    await this.#reflector.stop();
  }

  async #run(): Promise<void> {
    while (!this.#isOver()) {
      this.#announce();
      const nowMs = this.#nowMs();
      const step = nextStep(this.#election(), nowMs);
      switch (step.kind) {
        case 'wait':
          await this.#pause(Math.min(step.untilMs, this.#deadlineMs(nowMs)) - nowMs);
          break;
        case 'lost':
          this.#lose(step.holder);
          break;
        case 'look':
          await this.#attempt(() => this.#look());
          break;
        case 'take':
          await this.#attempt(() => this.#take(step.lease));
          break;
        case 'renew':
          await this.#attempt(() => this.#write(step.lease, renewedSpec(this.#holding())));
      }
    }
  }

  async #attempt(request: () => Promise<void>): Promise<void> {
    const startedAtMs = this.#nowMs();
    try {
      await request();
      this.#notBeforeMs = 0;
    } catch (error) {
      if (hasCode(error, 'Conflict') || hasCode(error, 'AlreadyExists') || hasCode(error, 'NotFound')) {
        // Somebody was faster, or an answer to ourselves was lost: what stands there tells.
        this.#isOutdated = true;
        this.#conflicts += 1;
        if (this.#conflicts === 1) return;
      }
      this.#notBeforeMs = startedAtMs + this.#options.timings.retryPeriodMs;
      this.#options.log.warn({ error: messageOf(error) }, 'request for the leader lease failed');
    }
  }

  async #look(): Promise<void> {
    const { client, namespace, name } = this.#options;
    this.#see(await client.get(LEASES, namespace, name, { timeoutMs: this.#timeoutMs() }));
    this.#isOutdated = false;
  }

  async #take(lease: LeaderLease | undefined): Promise<void> {
    const spec = takenSpec(lease, this.#holding());
    if (lease) return await this.#write(lease, spec);
    const { client, namespace, name } = this.#options;
    const startedAtMs = this.#nowMs();
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec };
    this.#confirm(
      await client.create(LEASES, namespace, body, { timeoutMs: this.#timeoutMs() }),
      startedAtMs,
    );
  }

  /** Only if the Lease is still as it was seen: `Conflict`. */
  async #write({ resourceVersion }: LeaderLease, spec: object): Promise<void> {
    const { client, namespace, name } = this.#options;
    const startedAtMs = this.#nowMs();
    const body = { metadata: { resourceVersion }, spec };
    const options = { type: 'merge', timeoutMs: this.#timeoutMs() } as const;
    this.#confirm(await client.patch(LEASES, namespace, name, body, options), startedAtMs);
  }

  /** The Lease is ours from when the request began: that is earlier than anybody can have seen it. */
  #confirm(answer: KubeObject, startedAtMs: number): void {
    this.#see(answer);
    this.#renewedAtMs = startedAtMs;
    this.#conflicts = 0;
  }

  #onWatched(object: KubeObject): void {
    const seen = this.#sighting?.lease?.resourceVersion;
    if (compareResourceVersions(object.metadata.resourceVersion, seen) <= 0) return;
    this.#see(this.#reflector.store.get(this.#options.namespace, this.#options.name));
    this.#wake();
  }

  #see(object: KubeObject | undefined): void {
    this.#heardAtMs = this.#nowMs();
    this.#sighting = sighted(this.#sighting, object && leaderLeaseFrom(object), this.#heardAtMs);
  }

  /** Tells the listeners when what `isLeading` says has changed. */
  #announce(): void {
    const isLeading = this.isLeading();
    if (isLeading === this.#hasAnnounced) return;
    this.#hasAnnounced = isLeading;
    const { log, identity, onLead, onFenced } = this.#options;
    if (isLeading) {
      log.info({ identity }, 'leading');
      this.#tellChange();
      onLead();
    } else {
      log.warn({ identity }, 'fenced: the leader lease could not be renewed in time');
      onFenced();
    }
  }

  #lose(holder: string): void {
    const { log, identity, onLost } = this.#options;
    this.#end('lost');
    log.warn({ identity, holder }, 'lost the leader lease');
    void this.#reflector.stop();
    onLost(holder);
  }

  #end(phase: Phase): void {
    this.#phase = phase;
    this.#tellChange();
    this.#wake();
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  async #release(): Promise<void> {
    const { client, namespace, name, identity, clock, log } = this.#options;
    const lease = this.#sighting?.lease;
    if (lease?.holder !== identity) return;
    const body = { metadata: { resourceVersion: lease.resourceVersion }, spec: releasedSpec(clock.now()) };
    try {
      await client.patch(LEASES, namespace, name, body, { type: 'merge', timeoutMs: RELEASE_TIMEOUT_MS });
      log.info({ identity }, 'leader lease released');
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'leader lease could not be released, it ends by itself');
    }
  }

  #election(): Election {
    const { identity, timings } = this.#options;
    return {
      identity,
      timings,
      sighting: this.#sighting,
      isOutdated: this.#isOutdated,
      renewedAtMs: this.#renewedAtMs,
      heardAtMs: this.#heardAtMs,
      notBeforeMs: this.#notBeforeMs,
      isCandidate: this.#phase === 'campaigning',
    };
  }

  #holding() {
    const { identity, timings, clock } = this.#options;
    return { identity, leaseDurationMs: timings.leaseDurationMs, nowMs: clock.now() };
  }

  /** When this process stops acting without a renewal, for as long as it acts. */
  #deadlineMs(nowMs: number): number {
    const { renewDeadlineMs } = this.#options.timings;
    const deadlineMs = (this.#renewedAtMs ?? Number.POSITIVE_INFINITY) + renewDeadlineMs;
    return deadlineMs > nowMs ? deadlineMs : Number.POSITIVE_INFINITY;
  }

  /** Two tries within the deadline, also when the first connection is a dead one. */
  #timeoutMs(): number {
    return this.#options.timings.renewDeadlineMs / 2;
  }

  #isOver(): boolean {
    return this.#phase === 'handed over' || this.#phase === 'lost';
  }

  #nowMs(): number {
    return this.#options.monotonic.elapsedMs();
  }

  async #pause(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const cancel = this.#options.monotonic.after(delayMs, resolve);
    await promise;
    cancel();
  }
}
