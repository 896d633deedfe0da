import { TestEnvironment } from 'jest-environment-node';
import { thisMachine, unsupportedReason } from '../cluster/requirements.ts';

type Arguments = ConstructorParameters<typeof TestEnvironment>;

/** The parts of the test runner's events and state (jest-circus) that are used here. */
interface RunnerEvent {
  readonly name: string;
}
interface RunnerState {
  testTimeout: number;
  readonly rootDescribeBlock: RunnerBlock;
}
/** A test, or a `describe` with its children. */
interface RunnerBlock {
  mode?: unknown;
  readonly children?: readonly RunnerBlock[];
}

/**
 * Node's ordinary test environment with two options (`testEnvironmentOptions`):
 *
 * - `size`: where a cluster of this size cannot run, every test is skipped; the summary says why;
 * - `timeoutMs`: how long a test may take, because jest's own option holds for all projects alike.
 */
export default class ClusterEnvironment extends TestEnvironment {
  readonly #mustSkip: boolean;
  readonly #timeoutMs: number;

  constructor(config: Arguments[0], context: Arguments[1]) {
    super(config, context);
    const { size, timeoutMs } = config.projectConfig.testEnvironmentOptions;
    this.#mustSkip =
      unsupportedReason(size === 'node' ? 'node' : 'control-plane', thisMachine()) !== undefined;
    this.#timeoutMs = Number(timeoutMs);
  }

  /** Called by the test runner. The time is set first, so that a file may still set its own. */
  handleTestEvent(event: RunnerEvent, state: RunnerState): void {
    if (event.name === 'setup') state.testTimeout = this.#timeoutMs;
    if (event.name === 'run_start' && this.#mustSkip) skip(state.rootDescribeBlock);
  }
}

/** The runner does not hand the mode down; a skipped `describe` runs none of its hooks. */
function skip(block: RunnerBlock): void {
  block.mode = 'skip';
  for (const child of block.children ?? []) skip(child);
}
