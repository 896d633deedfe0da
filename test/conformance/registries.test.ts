import { createHash } from 'node:crypto';
import { CreateRepositoryCommand, ECRClient, PutImageCommand } from '@aws-sdk/client-ecr';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseImageReference } from '../../operator/api/image-reference.ts';
import type { AwsIdentities } from '../../operator/aws/aws-identities.ts';
import { EcrRegistry } from '../../operator/aws/ecr-registry.ts';
import type { EcrImage } from '../../operator/world.ts';
import { ECR_ACCOUNT, EcrServer } from '../support/ecr-server.ts';
import { EMULATOR_CREDENTIALS, EMULATOR_REGION } from '../support/sqs-emulator.ts';
import { motoMissing, startMotoServer } from './subjects/moto.ts';

/**
 * What ECR says, as the operator's own registry sees it: the server that tests use and moto must say the same. Where moto
 * differs, the case says so.
 */

const HOST = `${ECR_ACCOUNT}.dkr.ecr.${EMULATOR_REGION}.amazonaws.com`;
const READER = { namespace: 'shop', serviceAccountName: 'poller', url: '' };
const identities: AwsIdentities = {
  identityOf: () => ({ kind: 'operator' }),
  credentialsFor: () =>
    Object.assign(async () => await Promise.resolve(EMULATOR_CREDENTIALS), { memoized: true } as const),
};

interface Registry {
  readonly endpoint: string;
  /** Pushes an image for these platforms and returns its digest. */
  push(repository: string, tag: string, platforms: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

async function ownServer(): Promise<Registry> {
  const ecr = await EcrServer.start();
  return {
    endpoint: ecr.endpoint,
    push: async (repository, tag, platforms) => await Promise.resolve(ecr.push(repository, tag, platforms)),
    stop: () => ecr.stop(),
  };
}

async function moto(): Promise<Registry> {
  const { endpoint, stop } = await startMotoServer();
  const client = new ECRClient({ endpoint, region: EMULATOR_REGION, credentials: EMULATOR_CREDENTIALS });
  return {
    endpoint,
    push: async (repositoryName, imageTag, platforms) => {
      await client.send(new CreateRepositoryCommand({ repositoryName }));
      const imageManifest = manifestFor(platforms);
      const { mediaType } = JSON.parse(imageManifest);
      const command = new PutImageCommand({
        repositoryName,
        imageTag,
        imageManifest,
        imageManifestMediaType: mediaType,
      });
      return (await client.send(command)).image?.imageId?.imageDigest ?? '';
    },
    stop: async () => {
      client.destroy();
      await stop();
    },
  };
}

function manifestFor(platforms: readonly string[]): string {
  const part = (text: string) => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: `sha256:${createHash('sha256').update(text).digest('hex')}`,
    size: 2,
  });
  const [first = '', ...others] = platforms;
  if (others.length === 0)
    return JSON.stringify({ schemaVersion: 2, ...part(first), config: part(`${first} config`), layers: [] });
  const manifests = platforms.map((platform) => {
    const [os, architecture] = platform.split('/');
    return { ...part(platform), platform: { os, architecture } };
  });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests,
  });
}

const SUBJECTS: readonly [string, () => Promise<Registry>, string | undefined][] = [
  ['the server of these tests', ownServer, undefined],
  ['moto', moto, motoMissing()],
];

describe.each(SUBJECTS)('ECR as %s', (name, start, missing) => {
  if (missing !== undefined) {
    test.skip(`is not asked: ${missing}`, () => undefined);
    return;
  }
  let subject: Registry;
  let registry: EcrRegistry;

  beforeAll(async () => {
    subject = await start();
    registry = new EcrRegistry({ identities, endpoint: subject.endpoint });
  }, 60_000);

  afterAll(async () => {
    registry.destroy();
    await subject.stop();
  });

  const imageOf = (text: string): EcrImage => {
    const reference = parseImageReference(`${HOST}/${text}`);
    if (!reference?.ecr) throw new Error(`${text} is not in ECR`);
    return { ...reference, ecr: reference.ecr };
  };

  test('resolves a tag to the digest of an index, with its platforms', async () => {
    const digest = await subject.push('index', '1', ['linux/amd64', 'linux/arm64']);
    const found = { digest, platforms: ['linux/amd64', 'linux/arm64'] };
    await expect(registry.resolve(imageOf('index:1'), READER)).resolves.toEqual(found);
    await expect(registry.resolve(imageOf(`index@${digest}`), READER)).resolves.toEqual(found);
    await expect(registry.has(imageOf('index:1'), digest, READER)).resolves.toBe(true);
  });

  test('resolves a tag to the digest of a single manifest', async () => {
    const digest = await subject.push('single', 'latest', ['linux/arm64']);
    // moto has no layers to download, and with them the configuration.
    const platforms = name === 'moto' ? undefined : ['linux/arm64'];
    await expect(registry.resolve(imageOf('single'), READER)).resolves.toEqual({ digest, platforms });
  });

  test('tells a missing tag from a missing repository', async () => {
    await subject.push('missing', 'other', ['linux/amd64']);
    const resolve = (text: string) => registry.resolve(imageOf(text), READER);
    await expect(resolve('missing:1')).rejects.toMatchObject({ code: 'ImageNotFound', verdict: 'terminal' });
    await expect(resolve('no-such:1')).rejects.toMatchObject({
      code: 'RepositoryNotFound',
      verdict: 'terminal',
    });
    await expect(registry.has(imageOf('missing:1'), `sha256:${'0'.repeat(64)}`, READER)).resolves.toBe(false);
  });

  test('gives out tokens for AWS', async () => {
    const token = await registry.pullToken(imageOf('index:1').ecr, READER);
    expect(token.username).toBe('AWS');
    expect(token.password).not.toBe('');
    // moto's tokens have run out long ago.
    expect(token.expiresAtMs > Date.now()).toBe(name !== 'moto');
  });
});
