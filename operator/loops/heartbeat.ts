import { messageOf, type OperatorError } from '../errors.ts';
import { dueAt, outlivesCreate, renewalSeconds, trustedUntil } from '../plan/lease.ts';
import type { QueueRef } from '../plan/message.ts';
import type { Lease } from '../plan/plan.ts';
import { readerKey } from '../plan/queue-reader.ts';
import { remember } from '../plan/remember.ts';
import type { Clock, Log } from '../ports.ts';
import type { EntryResult, MessageQueue } from '../world.ts';

/** How soon a failed renewal is tried again, in milliseconds. */
const RETRY_MS = 1_000;
/** SQS renews at most ten leases per request. */
const MAX_PER_REQUEST = 10;

export interface HeartbeatOptions {
  readonly queue: MessageQueue;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * A lease ended although it was kept: SQS said so, it could not be renewed in time, or its twelve hours are over. The
   * message will be delivered again and its Job adopts it. Told once for each delivery.
   */
  readonly onLost: (key: string, messageId: string) => void;
  /** What SQS said to a renewal; `error` undefined: yes. */
  readonly onAnswer?: (key: string, queue: QueueRef, error: OperatorError | undefined) => void;
  /** A lease that had run out, or nearly so, is good again: what waited for it may go on. */
  readonly onRestored: (key: string) => void;
}

interface Kept {
  readonly key: string;
  lease: Lease;
  /** 0 once it has run out: SQS does not say so on standard queues, and a renewal that succeeds proves nothing then. */
  trustedUntilMs: number;
  /** Its end has been told. */
  told: boolean;
  /** When to renew next, in epoch ms; infinity at the twelve-hour ceiling and after the lease is lost. */
  dueAtMs: number;
  /** The renewal under way, if any; never rejects. */
  renewal: Promise<void> | undefined;
}

