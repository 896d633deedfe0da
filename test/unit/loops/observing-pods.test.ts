import { beforeEach, describe, expect, test } from '@jest/globals';
import { observePods } from '../../../operator/loops/observing-pods.ts';
import type { Claim } from '../../../operator/plan/job-facts.ts';
import { PODS } from '../../../operator/world.ts';
import { kubeFailure } from '../../simulation/kubernetes/failures.ts';
import { aClaim, type ClaimParts, messageId } from '../../support/builders.ts';
import { ApplyStage } from './apply-stage.ts';

const ENDED = {
  phase: 'Failed',
  containerStatuses: [{ name: 'worker', state: { terminated: { exitCode: 3 } } }],
};

let stage: ApplyStage;

beforeEach(() => {
  stage = new ApplyStage();
});

function claimOf(number: number, parts: ClaimParts = { outcome: 'failed' }): Claim {
  return aClaim({ message: { id: messageId(number) }, ...parts });
}

/** A pod of the Job; `cached`: the watch has brought it. */
function pod({ job }: Claim, status: object, cached: boolean): void {
  const labels = {
    'batchqueue.io/queue': 'orders',
    'batch.kubernetes.io/controller-uid': job.metadata.uid ?? '',
  };
  const name = `${job.metadata.name}-pod`;
  const body = { metadata: { name, labels }, spec: { containers: [{ name: 'worker' }] }, status };
  const made = stage.kube.create(PODS, 'shop', body);
  if (cached) stage.world.caches.pods.put(made);
}

async function observe(...claims: Claim[]) {
  const { pods, failures } = await observePods(claims, stage.subject, stage.world);
  const codes = claims.map(({ job }) => pods.get(job.metadata.name)?.result?.exitCode);
  return { codes, known: [...pods.keys()].length, failures: failures.length, requests: stage.steps.length };
}

describe('pods', () => {
  test('that the watch has seen end are not asked for', async () => {
    const claim = claimOf(1);
    pod(claim, ENDED, true);
    expect(await observe(claim)).toEqual({ codes: [3], known: 1, failures: 0, requests: 0 });
  });

  test.each<[string, object | undefined]>([
    ['has not seen at all', undefined],
    ['has only seen running', { phase: 'Running' }],
  ])('that the watch %s are listed: it may be behind', async (_, seen) => {
    const claim = claimOf(1, { outcome: 'succeeded' });
    pod(claim, ENDED, false);
    if (seen) {
      const listed = stage.kube.list(PODS).items[0];
      if (listed) stage.world.caches.pods.put({ ...listed, status: seen });
    }
    expect(await observe(claim)).toEqual({ codes: [3], known: 1, failures: 0, requests: 1 });
  });

  test('of a Job that somebody deletes are always listed: whether they have ended must be certain', async () => {
    const claim = claimOf(1, { deleting: true });
    pod(claim, ENDED, true);
    expect(await observe(claim)).toMatchObject({ known: 1, requests: 1 });
  });

  test('that the watch has seen end count still when they are gone by then', async () => {
    const claim = claimOf(1, { deleting: true });
    pod(claim, ENDED, true);
    stage.kube.delete(PODS, 'shop', `${claim.job.metadata.name}-pod`);
    expect(await observe(claim)).toEqual({ codes: [3], known: 1, failures: 0, requests: 1 });
  });

  test('of many Jobs are read with one list', async () => {
    const claims = [1, 2, 3, 4, 5].map((number) => claimOf(number));
    for (const claim of claims) pod(claim, ENDED, false);
    expect(await observe(...claims)).toEqual({ codes: [3, 3, 3, 3, 3], known: 5, failures: 0, requests: 1 });
  });

  test('that cannot be listed are unknown, which is not none, and spoil nothing for the others', async () => {
    const [one, other] = [claimOf(1), claimOf(2)];
    pod(one, ENDED, true);
    stage.faults.push({ verb: 'list', error: kubeFailure('Forbidden', 'terminal'), carriedOut: false });
    expect(await observe(one, other)).toEqual({ codes: [3, undefined], known: 1, failures: 1, requests: 1 });
  });

  test.each<[string, ClaimParts]>([
    ['of a Job that runs', {}],
    ['of a Job that is settled', { outcome: 'failed', settled: true }],
  ])('%s are of no interest', async (_, parts) => {
    expect(await observe(claimOf(1, parts))).toMatchObject({ known: 0, requests: 0 });
  });

  test('that take long to list hold up nothing: they are there for the next turn', async () => {
    const claims = [1, 2].map((number) => claimOf(number));
    const [first, second] = claims;
    for (const claim of claims) pod(claim, ENDED, false);
    const { promise, resolve } = Promise.withResolvers<void>();
    const { kube } = stage.world;
    const list = kube.list.bind(kube);
    Object.assign(kube, { list: (...wish: Parameters<typeof list>) => promise.then(() => list(...wish)) });
    const observed = observe(...(first ? [first] : []));
    await stage.clock.advance(1_000);
    expect(await observed).toMatchObject({ codes: [undefined], known: 0, failures: 0 });
    expect(await observe(...claims)).toMatchObject({ known: 0 });

    resolve();
    await stage.clock.settle();

    expect(await observe(...claims)).toMatchObject({ codes: [3, undefined], known: 1 });
    expect(await observe(...(second ? [second] : []))).toMatchObject({ codes: [3] });
  });
});
