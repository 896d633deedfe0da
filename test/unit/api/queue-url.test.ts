import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseQueueUrl } from '../../../operator/api/queue-url.ts';

const PATH = '/123456789012/orders';

/** Hosts by the AWS host grammar, each with its region and partition. */
const AWS_HOSTS = [
  ['sqs.us-east-1.amazonaws.com', 'us-east-1', 'aws'],
  ['sqs.eu-central-1.amazonaws.com', 'eu-central-1', 'aws'],
  ['sqs.ap-southeast-7.amazonaws.com', 'ap-southeast-7', 'aws'],
  ['sqs.sa-east-1.amazonaws.com', 'sa-east-1', 'aws'],
  ['sqs.ca-west-1.amazonaws.com', 'ca-west-1', 'aws'],
  ['sqs.me-south-1.amazonaws.com', 'me-south-1', 'aws'],
  ['sqs.af-south-1.amazonaws.com', 'af-south-1', 'aws'],
  ['sqs.il-central-1.amazonaws.com', 'il-central-1', 'aws'],
  ['sqs.mx-central-1.amazonaws.com', 'mx-central-1', 'aws'],
  ['sqs-fips.us-west-2.amazonaws.com', 'us-west-2', 'aws'],
  ['sqs.us-west-2.api.aws', 'us-west-2', 'aws'],
  ['sqs-fips.us-west-2.api.aws', 'us-west-2', 'aws'],
  ['queue.amazonaws.com', 'us-east-1', 'aws'],
  ['us-east-1.queue.amazonaws.com', 'us-east-1', 'aws'],
  ['eu-west-1.queue.amazonaws.com', 'eu-west-1', 'aws'],
  ['vpce-0a1b2c3d4e5f60718-abcd1234.sqs.us-east-1.vpce.amazonaws.com', 'us-east-1', 'aws'],
  ['vpce-0a1b2c3d4e5f60718-abcd1234-us-east-1a.sqs.us-east-1.vpce.amazonaws.com', 'us-east-1', 'aws'],
  ['vpce-0a1b2c3d4e5f60718-abcd1234.sqs-fips.us-east-1.vpce.amazonaws.com', 'us-east-1', 'aws'],
  ['SQS.US-EAST-1.amazonaws.com', 'us-east-1', 'aws'],
  ['sqs.cn-north-1.amazonaws.com.cn', 'cn-north-1', 'aws-cn'],
  ['sqs-fips.cn-northwest-1.amazonaws.com.cn', 'cn-northwest-1', 'aws-cn'],
  ['sqs.cn-north-1.api.amazonwebservices.com.cn', 'cn-north-1', 'aws-cn'],
  ['cn-north-1.queue.amazonaws.com.cn', 'cn-north-1', 'aws-cn'],
  ['vpce-0a1b2c3d-abcd1234.sqs.cn-north-1.vpce.amazonaws.com.cn', 'cn-north-1', 'aws-cn'],
  ['sqs.us-gov-west-1.amazonaws.com', 'us-gov-west-1', 'aws-us-gov'],
  ['sqs.us-gov-east-1.api.aws', 'us-gov-east-1', 'aws-us-gov'],
  ['us-gov-west-1.queue.amazonaws.com', 'us-gov-west-1', 'aws-us-gov'],
  ['sqs.eusc-de-east-1.amazonaws.eu', 'eusc-de-east-1', 'aws-eusc'],
  ['sqs.eusc-de-east-1.api.amazonwebservices.eu', 'eusc-de-east-1', 'aws-eusc'],
  ['sqs.us-iso-east-1.c2s.ic.gov', 'us-iso-east-1', 'aws-iso'],
  ['sqs.us-iso-west-1.api.aws.ic.gov', 'us-iso-west-1', 'aws-iso'],
  ['sqs.us-isob-east-1.sc2s.sgov.gov', 'us-isob-east-1', 'aws-iso-b'],
  ['sqs.us-isob-east-1.api.aws.scloud', 'us-isob-east-1', 'aws-iso-b'],
  ['sqs.eu-isoe-west-1.cloud.adc-e.uk', 'eu-isoe-west-1', 'aws-iso-e'],
  ['sqs.eu-isoe-west-1.api.cloud-aws.adc-e.uk', 'eu-isoe-west-1', 'aws-iso-e'],
  ['sqs.us-isof-south-1.csp.hci.ic.gov', 'us-isof-south-1', 'aws-iso-f'],
  ['sqs.us-isof-south-1.api.aws.hci.ic.gov', 'us-isof-south-1', 'aws-iso-f'],
] as const;

