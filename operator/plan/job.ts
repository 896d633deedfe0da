import type { BatchQueue, Container, JobTemplate, PodSpec } from '../api/batch-queue.ts';
import {
  ANNOTATION_IMAGE,
  ANNOTATION_LEDGER,
  ANNOTATION_MESSAGES,
  API_GROUP,
  API_VERSION,
  FINALIZER_SETTLEMENT,
  KIND,
  LABEL_ATTEMPT,
  LABEL_MESSAGE_ID,
  LABEL_QUEUE,
  LABEL_REVISION,
} from '../api/names.ts';
import type { KubeObject, OwnerReference } from '../ports.ts';
import { jobName } from './job-name.ts';
import { formatLedger, ledgerMessageFrom } from './ledger.ts';
import { buildMessagesFile, traceparentOf } from './messages-file.ts';
import { addContract } from './pod-contract.ts';
import type { Message, Revision } from './types.ts';

/** What Kubernetes allows as the value of a label. */
const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** What a Job is made of. Only the message's records go into it; no part of a body becomes a field of the pod. */
export interface JobIngredients {
  readonly queue: BatchQueue;
  readonly revision: Revision;
  readonly message: Message;
  readonly attempt: number;
}

/**
 * The Job for one attempt at one message, complete: name (the lock), ledger and finalizer (what is owed), the user's
 * template, and the worker contract in every container. Deterministic, so two operators build the same.
 */
export function buildJob(ingredients: JobIngredients): KubeObject {
  const { queue, revision, message, attempt } = ingredients;
  const { jobTemplate } = revision.template;
  const labels = labelsOf(ingredients);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(queue.metadata.name, message.queue.arn, message.id, attempt),
      namespace: queue.metadata.namespace ?? 'default',
      labels: { ...jobTemplate.metadata?.labels, ...labels },
      annotations: { ...jobTemplate.metadata?.annotations, ...annotationsOf(ingredients) },
      finalizers: [FINALIZER_SETTLEMENT],
      ownerReferences: [ownerReference(queue)],
    },
    spec: jobSpec(ingredients, labels),
  };
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

/** Exit codes of the contract, by what `sysexits.h` calls them. */
export const CONTRACT_EXIT_CODES: Readonly<Record<number, string>> = {
  65: 'DataError',
  75: 'TemporaryFailure',
  78: 'ConfigurationError',
};

/** Makes the BatchQueue the owner: deleting it deletes its Jobs and revisions. */
export function ownerReference(queue: BatchQueue): OwnerReference {
  return {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: KIND,
    name: queue.metadata.name,
    uid: queue.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

function labelsOf({ queue, revision, message, attempt }: JobIngredients): Record<string, string> {
  return {
    [LABEL_QUEUE]: queue.metadata.name,
    [LABEL_REVISION]: String(revision.number),
    [LABEL_ATTEMPT]: String(attempt),
    // A UUID on SQS; an emulator's longer id stands in the ledger only.
    ...(LABEL_VALUE.test(message.id) && { [LABEL_MESSAGE_ID]: message.id }),
  };
}

function annotationsOf({ revision, message, attempt }: JobIngredients): Record<string, string> {
  return {
    [LABEL_REVISION]: String(revision.number),
    [ANNOTATION_IMAGE]: contractContainer(revision.template.jobTemplate).image ?? '',
    [ANNOTATION_LEDGER]: formatLedger({
      queue: message.queue,
      attempt,
      visibilityTimeoutSeconds: message.visibilityTimeoutSeconds,
      messages: [ledgerMessageFrom(message)],
    }),
  };
}

function jobSpec(ingredients: JobIngredients, labels: Record<string, string>): Record<string, unknown> {
  const { template } = ingredients.revision;
  const pod = template.jobTemplate.spec.template;
  return {
    ...template.jobTemplate.spec,
    // One Job per attempt: the operator counts attempts, so the Job controller must not retry by itself …
    backoffLimit: 0,
    podFailurePolicy: podFailurePolicy(template.jobTemplate),
    template: {
      ...pod,
      metadata: {
        ...pod.metadata,
        labels: { ...pod.metadata?.labels, ...labels },
        annotations: {
          ...pod.metadata?.annotations,
          [ANNOTATION_MESSAGES]: buildMessagesFile([ingredients.message], ingredients.attempt),
        },
      },
      spec: podSpec(ingredients),
    },
  };
}

/**
 * … except when the pod was taken away (node drained, spot reclaimed, evicted): that is not the message's fault and
 * costs no attempt. Each exit code of the contract has a rule of its own, so that the code stands in the Job's Failed
 * condition even after the pod is gone.
 */
function podFailurePolicy(template: JobTemplate): Record<string, unknown> {
  const { name } = contractContainer(template);
  return {
    rules: [
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ...Object.keys(CONTRACT_EXIT_CODES).map((code) => ({
        action: 'FailJob',
        onExitCodes: { containerName: name, operator: 'In', values: [Number(code)] },
      })),
    ],
  };
}

function podSpec({ queue, revision, message, attempt }: JobIngredients): PodSpec {
  const { jobTemplate, serviceAccountName, storage, imagePullSecret } = revision.template;
  const user = jobTemplate.spec.template.spec;
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
      environment: {
        SQS_QUEUE_URL: message.queue.url,
        BATCHQUEUE_NAME: queue.metadata.name,
        BATCHQUEUE_NAMESPACE: queue.metadata.namespace ?? 'default',
        BATCHQUEUE_REVISION: String(revision.number),
        BATCHQUEUE_ATTEMPT: String(attempt),
        TRACEPARENT: traceparentOf(message),
      },
    },
  );
}
