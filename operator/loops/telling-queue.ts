import { hasCode, messageOf, OperatorError } from '../errors.ts';
import type { Fate } from '../plan/job-facts.ts';
import { isFifo } from '../plan/ledger.ts';
import type { QueueRef } from '../plan/message.ts';
import type { Settle, Verdict } from '../plan/plan.ts';
import type { EntryResult } from '../world.ts';
import { readCopies } from './dead-letter-copies.ts';
import type { World } from './interpreter.ts';

/** What SQS answered to one verdict. */
export interface Answer {
  readonly verdict: Verdict;
  /** `held`: a FIFO queue refused the delete because the handle had expired; it stays owed until the next delivery. */
  readonly fate: Fate;
  readonly error: OperatorError | undefined;
}

/**
 * Tells SQS every verdict of a settlement: deletes, returns, and copies to the dead-letter queue with the delete that
 * follows each confirmed one. A lost lease is an answer like any other: SQS has the message again. Never throws.
 */
export async function tellQueue(action: Settle, queue: QueueRef, world: World): Promise<readonly Answer[]> {
  if (isFifo(queue)) return tellInOrder(action, queue, world);
  const answers = await Promise.all([
    deleteAll(verdictsThat(action, 'delete'), queue, world),
    copyAll(action, verdictsThat(action, 'copy'), queue, world),
    ...returnsByDelay(action).map((verdicts) => returnAll(verdicts, queue, world)),
  ]);
  return answers.flat();
}

/** FIFO: one by one, and nothing after the first that was refused, because order is what the queue is for. */
async function tellInOrder(action: Settle, queue: QueueRef, world: World): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const verdict of action.verdicts) {
    const told = await tellOne(action, verdict, queue, world);
    answers.push(...told);
    if (told.some(({ error }) => error)) break;
  }
  return answers;
}

// oxlint-disable-next-line max-params -- one verdict, of what, to whom, where
async function tellOne(
  action: Settle,
  verdict: Verdict,
  queue: QueueRef,
  world: World,
): Promise<readonly Answer[]> {
  if (verdict.does === 'delete') return deleteAll([verdict], queue, world);
  if (verdict.does === 'copy') return copyAll(action, [verdict], queue, world);
  return returnAll([verdict], queue, world);
}

async function deleteAll(
  verdicts: readonly Verdict[],
  queue: QueueRef,
  world: World,
): Promise<readonly Answer[]> {
  const results = await called(verdicts, () => world.queue.delete(queue, verdicts.map(entryOf)));
  return verdicts.map((verdict, index) => {
    const error = results[index]?.error;
    if (error?.verdict !== 'lost') return { verdict, fate: 'deleted', error };
    // A standard queue has the message again and delivers it; the Job remembers that it is done.
    return { verdict, fate: isFifo(queue) ? 'held' : 'deleted', error: undefined };
  });
}

async function returnAll(
  verdicts: readonly Verdict[],
  queue: QueueRef,
  world: World,
): Promise<readonly Answer[]> {
  const delaySeconds = verdicts[0]?.delaySeconds ?? 0;
  const results = await called(verdicts, () =>
    world.queue.changeVisibility(queue, verdicts.map(entryOf), delaySeconds),
  );
  return verdicts.map((verdict, index) => {
    const error = results[index]?.error;
    const fate = verdict.does === 'reject' ? 'rejected' : 'released';
    return { verdict, fate, error: error?.verdict === 'lost' ? undefined : error };
  });
}

/** Deleted only once the dead-letter queue has confirmed the copy. A crash in between leaves two copies, never none. */
async function copyAll(
  action: Settle,
  verdicts: readonly Verdict[],
  queue: QueueRef,
  world: World,
): Promise<readonly Answer[]> {
  const { deadLetterArn } = action;
  if (verdicts.length === 0 || deadLetterArn === undefined) return [];
  const results = await called(verdicts, async () =>
    world.queue.sendToDeadLetter(queue, deadLetterArn, await readCopies(action, verdicts, world)),
  );
  const failed = verdicts.flatMap((verdict, index): Answer[] => {
    const error = results.find(({ id }) => id === verdict.message.id)?.error ?? results[index]?.error;
    return error ? [{ verdict, fate: 'deleted', error }] : [];
  });
  const stored = verdicts.filter((verdict) => !failed.some((answer) => answer.verdict === verdict));
  return [...failed, ...(await deleteAll(stored, queue, world))];
}

/** A call that fails as a whole fails each entry. */
async function called(
  verdicts: readonly Verdict[],
  send: () => Promise<readonly EntryResult[]>,
): Promise<readonly EntryResult[]> {
  if (verdicts.length === 0) return [];
  try {
    return await send();
  } catch (error) {
    const failure =
      error instanceof OperatorError
        ? error
        : new OperatorError({
            code: 'QueueUnreachable',
            verdict: 'retry',
            message: messageOf(error),
            cause: error,
          });
    return verdicts.map(({ message }) => ({ id: message.id, error: failure }));
  }
}

function verdictsThat({ verdicts }: Settle, does: Verdict['does']): readonly Verdict[] {
  return verdicts.filter((verdict) => verdict.does === does);
}

/** One request can give back messages that come back at the same time. */
function returnsByDelay({ verdicts }: Settle): readonly (readonly Verdict[])[] {
  const returns = verdicts.filter(({ does }) => does === 'release' || does === 'reject');
  return [...Map.groupBy(returns, ({ delaySeconds }) => delaySeconds).values()];
}

function entryOf({ message }: Verdict): { id: string; receiptHandle: string } {
  return { id: message.id, receiptHandle: message.receiptHandle };
}

/**
 * Nothing may hang for a queue that cannot be reached any more. A queue that does not exist is owed nothing, and neither is
 * one that nobody reads any more and whose ServiceAccount is gone. A Job that is being deleted waits for no release, because
 * the timeout gives the message back as well; and for a delete only as long as that may still work, because without it the
 * message runs again.
 */
export function mayGoUnsettled({ claim }: Settle, { verdict, error }: Answer, isUnread: boolean): boolean {
  const isReturn = verdict.does === 'release' || verdict.does === 'reject';
  if (claim.deleting && (isReturn || error?.verdict === 'terminal')) return true;
  return hasCode(error, 'QueueNotFound') || (isUnread && hasCode(error, 'ServiceAccountNotFound'));
}
