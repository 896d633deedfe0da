import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';

/**
 * ECR as the real SDK finds it: JSON 1.1, its operations' shapes and errors, and the checks that it makes itself. What is
 * in it is pushed by tests; the conformance suite holds it against moto, where that is installed.
 */

export const ECR_ACCOUNT = '123456789012';
const TARGET = 'AmazonEC2ContainerRegistry_V20150921.';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const TOKEN_LIFE_MS = 12 * 3_600_000;

const digestSchema = z.string().regex(/^sha256:[a-f0-9]{64}$/);
const imageIdSchema = z.strictObject({
  imageDigest: digestSchema.optional(),
  imageTag: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/)
    .optional(),
});
const repositorySchema = {
  registryId: z
    .string()
    .regex(/^\d{12}$/)
    .optional(),
  repositoryName: z
    .string()
    .min(2)
    .max(256)
    .regex(/^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*\/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$/),
};
const idsSchema = z.strictObject({
  ...repositorySchema,
  imageIds: z.array(imageIdSchema).min(1).max(100),
  acceptedMediaTypes: z.array(z.string()).min(1).max(100).optional(),
});
const layerSchema = z.strictObject({ ...repositorySchema, layerDigest: digestSchema });
const rulesSchema = z.strictObject({
  registryId: repositorySchema.registryId,
  maxResults: z.int().min(1).max(1_000).optional(),
});

interface StoredImage {
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: string;
  readonly pushedAtMs: number;
  status: 'ACTIVE' | 'ARCHIVED' | 'ACTIVATING';
}

interface Repository {
  readonly images: Map<string, StoredImage>;
  readonly tags: Map<string, string>;
}

/** A request that was answered. */
export interface EcrRequest {
  readonly operation: string;
  /** Whose key signed it, and for which region. */
  readonly accessKeyId: string;
  readonly sessionToken: string;
  readonly region: string;
}

class EcrFault extends Error {
  readonly type: string;

  constructor(type: string, message = '') {
    super(message);
    this.type = type;
  }
}

