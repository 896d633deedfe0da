import { LABEL_QUEUE } from '../../operator/api/names.ts';
import { hasCode } from '../../operator/errors.ts';
import { ACCEPT } from '../../operator/kube/rest-client.ts';
import { readWatchEvents } from '../../operator/kube/watch-stream.ts';
import type { KubeObject } from '../../operator/ports.ts';
import { JOBS, PODS } from '../../operator/world.ts';
import type { Stage } from './stage.ts';
import { inParallel, until } from './wait.ts';

const MESSAGE_ID = 'batchqueue.io/message-id';
const JOBS_PATH = '/apis/batch/v1/namespaces';
/** Requests at once that end Jobs or remove them. */
const PARALLEL = 16;

/** How long Jobs run: for a time after the Job controller has started them, or as long as so many may run at once. */
export type Work =
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'room'; readonly jobs: number };

/** A Job that was made while the benchmark watched. */
export interface SeenJob {
  readonly name: string;
  readonly queue: string;
  /** Undefined for a batch. */
  readonly messageId: string | undefined;
  /** When the watch told of it (`performance.now()`). */
  readonly seenAtMs: number;
}

/**
 * Watches Jobs and plays what runs them. Only the Job's status is written, in one patch that the API server accepts beside a running Job controller: start time, both
 * conditions of success and the completion time are there, no pod is active or uncounted. The controller leaves a
 * finished Job alone.
 */
export class JobWatch {
  readonly #stage: Stage;
  readonly #seen: SeenJob[] = [];
  readonly #byMessage = new Map<string, SeenJob>();
  readonly #started = new Set<string>();
  /** Names of Jobs that run, the oldest first. */
  readonly #running: string[] = [];
  /** Names of Jobs that are about to end. */
  readonly #ending: string[] = [];
  #enders = 0;
  readonly #waiting = new Map<string, (job: SeenJob) => void>();
  readonly #abort = new AbortController();
  readonly #problems: unknown[] = [];
  #work: Work | undefined;

  private constructor(stage: Stage) {
    this.#stage = stage;
  }

  static async start(stage: Stage): Promise<JobWatch> {
    const watch = new JobWatch(stage);
    const { resourceVersion } = await stage.client.list(JOBS, { namespace: stage.namespace, limit: 1 });
    const opened = Promise.withResolvers<void>();
    void watch.#run(resourceVersion, opened.resolve);
    await opened.promise;
    return watch;
  }

  /** For Jobs that start from now on, and with `room` also for those that run; undefined: they run without end. */
  setWork(work: Work | undefined): void {
    this.#work = work;
    this.#makeRoom();
  }

