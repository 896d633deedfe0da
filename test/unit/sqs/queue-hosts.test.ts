import { describe, expect, test } from '@jest/globals';
import { OperatorError } from '../../../operator/errors.ts';
import { endpointFor, type QueueHostSettings } from '../../../operator/sqs/queue-hosts.ts';

const PATH = '/123456789012/orders';
const NOTHING_ALLOWED: QueueHostSettings = {
  endpoint: undefined,
  allowedHosts: [],
  defaultRegion: 'eu-north-1',
};

function allowing(...allowedHosts: string[]): QueueHostSettings {
  return { ...NOTHING_ALLOWED, allowedHosts };
}

function refusal(url: string, settings: QueueHostSettings): OperatorError | undefined {
  try {
    endpointFor(url, settings);
    return undefined;
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
}

describe('a host of AWS', () => {
  test.each([
    ['https://sqs.us-east-1.amazonaws.com', 'us-east-1', undefined],
    ['https://sqs.us-east-1.amazonaws.com:443', 'us-east-1', undefined],
    ['https://SQS.us-east-1.amazonaws.com', 'us-east-1', undefined],
    ['https://sqs.cn-north-1.amazonaws.com.cn', 'cn-north-1', undefined],
    [
      'https://sqs-fips.us-gov-west-1.amazonaws.com',
      'us-gov-west-1',
      'https://sqs-fips.us-gov-west-1.amazonaws.com',
    ],
    ['https://sqs.us-west-2.api.aws', 'us-west-2', 'https://sqs.us-west-2.api.aws'],
    ['https://eu-west-1.queue.amazonaws.com', 'eu-west-1', 'https://eu-west-1.queue.amazonaws.com'],
    ['https://queue.amazonaws.com', 'us-east-1', 'https://queue.amazonaws.com'],
    [
      'https://vpce-0a1b2c-d3e4f5.sqs.eu-central-1.vpce.amazonaws.com',
      'eu-central-1',
      'https://vpce-0a1b2c-d3e4f5.sqs.eu-central-1.vpce.amazonaws.com',
    ],
  ])('%s is contacted in %s', (origin, region, endpoint) => {
    expect(endpointFor(`${origin}${PATH}`, NOTHING_ALLOWED)).toEqual({ region, endpoint });
  });
});

describe('another host', () => {
  test.each([
    ['http://localhost:9324', ['localhost:9324']],
    ['http://localhost:9324', ['localhost']],
    ['http://LOCALHOST:9324', ['localhost']],
    ['http://localhost:9324', ['LocalHost:9324']],
    ['https://sqs.example.test', ['other.test', 'sqs.example.test']],
    ['http://127.0.0.1:4566', ['127.0.0.1:4566']],
    ['http://sqs.us-east-1.amazonaws.com', ['sqs.us-east-1.amazonaws.com']],
  ])('%s is contacted as it is when %j is allowed', (origin, hosts) => {
    expect(endpointFor(`${origin}${PATH}`, allowing(...hosts))).toEqual({
      region: 'eu-north-1',
      endpoint: origin.toLowerCase(),
    });
  });

  test.each([
    ['nothing is allowed', 'https://sqs.example.test', []],
    ['another host is', 'https://sqs.example.test', ['example.test']],
    ['another port is', 'http://localhost:9325', ['localhost:9324']],
    ['a port is, and the URL has none', 'http://localhost', ['localhost:9324']],
    ['it begins like an allowed one', 'https://localhost.evil.test', ['localhost']],
    ['it ends like an allowed one', 'https://evil-localhost', ['localhost']],
    ['it begins like one of AWS', 'https://sqs.us-east-1.amazonaws.com.evil.test', []],
    ['it is one of AWS without encryption', 'http://sqs.us-east-1.amazonaws.com', []],
    ['it is one of AWS on another port', 'https://sqs.us-east-1.amazonaws.com:8443', []],
    ['it is the metadata service', 'http://169.254.169.254', ['localhost']],
    ['it is another service of AWS', 'https://s3.us-east-1.amazonaws.com', []],
  ])('is refused when %s', (_, origin, hosts) => {
    const error = refusal(`${origin}${PATH}`, allowing(...hosts));
    expect(error).toMatchObject({ code: 'HostNotAllowed', verdict: 'terminal' });
    expect(error?.message).toContain('--allowed-queue-hosts');
    expect(error?.message).toContain(new URL(origin).host);
  });
});

describe('with an endpoint for all requests', () => {
  const settings = { ...NOTHING_ALLOWED, endpoint: 'http://127.0.0.1:9324' };

  test.each([
    ['https://sqs.us-west-2.amazonaws.com', 'us-west-2'],
    ['http://127.0.0.1:9324', 'eu-north-1'],
  ])('%s goes there, signed for %s', (origin, region) => {
    expect(endpointFor(`${origin}${PATH}`, settings)).toEqual({ region, endpoint: 'http://127.0.0.1:9324' });
  });

  test('only its own host is allowed by it', () => {
    expect(refusal(`http://127.0.0.1:9325${PATH}`, settings)?.code).toBe('HostNotAllowed');
  });
});

test.each([
  '',
  'orders',
  'https://sqs.us-east-1.amazonaws.com/orders',
  'https://user@localhost/123456789012/orders',
])('what is no queue URL is refused: %j', (url) => {
  expect(refusal(url, allowing('localhost'))).toMatchObject({ code: 'InvalidQueueUrl', verdict: 'terminal' });
});
