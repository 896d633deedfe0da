import { describe, expect, test } from '@jest/globals';
import { ANNOTATION_LEDGER, ANNOTATION_RESULT } from '../../../operator/api/names.ts';
import { attemptOf, claimFrom, isActive, isClaim, needsPods } from '../../../operator/plan/claim.ts';
import { aClaim, aJob, type ClaimParts, NOW_MS } from '../../support/builders.ts';

function withConditions(...conditions: object[]) {
  return claimFrom({ ...aJob(), status: { conditions } });
}

describe('claimFrom', () => {
  test.each([
    ['active without conditions', [], 'active'],
    ['succeeded when Complete', [{ type: 'Complete', status: 'True' }], 'succeeded'],
    ['failed when Failed', [{ type: 'Failed', status: 'True' }], 'failed'],
    ['active when Complete stands there as False', [{ type: 'Complete', status: 'False' }], 'active'],
    ['active when Failed stands there as Unknown', [{ type: 'Failed', status: 'Unknown' }], 'active'],
    ['active while its failure is only decided', [{ type: 'FailureTarget', status: 'True' }], 'active'],
    ['active while its success is only decided', [{ type: 'SuccessCriteriaMet', status: 'True' }], 'active'],
    ['active when suspended', [{ type: 'Suspended', status: 'True' }], 'active'],
  ])('is %s', (_, conditions, outcome) => {
    expect(withConditions(...conditions).outcome).toBe(outcome);
  });

  test.each<[string, ClaimParts, boolean]>([
    ['with the finalizer nothing is settled', { outcome: 'succeeded' }, false],
    ['an ended Job without the finalizer is settled', { outcome: 'failed', settled: true }, true],
    ['a Job that may still run owes its settlement even without the finalizer', { settled: true }, false],
    ['without the finalizer a deletion settles it', { settled: true, deleting: true }, true],
    ['with the finalizer a deletion does not', { deleting: true }, false],
  ])('%s', (_, parts, settled) => {
    expect(aClaim(parts).settled).toBe(settled);
  });

  test('reads start, end, failure and result', () => {
    const result = { exitCode: 65, reason: 'DataError', message: 'bad row' };
    const failed = aClaim({
      outcome: 'failed',
      failure: { reason: 'PodFailurePolicy', message: 'exit code 65' },
      finishedAtMs: NOW_MS - 3_000,
      annotations: { [ANNOTATION_RESULT]: JSON.stringify(result) },
      running: true,
      revision: 3,
    });
    expect(failed).toMatchObject({
      revision: 3,
      running: false,
      startedAtMs: NOW_MS - 4_000,
      finishedAtMs: NOW_MS - 3_000,
      failure: { reason: 'PodFailurePolicy', message: 'exit code 65' },
      result,
    });
    expect(aClaim({ running: true })).toMatchObject({
      running: true,
      failure: undefined,
      finishedAtMs: undefined,
    });
    expect(aClaim({ outcome: 'succeeded', finishedAtMs: NOW_MS - 1_000 }).finishedAtMs).toBe(NOW_MS - 1_000);
  });

  test.each([
    ['a status that is no object', 'odd'],
    ['conditions that are no list', { conditions: 'odd' }],
    ['times that are none', { startTime: 'yesterday', conditions: [] }],
  ])('takes %s for an active Job', (_, status) => {
    expect(claimFrom({ ...aJob(), status }).outcome).toBe('active');
  });

  test('counts its age from its creation when its start is unknown', () => {
    expect(claimFrom({ ...aJob(), status: {} }).startedAtMs).toBe(NOW_MS - 4_000);
  });
});

describe('isClaim', () => {
  test.each<[string, ClaimParts, boolean]>([
    ['a Job with a ledger and a finalizer is one', {}, true],
    ['a settled Job is one: it remembers the attempt', { outcome: 'failed', settled: true }, true],
    [
      'a Job with the finalizer and an unreadable ledger is one',
      { annotations: { [ANNOTATION_LEDGER]: '?' } },
      true,
    ],
    [
      'a Job that only has our label is none',
      { annotations: { [ANNOTATION_LEDGER]: '?' }, settled: true },
      false,
    ],
  ])('%s', (_, parts, expected) => {
    expect(isClaim(aClaim(parts))).toBe(expected);
  });
});

test.each<[string, ClaimParts, boolean, boolean]>([
  ['an active Job', {}, true, false],
  ['an active Job that is being deleted', { deleting: true }, true, true],
  ['a failed Job', { outcome: 'failed' }, false, true],
  ['a succeeded Job', { outcome: 'succeeded' }, false, false],
  ['a succeeded Job that is being deleted', { outcome: 'succeeded', deleting: true }, false, false],
  ['a settled failed Job', { outcome: 'failed', settled: true }, false, false],
])('%s, parts %j: takes a slot %s, needs its pods %s', (_, parts, active, pods) => {
  expect(isActive(aClaim(parts))).toBe(active);
  expect(needsPods(aClaim(parts))).toBe(pods);
});

test('a Job with an unreadable ledger stands for no attempt', () => {
  expect(attemptOf(aClaim({ attempt: 4 }))).toBe(4);
  expect(attemptOf(aClaim({ attempt: 4, annotations: { [ANNOTATION_LEDGER]: '?' } }))).toBe(0);
});
