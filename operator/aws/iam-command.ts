/** Commands of the AWS CLI as they stand in conditions: whoever reads one can paste it. */

const ASSUMED_ROLE = /:assumed-role\/([\w+=,.@-]+)\//;

/** What a role lacks. */
export interface MissingPolicy {
  /** Of the inline policy that will have it. */
  readonly name: string;
  readonly actions: readonly string[];
  /** An ARN, or `*`. */
  readonly resource: string;
}

/** An error of AWS: its name, and its words. */
export interface Refusal {
  readonly name: string;
  readonly text: string;
}

/**
 * What a remedy may end in: the command that gives the refused role what it lacks. Empty for an error that is no denial, and
 * where it would not help.
 */
export function allowing({ name, text }: Refusal, policy: MissingPolicy | undefined): string {
  if (!policy || !name.startsWith('AccessDenied')) return '';
  const command = allowRole(text, policy);
  return command === undefined ? '' : ` (For example: ${command})`;
}

/**
 * Gives the role that AWS has refused what it lacks. `refusal`: AWS's words, which name the role. Undefined where an explicit
 * deny stands in the way, so that to allow it as well would change nothing.
 */
function allowRole(refusal: string, { name, actions, resource }: MissingPolicy): string | undefined {
  if (/explicit deny/i.test(refusal)) return undefined;
  const role = ASSUMED_ROLE.exec(refusal)?.[1] ?? '<role>';
  const policy = policyOf({ Effect: 'Allow', Action: actions, Resource: resource });
  return `aws iam put-role-policy --role-name ${role} --policy-name ${name} --policy-document '${policy}'`;
}

/** Who may have a role, and by whose tokens. */
export interface Trust {
  /** Name of the role, without its path. */
  readonly role: string;
  /** ARN of the IAM OIDC provider. */
  readonly provider: string;
  /** Of the cluster, without its scheme. */
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
}

/** Lets one ServiceAccount have a role, and nobody else. */
export function trustAccount({ role, provider, issuer, subject, audience }: Trust): string {
  const policy = policyOf({
    Effect: 'Allow',
    Principal: { Federated: provider },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: { StringEquals: { [`${issuer}:sub`]: subject, [`${issuer}:aud`]: audience } },
  });
  return `aws iam update-assume-role-policy --role-name ${role} --policy-document '${policy}'`;
}

function policyOf(statement: object): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
}
