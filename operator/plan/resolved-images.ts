import { z } from 'zod';
import type { Container, JobTemplate, PodSpec } from '../api/batch-queue.ts';
import type { EcrHost } from '../api/ecr-host.ts';
import { type ImageReference, parseImageReference, pinnedTo } from '../api/image-reference.ts';
import { ANNOTATION_IMAGES } from '../api/names.ts';
import { readJson } from './read-json.ts';
import { remember } from './remember.ts';
import type { Revision } from './revision-facts.ts';

/**
 * What the tags of a template meant when it became a revision. Kept on the revision, and never asked again: a tag that
 * moves later changes neither its running Jobs nor its later ones.
 */

const MAX_PLATFORMS = 64;

const resolvedSchema = z.object({
  digest: z.string().regex(/^[a-z0-9+._-]+:[a-f0-9]{32,}$/),
  platforms: z.array(z.string()).max(MAX_PLATFORMS).optional(),
});

/** An image as its registry knows it. */
export interface ResolvedImage {
  /** Of the index where it is one, else of the manifest. */
  readonly digest: string;
  /** `os/architecture[/variant]`, sorted; undefined when the registry would not say. */
  readonly platforms?: readonly string[] | undefined;
}

/** By the text of the image in the template. */
export type ResolvedImages = Readonly<Record<string, ResolvedImage>>;

/** Nothing has been asked yet. */
export const NOTHING_RESOLVED: ResolvedImages = {};

/** What a revision knows of its images; what cannot be read is as if it had never been asked. The same object for the same revision. */
export const resolvedImagesOf: (revision: Revision) => ResolvedImages = remember(({ object }: Revision) => {
  const text = object.metadata.annotations?.[ANNOTATION_IMAGES];
  return readJson(text, z.record(z.string(), resolvedSchema)) ?? NOTHING_RESOLVED;
});

/** All that a revision shall know of its images; undefined when it knows that. What it knows already is never changed. */
export function imagesToKeep(
  revision: Revision,
  found: ResolvedImages = NOTHING_RESOLVED,
): ResolvedImages | undefined {
  const known = resolvedImagesOf(revision);
  const texts = new Set(imagesOf(revision.template.jobTemplate).map(({ text }) => text));
  const isNew = (text: string) => texts.has(text) && !Object.hasOwn(known, text);
  const added = Object.entries(found).filter(([text]) => isNew(text));
  return added.length > 0 ? { ...known, ...Object.fromEntries(added) } : undefined;
}

/** What the annotation of a revision says: bounded, and in one order whatever the order of the answers. */
export function formatResolvedImages(images: ResolvedImages): string {
  const sorted = Object.entries(images).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(
    Object.fromEntries(
      sorted.map(([text, { digest, platforms }]) => [
        text,
        { digest, ...(platforms && { platforms: platforms.slice(0, MAX_PLATFORMS) }) },
      ]),
    ),
  );
}

/** An image of a template; `reference` undefined: its text is none. */
export interface TemplateImage {
  readonly text: string;
  readonly reference: ImageReference | undefined;
}

/** Every image that a pod of this template needs, each once. */
export const imagesOf: (template: JobTemplate) => readonly TemplateImage[] = remember(({ spec }) => {
  const texts = containersOf(spec.template.spec).flatMap(({ image }) => (image === undefined ? [] : [image]));
  return [...new Set(texts)].map((text) => ({ text, reference: parseImageReference(text) }));
});

/** Registries of ECR that pods of this template pull from, each once. */
export function ecrHostsOf(template: JobTemplate): readonly EcrHost[] {
  const hosts = imagesOf(template).flatMap(({ reference }) => reference?.ecr ?? []);
  return [...new Map(hosts.map((ecr) => [ecr.host, ecr])).values()];
}

/** The pod of a Job of this revision: what is known by its digest runs by its digest, everything else as it is written. */
export function withDigests(pod: PodSpec, images: ResolvedImages): PodSpec {
  const pinned = (container: Container): Container => {
    const reference = parseImageReference(container.image ?? '');
    const digest = reference && digestIn(images, reference.text);
    return !reference || digest === undefined
      ? container
      : { ...container, image: pinnedTo(reference, digest) };
  };
  const { initContainers } = pod;
  return {
    ...pod,
    containers: pod.containers.map(pinned),
    ...(initContainers && { initContainers: initContainers.map(pinned) }),
  };
}

/** The digest of an image of the template, where it is known. */
export function digestIn(images: ResolvedImages, text: string): string | undefined {
  // A text is whatever the user wrote, `constructor` included.
  return Object.hasOwn(images, text) ? images[text]?.digest : undefined;
}

function containersOf({ initContainers = [], containers }: PodSpec) {
  return [...initContainers, ...containers];
}
