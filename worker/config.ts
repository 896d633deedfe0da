/** The environment of the CSV worker beyond the contract, read once. Nothing else looks at environment variables. */
import { type Environment, storageRootOf } from './contract/environment.ts';
import { messageOf, WorkerError } from './contract/errors.ts';
import { type EngineName, engineFrom } from './engine.ts';

export interface WorkerConfig {
  /** Directory that all paths in message bodies are relative to. */
  readonly storageRoot: string;
  /** Absolute path of an own transform module in the image. */
  readonly transformFile: string | undefined;
  readonly limits: Limits;
  /** For tasks that ask for nothing but the plain file. */
  readonly engine: EngineName;
}

/** What an input may have at most, so that one message cannot take a node's time or memory for itself. */
export interface Limits {
  readonly inputBytes: number;
  readonly columns: number;
}

/** 64 GiB take a few hours at the disk's pace, which is more than a Job should; 1,000 columns fit a row of 1 MiB. */
const DEFAULT_LIMITS: Limits = { inputBytes: 64 * 1024 ** 3, columns: 1000 };

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

/** The whole configuration; throws one `misconfigured` WorkerError that names every variable that is wrong. */
export function configFromEnvironment(env: Environment): WorkerConfig {
  const problems: string[] = [];
  const noted = <T>(read: () => T, fallback: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(messageOf(error));
      return fallback;
    }
  };
  const config: WorkerConfig = {
    storageRoot: noted(() => storageRootOf(env), ''),
    transformFile: noted(() => transformFileOf(env), undefined),
    engine: noted(() => engineOf(env), 'kernel'),
    limits: {
      inputBytes: noted(() => numberOf(env, 'BATCHQUEUE_MAX_INPUT_BYTES', DEFAULT_LIMITS.inputBytes), 0),
      columns: noted(() => numberOf(env, 'BATCHQUEUE_MAX_COLUMNS', DEFAULT_LIMITS.columns), 0),
    },
  };
  if (problems.length > 0) throw new WorkerError('misconfigured', problems.join('; '));
  return config;
}

function transformFileOf(env: Environment): string | undefined {
  const path = env['BATCHQUEUE_TRANSFORM'];
  if (path === undefined || path.startsWith('/')) return path;
  throw new Error(`BATCHQUEUE_TRANSFORM must be the absolute path of an ES module, got "${path}"`);
}

function engineOf(env: Environment): EngineName {
  try {
    return engineFrom(env['BATCHQUEUE_CSV_ENGINE']);
  } catch (error) {
    throw new Error(`BATCHQUEUE_CSV_ENGINE: ${messageOf(error)}`, { cause: error });
  }
}

function numberOf(env: Environment, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined) return fallback;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new Error(`${name} must be a whole number above 0, got "${text}"`);
}
