import type { Clock, KubeObject } from '../../../operator/ports.ts';
import { PODS } from '../../../operator/world.ts';
import type { SeededRandom } from '../../support/seeded-random.ts';
import type { Outcome } from '../worker/report.ts';
import type { ApiServer } from './api-server.ts';

/** How a pod goes once it has started. */
export interface Course {
  /** Infinity: until somebody ends it. */
  readonly runsForMs: number;
  readonly outcome: Outcome;
}

/** Why a pod does not start, in the kubelet's or scheduler's words; undefined: it starts. */
export type StartProblem =
  | { readonly kind: 'unschedulable'; readonly message: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  /** Its node will not have it: the pod has failed. */
  | { readonly kind: 'refused' };

export interface KubeletOptions {
  readonly api: ApiServer;
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** Asked when a pod starts. */
  readonly course: (pod: KubeObject) => Course;
  /** Told when a pod that ran has ended, before anybody else learns of it. */
  readonly ended: (pod: KubeObject, outcome: Outcome) => void;
  /** Asked when a pod could start, and again while it does not. */
  readonly startProblem: (pod: KubeObject) => StartProblem | undefined;
}

/** Ended by SIGTERM. */
const KILLED: Outcome = { exitCode: 143, report: '', done: new Set(), rejected: new Set() };
const LOOK_AGAIN_MS = 4_000;

/** Scheduler and kubelet: pods start, run and end, are asked to end and do so after a while, or are taken away. */
export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #hanging = new Set<KubeObject>();

  constructor(options: KubeletOptions) {
    this.#options = options;
    options.api.watch(({ plural, type, object, before }) => {
      if (plural !== PODS.plural || type === 'DELETED') return;
      if (type === 'ADDED') this.#after(100, 1_200, () => this.#start(object));
      const isAsked = object.metadata.deletionTimestamp !== undefined;
      if (isAsked && before?.metadata.deletionTimestamp === undefined)
        this.#after(200, 3_000, () => this.#end(object, KILLED));
    });
  }

  /** The node is drained or lost: the pod is ended through no fault of its own. */
  disrupt(pod: KubeObject): void {
    this.#write(pod, (current) => {
      const conditions = [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }];
      current['status'] = { ...Object(current['status']), conditions };
    });
    const { namespace = '', name } = pod.metadata;
    this.#options.api.delete(PODS, namespace, name);
  }

  /** Whatever would never end by itself ends now, without success. */
  endHanging(): void {
    for (const pod of this.#hanging) this.#end(pod, { ...KILLED, exitCode: 1 }, true);
    this.#hanging.clear();
  }

  #start(pod: KubeObject): void {
    const current = this.#current(pod);
    if (!current || phaseOf(current) !== 'Pending' || current.metadata.deletionTimestamp !== undefined)
      return;
    const problem = this.#options.startProblem(current);
    if (problem) {
      this.#write(pod, (object) => {
        object['status'] = waitingStatus(object, problem);
      });
      if (problem.kind !== 'refused') this.#after(LOOK_AGAIN_MS, LOOK_AGAIN_MS * 2, () => this.#start(pod));
      return;
    }
    const running = [{ name: 'worker', ready: true, state: { running: {} } }];
    this.#write(pod, (object) => {
      object['status'] = { phase: 'Running', containerStatuses: running };
    });
    const course = this.#options.course(current);
    if (!Number.isFinite(course.runsForMs)) this.#hanging.add(pod);
    else this.#options.clock.after(course.runsForMs, () => this.#end(pod, course.outcome, true));
  }

  #end(pod: KubeObject, outcome: Outcome, byItself = false): void {
    const { exitCode, report } = outcome;
    const current = this.#current(pod);
    if (!current || phaseOf(current) === 'Succeeded' || phaseOf(current) === 'Failed') return;
    // A worker that was asked to end and is done by then has done its work all the same.
    if (byItself && current.metadata.deletionTimestamp !== undefined && exitCode !== 0) return;
    const started = phaseOf(current) === 'Running';
    if (started) this.#options.ended(current, outcome);
    const terminated = { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', message: report };
    this.#write(pod, (object) => {
      object['status'] = {
        ...Object(object['status']),
        phase: exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: started ? [{ name: 'worker', state: { terminated } }] : [],
      };
    });
  }

  #current({ metadata: { namespace = '', name, uid } }: KubeObject): KubeObject | undefined {
    const current = this.#options.api.get(PODS, namespace, name);
    return current?.metadata.uid === uid ? current : undefined;
  }

  #write({ metadata: { namespace = '', name } }: KubeObject, change: (pod: KubeObject) => void): void {
    this.#options.api.update({ resource: PODS, namespace, name }, change);
  }

  #after(minMs: number, maxMs: number, task: () => void): void {
    this.#options.clock.after(this.#options.random.between(minMs, maxMs), task);
  }
}

export function phaseOf(pod: KubeObject): string {
  return String(Object(pod['status'])['phase'] ?? 'Pending');
}

function waitingStatus(pod: KubeObject, problem: StartProblem): object {
  if (problem.kind === 'refused') {
    const message = 'Pod was rejected: Allocate failed due to no healthy devices present';
    return { phase: 'Failed', reason: 'UnexpectedAdmissionError', message };
  }
  if (problem.kind === 'unschedulable') {
    const { message } = problem;
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
    return { ...Object(pod['status']), phase: 'Pending', conditions: [condition] };
  }
  const { reason, message } = problem;
  const containerStatuses = [{ name: 'worker', ready: false, state: { waiting: { reason, message } } }];
  return { phase: 'Pending', containerStatuses };
}
