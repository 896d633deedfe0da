import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { MAX_VISIBILITY_SECONDS } from '../../../operator/plan/backoff.ts';
import {
  CREATE_TIMEOUT_MS,
  clampDelay,
  dueAt,
  LEASE_MARGIN_MS,
  outlivesCreate,
  renewalSeconds,
  trustedUntil,
} from '../../../operator/plan/lease.ts';
import { NOW_MS, QUEUE } from '../../support/builders.ts';

const HOUR_MS = 3_600_000;

function aLease(receivedAtMs: number, visibilityTimeoutSeconds = 300) {
  return { queue: QUEUE, messageId: 'm', receiptHandle: 'r', receivedAtMs, visibilityTimeoutSeconds };
}

test('a lease is trusted from the start of the request, minus the margin', () => {
  expect(trustedUntil(NOW_MS, 30)).toBe(NOW_MS + 29_000);
  expect(LEASE_MARGIN_MS).toBeGreaterThan(0);
});

test('a lease is renewed every third of its timeout', () => {
  expect(dueAt(NOW_MS, 30)).toBe(NOW_MS + 10_000);
});

test.each([
  ['a lease that ends with the create does not outlive it', CREATE_TIMEOUT_MS, false],
  ['one that ends later does', CREATE_TIMEOUT_MS + 1, true],
  ['one that has ended does not', -1, false],
])('%s', (_, leftMs, expected) => {
  expect(outlivesCreate(NOW_MS + leftMs, NOW_MS)).toBe(expected);
});

describe('renewalSeconds', () => {
  test.each([
    ['is the timeout of the lease', 0, 300, 300],
    ['is the timeout after eleven hours', 11 * HOUR_MS, 300, 300],
    ['is what is left shortly before twelve hours', 12 * HOUR_MS - 60_000, 300, 50],
    ['is nothing at the ceiling', 12 * HOUR_MS - 10_000, 300, undefined],
    ['is nothing beyond it', 13 * HOUR_MS, 300, undefined],
  ])('%s', (_, ageMs, timeout, expected) => {
    expect(renewalSeconds(aLease(NOW_MS - ageMs, timeout), NOW_MS)).toBe(expected);
  });
});

describe('clampDelay', () => {
  test.each([
    ['leaves an ordinary delay alone', 60, 5_000, 60],
    ['never asks for less than nothing', 60, 13 * HOUR_MS, 0],
    ['ends before twelve hours from the receive', MAX_VISIBILITY_SECONDS, HOUR_MS, 39_590],
  ])('%s', (_, delay, ageMs, expected) => {
    expect(clampDelay(delay, NOW_MS - ageMs, NOW_MS)).toBe(expected);
  });
});

test('no renewal and no delay ever asks SQS for more than twelve hours from the receive', () => {
  const ageMs = fc.nat({ max: 14 * HOUR_MS });
  fc.assert(
    fc.property(ageMs, fc.integer({ min: 0, max: 2 * MAX_VISIBILITY_SECONDS }), (age, seconds) => {
      const receivedAtMs = NOW_MS - age;
      const renewal = renewalSeconds(aLease(receivedAtMs, seconds), NOW_MS) ?? 0;
      const delay = clampDelay(seconds, receivedAtMs, NOW_MS);
      for (const asked of [renewal, delay]) {
        expect(Number.isInteger(asked)).toBe(true);
        expect(asked).toBeGreaterThanOrEqual(0);
        expect(asked).toBeLessThanOrEqual(seconds);
        if (asked > 0) expect(age / 1000 + asked).toBeLessThan(MAX_VISIBILITY_SECONDS);
      }
    }),
  );
});
