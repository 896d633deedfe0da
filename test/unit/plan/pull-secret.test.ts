import { describe, expect, test } from '@jest/globals';
import {
  DOCKER_CONFIG_KEY,
  dockerConfigOf,
  encodeDockerConfig,
  loginOf,
} from '../../../operator/plan/docker-config.ts';
import type { NodeFacts } from '../../../operator/plan/node-facts.ts';
import { isPullDenied } from '../../../operator/plan/pull-denial.ts';
import {
  goodUntil,
  type Login,
  newPullSecret,
  type PullSecretNeeds,
  pullSecretPatch,
  pullSecretState,
} from '../../../operator/plan/pull-secret.ts';
import { unkeptCheck } from '../../../operator/plan/pull-secret-check.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import { aQueue, NOW_MS } from '../../support/builders.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const HOST = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const HOST_2 = '123456789012.dkr-ecr.us-east-1.on.aws';
const TYPE = 'kubernetes.io/dockerconfigjson';
const OTHER = loginOf('me', 'mine');
const LOGINS: readonly Login[] = [HOST, HOST_2].map((host) => ({
  host,
  username: 'AWS',
  password: `token for ${host}`,
  expiresAtMs: NOW_MS + 12 * HOUR_MS,
}));
const NEEDS: PullSecretNeeds = {
  queue: aQueue(),
  name: 'regcred',
  hosts: [HOST, HOST_2],
  isDenied: false,
  nowMs: NOW_MS,
};

/** A Secret as `kubectl create secret docker-registry` makes it, with another registry in it. */
function handMade(parts: Record<string, unknown> = {}): KubeObject {
  return {
    metadata: { name: 'regcred', namespace: 'shop', resourceVersion: '7' },
    type: TYPE,
    data: {
      [DOCKER_CONFIG_KEY]: encodeDockerConfig({ auths: { 'ghcr.io': OTHER, [HOST]: loginOf('AWS', 'old') } }),
    },
    ...parts,
  };
}

/** The Secret after a patch, as far as one level of merging goes. */
function patched(secret: KubeObject, patch: object): KubeObject {
  const { metadata, data } = Object(patch);
  return {
    ...secret,
    metadata: { ...secret.metadata, ...metadata },
    data: { ...Object(secret['data']), ...data },
  };
}

function stateAt(secret: KubeObject | undefined, nowMs: number, needs: Partial<PullSecretNeeds> = {}) {
  return pullSecretState(secret, { ...NEEDS, nowMs, ...needs });
}

const made = newPullSecret(NEEDS, LOGINS);
const takenOver = patched(handMade(), pullSecretPatch(handMade(), NEEDS, LOGINS));

describe('a pull secret is due', () => {
  const edited = (config: object) => ({
    ...made,
    data: { [DOCKER_CONFIG_KEY]: encodeDockerConfig(Object(config)) },
  });

  test.each<[string, KubeObject | undefined]>([
    ['when it is missing', undefined],
    ['when somebody else made it', handMade()],
    [
      'when a token was replaced',
      edited({ auths: { ...dockerConfigOf(made)?.auths, [HOST]: loginOf('AWS', 'x') } }),
    ],
    ['when a token was removed', edited({ auths: { [HOST]: dockerConfigOf(made)?.auths[HOST] } })],
    ['when it is nonsense', { ...made, data: { [DOCKER_CONFIG_KEY]: 'bm9uc2Vuc2U=' } }],
    ['when what is remembered was removed', { ...made, metadata: { ...made.metadata, annotations: {} } }],
    ['when its label was removed', { ...made, metadata: { ...made.metadata, labels: {} } }],
    [
      'when it does not go with this BatchQueue yet',
      {
        ...made,
        metadata: {
          ...made.metadata,
          ownerReferences: [
            { apiVersion: 'batchqueue.io/v1alpha1', kind: 'BatchQueue', name: 'other', uid: 'other' },
          ],
        },
      },
    ],
  ])('%s', (_what, secret) => {
    expect(stateAt(secret, NOW_MS)).toEqual({ kind: 'due' });
  });

  test('for every host that is needed, and for no other', () => {
    expect(stateAt(made, NOW_MS, { hosts: ['1'.repeat(12)] })).toEqual({ kind: 'due' });
    expect(stateAt(made, NOW_MS, { hosts: [HOST] })).toMatchObject({ kind: 'fresh' });
  });

  test('when it is six hours old', () => {
    expect(stateAt(made, NOW_MS + 6 * HOUR_MS - 1)).toEqual({ kind: 'fresh', dueAtMs: NOW_MS + 6 * HOUR_MS });
    expect(stateAt(made, NOW_MS + 6 * HOUR_MS)).toEqual({ kind: 'due' });
  });

  test('at half of a shorter life, but never at once, whatever its issuer says', () => {
    const living = (ms: number) =>
      newPullSecret(
        NEEDS,
        LOGINS.map((login) => ({ ...login, expiresAtMs: NOW_MS + ms })),
      );
    expect(stateAt(living(HOUR_MS), NOW_MS)).toEqual({ kind: 'fresh', dueAtMs: NOW_MS + HOUR_MS / 2 });
    expect(stateAt(living(-24 * HOUR_MS), NOW_MS)).toEqual({
      kind: 'fresh',
      dueAtMs: NOW_MS + 5 * MINUTE_MS,
    });
  });

  test('when pods are refused with a token that is not new', () => {
    expect(stateAt(made, NOW_MS + 9 * MINUTE_MS, { isDenied: true })).toMatchObject({ kind: 'fresh' });
    expect(stateAt(made, NOW_MS + 10 * MINUTE_MS, { isDenied: true })).toEqual({ kind: 'due' });
    expect(stateAt(made, NOW_MS + 10 * MINUTE_MS)).toMatchObject({ kind: 'fresh' });
  });
});

