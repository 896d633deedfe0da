import type { Config } from 'jest';

/** Node runs TypeScript by itself, so nothing is transformed. */
const COMMON = { transform: {}, rootDir: import.meta.dirname } as const;

/**
 * Five projects. A project's setup runs only when one of its tests does, so `--selectProjects unit` starts no
 * cluster. Tests of a project share its cluster (see test/jest/clusters.ts).
 */
const config: Config = {
  // For machines that have other things to do; a test that hangs is told of all the same.
  testTimeout: 60_000,
  projects: [
    { ...COMMON, displayName: 'unit', testMatch: ['<rootDir>/test/unit/**/*.test.ts'] },
    {
      ...COMMON,
      displayName: 'conformance',
      testMatch: ['<rootDir>/test/conformance/**/*.test.ts'],
      // Real queues only for whoever asks for them.
      testPathIgnorePatterns: process.env['BATCHQUEUE_CONFORMANCE_AWS'] === '1' ? [] : ['/aws\\.test\\.ts$'],
    },
    { ...COMMON, displayName: 'simulation', testMatch: ['<rootDir>/test/simulation/**/*.test.ts'] },
    {
      ...COMMON,
      displayName: 'integration',
      testMatch: ['<rootDir>/test/integration/**/*.test.ts'],
      globalSetup: '<rootDir>/test/jest/integration-setup.ts',
      globalTeardown: '<rootDir>/test/jest/integration-teardown.ts',
      testEnvironment: '<rootDir>/test/jest/cluster-environment.ts',
      testEnvironmentOptions: { size: 'control-plane', timeoutMs: 60_000 },
    },
    {
      ...COMMON,
      displayName: 'e2e',
      testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
      globalSetup: '<rootDir>/test/jest/e2e-setup.ts',
      globalTeardown: '<rootDir>/test/jest/e2e-teardown.ts',
      testEnvironment: '<rootDir>/test/jest/cluster-environment.ts',
      testEnvironmentOptions: { size: 'node', timeoutMs: 180_000 },
    },
  ],
  reporters: ['<rootDir>/test/jest/summary-reporter.ts'],
};

export default config;
