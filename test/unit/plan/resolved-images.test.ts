import { describe, expect, test } from '@jest/globals';
import {
  ANNOTATION_IMAGE,
  ANNOTATION_IMAGES,
  ANNOTATION_RESOLVE_IMAGES,
} from '../../../operator/api/names.ts';
import { buildJob } from '../../../operator/plan/job.ts';
import { ledgerOf } from '../../../operator/plan/ledger.ts';
import { planQueue } from '../../../operator/plan/queue-plan.ts';
import {
  formatResolvedImages,
  imagesOf,
  imagesToKeep,
  type ResolvedImages,
  resolvedImagesOf,
} from '../../../operator/plan/resolved-images.ts';
import { hashTemplate, templateOf } from '../../../operator/plan/revision.ts';
import type { Revision } from '../../../operator/plan/revision-facts.ts';
import { aMessage, anInboxMessage, aQueue, aRevision, aSnapshot } from '../../support/builders.ts';

const REGISTRY = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const IMAGE = `${REGISTRY}/csv-worker:1.4.0`;
const DIGEST = `sha256:${'a'.repeat(64)}`;
const OTHER_DIGEST = `sha256:${'b'.repeat(64)}`;
const PASSED = { status: 'True', reason: 'Resolved', message: '', holdsIntake: false } as const;

const queue = aQueue({ image: IMAGE });

/** The queue's revision when its images have been kept. */
function keeping(images: ResolvedImages): Revision {
  const revision = aRevision(queue);
  const { object } = revision;
  const annotations = { [ANNOTATION_IMAGES]: formatResolvedImages(images) };
  return { ...revision, object: { ...object, metadata: { ...object.metadata, annotations } } };
}

describe('the images of a revision', () => {
  test('are read as they were written', () => {
    const images = {
      [IMAGE]: { digest: DIGEST, platforms: ['linux/amd64'] },
      'b:1': { digest: OTHER_DIGEST },
    };
    expect(resolvedImagesOf(keeping(images))).toEqual(images);
  });

  test.each(['', 'nonsense', '{"worker:1":{"digest":"latest"}}', '[]'])(
    'are none when %p stands there',
    (text) => {
      const revision = aRevision(queue);
      const { object } = revision;
      const metadata = { ...object.metadata, annotations: { [ANNOTATION_IMAGES]: text } };
      expect(resolvedImagesOf({ ...revision, object: { ...object, metadata } })).toEqual({});
    },
  );

  test('are each told once, init containers included', () => {
    const { spec } = aQueue({
      image: 'a:1',
      pod: {
        initContainers: [{ name: 'init', image: 'b:1' }],
        containers: [{ name: 'one', image: 'a:1' }, { name: 'two', image: 'a:1' }, { name: 'none' }],
      },
    });
    expect(imagesOf(spec.jobTemplate).map(({ text }) => text)).toEqual(['b:1', 'a:1']);
  });

  test('are kept once: a tag that means something else later changes nothing', () => {
    expect(imagesToKeep(aRevision(queue), { [IMAGE]: { digest: DIGEST } })).toEqual({
      [IMAGE]: { digest: DIGEST },
    });
    expect(
      imagesToKeep(keeping({ [IMAGE]: { digest: DIGEST } }), { [IMAGE]: { digest: OTHER_DIGEST } }),
    ).toBeUndefined();
    expect(imagesToKeep(aRevision(queue), { 'not:there': { digest: DIGEST } })).toBeUndefined();
    expect(imagesToKeep(aRevision(queue))).toBeUndefined();
  });
});

describe('a Job', () => {
  test('runs the digest, and says by its annotation what was written', () => {
    const revision = keeping({ [IMAGE]: { digest: DIGEST } });
    const ledger = ledgerOf([aMessage()], { attempt: 1, visibilityTimeoutSeconds: 300 });
    const payload = { inline: '[]', secrets: [] };
    const job = buildJob({ queue, revision, ledger, payload, traceparent: undefined });
    expect(Object(job['spec']).template.spec.containers[0].image).toBe(`${REGISTRY}/csv-worker@${DIGEST}`);
    expect(job.metadata.annotations?.[ANNOTATION_IMAGE]).toBe(IMAGE);
  });

  test('is not made before what its tags mean is known and kept', () => {
    const revision = aRevision(queue);
    const waiting = aSnapshot({ queue, revisions: [revision], inbox: [anInboxMessage()] });
    const kindsFor = (preflight: object) =>
      planQueue({ ...waiting, preflight }, undefined).actions.map(({ kind }) => kind);

    expect(kindsFor({ image: { ...PASSED, status: 'Unknown', holdsIntake: true } })).toEqual([]);
    expect(kindsFor({ image: { ...PASSED, images: { [IMAGE]: { digest: DIGEST } } } })).toEqual([
      'keepImages',
    ]);
    expect(kindsFor({ image: PASSED })).toEqual(['claim']);
  });
});

describe('a template', () => {
  const hashOf = (annotation?: string) => {
    const annotations = annotation === undefined ? {} : { [ANNOTATION_RESOLVE_IMAGES]: annotation };
    return hashTemplate(templateOf(aQueue({ metadata: { annotations } })));
  };

  test('is another revision with every new value of the annotation that has tags resolved anew', () => {
    expect(hashOf('')).toBe(hashOf());
    expect(new Set([hashOf(), hashOf('monday'), hashOf('tuesday')]).size).toBe(3);
    expect(hashOf('monday')).toBe(hashOf('monday'));
  });
});

test('status tells the digest that Jobs run, and that a reference names itself', () => {
  const revisionOf = (revision: Revision, of = queue) =>
    planQueue(aSnapshot({ queue: of, revisions: [revision] }), { generation: 1, previous: {} }).status
      ?.revision;
  expect(revisionOf(keeping({ [IMAGE]: { digest: DIGEST } }))).toEqual({
    current: 1,
    image: IMAGE,
    imageDigest: DIGEST,
  });
  expect(revisionOf(aRevision(queue))).toEqual({ current: 1, image: IMAGE });
  const named = aQueue({ image: `python@${DIGEST}` });
  expect(revisionOf(aRevision(named), named)).toMatchObject({ imageDigest: DIGEST });
});