describe("a Secret that is somebody else's is left alone", () => {
  const controller = { apiVersion: 'external-secrets.io/v1', kind: 'ExternalSecret', name: 'ecr', uid: 'u' };
  const ownedBy = (controls: boolean) =>
    handMade({ metadata: { name: 'regcred', ownerReferences: [{ ...controller, controller: controls }] } });

  test.each<[string, KubeObject]>([
    ['WrongSecretType', handMade({ type: 'Opaque' })],
    ['WrongSecretType', handMade({ type: 'kubernetes.io/dockercfg' })],
    ['SecretOwnedByOther', ownedBy(true)],
    ['SecretImmutable', handMade({ immutable: true })],
  ])('%s', (reason, secret) => {
    expect(stateAt(secret, NOW_MS)).toMatchObject({ kind: 'foreign', reason });
  });

  test('unless its owner does not control it', () => {
    expect(stateAt(ownedBy(false), NOW_MS)).toEqual({ kind: 'due' });
  });
});

describe('what is written', () => {
  test('is whole', () => {
    expect(stateAt(made, NOW_MS)).toMatchObject({ kind: 'fresh' });
    expect(stateAt(takenOver, NOW_MS)).toMatchObject({ kind: 'fresh' });
    expect(goodUntil(made, NEEDS.hosts)).toBe(NOW_MS + 12 * HOUR_MS);
    expect(goodUntil(handMade(), NEEDS.hosts)).toBeUndefined();
  });

  test('keeps what a hand-made Secret holds for other registries', () => {
    const auths = dockerConfigOf(takenOver)?.auths ?? {};
    expect(auths['ghcr.io']).toEqual(OTHER);
    expect(auths[HOST]).toEqual(loginOf('AWS', `token for ${HOST}`));
  });

  test('only where nobody has written since, and without a token outside of the data', () => {
    expect(pullSecretPatch(handMade(), NEEDS, LOGINS)).toMatchObject({ metadata: { resourceVersion: '7' } });
    for (const { metadata } of [made, takenOver]) expect(JSON.stringify(metadata)).not.toContain('token for');
  });

  test('goes with the last BatchQueue that uses it, if a BatchQueue made it', () => {
    expect(made.metadata.ownerReferences).toMatchObject([{ kind: 'BatchQueue', uid: 'queue-uid' }]);
    expect(made.metadata.ownerReferences?.[0]).not.toHaveProperty('controller');
    expect(takenOver.metadata.ownerReferences).toBeUndefined();
    const queue = aQueue({ metadata: { name: 'second', uid: 'second-uid' } });
    const shared = patched(made, pullSecretPatch(made, { ...NEEDS, queue }, LOGINS));
    expect(shared.metadata.ownerReferences?.map(({ uid }) => uid)).toEqual(['queue-uid', 'second-uid']);
    expect(stateAt(shared, NOW_MS)).toMatchObject({ kind: 'fresh' });
    expect(stateAt(shared, NOW_MS, { queue })).toMatchObject({ kind: 'fresh' });
  });

  test('remembers the hosts of others', () => {
    const host = `999988887777.dkr.ecr.us-east-1.amazonaws.com`;
    const [login] = LOGINS;
    const needs = { ...NEEDS, hosts: [host] };
    const both = patched(made, pullSecretPatch(made, needs, login ? [{ ...login, host }] : []));
    expect(stateAt(both, NOW_MS)).toMatchObject({ kind: 'fresh' });
    expect(stateAt(both, NOW_MS, needs)).toMatchObject({ kind: 'fresh' });
  });
});

