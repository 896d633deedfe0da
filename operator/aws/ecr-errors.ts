import { OperatorError, type Verdict } from '../errors.ts';

/**
 * Errors of ECR, sorted once. `terminal` ones end up in a condition, under their code and with what to do; `retry` is for
 * what passes and for what nobody knows.
 */
interface Class {
  readonly code: string;
  readonly verdict: Verdict;
  readonly names: readonly string[];
  readonly remedy?: string;
}

const CLASSES: readonly Class[] = [
  {
    code: 'ImageNotFound',
    verdict: 'terminal',
    names: [
      'ImageNotFoundException',
      'ImageNotFound',
      'InvalidImageTag',
      'InvalidImageDigest',
      'ImageTagDoesNotMatchDigest',
    ],
    remedy: 'Push it, or correct the tag or digest in spec.jobTemplate.',
  },
  {
    code: 'RepositoryNotFound',
    verdict: 'terminal',
    names: ['RepositoryNotFoundException'],
    remedy: 'Create the repository, or correct account, region and name in spec.jobTemplate.',
  },
  {
    code: 'Throttled',
    verdict: 'retry',
    names: [
      'ThrottlingException',
      'Throttling',
      'TooManyRequestsException',
      'RequestLimitExceeded',
      'LimitExceededException',
      'UpstreamTooManyRequests',
    ],
  },
  {
    code: 'ImageInaccessible',
    verdict: 'terminal',
    names: ['ImageInaccessible', 'KmsError', 'KmsException'],
  },
  {
    code: 'UpstreamAccessDenied',
    verdict: 'terminal',
    names: ['UpstreamAccessDenied'],
    remedy: 'Correct the credentials of the pull-through cache rule.',
  },
];

const DENIED: ReadonlySet<string> = new Set([
  'AccessDeniedException',
  'AccessDenied',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'ExpiredTokenException',
  'ExpiredToken',
  'OptInRequired',
]);

/** What was asked of ECR, for the message and for what to do about it. */
export interface EcrCall {
  readonly operation:
    | 'DescribeImages'
    | 'BatchGetImage'
    | 'GetDownloadUrlForLayer'
    | 'DescribePullThroughCacheRules'
    | 'GetAuthorizationToken';
  /** The image, or the host a token is for. */
  readonly about: string;
}

/** What went wrong in a call to ECR. What is an OperatorError already (no credentials) stays what it is. */
export function ecrError(call: EcrCall, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const name = error instanceof Error ? error.name : 'Error';
  const text = error instanceof Error ? error.message : String(error);
  return classified(call, name, text, error);
}

/** The same for an image that an answer names as a failure. */
export function ecrFailure(call: EcrCall, code = 'Error', reason = ''): OperatorError {
  return classified(call, code, reason, undefined);
}

function classified(call: EcrCall, name: string, text: string, cause: unknown): OperatorError {
  const { code, verdict, remedy } = classOf(call, name);
  const words = `${call.about}: ${call.operation}: ${name}: ${text.replace(/\.$/, '')}.`;
  const message = [words, remedy].filter(Boolean).join(' ');
  return new OperatorError({ code, verdict, message, cause });
}

function classOf(call: EcrCall, name: string): Omit<Class, 'names'> {
  if (DENIED.has(name)) return deniedClass(call);
  return (
    CLASSES.find(({ names }) => names.includes(name)) ?? { code: 'RegistryUnreachable', verdict: 'retry' }
  );
}

function deniedClass({ operation }: EcrCall): Omit<Class, 'names'> {
  if (operation === 'GetAuthorizationToken') {
    const remedy = 'Allow the role of the polling ServiceAccount ecr:GetAuthorizationToken on *.';
    return { code: 'PullTokenDenied', verdict: 'terminal', remedy };
  }
  const remedy =
    'Allow the role of the polling ServiceAccount ecr:DescribeImages and ecr:BatchGetImage on the repository ' +
    "(in another account, also in the repository's policy).";
  return { code: 'ImageAccessDenied', verdict: 'terminal', remedy };
}
