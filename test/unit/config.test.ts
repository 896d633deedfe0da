import { describe, expect, test } from '@jest/globals';
import { type ConfigResult, loadConfig } from '../../operator/config.ts';

const DEFAULTS = {
  namespaces: [],
  kubeconfig: undefined,
  sqsEndpoint: undefined,
  stsEndpoint: undefined,
  operatorIdentityNamespaces: [],
  operatorIdentityQueues: [],
  narrowSessions: false,
  ecrEndpoint: undefined,
  allowedQueueHosts: [],
  awsRegion: 'us-east-1',
  leaderElect: true,
  leaseNamespace: undefined,
  leaseName: 'batchqueue-operator',
  leaseDurationMs: 10_000,
  renewDeadlineMs: 7_000,
  retryPeriodMs: 2_000,
  healthAddress: '0.0.0.0',
  healthPort: 8080,
  logLevel: 'info',
};

function problemsOf(result: ConfigResult): readonly string[] {
  return result.ok === false ? result.problems : [];
}

describe('loadConfig', () => {
  test('has a default for everything', () => {
    expect(loadConfig([], {})).toEqual({ ok: true, config: DEFAULTS });
  });

  test.each([
    ['namespaces', 'BATCHQUEUE_NAMESPACES', 'a, b ,', ['a', 'b']],
    ['kubeconfig', 'BATCHQUEUE_KUBECONFIG', '/k', '/k'],
    ['sqs-endpoint', 'BATCHQUEUE_SQS_ENDPOINT', 'http://127.0.0.1:9324', 'http://127.0.0.1:9324'],
    ['ecr-endpoint', 'BATCHQUEUE_ECR_ENDPOINT', 'http://127.0.0.1:5000', 'http://127.0.0.1:5000'],
    [
      'allowed-queue-hosts',
      'BATCHQUEUE_ALLOWED_QUEUE_HOSTS',
      'a.test,b.test:9324',
      ['a.test', 'b.test:9324'],
    ],
    ['sts-endpoint', 'BATCHQUEUE_STS_ENDPOINT', 'http://127.0.0.1:9325', 'http://127.0.0.1:9325'],
    ['aws-region', 'AWS_REGION', 'us-gov-west-1', 'us-gov-west-1'],
    ['leader-elect', 'BATCHQUEUE_LEADER_ELECT', 'false', false],
    ['lease-namespace', 'BATCHQUEUE_LEASE_NAMESPACE', 'system', 'system'],
    ['lease-name', 'BATCHQUEUE_LEASE_NAME', 'team-a.operator', 'team-a.operator'],
    ['health-address', 'BATCHQUEUE_HEALTH_ADDRESS', '::1', '::1'],
    ['health-port', 'BATCHQUEUE_HEALTH_PORT', '0', 0],
    ['log-level', 'BATCHQUEUE_LOG_LEVEL', 'debug', 'debug'],
  ])('reads --%s and %s alike', (...[flag, variable, text, value]) => {
    const name = flag.replaceAll(/-./g, (part) => part.slice(1).toUpperCase());
    const expected = { ok: true, config: { ...DEFAULTS, [name]: value } };
    expect(loadConfig([`--${flag}`, text], {})).toEqual(expected);
    expect(loadConfig([`--${flag}=${text}`], {})).toEqual(expected);
    expect(loadConfig([], { [variable]: text })).toEqual(expected);
  });

  test.each([
    ['lease-duration', 'BATCHQUEUE_LEASE_DURATION', '1m', { leaseDurationMs: 60_000 }],
    ['renew-deadline', 'BATCHQUEUE_RENEW_DEADLINE', '7.5s', { renewDeadlineMs: 7_500 }],
    ['retry-period', 'BATCHQUEUE_RETRY_PERIOD', '250ms', { retryPeriodMs: 250 }],
  ])('reads the duration --%s and %s alike', (...[flag, variable, text, expected]) => {
    for (const result of [loadConfig([`--${flag}`, text], {}), loadConfig([], { [variable]: text })])
      expect(result).toEqual({ ok: true, config: { ...DEFAULTS, ...expected } });
  });

  test.each([
    ['8s', '7s', '2s', ['--renew-deadline']],
    ['10s', '8.001s', '2s', ['--renew-deadline']],
    ['10s', '8s', '4s', []],
    ['10s', '7s', '3501ms', ['--retry-period']],
    ['5s', '6s', '4s', ['--renew-deadline', '--retry-period']],
    ['x', '7s', '4s', ['--lease-duration', '--retry-period']],
    ['10s', 'x', '4s', ['--renew-deadline']],
    ['1.5s', '10s', '1ms', ['--lease-duration', '--retry-period']],
  ])('of %s, %s and %s tells what does not fit together: %j', (...[lease, deadline, period, flags]) => {
    const args = ['--lease-duration', lease, '--renew-deadline', deadline, '--retry-period', period];
    expect(problemsOf(loadConfig(args, {})).map((problem) => problem.split(' ')[0])).toEqual(flags);
  });

  test.each([
    ['a, team-b', 'arn:aws:sqs:*:123456789012:orders-?', ['a', 'team-b']],
    ['*', 'arn:*', ['*']],
  ])("lends the operator's identity to %s for %s", (namespaces, queues, expected) => {
    const config = { operatorIdentityNamespaces: expected, operatorIdentityQueues: [queues] };
    const flags = ['--operator-identity-namespaces', namespaces, '--operator-identity-queues', queues];
    expect(loadConfig(flags, {})).toEqual({ ok: true, config: { ...DEFAULTS, ...config } });
    const variables = {
      BATCHQUEUE_OPERATOR_IDENTITY_NAMESPACES: namespaces,
      BATCHQUEUE_OPERATOR_IDENTITY_QUEUES: queues,
    };
    expect(loadConfig([], variables)).toEqual({ ok: true, config: { ...DEFAULTS, ...config } });
  });

  test.each([
    ['--operator-identity-namespaces=a', '--operator-identity-queues', '--operator-identity-namespaces'],
    ['--operator-identity-queues=arn:*', '--operator-identity-namespaces', '--operator-identity-queues'],
  ])('refuses %s alone', (given, missing, other) => {
    const [problem = '', ...more] = problemsOf(loadConfig([given], {}));
    expect(problem).toMatch(new RegExp(`^${missing} .*must be given with ${other}`));
    expect(more).toEqual([]);
  });

  test('takes the flag when both are given', () => {
    const result = loadConfig(['--health-port', '1', '--namespaces', 'flag'], {
      BATCHQUEUE_HEALTH_PORT: 'not a port',
      BATCHQUEUE_NAMESPACES: 'variable',
    });
    expect(result).toMatchObject({ ok: true, config: { healthPort: 1, namespaces: ['flag'] } });
  });

  test('takes an empty variable as not set', () => {
    expect(loadConfig([], { BATCHQUEUE_HEALTH_PORT: '', BATCHQUEUE_SQS_ENDPOINT: '' })).toMatchObject({
      ok: true,
    });
  });

  test.each([
    ['namespaces', 'UPPER', 'must be a comma-separated list of namespace names'],
    ['namespaces', 'a,b c', 'must be a comma-separated list of namespace names'],
    ['namespaces', 'a'.repeat(64), 'must be a comma-separated list of namespace names'],
    ['sts-endpoint', 'sts.amazonaws.com', 'must be an http or https URL'],
    ['operator-identity-namespaces', 'a*', 'must be a comma-separated list of namespace names or *'],
    ['operator-identity-queues', '*', 'must be a comma-separated list of ARN patterns'],
    [
      'operator-identity-queues',
      'https://sqs.us-east-1.amazonaws.com/1/q',
      'must be a comma-separated list of ARN patterns',
    ],
    ['sqs-endpoint', 'localhost:9324', 'must be an http or https URL'],
    ['sqs-endpoint', 'ftp://a', 'must be an http or https URL'],
    ['ecr-endpoint', 'ftp://a', 'must be an http or https URL'],
    ['allowed-queue-hosts', 'http://a', 'must be a comma-separated list of hosts'],
    ['allowed-queue-hosts', 'a/b', 'must be a comma-separated list of hosts'],
    ['aws-region', 'Virginia', 'must be an AWS region, like us-east-1'],
    ['leader-elect', 'no', '"true"'],
    ['lease-namespace', 'A', 'must be a namespace name'],
    ['lease-name', '-a', 'must be an object name'],
    ['lease-duration', '10', 'must be a duration like 10s'],
    ['lease-duration', '601s', 'must be whole seconds, 1s..600s'],
    ['lease-duration', '1500ms', 'must be whole seconds, 1s..600s'],
    ['renew-deadline', '-1s', 'must be a duration like 10s'],
    ['retry-period', '50ms', 'must be at least 100ms'],
    ['health-address', 'localhost', 'must be an IP address'],
    ['health-port', '65536', 'must be a port, 0..65535'],
    ['health-port', '-1', 'must be a port, 0..65535'],
    ['health-port', '80.5', 'must be a port, 0..65535'],
    ['health-port', 'http', 'must be a port, 0..65535'],
    ['log-level', 'loud', '"debug"'],
  ])('refuses --%s=%s and says what is allowed and what it got', (flag, text, words) => {
    const problems = problemsOf(loadConfig([`--${flag}=${text}`], {}));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`--${flag} (`);
    expect(problems[0]).toContain(words);
    expect(problems[0]).toContain(`got ${JSON.stringify(text)}`);
  });

  test('tells all problems at once, each with both of its names', () => {
    const problems = problemsOf(
      loadConfig(['--health-port=x', '--log-level=loud'], { AWS_REGION: '?', BATCHQUEUE_NAMESPACES: '?' }),
    );
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      '--namespaces (BATCHQUEUE_NAMESPACES)',
      '--aws-region (AWS_REGION)',
      '--health-port (BATCHQUEUE_HEALTH_PORT)',
      '--log-level (BATCHQUEUE_LOG_LEVEL)',
    ]);
  });

  test.each([[['--unknown=1']], [['positional']], [['--health-port']]])('refuses %j', (args) => {
    expect(problemsOf(loadConfig(args, {}))).toHaveLength(1);
  });

  test.each(['--help', '-h'])('%s names every flag and variable, whatever else is wrong', (flag) => {
    const result = loadConfig([flag, '--health-port=x'], {});
    if (result.ok !== 'help') throw new Error('no help');
    for (const name of Object.keys(DEFAULTS)) {
      const kebab = name.replace(/Ms$/, '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      expect(result.text).toContain(`--${kebab} `);
    }
    expect(result.text.match(/BATCHQUEUE_[A-Z_]+|AWS_REGION/g)).toHaveLength(Object.keys(DEFAULTS).length);
  });

  test('cannot be changed later', () => {
    const result = loadConfig([], {});
    expect(result.ok === true && Object.isFrozen(result.config)).toBe(true);
  });
});
