import type { EcrHost } from '../api/ecr-host.ts';
import { hasCode, messageOf, OperatorError } from '../errors.ts';
import { isoSeconds } from '../plan/iso-time.ts';
import { passed, warned } from '../plan/preflight.ts';
import { isPullDenied } from '../plan/pull-denial.ts';
import {
  goodUntil,
  type Login,
  newPullSecret,
  type PullSecretNeeds,
  pullSecretPatch,
  pullSecretState,
} from '../plan/pull-secret.ts';
import { areEks, EKS_NODES_PULL, unkeptCheck } from '../plan/pull-secret-check.ts';
import { readerOf } from '../plan/queue-reader.ts';
import { ecrHostsOf, imagesOf } from '../plan/resolved-images.ts';
import type { Clock, KubeObject } from '../ports.ts';
import { type ImageRegistry, type KubeApi, type ObjectCache, SECRETS } from '../world.ts';
import type { ClusterNodes } from './cluster-nodes.ts';
import type { CheckAnswer, CheckSubject, PreflightCheck } from './preflight.ts';

/** What is in order is looked at again after this long at the latest, in milliseconds. */
const PERIOD_MS = 300_000;
/** Somebody else may write the same Secret at the same moment. */
const TRIES = 3;
const RACES = ['Conflict', 'AlreadyExists', 'NotFound'];

export interface PullSecretKeeperOptions {
  readonly kube: Pick<KubeApi, 'get' | 'create' | 'patch'>;
  readonly registry: Pick<ImageRegistry, 'pullToken'>;
  readonly nodes: Pick<ClusterNodes, 'list'>;
  /** Of our Jobs, indexed by `namespace/batchqueue`. */
  readonly pods: Pick<ObjectCache, 'byIndex'>;
  readonly clock: Clock;
}

/**
 * Keeps the ECR tokens in the pull secrets of BatchQueues that ask for it, and says how those stand that do not. The one
 * check that writes: a single write of a single Secret, after which everything is whole, so that a crash leaves nothing
 * half done. Whoever shares a Secret takes turns and finds it done.
 */
export class PullSecretKeeper implements PreflightCheck {
  readonly name = 'pullSecret';
  readonly #options: PullSecretKeeperOptions;
  /** The last one in line for each Secret. */
  readonly #lines = new Map<string, Promise<unknown>>();

  constructor(options: PullSecretKeeperOptions) {
    this.#options = options;
  }

  dependsOn({ queue, template }: CheckSubject): unknown {
    const { imagePullSecret } = queue.spec;
    const texts = imagesOf(template.jobTemplate).map(({ text }) => text);
    return imagePullSecret ? { imagePullSecret, texts, reader: readerOf(queue) } : {};
  }

  async run(subject: CheckSubject): Promise<CheckAnswer> {
    const { metadata, spec } = subject.queue;
    const { namespace = '' } = metadata;
    if (!spec.imagePullSecret)
      return passed(
        'NotConfigured',
        'No pull secret is named: nodes pull with credentials of their own, not with the role of a ServiceAccount.',
      );
    const { name, refresh } = spec.imagePullSecret;
    const look = () =>
      refresh ? this.#keep(subject, namespace, name) : this.#lookAt(subject, namespace, name);
    return await this.#inLine(`${namespace}/${name}`, look);
  }

  async #inLine<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#lines.get(key) ?? Promise.resolve();
    const mine = before.then(task, task);
    this.#lines.set(key, mine);
    return await mine.finally(() => {
      if (this.#lines.get(key) === mine) this.#lines.delete(key);
    });
  }

  async #lookAt({ template }: CheckSubject, namespace: string, name: string): Promise<CheckAnswer> {
    const { kube, nodes, clock } = this.#options;
    const images = imagesOf(template.jobTemplate);
    const { check, changesAtMs } = unkeptCheck({
      name,
      secret: await kube.get(SECRETS, namespace, name),
      hosts: ecrHostsOf(template.jobTemplate).map(({ host }) => host),
      isAllEcr: images.every(({ reference }) => reference?.ecr !== undefined),
      nodes: await nodes.list(),
      nowMs: clock.now(),
    });
    return check.status === 'True' ? { ...check, ...this.#again(changesAtMs) } : check;
  }

