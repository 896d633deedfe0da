import { partitionOf } from '../api/aws-partitions.ts';
import { OperatorError } from '../errors.ts';
import {
  classNamed,
  DENIED_NAMES,
  type ErrorClass,
  type ErrorHandling,
  EXPIRED_NAMES,
  THROTTLED_NAMES,
  wordsOf,
} from './error-class.ts';
import { allowing, type MissingPolicy, type Refusal } from './iam-command.ts';

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
  /** Where that image is. */
  readonly repository?: { readonly region: string; readonly account: string; readonly name: string };
  /** In whose name, for who must be allowed what. */
  readonly whose: string;
}

/** What a remedy depends on. */
type Asked = EcrCall & Refusal;

/**
 * Errors of ECR, sorted once. `terminal` ones end up in a condition, under their code and with what to do; `retry` is for
 * what passes and for what nobody knows.
 */
const CLASSES: readonly ErrorClass<Asked>[] = [
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
    remedy: () => 'Push it, or correct the tag or digest in spec.jobTemplate.',
  },
  {
    code: 'RepositoryNotFound',
    verdict: 'terminal',
    names: ['RepositoryNotFoundException'],
    remedy: ({ repository }) => {
      const command =
        repository &&
        ` (aws ecr create-repository --region ${repository.region} --repository-name ${repository.name})`;
      return `Create the repository${command ?? ''}, or correct account, region and name in spec.jobTemplate.`;
    },
  },
  {
    code: 'Throttled',
    verdict: 'retry',
    names: [...THROTTLED_NAMES, 'LimitExceededException', 'UpstreamTooManyRequests'],
  },
  {
    code: 'ImageInaccessible',
    verdict: 'terminal',
    names: ['ImageInaccessible', 'KmsError', 'KmsException'],
    remedy: ({ repository }) => {
      const command =
        repository &&
        ` (aws ecr describe-repositories --region ${repository.region} --registry-id ${repository.account} --repository-names ${repository.name} names it)`;
      return `Enable the KMS key of the repository${command ?? ''}, and let ECR use it.`;
    },
  },
  {
    code: 'UpstreamAccessDenied',
    verdict: 'terminal',
    names: ['UpstreamAccessDenied'],
    remedy: () => 'Correct the credentials of the pull-through cache rule.',
  },
];

const OTHER: ErrorHandling<Asked> = { code: 'RegistryUnreachable', verdict: 'retry' };

const TOKEN_DENIED: ErrorClass<Asked> = {
  code: 'PullTokenDenied',
  verdict: 'terminal',
  names: [...DENIED_NAMES, ...EXPIRED_NAMES],
  remedy: (asked) => {
    const policy = { name: 'batchqueue-pull-token', actions: ['ecr:GetAuthorizationToken'], resource: '*' };
    return `Allow ${asked.whose} ecr:GetAuthorizationToken on *.${allowing(asked, policy)}`;
  },
};

const IMAGE_DENIED: ErrorClass<Asked> = {
  code: 'ImageAccessDenied',
  verdict: 'terminal',
  names: [...DENIED_NAMES, ...EXPIRED_NAMES],
  remedy: (asked) =>
    `Allow ${asked.whose} ecr:DescribeImages and ecr:BatchGetImage on the repository ` +
    `(in another account, also in the repository's policy).${allowing(asked, reading(asked))}`,
};

/** What went wrong in a call to ECR. What is an OperatorError already (no credentials) stays what it is. */
export function ecrError(call: EcrCall, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const { name, text } = wordsOf(error);
  return classified(call, name, text, error);
}

/** The same for an image that an answer names as a failure. */
export function ecrFailure(call: EcrCall, code = 'Error', reason = ''): OperatorError {
  return classified(call, code, reason.replace(/\.$/, ''), undefined);
}

function classified(call: EcrCall, name: string, text: string, cause: unknown): OperatorError {
  const denied = call.operation === 'GetAuthorizationToken' ? TOKEN_DENIED : IMAGE_DENIED;
  const { code, verdict, remedy } = classNamed([denied, ...CLASSES], name, OTHER);
  const words = `${call.about}: ${call.operation}: ${name}: ${text}.`;
  const message = [words, remedy?.({ ...call, name, text })].filter(Boolean).join(' ');
  return new OperatorError({ code, verdict, message, cause });
}

function reading({ repository }: EcrCall): MissingPolicy | undefined {
  if (!repository) return undefined;
  const { region, account, name } = repository;
  return {
    name: 'batchqueue-images',
    actions: ['ecr:DescribeImages', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
    resource: `arn:${partitionOf(region)}:ecr:${region}:${account}:repository/${name}`,
  };
}
