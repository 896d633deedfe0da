import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { ECR_ACCOUNT, EcrServer } from '../../support/ecr-server.ts';
import { jobTemplate } from '../../support/queue-case.ts';
import { Tenants } from '../../support/tenants.ts';

const IMAGE = `${ECR_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/worker:1`;
let tenants: Tenants;
let ecr: EcrServer;
jest.setTimeout(120_000);

beforeAll(async () => {
  ecr = await EcrServer.start();
  ecr.push('worker', '1');
  tenants = await Tenants.set(['registry']);
  await tenants.startOperator([`--ecr-endpoint=${ecr.endpoint}`]);
});

afterAll(async () => {
  await tenants.clear();
  await ecr.stop();
});

test('images are resolved and tokens minted with the role of the polling ServiceAccount', async () => {
  const reader = await tenants.addReader('registry');
  const spec = { jobTemplate: jobTemplate(IMAGE), imagePullSecret: { name: 'regcred', refresh: true } };
  const queue = await tenants.addQueue('registry', reader, { spec });
  // Nobody may be asked in its name yet: no message is received, and no token asked for.
  await queue.whenCondition('Ready', { status: 'False', reason: 'TokenForbidden' });
  await queue.whenCondition('ImageResolved', { status: 'Unknown', reason: 'TokenForbidden' });
  expect(ecr.requests).toEqual([]);

  await tenants.letOperatorAct(reader);
  const id = await queue.send('message');
  await queue.whenCondition('ImageResolved', { status: 'True', reason: 'Resolved' }, 60_000);
  await queue.whenCondition('PullSecretReady', { status: 'True', reason: 'Fresh' }, 60_000);
  const job = await queue.jobOf(id, 1, 60_000);
  expect(Object(job['spec']).template.spec.containers[0].image).toContain('/worker@sha256:');

  const roles = ecr.requests.map(({ accessKeyId, sessionToken }) => {
    return tenants.sts.sessionOf(accessKeyId, sessionToken)?.roleArn;
  });
  expect([...new Set(roles)]).toEqual([reader.roleArn]);
  expect(new Set(ecr.requests.map(({ operation }) => operation))).toContain('GetAuthorizationToken');
});
