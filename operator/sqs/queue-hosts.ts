import { placeOf } from '../api/arn.ts';
import { suffixOf } from '../api/aws-partitions.ts';
import { parseQueueUrl } from '../api/queue-url.ts';
import { OperatorError } from '../errors.ts';

/** What the installer says about where queues may live. */
export interface QueueHostSettings {
  /** All SQS requests go here instead of to the queue's own host (an emulator); its host is allowed. */
  readonly endpoint: string | undefined;
  /** Hosts outside AWS's grammar that may be contacted, as `host` or `host:port`. */
  readonly allowedHosts: readonly string[];
  /** For hosts that do not tell their region. */
  readonly defaultRegion: string;
}

/** Where requests for a queue go. */
export interface QueueEndpoint {
  readonly region: string;
  /** Undefined: the SDK's own endpoint of the region. */
  readonly endpoint: string | undefined;
}

/**
 * Decides where requests for a queue URL go. The URL is written by whoever may create a BatchQueue, and requests carry
 * credentials: so the host is checked here and the SDK is never left to follow it.
 *
 * Throws `HostNotAllowed` (terminal) for a host that is neither AWS's nor allowed by the installer.
 */
export function endpointFor(url: string, settings: QueueHostSettings): QueueEndpoint {
  const parsed = parseQueueUrl(url);
  if (!parsed) {
    throw new OperatorError({
      code: 'InvalidQueueUrl',
      verdict: 'terminal',
      message: `not a queue URL: ${url}`,
    });
  }
  const { region } = placeOf(parsed, settings.defaultRegion);
  if (!parsed.aws && !isAllowed(parsed.host, settings)) throw hostNotAllowed(parsed.host);
  if (settings.endpoint !== undefined) return { region, endpoint: settings.endpoint };
  if (!parsed.aws) return { region, endpoint: `${parsed.scheme}://${parsed.host}` };
  const isStandard = parsed.hostname === `sqs.${region}.${suffixOf(parsed.aws.partition)}`;
  return { region, endpoint: isStandard ? undefined : `https://${parsed.host}` };
}

function isAllowed(host: string, { allowedHosts, endpoint }: QueueHostSettings): boolean {
  const hostname = host.replace(/:\d+$/, '');
  const own = endpoint === undefined ? [] : [new URL(endpoint).host];
  return [...allowedHosts, ...own].some((allowed) => [host, hostname].includes(allowed.toLowerCase()));
}

function hostNotAllowed(host: string): OperatorError {
  return new OperatorError({
    code: 'HostNotAllowed',
    verdict: 'terminal',
    message:
      `The host ${host} in spec.queue.url is not an SQS host of AWS and the installer has not allowed it. ` +
      'Correct the URL, or start the operator with --allowed-queue-hosts.',
  });
}
