import {
  BatchGetImageCommand,
  DescribeImagesCommand,
  DescribePullThroughCacheRulesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
  GetDownloadUrlForLayerCommand,
  type Image,
  type ImageDetail,
  type ImageIdentifier,
} from '@aws-sdk/client-ecr';
import type { EcrHost } from '../api/ecr-host.ts';
import { hasCode, OperatorError } from '../errors.ts';
import type { QueueReader } from '../plan/queue-reader.ts';
import type { ResolvedImage } from '../plan/resolved-images.ts';
import type { EcrImage, ImageRegistry, PullToken } from '../world.ts';
import { type AwsIdentities, whoseRights } from './aws-identities.ts';
import { type EcrCall, ecrError, ecrFailure } from './ecr-errors.ts';
import { httpHandler } from './http-handler.ts';
import {
  configDigestOf,
  INDEX_TYPES,
  MANIFEST_TYPES,
  platformOfConfig,
  platformsOfIndex,
} from './manifest.ts';

const REQUEST_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 2_000;
const ATTEMPTS = 3;
const MAX_SOCKETS = 32;
/** Configurations are a few kilobytes; what is larger is not read. */
const MAX_CONFIG_BYTES = 1_048_576;

export interface EcrRegistryOptions {
  readonly identities: AwsIdentities;
  /** All requests go here instead of to AWS (an emulator). */
  readonly endpoint: string | undefined;
}

/**
 * ECR through the AWS SDK. Where requests go follows from account, region and kind of the image's host, never from the
 * host itself; whose rights they have, from the reader of the queue.
 */
export class EcrRegistry implements ImageRegistry {
  readonly #options: EcrRegistryOptions;
  readonly #requestHandler = httpHandler({
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    maxSockets: MAX_SOCKETS,
  });

  constructor(options: EcrRegistryOptions) {
    this.#options = options;
  }

  async resolve(image: EcrImage, reader: QueueReader): Promise<ResolvedImage> {
    const caller = this.#callerFor(image.ecr, reader);
    try {
      return await resolveAs(caller, image);
    } catch (error) {
      const isMissing = hasCode(error, 'ImageNotFound') || hasCode(error, 'RepositoryNotFound');
      if (!isMissing || !(await isCached(caller, image))) throw error;
      const message = `${image.text} comes from a pull-through cache, which has not got it yet: its first pull brings it.`;
      throw new OperatorError({ code: 'PullThroughCache', verdict: 'terminal', message });
    }
  }

  async has(image: EcrImage, digest: string, reader: QueueReader): Promise<boolean> {
    try {
      await detailOf(this.#callerFor(image.ecr, reader), image, { imageDigest: digest });
      return true;
    } catch (error) {
      if (hasCode(error, 'ImageNotFound') || hasCode(error, 'RepositoryNotFound')) return false;
      if (error instanceof OperatorError && error.verdict === 'terminal') return true;
      throw error;
    }
  }

  async pullToken(host: EcrHost, reader: QueueReader): Promise<PullToken> {
    const { client, whose } = this.#callerFor(host, reader);
    const call: EcrCall = { operation: 'GetAuthorizationToken', about: host.host, whose };
    const { authorizationData } = await said(call, () => client.send(new GetAuthorizationTokenCommand({})));
    const { authorizationToken = '', expiresAt } = authorizationData?.[0] ?? {};
    const [username = '', ...password] = Buffer.from(authorizationToken, 'base64')
      .toString('utf8')
      .split(':');
    if (username === '' || password.length === 0 || !expiresAt)
      throw ecrFailure(call, 'NoToken', 'the answer holds no token');
    return { username, password: password.join(':'), expiresAtMs: expiresAt.getTime() };
  }

  /** Closes every connection; only when nothing asks any more. */
  destroy(): void {
    this.#requestHandler.destroy();
  }

  /** Calls are rare, and clients of many tenants would add up: each is made for its calls, over connections that stay. */
  #callerFor({ region, fips, dualStack }: EcrHost, reader: QueueReader): Caller {
    const { identities, endpoint } = this.#options;
    const identity = identities.identityOf(reader);
    const client = new ECRClient({
      region,
      ...(endpoint === undefined ? { useFipsEndpoint: fips, useDualstackEndpoint: dualStack } : { endpoint }),
      credentials: identities.credentialsFor(identity, region),
      userAgentAppId: 'batchqueue',
      maxAttempts: ATTEMPTS,
      requestHandler: this.#requestHandler,
    });
    return { client, whose: whoseRights(identity) };
  }
}

/** Who asks ECR. */
interface Caller {
  readonly client: ECRClient;
  /** In words. */
  readonly whose: string;
}

