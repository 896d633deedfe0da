import { matchesArn, queueArnOf } from '../api/arn.ts';
import { parseQueueUrl } from '../api/queue-url.ts';
import type { QueueReader } from '../plan/queue-reader.ts';

/** For whom the installer lends out the operator's own identity: every listed queue, to every listed namespace. */
export interface OperatorGrants {
  /** Names of namespaces; `*`: all. */
  readonly namespaces: readonly string[];
  /** Patterns of queue ARNs, with `*` and `?`. */
  readonly queues: readonly string[];
  /** For queue hosts that do not tell their region. */
  readonly defaultRegion: string;
}

/**
 * True when the installer lets this reader use the operator's own identity. Decided from the URL that requests name, never
 * from an ARN that somebody has written down; a queue's dead-letter queue is asked about by itself.
 */
export function isGranted({ namespace, url }: QueueReader, grants: OperatorGrants): boolean {
  const queue = parseQueueUrl(url);
  if (!queue || !grants.namespaces.some((listed) => listed === '*' || listed === namespace)) return false;
  const arn = queueArnOf(queue, grants.defaultRegion);
  return grants.queues.some((pattern) => matchesArn(pattern, arn));
}
