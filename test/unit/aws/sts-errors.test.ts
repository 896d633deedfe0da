import { expect, test } from '@jest/globals';
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
