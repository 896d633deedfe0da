import {
  BatchGetImageCommand,
  DescribeImagesCommand,
  DescribePullThroughCacheRulesCommand,
  type ECRClient,
  GetDownloadUrlForLayerCommand,
  type Image,
  type ImageDetail,
  type ImageIdentifier,
} from '@aws-sdk/client-ecr';
import { hasCode, OperatorError } from '../errors.ts';
import type { ResolvedImage } from '../plan/resolved-images.ts';
import type { EcrImage } from '../world.ts';
import { type EcrCall, ecrError, ecrFailure } from './ecr-errors.ts';
import {
  configDigestOf,
  INDEX_TYPES,
  MANIFEST_TYPES,
  platformOfConfig,
  platformsOfIndex,
} from './manifest.ts';

/** Configurations are a few kilobytes; what is larger is not read. */
const MAX_CONFIG_BYTES = 1_048_576;
const DOWNLOAD_TIMEOUT_MS = 5_000;

/** Who asks ECR of an image, and is told what this one may know. */
export interface Caller {
  readonly client: ECRClient;
  /** In words. */
  readonly whose: string;
}

/** An image that is there tells its digest and status to one right, its manifest to another; either will do. */
export async function resolveAs(caller: Caller, image: EcrImage): Promise<ResolvedImage> {
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

/** What ECR knows of one image. Throws when there is none. */
export async function detailOf(
  caller: Caller,
  image: EcrImage,
  imageId: ImageIdentifier,
): Promise<ImageDetail> {
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

function assertActive(
  { text, repository, ecr }: EcrImage,
  { imageStatus, imageDigest = '' }: ImageDetail,
): void {
  if (imageStatus === 'ARCHIVED') {
    const message =
      `${text} is archived, and cannot be pulled before it is restored: aws ecr update-image-storage-class ` +
      `--region ${ecr.region} --registry-id ${ecr.account} --repository-name ${repository} ` +
      `--image-id imageDigest=${imageDigest} --target-storage-class STANDARD`;
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
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
  const isSmall = Number(response.headers.get('content-length') ?? 0) <= MAX_CONFIG_BYTES;
  if (response.ok && isSmall) return await response.text();
  await response.body?.cancel();
  return '';
}

/** What is missing may be somewhere else, and come with the first pull. Not being told is being told no. */
export async function isCached({ client }: Caller, { ecr, repository }: EcrImage): Promise<boolean> {
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

/** Has what goes wrong told as an `OperatorError`. */
export async function said<T>(call: EcrCall, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw ecrError(call, error);
  }
}

function callOf(
  operation: EcrCall['operation'],
  { whose }: Caller,
  { text: about, ecr, repository: name }: EcrImage,
): EcrCall {
  return { operation, about, whose, repository: { region: ecr.region, account: ecr.account, name } };
}

function repositoryOf({ ecr, repository }: EcrImage) {
  return { registryId: ecr.account, repositoryName: repository };
}
