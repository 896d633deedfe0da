import type { PodSpec } from '../api/batch-queue.ts';
import { type NodeFacts, nodesFor } from './node-facts.ts';
import { type Check, faulty, passed, unchecked, warned } from './preflight.ts';
import type { Problem } from './problem.ts';
import type { ResolvedImage, TemplateImage } from './resolved-images.ts';

/** What became of one image of a template. */
export type ImageFinding =
  /** Not in a private registry of ECR: nobody was asked. */
  | { readonly kind: 'outside'; readonly image: TemplateImage }
  | { readonly kind: 'resolved'; readonly image: TemplateImage; readonly as: ResolvedImage }
  /** `certain`: no node can pull it. Otherwise nobody would tell, or it is not known to matter. */
  | ({ readonly kind: 'problem'; readonly image: TemplateImage; readonly certain: boolean } & Problem)
  /** Nobody could be asked. `holds`: for want of what reading the queue needs as well, so that nothing is lost by waiting. */
  | ({ readonly kind: 'unasked'; readonly image: TemplateImage; readonly holds: boolean } & Problem);

/** Where pods of the template may run; undefined: nobody knows. */
export interface ImageContext {
  readonly pod: PodSpec;
  readonly nodes: readonly NodeFacts[] | undefined;
}

/**
 * What `ImageResolved` says. Only what certainly cannot be pulled holds intake: a right that is missing for asking says
 * nothing about pulling, which nodes do with rights of their own.
 */
export function imageCheck(findings: readonly ImageFinding[], context: ImageContext): Check {
  const problems = findings.filter((finding) => finding.kind === 'problem');
  const worst = problems.find(({ certain }) => certain) ?? problems[0];
  if (worst) return (worst.certain ? faulty : warned)(worst.reason, worst.message);
  const unasked = findings.find((finding) => finding.kind === 'unasked');
  if (unasked) return { ...unchecked(unasked.reason, unasked.message), holdsIntake: unasked.holds };
  return platformProblem(findings, context) ?? passed(reasonOf(findings), findings.map(wordsOf).join(' '));
}

function reasonOf(findings: readonly ImageFinding[]): string {
  if (findings.some(({ kind }) => kind === 'resolved')) return 'Resolved';
  return findings.every(({ image }) => image.reference?.digest !== undefined) ? 'Pinned' : 'OutsideEcr';
}

function wordsOf(finding: ImageFinding): string {
  const { text, reference } = finding.image;
  if (finding.kind === 'resolved') {
    const { digest, platforms } = finding.as;
    const known = platforms ? ` (${platforms.join(', ')})` : '';
    return reference?.digest === undefined ? `${text} is ${digest}${known}.` : `${text} is there${known}.`;
  }
  if (!reference) return `${text} is no image reference.`;
  if (reference.digest !== undefined) return `${text} names its digest.`;
  return `${text} is not in a private registry of ECR: it runs as it is written, and may be another image tomorrow unless it names a digest.`;
}

function platformProblem(
  findings: readonly ImageFinding[],
  { pod, nodes = [] }: ImageContext,
): Check | undefined {
  const wanted = [...new Set(nodesFor(pod, nodes).map(({ platform }) => platform))].toSorted((a, b) =>
    a < b ? -1 : 1,
  );
  for (const finding of findings) {
    if (finding.kind !== 'resolved' || !finding.as.platforms) continue;
    const built = new Set(finding.as.platforms.map((platform) => platform.split('/').slice(0, 2).join('/')));
    const missing = wanted.filter((platform) => !built.has(platform));
    if (missing.length > 0) return notBuiltFor(finding.image, missing, [...built]);
  }
  return undefined;
}

function notBuiltFor({ text }: TemplateImage, missing: readonly string[], built: readonly string[]): Check {
  const message =
    `${text} is built for ${built.join(', ')}, and nodes where its pods may run are ${missing.join(', ')}: ` +
    'a pod that comes to one of them does not start. Push an index for all of them (docker buildx build --platform), ' +
    'or choose the nodes: jobTemplate.spec.template.spec.nodeSelector with kubernetes.io/arch.';
  return warned('PlatformMissing', message);
}
