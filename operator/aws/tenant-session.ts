import { partitionOf } from '../api/aws-partitions.ts';
import { OperatorError } from '../errors.ts';
import type { Clock, KubeObject, Log, Random, Resource } from '../ports.ts';
import { SERVICE_ACCOUNTS } from '../world.ts';
import type { AwsCredentials } from './aws-identities.ts';
import { type AccountName, apiError, hasNoRole, type RoleAccount, roleAccountFrom } from './role-account.ts';
import type { SessionRequest } from './web-identity.ts';

/** How long credentials are good for: what STS gives for every role that says nothing else. */
const SESSION_SECONDS = 3_600;
/** They are renewed at half their life, and by this share of it earlier, so that not all tenants ask at once. */
const REFRESH_AT = 0.5;
const REFRESH_SPREAD = 0.05;
/** The shortest that Kubernetes makes; STS looks at it once. */
const TOKEN_SECONDS = 600;
/** Credentials that AWS refuses are not renewed more often than this, in milliseconds. */
const MIN_AGE_MS = 30_000;
/** A ServiceAccount is read again after this long, in milliseconds: it may have been deleted, or have another role. */
const ACCOUNT_PERIOD_MS = 30_000;
/** How soon what failed is tried again, in milliseconds, doubling: sooner while there is nothing to work with. */
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 10_000;
const MAX_RETRY_WITH_CREDENTIALS_MS = 60_000;
/** A failure that may pass is told when the credentials are good for less than this, in milliseconds. */
const TELL_BEFORE_MS = 900_000;

/** The API server, as far as acting in a ServiceAccount's name needs it. */
export interface AccountApi {
  get(resource: Resource, namespace: string, name: string): Promise<KubeObject | undefined>;
  requestToken(
    namespace: string,
    name: string,
    spec: { readonly audience: string; readonly expirationSeconds: number },
  ): Promise<string>;
}

export interface TenantOptions {
  readonly api: AccountApi;
  readonly sts: { assume(request: SessionRequest): Promise<AwsCredentials> };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** How a ServiceAccount's role can be used; the rest of a `ReaderState`. */
interface TenantState {
  /** Undefined without credentials. */
  readonly roleArn: string | undefined;
  /** Why the last look at it failed, while it does; with credentials they are used for as long as they last. */
  readonly problem: OperatorError | undefined;
}

interface Held {
  readonly account: RoleAccount;
  readonly credentials: AwsCredentials;
  readonly obtainedAtMs: number;
  readonly refreshAtMs: number;
  readonly expiresAtMs: number;
}

interface Failure {
  readonly error: OperatorError;
  readonly count: number;
  readonly retryAtMs: number;
}

/** What is asked of STS apart from the role. */
export interface SessionScope {
  /** Where STS is asked. */
  readonly region: string;
  /** The session may do only what this and the role allow; undefined: what the role allows. */
  readonly policy: string | undefined;
}

/**
 * One ServiceAccount in one scope: its role's credentials, had when first asked for and kept fresh by being asked for.
 * There is no timer, so that one who is no longer asked costs nothing. Those who ask at once share one request.
 *
 *   in its first half    used
 *   in its second half   used, and renewed beside it: neither the API server nor STS is missed for half an hour
 *   expired              whoever asks waits for new ones, or gets the error that the last try met
 *   account gone, made anew, without role or with another one: nothing is used any more, from the next look on
 */
export class TenantSession {
  readonly #account: AccountName;
  readonly #scope: SessionScope;
  readonly #options: TenantOptions;
  #held: Held | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #failure: Failure | undefined;
  #looking: Promise<Held> | undefined;

  constructor(account: AccountName, scope: SessionScope, options: TenantOptions) {
    this.#account = account;
    this.#scope = scope;
    this.#options = options;
  }

