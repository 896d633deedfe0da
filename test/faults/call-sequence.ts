/**
 * Where a call is when its process may be ended: the server has not seen it; the server has done it and nobody has the
 * answer; the answer has been handed over.
 */
export type Place = 'before' | 'committed' | 'answered';

/** In the order in which a call comes by them. */
export const PLACES: readonly Place[] = ['before', 'committed', 'answered'];

/** A call by what stays the same from run to run: the nth of its kind, from 1. */
export interface CallName {
  /** `create jobs`, `ReceiveMessage` … */
  readonly kind: string;
  readonly ordinal: number;
}

/** Where a process is to be ended. */
export interface CrashPoint extends CallName {
  readonly place: Place;
}

/** One call as it came by. */
export interface Call extends CallName {
  /** Among all calls of the process, from 1. */
  readonly number: number;
  /** How far it has come. */
  readonly place: Place;
}

/** What a proxy asks at each place of a call; false: the call goes no further, and nobody waits for it any more. */
export type Passage = (place: Place) => boolean;

/** Gives each call that comes in its passage. */
export interface Tollgate {
  open(kind: string): Passage;
}

/** How long a process has to read its last answer, in milliseconds; its next call ends it at once. */
const LAST_READ_MS = 25;

/**
 * The calls of one process in one sequence, whichever proxy they come through, and the one place in it where the
 * process ends. From that moment on nothing of it goes any further, not even what it had already sent: the moment is the
 * same for every server, and exact.
 */
export class CallSequence implements Tollgate {
  readonly #point: CrashPoint | undefined;
  readonly #calls: { number: number; kind: string; ordinal: number; place: Place }[] = [];
  readonly #ordinals = new Map<string, number>();
  readonly #struck = Promise.withResolvers<void>();
  #kill: () => void = () => undefined;
  #isClosed = false;

  /** Undefined: nothing ends the process. */
  constructor(point?: CrashPoint) {
    this.#point = point;
  }

  /** How to end the process; to be given before it can have made a call. */
  killWith(kill: () => void): void {
    this.#kill = kill;
  }

  /** Every call so far, in order. */
  calls(): readonly Call[] {
    return this.#calls;
  }

  /** Resolves when the process has been ended. */
  struck(): Promise<void> {
    return this.#struck.promise;
  }

  hasStruck(): boolean {
    return this.#isClosed;
  }

  open(kind: string): Passage {
    if (this.#isClosed) {
      // It has read its last answer and gone on.
      this.#end();
      return () => false;
    }
    const ordinal = (this.#ordinals.get(kind) ?? 0) + 1;
    this.#ordinals.set(kind, ordinal);
    const call = { number: this.#calls.length + 1, kind, ordinal, place: 'before' as Place };
    this.#calls.push(call);
    return (place) => {
      if (this.#isClosed) return false;
      call.place = place;
      if (!this.#isPoint(call)) return true;
      this.#isClosed = true;
      if (place === 'answered') setTimeout(() => this.#end(), LAST_READ_MS);
      else this.#end();
      return false;
    };
  }

  #isPoint({ kind, ordinal, place }: CrashPoint): boolean {
    const point = this.#point;
    return point !== undefined && kind === point.kind && ordinal === point.ordinal && place === point.place;
  }

  #end(): void {
    this.#kill();
    this.#struck.resolve();
  }
}
