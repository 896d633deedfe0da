import type { KubeObject } from '../ports.ts';
import { podFactsFrom } from './pod-facts.ts';
import { remember } from './remember.ts';

const PULLING: ReadonlySet<string> = new Set(['ErrImagePull', 'ImagePullBackOff']);
const FROM_ECR = /\.dkr[.-]ecr/;
/** How registries and runtimes say that they do not know the bearer, or that its time is over. */
const DENIED =
  /\b40[13]\b|unauthorized|no basic auth credentials|authorization (?:token has expired|failed)|pull access denied/i;

/** Whether a registry of ECR refuses the credentials with which a pod's image is pulled. Every turn asks, of mostly the same pods. */
export const isPullDenied: (pods: readonly KubeObject[]) => boolean = remember((pods) =>
  pods.some((pod) => {
    const { initContainers, containers, hasEnded, isDeleting } = podFactsFrom(pod);
    if (hasEnded || isDeleting) return false;
    return [...initContainers, ...containers].some(
      ({ waiting }) =>
        waiting &&
        PULLING.has(waiting.reason) &&
        FROM_ECR.test(waiting.message) &&
        DENIED.test(waiting.message),
    );
  }),
);
