import { SQSClient } from '@aws-sdk/client-sqs';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { queueArnOf } from '../api/arn.ts';
import { parseQueueUrl } from '../api/queue-url.ts';
import { type AwsIdentities, type AwsIdentity, whoseRights } from '../aws/aws-identities.ts';
import { EXPIRED_NAMES } from '../aws/error-class.ts';
import { httpHandler } from '../aws/http-handler.ts';
import { IdleMap } from '../aws/idle-map.ts';
import { type QueueReader, readerKey } from '../plan/queue-reader.ts';
import type { Clock, Fence } from '../ports.ts';
import { endpointFor, type QueueEndpoint, type QueueHostSettings } from './queue-hosts.ts';

/**
 * What a request is for. Each purpose has its own client with its own sockets, retry budget and timeouts, so that
 * hundreds of waiting long polls can never delay a renewal or a delete.
 */
export type Purpose = 'poll' | 'settle' | 'renew';

/**
 * How long a request may take, in milliseconds; a half-open connection dies after this. SQS waits at most 20 s in a long
 * poll; the rest is for the network. A renewal that hangs must be repeated while the lease holds: of the shortest, ten
 * seconds, six are left when it is due.
 */
const TIMEOUT_MS: Readonly<Record<Purpose, number>> = { poll: 30_000, settle: 10_000, renew: 3_000 };
const CONNECT_TIMEOUT_MS: Readonly<Record<Purpose, number>> = { poll: 4_000, settle: 4_000, renew: 2_000 };

/** Polls have a loop with its own backoff around them; retrying inside would hide a dead queue from it. */
const ATTEMPTS: Readonly<Record<Purpose, number>> = { poll: 1, settle: 3, renew: 2 };

/** Sockets per host; more than the SDK's 50, because every polled queue pins one. */
const MAX_SOCKETS: Readonly<Record<Purpose, number>> = { poll: 4_096, settle: 256, renew: 64 };

/** How AWS says that it does not take credentials, whatever they are for. */
const REFUSED: ReadonlySet<string> = new Set([
  ...EXPIRED_NAMES,
  'InvalidClientTokenId',
  'UnrecognizedClientException',
]);

/** Who asks for which queue. */
interface Caller {
  readonly identity: AwsIdentity;
  readonly whose: string;
  /** Told from its URL; undefined for a URL that is none. */
  readonly queueArn: string | undefined;
}

export interface SqsClientsOptions {
  readonly hosts: QueueHostSettings;
  readonly identities: AwsIdentities;
  readonly clock: Clock;
  readonly fence?: Fence | undefined;
}

/**
 * Clients by purpose, identity, region and endpoint; made when first needed and gone a while after their last use. Sockets
 * are by purpose only: what goes out over one is signed by each client for itself.
 *
 * With a fence nothing is received, deleted or given back that it does not permit at the moment of sending, the SDK's own
 * repetitions included: `NotLeader`. A poll waits instead while that may change, and then brings nothing. Renewals need no
 * permission, as they only keep what is in flight where it is.
 */
export class SqsClients {
  readonly #options: SqsClientsOptions;
  readonly #clients: IdleMap<SQSClient>;
  /** By URL, and by reader: reading URLs and grants anew for every request would cost as much as the rest of it. */
  readonly #endpoints: IdleMap<QueueEndpoint>;
  readonly #callers: IdleMap<Caller>;
  readonly #handlers = {
    poll: requestHandler('poll'),
    settle: requestHandler('settle'),
    renew: requestHandler('renew'),
  } as const satisfies Record<Purpose, NodeHttpHandler>;

  constructor(options: SqsClientsOptions) {
    this.#options = options;
    this.#clients = new IdleMap(options.clock);
    this.#endpoints = new IdleMap(options.clock);
    this.#callers = new IdleMap(options.clock);
  }

  /** The client for a reader's queue. Throws `HostNotAllowed` or `InvalidQueueUrl` without contacting anything. */
  clientFor(reader: QueueReader, purpose: Purpose): SQSClient {
    const queue = this.#endpoints.use(reader.url, () => endpointFor(reader.url, this.#options.hosts));
    const { identity } = this.#callerOf(reader);
    const key = [purpose, queue.region, queue.endpoint ?? '', keyOf(identity)].join(' ');
    return this.#clients.use(key, () => this.#make(queue, identity, purpose));
  }

  /** Whose permissions a reader's requests need, in words, and for which queue. */
  asked(reader: QueueReader): Pick<Caller, 'whose' | 'queueArn'> {
    const { whose, queueArn } = this.#callerOf(reader);
    return { whose, queueArn };
  }

  #callerOf(reader: QueueReader): Caller {
    return this.#callers.use(readerKey(reader), () => {
      const { identities, hosts } = this.#options;
      const identity = identities.identityOf(reader);
      const queue = parseQueueUrl(reader.url);
      const queueArn = queue && queueArnOf(queue, hosts.defaultRegion);
      return { identity, whose: whoseRights(identity), queueArn };
    });
  }

  /** Closes every connection; only after the loops have ended. */
  destroy(): void {
    this.#clients.clear();
    this.#endpoints.clear();
    this.#callers.clear();
    for (const handler of Object.values(this.#handlers)) handler.destroy();
  }

  #make({ region, endpoint }: QueueEndpoint, identity: AwsIdentity, purpose: Purpose): SQSClient {
    const credentials = this.#options.identities.credentialsFor(identity, region);
    const client = new SQSClient({
      region,
      ...(endpoint !== undefined && { endpoint }),
      credentials,
      // Otherwise the SDK sends the signed request to whatever host the URL names.
      useQueueUrlAsEndpoint: false,
      userAgentAppId: 'batchqueue',
      maxAttempts: ATTEMPTS[purpose],
      requestHandler: this.#handlers[purpose],
    });
    this.#guard(client, purpose);
    client.middlewareStack.add(
      (next) => (args) =>
        next(args).catch((error: unknown) => {
          if (error instanceof Error && REFUSED.has(error.name)) credentials.refused?.();
          throw error;
        }),
      { name: 'tellOfRefusal', step: 'initialize' },
    );
    return client;
  }

  #guard({ middlewareStack }: SQSClient, purpose: Purpose): void {
    const { fence } = this.#options;
    if (!fence || purpose === 'renew') return;
    middlewareStack.add(
      (next) => async (args) => {
        const change = purpose === 'poll' ? fence.whenChanged() : undefined;
        if (!change) return await next(args);
        // A poll like any other that brings nothing; what is wanted afterwards is counted anew.
        await change;
        return { output: { $metadata: {} }, response: undefined };
      },
      { name: 'untilPermitted', step: 'initialize' },
    );
    middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (commandName !== 'GetQueueAttributesCommand') fence.permit('lead');
          return await next(args);
        },
      // Behind signing and the waits between repetitions: the last thing before the socket.
      { name: 'permit', step: 'deserialize', priority: 'low' },
    );
  }
}

function keyOf(identity: AwsIdentity): string {
  if (identity.kind === 'operator') return '';
  return `${identity.namespace}/${identity.name} ${identity.queueArn ?? ''}`;
}

function requestHandler(purpose: Purpose): NodeHttpHandler {
  return httpHandler({
    connectTimeoutMs: CONNECT_TIMEOUT_MS[purpose],
    requestTimeoutMs: TIMEOUT_MS[purpose],
    maxSockets: MAX_SOCKETS[purpose],
  });
}
