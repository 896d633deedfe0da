import type { BatchQueue, Container, JobTemplate, PodSpec } from '../api/batch-queue.ts';
import {
  ANNOTATION_IMAGE,
  ANNOTATION_LEDGER,
  ANNOTATION_MESSAGES,
  FINALIZER_SETTLEMENT,
  LABEL_ATTEMPT,
  LABEL_MESSAGE_ID,
  LABEL_QUEUE,
  LABEL_REVISION,
} from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import type { Ledger } from './job-facts.ts';
import { jobName } from './job-name.ts';
import { formatLedger } from './ledger.ts';
import { ownerReference } from './owner.ts';
import type { Payload } from './payload.ts';
import { addContract } from './pod-contract.ts';
import { resolvedImagesOf, withDigests } from './resolved-images.ts';
import type { Revision } from './revision-facts.ts';

/** What Kubernetes allows as the value of a label. */
const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** What a Job is made of. Only the messages' records go into it; no part of a body becomes a field of the pod. */
export interface JobIngredients {
  readonly queue: BatchQueue;
  readonly revision: Revision;
  readonly ledger: Ledger;
  readonly payload: Payload;
  /** Of a single message, and well formed. */
  readonly traceparent: string | undefined;
}

/**
 * The Job for one run of one attempt at its messages, complete: name (the lock), ledger and finalizer (what is owed),
 * the user's template, and the worker contract in every container. Deterministic, so two operators build the same.
 */
export function buildJob(ingredients: JobIngredients): KubeObject {
  const { queue, revision, ledger } = ingredients;
  const { jobTemplate } = revision.template;
  const labels = labelsOf(ingredients);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: nameOfJob(queue, ledger),
      namespace: queue.metadata.namespace ?? 'default',
      labels: { ...jobTemplate.metadata?.labels, ...labels },
      annotations: { ...jobTemplate.metadata?.annotations, ...annotationsOf(ingredients) },
      finalizers: [FINALIZER_SETTLEMENT],
      ownerReferences: [ownerReference(queue)],
    },
    spec: jobSpec(ingredients, labels),
  };
}

/** The name of the Job with this ledger. */
export function nameOfJob(queue: BatchQueue, ledger: Ledger): string {
  const { messages, attempt, lock = attempt, run } = ledger;
  return jobName({
    batchQueueName: queue.metadata.name,
    queueArn: ledger.queue.arn,
    messageId: messages[0]?.id ?? '',
    lock,
    run,
  });
}

/** The annotation by which a pod names the container that `kubectl logs` shows. */
export const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

/** The container whose exit code speaks for the Job: the one `kubectl logs` shows, else the first. */
export function contractContainer(template: JobTemplate): Container {
  const pod = template.spec.template;
  const named = pod.metadata?.annotations?.[DEFAULT_CONTAINER];
  const container =
    pod.spec.containers.find((candidate) => candidate.name === named) ?? pod.spec.containers[0];
  if (!container) throw new Error('a job template without containers passed validation');
  return container;
}

/** So many pods of one index may be refused by their nodes, within about ten minutes, before it fails. */
const MAX_REFUSALS_PER_INDEX = 6;

/** Exit codes of the contract, by what `sysexits.h` calls them. */
export const CONTRACT_EXIT_CODES: Readonly<Record<number, string>> = {
  65: 'DataError',
  75: 'TemporaryFailure',
  78: 'ConfigurationError',
};

function labelsOf({ queue, revision, ledger }: JobIngredients): Record<string, string> {
  const [first, ...others] = ledger.messages;
  const isOne = first !== undefined && others.length === 0;
  return {
    [LABEL_QUEUE]: queue.metadata.name,
    [LABEL_REVISION]: String(revision.number),
    [LABEL_ATTEMPT]: String(ledger.attempt),
    // A UUID on SQS; an emulator's longer id stands in the ledger only.
    ...(isOne && LABEL_VALUE.test(first.id) && { [LABEL_MESSAGE_ID]: first.id }),
  };
}

