import type { QueueReader } from '../plan/queue-reader.ts';

/** Whose rights a call to AWS has. */
export type AwsIdentity =
  /** The operator's own: for namespaces and queues that the installer has named, and for no others. */
  | { readonly kind: 'operator' }
  /** The role that a ServiceAccount is annotated with. */
  | {
      readonly kind: 'serviceAccount';
      readonly namespace: string;
      readonly name: string;
      /** The one queue that its sessions are narrowed to; undefined: they may do whatever the role may. */
      readonly queueArn?: string;
    };

/** What requests are signed with; the AWS SDK's `AwsCredentialIdentity`. Never logged. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/**
 * The `credentials` of an SDK client. Credentials that are still good come at once, whatever has become of the API server
 * and STS. Rejects with an `OperatorError` that says what to do when there are none.
 */
export interface CredentialProvider {
  (): Promise<AwsCredentials>;
  /** Tells the SDK to ask for every request: what it kept itself would outlive a role that was taken away. */
  readonly memoized: true;
  /** AWS does not take these credentials any more, although they have not expired: others are had as soon as they can be. */
  readonly refused?: () => void;
}

/** Who calls AWS on behalf of whom. */
export interface AwsIdentities {
  /** Whose rights a reader of a queue has. The same answer for the same reader as long as the process lives. */
  identityOf(reader: QueueReader): AwsIdentity;
  /** Makes no call by itself. `region`: where STS is asked. */
  credentialsFor(identity: AwsIdentity, region: string): CredentialProvider;
}

/** Whose permissions a request needs, in words. */
export function whoseRights(identity: AwsIdentity): string {
  if (identity.kind === 'operator') return "the operator's identity";
  return `the role of ServiceAccount ${identity.namespace}/${identity.name}`;
}
