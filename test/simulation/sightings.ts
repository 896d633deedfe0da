import { Book } from './truth/book.ts';
import type { Invariant } from './truth/view.ts';

/** States that a simulation should reach; one that is never reached in many seeds is a hole in it. */
export const STATES = [
  'adoption',
  'lapse',
  'redelivery after success',
  'redrive',
  'dead-letter copy',
  'second attempt',
  'second run after a fault',
  'superseded run',
  'batch of several',
  'partial success',
  'contradicting result',
  'rejected',
  'Indexed early delete',
  'FIFO follower in one Job',
  'FIFO handle expired at delete',
  'FIFO late delete made good',
  'intake held',
  'Job deleted while it runs',
  'BatchQueue deleted with Jobs',
  'BatchQueue orphaned',
  'BatchQueue made again',
  'namespace deleted',
  'pod disrupted and replaced',
  'pods that never start',
  'node refuses pods',
  'quota refused a Job',
  'crash before a request',
  'crash when a request is carried out',
  'crash when a request is answered',
  'operator paused',
  'SIGTERM during work',
  'watch gone and listed again',
  'duplicate delivery',
  'expired by retention',
] as const;

export type State = (typeof STATES)[number];

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
        received: ({ id, wasDuplicated }) => {
          if (wasDuplicated) this.see('duplicate delivery');
          else if (world.book.liveRunsOf(id).length > 0) this.see('lapse');
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
  };
}
