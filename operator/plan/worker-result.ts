import type { KubeObject } from '../ports.ts';
import { CONTRACT_EXIT_CODES } from './job.ts';
import type { PodsOfJob, WorkerResult } from './types.ts';

/** What status and annotations keep of a worker's message, in characters. */
const MAX_MESSAGE = 1_024;

/**
 * What the pods of one Job say: how many still have to end, and the exit code and termination message of the contract
 * container. A result that is missing or unreadable is only ever less to tell; no decision to delete rests on it.
 */
export function podsOfJobFrom(pods: readonly KubeObject[], containerName: string): PodsOfJob {
  const alive = pods.filter((pod) => !hasEnded(pod));
  const newest = pods.toSorted((a, b) => createdAt(b) - createdAt(a))[0];
  return {
    running: alive.filter((pod) => pod.metadata.deletionTimestamp === undefined).length,
    terminating: alive.filter((pod) => pod.metadata.deletionTimestamp !== undefined).length,
    result: newest && resultOf(newest, containerName),
  };
}

/** What is known of a failed Job whose pod is gone: the Failed condition, which names the contract's exit codes. */
export function resultFromFailure(failure: { reason: string; message: string } | undefined): WorkerResult {
  const exitCode = /exit code (\d+)/.exec(failure?.message ?? '')?.[1];
  return {
    exitCode: exitCode === undefined ? undefined : Number(exitCode),
    reason: (exitCode && CONTRACT_EXIT_CODES[Number(exitCode)]) ?? failure?.reason ?? 'Failed',
    message: clip(failure?.message ?? ''),
  };
}

interface Terminated {
  readonly exitCode: number;
  readonly reason?: string;
  readonly message?: string;
}

interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly containerStatuses?: readonly { name: string; state?: { terminated?: Terminated } }[];
}

function resultOf(pod: KubeObject, containerName: string): WorkerResult | undefined {
  const status = statusOf(pod);
  const container = status.containerStatuses?.find(({ name }) => name === containerName);
  const terminated = container?.state?.terminated;
  if (!terminated) {
    if (status.reason === undefined) return undefined;
    return { exitCode: undefined, reason: status.reason, message: clip(status.message ?? '') };
  }
  return {
    exitCode: terminated.exitCode,
    reason: CONTRACT_EXIT_CODES[terminated.exitCode] ?? terminated.reason ?? 'Error',
    message: clip(reasonIn(terminated.message ?? '')),
  };
}

/** The contract's result is JSON with a `reason`; any other text is shown as it is. */
function reasonIn(terminationMessage: string): string {
  try {
    const value = JSON.parse(terminationMessage) as { reason?: unknown } | null;
    return typeof value?.reason === 'string' ? value.reason : '';
  } catch {
    return terminationMessage.trim();
  }
}

function hasEnded(pod: KubeObject): boolean {
  const { phase } = statusOf(pod);
  return phase === 'Succeeded' || phase === 'Failed';
}

function createdAt(pod: KubeObject): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

function statusOf(pod: KubeObject): PodStatus {
  return (pod['status'] ?? {}) as PodStatus;
}

function clip(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 1)}…`;
}
