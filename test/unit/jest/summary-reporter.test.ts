import { describe, expect, test } from '@jest/globals';
import { buildSummary } from '../../jest/summary-reporter.ts';

const NONE = {
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
};

describe('the closing line of a run', () => {
  test('counts passed, failed and skipped tests', () => {
    const results = { ...NONE, numPassedTests: 3, numFailedTests: 2, numPendingTests: 1 };
    expect(buildSummary(results)).toBe('3 passed, 2 failed, 1 skipped');
  });

  test('counts a file that does not load as a failure', () => {
    expect(buildSummary({ ...NONE, numRuntimeErrorTestSuites: 1 })).toBe('0 passed, 1 failed, 0 skipped');
  });
});
