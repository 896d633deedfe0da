import { parseArgs } from 'node:util';
import { z } from 'zod';
import { ARN_PATTERN } from './api/arn.ts';
import { MAX_LEASE_DURATION_MS } from './kube/leader-lease.ts';

/**
 * The operator's settings: every one may be given as a flag or as an environment variable, the flag wins. Everything is
 * read and checked once, all problems are reported together, and nothing reads the environment later. AWS credentials
 * are the SDK's business (environment, web identity, pod identity).
 */
export interface OperatorConfig {
  /** Namespaces to serve; empty: all. */
  readonly namespaces: readonly string[];
  /** Undefined: the pod's service account, else kubectl's default. */
  readonly kubeconfig: string | undefined;
  /** All SQS requests go here (an emulator). */
  readonly sqsEndpoint: string | undefined;
  /** All ECR requests go here (an emulator). */
  readonly ecrEndpoint: string | undefined;
  readonly allowedQueueHosts: readonly string[];
  /** All STS requests go here (an emulator). */
  readonly stsEndpoint: string | undefined;
  /** For whom the operator's own identity is: these namespaces (`*`: all) … */
  readonly operatorIdentityNamespaces: readonly string[];
  /** … and these queues, as ARN patterns. Both are empty, or neither is. */
  readonly operatorIdentityQueues: readonly string[];
  /** Sessions of tenants' roles may do nothing but read the queue they are for, and pull images. */
  readonly narrowSessions: boolean;
  /** For queue hosts that do not tell their region. */
  readonly awsRegion: string;
  /** False: this process acts without asking; never with another one beside it. */
  readonly leaderElect: boolean;
  /** Of the Lease; undefined: the pod's own namespace, or the kubeconfig's. */
  readonly leaseNamespace: string | undefined;
  readonly leaseName: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  readonly healthAddress: string;
  /** 0: any free port. */
  readonly healthPort: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export type ConfigResult =
  | { readonly ok: true; readonly config: OperatorConfig }
  | { readonly ok: false; readonly problems: readonly string[] }
  | { readonly ok: 'help'; readonly text: string };

interface Setting {
  readonly flag: string;
  readonly env: string;
  readonly help: string;
  readonly schema: z.ZodType;
}

/** Clocks of two machines may differ in speed, and what was sent at the last moment needs time to arrive. */
const MAX_DEADLINE_SHARE = 0.8;
/** How many renewals must fit into the deadline. */
const MIN_TRIES = 2;

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const NAMESPACE_OR_ALL = /^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/;
const ENDPOINT = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional();
const HOST = /^[A-Za-z0-9.-]+(:\d{1,5})?$/;

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const DURATION = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|m)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** `10s`, `1500ms`, `1m`: a number with its unit, in whole milliseconds. */
const duration = (fallback: string) =>
  z
    .string()
    .regex(DURATION, 'must be a duration like 10s, 1500ms or 1m')
    .default(fallback)
    .transform((text) => {
      const [, number = '', unit = ''] = DURATION.exec(text) ?? [];
      return Math.round(Number(number) * (UNIT_MS[unit] ?? 0));
    });

const list = (item: RegExp, what: string) =>
  z
    .string()
    .default('')
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean),
    )
    .refine((parts) => parts.every((part) => item.test(part)), `must be a comma-separated list of ${what}`);

const trueOrFalse = (fallback: 'true' | 'false') =>
  z
    .enum(['true', 'false'])
    .default(fallback)
    .transform((text) => text === 'true');