/**
 * Renews leases, and may do nothing else. It depends on SQS alone: neither the API server nor the reconciler nor
 * another queue can stop it, because it keeps what it was last told to keep. One timer serves all leases.
 *
 * After a crash every lease of an unfinished Job is published again from its ledger; as nothing is known of their last
 * renewal they are all due at once.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #kept = new Map<string, Kept>();
  /** The same leases by key: a turn of one BatchQueue must not look at those of all others. */
  readonly #idsOf = new Map<string, Set<string>>();
  #cancelTimer: (() => void) | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Keeps a lease that a receive has just taken; `lease.receivedAtMs` is when that request started. */
  hold(key: string, lease: Lease): void {
    this.#keep(key, lease);
  }

  /**
   * Replaces everything kept under `key`: leases that are not named any more are no longer renewed, and run out by
   * themselves.
   */
  publish(key: string, leases: readonly Lease[]): void {
    const named = new Set(leases.map(idOfLease));
    for (const id of this.#idsOf.get(key) ?? []) if (!named.has(id)) this.#forget(id);
    for (const lease of leases) this.#keep(key, lease);
  }

  /**
   * Stops renewing these messages. Resolves when no renewal of theirs is under way any more, so that a release that
   * follows cannot be overtaken by one.
   */
  async withdraw(queue: QueueRef, messageIds: readonly string[]): Promise<void> {
    const renewals: Promise<void>[] = [];
    for (const messageId of messageIds) {
      const id = idOf({ queue, messageId });
      const renewal = this.#kept.get(id)?.renewal;
      if (renewal) renewals.push(renewal);
      this.#forget(id);
    }
    await Promise.all(renewals);
  }

  /** Until when (epoch ms) nobody else can receive the message; 0 when its lease is not kept or lost. */
  trustedUntil(queue: QueueRef, messageId: string): number {
    return this.#kept.get(idOf({ queue, messageId }))?.trustedUntilMs ?? 0;
  }

  /** Ends the timer. Leases run out by themselves. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
  }

  /** One turn: renews what is due now. Resolves when SQS has answered; a failure is tried again by a later turn. */
  async beat(): Promise<void> {
    const now = this.#options.clock.now();
    const due = [...this.#kept.values()].filter((kept) => kept.dueAtMs <= now && !kept.renewal);
    for (const kept of due) this.#noticeEnd(kept, now);
    const renewable = due.filter(({ dueAtMs }) => Number.isFinite(dueAtMs));
    await Promise.all(groupForRenewal(renewable, now).map((group) => this.#renew(group)));
  }

  /** At the ceiling nothing more can be had, and SQS must be left to deliver the message once more. */
  #noticeEnd(kept: Kept, nowMs: number): void {
    if (renewalSeconds(kept.lease, nowMs) === undefined) {
      kept.dueAtMs = Number.POSITIVE_INFINITY;
      this.#end(kept, 'lease ends after twelve hours');
    } else if (kept.trustedUntilMs !== 0 && kept.trustedUntilMs <= nowMs) {
      this.#end(kept, 'lease ran out before it could be renewed');
    }
  }

  #keep(key: string, lease: Lease): void {
    const id = idOfLease(lease);
    const known = this.#kept.get(id);
    if (known?.lease === lease && known.key === key) return;
    if (known && known.lease.receivedAtMs > lease.receivedAtMs) return;
    if (known?.lease.receiptHandle === lease.receiptHandle && known.key === key) {
      const { visibilityTimeoutSeconds: before } = known.lease;
      // Another ServiceAccount may read the queue from now on.
      known.lease = lease;
      if (before !== lease.visibilityTimeoutSeconds) {
        // A receive may have asked for longer than its Job's ledger does.
        const dueAtMs = dueAt(lease.receivedAtMs, lease.visibilityTimeoutSeconds);
        if (Number.isFinite(known.dueAtMs)) known.dueAtMs = Math.min(known.dueAtMs, dueAtMs);
        this.#wakeAt(known.dueAtMs);
      }
      return;
    }
    const trustedUntilMs = trustedUntil(lease.receivedAtMs, lease.visibilityTimeoutSeconds);
    this.#put(id, {
      key,
      lease,
      // Of a lease from before a restart nobody knows whether it was renewed.
      trustedUntilMs: trustedUntilMs > this.#options.clock.now() ? trustedUntilMs : 0,
      told: false,
      dueAtMs: dueAt(lease.receivedAtMs, lease.visibilityTimeoutSeconds),
      renewal: undefined,
    });
  }

  #put(id: string, kept: Kept): void {
    this.#forget(id);
    this.#kept.set(id, kept);
    const ids = this.#idsOf.get(kept.key) ?? new Set();
    this.#idsOf.set(kept.key, ids.add(id));
    this.#wakeAt(kept.dueAtMs);
  }

  #forget(id: string): void {
    const key = this.#kept.get(id)?.key;
    if (key === undefined) return;
    this.#kept.delete(id);
    const ids = this.#idsOf.get(key);
    ids?.delete(id);
    if (ids?.size === 0) this.#idsOf.delete(key);
  }

  /** Sees to it that a turn comes then, or earlier. */
  #wakeAt(dueAtMs: number): void {
    if (this.#stopped || dueAtMs >= this.#timerAtMs) return;
    this.#cancelTimer?.();
    this.#timerAtMs = dueAtMs;
    this.#cancelTimer = this.#options.clock.after(Math.max(0, dueAtMs - this.#options.clock.now()), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      void this.beat();
      let earliest = Number.POSITIVE_INFINITY;
      for (const kept of this.#kept.values()) if (!kept.renewal) earliest = Math.min(earliest, kept.dueAtMs);
      this.#wakeAt(earliest);
    });
  }

  async #renew({ queue, seconds, members }: RenewalGroup): Promise<void> {
    const startedAtMs = this.#options.clock.now();
    const entries = members.map(({ lease }) => ({ id: lease.messageId, receiptHandle: lease.receiptHandle }));
    const renewal = this.#options.queue
      .renew(queue, entries, seconds)
      .catch((error: unknown) => {
        // The adapter answers per entry; a rejection means that nothing could be sent at all.
        this.#options.log.warn({ queue: queue.arn, error: messageOf(error) }, 'renewal failed');
        return undefined;
      })
      .then((results) => this.#record({ queue, seconds, members }, results, startedAtMs));
    for (const member of members) member.renewal = renewal;
    await renewal;
  }

  #record(group: RenewalGroup, results: readonly EntryResult[] | undefined, startedAtMs: number): void {
    for (const [index, kept] of group.members.entries()) {
      kept.renewal = undefined;
      const error = results?.[index]?.error;
      if (results) this.#options.onAnswer?.(kept.key, group.queue, error);
      if (results && !error) {
        this.#renewed(kept, group.seconds, startedAtMs);
      } else if (error?.verdict === 'lost') {
        kept.dueAtMs = Number.POSITIVE_INFINITY;
        this.#end(kept, 'lease lost');
      } else {
        kept.dueAtMs = this.#options.clock.now() + RETRY_MS;
      }
      this.#wakeAt(kept.dueAtMs);
    }
  }

  /**
   * A standard queue says yes to whatever handle comes too late, and nothing has happened then. So a lease that had run
   * out when its renewal was sent is renewed further for its Job, but never trusted again.
   */
  #renewed(kept: Kept, seconds: number, startedAtMs: number): void {
    kept.dueAtMs = dueAt(startedAtMs, seconds);
    if (kept.trustedUntilMs === 0) return;
    const wasShort = !outlivesCreate(kept.trustedUntilMs, startedAtMs);
    kept.trustedUntilMs = trustedUntil(startedAtMs, seconds);
    if (wasShort) this.#options.onRestored(kept.key);
  }

  #end(kept: Kept, text: string): void {
    kept.trustedUntilMs = 0;
    // Withdrawn in the meantime: its settlement made the handle invalid, nothing is lost.
    if (kept.told || this.#kept.get(idOf(kept.lease)) !== kept) return;
    kept.told = true;
    this.#options.log.warn({ queue: kept.key, messageId: kept.lease.messageId }, text);
    this.#options.onLost(kept.key, kept.lease.messageId);
  }
}

interface RenewalGroup {
  readonly queue: QueueRef;
  readonly seconds: number;
  readonly members: readonly Kept[];
}

/**
 * One request can renew ten leases, if they are of one queue and ask for the same time. Requests stand alone: one that
 * SQS is slow to answer keeps no other lease from being renewed again in time.
 */
function groupForRenewal(due: readonly Kept[], nowMs: number): readonly RenewalGroup[] {
  const groups: RenewalGroup[] = [];
  const open = new Map<string, Kept[]>();
  for (const kept of due) {
    const seconds = renewalSeconds(kept.lease, nowMs) ?? 0;
    const id = `${readerKey(kept.lease.queue)} ${seconds}`;
    const members = open.get(id);
    if (members && members.length < MAX_PER_REQUEST) {
      members.push(kept);
      continue;
    }
    const first = [kept];
    open.set(id, first);
    groups.push({ queue: kept.lease.queue, seconds, members: first });
  }
  return groups;
}

/** With the namespace, so that no ledger can name a lease that is kept for another tenant. */
function idOf({ queue, messageId }: Pick<Lease, 'queue' | 'messageId'>): string {
  return `${queue.namespace} ${queue.arn} ${messageId}`;
}

/** Every turn names every lease of its key again. */
const idOfLease = remember((lease: Lease) => idOf(lease));
