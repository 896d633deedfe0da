/**
 * Queue URLs. The host decides whether a queue may be contacted at all, so it must mean the same to everybody who reads it:
 * the pattern leaves out what URL parsers rewrite (`https://2130706433/` is `https://127.0.0.1/` to them).
 */

import { PARTITIONS, type Partition } from './aws-partitions.ts';

/** A queue URL taken apart. */
export interface QueueUrl {
  readonly scheme: 'http' | 'https';
  /** Host in lower case with the port if the URL names one: what a request's `Host` header says. */
  readonly host: string;
  /** Host in lower case without the port. */
  readonly hostname: string;
  /** Twelve digits. */
  readonly account: string;
  readonly name: string;
  /** True for `.fifo` queues. */
  readonly fifo: boolean;
  /** Where in AWS this queue is, or undefined when the host is not AWS's, or not reached by https on port 443. */
  readonly aws: AwsLocation | undefined;
}

export interface AwsLocation {
  readonly region: string;
  readonly partition: string;
}

/** us-east-1's first name, from before SQS had regions; the only host that does not name its region. */
const LEGACY_GLOBAL_HOST = 'queue.amazonaws.com';

const LABEL = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
/** Does not start with a digit: URL parsers read a host whose last label is a number as an IPv4 address. */
const LAST_LABEL = '[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const HOST = `((${LABEL}[.])*${LAST_LABEL}|(${OCTET}[.]){3}${OCTET})`;
const PORT = '([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const QUEUE_NAME = '([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}[.]fifo)';

/**
 * What a queue URL looks like, in the dialect that JavaScript and RE2 (CEL in the CRD) share. No user, query, fragment
 * or trailing slash. Names are as SQS allows them: 80 characters, `.fifo` included.
 */
export const QUEUE_URL_PATTERN = `^https?://${HOST}(:${PORT})?/[0-9]{12}/${QUEUE_NAME}$`;

const WELL_FORMED = new RegExp(QUEUE_URL_PATTERN);

/** Takes a queue URL apart, or returns undefined when it is none. Says nothing about whether the host may be contacted. */
export function parseQueueUrl(url: string): QueueUrl | undefined {
  if (!WELL_FORMED.test(url)) return undefined;
  const [protocol, , host = '', account = '', name = ''] = url.split('/');
  const scheme = protocol === 'https:' ? 'https' : 'http';
  const [hostname = '', port] = host.toLowerCase().split(':');
  const secure = scheme === 'https' && (port === undefined || port === '443');
  return {
    scheme,
    host: host.toLowerCase(),
    hostname,
    account,
    name,
    fifo: name.endsWith('.fifo'),
    aws: secure ? awsLocationOf(hostname) : undefined,
  };
}

/**
 * URL of the dead-letter queue of the queue at `url`: it is in the account and region of its source, so the URLs differ in
 * the name only.
 */
export function deadLetterUrl(url: string, deadLetterArn: string): string {
  const name = deadLetterArn.split(':').at(-1) ?? '';
  return url.replace(/[^/]+$/, name);
}

/**
 * The region and partition of an AWS SQS host name (standard, FIPS, dual-stack, legacy and VPC endpoint forms), or
 * undefined for any other host. `hostname` is in lower case and has no port.
 */
function awsLocationOf(hostname: string): AwsLocation | undefined {
  if (hostname === LEGACY_GLOBAL_HOST) return { region: 'us-east-1', partition: 'aws' };
  for (const partition of PARTITIONS) {
    const region = regionOf(hostname, partition);
    if (region !== undefined && partition.region.test(region)) return { region, partition: partition.name };
  }
  return undefined;
}

function regionOf(hostname: string, { suffix, dualStackSuffix }: Partition): string | undefined {
  return (
    between(hostname, /^sqs(?:-fips)?\./, `.${suffix}`) ??
    between(hostname, /^sqs(?:-fips)?\./, `.${dualStackSuffix}`) ??
    between(hostname, /^/, `.queue.${suffix}`) ??
    between(hostname, /^vpce-[0-9a-f]+-[0-9a-z]+(?:-[0-9a-z-]+)?\.sqs(?:-fips)?\./, `.vpce.${suffix}`)
  );
}

/** What stands between a start and an end, when that is one host label. */
function between(hostname: string, start: RegExp, end: string): string | undefined {
  const prefix = start.exec(hostname)?.[0];
  if (prefix === undefined || !hostname.endsWith(end)) return undefined;
  const middle = hostname.slice(prefix.length, hostname.length - end.length);
  return /^[a-z0-9-]+$/.test(middle) ? middle : undefined;
}
