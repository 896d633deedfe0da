import { describe, expect, test } from '@jest/globals';
import { apiError, hasNoRole, roleAccountFrom } from '../../../operator/aws/role-account.ts';
import { failing, ROLE } from '../../support/tenant-world.ts';

const ACCOUNT = { namespace: 'team-a', name: 'poller' };

function read(annotations: Record<string, string> | undefined, partition = 'aws'): unknown {
  const metadata = { name: 'poller', uid: 'uid-1', ...(annotations && { annotations }) };
  try {
    return roleAccountFrom({ metadata }, ACCOUNT, partition);
  } catch (error) {
    return error;
  }
}

const withRole = (role: string) => ({ 'eks.amazonaws.com/role-arn': role });

describe('a ServiceAccount', () => {
  test.each([
    [ROLE, 'aws'],
    ['arn:aws:iam::123456789012:role/division/team/poller_1+=,.@-', 'aws'],
    ['arn:aws-cn:iam::123456789012:role/poller', 'aws-cn'],
    ['arn:aws-us-gov:iam::123456789012:role/poller', 'aws-us-gov'],
    ['arn:aws-iso-b:iam::123456789012:role/poller', 'aws-iso-b'],
    ['arn:aws-eusc:iam::123456789012:role/poller', 'aws-eusc'],
    [` ${ROLE} `, 'aws'],
  ])('has the role %j in partition %s', (role, partition) => {
    expect(read(withRole(role), partition)).toEqual({
      uid: 'uid-1',
      roleArn: role.trim(),
      audience: 'sts.amazonaws.com',
    });
  });

  test('may say whom its tokens are for', () => {
    const annotations = { ...withRole(ROLE), 'eks.amazonaws.com/audience': 'sts.amazonaws.com.cn' };
    expect(read(annotations)).toMatchObject({ audience: 'sts.amazonaws.com.cn' });
  });

  test.each([
    ['poller'],
    ['role/poller'],
    ['arn:aws:iam::12345678901:role/poller'],
    ['arn:aws:iam:us-east-1:123456789012:role/poller'],
    ['arn:aws:iam::123456789012:user/poller'],
    ['arn:aws:sts::123456789012:assumed-role/poller/session'],
    ['arn:aws:iam::123456789012:role/'],
    [`arn:aws:iam::123456789012:role/${'a'.repeat(65)}`],
    ['arn:aws:iam::123456789012:role/poller role'],
    ['arn:aws-cn:iam::123456789012:role/poller'],
    [`${ROLE}\n`.repeat(2)],
  ])('cannot use %j, and is told what a role looks like', (role) => {
    expect(read(withRole(role))).toMatchObject({
      code: 'RoleInvalid',
      verdict: 'terminal',
      message: expect.stringContaining(
        'kubectl annotate serviceaccount poller -n team-a eks.amazonaws.com/role-arn=arn:aws:iam::<account>:role/<role> --overwrite',
      ),
    });
  });

  test.each([[undefined], [{}], [withRole('')], [withRole('  ')]])(
    'without a role (%j) is told how to name one',
    (annotations) => {
      const error = read(annotations);
      expect(error).toMatchObject({
        code: 'RoleMissing',
        message: expect.stringContaining(
          'kubectl annotate serviceaccount poller -n team-a eks.amazonaws.com/role-arn=',
        ),
      });
      expect(error).toMatchObject({ message: expect.stringContaining('--operator-identity-namespaces') });
      expect(hasNoRole(error)).toBe(true);
    },
  );

  test('that is missing is named', () => {
    expect(() => roleAccountFrom(undefined, ACCOUNT, 'aws')).toThrow(
      /ServiceAccount team-a\/poller does not exist.*spec.queue.serviceAccountName/,
    );
  });
});

describe('the API server', () => {
  test('that forbids something is told what to allow, and to whom', () => {
    const words =
      'create serviceaccounts/token team-a/poller: Forbidden: serviceaccounts "poller" is forbidden: ' +
      'User "system:serviceaccount:batchqueue-system:batchqueue-operator" cannot create resource';
    const error = apiError(ACCOUNT, failing('Forbidden', 'terminal', words));
    expect(error).toMatchObject({ code: 'TokenForbidden', verdict: 'terminal' });
    expect(error.message).toContain(
      'kubectl create role batchqueue-poll-poller -n team-a --verb=get,create ' +
        '--resource=serviceaccounts,serviceaccounts/token --resource-name=poller && ' +
        'kubectl create rolebinding batchqueue-poll-poller -n team-a --role=batchqueue-poll-poller ' +
        '--user=system:serviceaccount:batchqueue-system:batchqueue-operator',
    );
    expect(error.message).toContain('(create serviceaccounts/token is forbidden)');
    expect(hasNoRole(error)).toBe(false);
  });

  test.each([
    [failing('NotFound', 'terminal'), 'ServiceAccountNotFound', 'terminal'],
    [failing('Unavailable'), 'TokenFailed', 'retry'],
    [failing('Invalid', 'terminal'), 'TokenFailed', 'terminal'],
    [new Error('eyJhbGciOiJS.eyJpc3MiOiJr.c2lnbmF0dXJl'), 'TokenFailed', 'retry'],
  ])('that fails with %s is %s (%s)', (cause, code, verdict) => {
    const error = apiError(ACCOUNT, cause);
    expect(error).toMatchObject({ code, verdict });
    expect(error.message).not.toContain('eyJ');
  });
});