  /** Credentials that are good now. Rejects with what stands in the way. */
  async credentials(): Promise<AwsCredentials> {
    const held = this.#good();
    if (!held) return (await this.#look()).credentials;
    if (this.#isDue(ACCOUNT_PERIOD_MS)) void this.#look().catch(() => undefined);
    return held.credentials;
  }

  /** AWS does not take what it gave any more: its role may have been made anew. Not told of what is quite new. */
  refused(): void {
    const nowMs = this.#options.clock.now();
    const held = this.#held;
    if (!held || nowMs < held.obtainedAtMs + MIN_AGE_MS) return;
    this.#held = { ...held, refreshAtMs: Math.min(held.refreshAtMs, nowMs) };
  }

  /** Looks anew, unless somebody just did. Never rejects. */
  async check(): Promise<TenantState> {
    if (!this.#good() || this.#isDue(ACCOUNT_PERIOD_MS / 2)) await this.#look().catch(() => undefined);
    const error = this.#failure?.error;
    const mayPass = error?.verdict === 'retry' && this.#leftMs() >= TELL_BEFORE_MS;
    return { roleArn: this.#good()?.account.roleArn, problem: mayPass ? undefined : error };
  }

  #good(): Held | undefined {
    return this.#held && this.#held.expiresAtMs > this.#options.clock.now() ? this.#held : undefined;
  }

  /** How long there will be credentials; 0: there are none. */
  #leftMs(): number {
    const nowMs = this.#options.clock.now();
    return (this.#good()?.expiresAtMs ?? nowMs) - nowMs;
  }

  #isDue(periodMs: number): boolean {
    const nowMs = this.#options.clock.now();
    if (this.#failure) return nowMs >= this.#failure.retryAtMs;
    return nowMs >= this.#lookedAtMs + periodMs || nowMs >= (this.#held?.refreshAtMs ?? 0);
  }

  /** Coalesced; what just failed is not tried again at once. */
  async #look(): Promise<Held> {
    if (this.#looking) return await this.#looking;
    if (this.#failure && this.#options.clock.now() < this.#failure.retryAtMs) throw this.#failure.error;
    this.#looking = this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    return await this.#looking;
  }

  async #lookNow(): Promise<Held> {
    const { clock, log } = this.#options;
    try {
      const account = await this.#readAccount();
      if (this.#held && !isSame(this.#held.account, account)) this.#held = undefined;
      if (!this.#held || clock.now() >= this.#held.refreshAtMs) this.#held = await this.#assume(account);
      this.#lookedAtMs = clock.now();
      this.#failure = undefined;
      return this.#held;
    } catch (cause) {
      const error = asOperatorError(cause);
      if (hasNoRole(error)) this.#held = undefined;
      const isNews = this.#failure?.error.code !== error.code;
      this.#failure = this.#failureOf(error);
      const fields = { ...this.#account, reason: error.code, error: error.message };
      log[isNews ? 'warn' : 'debug'](fields, 'no new credentials');
      throw error;
    }
  }

  async #readAccount(): Promise<RoleAccount> {
    const { namespace, name } = this.#account;
    const { api } = this.#options;
    const object = await this.#ask(() => api.get(SERVICE_ACCOUNTS, namespace, name));
    return roleAccountFrom(object, this.#account, partitionOf(this.#scope.region));
  }

  async #assume(account: RoleAccount): Promise<Held> {
    const { api, sts, clock, random } = this.#options;
    const { namespace, name } = this.#account;
    const spec = { audience: account.audience, expirationSeconds: TOKEN_SECONDS };
    const token = await this.#ask(() => api.requestToken(namespace, name, spec));
    // Counted from the request by this machine's clock, whatever AWS's may say.
    const startedAtMs = clock.now();
    const lifeMs = SESSION_SECONDS * 1_000;
    const credentials = await sts.assume({
      ...this.#account,
      account,
      token,
      ...this.#scope,
      durationSeconds: SESSION_SECONDS,
    });
    return {
      account,
      credentials,
      obtainedAtMs: startedAtMs,
      refreshAtMs: startedAtMs + lifeMs * (REFRESH_AT - REFRESH_SPREAD * random()),
      expiresAtMs: startedAtMs + lifeMs,
    };
  }

  async #ask<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw apiError(this.#account, error);
    }
  }

  #failureOf(error: OperatorError): Failure {
    const count = (this.#failure?.count ?? 0) + 1;
    // With nothing to work with it is urgent, and so it is when that comes to be.
    const ceiling = Math.min(MAX_RETRY_WITH_CREDENTIALS_MS, Math.max(MAX_RETRY_MS, this.#leftMs()));
    const delayMs = Math.min(ceiling, MIN_RETRY_MS * 2 ** Math.min(count, 10));
    const spread = 0.75 + this.#options.random() / 4;
    return { error, count, retryAtMs: this.#options.clock.now() + delayMs * spread };
  }
}

function asOperatorError(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  // Its words may be anybody's, and may hold a token.
  return new OperatorError({ code: 'TokenFailed', verdict: 'retry', message: 'no credentials could be had' });
}

function isSame(a: RoleAccount, b: RoleAccount): boolean {
  return a.uid === b.uid && a.roleArn === b.roleArn && a.audience === b.audience;
}
