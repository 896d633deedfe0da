/**
 * What a bound cannot say: formats, cross-field rules and the fields of the template that the operator owns. Each rule is
 * stated once, with its CEL text for the CRD and its check for code side by side; builders make both from one datum where
 * they can.
 */

import { TEMPLATE_RULES } from './job-template-rules.ts';
import { fieldOf, isJsonObject } from './json.ts';
import { MESSAGES_DIRECTORY } from './names.ts';
import { QUEUE_URL_PATTERN } from './queue-url.ts';
import { mustMatch, mustNotMatch, type Rule } from './rule.ts';

/** The Job's name is the queue's name, a hyphen and 16 characters of a hash, and `-r2` and so on: 63 in all. */
const MAX_NAME_LENGTH = 52;

/** As many as one receive of a FIFO queue can bring, which is what Lambda allows too. */
const MAX_FIFO_BATCH = 10;

const DNS_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const DNS_SUBDOMAIN = `^${DNS_LABEL}([.]${DNS_LABEL})*$`;
const DOT_SEGMENT = '(^|/)[.][.]?(/|$)';

function mustBeObjectName(at: string): Rule {
  const field = at.replace('spec.', '');
  return mustMatch(
    at,
    DNS_SUBDOMAIN,
    `\`${field}\` must be a DNS subdomain: lower-case letters, digits, \`-\` and \`.\``,
  );
}

const QUEUE_RULES: readonly Rule[] = [
  mustMatch(
    'spec.queue.url',
    QUEUE_URL_PATTERN,
    '`queue.url` must be http(s)://host[:port]/<12-digit account>/<queue name>, for example https://sqs.us-east-1.amazonaws.com/123456789012/orders',
  ),
  {
    at: 'spec.queue',
    field: 'batchSize',
    cel: `!self.url.endsWith('.fifo') || self.batchSize <= ${MAX_FIFO_BATCH}`,
    message: `\`queue.batchSize\` must be at most ${MAX_FIFO_BATCH} on a FIFO queue (\`.fifo\`)`,
    holds: (queue) => {
      const size = fieldOf(queue, 'batchSize');
      return !isFifoUrl(fieldOf(queue, 'url')) || typeof size !== 'number' || size <= MAX_FIFO_BATCH;
    },
  },
  {
    at: 'spec',
    field: 'jobTemplate.spec.completionMode',
    cel:
      "!self.queue.url.endsWith('.fifo') || !has(self.jobTemplate.spec.completionMode) || " +
      "self.jobTemplate.spec.completionMode != 'Indexed'",
    message:
      '`jobTemplate.spec.completionMode` must not be Indexed on a FIFO queue (`.fifo`): its messages run in order',
    holds: (spec) => {
      const mode = ['jobTemplate', 'spec', 'completionMode'].reduce(fieldOf, spec);
      return !isFifoUrl(fieldOf(fieldOf(spec, 'queue'), 'url')) || mode !== 'Indexed';
    },
  },
];

const STORAGE_RULES: readonly Rule[] = [
  mustBeObjectName('spec.storage.claimName'),
  mustMatch(
    'spec.storage.mountPath',
    '^(/[^/:]+)+/?$',
    '`storage.mountPath` must be an absolute path such as /efs, without `:` and `//`, and not / itself',
  ),
  mustNotMatch(
    'spec.storage.mountPath',
    DOT_SEGMENT,
    '`storage.mountPath` must not contain `.` or `..` segments',
  ),
  mustNotMatch(
    'spec.storage.mountPath',
    `^(/dev|/proc|/sys|${MESSAGES_DIRECTORY})(/|$)|^/var(/run)?/?$`,
    `\`storage.mountPath\` must not be in or above ${MESSAGES_DIRECTORY}, where the messages file is, nor in /dev, /proc or /sys`,
  ),
  mustMatch(
    'spec.storage.subPath',
    '^[^/]+(/[^/]+)*/?$',
    '`storage.subPath` must be a relative path such as orders/in, without `//`',
  ),
  mustNotMatch(
    'spec.storage.subPath',
    DOT_SEGMENT,
    '`storage.subPath` must not contain `.` or `..` segments',
  ),
];

const SPEC_RULES: readonly Rule[] = [
  {
    at: '',
    field: 'metadata.name',
    cel: `size(self.metadata.name) <= ${MAX_NAME_LENGTH}`,
    message: `\`metadata.name\` must be at most ${MAX_NAME_LENGTH} characters, so that the names of its Jobs fit`,
    holds: (root) => String(nameOf(root)).length <= MAX_NAME_LENGTH,
  },
  {
    at: '',
    field: 'metadata.name',
    cel: `self.metadata.name.matches('^${DNS_LABEL}$')`,
    message:
      '`metadata.name` must be a DNS label: lower-case letters, digits and `-`, no dots, because it is the value of a label',
    holds: (root) => new RegExp(`^${DNS_LABEL}$`).test(String(nameOf(root))),
  },
  mustBeObjectName('spec.serviceAccountName'),
  mustBeObjectName('spec.queue.serviceAccountName'),
  mustBeObjectName('spec.imagePullSecret.name'),
  {
    at: 'spec.retry',
    field: 'minBackoffSeconds',
    cel: 'self.minBackoffSeconds <= self.maxBackoffSeconds',
    message: '`retry.minBackoffSeconds` must not be greater than `retry.maxBackoffSeconds`',
    holds: (retry) => {
      const [min, max] = [fieldOf(retry, 'minBackoffSeconds'), fieldOf(retry, 'maxBackoffSeconds')];
      return typeof min !== 'number' || typeof max !== 'number' || min <= max;
    },
  },
];

function nameOf(root: unknown): unknown {
  return isJsonObject(root) ? fieldOf(root['metadata'], 'name') : undefined;
}

function isFifoUrl(url: unknown): boolean {
  return typeof url === 'string' && url.endsWith('.fifo');
}

/** Every rule, in the order in which problems are reported. */
export const RULES: readonly Rule[] = [...SPEC_RULES, ...QUEUE_RULES, ...STORAGE_RULES, ...TEMPLATE_RULES];
