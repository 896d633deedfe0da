import { placeOf, queueArnOf } from '../api/arn.ts';
import { parseQueueUrl } from '../api/queue-url.ts';
import type { QueueReader } from '../plan/queue-reader.ts';
import type { QueueReaders, ReaderState } from '../world.ts';
import type { AwsCredentials, AwsIdentities, AwsIdentity, CredentialProvider } from './aws-identities.ts';
import { IdleMap } from './idle-map.ts';
import { isGranted, type OperatorGrants } from './operator-grants.ts';
import { sessionPolicy } from './session-policy.ts';
import { type TenantOptions, TenantSession } from './tenant-session.ts';

export interface IdentitiesOptions extends TenantOptions {
  readonly grants: OperatorGrants;
  /** Sessions of roles are narrowed to the queue that they are for: one for each queue instead of one for each account. */
  readonly narrow: boolean;
  /** The operator's own credentials; called only for readers that the grants name. */
  readonly own: () => Promise<AwsCredentials>;
}

/**
 * Whose rights every call to AWS has. A reader has those of the operator where the installer says so, whatever its
 * ServiceAccount looks like; otherwise its ServiceAccount's role, and nothing else.
 */
export class Identities implements AwsIdentities, QueueReaders {
  readonly #options: IdentitiesOptions;
  readonly #sessions: IdleMap<TenantSession>;
  readonly #own: CredentialProvider;

  constructor(options: IdentitiesOptions) {
    this.#options = options;
    this.#sessions = new IdleMap(options.clock);
    this.#own = asProvider(options.own);
  }

  identityOf(reader: QueueReader): AwsIdentity {
    const { grants, narrow } = this.#options;
    if (isGranted(reader, grants)) return { kind: 'operator' };
    const queue = narrow ? parseQueueUrl(reader.url) : undefined;
    return {
      kind: 'serviceAccount',
      namespace: reader.namespace,
      name: reader.serviceAccountName,
      ...(queue && { queueArn: queueArnOf(queue, grants.defaultRegion) }),
    };
  }

  credentialsFor(identity: AwsIdentity, region: string): CredentialProvider {
    if (identity.kind === 'operator') return this.#own;
    // Looked up for every request: a client may outlive the session that it began with.
    return Object.assign(
      asProvider(() => this.#session(identity, region).credentials()),
      { refused: () => this.#session(identity, region).refused() },
    );
  }

  async check(reader: QueueReader): Promise<ReaderState> {
    const identity = this.identityOf(reader);
    if (identity.kind === 'operator') return { kind: 'operator' };
    const { defaultRegion } = this.#options.grants;
    const queue = parseQueueUrl(reader.url);
    const region = queue ? placeOf(queue, defaultRegion).region : defaultRegion;
    return { kind: 'role', ...(await this.#session(identity, region).check()) };
  }

  /** Forgets everything: no timer is left. */
  close(): void {
    this.#sessions.clear();
  }

  #session({ namespace, name, queueArn }: TenantIdentity, region: string): TenantSession {
    const policy = queueArn === undefined ? undefined : sessionPolicy(queueArn);
    const make = () => new TenantSession({ namespace, name }, { region, policy }, this.#options);
    return this.#sessions.use(`${region} ${namespace}/${name} ${queueArn ?? ''}`, make);
  }
}

type TenantIdentity = Extract<AwsIdentity, { kind: 'serviceAccount' }>;

function asProvider(get: () => Promise<AwsCredentials>): CredentialProvider {
  return Object.assign(async () => await get(), { memoized: true } as const);
}
