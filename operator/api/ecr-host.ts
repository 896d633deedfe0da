import { PARTITIONS } from './aws-partitions.ts';

/** Where a private registry of ECR is, read from its host. */
export interface EcrHost {
  /** In lower case, as a reference and a pull secret name it. */
  readonly host: string;
  /** Twelve digits: the owner of the registry, who need not be the account that asks. */
  readonly account: string;
  readonly region: string;
  readonly partition: string;
  readonly fips: boolean;
  /** Also reached by IPv6. */
  readonly dualStack: boolean;
}

/** As the kubelet's credential provider on EKS nodes knows them: a host that it does not take for ECR is none here. */
const ECR_HOST =
  /^(?<account>\d{12})\.dkr[.-]ecr(?<fips>-fips)?\.(?<region>[a-z0-9][a-z0-9_-]*)\.(?<suffix>amazonaws\.(?:com(?:\.cn)?|eu)|on\.(?:aws|amazonwebservices\.com\.cn)|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$/;

/** ECR Public: images that everybody may pull, without a token. */
const PUBLIC_HOSTS: ReadonlySet<string> = new Set(['public.ecr.aws', 'ecr-public.aws.com']);

/** Takes the host of a private ECR registry apart, or returns undefined for any other host (also one of a region that its domain does not have). */
export function parseEcrHost(name: string): EcrHost | undefined {
  const host = name.toLowerCase();
  const { account, fips, region, suffix } = ECR_HOST.exec(host)?.groups ?? {};
  if (account === undefined || region === undefined || suffix === undefined) return undefined;
  const partition = PARTITIONS.find((candidate) => candidate.region.test(region));
  const dualStack = suffix.startsWith('on.');
  if (!partition || suffix !== (dualStack ? pullSuffix(partition) : partition.suffix)) return undefined;
  return { host, account, region, partition: partition.name, fips: fips !== undefined, dualStack };
}

export function isEcrPublicHost(name: string): boolean {
  return PUBLIC_HOSTS.has(name.toLowerCase());
}

/** The domain under which both kinds of IP reach registries; not the one of the API. */
function pullSuffix({ name }: { readonly name: string }): string {
  return name === 'aws-cn' ? 'on.amazonwebservices.com.cn' : 'on.aws';
}
