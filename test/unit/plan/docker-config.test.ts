import { describe, expect, test } from '@jest/globals';
import {
  DOCKER_CONFIG_KEY,
  dockerConfigOf,
  encodeDockerConfig,
  expiryOf,
  fingerprintOf,
  loginFor,
  loginOf,
  withLogins,
} from '../../../operator/plan/docker-config.ts';

const HOST = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const OTHER = { username: 'me', password: 'mine', auth: 'bWU6bWluZQ==' };
const base64 = (text: string) => Buffer.from(text).toString('base64');

function secretWith(text: string) {
  return { metadata: { name: 'regcred' }, data: { [DOCKER_CONFIG_KEY]: base64(text) } };
}

test('a login has the form that kubectl gives it', () => {
  expect(loginOf('AWS', 'p')).toEqual({ username: 'AWS', password: 'p', auth: base64('AWS:p') });
});

test('logins replace those of their hosts, in every spelling, and leave everything else', () => {
  const config = {
    auths: {
      [`https://${HOST}`]: OTHER,
      [HOST]: OTHER,
      [`${HOST}/v2/`]: OTHER,
      [`${HOST}/team/worker`]: OTHER,
      'https://index.docker.io/v1/': OTHER,
    },
    credHelpers: { 'ghcr.io': 'gh' },
  };
  const login = loginOf('AWS', 'p');
  expect(withLogins(config, new Map([[HOST, login]]))).toEqual({
    auths: { [`${HOST}/team/worker`]: OTHER, 'https://index.docker.io/v1/': OTHER, [HOST]: login },
    credHelpers: { 'ghcr.io': 'gh' },
  });
});

test('a login is found under every spelling of its host', () => {
  for (const key of [HOST, `https://${HOST}`, `http://${HOST}/`, `${HOST}/v1/`, HOST.toUpperCase()])
    expect(loginFor({ auths: { [key]: OTHER } }, HOST)).toBe(OTHER);
  expect(loginFor({ auths: { [`${HOST}/team`]: OTHER } }, HOST)).toBeUndefined();
});

test('a Secret is read as it was written', () => {
  const config = { auths: { [HOST]: OTHER } };
  const data = { [DOCKER_CONFIG_KEY]: encodeDockerConfig(config) };
  expect(dockerConfigOf({ metadata: { name: 'regcred' }, data })).toEqual(config);
});

test.each(['', 'nonsense', '[]', '{"auths":[]}', '{"auths":"no"}'])('%p is no docker config', (text) => {
  expect(dockerConfigOf(secretWith(text))).toBeUndefined();
});

test('an empty object is one without logins', () => {
  expect(dockerConfigOf(secretWith('{}'))).toEqual({ auths: {} });
});

describe('when a login runs out', () => {
  const password = base64(
    JSON.stringify({ payload: 'x', datakey: 'y', version: '2', expiration: 1_800_000_000 }),
  );

  test.each([
    ['as kubectl writes it', loginOf('AWS', password), 1_800_000_000_000],
    ['without auth', { username: 'AWS', password }, 1_800_000_000_000],
    ['of somebody else', loginOf('me', password), undefined],
    ['with a password of another kind', loginOf('AWS', 'x'), undefined],
    ['of no form', 'text', undefined],
    ['missing', undefined, undefined],
  ])('%s', (_what, login, expected) => {
    expect(expiryOf(login)).toBe(expected);
  });
});

test('a fingerprint tells logins apart, and not what they are', () => {
  expect(fingerprintOf(OTHER)).toBe(fingerprintOf({ ...OTHER }));
  expect(fingerprintOf(OTHER)).not.toBe(fingerprintOf({ ...OTHER, password: 'other' }));
  expect(fingerprintOf(OTHER)).toMatch(/^[0-9a-f]{16}$/);
  expect(fingerprintOf(undefined)).toMatch(/^[0-9a-f]{16}$/);
});
