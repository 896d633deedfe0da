import type { Clock, KubeObject } from '../../../operator/ports.ts';
import { JOBS, PODS } from '../../../operator/world.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import type { ApiServer } from './api-server.ts';
import { isFinished, type JobState, newState, startable, statusOf } from './job-state.ts';
import { phaseOf } from './kubelet.ts';
import { judgeFailedPod } from './pod-failure.ts';

const TRACKING = 'batch.kubernetes.io/job-tracking';
/** The label of a pod with the uid of its Job. */
export const JOB_UID = 'batch.kubernetes.io/controller-uid';
/** Doubled with every failure of an index. */
const MIN_PAUSE_MS = 10_000;
const JOB_NAME = 'batch.kubernetes.io/job-name';
const INDEX = 'batch.kubernetes.io/job-completion-index';

export interface JobControllerOptions {
  readonly api: ApiServer;
  readonly clock: Clock;
  readonly random: SeededRandom;
}

/**
 * The Job controller: NonIndexed and Indexed Jobs, parallelism, podFailurePolicy, `backoffLimit` and
 * `backoffLimitPerIndex`, `activeDeadlineSeconds`. Complete and Failed come only after all pods have ended
 * (since 1.31). A Job that is being deleted gets no new pods; whether those that end are still counted is a matter of
 * chance, as it is with the real one.
 */
export class JobController {
  readonly #options: JobControllerOptions;
  readonly #states = new Map<string, JobState>();

  constructor(options: JobControllerOptions) {
    this.#options = options;
    options.api.watch(({ plural, type, object }) => {
      if (plural === JOBS.plural && type === 'ADDED') this.#adopt(object);
      if (plural === JOBS.plural && type === 'DELETED') this.#states.delete(object.metadata.uid ?? '');
      if (plural === PODS.plural && type === 'MODIFIED') this.#notice(object);
    });
  }

