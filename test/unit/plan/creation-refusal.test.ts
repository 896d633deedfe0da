import { describe, expect, test } from '@jest/globals';
import {
  admitCreates,
  afterCreate,
  type CreateError,
  type CreationMemory,
  isRefusal,
  NO_REFUSALS,
} from '../../../operator/plan/creation-refusal.ts';
import { NOW_MS } from '../../support/builders.ts';

/** As the adapter words them (see `kube-error.ts`). */
function refused(words: string, code = 'Forbidden', retryAfterMs?: number): CreateError {
  return {
    code,
    message: `create jobs shop/orders-a: ${code}: ${words}`,
    outcomeUnknown: false,
    retryAfterMs,
  };
}
const QUOTA = refused(
  'jobs.batch "orders-a" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3',
);
const BUSY = refused('too many requests', 'Throttled', 7_000);
const TAKEN = {
  code: 'NameTaken',
  message: 'Job orders-a exists and does not hold message m; delete or rename it',
  outcomeUnknown: false,
};

const create = (name: string) => ({ job: { metadata: { name } } });
const names = (admitted: readonly { job: { metadata: { name: string } } }[]) =>
  admitted.map(({ job }) => job.metadata.name);
const CREATES = ['a', 'b', 'c'].map(create);

/** After these refusals of Job `a`, a second apart. */
function afterRefusals(errors: readonly CreateError[], job = 'a'): CreationMemory {
  return errors.reduce<CreationMemory>(
    (memory, error, index) => afterCreate(memory, job, error, NOW_MS + index * 1_000),
    NO_REFUSALS,
  );
}

describe('a create that fails', () => {
  test.each<[string, CreateError, boolean]>([
    ['for a quota', QUOTA, true],
    ['for too many requests', BUSY, true],
    ['for a name that is taken', TAKEN, true],
    [
      'without an answer',
      { code: 'RequestTimeout', message: 'no answer in time', outcomeUnknown: true },
      false,
    ],
    [
      'at a server that is away',
      { code: 'Unavailable', message: 'ECONNREFUSED', outcomeUnknown: false },
      false,
    ],
    ['with an answer that may be a success', { ...QUOTA, outcomeUnknown: true }, false],
  ])('%s is a refusal: %#', (_, error, isOne) => {
    expect(isRefusal(error)).toBe(isOne);
  });

  test.each<[CreateError, string, string, boolean]>([
    [
      QUOTA,
      'QuotaExceeded',
      'exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3',
      true,
    ],
    [
      refused('admission webhook "policy.example.com" denied the request: no latest tags'),
      'AdmissionDenied',
      'admission webhook "policy.example.com" denied the request: no latest tags',
      true,
    ],
    [
      refused('admission webhook "policy.example.com" denied the request: no', 'Invalid'),
      'AdmissionDenied',
      'admission webhook "policy.example.com" denied the request: no',
      true,
    ],
    [
      refused(
        `jobs.batch "orders-a" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'all' denied request: no`,
        'Invalid',
      ),
      'AdmissionDenied',
      `ValidatingAdmissionPolicy 'images' with binding 'all' denied request: no`,
      true,
    ],
    [
      refused(
        'jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group "batch" in the namespace "shop"',
      ),
      'JobCreationForbidden',
      'jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group "batch" in the namespace "shop"',
      true,
    ],
    [BUSY, 'ApiServerThrottled', 'too many requests', true],
    [TAKEN, 'JobNotCreated', TAKEN.message, false],
  ])('%# is told as %s', (error, reason, message, isGeneral) => {
    const { general, byJob } = afterCreate(NO_REFUSALS, 'a', error, NOW_MS);
    expect(byJob.get('a')).toMatchObject({ reason, message, isGeneral, tries: 1, refusedAtMs: NOW_MS });
    expect(general).toEqual(isGeneral ? byJob.get('a') : undefined);
  });
});

describe('what was refused', () => {
  test('for itself waits by itself, longer each time, while the others go', () => {
    const memory = afterRefusals([TAKEN, TAKEN, TAKEN]);
    const againMs = NOW_MS + 2_000 + 4_000;
    expect(admitCreates(CREATES, memory, againMs - 1)).toEqual({
      now: CREATES.slice(1),
      lookAgainAtMs: againMs,
    });
    expect(admitCreates(CREATES, memory, againMs)).toEqual({ now: CREATES, lookAgainAtMs: undefined });
  });

  test('for all is tried one at a time, those that waited longest first', () => {
    const first = afterCreate(NO_REFUSALS, 'a', QUOTA, NOW_MS);
    expect(admitCreates(CREATES, first, NOW_MS)).toEqual({ now: [], lookAgainAtMs: NOW_MS + 1_000 });
    expect(names(admitCreates(CREATES, first, NOW_MS + 1_000).now)).toEqual(['b']);
    const second = afterCreate(first, 'b', QUOTA, NOW_MS + 1_000);
    expect(names(admitCreates(CREATES, second, NOW_MS + 3_000).now)).toEqual(['c']);
    const third = afterCreate(second, 'c', QUOTA, NOW_MS + 3_000);
    expect(names(admitCreates(CREATES, third, NOW_MS + 7_000).now)).toEqual(['a']);
  });

  test('for all goes at once when one of them was created', () => {
    const memory = afterCreate(afterRefusals([QUOTA]), 'b', undefined, NOW_MS + 1_000);
    expect(memory.general).toBeUndefined();
    expect(names(admitCreates([create('c')], memory, NOW_MS + 1_000).now)).toEqual(['c']);
  });

  test.each<[number, number]>([
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [6, 30_000],
    [50, 30_000],
  ])('for the %d. time waits %d ms', (tries, waitMs) => {
    const { general } = afterRefusals(Array.from({ length: tries }, () => QUOTA));
    expect((general?.retryAtMs ?? 0) - (general?.refusedAtMs ?? 0)).toBe(waitMs);
  });

  test('with a Retry-After waits at least that long', () => {
    expect(afterRefusals([BUSY]).general?.retryAtMs).toBe(NOW_MS + 7_000);
  });
});

test('nothing waits while nothing is to be created', () => {
  expect(admitCreates([], afterRefusals([QUOTA]), NOW_MS)).toEqual({ now: [], lookAgainAtMs: undefined });
});
