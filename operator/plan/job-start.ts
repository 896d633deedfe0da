import type { KubeObject } from '../ports.ts';
import { isActive } from './claim.ts';
import type { Claim } from './job-facts.ts';
import { type PodFacts, podFactsFrom } from './pod-facts.ts';
import type { EventSubject, StartEvent, StartEvents } from './start-facts.ts';
import {
  creationTrouble,
  initTrouble,
  mountTrouble,
  neverRanTrouble,
  START_GRACE_MS,
  type StartTrouble,
  type Suspicion,
  schedulingTrouble,
  steadyWords,
  waitingTrouble,
} from './start-trouble.ts';

/** How far a Job has got on its way to the start of its worker. */
export type JobStart =
  /** Nothing is wrong so far. `lookAgainAtMs`: when it may be; `unexplained`: it takes long, and only events would tell why. */
  | {
      readonly kind: 'starting';
      readonly lookAgainAtMs: number | undefined;
      readonly unexplained: EventSubject | undefined;
    }
  /** The worker has run, or runs. */
  | { readonly kind: 'started'; readonly atMs: number }
  | {
      readonly kind: 'trouble';
      readonly trouble: StartTrouble;
      readonly unexplained: EventSubject | undefined;
    };

export interface StartContext {
  readonly nowMs: number;
  /** By the uid of the Job or pod that they are about. */
  readonly events: ReadonlyMap<string, StartEvents>;
}

/** Kubernetes tells the same event again only every five minutes or so; what is much older is over. */
const EVENT_FRESH_MS = 900_000;

/** How every unsettled Job starts, by its name, from the pods of all of them. */
export function jobStarts(
  claims: readonly Claim[],
  pods: readonly KubeObject[],
  context: StartContext,
): ReadonlyMap<string, JobStart> {
  const unsettled = claims.filter(({ settled, outcome }) => !settled && outcome !== 'succeeded');
  if (unsettled.length === 0) return new Map();
  const podsOf = Map.groupBy(pods.map(podFactsFrom), ({ job }) => job);
  return new Map(
    unsettled.map((claim) => {
      const { name } = claim.job.metadata;
      return [name, jobStart(claim, podsOf.get(name) ?? [], context)];
    }),
  );
}

/** How one Job starts. One pod whose worker has run is enough: an Indexed Job has many. */
export function jobStart(claim: Claim, pods: readonly PodFacts[], context: StartContext): JobStart {
  const starts = pods.flatMap(({ containers }) => containers[0]?.startedAtMs ?? []);
  if (starts.length > 0) return { kind: 'started', atMs: Math.max(...starts) };
  const worst = pods
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1))
    .map((pod) => podStart(pod, context))
    .toSorted((a, b) => weight(b) - weight(a))[0];
  if (worst?.kind === 'trouble' || !isActive(claim)) return worst ?? waitFor(undefined);
  const isWaitingForPods = pods.every(({ hasEnded, isDeleting }) => hasEnded || isDeleting);
  return isWaitingForPods && !isSuspended(claim)
    ? withoutPod(claim, pods, context)
    : (worst ?? waitFor(undefined));
}

function weight({ kind }: JobStart): number {
  return kind === 'trouble' ? 1 : 0;
}

function waitFor(lookAgainAtMs: number | undefined, unexplained?: EventSubject): JobStart {
  return { kind: 'starting', lookAgainAtMs, unexplained };
}

/** A Job that Kueue or somebody else holds back has no pods for a reason. */
function isSuspended({ job }: Claim): boolean {
  return Object(job['spec'])['suspend'] === true;
}

