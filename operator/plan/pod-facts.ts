import { z } from 'zod';
import type { KubeObject } from '../ports.ts';
import { remember } from './remember.ts';

/** One container of a pod, as far as starting goes. */
export interface ContainerFacts {
  readonly name: string;
  readonly waiting: { readonly reason: string; readonly message: string } | undefined;
  /** Epoch ms at which its program began to run, in this or an earlier try; undefined: it never has. */
  readonly startedAtMs: number | undefined;
  readonly terminated:
    | { readonly reason: string; readonly message: string; readonly exitCode: number }
    | undefined;
}

/** What a condition of a pod says, and since when. */
export interface PodCondition {
  readonly isTrue: boolean;
  readonly reason: string;
  readonly message: string;
  readonly sinceMs: number | undefined;
}

/** What is read of one pod to tell whether it starts. */
export interface PodFacts {
  readonly uid: string;
  readonly name: string;
  /** The Job it belongs to; empty when it does not say. */
  readonly job: string;
  readonly createdAtMs: number;
  readonly isDeleting: boolean;
  /** It will not run any more. */
  readonly hasEnded: boolean;
  /** `PodScheduled`, `PodReadyToStartContainers` (the sandbox stands, with its volumes), `Initialized` … */
  readonly conditions: ReadonlyMap<string, PodCondition>;
  readonly initContainers: readonly ContainerFacts[];
  /** The one whose exit code speaks for the Job comes first. */
  readonly containers: readonly ContainerFacts[];
}

/** Where the Job controller names a pod's Job, and a template its main container. */
const LABEL_JOB = 'batch.kubernetes.io/job-name';
const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** Reasons of a container that ended without its program ever having run. */
const NEVER_RAN = new Set(['StartError', 'ContainerCannotRun', 'ContainerStatusUnknown']);

const word = z.string().catch('').default('');
const instant = z.unknown().transform((text) => {
  const parsed = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed;
});

const stateSchema = z
  .object({
    waiting: z.object({ reason: word, message: word }).optional(),
    running: z.object({ startedAt: instant }).optional(),
    terminated: z
      .object({ reason: word, message: word, exitCode: z.number().default(0), startedAt: instant })
      .optional(),
  })
  .default({});

const containersSchema = z
  .array(z.object({ name: z.string(), state: stateSchema, lastState: stateSchema }))
  .catch([])
  .default([]);

const podStatusSchema = z.object({
  phase: word,
  conditions: z
    .array(
      z.object({
        type: z.string(),
        status: z.string(),
        reason: word,
        message: word,
        lastTransitionTime: instant,
      }),
    )
    .catch([])
    .default([]),
  initContainerStatuses: containersSchema,
  containerStatuses: containersSchema,
});

const readableStatusSchema = podStatusSchema.catch(podStatusSchema.parse({}));

const podSpecSchema = z
  .object({ containers: z.array(z.object({ name: z.string() })).default([]) })
  .catch({ containers: [] });

/** Reads a pod; what is missing or unreadable is only ever less to tell. */
export const podFactsFrom: (pod: KubeObject) => PodFacts = remember(readPod);

function readPod(pod: KubeObject): PodFacts {
  const { metadata } = pod;
  const status = readableStatusSchema.parse(pod['status'] ?? {});
  const main = mainContainer(pod);
  return {
    uid: metadata.uid ?? '',
    name: metadata.name,
    job: metadata.labels?.[LABEL_JOB] ?? '',
    createdAtMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    isDeleting: metadata.deletionTimestamp !== undefined,
    hasEnded: status.phase === 'Succeeded' || status.phase === 'Failed',
    conditions: new Map(
      status.conditions.map(({ type, status: value, reason, message, lastTransitionTime }) => [
        type,
        { isTrue: value === 'True', reason, message, sinceMs: lastTransitionTime },
      ]),
    ),
    initContainers: status.initContainerStatuses.map(containerFacts),
    containers: status.containerStatuses
      .map(containerFacts)
      .toSorted((a, b) => Number(b.name === main) - Number(a.name === main)),
  };
}

type ContainerStatus = z.output<typeof containersSchema>[number];

function containerFacts({ name, state, lastState }: ContainerStatus): ContainerFacts {
  const { waiting, terminated } = state;
  const ended = [terminated, lastState.terminated].filter((run) => run && !NEVER_RAN.has(run.reason));
  const runs = [state.running, ...ended].filter((run) => run !== undefined);
  return {
    name,
    waiting,
    // A run without a time (the kubelet writes one) is a run all the same.
    startedAtMs: runs.length > 0 ? Math.max(...runs.map(({ startedAt }) => startedAt ?? 0)) : undefined,
    terminated,
  };
}

/** The same container that the contract speaks of: the annotated one, else the first of the spec. */
function mainContainer(pod: KubeObject): string | undefined {
  const { containers } = podSpecSchema.parse(pod['spec'] ?? {});
  const named = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  return (containers.find(({ name }) => name === named) ?? containers[0])?.name;
}
