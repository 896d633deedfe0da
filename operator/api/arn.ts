import { partitionOf } from './aws-partitions.ts';
import type { AwsLocation, QueueUrl } from './queue-url.ts';

/** AWS resource names, as far as identities need them. */

/** A role, from `arn:aws:iam::123456789012:role/path/name`. */
export interface RoleArn {
  readonly partition: string;
  /** Twelve digits. */
  readonly account: string;
  /** Without its path. */
  readonly name: string;
}

const ROLE_ARN = /^arn:(aws(?:-[a-z]+)*):iam::(\d{12}):role\/(?:[!-~]{1,510}\/)?([\w+=,.@-]{1,64})$/;

/** Takes a role's ARN apart, or returns undefined when it is none. */
export function parseRoleArn(text: string): RoleArn | undefined {
  const [, partition, account, name] = ROLE_ARN.exec(text) ?? [];
  if (partition === undefined || account === undefined || name === undefined) return undefined;
  return { partition, account, name };
}

/** Where the queue at a URL is. `defaultRegion`: for hosts that do not tell theirs. */
export function placeOf({ aws }: QueueUrl, defaultRegion: string): AwsLocation {
  return aws ?? { region: defaultRegion, partition: partitionOf(defaultRegion) };
}

/** The ARN of the queue at a URL, the same for every way to spell its host; `defaultRegion` as above. */
export function queueArnOf(queue: QueueUrl, defaultRegion: string): string {
  const { region, partition } = placeOf(queue, defaultRegion);
  return `arn:${partition}:sqs:${region}:${queue.account}:${queue.name}`;
}

/** What an ARN pattern looks like: `*` stands for any characters, `?` for one, as in IAM policies. */
export const ARN_PATTERN = /^arn:[A-Za-z0-9:_.*?-]{1,512}$/;

/** True when the whole ARN is as the pattern says. */
export function matchesArn(pattern: string, arn: string): boolean {
  const source = pattern
    .replace(/[.\\+^${}()|[\]]/g, '\\$&')
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(arn);
}