/** An image that is there tells its digest and status to one right, its manifest to another; either will do. */
async function resolveAs(caller: Caller, image: EcrImage): Promise<ResolvedImage> {
  const asked =
    image.digest === undefined ? { imageTag: image.tag ?? 'latest' } : { imageDigest: image.digest };
  const detail = await unlessDenied(detailOf(caller, image, asked));
  if (detail) assertActive(image, detail);
  const known = detail?.imageDigest;
  const found = await unlessDenied(
    manifestOf(caller, image, known === undefined ? asked : { imageDigest: known }),
    known !== undefined,
  );
  const digest = known ?? found?.imageId?.imageDigest;
  if (digest === undefined) throw ecrFailure(callOf('BatchGetImage', caller, image), 'NoDigest');
  return { digest, platforms: await platformsOf(caller, image, found) };
}

async function detailOf(caller: Caller, image: EcrImage, imageId: ImageIdentifier): Promise<ImageDetail> {
  const call = callOf('DescribeImages', caller, image);
  const { imageDetails } = await said(call, () =>
    caller.client.send(new DescribeImagesCommand({ ...repositoryOf(image), imageIds: [imageId] })),
  );
  const [detail] = imageDetails ?? [];
  if (!detail) throw ecrFailure(call, 'ImageNotFound', 'the answer is empty');
  return detail;
}

async function manifestOf(caller: Caller, image: EcrImage, imageId: ImageIdentifier): Promise<Image> {
  const call = callOf('BatchGetImage', caller, image);
  const command = new BatchGetImageCommand({
    ...repositoryOf(image),
    imageIds: [imageId],
    acceptedMediaTypes: [...INDEX_TYPES, ...MANIFEST_TYPES],
  });
  const { images, failures } = await said(call, () => caller.client.send(command));
  const [found] = images ?? [];
  if (found) return found;
  throw ecrFailure(call, failures?.[0]?.failureCode ?? 'ImageNotFound', failures?.[0]?.failureReason);
}

function assertActive({ text }: EcrImage, { imageStatus }: ImageDetail): void {
  if (imageStatus === 'ARCHIVED') {
    const message = `${text} is archived, and cannot be pulled before it is restored: aws ecr update-image-storage-class --target-storage-class STANDARD.`;
    throw new OperatorError({ code: 'ImageArchived', verdict: 'terminal', message });
  }
  if (imageStatus !== 'ACTIVATING') return;
  const message = `${text} is being restored from the archive, and cannot be pulled before that is done.`;
  throw new OperatorError({ code: 'ImageActivating', verdict: 'terminal', message });
}

/** A single manifest leaves its platform to its configuration. For people: not knowing it is no error. */
async function platformsOf(
  { client }: Caller,
  image: EcrImage,
  found: Image | undefined,
): Promise<readonly string[] | undefined> {
  const layerDigest = configDigestOf(found?.imageManifest);
  if (layerDigest === undefined) return platformsOfIndex(found?.imageManifest);
  try {
    const command = new GetDownloadUrlForLayerCommand({ ...repositoryOf(image), layerDigest });
    const { downloadUrl } = await client.send(command);
    return downloadUrl === undefined ? undefined : platformOfConfig(await download(downloadUrl));
  } catch {
    return undefined;
  }
}

/** The URL is signed for this one object: no credentials go along. */
async function download(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  const isSmall = Number(response.headers.get('content-length') ?? 0) <= MAX_CONFIG_BYTES;
  if (response.ok && isSmall) return await response.text();
  await response.body?.cancel();
  return '';
}

/** What is missing may be somewhere else, and come with the first pull. Not being told is being told no. */
async function isCached({ client }: Caller, { ecr, repository }: EcrImage): Promise<boolean> {
  try {
    const command = new DescribePullThroughCacheRulesCommand({ registryId: ecr.account, maxResults: 1_000 });
    const { pullThroughCacheRules = [] } = await client.send(command);
    return pullThroughCacheRules.some(
      ({ ecrRepositoryPrefix = '' }) =>
        ecrRepositoryPrefix === 'ROOT' || repository.startsWith(`${ecrRepositoryPrefix}/`),
    );
  } catch {
    return false;
  }
}

async function unlessDenied<T>(asked: Promise<T>, mayBeDenied = true): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (mayBeDenied && hasCode(error, 'ImageAccessDenied')) return undefined;
    throw error;
  }
}

async function said<T>(call: EcrCall, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw ecrError(call, error);
  }
}

function callOf(operation: EcrCall['operation'], { whose }: Caller, { text: about }: EcrImage): EcrCall {
  return { operation, about, whose };
}

function repositoryOf({ ecr, repository }: EcrImage) {
  return { registryId: ecr.account, repositoryName: repository };
}
