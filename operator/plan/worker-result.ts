import { z } from 'zod';
import type { KubeObject } from '../ports.ts';
import { CONTRACT_EXIT_CODES, DEFAULT_CONTAINER } from './job.ts';
import type { PodsOfJob, WorkerReport, WorkerResult } from './job-facts.ts';
import { readJson } from './read-json.ts';
import { remember } from './remember.ts';

/** What status and annotations keep of a worker's message, in characters. */
const MAX_MESSAGE = 1_024;

/** Where the Job controller says which index a pod works on. */
const ANNOTATION_INDEX = 'batch.kubernetes.io/job-completion-index';

/**
 * What the pods of one Job say: how many still have to end, and the exit code and result file of the contract container.
 * A result that is missing or unreadable is only ever less to tell: nothing is deleted for the lack of one.
 */
export function podsOfJobFrom(pods: readonly KubeObject[]): PodsOfJob {
  const alive = pods.filter((pod) => !hasEnded(pod));
  const byAge = pods.toSorted((a, b) => createdAt(a) - createdAt(b));
  const newest = byAge.at(-1);
  return {
    running: alive.filter((pod) => pod.metadata.deletionTimestamp === undefined).length,
    terminating: alive.filter((pod) => pod.metadata.deletionTimestamp !== undefined).length,
    neverStarted: pods.length > 0 && pods.every((pod) => !hasStarted(pod)),
    result: newest && resultOf(newest),
    resultOfIndex: resultsByIndex(byAge),
    ...unfinishedOf(alive),
    ...successesOf(pods),
  };
}

function unfinishedOf(alive: readonly KubeObject[]): Pick<PodsOfJob, 'unfinishedIndexes'> {
  const indexes = alive.map(indexOf).filter((index) => Number.isInteger(index));
  return indexes.length > 0 ? { unfinishedIndexes: new Set(indexes) } : {};
}

function successesOf(pods: readonly KubeObject[]): Pick<PodsOfJob, 'hasSucceeded' | 'succeededIndexes'> {
  const succeeded = pods.filter((pod) => statusOf(pod).phase === 'Succeeded').map(indexOf);
  const indexes = succeeded.filter((index) => Number.isInteger(index));
  return {
    ...(indexes.length < succeeded.length && { hasSucceeded: true }),
    ...(indexes.length > 0 && { succeededIndexes: new Set(indexes) }),
  };
}

function indexOf({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.[ANNOTATION_INDEX] ?? Number.NaN);
}

function resultsByIndex(byAge: readonly KubeObject[]): ReadonlyMap<number, WorkerReport> {
  const results = new Map<number, WorkerReport>();
  for (const pod of byAge) {
    const index = indexOf(pod);
    const result = Number.isInteger(index) ? resultOf(pod) : undefined;
    if (result) results.set(index, result);
  }
  return results;
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

const containerStateSchema = z
  .object({ terminated: terminatedSchema.optional(), running: z.looseObject({}).optional() })
  .optional();

const podStatusSchema = z.object({
  phase: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().default(''),
  containerStatuses: z
    .array(z.object({ name: z.string(), state: containerStateSchema, lastState: containerStateSchema }))
    .default([]),
});

const readableStatusSchema = podStatusSchema.catch(podStatusSchema.parse({}));

const statusOf = remember((pod: KubeObject) => readableStatusSchema.parse(pod['status'] ?? {}));

const indexList = z.string().max(1_000).optional().catch(undefined);

const reportSchema = z.object({
  succeededIndexes: indexList,
  rejectedIndexes: indexList,
  retryAfterSeconds: z.number().min(0).optional().catch(undefined),
  reason: z.string().default(''),
  // Figures only: whatever else a worker puts there is not shown.
  summary: z
    .record(z.string().regex(/^\w{1,32}$/), z.number())
    .catch({})
    .default({}),
});

/** Reasons of a container that ended without its program ever having run. */
const NEVER_RAN = new Set(['StartError', 'ContainerCannotRun', 'ContainerStatusUnknown']);

/** True once the program of the contract container has run, whatever became of it; and when that cannot be told. */
function hasStarted(pod: KubeObject): boolean {
  const container = contractStatus(pod);
  const { phase } = statusOf(pod);
  if (!container) return phase !== 'Pending' && phase !== 'Failed';
  const ended = container.state?.terminated ?? container.lastState?.terminated;
  if (container.state?.running) return true;
  return ended !== undefined && !NEVER_RAN.has(ended.reason);
}

function contractStatus(pod: KubeObject) {
  return statusOf(pod).containerStatuses.find(({ name }) => name === contractContainerName(pod));
}

const resultOf: (pod: KubeObject) => WorkerReport | undefined = remember(readResult);

function readResult(pod: KubeObject): WorkerReport | undefined {
  const status = statusOf(pod);
  const terminated = contractStatus(pod)?.state?.terminated;
  if (!terminated) {
    if (status.reason === undefined) return undefined;
    return { exitCode: undefined, reason: status.reason, message: clip(status.message) };
  }
  const report = readJson(terminated.message, reportSchema);
  return {
    exitCode: terminated.exitCode,
    reason: CONTRACT_EXIT_CODES[terminated.exitCode] ?? terminated.reason,
    message: clip(report ? wordsOf(report) : terminated.message.trim()),
    succeededIndexes: report?.succeededIndexes,
    rejectedIndexes: report?.rejectedIndexes,
    retryAfterSeconds: report?.retryAfterSeconds,
  };
}

const podSpecSchema = z
  .object({ containers: z.array(z.object({ name: z.string() })).default([]) })
  .catch({ containers: [] });

/** The same container that `contractContainer` finds in the template. */
function contractContainerName(pod: KubeObject): string | undefined {
  const named = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  const { containers } = podSpecSchema.parse(pod['spec'] ?? {});
  return (containers.find(({ name }) => name === named) ?? containers[0])?.name;
}

/** The contract's result is JSON with a `reason` and perhaps a `summary`; any other text is shown as it is. */
function wordsOf(report: z.output<typeof reportSchema>): string {
  const figures = Object.entries(report.summary).map(([name, value]) => `${name} ${value}`);
  if (figures.length === 0) return report.reason;
  return report.reason === '' ? figures.join(', ') : `${report.reason} (${figures.join(', ')})`;
}

/** True once all containers of a pod have ended, or none of them ever will run. */
export function hasEnded(pod: KubeObject): boolean {
  const { phase } = statusOf(pod);
  return phase === 'Succeeded' || phase === 'Failed';
}

function createdAt(pod: KubeObject): number {
  return Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

function clip(text: string): string {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE - 1)}…`;
}
