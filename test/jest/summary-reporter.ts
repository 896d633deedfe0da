import type { AggregatedResult, Config, ReporterOnStartOptions, TestContext } from '@jest/reporters';
import { DefaultReporter, SummaryReporter } from '@jest/reporters';
import { thisMachine, unsupportedReason } from '../cluster/requirements.ts';
import type { ClusterSize } from '../cluster/slots.ts';

/** How long after the last test the process may go on, in milliseconds; taking the clusters down takes a second or two. */
const LINGER_MS = 60_000;

/**
 * Jest's ordinary report, then one line per project that this machine cannot run, then, as the very last line on
 * stdout, `N passed, N failed, N skipped`. A file that does not load counts as one failure, so that no run with a
 * problem ends with `0 failed`.
 *
 * It takes the place of `default`, because jest puts its own totals after every reporter that is listed besides that.
 */
export default class FinalLineReporter extends DefaultReporter {
  readonly #totals: SummaryReporter;

  constructor(config: Config.GlobalConfig) {
    super(config);
    this.#totals = new SummaryReporter(config);
  }

  override onRunStart(results: AggregatedResult, options: ReporterOnStartOptions): void {
    super.onRunStart(results, options);
    this.#totals.onRunStart(results, options);
  }

  override onRunComplete(contexts?: Set<TestContext>, results?: AggregatedResult): void {
    super.onRunComplete();
    if (contexts === undefined || results === undefined) return;
    this.#totals.onRunComplete(contexts, results);
    for (const line of skippedProjects(contexts)) process.stderr.write(`\n${line}\n`);
    process.stdout.write(`\n${buildSummary(results)}\n`);
    // The base class holds output back to keep its status lines apart from it.
    this.forceFlushBufferedOutput();
    // A handle that a failed test left open must not keep the run from ending. Unreferenced: it delays nobody.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}

function skippedProjects(contexts: Set<TestContext>): string[] {
  return [...contexts].flatMap(({ config }) => {
    const { size } = config.testEnvironmentOptions;
    const reason = isClusterSize(size) ? unsupportedReason(size, thisMachine()) : undefined;
    return reason === undefined ? [] : [`all ${config.displayName?.name} tests are skipped: ${reason}`];
  });
}

/** The closing line of a run. */
export function buildSummary(
  results: Pick<
    AggregatedResult,
    'numPassedTests' | 'numFailedTests' | 'numPendingTests' | 'numTodoTests' | 'numRuntimeErrorTestSuites'
  >,
): string {
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const skipped = results.numPendingTests + results.numTodoTests;
  return `${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped`;
}

function isClusterSize(size: unknown): size is ClusterSize {
  return size === 'node' || size === 'control-plane';
}
