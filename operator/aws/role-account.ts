import { parseRoleArn } from '../api/arn.ts';
import { hasCode, OperatorError } from '../errors.ts';
import type { KubeObject } from '../ports.ts';

/** As EKS's own webhook reads it. */
const ANNOTATION_ROLE = 'eks.amazonaws.com/role-arn';
const ANNOTATION_AUDIENCE = 'eks.amazonaws.com/audience';
const DEFAULT_AUDIENCE = 'sts.amazonaws.com';

/** A ServiceAccount by its name. */
export interface AccountName {
  readonly namespace: string;
  readonly name: string;
}

/** A ServiceAccount as far as assuming its role needs it. */
export interface RoleAccount {
  /** Another object of the same name is another account. */
  readonly uid: string;
  readonly roleArn: string;
  /** What its tokens are made for. */
  readonly audience: string;
}

/** Codes of errors after which a ServiceAccount has no role any more, so that nothing may be done in its name. */
const WITHOUT_ROLE = ['ServiceAccountNotFound', 'RoleMissing', 'RoleInvalid'] as const;

/** True when the error says that this ServiceAccount has no role; false when it could only not be seen or used. */
export function hasNoRole(error: unknown): boolean {
  return WITHOUT_ROLE.some((code) => hasCode(error, code));
}

/**
 * Reads role and audience. Throws `ServiceAccountNotFound`, `RoleMissing` or `RoleInvalid`, each saying what to do.
 * `partition`: where the queue is, and so where the role must be.
 */
export function roleAccountFrom(
  object: KubeObject | undefined,
  account: AccountName,
  partition: string,
): RoleAccount {
  if (!object) throw notFound(account);
  const { uid = '', annotations = {} } = object.metadata;
  const roleArn = (annotations[ANNOTATION_ROLE] ?? '').trim();
  if (roleArn === '') throw roleMissing(account, partition);
  const role = parseRoleArn(roleArn);
  if (!role) throw roleInvalid(account, partition, `is not the ARN of a role: ${quoted(roleArn)}`);
  if (role.partition !== partition)
    throw roleInvalid(
      account,
      partition,
      `is a role in ${role.partition}, and the queue is in ${partition}: ${quoted(roleArn)}`,
    );
  return { uid, roleArn, audience: annotations[ANNOTATION_AUDIENCE] || DEFAULT_AUDIENCE };
}

/** What went wrong between us and the API server: `TokenForbidden`, `ServiceAccountNotFound`, else `TokenFailed`. */
export function apiError(account: AccountName, error: unknown): OperatorError {
  if (hasCode(error, 'Forbidden')) return tokenForbidden(account, error);
  // It was there a moment ago.
  if (hasCode(error, 'NotFound')) return notFound(account);
  const verdict = error instanceof OperatorError ? error.verdict : 'retry';
  const words = error instanceof OperatorError ? error.message : 'the API server could not be asked';
  return new OperatorError({
    code: 'TokenFailed',
    verdict,
    message: `No token of the ServiceAccount: ${words}.`,
  });
}

/** With the line that allows it. */
function tokenForbidden({ namespace, name }: AccountName, cause: OperatorError): OperatorError {
  const user = /User "([^"]+)"/.exec(cause.message)?.[1] ?? '<the operator>';
  const [verb = '', resource = ''] = cause.message.split(' ');
  const role = `batchqueue-poll-${name}`;
  const message =
    `The operator may not act as ServiceAccount ${namespace}/${name} (${verb} ${resource} is forbidden). Allow it: ` +
    `kubectl create role ${role} -n ${namespace} --verb=get,create --resource=serviceaccounts,serviceaccounts/token ` +
    `--resource-name=${name} && kubectl create rolebinding ${role} -n ${namespace} --role=${role} --user=${user}`;
  return terminal('TokenForbidden', message);
}

function notFound({ namespace, name }: AccountName): OperatorError {
  const message =
    `ServiceAccount ${namespace}/${name} does not exist. Correct spec.queue.serviceAccountName (or ` +
    'spec.serviceAccountName, which it defaults to), or create it: ' +
    `kubectl create serviceaccount ${name} -n ${namespace}`;
  return terminal('ServiceAccountNotFound', message);
}

function roleMissing(account: AccountName, partition: string): OperatorError {
  const { namespace, name } = account;
  const message =
    `ServiceAccount ${namespace}/${name} has no annotation ${ANNOTATION_ROLE}: there is no role to read the queue ` +
    "with. Have the installer lend the operator's own identity to this namespace and queue " +
    `(--operator-identity-namespaces, --operator-identity-queues), or name one: ${annotateRole(account, partition)}`;
  return terminal('RoleMissing', message);
}

function roleInvalid(account: AccountName, partition: string, what: string): OperatorError {
  const message =
    `Annotation ${ANNOTATION_ROLE} of ServiceAccount ${account.namespace}/${account.name} ${what}. ` +
    `Correct it: ${annotateRole(account, partition)}`;
  return terminal('RoleInvalid', message);
}

/** The command that names the role of an account, in the queue's partition. */
export function annotateRole({ namespace, name }: AccountName, partition: string): string {
  return `kubectl annotate serviceaccount ${name} -n ${namespace} ${ANNOTATION_ROLE}=arn:${partition}:iam::<account>:role/<role> --overwrite`;
}

function quoted(roleArn: string): string {
  return JSON.stringify(roleArn.slice(0, 200));
}

function terminal(code: string, message: string): OperatorError {
  return new OperatorError({ code, verdict: 'terminal', message });
}
