import { beforeEach, describe, expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { PullSecretKeeper } from '../../../operator/loops/pull-secret-keeper.ts';
import { templateOf } from '../../../operator/plan/revision.ts';
import type { KubeObject } from '../../../operator/ports.ts';
import type { KubeApi, PullToken } from '../../../operator/world.ts';
import { aQueue, NOW_MS } from '../../support/builders.ts';

const HOST = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const HOURS_MS = 3_600_000;

/** One Secret, as far as the keeper asks for it, and a registry that counts its tokens. */
class Place {
  secret: KubeObject | undefined;
  writes = 0;
  tokens = 0;
  nowMs = NOW_MS;
  /** Called before each write. */
  beforeWrite: () => void = () => undefined;
  refuse: OperatorError | undefined;

  readonly kube: Pick<KubeApi, 'get' | 'create' | 'patch'> = {
    get: async () => await Promise.resolve(this.secret),
    create: async (_resource, _namespace, body) => {
      this.beforeWrite();
      if (this.secret) throw conflict('AlreadyExists');
      return await Promise.resolve(this.#store(body));
    },
    patch: async (_resource, _namespace, _name, body) => {
      this.beforeWrite();
      const { metadata, data } = Object(body);
      if (!this.secret || metadata.resourceVersion !== this.secret.metadata.resourceVersion)
        throw conflict('Conflict');
      const merged = { ...this.secret, metadata: { ...this.secret.metadata, ...metadata }, data };
      return await Promise.resolve(this.#store(merged));
    },
  };

  #store(object: KubeObject): KubeObject {
    this.writes += 1;
    this.secret = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.writes) } };
    return this.secret;
  }

  keeper(): PullSecretKeeper {
    return new PullSecretKeeper({
      kube: this.kube,
      registry: {
        pullToken: async (): Promise<PullToken> => {
          this.tokens += 1;
          if (this.refuse) throw this.refuse;
          const password = `token ${this.tokens}`;
          return await Promise.resolve({
            username: 'AWS',
            password,
            expiresAtMs: this.nowMs + 12 * HOURS_MS,
          });
        },
      },
      nodes: { list: async () => await Promise.resolve(undefined) },
      pods: { byIndex: () => [] },
      clock: { now: () => this.nowMs, after: () => () => undefined },
    });
  }
}

function conflict(code: string): OperatorError {
  return new OperatorError({ code, verdict: 'retry', message: 'words' });
}

function subjectOf(name = 'orders', images = [`${HOST}/worker:1`]) {
  const queue = aQueue({
    metadata: { name, uid: `${name}-uid` },
    spec: { imagePullSecret: { name: 'regcred', refresh: true } },
    pod: { containers: images.map((image, at) => ({ name: `c${at}`, image })) },
  });
  return { queue, template: templateOf(queue), resolved: {} };
}

let place: Place;

beforeEach(() => {
  place = new Place();
});

test('a missing Secret is made, and then left alone until its token is half through', async () => {
  const keeper = place.keeper();
  expect(await keeper.run(subjectOf())).toMatchObject({
    status: 'True',
    reason: 'Fresh',
    recheckAfterMs: 300_000,
  });
  await keeper.run(subjectOf());
  place.nowMs += 6 * HOURS_MS - 60_000;
  expect(await keeper.run(subjectOf())).toMatchObject({ recheckAfterMs: 60_000 });
  expect(place).toMatchObject({ writes: 1, tokens: 1 });
  place.nowMs += 60_000;
  await keeper.run(subjectOf());
  expect(place).toMatchObject({ writes: 2, tokens: 2 });
});

test('no pull secret is nothing to look after', async () => {
  const subject = subjectOf();
  const { imagePullSecret: _, ...spec } = subject.queue.spec;
  const answer = await place.keeper().run({ ...subject, queue: { ...subject.queue, spec } });
  expect(answer).toMatchObject({ status: 'True', reason: 'NotConfigured' });
  expect(place).toMatchObject({ writes: 0, tokens: 0 });
});

test('a Secret that the operator may not write is a warning, with what lets it', async () => {
  place.beforeWrite = () => {
    throw new OperatorError({ code: 'Forbidden', verdict: 'terminal', message: 'create secrets: Forbidden' });
  };
  const { message, ...answer } = await place.keeper().run(subjectOf());
  expect(answer).toMatchObject({ status: 'False', reason: 'SecretWriteForbidden', holdsIntake: false });
  expect(message).toContain('kubectl apply -k deploy/operator');
});

test('one token serves every registry of a region', async () => {
  const east = [`${HOST}/worker:1`, '999988887777.dkr.ecr.us-east-1.amazonaws.com/worker:1'];
  await place
    .keeper()
    .run(subjectOf('orders', [...east, '123456789012.dkr.ecr.eu-west-1.amazonaws.com/worker:1']));
  expect(place).toMatchObject({ writes: 1, tokens: 2 });
});

test('BatchQueues that share a Secret take turns, and write it once for each', async () => {
  const keeper = place.keeper();
  await Promise.all([
    keeper.run(subjectOf('one')),
    keeper.run(subjectOf('two')),
    keeper.run(subjectOf('one')),
  ]);
  expect(place.writes).toBe(2);
  expect(place.secret?.metadata.ownerReferences?.map(({ uid }) => uid)).toEqual(['one-uid', 'two-uid']);
});

describe('somebody else who writes the same Secret', () => {
  const theirs = (): KubeObject => ({
    metadata: { name: 'regcred', resourceVersion: 'theirs' },
    type: 'kubernetes.io/dockerconfigjson',
    data: {},
  });

  test('once is no matter', async () => {
    place.beforeWrite = () => {
      place.beforeWrite = () => undefined;
      place.secret = theirs();
    };
    expect(await place.keeper().run(subjectOf())).toMatchObject({ reason: 'Fresh' });
  });

  test('always is reported', async () => {
    place.beforeWrite = () => {
      place.secret = {
        ...theirs(),
        metadata: { name: 'regcred', resourceVersion: `theirs ${place.tokens}` },
      };
    };
    expect(await place.keeper().run(subjectOf())).toMatchObject({
      status: 'False',
      reason: 'SecretWrittenByOther',
    });
    expect(place.writes).toBe(0);
  });
});

test('a token that is refused says how long the old one is good; one that may come later is asked for later', async () => {
  const keeper = place.keeper();
  await keeper.run(subjectOf());
  place.nowMs += 7 * HOURS_MS;
  place.refuse = new OperatorError({ code: 'PullTokenDenied', verdict: 'terminal', message: 'no right.' });
  const check = await keeper.run(subjectOf());
  expect(check).toMatchObject({ status: 'False', reason: 'PullTokenDenied', holdsIntake: false });
  expect(check.message).toContain('good until 2026-01-02T00:00:00Z');
  place.refuse = new OperatorError({ code: 'Throttled', verdict: 'retry', message: 'later' });
  await expect(keeper.run(subjectOf())).rejects.toMatchObject({ code: 'Throttled' });
});

test('without the identity, whose queue cannot be read either, the first pods wait for their token', async () => {
  place.refuse = new OperatorError({ code: 'RoleMissing', verdict: 'terminal', message: 'no role.' });
  const check = await place.keeper().run(subjectOf());
  expect(check).toMatchObject({ status: 'False', reason: 'RoleMissing', holdsIntake: true });
});

test('without an image in ECR nothing is made', async () => {
  expect(await place.keeper().run(subjectOf('orders', ['python:3']))).toMatchObject({
    reason: 'NothingToRefresh',
  });
  expect(place).toMatchObject({ writes: 0, tokens: 0 });
});
