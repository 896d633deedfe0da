import { OperatorError } from '../../operator/errors.ts';
import type { Fence, Right } from '../../operator/ports.ts';

/** A fence that a test opens and closes, and that remembers what it was asked for. */
export class ClosableFence implements Fence {
  readonly asked: Right[] = [];
  #permitted: ReadonlySet<Right> = new Set<Right>(['lead', 'claim']);
  #change: PromiseWithResolvers<void> | undefined;

  /** Permits only these from now on. */
  narrow(...rights: readonly Right[]): void {
    this.#permitted = new Set(rights);
    this.#change?.resolve();
    this.#change = undefined;
  }

  /** From now on nothing is permitted, which may change again. */
  close(): void {
    this.narrow();
    this.#change = Promise.withResolvers();
  }

  permit(right: Right): void {
    this.asked.push(right);
    if (this.#permitted.has(right)) return;
    throw new OperatorError({ code: 'NotLeader', verdict: 'retry', message: 'not sent' });
  }

  whenChanged(): Promise<void> | undefined {
    return this.#change?.promise;
  }
}
