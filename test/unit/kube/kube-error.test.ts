import { expect, test } from '@jest/globals';
import { errorOfNetwork, errorOfResponse } from '../../../operator/kube/kube-error.ts';

const CREATE = { text: 'create jobs default/x', isWrite: true };
const GET = { text: 'get jobs default/x', isWrite: false };

function aStatus(fields: object): string {
  return JSON.stringify({ kind: 'Status', status: 'Failure', ...fields });
}

test.each([
  [400, 'Invalid', 'terminal', false],
  [401, 'Unauthorized', 'retry', false],
  [403, 'Forbidden', 'terminal', false],
  [404, 'NotFound', 'terminal', false],
  [405, 'Invalid', 'terminal', false],
  [409, 'Conflict', 'retry', false],
  [410, 'Gone', 'retry', false],
  [413, 'Invalid', 'terminal', false],
  [422, 'Invalid', 'terminal', false],
  [429, 'Throttled', 'retry', false],
  [500, 'ServerError', 'retry', true],
  [502, 'ServerError', 'retry', true],
  [503, 'Unavailable', 'retry', false],
  [504, 'RequestTimeout', 'retry', true],
  [599, 'ServerError', 'retry', true],
])('an answer %i to a write is %s (%s), outcome unknown: %s', (status, code, verdict, outcomeUnknown) => {
  expect(errorOfResponse(CREATE, { status, headers: {}, body: '' })).toMatchObject({
    code,
    verdict,
    outcomeUnknown,
  });
  expect(errorOfResponse(GET, { status, headers: {}, body: '' })).toMatchObject({
    code,
    outcomeUnknown: false,
  });
});

test('a 409 is AlreadyExists when the server says so', () => {
  const body = aStatus({ reason: 'AlreadyExists', message: 'jobs.batch "x" already exists' });

  expect(errorOfResponse(CREATE, { status: 409, headers: {}, body })).toMatchObject({
    code: 'AlreadyExists',
    verdict: 'terminal',
    message: 'create jobs default/x: AlreadyExists: jobs.batch "x" already exists',
  });
});

test('the message quotes nothing of an answer that is no Status', () => {
  const answer = { status: 502, headers: { 'set-cookie': 'secret' }, body: '<html>secret</html>' };

  expect(errorOfResponse(CREATE, answer).message).toBe('create jobs default/x: ServerError: HTTP status 502');
});

test.each([
  [{ 'retry-after': '3' }, aStatus({}), 3000],
  [{}, aStatus({ details: { retryAfterSeconds: 4 } }), 4000],
  [{ 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, aStatus({}), undefined],
  [{}, 'no Status', undefined],
])('the time to wait comes from the header or the Status: %j', (headers, body, retryAfterMs) => {
  expect(errorOfResponse(CREATE, { status: 429, headers, body }).retryAfterMs).toBe(retryAfterMs);
});

test.each([
  ['ECONNREFUSED', 'Unavailable', false],
  ['UND_ERR_CONNECT_TIMEOUT', 'Unavailable', false],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'Unavailable', false],
  ['ECONNRESET', 'Unavailable', true],
  ['UND_ERR_SOCKET', 'Unavailable', true],
  ['UND_ERR_HEADERS_TIMEOUT', 'RequestTimeout', true],
])('a write that ends with %s is %s, outcome unknown: %s', (symbol, code, outcomeUnknown) => {
  const cause = Object.assign(new Error('it broke'), { code: symbol });

  expect(errorOfNetwork(CREATE, cause)).toMatchObject({ code, verdict: 'retry', outcomeUnknown, cause });
  expect(errorOfNetwork(GET, cause).outcomeUnknown).toBe(false);
});

test('a write whose own time is up may have been carried out', () => {
  const cause = new DOMException('The operation was aborted due to timeout', 'TimeoutError');

  expect(errorOfNetwork(CREATE, cause)).toMatchObject({ code: 'RequestTimeout', outcomeUnknown: true });
});