export class EcrServer {
  readonly requests: EcrRequest[] = [];
  /** Prefixes of pull-through cache rules. */
  readonly cachedPrefixes: string[] = [];
  /** How long tokens live, in milliseconds. */
  tokenLifeMs = TOKEN_LIFE_MS;
  readonly #server: Server;
  readonly #repositories = new Map<string, Repository>();
  readonly #blobs = new Map<string, string>();
  readonly #denied = new Map<string, string>();
  readonly #tokens: string[] = [];
  #endpoint = '';

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens on the loopback interface, on a free port. */
  static async start(): Promise<EcrServer> {
    const ecr = new EcrServer();
    ecr.#server.listen(0, '127.0.0.1');
    await once(ecr.#server, 'listening');
    const address = ecr.#server.address();
    ecr.#endpoint = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    return ecr;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  /** Every password that was given out, the oldest first. */
  get passwords(): readonly string[] {
    return this.#tokens;
  }

  /** Pushes an image for these platforms (one: a single manifest; several: an index) under a tag; returns its digest. */
  push(
    repository: string,
    tag: string,
    platforms: readonly string[] = ['linux/amd64'],
    account = ECR_ACCOUNT,
  ): string {
    const manifests = platforms.map((platform) => this.#manifestFor(platform));
    const [single] = manifests;
    const image = manifests.length === 1 && single ? single : indexOf(manifests, platforms);
    const { images, tags } = this.#repository(account, repository);
    for (const each of [...manifests, image]) images.set(each.digest, each);
    tags.set(tag, image.digest);
    return image.digest;
  }

  /** Makes an empty repository. */
  create(repository: string, account = ECR_ACCOUNT): void {
    this.#repository(account, repository);
  }

  /** Deletes the image that a tag names, as a lifecycle policy may. */
  expire(repository: string, tag: string): void {
    const { images, tags } = this.#repository(ECR_ACCOUNT, repository);
    images.delete(tags.get(tag) ?? '');
    tags.delete(tag);
  }

  setStatus(repository: string, tag: string, status: StoredImage['status']): void {
    const { images, tags } = this.#repository(ECR_ACCOUNT, repository);
    const image = images.get(tags.get(tag) ?? '');
    if (image) image.status = status;
  }

  /** Refuses an operation from now on, on every repository or on one; without a type, not any more. */
  refuse(operation: string, type?: string, repository = ''): void {
    const key = `${operation} ${repository}`;
    if (type === undefined) this.#denied.delete(key);
    else this.#denied.set(key, type);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #repository(account: string, name: string): Repository {
    const key = `${account}/${name}`;
    const known = this.#repositories.get(key) ?? { images: new Map(), tags: new Map() };
    this.#repositories.set(key, known);
    return known;
  }

  #manifestFor(platform: string): StoredImage {
    const [os, architecture, variant] = platform.split('/');
    const config = JSON.stringify({
      os,
      architecture,
      ...(variant && { variant }),
      nonce: randomBytes(8).toString('hex'),
    });
    this.#blobs.set(digestOf(config), config);
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { digest: digestOf(config) },
      layers: [],
    };
    return stored(MANIFEST_TYPE, JSON.stringify(manifest));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') {
      const blob = this.#blobs.get((request.url ?? '').slice('/blobs/'.length));
      response.writeHead(blob === undefined ? 404 : 200).end(blob);
      return;
    }
    const body = await text(request);
    try {
      const answer = this.#answer(operationOf(request), body, request);
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(answer));
    } catch (error) {
      const type = error instanceof EcrFault ? error.type : 'ServerException';
      const message = error instanceof Error ? error.message : '';
      const status = type === 'ServerException' ? 500 : 400;
      response
        .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ __type: type, message }));
    }
  }

  #answer(operation: string, body: string, request: IncomingMessage): unknown {
    const signed = /Credential=([^/]+)\/\d{8}\/([a-z0-9-]+)\/ecr\/aws4_request/.exec(
      request.headers.authorization ?? '',
    );
    if (!signed) throw new EcrFault('MissingAuthenticationTokenException', 'Missing Authentication Token');
    const sessionToken = String(request.headers['x-amz-security-token'] ?? '');
    this.requests.push({ operation, accessKeyId: signed[1] ?? '', sessionToken, region: signed[2] ?? '' });
    const input: unknown = JSON.parse(body);
    const repository = String(Object(input)['repositoryName'] ?? '');
    const refused = this.#denied.get(`${operation} `) ?? this.#denied.get(`${operation} ${repository}`);
    if (refused !== undefined)
      throw new EcrFault(refused, `User is not authorized to perform: ecr:${operation}`);
    switch (operation) {
      case 'DescribeImages':
        return this.#describe(checked(idsSchema.omit({ acceptedMediaTypes: true }), input));
      case 'BatchGetImage':
        return this.#batchGet(checked(idsSchema, input));
      case 'GetDownloadUrlForLayer':
        return this.#downloadUrl(checked(layerSchema, input));
      case 'DescribePullThroughCacheRules':
        checked(rulesSchema, input);
        return {
          pullThroughCacheRules: this.cachedPrefixes.map((prefix) => ({ ecrRepositoryPrefix: prefix })),
        };
      case 'GetAuthorizationToken':
        return this.#authorize(checked(z.strictObject({}), input), signed[2] ?? '');
      default:
        throw new EcrFault('UnknownOperationException');
    }
  }

  #describe({
    registryId = ECR_ACCOUNT,
    repositoryName,
    imageIds,
  }: Omit<z.output<typeof idsSchema>, 'acceptedMediaTypes'>) {
    const repository = this.#find(registryId, repositoryName);
    const imageDetails = imageIds.map((id) => {
      const image = imageIn(repository, id);
      if (!image) {
        const message = `The image with imageId {imageDigest:'${id.imageDigest ?? 'null'}', imageTag:'${id.imageTag ?? 'null'}'} does not exist within the repository with name '${repositoryName}' in the registry with id '${registryId}'`;
        throw new EcrFault('ImageNotFoundException', message);
      }
      return {
        registryId,
        repositoryName,
        imageDigest: image.digest,
        imagePushedAt: image.pushedAtMs / 1_000,
        imageManifestMediaType: image.mediaType,
        imageStatus: image.status,
      };
    });
    return { imageDetails };
  }

  #batchGet({ registryId = ECR_ACCOUNT, repositoryName, imageIds }: z.output<typeof idsSchema>) {
    const repository = this.#find(registryId, repositoryName);
    const found = imageIds.map((imageId) => ({ imageId, image: imageIn(repository, imageId) }));
    return {
      images: found.flatMap(({ imageId, image }) =>
        image
          ? {
              registryId,
              repositoryName,
              imageId: { ...imageId, imageDigest: image.digest },
              imageManifest: image.manifest,
              imageManifestMediaType: image.mediaType,
            }
          : [],
      ),
      failures: found.flatMap(({ imageId, image }) =>
        image ? [] : { imageId, failureCode: 'ImageNotFound', failureReason: 'Requested image not found' },
      ),
    };
  }

  #downloadUrl({ registryId = ECR_ACCOUNT, repositoryName, layerDigest }: z.output<typeof layerSchema>) {
    this.#find(registryId, repositoryName);
    if (!this.#blobs.has(layerDigest)) throw new EcrFault('LayersNotFoundException', 'layer not found');
    return { downloadUrl: `${this.#endpoint}/blobs/${layerDigest}`, layerDigest };
  }

  /** A password as ECR's: base64 of JSON that tells when it runs out. */
  #authorize(_input: object, region: string) {
    const expiresAtMs = Date.now() + this.tokenLifeMs;
    const payload = {
      payload: randomBytes(24).toString('base64'),
      expiration: Math.floor(expiresAtMs / 1_000),
    };
    const password = Buffer.from(JSON.stringify(payload)).toString('base64');
    this.#tokens.push(password);
    return {
      authorizationData: [
        {
          authorizationToken: Buffer.from(`AWS:${password}`).toString('base64'),
          expiresAt: expiresAtMs / 1_000,
          proxyEndpoint: `https://${ECR_ACCOUNT}.dkr.ecr.${region}.amazonaws.com`,
        },
      ],
    };
  }

  #find(account: string, name: string): Repository {
    const found = this.#repositories.get(`${account}/${name}`);
    if (found) return found;
    const message = `The repository with name '${name}' does not exist in the registry with id '${account}'`;
    throw new EcrFault('RepositoryNotFoundException', message);
  }
}