  /** Every Job of this BatchQueue that was made. Throws what went wrong with the watch, if anything did. */
  jobsOf(queue: string): readonly SeenJob[] {
    if (this.#problems.length > 0) throw this.#problems[0];
    return this.#seen.filter((job) => job.queue === queue);
  }

  /** The Job of a message, as soon as there is one. */
  jobOf(messageId: string): Promise<SeenJob> {
    const known = this.#byMessage.get(messageId);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.#waiting.set(messageId, resolve);
    });
  }

  stop(): void {
    this.#abort.abort();
  }

  async #run(from: string, onOpened: () => void): Promise<void> {
    let resourceVersion = from;
    try {
      // The API server ends a watch now and then; the next one goes on where it ended.
      for (;;) resourceVersion = await this.#watchFrom(resourceVersion, onOpened);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#problems.push(error);
    }
  }

  /** Until the watch ends; up to where it came. */
  async #watchFrom(resourceVersion: string, onOpened: () => void): Promise<string> {
    const { transport, namespace } = this.#stage;
    const query = new URLSearchParams({ watch: 'true', resourceVersion, timeoutSeconds: '3600' });
    const response = await transport.send({
      method: 'GET',
      path: `${JOBS_PATH}/${namespace}/jobs?${query.toString()}`,
      // Names and labels only: the less the benchmark reads, the less it takes from what it measures.
      headers: { accept: ACCEPT.metadata },
      signal: this.#abort.signal,
      isStream: true,
    });
    let seen = resourceVersion;
    for await (const event of readWatchEvents({ text: 'watch jobs', isWrite: false }, response.body)) {
      if (event.type === 'OPENED') onOpened();
      else if (event.type === 'ADDED') this.#note(event.object);
      else if (event.type === 'MODIFIED') this.#noteStart(event.object);
      if ('object' in event) seen = event.object.metadata.resourceVersion ?? seen;
    }
    return seen;
  }

  #note({ metadata: { name, labels = {} } }: KubeObject): void {
    const messageId = labels[MESSAGE_ID];
    const job = { name, queue: labels[LABEL_QUEUE] ?? '', messageId, seenAtMs: performance.now() };
    this.#seen.push(job);
    if (messageId === undefined) return;
    this.#byMessage.set(messageId, job);
    this.#waiting.get(messageId)?.(job);
    this.#waiting.delete(messageId);
  }

  /** The first change of a Job is the Job controller's: it has a start time now. */
  #noteStart({ metadata: { uid = '', name } }: KubeObject): void {
    if (this.#started.has(uid)) return;
    this.#started.add(uid);
    if (this.#work?.kind === 'time') setTimeout(() => this.#end(name), this.#work.ms);
    else this.#running.push(name);
    this.#makeRoom();
  }

  #makeRoom(): void {
    if (this.#work?.kind !== 'room') return;
    for (const name of this.#running.splice(0, this.#running.length - this.#work.jobs)) this.#end(name);
  }

  #end(name: string): void {
    this.#ending.push(name);
    if (this.#enders < PARALLEL) void this.#endAll();
  }

  async #endAll(): Promise<void> {
    this.#enders += 1;
    for (let name = this.#ending.shift(); name !== undefined; name = this.#ending.shift())
      await endJob(this.#stage, name).catch((error: unknown) => this.#problems.push(error));
    this.#enders -= 1;
  }
}

async function endJob({ client, namespace }: Stage, name: string): Promise<void> {
  const now = new Date().toISOString();
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: 'CompletionsReached',
    message: 'ended by the benchmark',
    lastProbeTime: now,
    lastTransitionTime: now,
  });
  const status = {
    conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
    completionTime: now,
    succeeded: 1,
    active: 0,
    ready: 0,
    terminating: 0,
  };
  const options = { type: 'strategic', subresource: 'status', answer: 'metadata' } as const;
  await client.patch(JOBS, namespace, name, { status }, options);
}

/** Removes all Jobs and pods, whatever holds them; nothing of them goes on when this returns. No operator may run. */
export async function clearJobs(stage: Stage): Promise<void> {
  const { client, namespace } = stage;
  const { items } = await client.list(JOBS, { namespace });
  await deleteCollection(stage, `${JOBS_PATH}/${namespace}/jobs`);
  await inParallel(
    items,
    async ({ metadata: { name } }) => {
      const free = { metadata: { finalizers: null } };
      await client.patch(JOBS, namespace, name, free, { type: 'merge' }).catch(unlessGone);
    },
    PARALLEL,
  );
  await until('Jobs and pods to be gone', 120_000, async () => {
    const jobs = await client.list(JOBS, { namespace, limit: 1 });
    const pods = await client.list(PODS, { namespace, limit: 1 });
    if (jobs.items.length === 0 && pods.items.length > 0)
      await deleteCollection(stage, `/api/v1/namespaces/${namespace}/pods`);
    return jobs.items.length + pods.items.length === 0;
  });
}

/** A Job that nothing held is gone already. */
function unlessGone(error: unknown): void {
  if (!hasCode(error, 'NotFound')) throw error;
}

async function deleteCollection({ transport }: Stage, path: string): Promise<void> {
  const response = await transport.send({
    method: 'DELETE',
    path,
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      gracePeriodSeconds: 0,
    }),
    signal: AbortSignal.timeout(60_000),
  });
  await response.body.text();
}
