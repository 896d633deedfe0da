import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parseEcrHost } from '../../../operator/api/ecr-host.ts';
import { parseImageReference } from '../../../operator/api/image-reference.ts';
import type { AwsIdentities } from '../../../operator/aws/aws-identities.ts';
import { ecrFailure } from '../../../operator/aws/ecr-errors.ts';
import { EcrRegistry } from '../../../operator/aws/ecr-registry.ts';
import { OperatorError } from '../../../operator/errors.ts';
import type { QueueReader } from '../../../operator/plan/queue-reader.ts';
import type { EcrImage } from '../../../operator/world.ts';
import { ECR_ACCOUNT, EcrServer } from '../../support/ecr-server.ts';

const READER: QueueReader = { namespace: 'shop', serviceAccountName: 'poller', url: 'https://sqs/q' };
const HOST = `${ECR_ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com`;

/** Credentials that name whom they are for. */
const identities: AwsIdentities = {
  identityOf: ({ namespace, serviceAccountName: name }) => ({ kind: 'serviceAccount', namespace, name }),
  credentialsFor: (identity, region) =>
    Object.assign(
      async () => {
        const name = identity.kind === 'serviceAccount' ? identity.name : 'operator';
        return await Promise.resolve({ accessKeyId: `KEY-${name}-${region}`, secretAccessKey: 'canary' });
      },
      { memoized: true } as const,
    ),
};

let ecr: EcrServer;
let registry: EcrRegistry;

beforeEach(async () => {
  ecr = await EcrServer.start();
  registry = new EcrRegistry({ identities, endpoint: ecr.endpoint });
});

afterEach(async () => {
  registry.destroy();
  await ecr.stop();
});

function imageOf(text: string): EcrImage {
  const reference = parseImageReference(text);
  if (!reference?.ecr) throw new Error(`${text} is not in ECR`);
  return { ...reference, ecr: reference.ecr };
}

async function failureOf(work: Promise<unknown>): Promise<OperatorError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OperatorError)) throw new Error(`not an OperatorError: ${String(error)}`);
  return error;
}

describe('a reference is resolved', () => {
  test('to the digest of an index and its platforms, without attestations', async () => {
    const digest = ecr.push('team/worker', '1', ['linux/arm64/v8', 'linux/amd64']);
    await expect(registry.resolve(imageOf(`${HOST}/team/worker:1`), READER)).resolves.toEqual({
      digest,
      platforms: ['linux/amd64', 'linux/arm64/v8'],
    });
  });

  test('to the digest of a single manifest, whose configuration tells the platform', async () => {
    const digest = ecr.push('worker', 'latest', ['linux/arm64']);
    const found = { digest, platforms: ['linux/arm64'] };
    await expect(registry.resolve(imageOf(`${HOST}/worker`), READER)).resolves.toEqual(found);
    await expect(registry.resolve(imageOf(`${HOST}/worker@${digest}`), READER)).resolves.toEqual(found);
  });

  test("in the registry of the host's account, in its region, with the rights of the reader", async () => {
    const digest = ecr.push('worker', '1', ['linux/amd64'], '999988887777');
    const image = imageOf('999988887777.dkr.ecr.ap-south-1.amazonaws.com/worker:1');
    await expect(registry.resolve(image, READER)).resolves.toMatchObject({ digest });
    for (const request of ecr.requests)
      expect(request).toMatchObject({ region: 'ap-south-1', accessKeyId: 'KEY-poller-ap-south-1' });
  });

  test.each([
    ['DescribeImages', ['linux/amd64']],
    ['BatchGetImage', undefined],
    ['GetDownloadUrlForLayer', undefined],
  ])('without the right to %s', async (operation, platforms) => {
    const digest = ecr.push('worker', '1');
    ecr.refuse(operation, 'AccessDeniedException');
    await expect(registry.resolve(imageOf(`${HOST}/worker:1`), READER)).resolves.toEqual({
      digest,
      platforms,
    });
  });
});

