import { ANNOTATION_MESSAGES, API_GROUP } from '../api/names.ts';
import type { KubeObject } from '../ports.ts';
import { fieldsOf } from './json.ts';

/** By which the Job controller names the Job of a pod, and kubectl a pod's main container. */
const KEPT_PREFIXES = [`${API_GROUP}/`, 'batch.kubernetes.io/'];
const KEPT_ANNOTATIONS = new Set(['kubectl.kubernetes.io/default-container']);

const KEPT_METADATA = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'ownerReferences',
];
const KEPT_STATUS = ['phase', 'reason', 'message', 'conditions'];

/**
 * What decisions read of a pod: whose it is, its containers by name, and how they are. Everything else goes before it is
 * kept in memory, above all the annotation with the message bodies, which may be 32 KiB per pod.
 */
export function stripPod(pod: KubeObject): KubeObject {
  const { metadata, apiVersion, kind } = pod;
  const spec = fieldsOf(pod['spec']);
  const status = fieldsOf(pod['status']);
  return {
    ...(apiVersion !== undefined && { apiVersion }),
    ...(kind !== undefined && { kind }),
    metadata: {
      ...pick(metadata, KEPT_METADATA),
      name: metadata.name,
      labels: keptOf(metadata.labels),
      annotations: keptOf(metadata.annotations),
    },
    spec: { containers: listOf(spec['containers']).map((container) => pick(container, ['name'])) },
    status: {
      ...pick(status, KEPT_STATUS),
      initContainerStatuses: statesOf(status['initContainerStatuses']),
      containerStatuses: statesOf(status['containerStatuses']),
    },
  };
}

function statesOf(statuses: unknown): Record<string, unknown>[] {
  return listOf(statuses).map((container) => pick(container, ['name', 'state', 'lastState']));
}

/** Labels or annotations by which a pod is told; the message bodies are not among them, whatever their name begins with. */
function keptOf(entries: Record<string, string> | undefined): Record<string, string> {
  const kept = Object.entries(entries ?? {}).filter(
    ([name]) =>
      KEPT_ANNOTATIONS.has(name) ||
      (name !== ANNOTATION_MESSAGES && KEPT_PREFIXES.some((prefix) => name.startsWith(prefix))),
  );
  return Object.fromEntries(kept);
}

function pick(fields: unknown, names: readonly string[]): Record<string, unknown> {
  const all = fieldsOf(fields);
  const picked: Record<string, unknown> = {};
  for (const name of names) if (all[name] !== undefined) picked[name] = all[name];
  return picked;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