/** Hosts that look like AWS's and are not. */
const OTHER_HOSTS = [
  // A service of somebody's own, behind PrivateLink.
  'vpce-0a1b2c3d-abcd1234.vpce-svc-0123456789abcdef0.us-east-1.vpce.amazonaws.com',
  'sqs.us-east-1.amazonaws.com.example.com',
  'sqs.us-east-1.amazonaws.com.cn',
  'sqs.cn-north-1.amazonaws.com',
  'sqs.us-gov-west-1.amazonaws.eu',
  'sqs.us-east-1.example.amazonaws.com',
  'example.sqs.us-east-1.amazonaws.com',
  'sqs.us-east-1amazonaws.com',
  'sqsus-east-1.amazonaws.com',
  'sqs.amazonaws.com',
  'sqs.us-east.amazonaws.com',
  's3.us-east-1.amazonaws.com',
  'orders.s3.us-east-1.amazonaws.com',
  'sqs-fips.sqs.us-east-1.amazonaws.com',
  'us-east-1.queue.api.aws',
  'queue.amazonaws.com.cn',
  'vpce-svc-0a1b2c3d-abcd1234.us-east-1.vpce.amazonaws.com',
  'evil.sqs.us-east-1.vpce.amazonaws.com',
  'sqs.us-east-1.vpce.amazonaws.com',
  'sqs.us-east-1.localhost',
  '169.254.169.254',
  '169.254.169.254.example',
  'localhost',
] as const;

const NOT_QUEUE_URLS = [
  '',
  'orders',
  'arn:aws:sqs:us-east-1:123456789012:orders',
  'ftp://sqs.us-east-1.amazonaws.com/123456789012/orders',
  '//sqs.us-east-1.amazonaws.com/123456789012/orders',
  'HTTPS://sqs.us-east-1.amazonaws.com/123456789012/orders',
  'https:///123456789012/orders',
  'https://sqs.us-east-1.amazonaws.com/orders',
  'https://sqs.us-east-1.amazonaws.com/12345678901/orders',
  'https://sqs.us-east-1.amazonaws.com/1234567890123/orders',
  'https://sqs.us-east-1.amazonaws.com/123456789012/',
  'https://sqs.us-east-1.amazonaws.com/123456789012/orders/',
  'https://sqs.us-east-1.amazonaws.com/123456789012/orders/in',
  'https://sqs.us-east-1.amazonaws.com//123456789012/orders',
  'https://sqs.us-east-1.amazonaws.com/queue/123456789012/orders',
  'https://sqs.us-east-1.amazonaws.com/%31%32%33456789012/orders',
  'https://sqs.us-east-1.amazonaws.com/123456789012/%6Frders',
  'https://sqs.us-east-1.amazonaws.com/an-alias/orders',
  'https://sqs.us-east-1.amazonaws.com/123456789012/orders?x=1',
  'https://sqs.us-east-1.amazonaws.com/123456789012/orders#x',
  'https://sqs.us-east-1.amazonaws.com/123456789012/or.ders',
  'https://sqs.us-east-1.amazonaws.com/123456789012/orders.fifo.fifo',
  `https://sqs.us-east-1.amazonaws.com/123456789012/${'q'.repeat(81)}`,
  `https://sqs.us-east-1.amazonaws.com/123456789012/${'q'.repeat(76)}.fifo`,
  'https://user@sqs.us-east-1.amazonaws.com/123456789012/orders',
  'https://user:password@sqs.us-east-1.amazonaws.com/123456789012/orders',
  'https://sqs.us-east-1.amazonaws.com./123456789012/orders',
  'https://-sqs.us-east-1.amazonaws.com/123456789012/orders',
  'https://sqs..amazonaws.com/123456789012/orders',
  'https://sqs_us.amazonaws.com/123456789012/orders',
  `https://${'a'.repeat(64)}.com/123456789012/orders`,
  'https://localhost:0/123456789012/orders',
  'https://localhost:65536/123456789012/orders',
  'https://localhost:/123456789012/orders',
  'https://[::1]/123456789012/orders',
  'https://2130706433/123456789012/orders',
  'https://127.1/123456789012/orders',
  'https://0x7f.0.0.1/123456789012/orders',
  'https://a.0x1/123456789012/orders',
  'https://1.2.3.256/123456789012/orders',
  'https://01.2.3.4/123456789012/orders',
  'https://1.2.3.4.5/123456789012/orders',
  ' https://localhost/123456789012/orders',
  'https://localhost/123456789012/orders\n',
  'https://localhost\\@example.com/123456789012/orders',
] as const;

