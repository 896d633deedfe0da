import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import { thisMachine, unsupportedReason } from '../cluster/requirements.ts';

/**
 * Node's ordinary test environment with two options (`testEnvironmentOptions`):
 *
 * - `size`: where a cluster of this size cannot run, every test is skipped; the summary says why;
 * - `timeoutMs`: how long a test may take, because jest's own option holds for all projects alike.
 */
export default class ClusterEnvironment extends TestEnvironment {
  readonly #mustSkip: boolean;
  readonly #timeoutMs: number;

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    const { size, timeoutMs } = config.projectConfig.testEnvironmentOptions;
    this.#mustSkip = unsupportedReason(size === 'node' ? 'node' : 'control-plane', thisMachine()) !== undefined;
    this.#timeoutMs = Number(timeoutMs);
  }

  /** Called by the test runner. The time is set first, so that a file may still set its own. */
  handleTestEvent(event: Circus.Event, state: Circus.State): void {
    if (event.name === 'setup') state.testTimeout = this.#timeoutMs;
    // Skipping the root block skips hooks too.
    if (event.name === 'run_start' && this.#mustSkip) state.rootDescribeBlock.mode = 'skip';
  }
}
