import { createHash } from 'node:crypto';
import { fromWebToken } from '@aws-sdk/credential-provider-web-identity';
import type { AwsCredentials } from './aws-identities.ts';
import { httpHandler } from './http-handler.ts';
import type { AccountName } from './role-account.ts';
import { type RoleRequest, stsError } from './sts-errors.ts';
import type { SessionScope } from './tenant-session.ts';

/** One request; a new one is made soon. In milliseconds. */
const TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;
const ATTEMPTS = 2;
/** Per host. Every identity asks twice an hour. */
const MAX_SOCKETS = 32;
/** STS's grammar of session names is `[\w+=,.@-]{2,64}`. */
const MAX_SESSION_NAME = 64;

/** A role to be had for a while. */
export interface SessionRequest extends RoleRequest, SessionScope {
  readonly durationSeconds: number;
}

/** STS, as far as acting in a ServiceAccount's name needs it; over connections of its own. */
export class WebIdentity {
  readonly #endpoint: string | undefined;
  readonly #handler = httpHandler({
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    requestTimeoutMs: TIMEOUT_MS,
    maxSockets: MAX_SOCKETS,
  });

  /** `endpoint`: all requests go here (an emulator); undefined: to the region's own. */
  constructor(endpoint?: string) {
    this.#endpoint = endpoint;
  }

  /** Credentials of the account's role. The request is not signed: the token is all that it needs. */
  async assume(request: SessionRequest): Promise<AwsCredentials> {
    const provider = fromWebToken({
      roleArn: request.account.roleArn,
      roleSessionName: sessionName(request),
      webIdentityToken: request.token,
      durationSeconds: request.durationSeconds,
      ...(request.policy !== undefined && { policy: request.policy }),
      clientConfig: {
        region: request.region,
        ...(this.#endpoint !== undefined && { endpoint: this.#endpoint }),
        requestHandler: this.#handler,
        maxAttempts: ATTEMPTS,
        userAgentAppId: 'batchqueue',
      },
    });
    try {
      return await provider();
    } catch (error) {
      throw stsError(request, error);
    }
  }

  destroy(): void {
    this.#handler.destroy();
  }
}

/** What CloudTrail shows: namespace and ServiceAccount, cut with a hash where they are too long. */
export function sessionName({ namespace, name }: AccountName): string {
  const whole = `batchqueue@${namespace}.${name}`;
  if (whole.length <= MAX_SESSION_NAME) return whole;
  const hash = createHash('sha256').update(whole).digest('hex').slice(0, 8);
  return `${whole.slice(0, MAX_SESSION_NAME - hash.length - 1)}-${hash}`;
}
