import { z } from 'zod';
import type { BatchQueue } from '../api/batch-queue.ts';
import { buildJob, nameOfJob } from './job.ts';
import type { Claim } from './job-facts.ts';
import { ledgerMessageFrom, ledgerOf } from './ledger.ts';
import type { InboxMessage } from './message.ts';
import { traceparentOf } from './messages-file.ts';
import { payloadOf, planPayload } from './payload.ts';
import type { ClaimAction, RerunAction } from './plan.ts';
import { readJson } from './read-json.ts';
import type { Revision } from './revision-facts.ts';

/** What shall run as one Job. */
export interface ClaimIngredients {
  readonly queue: BatchQueue;
  readonly revision: Revision;
  readonly messages: readonly InboxMessage[];
  readonly attempt: number;
  /** The number in the Job's name; the attempt unless said. */
  readonly lock?: number;
}

/** The Job that claims these messages and the Secrets it needs; undefined when they are too large to travel. */
export function buildClaim({
  queue,
  revision,
  messages,
  attempt,
  lock = attempt,
}: ClaimIngredients): ClaimAction | undefined {
  const { visibilityTimeoutSeconds } = queue.spec.queue;
  const ledger = ledgerOf(messages, { attempt, lock, visibilityTimeoutSeconds });
  const planned = planPayload(queue, messages, attempt, nameOfJob(queue, ledger));
  if (!planned) return undefined;
  const [only, ...others] = messages;
  const traceparent = only && others.length === 0 ? traceparentOf(only) : undefined;
  const job = buildJob({ queue, revision, ledger, payload: planned.payload, traceparent });
  return { kind: 'claim', messages, job, secrets: planned.secrets };
}

/** What a rerun is made of. */
export interface RerunIngredients {
  readonly queue: BatchQueue;
  readonly revision: Revision;
  readonly claim: Claim;
  /** Deliveries of its messages since then: the new Job takes their receipt handles. */
  readonly inbox: readonly InboxMessage[];
}

/**
 * The next run of the attempt that this claim stands for, under the current revision, with the same messages travelling
 * the same way. Undefined when the Job does not tell any more what they were.
 */
export function buildRerun({ queue, revision, claim, inbox }: RerunIngredients): RerunAction | undefined {
  const { ledger, job } = claim;
  const payload = payloadOf(job);
  if (!ledger || !payload) return undefined;
  const ours = inbox.filter(({ queue: { arn } }) => arn === ledger.queue.arn);
  const redelivered = ours.filter((message) =>
    ledger.messages.some(({ id, receiveCount }) => id === message.id && receiveCount < message.receiveCount),
  );
  const messages = ledger.messages.map((held) => {
    const again = redelivered.find(({ id }) => id === held.id);
    return again ? ledgerMessageFrom(again) : held;
  });
  const next = { ...ledger, run: ledger.run + 1, messages };
  const traceparent = messages.length === 1 ? traceparentIn(payload.inline) : undefined;
  return {
    kind: 'rerun',
    claim,
    redelivered,
    job: buildJob({ queue, revision, ledger: next, payload, traceparent }),
  };
}

const recordsSchema = z.array(
  z.object({
    messageAttributes: z.record(z.string(), z.object({ stringValue: z.string().optional() })),
  }),
);

function traceparentIn(messagesFile: string | undefined): string | undefined {
  const [record] = readJson(messagesFile, recordsSchema) ?? [];
  return record && traceparentOf(record);
}