function annotationsOf({ revision, ledger }: JobIngredients): Record<string, string> {
  return {
    [LABEL_REVISION]: String(revision.number),
    [ANNOTATION_IMAGE]: contractContainer(revision.template.jobTemplate).image ?? '',
    [ANNOTATION_LEDGER]: formatLedger(ledger),
  };
}

function jobSpec(ingredients: JobIngredients, labels: Record<string, string>): Record<string, unknown> {
  const { revision, ledger, payload } = ingredients;
  const { jobTemplate } = revision.template;
  const pod = jobTemplate.spec.template;
  const isIndexed = jobTemplate.spec['completionMode'] === 'Indexed';
  return {
    ...jobTemplate.spec,
    // One Job per attempt: the operator counts attempts, so the Job controller must not retry by itself …
    ...(isIndexed ? indexed(jobTemplate, ledger.messages.length) : { backoffLimit: 0 }),
    podFailurePolicy: podFailurePolicy(jobTemplate, isIndexed),
    template: {
      ...pod,
      metadata: {
        ...pod.metadata,
        labels: { ...pod.metadata?.labels, ...labels },
        annotations: {
          ...pod.metadata?.annotations,
          ...(payload.inline !== undefined && { [ANNOTATION_MESSAGES]: payload.inline }),
        },
      },
      spec: podSpec(ingredients),
    },
  };
}

/**
 * Every message is an index, and a failing one leaves the others alone. The Job controller replaces the pods that a node
 * refuses (after 10 s, doubled each time): no exit code tells of those, and whoever has one fails at once.
 */
function indexed({ spec }: JobTemplate, messages: number): Record<string, unknown> {
  const wanted = Number(spec['parallelism'] ?? messages);
  const parallelism = Math.min(wanted, messages);
  return { completions: messages, parallelism, backoffLimitPerIndex: MAX_REFUSALS_PER_INDEX };
}

/**
 * … except when the pod was taken away (node drained, spot reclaimed, evicted): that is not the message's fault and
 * costs no attempt. Each exit code of the contract has a rule of its own, so that the code stands in the Job's Failed
 * condition even after the pod is gone.
 */
function podFailurePolicy(template: JobTemplate, isIndexed: boolean): Record<string, unknown> {
  const { name } = contractContainer(template);
  return {
    rules: [
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ...Object.keys(CONTRACT_EXIT_CODES).map((code) => ({
        action: isIndexed ? 'FailIndex' : 'FailJob',
        onExitCodes: { containerName: name, operator: 'In', values: [Number(code)] },
      })),
      ...(isIndexed ? [{ action: 'FailIndex', onExitCodes: { operator: 'NotIn', values: [0] } }] : []),
    ],
  };
}

function podSpec({ queue, revision, ledger, payload, traceparent }: JobIngredients): PodSpec {
  const { jobTemplate, serviceAccountName, storage, imagePullSecret } = revision.template;
  const user = withDigests(jobTemplate.spec.template.spec, resolvedImagesOf(revision));
  const pullSecrets = user.imagePullSecrets ?? [];
  return addContract(
    {
      ...user,
      restartPolicy: 'Never',
      ...(serviceAccountName !== undefined && { serviceAccountName }),
      ...(imagePullSecret && {
        imagePullSecrets: [
          ...pullSecrets.filter(({ name }) => name !== imagePullSecret.name),
          imagePullSecret,
        ],
      }),
    },
    {
      storage,
      payload,
      environment: {
        SQS_QUEUE_URL: ledger.queue.url,
        BATCHQUEUE_NAME: queue.metadata.name,
        BATCHQUEUE_NAMESPACE: queue.metadata.namespace ?? 'default',
        BATCHQUEUE_REVISION: String(revision.number),
        BATCHQUEUE_ATTEMPT: String(ledger.attempt),
        TRACEPARENT: traceparent,
      },
    },
  );
}
