import type { AwsIdentities } from '../../operator/aws/aws-identities.ts';
import { ownCredentials } from '../../operator/aws/own-credentials.ts';
import { systemClock } from '../../operator/process/system-clock.ts';
import { SqsClients, type SqsClientsOptions } from '../../operator/sqs/sqs-clients.ts';
import { EMULATOR_REGION } from './sqs-emulator.ts';

/** A reader for tests in which it does not matter who it is. */
export const ANY_READER = { namespace: 'default', serviceAccountName: 'default' };

/** Flags of an operator that reads every queue with its own credentials. */
export const OWN_IDENTITY = ['--operator-identity-namespaces=*', '--operator-identity-queues=arn:*'];

/** Everybody calls AWS with the credentials of the environment. */
const ONE_IDENTITY: AwsIdentities = {
  identityOf: () => ({ kind: 'operator' }),
  credentialsFor: () => Object.assign(ownCredentials(EMULATOR_REGION), { memoized: true } as const),
};

/** Clients of which each calls with the credentials of the environment. */
export function clientsOfOne(
  endpoint: string | undefined,
  options: Partial<SqsClientsOptions> = {},
): SqsClients {
  return new SqsClients({
    hosts: { endpoint, allowedHosts: [], defaultRegion: EMULATOR_REGION },
    identities: ONE_IDENTITY,
    clock: systemClock,
    ...options,
  });
}