describe('what cannot be resolved is told apart', () => {
  const prepared: Readonly<Record<string, () => void>> = {
    ImageNotFound: () => ecr.push('worker', 'other'),
    RepositoryNotFound: () => undefined,
    ImageArchived: () => {
      ecr.push('worker', '1');
      ecr.setStatus('worker', '1', 'ARCHIVED');
    },
    ImageActivating: () => {
      ecr.push('worker', '1');
      ecr.setStatus('worker', '1', 'ACTIVATING');
    },
    ImageAccessDenied: () => {
      ecr.refuse('DescribeImages', 'AccessDeniedException');
      ecr.refuse('BatchGetImage', 'AccessDeniedException');
    },
  };

  test.each(Object.keys(prepared))('%s', async (code) => {
    prepared[code]?.();
    const error = await failureOf(registry.resolve(imageOf(`${HOST}/worker:1`), READER));
    expect(error).toMatchObject({ code, verdict: 'terminal' });
    expect(error.message).toContain(`${HOST}/worker:1`);
  });

  test('a missing one from a pull-through cache is not missing', async () => {
    ecr.cachedPrefixes.push('docker-hub');
    const image = imageOf(`${HOST}/docker-hub/library/python:3`);
    expect(await failureOf(registry.resolve(image, READER))).toMatchObject({ code: 'PullThroughCache' });
    const other = imageOf(`${HOST}/docker-hub-of-ours/python:3`);
    expect(await failureOf(registry.resolve(other, READER))).toMatchObject({ code: 'RepositoryNotFound' });
    ecr.refuse('DescribePullThroughCacheRules', 'AccessDeniedException');
    expect(await failureOf(registry.resolve(image, READER))).toMatchObject({ code: 'RepositoryNotFound' });
  });

  test.each([
    ['UpstreamAccessDenied', 'pull-through cache rule'],
    ['ImageInaccessible', 'aws ecr describe-repositories --region eu-west-1'],
  ])('%s, in an answer that names the image as a failure', (code, words) => {
    const repository = { region: 'eu-west-1', account: ECR_ACCOUNT, name: 'worker' };
    const call = { operation: 'BatchGetImage', about: 'worker:1', whose: 'the role', repository } as const;
    const error = ecrFailure(call, code, 'words.');
    expect(error).toMatchObject({ code, verdict: 'terminal' });
    expect(error.message).toContain(`worker:1: BatchGetImage: ${code}: words. `);
    expect(error.message).toContain(words);
  });

  test('and a role that may not ask is told the policy that lets it', async () => {
    ecr.push('worker', '1');
    ecr.refuse('DescribeImages', 'AccessDeniedException');
    ecr.refuse('BatchGetImage', 'AccessDeniedException');
    const { message } = await failureOf(registry.resolve(imageOf(`${HOST}/worker:1`), READER));
    const [, policy = ''] = /aws iam put-role-policy .* --policy-document '(.*)'\)/.exec(message) ?? [];
    expect(JSON.parse(policy).Statement).toEqual([
      {
        Effect: 'Allow',
        Action: ['ecr:DescribeImages', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
        Resource: `arn:aws:ecr:eu-west-1:${ECR_ACCOUNT}:repository/worker`,
      },
    ]);
  });

  test('and the commands that put it right are told whole', async () => {
    const image = imageOf(`${HOST}/worker:1`);
    const place = '--region eu-west-1';
    expect((await failureOf(registry.resolve(image, READER))).message).toContain(
      `(aws ecr create-repository ${place} --repository-name worker)`,
    );
    const digest = ecr.push('worker', '1');
    ecr.setStatus('worker', '1', 'ARCHIVED');
    expect((await failureOf(registry.resolve(image, READER))).message).toContain(
      `aws ecr update-image-storage-class ${place} --registry-id ${ECR_ACCOUNT} --repository-name worker ` +
        `--image-id imageDigest=${digest} --target-storage-class STANDARD`,
    );
  });

  test.each(['ServerException', 'ThrottlingException'])('%s passes by itself', async (type) => {
    ecr.refuse('DescribeImages', type);
    const error = await failureOf(registry.resolve(imageOf(`${HOST}/worker:1`), READER));
    expect(error).toMatchObject({ verdict: 'retry' });
  });
});

test('a digest that a lifecycle policy has taken is missed; not being told is no reason to miss it', async () => {
  const image = imageOf(`${HOST}/worker:1`);
  const digest = ecr.push('worker', '1');
  await expect(registry.has(image, digest, READER)).resolves.toBe(true);
  ecr.push('worker', '1');
  await expect(registry.has(image, digest, READER)).resolves.toBe(true);
  ecr.push('worker', '2');
  ecr.expire('worker', '2');
  await expect(registry.has(image, `sha256:${'0'.repeat(64)}`, READER)).resolves.toBe(false);
  ecr.refuse('DescribeImages', 'AccessDeniedException');
  await expect(registry.has(image, `sha256:${'0'.repeat(64)}`, READER)).resolves.toBe(true);
});

describe('a token', () => {
  const host = parseEcrHost(HOST);
  if (!host) throw new Error('not a host of ECR');

  test('comes with when it runs out', async () => {
    const before = Date.now();
    const token = await registry.pullToken(host, READER);
    expect(token).toMatchObject({ username: 'AWS', password: ecr.passwords[0] });
    expect(token.expiresAtMs).toBeGreaterThanOrEqual(before + ecr.tokenLifeMs);
    expect(ecr.requests).toMatchObject([
      { operation: 'GetAuthorizationToken', region: 'eu-west-1', accessKeyId: 'KEY-poller-eu-west-1' },
    ]);
  });

  test('that is refused says which permission is missing', async () => {
    ecr.refuse('GetAuthorizationToken', 'AccessDeniedException');
    const error = await failureOf(registry.pullToken(host, READER));
    expect(error).toMatchObject({ code: 'PullTokenDenied', verdict: 'terminal' });
    expect(error.message).toContain('ecr:GetAuthorizationToken');
  });
});