/** A Job without a pod: the Job controller is about to make one, or may not. */
function withoutPod({ job }: Claim, pods: readonly PodFacts[], context: StartContext): JobStart {
  const { name, uid = '', creationTimestamp } = job.metadata;
  const createdAtMs = Date.parse(creationTimestamp ?? '') || context.nowMs;
  const sinceMs = Math.max(createdAtMs, ...pods.map((pod) => pod.createdAtMs));
  const dueMs = sinceMs + START_GRACE_MS;
  if (context.nowMs < dueMs) return waitFor(dueMs);
  const subject: EventSubject = { kind: 'Job', name, uid };
  const told = newestEvent(context, uid, (event) => event.reason === 'FailedCreate');
  if (!told) return waitFor(undefined, subject);
  return judge(creationTrouble(told.note), sinceMs, { context, unexplained: subject });
}

function podStart(pod: PodFacts, context: StartContext): JobStart {
  if (pod.isDeleting) return waitFor(undefined);
  const broken = [...pod.initContainers, ...pod.containers].flatMap((container) => {
    const { terminated, startedAtMs, waiting, name } = container;
    if (waiting) return waitingTrouble(waiting) ?? [];
    if (terminated && startedAtMs === undefined) return neverRanTrouble(terminated.message);
    const isInit = pod.initContainers.includes(container);
    return isInit && terminated && terminated.exitCode !== 0
      ? initTrouble(name, terminated.exitCode, terminated.message)
      : [];
  })[0];
  if (broken) return judge(broken, lastStepMs(pod), { context, pod });
  if (pod.hasEnded) return waitFor(undefined);
  const scheduled = pod.conditions.get('PodScheduled');
  if (scheduled && !scheduled.isTrue && scheduled.reason !== '') {
    const suspicion = schedulingTrouble(scheduled.reason, scheduled.message);
    return judge(suspicion, scheduled.sinceMs ?? pod.createdAtMs, { context, pod });
  }
  return scheduled?.isTrue ? withoutSandbox(pod, context) : waitFor(undefined);
}

/** A pod on its node: the kubelet mounts volumes and makes the sandbox, and tells only in events what hinders it. */
function withoutSandbox(pod: PodFacts, context: StartContext): JobStart {
  if (pod.conditions.get('PodReadyToStartContainers')?.isTrue) return waitFor(undefined);
  const sinceMs = lastStepMs(pod);
  const dueMs = sinceMs + START_GRACE_MS;
  if (context.nowMs < dueMs) return waitFor(dueMs);
  const unexplained: EventSubject = { kind: 'Pod', name: pod.name, uid: pod.uid };
  const told = newestEvent(context, pod.uid, ({ reason, note }) => mountTrouble(reason, note) !== undefined);
  const suspicion = told && mountTrouble(told.reason, told.note);
  if (!suspicion) return waitFor(undefined, unexplained);
  return judge(suspicion, sinceMs, { context, pod, unexplained });
}

/** When the pod last got a step further, epoch ms: a grace begins there, and not while it still waited for a node. */
function lastStepMs({ createdAtMs, conditions }: PodFacts): number {
  const steps = [...conditions.values()].flatMap(({ isTrue, sinceMs }) => (isTrue && sinceMs) || []);
  return Math.max(createdAtMs, ...steps);
}

function judge(
  { trouble, graceMs }: Suspicion,
  sinceMs: number,
  { context, pod, unexplained }: { context: StartContext; pod?: PodFacts; unexplained?: EventSubject },
): JobStart {
  if (context.nowMs < sinceMs + graceMs) return waitFor(sinceMs + graceMs, unexplained);
  const message = steadyWords(trouble.message, pod?.name);
  return { kind: 'trouble', trouble: { ...trouble, message }, unexplained };
}

function newestEvent(
  { events, nowMs }: StartContext,
  uid: string,
  isMeant: (event: StartEvent) => boolean,
): StartEvent | undefined {
  return events
    .get(uid)
    ?.events.filter((event) => isMeant(event) && event.lastSeenMs > nowMs - EVENT_FRESH_MS)
    .toSorted((a, b) => b.lastSeenMs - a.lastSeenMs)[0];
}
