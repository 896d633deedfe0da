import { describe, expect, test } from '@jest/globals';
import { buildKubeconfig, parseKubeconfig } from '../../cluster/kubeconfig.ts';

const ACCESS = {
  server: 'https://127.0.0.1:6443',
  authority: 'authority\n',
  client: { certificate: 'certificate\n', key: 'key\n' },
};

describe('kubeconfig', () => {
  test('has one context, in use, that joins its cluster and its user', () => {
    expect(JSON.parse(buildKubeconfig({ name: 'bq0', ...ACCESS }))).toMatchObject({
      kind: 'Config',
      'current-context': 'bq0',
      contexts: [{ name: 'bq0', context: { cluster: 'bq0', user: 'bq0' } }],
      clusters: [{ name: 'bq0', cluster: { server: 'https://127.0.0.1:6443' } }],
      users: [{ name: 'bq0' }],
    });
  });

  test('reads back what it wrote', () => {
    expect(parseKubeconfig(buildKubeconfig({ name: 'bq0', ...ACCESS }))).toEqual(ACCESS);
  });

  test('names the part that is missing', () => {
    expect(() => parseKubeconfig('{}')).toThrow('the kubeconfig has no server');
  });
});
