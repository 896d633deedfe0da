import { z } from 'zod';
import type { BatchQueue } from '../api/batch-queue.ts';
import { ANNOTATION_PULL_TOKENS, API_GROUP, KIND, LABEL_PULL_SECRET } from '../api/names.ts';
import type { KubeObject, OwnerReference } from '../ports.ts';
import {
  DOCKER_CONFIG_KEY,
  DOCKER_CONFIG_TYPE,
  dockerConfigOf,
  encodeDockerConfig,
  fingerprintOf,
  loginFor,
  loginOf,
  withLogins,
} from './docker-config.ts';
import { isoSeconds } from './iso-time.ts';
import { ownerReference } from './owner.ts';
import type { Problem } from './problem.ts';
import { readJson } from './read-json.ts';

/** A token is renewed at half of its life, and after six hours at the latest, in milliseconds. */
const MAX_AGE_MS = 6 * 3_600_000;
/** … but no sooner than this, whatever its issuer says of its life. */
const MIN_AGE_MS = 300_000;
/** A token that pods were refused with is renewed when it is older than this; a younger one is not to blame. */
const DENIED_AGE_MS = 600_000;

/** A token and for which registry it is. */
export interface Login {
  readonly host: string;
  readonly username: string;
  readonly password: string;
  readonly expiresAtMs: number;
}

const instant = z.string().transform((text) => Date.parse(text) || 0);
const recordSchema = z.object({ issued: instant, expires: instant, login: z.string() });
const recordsSchema = z.record(z.string(), recordSchema);
/** What the annotation remembers of each token: enough to see that it is due, or no longer the one that was written. */
type TokenRecord = z.output<typeof recordSchema>;

/** Who needs what of a pull secret. */
export interface PullSecretNeeds {
  readonly queue: BatchQueue;
  readonly name: string;
  /** Registries whose tokens it must hold. */
  readonly hosts: readonly string[];
  /** Pods are refused by a registry now. */
  readonly isDenied: boolean;
  readonly nowMs: number;
}

/** How a pull secret stands. */
export type PullSecretState =
  /** Somebody else's: it is left alone. */
  | ({ readonly kind: 'foreign' } & Problem)
  /** Missing, not ours yet, edited, or its tokens grow old. */
  | { readonly kind: 'due' }
  | { readonly kind: 'fresh'; readonly dueAtMs: number };

const namedSchema = z.object({ spec: z.object({ imagePullSecret: z.object({ name: z.string() }) }) });

/** The pull secret that a BatchQueue names, read from its raw JSON. */
export function pullSecretOf(batchQueue: KubeObject): string | undefined {
  return namedSchema.safeParse(batchQueue).data?.spec.imagePullSecret.name;
}

/**
 * What there is to do about a pull secret that the operator may keep. One of the right type that no controller owns is
 * ours with `refresh: true`; several BatchQueues may share it.
 */
export function pullSecretState(secret: KubeObject | undefined, needs: PullSecretNeeds): PullSecretState {
  if (!secret) return { kind: 'due' };
  const foreign = foreignProblem(secret);
  if (foreign) return { kind: 'foreign', ...foreign };
  const isOurs = secret.metadata.labels?.[LABEL_PULL_SECRET] !== undefined;
  if (!isOurs || ownersFor(secret, needs.queue)) return { kind: 'due' };
  const dueAtMs = Math.min(...needs.hosts.map((host) => dueAt(secret, host, needs.isDenied)));
  return needs.nowMs < dueAtMs ? { kind: 'fresh', dueAtMs } : { kind: 'due' };
}

/** The Secret as it is created when there is none: it goes with the last BatchQueue that uses it. */
export function newPullSecret({ queue, name, nowMs }: PullSecretNeeds, logins: readonly Login[]): KubeObject {
  const { namespace = 'default' } = queue.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace, ...marks({}, logins, nowMs), ownerReferences: [sharedOwner(queue)] },
    type: DOCKER_CONFIG_TYPE,
    data: { [DOCKER_CONFIG_KEY]: encodeDockerConfig(withLogins({ auths: {} }, entriesOf(logins))) },
  };
}

/**
 * A merge patch that puts these tokens into the Secret and leaves everything else of it, if nobody has changed it since
 * it was read. A Secret that was there before us keeps having no owner, and so outlives the BatchQueue.
 */