const SETTINGS = {
  namespaces: {
    flag: 'namespaces',
    env: 'BATCHQUEUE_NAMESPACES',
    help: 'namespaces to serve, comma-separated (default: all)',
    schema: list(DNS_LABEL, 'namespace names'),
  },
  kubeconfig: {
    flag: 'kubeconfig',
    env: 'BATCHQUEUE_KUBECONFIG',
    help: "kubeconfig file (default: the pod's service account)",
    schema: z.string().min(1).optional(),
  },
  sqsEndpoint: {
    flag: 'sqs-endpoint',
    env: 'BATCHQUEUE_SQS_ENDPOINT',
    help: 'send all SQS requests to this URL, for emulators',
    schema: ENDPOINT,
  },
  stsEndpoint: {
    flag: 'sts-endpoint',
    env: 'BATCHQUEUE_STS_ENDPOINT',
    help: 'send all STS requests to this URL, for emulators',
    schema: ENDPOINT,
  },
  operatorIdentityNamespaces: {
    flag: 'operator-identity-namespaces',
    env: 'BATCHQUEUE_OPERATOR_IDENTITY_NAMESPACES',
    help: "namespaces whose queues are read with the operator's own AWS identity, comma-separated; * is all (default: none)",
    schema: list(NAMESPACE_OR_ALL, 'namespace names or *'),
  },
  operatorIdentityQueues: {
    flag: 'operator-identity-queues',
    env: 'BATCHQUEUE_OPERATOR_IDENTITY_QUEUES',
    help: 'the queues that may be so read, comma-separated ARN patterns with * and ?, like arn:aws:sqs:*:123456789012:*',
    schema: list(ARN_PATTERN, 'ARN patterns'),
  },
  narrowSessions: {
    flag: 'narrow-sessions',
    env: 'BATCHQUEUE_NARROW_SESSIONS',
    help: "true: a session policy narrows each use of a tenant's role to the one queue that it is for (default: false)",
    schema: trueOrFalse('false'),
  },
  ecrEndpoint: {
    flag: 'ecr-endpoint',
    env: 'BATCHQUEUE_ECR_ENDPOINT',
    help: 'send all ECR requests to this URL, for emulators',
    schema: ENDPOINT,
  },
  allowedQueueHosts: {
    flag: 'allowed-queue-hosts',
    env: 'BATCHQUEUE_ALLOWED_QUEUE_HOSTS',
    help: 'queue hosts outside AWS that may be contacted, comma-separated, host or host:port',
    schema: list(HOST, 'hosts (host or host:port)'),
  },
  awsRegion: {
    flag: 'aws-region',
    env: 'AWS_REGION',
    help: 'region for queue hosts that do not tell theirs (default: us-east-1)',
    schema: z
      .string()
      .regex(/^[a-z]{2,}(-[a-z0-9]+)+$/, 'must be an AWS region, like us-east-1')
      .default('us-east-1'),
  },
  leaderElect: {
    flag: 'leader-elect',
    env: 'BATCHQUEUE_LEADER_ELECT',
    help: 'false: act without holding the Lease; for a single process only (default: true)',
    schema: trueOrFalse('true'),
  },
  leaseNamespace: {
    flag: 'lease-namespace',
    env: 'BATCHQUEUE_LEASE_NAMESPACE',
    help: "namespace of the leader's Lease (default: the pod's own)",
    schema: z.string().regex(DNS_LABEL, 'must be a namespace name').optional(),
  },
  leaseName: {
    flag: 'lease-name',
    env: 'BATCHQUEUE_LEASE_NAME',
    help: "name of the leader's Lease; processes that serve the same namespaces share it (default: batchqueue-operator)",
    schema: z.string().regex(DNS_SUBDOMAIN, 'must be an object name').default('batchqueue-operator'),
  },
  leaseDurationMs: {
    flag: 'lease-duration',
    env: 'BATCHQUEUE_LEASE_DURATION',
    help: 'a standby takes over from a leader that it has not heard for this long (default: 10s)',
    schema: duration('10s').refine(
      (ms) => ms % 1_000 === 0 && ms >= 1_000 && ms <= MAX_LEASE_DURATION_MS,
      'must be whole seconds, 1s..600s',
    ),
  },
  renewDeadlineMs: {
    flag: 'renew-deadline',
    env: 'BATCHQUEUE_RENEW_DEADLINE',
    help: 'a leader that could not renew the Lease for this long stops acting (default: 7s)',
    schema: duration('7s'),
  },
  retryPeriodMs: {
    flag: 'retry-period',
    env: 'BATCHQUEUE_RETRY_PERIOD',
    help: 'how often the Lease is renewed, and what failed tried again (default: 2s)',
    schema: duration('2s').refine((ms) => ms >= 100, 'must be at least 100ms'),
  },
  healthAddress: {
    flag: 'health-address',
    env: 'BATCHQUEUE_HEALTH_ADDRESS',
    help: 'address of /healthz, /readyz and /metrics (default: 0.0.0.0)',
    schema: z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' }).default('0.0.0.0'),
  },
  healthPort: {
    flag: 'health-port',
    env: 'BATCHQUEUE_HEALTH_PORT',
    help: 'port of /healthz, /readyz and /metrics (default: 8080)',
    schema: z.coerce.number({ error: 'must be a port, 0..65535' }).int().min(0).max(65_535).default(8080),
  },
  logLevel: {
    flag: 'log-level',
    env: 'BATCHQUEUE_LOG_LEVEL',
    help: 'debug, info, warn or error (default: info)',
    schema: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  },
} satisfies Record<keyof OperatorConfig, Setting>;

