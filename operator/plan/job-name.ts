import { createHash } from 'node:crypto';

/** Kubernetes puts a Job's name into a pod label, which holds at most 63 characters. */
const MAX_JOB_NAME = 63;
const HASH_LENGTH = 16;
/** Room for the suffix of a repeated run (`-r99`). */
const RUN_SUFFIX = 4;
const MAX_PREFIX = MAX_JOB_NAME - HASH_LENGTH - 1 - RUN_SUFFIX;

/** What a Job is named after. */
export interface JobIdentity {
  readonly batchQueueName: string;
  readonly queueArn: string;
  /** Of the first message, where a Job holds several. */
  readonly messageId: string;
  /** One more than the attempt of the newest Job of this message; 1 when there is none. */
  readonly lock: number;
  /** From 1. */
  readonly run: number;
}

/**
 * The name of the Job for one attempt at one message: the lock that makes it run once. Nothing goes into it that two
 * observers can see differently (revision, UID, receive count, time), so any number of operators agree on it; who knows
 * fewer Jobs of the message than there are finds the name taken. A Job of
 * several messages is named after the first; what keeps the others from running twice stands in `batch.ts`.
 *
 * The hash is the first 80 bits of SHA-256 in base 32, sixteen characters. Runs after the first add `-r2` and so on.
 */
export function jobName(identity: JobIdentity): string {
  const { batchQueueName, queueArn, messageId, lock, run } = identity;
  const hash = createHash('sha256')
    .update(JSON.stringify([queueArn, messageId, lock]))
    .digest();
  const prefix = batchQueueName.slice(0, MAX_PREFIX).replace(/-+$/, '');
  const suffix = run > 1 ? `-r${run}` : '';
  return `${prefix}-${base32(hash).slice(0, HASH_LENGTH)}${suffix}`;
}

/** Lower-case base 32 (letters a–v and digits, RFC 4648's extended alphabet): every character is legal in a DNS label. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ((value >>> bits) & 31).toString(32);
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ((value << (5 - bits)) & 31).toString(32) : text;
}
