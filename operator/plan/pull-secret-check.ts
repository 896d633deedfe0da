import { z } from 'zod';
import type { KubeObject } from '../ports.ts';
import { DOCKER_CONFIG_TYPE, dockerConfigOf, expiryOf, loginFor } from './docker-config.ts';
import { isoSeconds } from './iso-time.ts';
import type { NodeFacts } from './node-facts.ts';
import { type Check, passed, warned } from './preflight.ts';

/** Which kubelets read as well; nothing more is said about it. */
const OLD_TYPE = 'kubernetes.io/dockercfg';
/** How long a token of ECR lives, where it does not say so itself, in milliseconds. */
const TOKEN_LIFE_MS = 12 * 3_600_000;

/** A pull secret that users keep themselves. */
export interface UnkeptSecret {
  readonly name: string;
  /** Undefined: there is none. */
  readonly secret: KubeObject | undefined;
  /** Registries of ECR that the template pulls from. */
  readonly hosts: readonly string[];
  /** Every image of the template is in one of them. */
  readonly isAllEcr: boolean;
  readonly nodes: readonly NodeFacts[] | undefined;
  readonly nowMs: number;
}

/**
 * What `PullSecretReady` says of a pull secret that nobody refreshes, and when it will say something else, epoch ms
 * (never: infinity). Nothing of it holds intake: kubelets also try their own credentials, and pods that cannot pull tell
 * so themselves.
 */
export function unkeptCheck(subject: UnkeptSecret): { readonly check: Check; readonly changesAtMs: number } {
  const { secret, hosts, nowMs } = subject;
  const endMs = secret ? goodUntil(secret, hosts) : Number.POSITIVE_INFINITY;
  return { check: checkOf(subject, endMs), changesAtMs: endMs > nowMs ? endMs : Number.POSITIVE_INFINITY };
}

function checkOf(subject: UnkeptSecret, endMs: number): Check {
  const { name, secret, hosts, isAllEcr, nodes } = subject;
  const type = secret?.['type'];
  if (secret && type !== DOCKER_CONFIG_TYPE) return otherType(name, type);
  const fault = faultOf(subject, endMs);
  const isNeeded = !isAllEcr || hosts.length === 0 || !areEks(nodes);
  if (!isNeeded) return notNeeded(name, fault?.what ?? 'is there');
  if (fault) return warned(fault.reason, `Secret ${name} ${fault.what}${fault.remedy}`);
  const until = Number.isFinite(endMs) ? `, with a token of ECR until ${isoSeconds(endMs)}` : '';
  return passed('Present', `Secret ${name} is there${until}.`);
}

interface Fault {
  readonly reason: string;
  /** What is said of the Secret. */
  readonly what: string;
  readonly remedy: string;
}

const REFRESH =
  ': pods cannot pull with it, and nothing refreshes it. Set spec.imagePullSecret.refresh to true.';

function faultOf({ secret, hosts, nowMs }: UnkeptSecret, endMs: number): Fault | undefined {
  if (!secret) {
    const remedy =
      ' in this namespace. Create it, or set spec.imagePullSecret.refresh to true if it is for ECR.';
    return { reason: 'PullSecretNotFound', what: 'does not exist', remedy };
  }
  const uncovered = hosts.filter((host) => loginOf(secret, host) === undefined);
  if (uncovered.length > 0)
    return {
      reason: 'RegistryNotCovered',
      what: `holds no login for ${uncovered.join(', ')}`,
      remedy: REFRESH,
    };
  if (nowMs < endMs) return undefined;
  return { reason: 'PullSecretExpired', what: `expired at ${isoSeconds(endMs)}`, remedy: REFRESH };
}

/** When the first of its ECR tokens runs out, epoch ms; infinity when nobody knows. */
function goodUntil(secret: KubeObject, hosts: readonly string[]): number {
  return Math.min(...hosts.flatMap((host) => endOf(secret, host) ?? []));
}

/** Whether kubelets pull from ECR with the role of their node: all of them, as far as they can be seen. */
export function areEks(nodes: readonly NodeFacts[] | undefined): boolean {
  return nodes !== undefined && nodes.length > 0 && nodes.every(({ isEks }) => isEks);
}

/** The caveat of every advice not to have a pull secret. */
export const EKS_NODES_PULL =
  'the nodes are of EKS and pull from ECR with their own role, unless it may not: a repository of another account without a policy for it';

function notNeeded(name: string, what: string): Check {
  const message = `Secret ${name} ${what}, and is not needed: ${EKS_NODES_PULL}. Otherwise remove spec.imagePullSecret.`;
  return passed('NotNeeded', message);
}

function otherType(name: string, type: unknown): Check {
  if (type === OLD_TYPE) return passed('Present', `Secret ${name} is there, of the old type ${OLD_TYPE}.`);
  const message = `Secret ${name} is of type ${String(type)}: kubelets read pull secrets of type ${DOCKER_CONFIG_TYPE} (kubectl create secret docker-registry).`;
  return warned('WrongSecretType', message);
}

function loginOf(secret: KubeObject, host: string): unknown {
  const config = dockerConfigOf(secret);
  return config && loginFor(config, host);
}

/** Said by the token, or else twelve hours after the Secret was last written. */
function endOf(secret: KubeObject, host: string): number | undefined {
  const said = expiryOf(loginOf(secret, host));
  if (said !== undefined) return said;
  const writtenMs = writtenAt(secret);
  return writtenMs === undefined ? undefined : writtenMs + TOKEN_LIFE_MS;
}

const fieldsSchema = z.array(z.object({ time: z.string(), fieldsV1: z.looseObject({}).optional() }));

/** When its data was last written; its creation where the API server keeps no such books. */
function writtenAt({ metadata }: KubeObject): number | undefined {
  const entries = fieldsSchema.safeParse(metadata['managedFields']).data ?? [];
  const times = entries
    .filter(({ fieldsV1 }) => fieldsV1?.['f:data'] !== undefined)
    .map(({ time }) => Date.parse(time));
  const newest = Math.max(...times, Date.parse(metadata.creationTimestamp ?? ''));
  return Number.isFinite(newest) ? newest : undefined;
}
