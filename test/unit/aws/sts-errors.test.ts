import { describe, expect, test } from '@jest/globals';
import { stsError } from '../../../operator/aws/sts-errors.ts';
import { sessionName } from '../../../operator/aws/web-identity.ts';
import { OperatorError } from '../../../operator/errors.ts';
import { ROLE } from '../../support/tenant-world.ts';

const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2t1YmUifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ';
const REQUEST = {
  namespace: 'team-a',
  name: 'poller',
  account: { uid: 'u', roleArn: ROLE, audience: 'sts.amazonaws.com' },
  token: TOKEN,
};

function named(name: string, message = 'text'): Error {
  return Object.assign(new Error(message), { name });
}

test.each([
  ['AccessDenied', 'RoleRefused', 'terminal', 'system:serviceaccount:team-a:poller'],
  ['AccessDeniedException', 'RoleRefused', 'terminal', 'trust policy'],
  ['InvalidIdentityToken', 'TokenRefused', 'terminal', 'IAM OIDC provider'],
  ['InvalidIdentityTokenException', 'TokenRefused', 'terminal', 'sts.amazonaws.com'],
  ['IDPRejectedClaim', 'TokenRefused', 'terminal', ROLE],
  ['RegionDisabledException', 'StsRegionDisabled', 'terminal', 'Activate STS'],
  ['ValidationError', 'RoleInvalid', 'terminal', 'eks.amazonaws.com/role-arn'],
  ['PackedPolicyTooLarge', 'SessionPolicyRefused', 'terminal', '--narrow-sessions'],
  ['MalformedPolicyDocument', 'SessionPolicyRefused', 'terminal', '--narrow-sessions'],
  ['ExpiredTokenException', 'StsUnreachable', 'retry', ''],
  ['IDPCommunicationError', 'StsUnreachable', 'retry', ''],
  ['Throttling', 'Throttled', 'retry', ''],
  ['TimeoutError', 'StsUnreachable', 'retry', ''],
  ['something of next year', 'StsUnreachable', 'retry', ''],
])('%s of STS is %s (%s) and says %j', (name, code, verdict, words) => {
  const error = stsError(REQUEST, named(name));
  expect(error).toMatchObject({ code, verdict });
  expect(error.message).toContain(`AssumeRoleWithWebIdentity: ${name}: text.`);
  expect(error.message).toContain(words);
});

describe('what helps against an error of STS is a command', () => {
  const issuer = 'oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE';
  const provider = `arn:aws:iam::123456789012:oidc-provider/${issuer}`;
  const payload = Buffer.from(JSON.stringify({ iss: `https://${issuer}` })).toString('base64url');
  const request = { ...REQUEST, token: `head.${payload}.signature` };

  test('that lets the account, and nobody else, have the role', () => {
    const { message } = stsError(request, named('AccessDenied'));
    const [, role, policy = ''] =
      /aws iam update-assume-role-policy --role-name (\S+) --policy-document '(.*)'$/.exec(message) ?? [];
    expect(role).toBe('poller');
    expect(JSON.parse(policy)).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Federated: provider },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: {
              [`${issuer}:sub`]: 'system:serviceaccount:team-a:poller',
              [`${issuer}:aud`]: 'sts.amazonaws.com',
            },
          },
        },
      ],
    });
  });

  test("that makes the cluster's issuer known", () => {
    const { message } = stsError(request, named('InvalidIdentityToken'));
    expect(message).toContain(
      `aws iam create-open-id-connect-provider --url https://${issuer} --client-id-list sts.amazonaws.com`,
    );
    expect(message).toContain(`--open-id-connect-provider-arn ${provider} --client-id sts.amazonaws.com`);
  });

  test('that names another role', () => {
    const { message } = stsError(request, named('ValidationError'));
    expect(message).toContain('kubectl annotate serviceaccount poller -n team-a eks.amazonaws.com/role-arn=');
  });

  test.each(['head.payload.signature', 'none', `head.${Buffer.from('{"iss":1}').toString('base64url')}.x`])(
    'unless the token does not tell who has signed it (%s)',
    (token) => {
      for (const name of ['AccessDenied', 'InvalidIdentityToken']) {
        const { message } = stsError({ ...REQUEST, token }, named(name));
        expect(message).not.toContain('aws iam');
      }
    },
  );
});

test.each([TOKEN, TOKEN.replace('eyJ', 'fyK')])('no error quotes a token (%s)', (token) => {
  const text = `1 validation error detected: Value '${token}' at 'webIdentityToken' failed to satisfy constraint`;
  const error = stsError(REQUEST, named('ValidationError', text));
  expect(error.message).toContain('failed to satisfy constraint');
  expect(error.message).not.toContain(token);
  expect(error.cause).toBeUndefined();
});

test('an error that has been sorted already stays as it is', () => {
  const error = new OperatorError({ code: 'X', verdict: 'retry', message: 'm' });
  expect(stsError(REQUEST, error)).toBe(error);
});

test.each([
  ['team-a', 'poller', 'batchqueue@team-a.poller'],
  ['n'.repeat(63), 'poller', /^batchqueue@n{44}-[0-9a-f]{8}$/],
  ['team-a', 's'.repeat(253), /^batchqueue@team-a\.s{37}-[0-9a-f]{8}$/],
])('the session of %s/%s is called so', (namespace, name, expected) => {
  const session = sessionName({ namespace, name });
  expect(session).toMatch(/^[\w+=,.@-]{2,64}$/);
  expect(session).toMatch(expected);
});
