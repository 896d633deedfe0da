import { OperatorError } from '../errors.ts';
import { classNamed, type ErrorClass, type ErrorHandling, THROTTLED_NAMES, wordsOf } from './error-class.ts';
import { type AccountName, ANNOTATION_ROLE, type RoleAccount } from './role-account.ts';

/** Who asked STS for what. */
export interface RoleRequest extends AccountName {
  readonly account: RoleAccount;
  /** Signed by the cluster. */
  readonly token: string;
}

/**
 * What STS says to AssumeRoleWithWebIdentity, sorted as SQS's errors are: configuration is `terminal` and names its
 * remedy, what passes is `retry`.
 */
const CLASSES: readonly ErrorClass<RoleRequest>[] = [
  {
    code: 'RoleRefused',
    verdict: 'terminal',
    names: ['AccessDenied', 'AccessDeniedException'],
    remedy: ({ namespace, name, account }) =>
      `The trust policy of ${account.roleArn} must allow sts:AssumeRoleWithWebIdentity to the cluster's OIDC provider with ` +
      `sub = system:serviceaccount:${namespace}:${name} and aud = ${account.audience}, and the role must exist.`,
  },
  {
    code: 'TokenRefused',
    verdict: 'terminal',
    names: ['InvalidIdentityToken', 'InvalidIdentityTokenException', 'IDPRejectedClaim'],
    remedy: ({ account }) =>
      `The account of ${account.roleArn} needs an IAM OIDC provider for this cluster's issuer, with the audience ` +
      `${account.audience} (eksctl utils associate-iam-oidc-provider --cluster <cluster> --approve).`,
  },
  {
    code: 'StsRegionDisabled',
    verdict: 'terminal',
    names: ['RegionDisabled', 'RegionDisabledException'],
    remedy: ({ account }) => `Activate STS for the queue's region in the account of ${account.roleArn}.`,
  },
  {
    code: 'RoleInvalid',
    verdict: 'terminal',
    names: ['ValidationError', 'ValidationException', 'MalformedInput'],
    remedy: ({ namespace, name }) =>
      `Correct the annotation ${ANNOTATION_ROLE} of ServiceAccount ${namespace}/${name}.`,
  },
  {
    code: 'SessionPolicyRefused',
    verdict: 'terminal',
    names: ['PackedPolicyTooLarge', 'PackedPolicyTooLargeException', 'MalformedPolicyDocument'],
    remedy: () => 'Start the operator without --narrow-sessions.',
  },
  { code: 'Throttled', verdict: 'retry', names: THROTTLED_NAMES },
];

/** A new token is made for every request, so that one that ran out, or a provider that did not answer, passes. */
const OTHER: ErrorHandling<RoleRequest> = { code: 'StsUnreachable', verdict: 'retry' };

/** Tokens, however they come into a message: STS quotes what it finds malformed. */
const TOKEN = /[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/g;

/** What went wrong in asking STS; never quotes the token, and has no `cause`, which might. */
export function stsError(request: RoleRequest, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const { name, text } = wordsOf(error);
  const { code, verdict, remedy } = classNamed(CLASSES, name, OTHER);
  const clean = text.replaceAll(request.token, '…').replaceAll(TOKEN, '…');
  const message = [`AssumeRoleWithWebIdentity: ${name}: ${clean}.`, remedy?.(request)];
  return new OperatorError({ code, verdict, message: message.filter(Boolean).join(' ') });
}
