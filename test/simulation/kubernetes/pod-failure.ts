import type { KubeObject } from '../../../operator/ports.ts';

/** What the Job controller does about a failed pod. */
export interface PodVerdict {
  readonly action: 'Ignore' | 'FailJob' | 'FailIndex' | 'Count';
  /** The words of the Failed condition. */
  readonly message: string;
}

/** Reads a Job's podFailurePolicy as the Job controller does: the first rule that matches decides; none: it counts. */
export function judgeFailedPod(job: KubeObject, pod: KubeObject): PodVerdict {
  const rules: unknown[] = Object(Object(Object(job['spec'])['podFailurePolicy']))['rules'] ?? [];
  for (const [index, rule] of rules.entries()) {
    const { action, onExitCodes, onPodConditions } = Object(rule);
    const what = matches(pod, onExitCodes, onPodConditions);
    if (what === undefined) continue;
    const { namespace, name } = pod.metadata;
    return { action, message: `${what(`${namespace}/${name}`)} matching ${action} rule at index ${index}` };
  }
  return { action: 'Count', message: '' };
}

function matches(
  pod: KubeObject,
  onExitCodes: unknown,
  onPodConditions: unknown,
): ((pod: string) => string) | undefined {
  if (Array.isArray(onPodConditions)) {
    const conditions: unknown[] = Object(pod['status'])['conditions'] ?? [];
    const isMet = onPodConditions.some((wanted) =>
      conditions.some(
        (condition) =>
          Object(condition)['type'] === Object(wanted)['type'] &&
          Object(condition)['status'] === (Object(wanted)['status'] ?? 'True'),
      ),
    );
    return isMet ? (name) => `Pod ${name} has a condition` : undefined;
  }
  const { containerName, operator, values = [] } = Object(onExitCodes);
  const statuses: unknown[] = Object(pod['status'])['containerStatuses'] ?? [];
  for (const status of statuses) {
    const container = String(Object(status)['name']);
    const exitCode: unknown = Object(Object(Object(status)['state'])['terminated'])['exitCode'];
    if (typeof exitCode !== 'number' || exitCode === 0) continue;
    if (containerName !== undefined && containerName !== container) continue;
    if (values.includes(exitCode) === (operator === 'In'))
      return (name) => `Container ${container} for pod ${name} failed with exit code ${exitCode}`;
  }
  return undefined;
}
