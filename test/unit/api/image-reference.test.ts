import { describe, expect, test } from '@jest/globals';
import { parseEcrHost } from '../../../operator/api/ecr-host.ts';
import { parseImageReference, pinnedTo } from '../../../operator/api/image-reference.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** Hosts of private registries: what they say of account 123456789012. */
const ECR_HOSTS: readonly [string, string, string, { fips?: boolean; dualStack?: boolean }][] = [
  ['123456789012.dkr.ecr.us-east-1.amazonaws.com', 'us-east-1', 'aws', {}],
  ['123456789012.dkr.ecr.ap-southeast-7.amazonaws.com', 'ap-southeast-7', 'aws', {}],
  ['123456789012.dkr.ecr-fips.us-west-2.amazonaws.com', 'us-west-2', 'aws', { fips: true }],
  ['123456789012.dkr-ecr.eu-central-1.on.aws', 'eu-central-1', 'aws', { dualStack: true }],
  ['123456789012.dkr-ecr-fips.us-east-2.on.aws', 'us-east-2', 'aws', { fips: true, dualStack: true }],
  ['123456789012.dkr.ecr.us-gov-west-1.amazonaws.com', 'us-gov-west-1', 'aws-us-gov', {}],
  ['123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com', 'us-gov-east-1', 'aws-us-gov', { fips: true }],
  ['123456789012.dkr-ecr.us-gov-east-1.on.aws', 'us-gov-east-1', 'aws-us-gov', { dualStack: true }],
  ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', 'cn-north-1', 'aws-cn', {}],
  [
    '123456789012.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn',
    'cn-northwest-1',
    'aws-cn',
    { dualStack: true },
  ],
  ['123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu', 'eusc-de-east-1', 'aws-eusc', {}],
  ['123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov', 'us-iso-east-1', 'aws-iso', {}],
  ['123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov', 'us-isob-east-1', 'aws-iso-b', {}],
  ['123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk', 'eu-isoe-west-1', 'aws-iso-e', {}],
  ['123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov', 'us-isof-south-1', 'aws-iso-f', {}],
];

const OTHER_HOSTS = [
  'public.ecr.aws',
  'ecr-public.aws.com',
  'docker.io',
  '12345678901.dkr.ecr.us-east-1.amazonaws.com',
  '123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example',
  '123456789012.dkr.ecr.us-east-1.amazonaws.com:443',
  'x123456789012.dkr.ecr.us-east-1.amazonaws.com',
  '123456789012.dkr.ecr.us-east-1.evil.amazonaws.com',
  '123456789012.dkr.ecr.nowhere.amazonaws.com',
  '123456789012.dkr.ecr.cn-north-1.amazonaws.com',
  '123456789012.dkr.ecr.us-east-1.amazonaws.com.cn',
  '123456789012.dkr-ecr.cn-north-1.on.aws',
  '123456789012.ecr.us-east-1.amazonaws.com',
  'api.ecr.us-east-1.amazonaws.com',
];

/** What a reference means: host, repository, tag, digest. */
const REFERENCES = [
  ['python', 'docker.io', 'library/python', undefined, undefined],
  ['python:3.13-slim', 'docker.io', 'library/python', '3.13-slim', undefined],
  ['acme/worker:1.4', 'docker.io', 'acme/worker', '1.4', undefined],
  ['docker.io/python:3', 'docker.io', 'library/python', '3', undefined],
  ['index.docker.io/acme/worker', 'docker.io', 'acme/worker', undefined, undefined],
  ['localhost/worker', 'localhost', 'worker', undefined, undefined],
  ['localhost:5000/worker:1', 'localhost:5000', 'worker', '1', undefined],
  ['[2001:db8::1]:5000/worker:1', '[2001:db8::1]:5000', 'worker', '1', undefined],
  ['ghcr.io/acme/deep/er/worker', 'ghcr.io', 'acme/deep/er/worker', undefined, undefined],
  ['registry.example:5000/worker', 'registry.example:5000', 'worker', undefined, undefined],
  ['Registry/worker', 'Registry', 'worker', undefined, undefined],
  [`python@${DIGEST}`, 'docker.io', 'library/python', undefined, DIGEST],
  [`ghcr.io/a_b/c-d__e.f:v_1.0-x@${DIGEST}`, 'ghcr.io', 'a_b/c-d__e.f', 'v_1.0-x', DIGEST],
  [`a/b:${'t'.repeat(128)}`, 'docker.io', 'a/b', 't'.repeat(128), undefined],
] as const;

const NO_REFERENCES = [
  '',
  ' python',
  'python ',
  'Python',
  'docker.io/Python',
  'python:',
  'python:.1',
  `python:${'t'.repeat(129)}`,
  'python@sha256:abc',
  'python:3@',
  '/python',
  'a//b',
  'a/b/',
  'a___b',
  '-a',
  'a-',
  'https://docker.io/python',
  'python:3:4',
  'f'.repeat(64),
  'a'.repeat(256),
  '$(IMAGE)',
];

describe('the host of a private ECR registry', () => {
  test.each(ECR_HOSTS)('%s', (host, region, partition, kind) => {
    const plain = { fips: false, dualStack: false };
    expect(parseEcrHost(host)).toEqual({
      host,
      account: '123456789012',
      region,
      partition,
      ...plain,
      ...kind,
    });
  });

  test.each(OTHER_HOSTS)('%s is none', (host) => {
    expect(parseEcrHost(host)).toBeUndefined();
  });

  test('has no case', () => {
    const host = '123456789012.DKR.ecr.US-EAST-1.amazonaws.com';
    expect(parseEcrHost(host)).toMatchObject({ host: host.toLowerCase(), region: 'us-east-1' });
  });
});

describe('an image reference', () => {
  test.each(REFERENCES)('%s', (text, ...expected) => {
    const [host, repository, tag, digest] = expected;
    const reference = parseImageReference(text);
    expect(reference).toMatchObject({ text, host, repository, isEcrPublic: false });
    expect([reference?.tag, reference?.digest, reference?.ecr]).toEqual([tag, digest, undefined]);
  });

  test.each(NO_REFERENCES)('%p is none', (text) => {
    expect(parseImageReference(text)).toBeUndefined();
  });

  test.each(ECR_HOSTS)('in %s', (host, region, _partition, _kind) => {
    const reference = parseImageReference(`${host}/team/csv-worker:1.4.0`);
    expect(reference).toMatchObject({ host, repository: 'team/csv-worker', tag: '1.4.0', ecr: { region } });
  });

  test.each(['public.ecr.aws', 'ecr-public.aws.com'])('in ECR Public at %s', (host) => {
    const reference = parseImageReference(`${host}/docker/library/python:3`);
    expect(reference).toMatchObject({ isEcrPublic: true, ecr: undefined });
  });
});

test('a pinned reference names the digest alone', () => {
  const host = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
  for (const text of [`${host}/team/worker`, `${host}/team/worker:1`, `${host}/team/worker:1@${DIGEST}`]) {
    const reference = parseImageReference(text);
    expect(reference && pinnedTo(reference, DIGEST)).toBe(`${host}/team/worker@${DIGEST}`);
  }
});