describe('a queue URL', () => {
  test.each(AWS_HOSTS)('on %s is in region %s of partition %s', (host, region, partition) => {
    expect(parseQueueUrl(`https://${host}${PATH}`)).toEqual({
      scheme: 'https',
      host: host.toLowerCase(),
      hostname: host.toLowerCase(),
      account: '123456789012',
      name: 'orders',
      fifo: false,
      aws: { region, partition },
    });
  });

  test.each(OTHER_HOSTS)('on %s is a queue URL outside AWS', (host) => {
    expect(parseQueueUrl(`https://${host}${PATH}`)).toMatchObject({ hostname: host, aws: undefined });
  });

  test.each(NOT_QUEUE_URLS.map((url) => [url]))('is not %j', (url) => {
    expect(parseQueueUrl(url)).toBeUndefined();
  });

  test('names the port in its host and not in its host name', () => {
    expect(parseQueueUrl('http://sqs.us-east-1.localhost:4566/000000000000/orders')).toEqual({
      scheme: 'http',
      host: 'sqs.us-east-1.localhost:4566',
      hostname: 'sqs.us-east-1.localhost',
      account: '000000000000',
      name: 'orders',
      fifo: false,
      aws: undefined,
    });
  });

  test('is in AWS only over https on port 443, so that no signed request goes out in the clear', () => {
    const host = 'sqs.us-east-1.amazonaws.com';
    const aws = { region: 'us-east-1', partition: 'aws' };
    expect(parseQueueUrl(`https://${host}:443${PATH}`)?.aws).toEqual(aws);
    expect(parseQueueUrl(`http://${host}${PATH}`)?.aws).toBeUndefined();
    expect(parseQueueUrl(`http://${host}:443${PATH}`)?.aws).toBeUndefined();
    expect(parseQueueUrl(`https://${host}:8443${PATH}`)?.aws).toBeUndefined();
  });

  test('of a FIFO queue says so and keeps the suffix in the name', () => {
    const name = `${'q'.repeat(75)}.fifo`;
    expect(parseQueueUrl(`https://localhost/123456789012/${name}`)).toMatchObject({ name, fifo: true });
  });

  test('is put together again from its parts, for every host, port and name', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,80}$/);
    const port = fc.option(fc.integer({ min: 1, max: 65_535 }));
    const scheme = fc.constantFrom('http', 'https');
    fc.assert(
      fc.property(scheme, fc.domain(), port, name, (protocol, hostname, number, queue) => {
        const host = number === null ? hostname : `${hostname}:${number}`;
        const parsed = parseQueueUrl(`${protocol}://${host}/123456789012/${queue}`);
        expect(parsed).toMatchObject({ scheme: protocol, host, hostname, name: queue });
      }),
    );
  });

  test('has the host that a URL parser sees, whatever stands around it', () => {
    const pieces = fc.constantFrom(
      'https://',
      'a.b',
      '@',
      ':',
      '80',
      '/',
      '123456789012',
      '\\',
      '?',
      '#',
      '%2f',
      'q',
      '.',
      '[',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 9 }), (parts) => {
        const url = `https://a.b${parts.join('')}/123456789012/orders`;
        const parsed = parseQueueUrl(url);
        if (parsed !== undefined) expect(new URL(url).hostname).toBe(parsed.hostname);
      }),
      { numRuns: 2000 },
    );
  });
});
