import { LABEL_QUEUE } from '../../operator/api/names.ts';
import { parseLedger } from '../../operator/plan/ledger.ts';
import type { Clock, KubeObject } from '../../operator/ports.ts';
import { JOBS, PODS } from '../../operator/world.ts';
import type { FakeKubernetes } from './fake-kubernetes.ts';
import type { SeededRandom } from './seeded-random.ts';

/** How a Job goes: its pod runs that long and ends with that exit code. */
export interface Course {
  readonly runsForMs: number;
  readonly exitCode: number;
}

/** Which messages a pod works on (JSON), for the checks of tests. */
const POD_MESSAGES = 'test/messages';
const START_MS = 1_000;
const GRACE_MS = 2_000;

/** Job controller and kubelet: every Job gets a pod, which runs for a while and ends as the test says. */
export class FakeCluster {
  /** Every message that was in a Job when it became Complete. */
  readonly succeeded = new Set<string>();
  /** Decides how a Job goes when its pod starts. */
  course: (job: KubeObject) => Course = () => ({ runsForMs: 5_000, exitCode: 0 });
  readonly #kube: FakeKubernetes;
  readonly #clock: Clock;
  readonly #random: SeededRandom;

  constructor(kube: FakeKubernetes, clock: Clock, random: SeededRandom) {
    this.#kube = kube;
    this.#clock = clock;
    this.#random = random;
    kube.watch(({ plural, type, object }) => {
      if (plural === JOBS.plural && type === 'ADDED') this.#after(START_MS, () => this.#startPod(object));
      const isEnding =
        plural === PODS.plural && type === 'MODIFIED' && object.metadata.deletionTimestamp !== undefined;
      if (isEnding) this.#after(GRACE_MS, () => this.#removePod(object));
    });
  }

  /** True while a Job has neither succeeded nor failed. */
  static isActive(job: KubeObject): boolean {
    const conditions: unknown[] = Object(job['status'])['conditions'] ?? [];
    return conditions.length === 0;
  }

  static hasSucceeded(job: KubeObject): boolean {
    return Object(job['status'])['completionTime'] !== undefined;
  }

  /** True while a pod works on this message, asked to end or not. */
  isWorkedOn(id: string): boolean {
    return this.#kube
      .list(PODS)
      .items.some(
        ({ metadata, status }) =>
          Object(status)['phase'] === 'Running' && metadata.annotations?.[POD_MESSAGES]?.includes(id),
      );
  }

  #after(delayMs: number, task: () => void): void {
    this.#clock.after(delayMs + this.#random.between(0, 500), task);
  }

  /** The same Job still, not ended and, for a new pod, not being deleted. */
  #current(job: KubeObject): KubeObject | undefined {
    const { namespace = '', name, uid } = job.metadata;
    const now = this.#kube.get(JOBS, namespace, name);
    return now?.metadata.uid === uid && now && FakeCluster.isActive(now) ? now : undefined;
  }

  #startPod(job: KubeObject): void {
    const now = this.#current(job);
    if (!now || now.metadata.deletionTimestamp !== undefined) return;
    const { namespace = '', name, uid = '' } = job.metadata;
    this.#kube.create(PODS, namespace, {
      metadata: {
        name: podName(job),
        labels: {
          [LABEL_QUEUE]: job.metadata.labels?.[LABEL_QUEUE] ?? '',
          'batch.kubernetes.io/controller-uid': uid,
          'batch.kubernetes.io/job-name': name,
        },
        annotations: { [POD_MESSAGES]: JSON.stringify(parseLedger(job)?.messages.map(({ id }) => id) ?? []) },
        // The kubelet's part of a pod's deletion, seen from outside.
        finalizers: ['kubelet'],
        ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid }],
      },
      spec: { containers: [{ name: 'worker' }] },
      status: { phase: 'Running' },
    });
    this.#kube.update(JOBS, namespace, name, (object) => {
      object['status'] = { startTime: this.#time(), ready: 1 };
    });
    const { runsForMs, exitCode } = this.course(job);
    this.#after(runsForMs, () => this.#endPod(job, exitCode));
  }

  #endPod(job: KubeObject, exitCode: number): void {
    const { namespace = '', name } = job.metadata;
    const now = this.#current(job);
    const pod = this.#kube.get(PODS, namespace, podName(job));
    if (!now || !pod || pod.metadata.deletionTimestamp !== undefined) return;
    this.#kube.update(PODS, namespace, pod.metadata.name, (object) => {
      const terminated = { exitCode, reason: 'Error', message: `ended with ${exitCode}` };
      object.metadata.finalizers = [];
      object['status'] = {
        phase: exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [{ name: 'worker', state: { terminated } }],
      };
    });
    const time = this.#time();
    if (exitCode === 0) for (const { id } of parseLedger(now)?.messages ?? []) this.succeeded.add(id);
    this.#kube.update(JOBS, namespace, name, (object) => {
      const failed = { type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message: 'failed' };
      object['status'] = {
        ...Object(object['status']),
        ready: 0,
        ...(exitCode === 0
          ? { completionTime: time, conditions: [{ type: 'Complete', status: 'True' }] }
          : { conditions: [{ ...failed, lastTransitionTime: time }] }),
      };
    });
  }

  #removePod({ metadata: { namespace = '', name } }: KubeObject): void {
    this.#kube.update(PODS, namespace, name, (object) => {
      object.metadata.finalizers = [];
    });
  }

  #time(): string {
    return `${new Date(this.#clock.now()).toISOString().slice(0, 19)}Z`;
  }
}

/** The next Job of the same name has a pod of its own. */
function podName({ metadata: { name, uid } }: KubeObject): string {
  return `${name}-${uid}`;
}
