/** The environment of a pod, read once. Nothing else in the worker looks at environment variables. */
import { WorkerError } from './errors.ts';

export interface WorkerConfig {
  /** The JSON file with the message records. */
  readonly messagesFile: string;
  /** Directory that all paths in message bodies are relative to. */
  readonly storageRoot: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const LOG_FIELDS = {
  namespace: 'BATCHQUEUE_NAMESPACE',
  batchqueue: 'BATCHQUEUE_NAME',
  revision: 'BATCHQUEUE_REVISION',
  attempt: 'BATCHQUEUE_ATTEMPT',
};

/** True when the process was started as the container of a Job rather than by hand. */
export function isInPod(env: Environment): boolean {
  return env['BATCHQUEUE_MESSAGES_FILE'] !== undefined;
}

/**
 * Path of the result file: where the kubelet looks unless the container says otherwise. Known even when the rest of the
 * environment is wrong, so that this can be reported.
 */
export function resultFileOf(env: Environment): string {
  return env['BATCHQUEUE_RESULT_FILE'] ?? '/dev/termination-log';
}

/** The fields that every log line of a pod carries; absent variables are absent fields. */
export function logFieldsOf(env: Environment): Record<string, string> {
  const known = Object.entries(LOG_FIELDS).map(([field, name]) => [field, env[name]] as const);
  return Object.fromEntries(known.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The whole configuration; throws one `misconfigured` WorkerError that names every variable that is missing. */
export function configFromEnvironment(env: Environment): WorkerConfig {
  const messagesFile = env['BATCHQUEUE_MESSAGES_FILE'] ?? '';
  const storageRoot = env['BATCHQUEUE_STORAGE_PATH'] ?? '';
  const problems: string[] = [];
  if (messagesFile === '') problems.push('BATCHQUEUE_MESSAGES_FILE must name the messages file, got nothing');
  if (!storageRoot.startsWith('/')) {
    const got = storageRoot === '' ? 'nothing' : `"${storageRoot}"`;
    problems.push(
      `BATCHQUEUE_STORAGE_PATH must be the absolute path of the storage (spec.storage), got ${got}`,
    );
  }
  if (problems.length > 0) throw new WorkerError('misconfigured', problems.join('; '));
  return { messagesFile, storageRoot };
}