describe('a pull secret that nobody refreshes', () => {
  const NODE: NodeFacts = { labels: {}, taints: [], platform: 'linux/amd64', isEks: false };
  const EKS = [{ ...NODE, isEks: true }];
  const token = (expiresAtMs: number) =>
    loginOf('AWS', Buffer.from(JSON.stringify({ expiration: expiresAtMs / 1_000 })).toString('base64'));
  const holding = (login: object, metadata: object = {}) => ({
    metadata: { name: 'regcred', ...metadata },
    type: TYPE,
    data: { [DOCKER_CONFIG_KEY]: encodeDockerConfig({ auths: { [HOST]: login } }) },
  });
  const old = {
    creationTimestamp: new Date(NOW_MS - 20 * HOUR_MS).toISOString(),
    managedFields: [{ time: new Date(NOW_MS - 13 * HOUR_MS).toISOString(), fieldsV1: { 'f:data': {} } }],
  };
  const rewritten = {
    ...old,
    managedFields: [
      { time: new Date(NOW_MS - HOUR_MS).toISOString(), fieldsV1: { 'f:data': {} } },
      { time: new Date(NOW_MS).toISOString(), fieldsV1: { 'f:metadata': {} } },
    ],
  };

  test.each<[string, string, KubeObject | undefined, readonly NodeFacts[] | undefined]>([
    ['PullSecretNotFound', 'False', undefined, [NODE]],
    ['NotNeeded', 'True', undefined, EKS],
    ['WrongSecretType', 'False', { ...holding(OTHER), type: 'Opaque' }, EKS],
    ['RegistryNotCovered', 'False', { ...holding(OTHER), data: {} }, [NODE]],
    ['NotNeeded', 'True', { ...holding(OTHER), data: {} }, EKS],
    ['PullSecretExpired', 'False', holding(token(NOW_MS - MINUTE_MS)), [NODE]],
    ['PullSecretExpired', 'False', holding(token(NOW_MS - MINUTE_MS)), [...EKS, NODE]],
    ['PullSecretExpired', 'False', holding(token(NOW_MS - MINUTE_MS)), undefined],
    ['NotNeeded', 'True', holding(token(NOW_MS - MINUTE_MS)), EKS],
    ['PullSecretExpired', 'False', holding(loginOf('AWS', 'opaque'), old), [NODE]],
    ['Present', 'True', holding(loginOf('AWS', 'opaque'), rewritten), [NODE]],
    ['Present', 'True', holding(token(NOW_MS + MINUTE_MS)), [NODE]],
  ])('%s, %s', (reason, status, secret, nodes) => {
    const subject = { name: 'regcred', secret, hosts: [HOST], isAllEcr: true, nodes, nowMs: NOW_MS };
    expect(unkeptCheck(subject).check).toMatchObject({ reason, status, holdsIntake: false });
  });

  test('is looked at again when its token runs out', () => {
    const secret = holding(token(NOW_MS + MINUTE_MS));
    const subject = {
      name: 'regcred',
      secret,
      hosts: [HOST],
      isAllEcr: true,
      nodes: undefined,
      nowMs: NOW_MS,
    };
    expect(unkeptCheck(subject).changesAtMs).toBe(NOW_MS + MINUTE_MS);
  });

  test('is needed for images outside of ECR, also on nodes of EKS', () => {
    const secret = {
      ...holding(OTHER),
      data: { [DOCKER_CONFIG_KEY]: encodeDockerConfig({ auths: { 'ghcr.io': OTHER } }) },
    };
    const subject = { name: 'regcred', secret, hosts: [], isAllEcr: false, nodes: EKS, nowMs: NOW_MS };
    expect(unkeptCheck(subject).check).toMatchObject({ reason: 'Present' });
  });
});

describe('a pull is denied', () => {
  const IMAGE = `${HOST}/worker:1`;
  const waiting = (reason: string, message: string, metadata: object = {}) => [
    {
      metadata: { name: 'pod', ...metadata },
      status: { containerStatuses: [{ name: 'worker', state: { waiting: { reason, message } } }] },
    },
  ];

  test.each([
    [
      'ErrImagePull',
      `failed to pull and unpack image "${IMAGE}": failed to resolve reference "${IMAGE}": unexpected status from HEAD request to https://${HOST}/v2/worker/manifests/1: 403 Forbidden`,
      true,
    ],
    [
      'ImagePullBackOff',
      `Back-off pulling image "${IMAGE}": ErrImagePull: failed to authorize: 401 Unauthorized`,
      true,
    ],
    ['ErrImagePull', `Head "https://${HOST}/v2/worker/manifests/1": no basic auth credentials`, true],
    [
      'ErrImagePull',
      `${IMAGE}: denied: Your authorization token has expired. Reauthenticate and try again.`,
      true,
    ],
    ['ErrImagePull', `${IMAGE}: not found`, false],
    ['ErrImagePull', 'python:3: 401 Unauthorized', false],
    ['CreateContainerError', `${IMAGE}: 403 Forbidden`, false],
  ])('%s: %s', (reason, message, denied) => {
    expect(isPullDenied(waiting(reason, message))).toBe(denied);
    expect(isPullDenied(waiting(reason, message, { deletionTimestamp: 'now' }))).toBe(false);
  });
});
