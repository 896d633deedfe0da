import { z } from 'zod';
import type { KubeObject } from '../../operator/ports.ts';

/** A Job from its creation on, also when it is gone. */
export interface JobRecord {
  readonly uid: string;
  readonly name: string;
  /** Ids of the messages it was created for. */
  readonly messages: readonly string[];
  /** Those of them that are not settled. */
  held: readonly string[];
  state: 'active' | 'succeeded' | 'failed';
  /** A settlement is owed for it. */
  isOwing: boolean;
  isGone: boolean;
}

/**
 * What has happened to the Jobs of one namespace, state by committed state, and what was wrong with any of them. Fed
 * by watches, so it sees what a short run in between would hide from somebody who only looks at the end. It reads Jobs
 * by itself: a judge must not share the eyes of the judged.
 */
export class NamespaceHistory {
  readonly #jobs = new Map<string, JobRecord>();
  readonly #pods = new Map<string, KubeObject>();
  readonly #violations = new Set<string>();
  readonly #listeners = new Set<() => void>();

  /** In the order in which they were created. */
  jobs(): readonly JobRecord[] {
    return [...this.#jobs.values()];
  }

  /** The pods that are there. */
  pods(): readonly KubeObject[] {
    return [...this.#pods.values()];
  }

  /** Every state that must not have been. */
  violations(): readonly string[] {
    return [...this.#violations];
  }

  /** The Jobs that were made for a message, in order. */
  jobsOf(messageId: string): readonly JobRecord[] {
    return this.jobs().filter(({ messages }) => messages.includes(messageId));
  }

  /** Calls the listener after every change; the returned function ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  takeJob(job: KubeObject, isGone: boolean): void {
    const uid = job.metadata.uid ?? '';
    const known = this.#jobs.get(uid);
    const { messages, held } = ledgerOf(job);
    const gone = isGone || known?.isGone === true;
    const seen = { held, state: stateOf(job), isOwing: isOwing(job), isGone: gone };
    if (known) Object.assign(known, seen);
    else this.#jobs.set(uid, { uid, name: job.metadata.name, messages, ...seen });
    this.#findSecondActiveJobs();
    this.#tell();
  }

  takePod(pod: KubeObject, isGone: boolean): void {
    const uid = pod.metadata.uid ?? '';
    if (isGone) this.#pods.delete(uid);
    else this.#pods.set(uid, pod);
    this.#tell();
  }

  /** At no moment may a message be in two Jobs that may run it. */
  #findSecondActiveJobs(): void {
    const active = this.jobs().filter(({ state, isGone }) => !isGone && state === 'active');
    for (const [index, job] of active.entries())
      for (const other of active.slice(index + 1))
        for (const id of job.held)
          if (other.held.includes(id))
            this.#violations.add(`message ${id} had two active Jobs, ${job.name} and ${other.name}`);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

const indexes = z.string().default('').transform(indexesIn);
const ledgerSchema = z.object({
  messages: z.array(z.object({ id: z.string() })),
  deleted: indexes,
  released: indexes,
  rejected: indexes,
});
const statusSchema = z.object({
  conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
});

function ledgerOf({ metadata }: KubeObject): Pick<JobRecord, 'messages' | 'held'> {
  const text = metadata.annotations?.['batchqueue.io/ledger'];
  if (text === undefined) return { messages: [], held: [] };
  const { messages, deleted, released, rejected } = ledgerSchema.parse(JSON.parse(text));
  const ids = messages.map(({ id }) => id);
  const settled = new Set([...deleted, ...released, ...rejected]);
  return { messages: ids, held: ids.filter((_, index) => !settled.has(index)) };
}

/** Kubernetes' text form: `0-4,6`. */
function indexesIn(text: string): readonly number[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
    });
}

function stateOf(job: KubeObject): JobRecord['state'] {
  const { conditions } = statusSchema.parse(job['status'] ?? {});
  const isTrue = (type: string) => conditions.some((found) => found.type === type && found.status === 'True');
  if (isTrue('Complete')) return 'succeeded';
  return isTrue('Failed') ? 'failed' : 'active';
}

function isOwing({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes('batchqueue.io/settlement') ?? false;
}
