import { describe, expect, test } from '@jest/globals';
import type { Identities } from '../../../operator/aws/identities.ts';
import type { QueueReader } from '../../../operator/plan/queue-reader.ts';
import { TenantWorld } from '../../support/tenant-world.ts';

const URL = 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders';

function aReader(parts: Partial<QueueReader> = {}): QueueReader {
  return { namespace: 'team-a', serviceAccountName: 'poller', url: URL, ...parts };
}

function kindOf(identities: Identities, parts: Partial<QueueReader> = {}): string {
  return identities.identityOf(aReader(parts)).kind;
}

describe("the operator's own identity", () => {
  const { identities } = new TenantWorld({
    namespaces: ['team-a', 'team-b'],
    queues: ['arn:aws:sqs:eu-west-1:123456789012:orders', 'arn:aws:sqs:*:123456789012:shared-?'],
  });

  test.each([
    [{}],
    [{ namespace: 'team-b' }],
    [{ url: 'https://SQS.eu-west-1.amazonaws.com:443/123456789012/orders' }],
    [{ url: 'https://eu-west-1.queue.amazonaws.com/123456789012/orders' }],
    [{ url: 'https://vpce-0a-1b.sqs.eu-west-1.vpce.amazonaws.com/123456789012/orders' }],
    [{ url: 'https://sqs.us-east-1.amazonaws.com/123456789012/shared-1' }],
    // Of a host that does not tell its region, the installer's default counts.
    [{ url: 'http://localhost:9324/123456789012/shared-1' }],
  ])('is lent to %j', (parts) => {
    expect(kindOf(identities, parts)).toBe('operator');
  });

  test.each([
    [{ namespace: 'team-c' }],
    [{ namespace: 'team-ab' }],
    [{ namespace: '' }],
    [{ url: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dead' }],
    [{ url: 'https://sqs.eu-west-1.amazonaws.com/123456789012/Orders' }],
    [{ url: 'https://sqs.eu-west-1.amazonaws.com/123456789013/orders' }],
    [{ url: 'https://sqs.eu-west-2.amazonaws.com/123456789012/orders' }],
    [{ url: 'https://sqs.cn-north-1.amazonaws.com.cn/123456789012/shared-1' }],
    [{ url: 'https://sqs.us-east-1.amazonaws.com/123456789012/shared-10' }],
    [{ url: 'arn:aws:sqs:eu-west-1:123456789012:orders' }],
    [{ url: `${URL}/` }],
    [{ url: `${URL}#` }],
  ])('is not lent to %j', (parts) => {
    const { namespace, serviceAccountName: name } = aReader(parts);
    expect(identities.identityOf(aReader(parts))).toEqual({ kind: 'serviceAccount', namespace, name });
  });

  test('is lent to nobody unless the installer says so', () => {
    expect(kindOf(new TenantWorld().identities)).toBe('serviceAccount');
    expect(kindOf(new TenantWorld({ namespaces: ['*'] }).identities)).toBe('serviceAccount');
    expect(kindOf(new TenantWorld({ queues: ['arn:*'] }).identities)).toBe('serviceAccount');
    expect(kindOf(new TenantWorld({ namespaces: ['*'], queues: ['arn:*'] }).identities)).toBe('operator');
  });

  test('needs no ServiceAccount', async () => {
    const world = new TenantWorld({ namespaces: ['team-a'], queues: ['arn:*'] });
    expect(await world.identities.check(aReader())).toEqual({ kind: 'operator' });
    const { accessKeyId } = await world.identities.credentialsFor({ kind: 'operator' }, 'eu-west-1')();
    expect(accessKeyId).toBe('own');
    expect(world.asked).toEqual([]);
  });

  test('is never what a ServiceAccount without a role falls back to', async () => {
    const world = new TenantWorld();
    const identity = world.identities.identityOf(aReader());
    await expect(world.identities.credentialsFor(identity, 'eu-west-1')()).rejects.toMatchObject({
      code: 'ServiceAccountNotFound',
    });
  });
});

test('the role of a ServiceAccount is asked for where the queue is', async () => {
  const world = new TenantWorld();
  world.account();
  await world.identities.check(aReader());
  await world.identities.check(aReader({ url: 'http://localhost:9324/000000000000/orders' }));
  expect(world.requests.map(({ region }) => region)).toEqual(['eu-west-1', 'us-east-1']);
});

describe('narrowed sessions', () => {
  const OTHER = `${URL}-dead`;

  test('are had for each queue, and know no other', async () => {
    const world = new TenantWorld({}, true);
    world.account();
    const keys = new Map<string, string>();
    for (const url of [URL, OTHER, URL.replace('sqs.', 'SQS.')]) {
      const identity = world.identities.identityOf(aReader({ url }));
      const { accessKeyId } = await world.identities.credentialsFor(identity, 'eu-west-1')();
      keys.set(url, accessKeyId);
    }
    expect([...keys.values()]).toEqual(['key-1', 'key-2', 'key-1']);
    const policies = world.requests.map(({ policy = '' }) => JSON.parse(policy));
    expect(policies.map(({ Statement }) => Statement[0].Resource)).toEqual([
      'arn:aws:sqs:eu-west-1:123456789012:orders',
      'arn:aws:sqs:eu-west-1:123456789012:orders-dead',
    ]);
    for (const policy of policies)
      for (const { Action, Effect } of policy.Statement)
        for (const action of Action)
          expect(`${Effect} ${action}`).toMatch(/^Allow (sqs|kms|ecr):[A-Z][A-Za-z]+$/);
    // STS takes 2,048 characters.
    for (const { policy = '' } of world.requests) expect(policy.length).toBeLessThan(1_024);
  });

  test('are not what a role is had for otherwise', async () => {
    const world = new TenantWorld();
    world.account();
    for (const url of [URL, OTHER]) await world.identities.check(aReader({ url }));
    expect(world.requests).toMatchObject([{ policy: undefined }]);
  });
});
