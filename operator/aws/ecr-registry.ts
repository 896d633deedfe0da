import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import type { EcrHost } from '../api/ecr-host.ts';
import { hasCode, OperatorError } from '../errors.ts';
import type { QueueReader } from '../plan/queue-reader.ts';
import type { ResolvedImage } from '../plan/resolved-images.ts';
import type { EcrImage, ImageRegistry, PullToken } from '../world.ts';
import { type AwsIdentities, whoseRights } from './aws-identities.ts';
import { type EcrCall, ecrFailure } from './ecr-errors.ts';
import { type Caller, detailOf, isCached, resolveAs, said } from './ecr-image.ts';
import { httpHandler } from './http-handler.ts';

const REQUEST_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 2_000;
const ATTEMPTS = 3;
const MAX_SOCKETS = 32;

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
