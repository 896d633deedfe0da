import type { KubeObject } from '../../../operator/ports.ts';

/** What the Job controller knows of one Job. */
export interface JobState {
  readonly indexed: boolean;
  readonly completions: number;
  readonly parallelism: number;
  readonly completed: Set<number>;
  readonly failedIndexes: Set<number>;
  /** Names of pods that have not ended, by index; a Job that is not Indexed has one at 0. */
  readonly pods: Map<number, string>;
  podsMade: number;
  /** How many pods of an index have failed, and the indexes that wait before they get another one. */
  readonly failuresOfIndex: Map<number, number>;
  readonly pausing: Set<number>;
  failures: number;
  startTime: string | undefined;
  /** Why the Job is to fail, once that is known; pods are ended first. */
  failing: { readonly reason: string; readonly message: string } | undefined;
}

export function newState(job: KubeObject): JobState {
  const { completionMode, completions = 1, parallelism = 1 } = Object(job['spec']);
  return {
    indexed: completionMode === 'Indexed',
    completions: Number(completions),
    parallelism: Number(parallelism),
    completed: new Set(),
    failedIndexes: new Set(),
    pods: new Map(),
    podsMade: 0,
    failuresOfIndex: new Map(),
    pausing: new Set(),
    failures: 0,
    startTime: undefined,
    failing: undefined,
  };
}

/** True once a Job has Complete or Failed; for good. */
export function isFinished(job: KubeObject): boolean {
  return hasCondition(job, 'Complete') || hasCondition(job, 'Failed');
}

export function hasCondition(job: KubeObject, type: string): boolean {
  const conditions: unknown[] = Object(job['status'])['conditions'] ?? [];
  return conditions.some(
    (condition) => Object(condition)['type'] === type && Object(condition)['status'] === 'True',
  );
}

/** The reason of a condition that is true. */
export function conditionReason(job: KubeObject, type: string): string | undefined {
  const conditions: unknown[] = Object(job['status'])['conditions'] ?? [];
  const found = conditions.map(Object).find((each) => each.type === type && each.status === 'True');
  return found?.reason;
}

/** The indexes that may get a pod now, lowest first. */
export function startable(state: JobState): readonly number[] {
  const indexes: number[] = [];
  for (let index = 0; index < state.completions; index += 1) {
    if (state.pods.size + indexes.length >= state.parallelism) break;
    const isOpen = !state.completed.has(index) && !state.failedIndexes.has(index);
    if (isOpen && !state.pods.has(index) && !state.pausing.has(index)) indexes.push(index);
  }
  return indexes;
}

/** Index lists in the API's own form: `0-4,6`. */
export function indexList(indexes: ReadonlySet<number>): string {
  const parts: string[] = [];
  const sorted = [...indexes].toSorted((a, b) => a - b);
  for (let start = 0; start < sorted.length; start += 1) {
    let end = start;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1;
    parts.push(start === end ? `${sorted[start]}` : `${sorted[start]}-${sorted[end]}`);
    start = end;
  }
  return parts.join(',');
}

/** The status without final conditions. */
export function statusOf(state: JobState, ready: number): Record<string, unknown> {
  return {
    ...(state.startTime !== undefined && { startTime: state.startTime }),
    active: state.pods.size,
    ready,
    ...(state.completed.size > 0 && { succeeded: state.completed.size }),
    ...(state.failures > 0 && { failed: state.failures }),
    ...(state.indexed && state.completed.size > 0 && { completedIndexes: indexList(state.completed) }),
    ...(state.indexed && state.failedIndexes.size > 0 && { failedIndexes: indexList(state.failedIndexes) }),
  };
}
