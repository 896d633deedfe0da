import { describe, expect, test } from '@jest/globals';
import { OperatorError, type Verdict } from '../../../operator/errors.ts';
import { ImageResolver } from '../../../operator/loops/image-resolver.ts';
import type { ResolvedImage, ResolvedImages } from '../../../operator/plan/resolved-images.ts';
import { templateOf } from '../../../operator/plan/revision.ts';
import type { ImageRegistry } from '../../../operator/world.ts';
import { aQueue } from '../../support/builders.ts';

const IMAGE = '123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:1';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const RESOLVED: ResolvedImage = { digest: DIGEST, platforms: ['linux/amd64'] };

/** What the check says when the registry answers like this. */
async function checked(answers: Partial<ImageRegistry>, resolved: ResolvedImages = {}, image = IMAGE) {
  const asked: string[] = [];
  const unasked = async (): Promise<never> => await Promise.reject(new Error('was asked'));
  const registry: ImageRegistry = { resolve: unasked, has: unasked, pullToken: unasked, ...answers };
  const nodes = {
    list: async () => {
      asked.push('nodes');
      return await Promise.resolve([{ labels: {}, taints: [], platform: 'linux/amd64', isEks: false }]);
    },
  };
  const queue = aQueue({ image });
  const check = await new ImageResolver({ registry, nodes }).run({
    queue,
    template: templateOf(queue),
    resolved,
  });
  return { check, asked };
}

function failing(code: string, verdict: Verdict): Partial<ImageRegistry> {
  return {
    resolve: async () => await Promise.reject(new OperatorError({ code, verdict, message: 'words.' })),
  };
}

test('what it finds goes with the answer, to be kept', async () => {
  const { check } = await checked({ resolve: async () => await Promise.resolve(RESOLVED) });
  expect(check).toMatchObject({ status: 'True', reason: 'Resolved', images: { [IMAGE]: RESOLVED } });
});

test('what is known already is not resolved again', async () => {
  const known = { [IMAGE]: RESOLVED };
  const { check } = await checked({ has: async () => await Promise.resolve(true) }, known);
  expect(check).toMatchObject({ status: 'True', reason: 'Resolved' });
  const missed = await checked({ has: async () => await Promise.resolve(false) }, known);
  expect(missed.check).toMatchObject({ status: 'False', reason: 'ImageDeleted', holdsIntake: false });
});

test('nobody is asked about images outside of ECR', async () => {
  const { check, asked } = await checked({}, {}, 'python:3');
  expect(check).toMatchObject({ status: 'True', reason: 'OutsideEcr' });
  expect(asked).toEqual([]);
});

describe('a failure', () => {
  test.each([
    ['ImageNotFound', 'False', true],
    ['RepositoryNotFound', 'False', true],
    ['ImageArchived', 'False', true],
    ['ImageActivating', 'False', true],
    ['ImageAccessDenied', 'False', false],
    ['ImageInaccessible', 'False', false],
    ['UpstreamAccessDenied', 'False', false],
    ['PullThroughCache', 'Unknown', false],
    ['NoIdentity', 'Unknown', true],
  ])('%s: %s, holds intake: %p', async (code, status, holdsIntake) => {
    const { check } = await checked(failing(code, 'terminal'));
    expect(check).toMatchObject({ status, reason: code, holdsIntake });
    expect(check.message.includes('runs as it is written')).toBe(!holdsIntake);
  });

  test('that may pass is left to the next try', async () => {
    await expect(checked(failing('Throttled', 'retry'))).rejects.toMatchObject({ code: 'Throttled' });
  });
});
