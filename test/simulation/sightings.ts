import { CREATE_TIMEOUT_MS } from '../../operator/plan/lease.ts';
import { SECRETS } from '../../operator/world.ts';
import { slotOf } from './operator/operator.ts';
import { STATES, type State } from './states.ts';
import { Book } from './truth/book.ts';
import type { Run } from './truth/run.ts';
import type { Invariant, SentRequest, WorldView } from './truth/view.ts';

const NEARLY_TWELVE_HOURS_MS = 12 * 3_600_000 - 60_000;
/** Faults after which nobody knows whether the request was carried out. */
const UNANSWERED = new Set(['reset', 'lost', 'error', 'timeout']);

/** Counts what a history has seen. Not a check: it is watched like one. */
export class Sightings {
  readonly #seen = new Set<State>();

  see(state: State): void {
    this.#seen.add(state);
  }

  seen(): readonly State[] {
    return STATES.filter((state) => this.#seen.has(state));
  }

  /** Watches a world for the states that show in what is carried out. */
  readonly observer: Invariant = {
    id: '',
    name: 'sightings',
    sentence: '',
    watch: (world) => {
      const refused = new Set<string>();
      return {
        told: ({ reason }) => {
          if (reason === 'MessageAdopted') this.see('adoption');
          if (reason === 'IntakeHeld') this.see('intake held');
        },
        received: ({ id, wasDuplicated }, before) => {
          const isLapse = !wasDuplicated && world.book.liveRunsOf(id).length > 0;
          if (wasDuplicated) this.see('duplicate delivery');
          if (isLapse) this.see('lapse');
          if (isLapse && world.clock.now() - before.receivedAtMs > NEARLY_TWELVE_HOURS_MS)
            this.see('twelve hours');
          if (world.book.isDone(id)) this.see('redelivery after success');
        },
        deadLettered: () => this.see('redrive'),
        copied: () => this.see('dead-letter copy'),
        asked: (what, message, receiptHandle) => {
          const queue = world.queueOf(message.id);
          if (what !== 'delete' || !queue?.isFifo || message.place !== 'queue') return;
          const isStale = message.receiptHandle !== receiptHandle || message.visibleAtMs <= world.clock.now();
          if (isStale) {
            refused.add(message.id);
            this.see('FIFO handle expired at delete');
          } else if (refused.has(message.id)) this.see('FIFO late delete made good');
        },
        deleted: ({ id }) => {
          const early = world.book
            .runsOf(id)
            .some((run) => run.isIndexed && run.finished === 'no' && Book.unitOf(run, id)?.state === 'done');
          if (early) this.see('Indexed early delete');
        },
        made: (run) => {
          this.#seePayload(run, world);
          this.#seeLateness(run, world);
          if (run.units.length > 1) {
            this.see('batch of several');
            if (world.queueOf(run.units[0]?.messageId ?? '')?.isFifo) this.see('FIFO follower in one Job');
          }
          for (const { messageId } of run.units) {
            const earlier = world.book.runsOf(messageId);
            if (earlier.some(({ attempt }) => attempt < run.attempt)) this.see('second attempt');
            if (earlier.some(({ attempt }) => attempt === run.attempt)) this.see('second run after a fault');
          }
        },
        deleting: (run) => {
          if (run.finished === 'no' && run.hasRun && world.actor === 'world')
            this.see('Job deleted while it runs');
        },
        finished: (run) => {
          const states = new Set(run.units.map(({ state }) => state));
          if (states.has('rejected')) this.see('rejected');
          if (states.has('done') && states.size > 1) this.see('partial success');
          if (run.finished === 'complete' && states.has('failed')) this.see('contradicting result');
          if (run.failure === 'DeadlineExceeded') this.see('deadline exceeded');
        },
        discharged: (run) => {
          const isSuperseded = run.units.every(({ messageId }) =>
            world.book
              .runsOf(messageId)
              .some((other) => other.attempt === run.attempt && other.createdAtMs > run.createdAtMs),
          );
          if (isSuperseded) this.see('superseded run');
        },
      };
    },
    atEnd: ({ requests }) => this.#seeCreates(requests),
  };

  #seePayload({ namespace, name }: Run, { api }: WorldView): void {
    if (api.get(SECRETS, namespace, name)) this.see('Secret payload');
    if (api.get(SECRETS, namespace, `${name}-body`)) this.see('body in its own Secret');
  }

  /** Whoever asked for it has given up on it since. */
  #seeLateness({ name, by }: Run, { requests, clock }: WorldView): void {
    const sent = requests.findLast((request) => request.by === by && isCreateOf(request, name));
    if (sent && clock.now() - sent.atMs >= CREATE_TIMEOUT_MS) this.see('create carried out late');
  }

  #seeCreates(requests: readonly SentRequest[]): void {
    const last = new Map<string, SentRequest>();
    for (const request of requests) {
      const [, name, fault] = /^create jobs (\S+)(?: \((\w+)\))?$/.exec(request.what) ?? [];
      if (name === undefined) continue;
      if (fault !== undefined && UNANSWERED.has(fault)) this.see('create without an answer');
      const before = last.get(name);
      const isRace = before && request.atMs - before.atMs < CREATE_TIMEOUT_MS;
      if (isRace && slotOf(before.by) !== slotOf(request.by)) this.see('two operators racing a create');
      last.set(name, request);
    }
  }
}

function isCreateOf({ what }: SentRequest, name: string): boolean {
  return what === `create jobs ${name}` || what.startsWith(`create jobs ${name} `);
}