  #adopt(job: KubeObject): void {
    this.#states.set(job.metadata.uid ?? '', newState(job));
    this.#after(50, 900, () => this.#sync(job));
  }

  #sync(job: KubeObject): void {
    const current = this.#current(job);
    if (!current) return;
    const { job: now, state } = current;
    const isOpen = this.#options.api.accepts(job.metadata.namespace ?? '');
    if (isOpen && !state.failing && now.metadata.deletionTimestamp === undefined) {
      state.startTime ??= this.#begin(now);
      for (const index of startable(state)) this.#makePod(now, state, index);
    }
    this.#writeStatus(now, state);
  }

  /** The start of a Job: its deadline counts from here. */
  #begin(job: KubeObject): string {
    const seconds: unknown = Object(job['spec'])['activeDeadlineSeconds'];
    if (typeof seconds === 'number')
      this.#options.clock.after(seconds * 1_000, () => {
        const current = this.#current(job);
        if (!current) return;
        current.state.failing ??= {
          reason: 'DeadlineExceeded',
          message: 'Job was active longer than specified deadline',
        };
        this.#endPods(current.job, current.state);
        this.#writeStatus(current.job, current.state);
      });
    return this.#options.api.time();
  }

  #makePod(job: KubeObject, state: JobState, index: number): void {
    const { namespace = '', name, uid = '' } = job.metadata;
    const template = Object(Object(job['spec'])['template']);
    const { labels = {}, annotations = {} } = Object(template['metadata']);
    state.podsMade += 1;
    // The next Job of the same name has pods of its own.
    const podName = `${name}-${uid.replace('uid-', '')}-${state.podsMade}`;
    this.#options.api.create(PODS, namespace, {
      metadata: {
        name: podName,
        labels: { ...labels, [JOB_UID]: uid, [JOB_NAME]: name },
        annotations: { ...annotations, ...(state.indexed && { [INDEX]: String(index) }) },
        finalizers: [TRACKING],
        ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true }],
      },
      spec: template['spec'],
      status: { phase: 'Pending' },
    });
    state.pods.set(index, podName);
  }

  #notice(pod: KubeObject): void {
    const phase = phaseOf(pod);
    if (phase === 'Pending') return;
    const delayMs = this.#options.random.between(20, 600);
    this.#options.clock.after(delayMs, () => {
      if (phase === 'Running') this.#sync(jobOf(pod));
      else this.#count(pod);
    });
  }

  /** Takes an ended pod into account and lets it go. */
  #count(pod: KubeObject): void {
    const current = this.#current(jobOf(pod));
    if (pod.metadata.finalizers?.includes(TRACKING)) this.#letGo(pod);
    if (!current) return;
    const { job, state } = current;
    const index = indexOf(pod);
    if (state.pods.get(index) !== pod.metadata.name) return;
    state.pods.delete(index);
    const isStopping = job.metadata.deletionTimestamp !== undefined;
    if (!(isStopping && this.#options.random.chance(0.5))) this.#record({ job, state }, pod, index);
    this.#sync(job);
  }

  #record({ job, state }: Current, pod: KubeObject, index: number): void {
    if (phaseOf(pod) === 'Succeeded') {
      state.completed.add(index);
      return;
    }
    const { action, message } = judgeFailedPod(job, pod);
    if (action === 'Ignore') return;
    state.failures += 1;
    if (action === 'FailJob') {
      state.failing ??= { reason: 'PodFailurePolicy', message };
      this.#endPods(job, state);
    } else if (action === 'FailIndex') state.failedIndexes.add(index);
    else if (Object(job['spec'])['backoffLimitPerIndex'] !== undefined) this.#countFailure(job, state, index);
    else if (!state.failing) {
      const words = 'Job has reached the specified backoff limit';
      state.failing = { reason: 'BackoffLimitExceeded', message: words };
      this.#endPods(job, state);
    }
  }

  /** Another pod after a while, or none any more. */
  #countFailure(job: KubeObject, state: JobState, index: number): void {
    const failures = (state.failuresOfIndex.get(index) ?? 0) + 1;
    state.failuresOfIndex.set(index, failures);
    if (failures > Number(Object(job['spec'])['backoffLimitPerIndex'])) {
      state.failedIndexes.add(index);
      return;
    }
    state.pausing.add(index);
    this.#options.clock.after(MIN_PAUSE_MS * 2 ** (failures - 1), () => {
      state.pausing.delete(index);
      this.#sync(job);
    });
  }

  #endPods(job: KubeObject, state: JobState): void {
    const { namespace = '' } = job.metadata;
    for (const name of state.pods.values()) {
      const pod = this.#options.api.get(PODS, namespace, name);
      if (pod && pod.metadata.deletionTimestamp === undefined)
        this.#options.api.delete(PODS, namespace, name);
    }
  }

  #letGo(pod: KubeObject): void {
    const { namespace = '', name, uid } = pod.metadata;
    if (this.#options.api.get(PODS, namespace, name)?.metadata.uid !== uid) return;
    this.#options.api.update({ resource: PODS, namespace, name }, (object) => {
      object.metadata.finalizers = object.metadata.finalizers?.filter((each) => each !== TRACKING) ?? [];
    });
  }

  #writeStatus(job: KubeObject, state: JobState): void {
    const { namespace = '', name } = job.metadata;
    const ready = [...state.pods.values()].filter((pod) => {
      const object = this.#options.api.get(PODS, namespace, pod);
      return object !== undefined && phaseOf(object) === 'Running';
    }).length;
    const conditions = this.#final(job, state);
    const isComplete = conditions?.some(({ type }) => type === 'Complete') ?? false;
    this.#options.api.update({ resource: JOBS, namespace, name }, (object) => {
      object['status'] = {
        ...statusOf(state, ready),
        ...(isComplete && { completionTime: this.#options.api.time() }),
        ...(conditions && { conditions }),
      };
    });
  }

  /** The final conditions, once every pod has ended and the outcome is known. */
  #final({ metadata }: KubeObject, state: JobState): readonly { type: string }[] | undefined {
    if (state.pods.size > 0) return undefined;
    const lastTransitionTime = this.#options.api.time();
    const condition = (type: string, reason: string, message: string) => ({
      type,
      status: 'True',
      reason,
      message,
      lastTransitionTime,
    });
    const { failing } = state;
    if (failing)
      return [
        condition('FailureTarget', failing.reason, failing.message),
        condition('Failed', failing.reason, failing.message),
      ];
    if (state.completed.size === state.completions)
      return [
        condition('SuccessCriteriaMet', 'CompletionsReached', ''),
        condition('Complete', 'CompletionsReached', `Job ${metadata.name} completed`),
      ];
    if (state.completed.size + state.failedIndexes.size === state.completions)
      return [condition('Failed', 'FailedIndexes', 'Job has failed indexes')];
    return undefined;
  }

  /** The same Job still, not finished. */
  #current({ metadata }: Pick<KubeObject, 'metadata'>): Current | undefined {
    const { namespace = '', name, uid = '' } = metadata;
    const job = this.#options.api.get(JOBS, namespace, name);
    const state = this.#states.get(uid);
    return job && state && job.metadata.uid === uid && !isFinished(job) ? { job, state } : undefined;
  }

  #after(minMs: number, maxMs: number, task: () => void): void {
    this.#options.clock.after(this.#options.random.between(minMs, maxMs), task);
  }
}

interface Current {
  readonly job: KubeObject;
  readonly state: JobState;
}

/** The index a pod of an Indexed Job works on; 0 for others. */
export function indexOf(pod: KubeObject): number {
  return Number(pod.metadata.annotations?.[INDEX] ?? 0);
}

/** Names the Job that a pod was made for; an orphan has no owner reference any more. */
export function jobOf({ metadata }: KubeObject): Pick<KubeObject, 'metadata'> {
  const { namespace = '', labels = {} } = metadata;
  return { metadata: { namespace, name: labels[JOB_NAME] ?? '', uid: labels[JOB_UID] ?? '' } };
}
