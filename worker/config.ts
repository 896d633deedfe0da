/** The environment of the CSV worker beyond the contract, read once. Nothing else looks at environment variables. */
import { type Environment, storageRootOf } from './contract/environment.ts';

export interface WorkerConfig {
  /** Directory that all paths in message bodies are relative to. */
  readonly storageRoot: string;
}

const LOG_FIELDS = {
  namespace: 'BATCHQUEUE_NAMESPACE',
  batchqueue: 'BATCHQUEUE_NAME',
  revision: 'BATCHQUEUE_REVISION',
  attempt: 'BATCHQUEUE_ATTEMPT',
};

/** The fields that every log line of a pod carries; absent variables are absent fields. */
export function logFieldsOf(env: Environment): Record<string, string> {
  const known = Object.entries(LOG_FIELDS).map(([field, name]) => [field, env[name]] as const);
  return Object.fromEntries(known.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The whole configuration; throws a `misconfigured` WorkerError that names the variable that is wrong. */
export function configFromEnvironment(env: Environment): WorkerConfig {
  return { storageRoot: storageRootOf(env) };
}
