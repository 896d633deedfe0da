import { parseRoleArn, type RoleArn } from '../api/arn.ts';
import { OperatorError } from '../errors.ts';
import { classNamed, type ErrorClass, type ErrorHandling, THROTTLED_NAMES, wordsOf } from './error-class.ts';
import { trustAccount } from './iam-command.ts';
import { type AccountName, annotateRole, type RoleAccount } from './role-account.ts';
import { issuerOf } from './token-issuer.ts';

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
    remedy: (request) =>
      `The trust policy of ${request.account.roleArn} must allow sts:AssumeRoleWithWebIdentity to the cluster's OIDC provider with ` +
      `sub = ${subjectOf(request)} and aud = ${request.account.audience}, and the role must exist.${trusting(request)}`,
  },
  {
    code: 'TokenRefused',
    verdict: 'terminal',
    names: ['InvalidIdentityToken', 'InvalidIdentityTokenException', 'IDPRejectedClaim'],
    remedy: (request) =>
      `The account of ${request.account.roleArn} needs an IAM OIDC provider for this cluster's issuer, with the audience ` +
      `${request.account.audience} (eksctl utils associate-iam-oidc-provider --cluster <cluster> --approve).${knowing(request)}`,
  },
  {
    code: 'StsRegionDisabled',
    verdict: 'terminal',
    names: ['RegionDisabled', 'RegionDisabledException'],
    remedy: ({ account }) =>
      `Activate STS for the queue's region in the account of ${account.roleArn} (IAM console, account settings).`,
  },
  {
    code: 'RoleInvalid',
    verdict: 'terminal',
    names: ['ValidationError', 'ValidationException', 'MalformedInput'],
    remedy: (request) =>
      `Correct the annotation of ServiceAccount ${request.namespace}/${request.name}: ` +
      annotateRole(request, parseRoleArn(request.account.roleArn)?.partition ?? 'aws'),
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

function subjectOf({ namespace, name }: AccountName): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

/** The command that lets the account have the role; empty when the token does not tell who has signed it. */
function trusting(request: RoleRequest): string {
  const signer = signerOf(request);
  if (!signer) return '';
  const command = trustAccount({
    role: signer.role.name,
    provider: signer.provider,
    issuer: signer.issuer,
    subject: subjectOf(request),
    audience: request.account.audience,
  });
  return ` If nobody else has this role: ${command}`;
}

/** The commands that make the cluster known; empty likewise. */
function knowing(request: RoleRequest): string {
  const signer = signerOf(request);
  if (!signer) return '';
  const { audience } = request.account;
  return (
    ` Without eksctl: aws iam create-open-id-connect-provider --url https://${signer.issuer} --client-id-list ${audience}` +
    ` (if it is there, and lacks the audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn ${signer.provider} --client-id ${audience})`
  );
}

/** Who has signed the token, as the account of the role has to know it. */
interface Signer {
  readonly role: RoleArn;
  /** Without its scheme. */
  readonly issuer: string;
  /** ARN of the IAM OIDC provider. */
  readonly provider: string;
}

function signerOf({ account, token }: RoleRequest): Signer | undefined {
  const [issuer, role] = [issuerOf(token), parseRoleArn(account.roleArn)];
  if (issuer === undefined || !role) return undefined;
  return {
    role,
    issuer,
    provider: `arn:${role.partition}:iam::${role.account}:oidc-provider/${issuer}`,
  };
}