function operationOf({ headers }: IncomingMessage): string {
  const target = String(headers['x-amz-target'] ?? '');
  if (headers['content-type'] !== 'application/x-amz-json-1.1' || !target.startsWith(TARGET))
    throw new EcrFault('UnknownOperationException');
  return target.slice(TARGET.length);
}

function checked<T>(schema: z.ZodType<T>, input: unknown): T {
  const read = schema.safeParse(input);
  if (read.success) return read.data;
  throw new EcrFault(
    'InvalidParameterException',
    `Invalid parameter: ${read.error.issues[0]?.message ?? ''}`,
  );
}

function imageIn(
  { images, tags }: Repository,
  { imageDigest, imageTag }: z.output<typeof imageIdSchema>,
): StoredImage | undefined {
  return images.get(imageDigest ?? tags.get(imageTag ?? '') ?? '');
}

function indexOf(manifests: readonly StoredImage[], platforms: readonly string[]): StoredImage {
  const entries = manifests.map(({ digest, mediaType }, at) => {
    const [os, architecture, variant] = (platforms[at] ?? '').split('/');
    return { mediaType, digest, platform: { os, architecture, ...(variant && { variant }) } };
  });
  // As buildx adds it to every index.
  const attestation = {
    mediaType: MANIFEST_TYPE,
    digest: digestOf('attestation'),
    platform: { os: 'unknown', architecture: 'unknown' },
  };
  return stored(
    INDEX_TYPE,
    JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [...entries, attestation] }),
  );
}

function stored(mediaType: string, manifest: string): StoredImage {
  return { digest: digestOf(manifest), mediaType, manifest, pushedAtMs: Date.now(), status: 'ACTIVE' };
}

function digestOf(content: string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
