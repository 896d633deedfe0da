import type { BatchQueue } from '../api/batch-queue.ts';
import { ANNOTATION_RESOLVE_IMAGES } from '../api/names.ts';
import { OperatorError } from '../errors.ts';
import { type ImageFinding, imageCheck } from '../plan/image-check.ts';
import { readerOf } from '../plan/queue-reader.ts';
import {
  imagesOf,
  NOTHING_RESOLVED,
  type ResolvedImage,
  type TemplateImage,
} from '../plan/resolved-images.ts';
import type { EcrImage, ImageRegistry } from '../world.ts';
import type { ClusterNodes } from './cluster-nodes.ts';
import type { CheckAnswer, CheckSubject, PreflightCheck } from './preflight.ts';

/** No node can pull it. */
const CERTAIN: ReadonlySet<string> = new Set([
  'ImageNotFound',
  'RepositoryNotFound',
  'ImageArchived',
  'ImageActivating',
]);
/** The registry would not tell. */
const REFUSED: ReadonlySet<string> = new Set([
  'ImageAccessDenied',
  'ImageInaccessible',
  'UpstreamAccessDenied',
]);
/** The registry does not know yet. Everything else is about the identity, with which the queue is read as well. */
const LATER = 'PullThroughCache';

export interface ImageResolverOptions {
  readonly registry: ImageRegistry;
  readonly nodes: Pick<ClusterNodes, 'list'>;
}

/**
 * Asks ECR once per revision what the tags of its template mean. The answer carries the digests, which the plan has kept
 * on the revision before a Job of it is made; from then on it is only looked whether they are still there.
 */
export class ImageResolver implements PreflightCheck {
  readonly name = 'image';
  readonly #options: ImageResolverOptions;

  constructor(options: ImageResolverOptions) {
    this.#options = options;
  }

  /** Of the whole template: a new revision asks anew, whatever it is that has changed. */
  dependsOn({ queue, template }: CheckSubject): unknown {
    return { template, reader: readerOf(queue) };
  }

  async run({ queue, template, resolved = NOTHING_RESOLVED }: CheckSubject): Promise<CheckAnswer> {
    const images = imagesOf(template.jobTemplate);
    const findings = await Promise.all(
      images.map((image) =>
        this.#find(image, Object.hasOwn(resolved, image.text) ? resolved[image.text] : undefined, queue),
      ),
    );
    const nodes = findings.some(({ kind }) => kind === 'resolved') ? await this.#options.nodes.list() : [];
    const found = findings.flatMap((finding) =>
      finding.kind === 'resolved' ? [[finding.image.text, finding.as] as const] : [],
    );
    const check = imageCheck(findings, { pod: template.jobTemplate.spec.template.spec, nodes });
    return { ...check, ...(found.length > 0 && { images: Object.fromEntries(found) }) };
  }

  /** Rejects with what may pass by itself. */
  async #find(
    image: TemplateImage,
    known: ResolvedImage | undefined,
    queue: BatchQueue,
  ): Promise<ImageFinding> {
    const { reference } = image;
    if (!reference?.ecr) return { kind: 'outside', image };
    const inEcr = { ...reference, ecr: reference.ecr };
    try {
      if (known) return await this.#lookFor(image, inEcr, known, queue);
      return { kind: 'resolved', image, as: await this.#options.registry.resolve(inEcr, readerOf(queue)) };
    } catch (error) {
      if (!(error instanceof OperatorError) || error.verdict === 'retry') throw error;
      const { code: reason, message } = error;
      if (CERTAIN.has(reason)) return { kind: 'problem', image, certain: true, reason, message };
      const words = `${message.replace(/\.$/, '')}. It runs as it is written.`;
      if (REFUSED.has(reason)) return { kind: 'problem', image, certain: false, reason, message: words };
      return {
        kind: 'unasked',
        image,
        reason,
        ...(reason === LATER ? { message: words, holds: false } : { message, holds: true }),
      };
    }
  }

  /** Nodes may have it still, so that it is missed holds nothing: pods that cannot pull it will tell. */
  async #lookFor(
    image: TemplateImage,
    inEcr: EcrImage,
    known: ResolvedImage,
    queue: BatchQueue,
  ): Promise<ImageFinding> {
    if (await this.#options.registry.has(inEcr, known.digest, readerOf(queue)))
      return { kind: 'resolved', image, as: known };
    const message =
      `${image.text} was ${known.digest} when this revision was made, and the repository has that no more ` +
      '(a lifecycle policy?): nodes without it cannot pull it. Change the image, or push it again and have the tag resolved anew: ' +
      `kubectl annotate batchqueue ${queue.metadata.name} -n ${queue.metadata.namespace} --overwrite ${ANNOTATION_RESOLVE_IMAGES}="$(date +%s)"`;
    return { kind: 'problem', image, certain: false, reason: 'ImageDeleted', message };
  }
}