/** The settings from command line and environment, or every problem with them; never throws. */
export function loadConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ConfigResult {
  const flags = readFlags(args);
  if (!flags.ok) return { ok: false, problems: [flags.problem] };
  if (flags.values['help'] === true) return { ok: 'help', text: usage() };
  const problems: string[] = [];
  const entries = Object.entries(SETTINGS).map(([name, { flag, env, schema }]) => {
    const given = flags.values[flag] ?? (environment[env] || undefined);
    const parsed = schema.safeParse(given);
    if (!parsed.success) problems.push(problem({ flag, env }, parsed.error.issues[0]?.message, given));
    return [name, parsed.data];
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- SETTINGS has a schema for every field of the type
  const config = Object.fromEntries(entries) as OperatorConfig;
  problems.push(...timingProblems(config), ...grantProblems(config));
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, config: Object.freeze(config) };
}

/** Lent to nobody, or for nothing, is a mistake. */
function grantProblems(config: Partial<OperatorConfig>): string[] {
  const { operatorIdentityNamespaces: namespaces, operatorIdentityQueues: queues } = config;
  if (!namespaces || !queues || namespaces.length > 0 === queues.length > 0) return [];
  const [missing, given] =
    namespaces.length > 0
      ? [SETTINGS.operatorIdentityQueues, SETTINGS.operatorIdentityNamespaces]
      : [SETTINGS.operatorIdentityNamespaces, SETTINGS.operatorIdentityQueues];
  return [problem(missing, `must be given with --${given.flag}`, '')];
}

/** What is wrong between settings that are right by themselves; one that is not (undefined here) has its own problem. */
function timingProblems(config: Partial<OperatorConfig>): string[] {
  const { leaseDurationMs = Infinity, renewDeadlineMs, retryPeriodMs = 0 } = config;
  const { leaseDurationMs: lease, renewDeadlineMs: deadline, retryPeriodMs: period } = SETTINGS;
  const problems: string[] = [];
  if (renewDeadlineMs === undefined) return problems;
  if (renewDeadlineMs > leaseDurationMs * MAX_DEADLINE_SHARE) {
    const most = `must be at most ${MAX_DEADLINE_SHARE * 100} % of --${lease.flag} (${leaseDurationMs}ms)`;
    const why = 'so that a leader stops before another one starts';
    problems.push(problem(deadline, `${most}, ${why}`, `${renewDeadlineMs}ms`));
  }
  if (retryPeriodMs > renewDeadlineMs / MIN_TRIES) {
    const most = `must be at most half of --${deadline.flag} (${renewDeadlineMs}ms)`;
    problems.push(problem(period, `${most}, so that one lost renewal costs nothing`, `${retryPeriodMs}ms`));
  }
  return problems;
}

function problem(
  { flag, env }: Pick<Setting, 'flag' | 'env'>,
  message = 'is not valid',
  given: unknown,
): string {
  return `--${flag} (${env}): ${message}, got ${JSON.stringify(given)}`;
}

type Flags =
  | { readonly ok: true; readonly values: Readonly<Record<string, string | boolean | undefined>> }
  | { readonly ok: false; readonly problem: string };

function readFlags(args: readonly string[]): Flags {
  const options = Object.fromEntries(
    Object.values(SETTINGS).map(({ flag }) => [flag, { type: 'string' as const }]),
  );
  try {
    const parsed = parseArgs({
      args: [...args],
      options: { ...options, help: { type: 'boolean', short: 'h' } },
    });
    return { ok: true, values: parsed.values };
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) };
  }
}

function usage(): string {
  const lines = Object.values(SETTINGS).map(
    ({ flag, env, help }) => `  --${flag.padEnd(20)} ${env.padEnd(31)} ${help}`,
  );
  return [
    'batchqueue-operator [flags]',
    '',
    'Flags, and the environment variables that set the same:',
    ...lines,
    '',
  ].join('\n');
}
