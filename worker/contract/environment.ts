/** What the operator tells a container through its environment; read once, at the start. */
import { WorkerError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** True when the process was started as the container of a Job rather than by hand. */
export function isInPod(env: Environment): boolean {
  return env['BATCHQUEUE_MESSAGES_FILE'] !== undefined;
}

/** Path of the messages file; throws `misconfigured` when the environment names none. */
export function messagesFileOf(env: Environment): string {
  const path = env['BATCHQUEUE_MESSAGES_FILE'] ?? '';
  if (path === '') {
    throw new WorkerError(
      'misconfigured',
      'BATCHQUEUE_MESSAGES_FILE must name the messages file, got nothing',
    );
  }
  return path;
}

/** The directory where `spec.storage` is mounted; throws `misconfigured` unless it is an absolute path. */
export function storageRootOf(env: Environment): string {
  const root = env['BATCHQUEUE_STORAGE_PATH'] ?? '';
  if (root.startsWith('/')) return root;
  throw new WorkerError(
    'misconfigured',
    `BATCHQUEUE_STORAGE_PATH must be the absolute path of the storage (spec.storage), got ${root === '' ? 'nothing' : `"${root}"`}`,
  );
}

/** Position of the one record that this pod of an Indexed Job works on; undefined when it works on all of them. */
export function completionIndexOf(env: Environment): number | undefined {
  const text = env['JOB_COMPLETION_INDEX'];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new WorkerError('misconfigured', 'JOB_COMPLETION_INDEX must be a number counted from 0');
}

/**
 * Path of the result file: where the kubelet looks unless the container says otherwise. Known even when the rest of the
 * environment is wrong, so that this can be reported.
 */
export function resultFileOf(env: Environment): string {
  return env['BATCHQUEUE_RESULT_FILE'] ?? '/dev/termination-log';
}