export function pullSecretPatch(
  secret: KubeObject,
  { queue, nowMs }: PullSecretNeeds,
  logins: readonly Login[],
): object {
  const { resourceVersion } = secret.metadata;
  const ownerReferences = ownersFor(secret, queue);
  const config = dockerConfigOf(secret) ?? { auths: {} };
  return {
    metadata: {
      resourceVersion,
      ...marks(recordsOf(secret), logins, nowMs),
      ...(ownerReferences && { ownerReferences }),
    },
    data: { [DOCKER_CONFIG_KEY]: encodeDockerConfig(withLogins(config, entriesOf(logins))) },
  };
}

/** When the first of these tokens runs out, epoch ms; undefined when one of them is not as it was written. */
export function goodUntil(secret: KubeObject | undefined, hosts: readonly string[]): number | undefined {
  const ends = hosts.map((host) => secret && wholeRecord(secret, host)?.expires);
  return ends.every((end) => end !== undefined) ? Math.min(...ends) : undefined;
}

function foreignProblem({ metadata, type, ...fields }: KubeObject): Problem | undefined {
  const { name } = metadata;
  const remedy = 'Name another Secret in spec.imagePullSecret, or set its refresh to false.';
  if (type !== DOCKER_CONFIG_TYPE) {
    const message = `Secret ${name} is of type ${String(type)}, not ${DOCKER_CONFIG_TYPE}: it is left alone. ${remedy}`;
    return { reason: 'WrongSecretType', message };
  }
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true);
  if (controller) {
    const message = `Secret ${name} is kept by ${controller.kind} ${controller.name}: it is left alone. ${remedy}`;
    return { reason: 'SecretOwnedByOther', message };
  }
  if (fields['immutable'] !== true) return undefined;
  return { reason: 'SecretImmutable', message: `Secret ${name} is immutable: it is left alone. ${remedy}` };
}

function dueAt(secret: KubeObject, host: string, isDenied: boolean): number {
  const record = wholeRecord(secret, host);
  if (!record) return 0;
  const { issued, expires } = record;
  const ageMs = Math.max(MIN_AGE_MS, Math.min(MAX_AGE_MS, (expires - issued) / 2));
  return issued + (isDenied ? Math.min(DENIED_AGE_MS, ageMs) : ageMs);
}

/** What is remembered of a token that is in the Secret as it was written. */
function wholeRecord(secret: KubeObject, host: string): TokenRecord | undefined {
  const config = dockerConfigOf(secret);
  const record = new Map(Object.entries(recordsOf(secret))).get(host);
  const isWhole = config && record?.login === fingerprintOf(loginFor(config, host));
  return isWhole ? record : undefined;
}

function recordsOf({ metadata }: KubeObject): Readonly<Record<string, TokenRecord>> {
  return readJson(metadata.annotations?.[ANNOTATION_PULL_TOKENS], recordsSchema) ?? {};
}

function entriesOf(logins: readonly Login[]): ReadonlyMap<string, object> {
  return new Map(logins.map(({ host, username, password }) => [host, loginOf(username, password)]));
}

/** Label and annotation: that it is ours, and which tokens are in it. */
function marks(before: Readonly<Record<string, TokenRecord>>, logins: readonly Login[], nowMs: number) {
  const records = Object.fromEntries([
    ...Object.entries(before).map(([host, { issued, expires, login }]) => [
      host,
      { issued: isoSeconds(issued), expires: isoSeconds(expires), login },
    ]),
    ...logins.map(({ host, username, password, expiresAtMs }) => [
      host,
      {
        issued: isoSeconds(nowMs),
        expires: isoSeconds(expiresAtMs),
        login: fingerprintOf(loginOf(username, password)),
      },
    ]),
  ]);
  return {
    labels: { [LABEL_PULL_SECRET]: 'kept' },
    annotations: { [ANNOTATION_PULL_TOKENS]: JSON.stringify(records) },
  };
}

/** The owners of a Secret that BatchQueues made, with this one; undefined when it is among them, or must not be. */
function ownersFor({ metadata }: KubeObject, queue: BatchQueue): readonly OwnerReference[] | undefined {
  const owners = metadata.ownerReferences ?? [];
  const isMade = owners.some(
    ({ kind, apiVersion }) => kind === KIND && apiVersion.startsWith(`${API_GROUP}/`),
  );
  if (!isMade || owners.some(({ uid }) => uid === queue.metadata.uid)) return undefined;
  return [...owners, sharedOwner(queue)];
}

/** One of several: the Secret goes when the last of them is gone. */
function sharedOwner(queue: BatchQueue): OwnerReference {
  const { apiVersion, kind, name, uid } = ownerReference(queue);
  return { apiVersion, kind, name, uid };
}
