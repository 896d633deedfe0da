import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';
import { thisMachine, unsupportedReason } from '../cluster/requirements.ts';

/**
 * Node's ordinary test environment, except that every test is skipped where the cluster that its project needs
 * cannot run (`testEnvironmentOptions.size`). The summary says why.
 */
export default class ClusterEnvironment extends TestEnvironment {
  readonly #mustSkip: boolean;

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    const size = config.projectConfig.testEnvironmentOptions.size === 'node' ? 'node' : 'control-plane';
    this.#mustSkip = unsupportedReason(size, thisMachine()) !== undefined;
  }

  /** Called by the test runner; skipping the root block skips hooks too. */
  handleTestEvent(event: Circus.Event, state: Circus.State): void {
    if (this.#mustSkip && event.name === 'run_start') state.rootDescribeBlock.mode = 'skip';
  }
}
