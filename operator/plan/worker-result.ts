import { z } from 'zod';
import type { KubeObject } from '../ports.ts';
import { CONTRACT_EXIT_CODES, DEFAULT_CONTAINER } from './job.ts';
import { readJson } from './read-json.ts';
import type { PodsOfJob, WorkerResult } from './types.ts';

/** What status and annotations keep of a worker's message, in characters. */
const MAX_MESSAGE = 1_024;

/**
 * What the pods of one Job say: how many still have to end, and the exit code and termination message of the contract
 * container. A result that is missing or unreadable is only ever less to tell; no decision to delete rests on it.
 */
export function podsOfJobFrom(pods: readonly KubeObject[]): PodsOfJob {
  const alive = pods.filter((pod) => !hasEnded(pod));
  const newest = pods.toSorted((a, b) => createdAt(b) - createdAt(a))[0];
  return {
    running: alive.filter((pod) => pod.metadata.deletionTimestamp === undefined).length,
    terminating: alive.filter((pod) => pod.metadata.deletionTimestamp !== undefined).length,
    result: newest && resultOf(newest),
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

const terminatedSchema = z.object({
  exitCode: z.number(),
  reason: z.string().default('Error'),
  message: z.string().default(''),
});

const podStatusSchema = z.object({
  phase: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().default(''),
  containerStatuses: z
    .array(
      z.object({ name: z.string(), state: z.object({ terminated: terminatedSchema.optional() }).optional() }),
    )
    .default([]),
});

const reportSchema = z.object({
  reason: z.string().default(''),
  // Figures only: whatever else a worker puts there is not shown.
  summary: z
    .record(z.string().regex(/^\w{1,32}$/), z.number())
    .catch({})
    .default({}),
});

function resultOf(pod: KubeObject): WorkerResult | undefined {
  const status = statusOf(pod);
  const terminated = status.containerStatuses.find(({ name }) => name === contractContainerName(pod))?.state
    ?.terminated;
  if (!terminated) {
    if (status.reason === undefined) return undefined;
    return { exitCode: undefined, reason: status.reason, message: clip(status.message) };
  }
  return {
    exitCode: terminated.exitCode,
    reason: CONTRACT_EXIT_CODES[terminated.exitCode] ?? terminated.reason,
    message: clip(reasonIn(terminated.message)),
  };
}

const podSpecSchema = z.object({ containers: z.array(z.object({ name: z.string() })).default([]) });

/** The same container that `contractContainer` finds in the template. */
function contractContainerName(pod: KubeObject): string | undefined {
  const named = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  const { containers } = podSpecSchema.catch({ containers: [] }).parse(pod['spec'] ?? {});
  return (containers.find(({ name }) => name === named) ?? containers[0])?.name;
}

/** The contract's result is JSON with a `reason` and perhaps a `summary`; any other text is shown as it is. */
function reasonIn(terminationMessage: string): string {
  const report = readJson(terminationMessage, reportSchema);
  if (report === undefined) return terminationMessage.trim();
  const figures = Object.entries(report.summary).map(([name, value]) => `${name} ${value}`);
  return figures.length === 0 ? report.reason : `${report.reason} (${figures.join(', ')})`.trim();
}

function hasEnded(pod: KubeObject): boolean {
  const { phase } = statusOf(pod);
  return phase === 'Succeeded' || phase === 'Failed';
}

function createdAt(pod: KubeObject): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

function statusOf(pod: KubeObject): z.output<typeof podStatusSchema> {
  return podStatusSchema.catch(podStatusSchema.parse({})).parse(pod['status'] ?? {});
}

function clip(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 1)}…`;
}
