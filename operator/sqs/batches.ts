import { chunksOf } from '../chunks.ts';
import type { EntryResult } from '../world.ts';
import { type Call, sqsEntryError, sqsError } from './sqs-errors.ts';

/** SQS allows ten entries per batch request. */
export const MAX_BATCH = 10;

/** What a batch call says about its entries; entry ids are the entries' positions in the batch. */
export interface BatchAnswer {
  readonly Successful?: readonly { readonly Id?: string | undefined }[] | undefined;
  readonly Failed?:
    | readonly {
        readonly Id?: string | undefined;
        readonly Code?: string | undefined;
        readonly Message?: string | undefined;
      }[]
    | undefined;
}

/** How batches are sent. */
export interface BatchCall<T> extends Call {
  readonly send: (batch: readonly T[]) => Promise<BatchAnswer>;
  /** One after the other, for the sake of order; otherwise all at the same time. */
  readonly inOrder: boolean;
}

/** Splits into batches of ten. */
export function inTens<T>(entries: readonly T[]): readonly (readonly T[])[] {
  return chunksOf(entries, MAX_BATCH);
}

/**
 * Sends batches and says of every entry what has become of it, in the order of the entries. A batch that fails as a
 * whole fails each of its entries, and no other batch; an entry that an answer does not mention has failed as well.
 */
export async function sendBatches<T extends { readonly id: string }>(
  batches: readonly (readonly T[])[],
  call: BatchCall<T>,
): Promise<readonly EntryResult[]> {
  if (!call.inOrder) return (await Promise.all(batches.map((batch) => sendOne(batch, call)))).flat();
  const results: EntryResult[] = [];
  for (const batch of batches) results.push(...(await sendOne(batch, call)));
  return results;
}

async function sendOne<T extends { readonly id: string }>(
  batch: readonly T[],
  call: BatchCall<T>,
): Promise<readonly EntryResult[]> {
  try {
    const answer = await call.send(batch);
    return batch.map(({ id }, index) => ({ id, error: errorOf(String(index), answer, call) }));
  } catch (error) {
    return batch.map(({ id }) => ({ id, error: sqsError(call, error) }));
  }
}

function errorOf(entryId: string, { Successful, Failed }: BatchAnswer, call: Call): EntryResult['error'] {
  const failure = Failed?.find(({ Id }) => Id === entryId);
  if (failure) return sqsEntryError(call, failure.Code, failure.Message);
  if (Successful?.some(({ Id }) => Id === entryId)) return undefined;
  return sqsEntryError(call, 'Unanswered', 'the answer does not mention this entry of the batch');
}