  async #keep({ queue, template }: CheckSubject, namespace: string, name: string): Promise<CheckAnswer> {
    const ecrHosts = ecrHostsOf(template.jobTemplate);
    const hosts = ecrHosts.map(({ host }) => host);
    if (hosts.length === 0) {
      const message = `No image of the template is in a private registry of ECR: Secret ${name} is left as it is.`;
      return passed('NothingToRefresh', message);
    }
    const needs = {
      queue,
      name,
      hosts,
      isDenied: this.#isDenied(queue.metadata),
      nowMs: this.#options.clock.now(),
    };
    // What was written is read again, so that the answer tells of what stands there.
    for (let tries = 0; tries <= TRIES; tries += 1) {
      const answer = await this.#tryToKeep(needs, namespace, ecrHosts);
      if (answer) return answer;
    }
    const message = `Secret ${name} does not stay as it is written: somebody else writes it, too. Let only one of the two keep it.`;
    return warned('SecretWrittenByOther', message);
  }

  /** Undefined when something was written, by us or by somebody else at the same moment. */
  async #tryToKeep(
    needs: PullSecretNeeds,
    namespace: string,
    ecrHosts: readonly EcrHost[],
  ): Promise<CheckAnswer | undefined> {
    const secret = await this.#options.kube.get(SECRETS, namespace, needs.name);
    const state = pullSecretState(secret, needs);
    if (state.kind === 'foreign') return warned(state.reason, state.message);
    if (state.kind === 'fresh') return await this.#fresh(needs, state.dueAtMs);
    let logins: readonly Login[];
    try {
      logins = await this.#logins(ecrHosts, needs);
    } catch (error) {
      const check = notRefreshed(error, needs, secret);
      // Without the identity no message could be received either; the first pods shall find a token.
      const holdsIntake = check.reason !== 'PullTokenDenied' && goodUntil(secret, needs.hosts) === undefined;
      return { ...check, holdsIntake };
    }
    try {
      await this.#write(namespace, secret, { needs, logins });
    } catch (error) {
      if (!RACES.some((code) => hasCode(error, code))) return notRefreshed(error, needs, secret);
    }
    return undefined;
  }

  #isDenied({ namespace = '', name }: { readonly namespace?: string; readonly name: string }): boolean {
    return isPullDenied(this.#options.pods.byIndex(`${namespace}/${name}`));
  }

  async #fresh({ hosts, name }: PullSecretNeeds, dueAtMs: number): Promise<CheckAnswer> {
    const notice = areEks(await this.#options.nodes.list())
      ? ` It may not be needed: ${EKS_NODES_PULL}.`
      : '';
    const message = `Secret ${name} holds a fresh token for ${hosts.join(', ')}.${notice}`;
    return { ...passed('Fresh', message), ...this.#again(dueAtMs) };
  }

  /** One token serves every registry of a region. */
  async #logins(hosts: readonly EcrHost[], { queue }: PullSecretNeeds): Promise<readonly Login[]> {
    const reader = readerOf(queue);
    const regions = Map.groupBy(hosts, ({ region, fips, dualStack }) => [region, fips, dualStack].join(' '));
    const logins = [...regions.values()].map(async ([first, ...others]) => {
      if (!first) return [];
      const { username, password, expiresAtMs } = await this.#options.registry.pullToken(first, reader);
      return [first, ...others].map(({ host }) => ({ host, username, password, expiresAtMs }));
    });
    return (await Promise.all(logins)).flat();
  }

  async #write(
    namespace: string,
    secret: KubeObject | undefined,
    { needs, logins }: { needs: PullSecretNeeds; logins: readonly Login[] },
  ): Promise<void> {
    const { kube } = this.#options;
    if (!secret) {
      await kube.create(SECRETS, namespace, newPullSecret(needs, logins));
      return;
    }
    const patch = pullSecretPatch(secret, needs, logins);
    await kube.patch(SECRETS, namespace, needs.name, patch, { type: 'merge' });
  }

  #again(changesAtMs = Number.POSITIVE_INFINITY): { readonly recheckAfterMs: number } {
    return { recheckAfterMs: Math.min(PERIOD_MS, changesAtMs - this.#options.clock.now()) };
  }
}

/** Rejects with what may pass by itself. */
function notRefreshed(
  error: unknown,
  { name, hosts }: PullSecretNeeds,
  secret: KubeObject | undefined,
): CheckAnswer {
  if (!(error instanceof OperatorError) || error.verdict === 'retry') throw error;
  const untilMs = goodUntil(secret, hosts);
  const rest = untilMs === undefined ? '' : ` The token in it is good until ${isoSeconds(untilMs)}.`;
  const message = `Secret ${name} cannot be refreshed: ${messageOf(error).replace(/\.$/, '')}.`;
  if (error.code !== 'Forbidden') return warned(error.code, `${message}${rest}`);
  const remedy =
    ' Let the ClusterRole batchqueue-operator get, create and patch secrets: kubectl apply -k deploy/operator.';
  return warned('SecretWriteForbidden', `${message}${remedy}${rest}`);
}
